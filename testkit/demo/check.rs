use std::io;
use std::time::Duration;

use lakegate_testkit::World;
use lakegate_testkit::envoy::Listener;
use lakegate_testkit::raw::Response;
use lakegate_testkit::workspace::Reached;
use serde_json::Value;
use tokio::time::Instant;

use crate::calls::{Call, Expected, Seen};

/// How long a record may take to reach the audit file: it is written in batches.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of a call, as lakegate recorded it and the client measured it.
pub(crate) struct Row {
    pub(crate) record: Value,
    /// The workload that sent it; the record names it only once lakegate got as far as looking.
    pub(crate) sender: &'static str,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) took: Duration,
    /// Worth telling beside the row.
    pub(crate) notes: Vec<String>,
    /// Where it is not as expected; empty when all is well.
    pub(crate) wrong: Vec<String>,
}

/// Sends the call and compares what came of it with what it expects.
pub(crate) async fn play(world: &World, call: &Call) -> io::Result<Row> {
    let client = world.client(Listener::Istio, call.workload.identity(&world.workloads))?;
    let request = match &call.token {
        Some(spec) => call.request.clone().bearer(&world.corp.token(spec)?),
        None => call.request.clone(),
    };
    let before = world.workspace.count();
    let sent = Instant::now();
    let answer = client.send(&request).await?;
    let took = sent.elapsed();
    let reached = world.workspace.reached().into_iter().nth(before);
    let mut wrong = Vec::new();
    let record = record(world, &answer, reached.as_ref(), &mut wrong).await?;
    if !record.is_null() {
        compare(&call.expected, &answer, reached.as_ref(), &record, &mut wrong);
    }
    let notes = compare_headers(&call.seen, reached.as_ref(), &mut wrong);
    let target = String::from_utf8_lossy(&request.target).into_owned();
    Ok(Row { record, sender: call.workload.name(), method: request.method, target, status: answer.status, took, notes, wrong })
}

/// The record of the decision, by the id in the denial or in the request as the workspace saw it.
async fn record(world: &World, answer: &Response, reached: Option<&Reached>, wrong: &mut Vec<String>) -> io::Result<Value> {
    let id = match reached {
        Some(reached) => reached.header("x-lakegate-decision"),
        None => answer.header("x-lakegate-decision").map(str::to_owned),
    };
    let Some(id) = id else {
        wrong.push(format!("no x-lakegate-decision; the answer was {} {}", answer.status, String::from_utf8_lossy(&answer.body)));
        return Ok(Value::Null);
    };
    match world.audit.decision(&id, PATIENCE).await {
        Err(e) if e.kind() == io::ErrorKind::TimedOut => {
            wrong.push(format!("no audit record of decision {id}"));
            Ok(Value::Null)
        }
        other => other,
    }
}

fn compare(expected: &Expected, answer: &Response, reached: Option<&Reached>, record: &Value, wrong: &mut Vec<String>) {
    let mut same = |what: &str, want: &str, have: &str| {
        if want != have {
            wrong.push(format!("{what} is `{have}` and should be `{want}`"));
        }
    };
    match expected {
        Expected::Allow { action, resource, policy } => {
            same("the way", "through to the workspace", if reached.is_some() { "through to the workspace" } else { "barred" });
            same("the status", "200", &answer.status.to_string());
            same("the decision", "allow", text(record, "decision"));
            same("the action", action, &name(record.get("action")));
            same("the resource", resource, &names(record.get("resources")));
            same("the policy", policy, &names(record.get("policies")));
        }
        Expected::Deny { status, reason, action, resource } => {
            same("the way", "barred", if reached.is_some() { "through to the workspace" } else { "barred" });
            same("the status", &status.to_string(), &answer.status.to_string());
            same("the decision", "deny", text(record, "decision"));
            same("the reason", reason, text(record, "reason"));
            same("the reason told to the caller", reason, answer.json().pointer("/details/0/reason").and_then(Value::as_str).unwrap_or_default());
            if let Some(action) = action {
                same("the action", action, &name(record.get("action")));
            }
            if let Some(resource) = resource {
                same("the resource", resource, &names(record.get("resources")));
            }
        }
    }
}

fn compare_headers(expected: &[Seen], reached: Option<&Reached>, wrong: &mut Vec<String>) -> Vec<String> {
    let Some(reached) = reached else { return Vec::new() };
    let mut notes = Vec::new();
    for Seen { header, value } in expected {
        let values = reached.values(header);
        if values.iter().map(String::as_str).eq(value.iter().copied()) {
            notes.push(match value {
                Some(value) => format!("the workspace saw {header}: {value}"),
                None => format!("the workspace did not see {header}"),
            });
        } else {
            wrong.push(format!("the workspace saw {header}: {values:?}"));
        }
    }
    notes
}

/// A text of the record; empty where there is none.
pub(crate) fn text<'r>(record: &'r Value, field: &str) -> &'r str {
    record.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The id in an entity, which a record may write as `Type::"id"`, as an object, or plainly.
pub(crate) fn name(entity: Option<&Value>) -> String {
    match entity {
        Some(Value::String(text)) => match text.split_once("::\"") {
            Some((_, id)) => id.trim_end_matches('"').to_owned(),
            None => text.clone(),
        },
        Some(Value::Object(fields)) => fields.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// The ids in a list of entities.
pub(crate) fn names(entities: Option<&Value>) -> String {
    entities.and_then(Value::as_array).map(|list| list.iter().map(|entity| name(Some(entity))).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entities_are_named_however_they_are_written() {
        assert_eq!(name(Some(&json!("Job::\"stage/42\""))), "stage/42");
        assert_eq!(name(Some(&json!({ "type": "Job", "id": "stage/42" }))), "stage/42");
        assert_eq!(name(Some(&json!("jobs.run_now"))), "jobs.run_now");
        assert_eq!((name(Some(&Value::Null)), name(None)), (String::new(), String::new()));
        assert_eq!(names(Some(&json!(["Job::\"stage/1\"", "Job::\"stage/2\""]))), "stage/1, stage/2");
    }

    #[test]
    fn every_difference_is_told() {
        let allow = Expected::Allow { action: "jobs.run_now", resource: "stage/42", policy: "p" };
        let record = json!({ "decision": "allow", "action": "jobs.run_now", "resources": ["Job::\"stage/42\""], "policies": ["p"] });
        let answer = |status| Response { status, headers: Vec::new(), body: br#"{"details":[{"reason":"CALL_UNKNOWN"}]}"#.to_vec() };
        let reached = Reached { method: "POST".into(), target: "/".into(), headers: Vec::new(), body: Vec::new().into() };
        let differences = |expected: &Expected, status, reached: Option<&Reached>, record: &Value| {
            let mut wrong = Vec::new();
            compare(expected, &answer(status), reached, record, &mut wrong);
            wrong.len()
        };
        assert_eq!(differences(&allow, 200, Some(&reached), &record), 0);
        assert_eq!(differences(&allow, 403, None, &json!({ "decision": "deny" })), 6);

        let deny = Expected::Deny { status: 403, reason: "CALL_UNKNOWN", action: None, resource: None };
        assert_eq!(differences(&deny, 403, None, &json!({ "decision": "deny", "reason": "CALL_UNKNOWN" })), 0);
        assert_eq!(differences(&deny, 200, Some(&reached), &record), 4);
    }

    #[test]
    fn headers_are_seen_once_or_not_at_all() {
        let reached = |headers: &[(&str, &str)]| Reached {
            method: "GET".into(),
            target: "/".into(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
            body: Vec::new().into(),
        };
        let expected = [Seen { header: "a", value: Some("1") }, Seen { header: "b", value: None }];
        for (headers, faults) in [(&[("a", "1")][..], 0), (&[("a", "1"), ("a", "1")], 1), (&[("a", "2"), ("b", "")], 2), (&[], 1)] {
            let mut wrong = Vec::new();
            compare_headers(&expected, Some(&reached(headers)), &mut wrong);
            assert_eq!(wrong.len(), faults, "{headers:?}");
        }
    }
}
