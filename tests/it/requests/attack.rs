//! How a refusal must look to whoever gets it.

use lakegate_testkit::{raw::Response, workspace::Reached};
use serde_json::Value;

use super::{case::Sent, reasons::Reasons};

/// Phrases at which a Databricks SDK retries whatever the status.
const RETRIED: [&str; 4] =
    ["Unexpected error", "deadline exceeded", "Timed out after", "com.databricks.backend.manager.util.UnknownWorkerEnvironmentException"];

/// What is wrong: that it reached the workspace, or that the answer is not what the documents say.
pub(super) fn faults(sent: &Sent, reason: &str, answer: &Response, reached: &[Reached], reasons: &Reasons) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |what: &str, have: &Value, want: Value| {
        if *have != want {
            wrong.push(format!("{what} is {have}, not {want}"));
        }
    };
    let body = answer.json();
    let header = |name: &str| answer.header(name).map_or(Value::Null, Value::from);
    let (status, error_code) = reasons.of(reason);
    expect("what reached the workspace", &reached.len().into(), 0.into());
    expect("the status", &answer.status.into(), status.into());
    expect("the content-type", &header("content-type"), "application/json".into());
    expect("x-should-retry", &header("x-should-retry"), "false".into());
    expect("www-authenticate", &header("www-authenticate"), if status == 401 { "Bearer".into() } else { Value::Null });
    if sent.request.method != "HEAD" {
        expect("error_code", &body["error_code"], error_code.into());
        // what is hidden looks like what is not there; only the record tells
        let shown = if reason == "POLICY_HIDES" { "RESOURCE_DOES_NOT_EXIST" } else { reason };
        expect("the reason", &body["details"][0]["reason"], shown.into());
        expect("the domain", &body["details"][0]["domain"], "lakegate".into());
        expect("the second detail", &body["details"][1]["@type"], "type.googleapis.com/google.rpc.RequestInfo".into());
        expect("the request id", &body["details"][1]["request_id"], header("x-request-id"));
    }
    let message = body["message"].as_str().unwrap_or_default();
    if message.is_empty() && sent.request.method != "HEAD" {
        wrong.push("no message".to_owned());
    }
    wrong.extend(RETRIED.iter().filter(|phrase| message.contains(**phrase)).map(|phrase| format!("the message makes an SDK retry: {phrase}")));
    if answer.header("x-lakegate-decision").is_none() {
        wrong.push("no decision id".to_owned());
    }
    if answer.headers.iter().any(|(_, value)| !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())) {
        wrong.push("a header that is not visible ASCII".to_owned());
    }
    wrong.extend(echoed(sent, answer));
    wrong
}

/// The parts of a token that came back with the answer.
fn echoed(sent: &Sent, answer: &Response) -> Option<String> {
    let all = format!("{:?}{}", answer.headers, String::from_utf8_lossy(&answer.body));
    let secrets = sent.request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("cookie"));
    let parts = secrets.flat_map(|(_, value)| String::from_utf8_lossy(value).split([' ', '.', ',', '=']).map(str::to_owned).collect::<Vec<_>>());
    parts.filter(|part| part.len() >= 12).find(|part| all.contains(part.as_str())).map(|part| format!("`{part}` of the credential comes back"))
}
