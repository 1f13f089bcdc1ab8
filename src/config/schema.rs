use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::Value;

use super::raw::Raw;

/// The JSON Schema of `lakegate.yaml`: what editors complete by, and what the file is walked against.
static SCHEMA: LazyLock<Value> = LazyLock::new(of::<Raw>);

/// The JSON Schema of `lakegate.yaml` as text (draft 2020-12). Committed as `docs/lakegate.schema.json`.
#[must_use]
pub fn json_schema() -> String {
    let mut text = format!("{:#}", *SCHEMA);
    text.push('\n');
    text
}

pub(super) fn root() -> &'static Value {
    &SCHEMA
}

/// The JSON Schema of files that hold a `T`, in the form that files are walked by.
pub(super) fn of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().with_transform(without_null).into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// A schema with its reference into `root` followed, if it is one.
pub(super) fn resolved(root: &'static Value, schema: &'static Value) -> &'static Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

/// Whether a schema lets every value pass.
pub(super) fn is_any(schema: &Value) -> bool {
    ["type", "anyOf", "oneOf", "enum", "const"].iter().all(|key| schema.get(key).is_none()) && *schema != Value::Bool(false)
}

/// Every word that a schema of words allows; empty for any other schema.
pub(super) fn words(schema: &'static Value) -> Vec<&'static str> {
    let list = |key: &str| schema.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let one = schema.get("const").and_then(Value::as_str);
    let many = list("enum").iter().filter_map(Value::as_str);
    one.into_iter().chain(many).chain(list("oneOf").iter().flat_map(words)).collect()
}

/// Takes `null` out of what an optional key may be: a key without a value is a slip, and it is refused.
fn without_null(schema: &mut Schema) {
    transform_subschemas(&mut without_null, schema);
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_mut_slice() {
            let only = only.take();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = choices.as_mut_slice() {
            let only = std::mem::take(only);
            object.remove("anyOf");
            for (key, value) in only {
                // What the key itself says goes before what its type says.
                object.entry(key).or_insert(value);
            }
        }
    }
}
