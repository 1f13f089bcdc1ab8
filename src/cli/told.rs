//! A decision in lines of text: what the service answers its callers, what an inquiry reports, and what the audit file holds share their words.

use serde_json::Value;

use crate::text::is_obeyed;

/// The lines of one decision, of whatever it says about itself.
pub(super) fn lines(decision: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            out.push(format!("{name:<10} {value}"));
        }
    };
    line("decision", format!("{} ({})", text(decision, "decision"), text(decision, "reason")));
    let why = ["message", "detail"].map(|key| text(decision, key));
    line("why", why.into_iter().find(|why| !why.is_empty()).unwrap_or_default());
    line("time", ["time", "event_time"].map(|key| text(decision, key)).concat());
    for key in ["stage", "mode", "principal", "peer"] {
        line(key, text(decision, key));
    }
    line("actor", list(decision, "actor"));
    line("purpose", text(decision, "purpose"));
    line("session_id", text(decision, "session_id"));
    for key in ["user_identity", "refused_token", "token"] {
        line(key, members(decision, key));
    }
    line("action", format!("{}  {}", text(decision, "action"), text(decision, "level")).trim().to_owned());
    line("resources", list(decision, "resources"));
    line("workspace", text(decision, "workspace"));
    line("policies", list(decision, "policies"));
    line("credential", members(decision, "credential"));
    if decision.get("policies_changed") == Some(&Value::Bool(true)) {
        line("note", "policies were loaded anew since; what follows is by those of now".to_owned());
    }
    out
}

/// The policies that decided and those that came near, with their conditions and the values that these saw.
pub(super) fn conditions(decision: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for applied in items(decision, "applied") {
        out.push(format!("applied    {} for {}", policy(applied), text(applied, "resource")));
        items(applied, "conditions").for_each(|condition| self::condition(condition, "  holds", &mut out));
    }
    for near in items(decision, "near") {
        out.push(format!("nearest    {} for {}", policy(near), text(near, "resource")));
        items(near, "missing").for_each(|condition| self::condition(condition, "  needs", &mut out));
    }
    if decision.get("near_cut") == Some(&Value::Bool(true)) {
        out.push("           there are more permits than were looked at; a nearer one may be among them".to_owned());
    }
    out
}

/// `text` as it may stand on a terminal: what an answer holds may have come from anywhere.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { '?' } else { c }).collect()
}

/// What the object under `key` says; empty where there is none.
fn members(value: &Value, key: &str) -> String {
    let members = value.get(key).and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(name, value)| member(name, value)).collect::<Vec<_>>().join(", ")
}

/// `client ml-notebooks`; nothing of what is not there.
fn member(name: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => plain(text),
        Value::Number(number) => number.to_string(),
        Value::Array(items) if !items.is_empty() => items.iter().filter_map(Value::as_str).map(plain).collect::<Vec<_>>().join(" "),
        _ => return None,
    };
    Some(format!("{name} {text}"))
}

/// The value under `key` as text; empty where there is none.
pub(super) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => plain(text),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

pub(super) fn list(value: &Value, key: &str) -> String {
    items(value, key).filter_map(Value::as_str).map(plain).collect::<Vec<_>>().join(", ")
}

pub(super) fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// `ml-query-staging (policies/ml.cedar:3): ML engineers query staging endpoints; ask ml-platform`
fn policy(of: &Value) -> String {
    let Some(policy) = of.get("policy") else { return String::new() };
    let mut out = text(policy, "id");
    if !text(policy, "file").is_empty() {
        out = format!("{out} ({}:{})", text(policy, "file"), text(policy, "line"));
    }
    for (before, key) in [(": ", "reason"), ("; ask ", "owner"), ("; credentials ", "credentials")] {
        let value = text(policy, key);
        if !value.is_empty() {
            out = format!("{out}{before}{value}");
        }
    }
    out
}

fn condition(condition: &Value, name: &str, out: &mut Vec<String>) {
    let error = text(condition, "error");
    let name = if error.is_empty() { name } else { "  failed" };
    out.push(format!("{name:<10} {}", text(condition, "text")));
    if !error.is_empty() {
        out.push(format!("             {error}"));
    }
    for seen in items(condition, "saw") {
        out.push(format!("             {} is {}", text(seen, "what"), text(seen, "value")));
    }
}
