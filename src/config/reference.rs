//! The reference of the configuration as Markdown, written from the JSON Schema so that no key can be missing and no default out of date.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::{
    quote::choices,
    schema,
    units::{SIZE, SPAN},
};

/// Every key of `lakegate.yaml` with its type, default, meaning and example: a section for each mapping, a row for each key.
///
/// `docs/configuration.md` holds it below its introduction.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    section(&mut text, "", schema::root());
    text
}

fn section(text: &mut String, path: &str, schema: &'static Json) {
    let title = if path.is_empty() { "The file".to_owned() } else { format!("`{path}`") };
    let description = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    // Writing to a `String` cannot fail.
    let _ = write!(text, "## {title}\n\n{}\n\n| key | type | default | meaning | example |\n|---|---|---|---|---|\n", one_line(description));
    let Some(Json::Object(properties)) = schema.get("properties") else { return };
    let required: Vec<&str> = schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    for (key, property) in properties {
        row(text, key, property, required.contains(&key.as_str()));
    }
    text.push('\n');
    for (key, property) in properties {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (mapping(property), items(property).and_then(mapping)) {
            (Some(mapping), _) => section(text, &path, mapping),
            (None, Some(item)) => section(text, &format!("{path}[]"), item),
            (None, None) => {
                // Keys of one's own, each with a mapping.
                if let Some(value) = property.get("additionalProperties").and_then(mapping) {
                    section(text, &format!("{path}.<name>"), value);
                }
            }
        }
    }
}

/// What a list holds, where the key may be one.
fn items(property: &'static Json) -> Option<&'static Json> {
    let choices = property.get("anyOf").and_then(Json::as_array).into_iter().flatten();
    [property].into_iter().chain(choices).find_map(|schema| schema.get("items"))
}

fn row(text: &mut String, key: &str, property: &'static Json, required: bool) {
    let mut meaning = property.get("description").and_then(Json::as_str).map(one_line).unwrap_or_default();
    for choice in schema::resolved(schema::root(), property).get("oneOf").and_then(Json::as_array).into_iter().flatten() {
        if let (Some(word), Some(what)) = (choice.get("const").and_then(Json::as_str), choice.get("description").and_then(Json::as_str)) {
            let _ = write!(meaning, "<br>`{word}`: {}", one_line(what));
        }
    }
    let default = property.get("default").map(code);
    let default = default.unwrap_or_else(|| if required { "*required*".to_owned() } else { "–".to_owned() });
    let example = property.get("examples").and_then(|examples| examples.get(0)).map(code).unwrap_or_default();
    let _ = writeln!(text, "| `{key}` | {} | {default} | {meaning} | {example} |", kind(property));
}

/// The type of a key in the words of YAML.
fn kind(property: &'static Json) -> String {
    let schema = schema::resolved(schema::root(), property);
    let words = schema::words(schema);
    let text = |key: &str| schema.get(key).and_then(Json::as_str);
    if let Some(Json::Array(choices)) = schema.get("anyOf") {
        return choices.iter().map(kind).collect::<Vec<_>>().join(", or ");
    }
    match (text("type"), text("format")) {
        _ if !words.is_empty() => choices(&words),
        (_, Some(SIZE)) => "size".to_owned(),
        (_, Some(SPAN)) => "duration".to_owned(),
        (Some("array"), _) => format!("list of {}", schema.get("items").map(kind).unwrap_or_default()),
        (Some("object"), _) => "mapping".to_owned(),
        (Some("integer"), _) => "whole number".to_owned(),
        (Some(name @ "boolean"), _) => name.to_owned(),
        _ => "text".to_owned(),
    }
}

fn mapping(property: &'static Json) -> Option<&'static Json> {
    Some(schema::resolved(schema::root(), property)).filter(|schema| schema.get("properties").is_some())
}

/// A value as YAML has it: a text that looks like a number keeps its quotes.
fn code(value: &Json) -> String {
    value.as_str().filter(|text| text.parse::<f64>().is_err()).map_or_else(|| format!("`{value}`"), |text| format!("`{text}`"))
}

/// Lines joined, and what would end a table cell escaped.
fn one_line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
