//! The walk over the located tree along the JSON Schema: unknown, missing and mistyped keys, all of them, each with its place and its mend.

use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

use super::{
    path::KeyPath,
    quote::choices,
    report::Report,
    schema,
    units::{SIZE, SPAN, Size, Span},
};
use crate::{
    text::{nearest, quoted},
    yaml::{Key, Node, Value},
};

/// Walks the file along `schema` and gives back what of it is well-formed, for reading by type; what is not has become a fault in the report.
pub(super) fn walk(root: &Node, schema: &'static Json, report: &mut Report<'_>) -> Json {
    Walk { report, schema }.value(root, schema, &KeyPath::default()).unwrap_or_default()
}

/// The properties of a schema of any keys.
static NONE: LazyLock<Map<String, Json>> = LazyLock::new(Map::new);

struct Walk<'w, 't> {
    report: &'w mut Report<'t>,
    /// Of the whole file: what references lead into.
    schema: &'static Json,
}

// === impl Walk ===

impl Walk<'_, '_> {
    /// `None` where the value as a whole is of no use; a mapping is of use without its bad members, a list is not without its bad items,
    /// since the places of those after them would no longer be theirs.
    fn value(&mut self, node: &Node, schema: &'static Json, path: &KeyPath) -> Option<Json> {
        let schema = self.resolved(schema);
        if node.value == Value::Refused {
            return None;
        }
        if node.value == Value::Null {
            return self.wrong(node, path, &format!("{} has no value", quoted(&path.to_string())), "write one, or remove the key".to_owned());
        }
        if let Some(Json::Array(choices)) = schema.get("anyOf") {
            let fitting = choices.iter().map(|choice| self.resolved(choice)).find(|choice| fits(node, choice));
            return match fitting {
                Some(choice) => self.value(node, choice, path),
                None => self.mistyped(node, path, &choices.iter().map(|choice| described(self.resolved(choice))).collect::<Vec<_>>().join(" or ")),
            };
        }
        if schema::is_any(schema) {
            return node.json();
        }
        let words = schema::words(schema);
        match (schema.get("type").and_then(Json::as_str), &node.value) {
            _ if !words.is_empty() => self.word(node, &words, path),
            (Some("object"), Value::Map(entries)) => Some(self.map(node, entries, schema, path)),
            (Some("array"), Value::List(items)) => self.list(items, schema, path),
            (Some("boolean"), Value::Bool(yes)) => Some(Json::Bool(*yes)),
            (Some("integer"), Value::Int(number)) if *number >= 0 => Some(Json::from(*number)),
            (Some("string"), Value::Text(text)) => self.text(node, text, schema, path),
            _ => self.mistyped(node, path, &described(schema)),
        }
    }

    fn resolved(&self, schema: &'static Json) -> &'static Json {
        schema::resolved(self.schema, schema)
    }

    fn map(&mut self, node: &Node, entries: &[(Key, Node)], schema: &'static Json, path: &KeyPath) -> Json {
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&NONE);
        // What a mapping of any keys has as values.
        let others = schema.get("additionalProperties").filter(|schema| **schema != Json::Bool(false));
        let mut read = Map::new();
        for (key, value) in entries {
            match properties.get(&key.text).or(others) {
                Some(schema) => {
                    if let Some(value) = self.value(value, schema, &path.key(&key.text)) {
                        read.insert(key.text.clone(), value);
                    }
                }
                None => self.unknown(key, entries, properties),
            }
        }
        let required = schema.get("required").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        for key in required.iter().filter_map(Json::as_str) {
            if !entries.iter().any(|(have, _)| have.text == key) {
                let owner = path.last_key().map_or_else(|| "the file".to_owned(), |_| quoted(&path.to_string()));
                let help = properties
                    .get(key)
                    .and_then(example)
                    .map_or_else(|| format!("add `{key}:`"), |example| format!("add it, as in `{key}: {example}`"));
                self.report.fault_at(node.place, format!("{owner} lacks `{key}`"), Some(help));
            }
        }
        Json::Object(read)
    }

    fn unknown(&mut self, key: &Key, entries: &[(Key, Node)], properties: &Map<String, Json>) {
        let free = || properties.keys().map(String::as_str).filter(|name| entries.iter().all(|(have, _)| have.text != *name));
        let help = nearest(&key.text, free()).map(|word| format!("did you mean `{word}`?"));
        let help = help.unwrap_or_else(|| format!("known here: {}", properties.keys().cloned().collect::<Vec<_>>().join(", ")));
        self.report.fault_at(key.place, format!("unknown key {}", quoted(&key.text)), Some(help));
    }

    fn list(&mut self, items: &[Node], schema: &'static Json, path: &KeyPath) -> Option<Json> {
        let item_schema = schema.get("items")?;
        let read: Vec<_> = items.iter().enumerate().map(|(index, item)| self.value(item, item_schema, &path.item(index))).collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(Json::Array)
    }

    fn word(&mut self, node: &Node, words: &[&'static str], path: &KeyPath) -> Option<Json> {
        let Value::Text(text) = &node.value else { return self.mistyped(node, path, &choices(words)) };
        if words.contains(&text.as_str()) {
            return Some(Json::String(text.clone()));
        }
        let help = nearest(text, words.iter().copied()).map_or_else(|| format!("write {}", choices(words)), |word| format!("did you mean `{word}`?"));
        self.wrong(node, path, &format!("{} is not a value of `{path}`", quoted(text)), help)
    }

    fn text(&mut self, node: &Node, text: &str, schema: &'static Json, path: &KeyPath) -> Option<Json> {
        match schema.get("format").and_then(Json::as_str) {
            Some(SIZE) if Size::parse(text).is_none() => self.wrong(
                node,
                path,
                &format!("{} is not a size", quoted(text)),
                "write a whole number and `B`, `KiB`, `MiB` or `GiB`, as `16MiB`".to_owned(),
            ),
            Some(SPAN) if Span::parse(text).is_none() => self.wrong(
                node,
                path,
                &format!("{} is not a duration", quoted(text)),
                "write a whole number and `ms`, `s`, `m`, `h` or `d`, as `60s`".to_owned(),
            ),
            _ => Some(Json::String(text.to_owned())),
        }
    }

    fn mistyped(&mut self, node: &Node, path: &KeyPath, expected: &str) -> Option<Json> {
        let message = format!("{} is {}, not {expected}", quoted(&path.to_string()), node.kind());
        let help = match &node.value {
            Value::Int(number) if expected.starts_with("a text") => format!("put it in quotes: `\"{number}\"`"),
            Value::Int(_) | Value::Number(_) if expected.starts_with("a size") => "write the unit too, as `16MiB`".to_owned(),
            Value::Int(_) | Value::Number(_) if expected.starts_with("a duration") => "write the unit too, as `60s`".to_owned(),
            Value::Text(text) if expected.starts_with("a list") => format!("write `[{}]`", quoted(text).trim_matches('`')),
            Value::Text(_) if expected == "a boolean" => "write `true` or `false`, without quotes".to_owned(),
            _ => format!("write {expected}"),
        };
        self.wrong(node, path, &message, help)
    }

    fn wrong(&mut self, node: &Node, path: &KeyPath, message: &str, help: String) -> Option<Json> {
        let message = if path.steps().is_empty() { message.replacen("``", "the file", 1) } else { message.to_owned() };
        self.report.fault_at(node.place, message, Some(help));
        None
    }
}

/// Whether a value is of the kind that a schema asks for.
fn fits(node: &Node, schema: &'static Json) -> bool {
    let kind = schema.get("type").and_then(Json::as_str);
    match node.value {
        Value::Map(_) => kind == Some("object"),
        Value::List(_) => kind == Some("array"),
        Value::Text(_) => kind == Some("string") || !schema::words(schema).is_empty(),
        Value::Bool(_) => kind == Some("boolean"),
        Value::Int(_) => kind == Some("integer"),
        Value::Number(_) | Value::Null | Value::Refused => false,
    }
}

/// What a schema, its reference followed, asks for, for messages.
fn described(schema: &'static Json) -> String {
    let words = schema::words(schema);
    let text = |key: &str| schema.get(key).and_then(Json::as_str);
    match (text("type"), text("format")) {
        _ if !words.is_empty() => choices(&words),
        (_, Some(SIZE)) => "a size".to_owned(),
        (_, Some(SPAN)) => "a duration".to_owned(),
        (Some("object"), _) => "a mapping of keys".to_owned(),
        (Some("array"), _) => "a list".to_owned(),
        (Some("boolean"), _) => "a boolean".to_owned(),
        (Some("integer"), _) => "a whole number".to_owned(),
        _ => "a text".to_owned(),
    }
}

/// The first example of a key, as YAML would write it.
fn example(schema: &Json) -> Option<String> {
    schema.get("examples").and_then(Json::as_array).and_then(|examples| examples.first()).map(ToString::to_string)
}
