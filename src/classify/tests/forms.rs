//! A form is decided on as the JSON that says the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Body, Case, Classifier, Intent, MediaType, Sent, classifier};

thread_local! {
    static CLASSIFIER: Classifier = classifier();
}

fn classified(body: &[u8], media: MediaType<'_>) -> Option<Intent> {
    let case: Case = serde_json::from_value(json!({ "send": "POST /api/2.0/workspace/import" })).unwrap();
    let sent = Sent::read(&case.send);
    let mut call = sent.call(&case);
    call.body = Body::Whole { bytes: body, media };
    CLASSIFIER.with(|classifier| classifier.classify(&call).ok())
}

fn name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["path", "path", "path", "Path", "_path", "overwrite", "overWrite", "format", "content", "language"])
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => "(/Workspace)?/Users/[a-cé]{1,2}", 2 => "true|false", 1 => "True|[/.%\"\\\\a-c]{0,5}"]
}

proptest! {
    #[test]
    fn a_form_is_what_its_json_is(parts in proptest::collection::btree_map(name(), text(), 1..5)) {
        prop_assume!(!(parts.contains_key("path") && parts.contains_key("Path")));
        prop_assume!(!(parts.contains_key("overwrite") && parts.contains_key("overWrite")));
        let value = |name: &str, text: &str| match (name, text) {
            ("overwrite", "true" | "false") => Value::Bool(text == "true"),
            _ => Value::from(text),
        };
        let json: Map<_, _> = parts.iter().map(|(name, text)| ((*name).to_owned(), value(name, text))).collect();
        let json = classified(Value::Object(json).to_string().as_bytes(), MediaType::Json);
        let form = classified(form(&parts).as_bytes(), MediaType::FormData { boundary: "b" });
        prop_assert_eq!(format!("{form:?}"), format!("{json:?}"));
    }
}

fn form(parts: &BTreeMap<&str, String>) -> String {
    let part = |(name, text): (&&str, &String)| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
    parts.iter().map(part).collect::<Vec<_>>().concat() + "--b--\r\n"
}
