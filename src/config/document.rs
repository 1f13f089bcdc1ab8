//! Other YAML files that people write, read as the configuration is: narrowly, along the schema of their type, with all faults at once and the place of each.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    path::KeyPath,
    report::{self, Report},
    schema, walk,
};
use crate::{
    model::Fault,
    yaml::{self, Node},
};

/// A file that has been read as a `T`, and where each of its values stands.
#[derive(Clone, Debug)]
pub struct Document<T> {
    pub content: T,
    file: PathBuf,
    root: Node,
}

/// The JSON Schema of files that hold a `T`: what [`Document::parse`] walks them by, and what editors complete by.
#[must_use]
pub fn document_schema<T: JsonSchema>() -> Value {
    schema::of::<T>()
}

// === impl Document ===

impl<T: DeserializeOwned> Document<T> {
    /// Reads `text` as if it stood in `file`. `schema` is the [`document_schema`] of `T`.
    ///
    /// # Errors
    /// Every fault of the text, in its order.
    pub fn parse(file: &Path, text: &str, schema: &'static Value) -> Result<Self, Vec<Fault>> {
        let (root, found) = yaml::read(text);
        let faults: Vec<Fault> = found.into_iter().map(|found| found.fault(file)).collect();
        let root = match root {
            Some(root) => root,
            None if faults.is_empty() => return Err(vec![report::file_fault(file, "the file is empty".to_owned(), "fill it, or remove it")]),
            None => return Err(faults),
        };
        let mut report = Report::new(file, &root, faults);
        let good = walk::walk(&root, schema, &mut report);
        if !report.is_clean() {
            return Err(report.into_faults());
        }
        match serde_json::from_value(good) {
            Ok(content) => Ok(Self { content, file: file.to_owned(), root }),
            Err(error) => Err(vec![report::file_fault(file, format!("the file cannot be read: {error}"), "compare it with the JSON Schema")]),
        }
    }
}

impl<T> Document<T> {
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line of the value at `path`, or of as much of the path as is there.
    #[must_use]
    pub fn line(&self, path: &KeyPath) -> usize {
        self.root.place_of(path.steps()).line
    }

    /// A fault of the value at `path`, or of where it should be.
    pub fn fault(&self, path: &KeyPath, message: impl Into<String>, help: Option<String>) -> Fault {
        let place = self.root.place_of(path.steps());
        Fault { file: self.file.clone(), line: Some(place.line), column: Some(place.column), message: message.into(), help }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::LazyLock};

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Shop {
        goods: Option<BTreeMap<String, Good>>,
        anything: Option<Value>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Good {
        price: u64,
        #[serde(default)]
        parts: Vec<Good>,
    }

    static SHOP: LazyLock<Value> = LazyLock::new(document_schema::<Shop>);

    fn faults(text: &str) -> Vec<String> {
        Document::<Shop>::parse(Path::new("shop.yaml"), text, &SHOP).map(|_| ()).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_may_be_free_and_values_of_any_kind() {
        let text = "goods:\n  tea: { price: 3 }\n  set: { price: 9, parts: [{ price: 1 }] }\nanything: { a: [1, null, 'x', 1.5, {}], b: true }\n";
        let shop = Document::<Shop>::parse(Path::new("shop.yaml"), text, &SHOP).unwrap();
        assert_eq!(shop.content.goods.as_ref().unwrap()["set"].parts[0].price, 1);
        assert_eq!(shop.content.anything, Some(json!({"a": [1, null, "x", 1.5, {}], "b": true})));
        let at = KeyPath::default().key("goods").key("set").key("parts").item(0);
        assert_eq!((shop.line(&at), shop.fault(&at, "x", None).to_string()), (3, "shop.yaml:3:28: x".to_owned()));
    }

    #[test]
    fn what_is_free_is_walked_all_the_same() {
        for (text, told) in [
            ("goods: { tea: { prize: 3, price: 3 } }", "shop.yaml:1:17: unknown key `prize`; known here: price, parts"),
            ("goods: { tea: { price: cheap } }", "shop.yaml:1:24: `goods.tea.price` is a text, not a whole number; write a whole number"),
            (
                "goods: { tea: { price: 1, parts: [{ price: x }] } }",
                "shop.yaml:1:44: `goods.tea.parts[0].price` is a text, not a whole number; write a whole number",
            ),
            ("goods: { tea: {} }", "shop.yaml:1:15: `goods.tea` lacks `price`; add `price:`"),
            ("good: {}", "shop.yaml:1:1: unknown key `good`; did you mean `goods`?"),
            ("anything: [&a x]", "shop.yaml:1:15: anchors, aliases and tags are not read; write the value itself"),
            ("# nothing\n", "shop.yaml: the file is empty; fill it, or remove it"),
        ] {
            assert_eq!(faults(text), [told], "{text}");
        }
    }
}
