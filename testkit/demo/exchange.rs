use std::io;
use std::time::Duration;

use lakegate_testkit::World;
use lakegate_testkit::issuer::TokenSpec;
use lakegate_testkit::raw::Request;
use lakegate_testkit::workspace::FederationPolicy;
use lakegate_testkit::world::WORKSPACES;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::calls::{Call, Expected, Workload};
use crate::check::{self, Row};

/// How long lakegate may take to serve a changed configuration: it looks for one each second.
const PATIENCE: Duration = Duration::from_secs(20);
const ISSUER: &str = "https://lakegate.example.com";
const ACCOUNT: &str = "6f2e9c1a-0000-4000-8000-000000000001";
const POLICY: &str = r#"@id("ml-query-dev")
@reason("ML engineers query what is in development")
permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource in Environment::"dev");
"#;

/// Has the workspace `dev` exchange its callers for tokens of Databricks, and shows one whom Databricks knows and one whom it does not.
pub(crate) async fn play(world: &mut World) -> io::Result<Vec<(String, Row)>> {
    begin(world).await?;
    let known = call("alice, exchanged at Databricks", "alice", Expected::Allow { action: QUERY, resource: "dev/sales", policy: "ml-query-dev" });
    let unknown = Expected::Deny { status: 403, reason: "CREDENTIAL_REFUSED", action: Some(QUERY), resource: Some("dev/sales") };
    let unknown = call("carol, unknown at Databricks", "carol", unknown);
    let mut rows = Vec::new();
    for call in [known, unknown] {
        let mut row = check::play(world, &call).await?;
        match call.expected {
            Expected::Allow { .. } => whose(world, &mut row),
            Expected::Deny { .. } => why(&mut row),
        }
        rows.push((call.title, row));
    }
    Ok(rows)
}

const QUERY: &str = "serving_endpoints.query";

fn call(title: &str, person: &str, expected: Expected) -> Call {
    let [_, _, dev] = WORKSPACES;
    let request = Request::new("POST", dev.host, "/serving-endpoints/sales/invocations").json(&json!({ "inputs": [[1, 2, 3]] }));
    let token = Some(TokenSpec::person(person, &["ml-engineers"]));
    Call { title: title.to_owned(), workload: Workload::Trainer, token, request, expected, seen: Vec::new() }
}

/// Makes a key, names it in the configuration, and hands its public half to the workspace, which has alice alone.
async fn begin(world: &mut World) -> io::Result<()> {
    let made = world.run(&["keys", "new", "assertion.pem"]).await?;
    if !made.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
    }
    world.write_policy("exchange.cedar", POLICY)?;
    let mut config = world.config().clone();
    // no header that speaks of the mesh leaves it, but the id by which the demo finds the record
    for (place, key, value) in [
        ("/trust", "assertion", json!({ "keys": ["assertion.pem"], "issuer": ISSUER })),
        ("/workspaces/2", "trust", json!(["decision"])),
        ("/workspaces/2", "account_id", json!(ACCOUNT)),
        ("/workspaces/2", "credentials", json!({ "mode": "exchange", "issuers": ["corp"], "token_endpoint": world.workspace.token_endpoint() })),
    ] {
        if let Some(object) = config.pointer_mut(place).and_then(Value::as_object_mut) {
            object.insert(key.to_owned(), value);
        }
    }
    world.write_config(config)?;
    let deadline = Instant::now() + PATIENCE;
    while told(world, "/status").await?.get("credentials").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "lakegate does not take up the exchange"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    let keys = told(world, "/.well-known/jwks.json").await?;
    world.workspace.federate(FederationPolicy::new(ISSUER, ACCOUNT, keys));
    world.workspace.admit(&["alice"]);
    let [_, _, dev] = WORKSPACES;
    world.workspace.set_token_audience(dev.workspace_id);
    Ok(())
}

async fn told(world: &World, path: &str) -> io::Result<Value> {
    Ok(serde_json::from_str(&world.admin(path).await?.1)?)
}

/// Notes whose token the workspace saw, which must be one that it gave out itself.
fn whose(world: &World, row: &mut Row) {
    let seen = world.workspace.reached().pop().and_then(|reached| reached.header("authorization")).unwrap_or_default();
    let token = seen.strip_prefix("Bearer ").unwrap_or_default();
    match world.workspace.principal_of(token) {
        Some(principal) if principal == "alice" => {
            row.notes.push("the workspace saw a token of Databricks' own for alice, not the one that she sent".to_owned());
        }
        other => row.wrong.push(format!("the workspace saw a token of {}", other.as_deref().unwrap_or("nobody that it knows"))),
    }
}

/// Notes what the caller was told, which must name whom Databricks does not know.
fn why(row: &mut Row) {
    let told = row.record.pointer("/response/error_message").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !told.contains("`carol`") {
        row.wrong.push(format!("nobody told the caller that Databricks does not know carol: {told}"));
    }
    row.notes.push(format!("the caller was told: {told}"));
}
