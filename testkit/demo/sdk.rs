use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use lakegate_testkit::World;
use lakegate_testkit::envoy::Envoy;
use lakegate_testkit::issuer::TokenSpec;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::check::{Row, name, names, text};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/calls.py");
const PATIENCE: Duration = Duration::from_mins(2);

/// What the script tells of a call, one JSON line each.
#[derive(Debug, Deserialize)]
struct Told {
    call: String,
    method: String,
    path: String,
    milliseconds: f64,
    /// None where the call returned.
    error: Option<Raised>,
}

/// The exception that the SDK raised.
#[derive(Debug, Deserialize)]
struct Raised {
    kind: String,
    message: String,
    reason: Option<String>,
    domain: Option<String>,
    /// What else stands in the error's details, as text.
    details: String,
}

/// Lets the official SDK make its calls through the trainer's sidecar, as an application would, and checks what it makes of the answers.
pub(crate) async fn play(world: &World, sidecar: &Envoy, python: &Path) -> io::Result<Vec<(String, Row)>> {
    let told = run(python, &format!("http://127.0.0.1:{}", sidecar.outbound()?), &world.corp.token(&TokenSpec::new())?).await?;
    let [ran, refused] = told.as_slice() else {
        return Err(io::Error::other(format!("the SDK script told of {} calls, not of two", told.len())));
    };
    Ok(vec![allowed(world, ran).await?, denied(world, refused).await?])
}

async fn run(python: &Path, host: &str, token: &str) -> io::Result<Vec<Told>> {
    let mut child = Command::new(python)
        .args([SCRIPT, "--host", host])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("cannot start {}: {e}; run `make tools`", python.display())))?;
    // over stdin: arguments can be read by every process of the machine
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(token.as_bytes()).await?;
    }
    let output = timeout(PATIENCE, child.wait_with_output()).await.map_err(|_| io::Error::other("the SDK script does not end"))??;
    if !output.status.success() {
        return Err(io::Error::other(format!("the SDK script failed:\n{}", String::from_utf8_lossy(&output.stderr))));
    }
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).map_err(io::Error::other)).collect()
}

async fn allowed(world: &World, told: &Told) -> io::Result<(String, Row)> {
    let mut wrong = Vec::new();
    if let Some(error) = &told.error {
        wrong.push(format!("the SDK raised {error:?}"));
    }
    let reached = world.workspace.reached().into_iter().rev().find(|reached| reached.target == told.path);
    let record = match reached.and_then(|reached| reached.header("x-lakegate-decision")) {
        Some(id) => world.audit.decision(&id, Duration::from_secs(10)).await?,
        None => Value::Null,
    };
    let have = (text(&record, "decision"), name(record.get("action")), names(record.get("resources")));
    if have != ("allow", "jobs.run_now".to_owned(), "stage/42".to_owned()) {
        wrong.push(format!("the record says {have:?}"));
    }
    Ok(row(told, record, 200, Vec::new(), wrong))
}

async fn denied(world: &World, told: &Told) -> io::Result<(String, Row)> {
    let mut wrong = Vec::new();
    let Some(error) = &told.error else {
        wrong.push("the SDK raised nothing".to_owned());
        return Ok(row(told, Value::Null, 200, Vec::new(), wrong));
    };
    if error.kind != "PermissionDenied" {
        wrong.push(format!("the SDK raised {}: {}", error.kind, error.message));
    }
    if (error.reason.as_deref(), error.domain.as_deref()) != (Some("POLICY_FORBIDS"), Some("lakegate")) {
        wrong.push(format!("its ErrorInfo says {:?} of {:?}", error.reason, error.domain));
    }
    let policy = "the endpoint closed is under audit";
    if !error.message.contains(policy) {
        wrong.push(format!("its message lacks the policy's reason: {}", error.message));
    }
    // the SDK shows no headers: the caller's trace of the decision is its id in the error's details
    let named = |record: &Value| record.get("event_id").and_then(Value::as_str).is_some_and(|id| error.details.contains(id));
    let record = world.audit.wait_for(Duration::from_secs(10), named).await.unwrap_or_default();
    let have = (text(&record, "decision"), text(&record, "reason"), names(record.get("resources")));
    if have != ("deny", "POLICY_FORBIDS", "stage/closed".to_owned()) {
        wrong.push(format!("the record of the decision in its details says {have:?}: {}", error.details));
    }
    // the SDK adds its own configuration after the message
    let message = error.message.split(". Config:").next().unwrap_or_default();
    let notes = vec![format!("the SDK raised {}: {message}", error.kind)];
    Ok(row(told, record, 403, notes, wrong))
}

fn row(told: &Told, record: Value, status: u16, notes: Vec<String>, wrong: Vec<String>) -> (String, Row) {
    let took = Duration::try_from_secs_f64(told.milliseconds / 1000.0).unwrap_or_default();
    (
        told.call.clone(),
        Row { record, sender: "ml-staging/trainer", method: told.method.clone(), target: told.path.clone(), status, took, notes, wrong },
    )
}
