//! As whom Databricks knows callers by the operator's word: tags of the inventory, behind a real Envoy.

use std::fs;

use lakegate_testkit::{raw::Request, world::STAGE};
use serde_json::{Value, json};

use crate::{
    asking::{PATIENCE, SALES, options, outcome, query_as, send, send_as, status_until, until},
    credentials::Exchanging,
};

const TRAINER: &str = "spiffe://cluster.local/ns/ml-staging/sa/trainer";
const ROBOT: &str = "00000000-0000-4000-8000-000000000001";
const OTHER: &str = "00000000-0000-4000-8000-000000000002";
const WORKLOADS: &str = r#"@id("workloads") permit (principal, action, resource in Environment::"staging") when { !(context has token) };"#;

fn trainer(application: &str) -> Value {
    json!({ "type": "Workload", "id": TRAINER, "tags": { "databricks_application_id": application } })
}

fn person(name: &str, user: &str) -> Value {
    json!({ "type": "User", "id": format!("corp/{name}"), "tags": { "databricks_user": user } })
}

/// A query without a token.
fn bare() -> Request {
    Request::new("POST", STAGE.host, SALES).json(&json!({ "inputs": [1] }))
}

/// A world in which Databricks knows people by their address, with an empty inventory.
async fn listing() -> Exchanging {
    let mut all = Exchanging::start(json!({ "mode": "exchange", "identity": "email" }), options()).await;
    fs::write(all.world.folder().join("entities.json"), "[]").unwrap();
    all.world.write_policy("workloads.cedar", WORKLOADS).unwrap();
    let mut config = all.world.config().clone();
    config["policy"]["entities"] = json!("entities.json");
    all.world.write_config(config).unwrap();
    status_until(&all.world, |status| status["policies"] == 2 && status["degraded"] == false).await;
    all
}

/// Writes the inventory, and waits until it is what decides.
async fn list(all: &Exchanging, entities: &[Value]) {
    let generation = |status: &Value| status["configuration"]["generation"].as_u64().unwrap();
    let before = generation(&status_until(&all.world, |_| true).await);
    fs::write(all.world.folder().join("entities.json"), json!(entities).to_string()).unwrap();
    status_until(&all.world, |status| generation(status) > before && status["degraded"] == false).await;
}

/// As whom the last call that arrived was made.
fn last(all: &Exchanging) -> Option<String> {
    let value = all.world.workspace.reached().pop()?.header("authorization")?;
    all.world.workspace.principal_of(value.strip_prefix("Bearer ")?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_without_a_token_goes_on_as_its_service_principal() {
    let all = listing().await;
    let refused = send(&all.world, &bare()).await;
    assert_eq!(outcome(&refused), (403, "IDENTITY_UNKNOWN".to_owned()));
    assert!(String::from_utf8_lossy(&refused.body).contains("`databricks_application_id`"), "{}", String::from_utf8_lossy(&refused.body));
    assert_eq!((all.world.workspace.count(), all.world.workspace.exchanges().len()), (0, 0));

    list(&all, &[trainer(ROBOT)]).await;
    until(&all.world, (200, "OK"), bare).await;
    assert_eq!(last(&all).as_deref(), Some(ROBOT));
    let exchange = all.world.workspace.exchanges().pop().unwrap();
    assert_eq!(exchange.field("client_id"), None, "by the account-wide policy");
    let of = |record: &Value| record["reason"] == "ALLOWED" && record["principal"] == format!("Workload::\"{TRAINER}\"");
    let record = all.world.audit.wait_for(PATIENCE, of).await.unwrap();
    assert_eq!((&record["credential"]["mode"], &record["credential"]["principal"]), (&json!("exchange"), &json!(ROBOT)));

    // another workload is not that one, nor is who brings a token along from it
    let before = all.world.workspace.count();
    let notebook = send_as(&all.world, &all.world.workloads.notebook, &bare()).await;
    assert_eq!(outcome(&notebook), (403, "IDENTITY_UNKNOWN".to_owned()));
    let alice = send(&all.world, &query_as(SALES, &all.token("alice"))).await;
    assert_eq!(outcome(&alice), (403, "IDENTITY_UNKNOWN".to_owned()));
    assert_eq!(all.world.workspace.count(), before);
}

/// What was had for one name serves no call any more once the inventory says another, or none.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_inventory_changes_whose_credential_is_used_at_once() {
    let all = listing().await;
    let alice = all.token("alice");
    list(&all, &[trainer(ROBOT), person("alice", "alice@corp.example")]).await;
    for (request, want) in [(bare(), ROBOT), (query_as(SALES, &alice), "alice@corp.example")] {
        until(&all.world, (200, "OK"), || request.clone()).await;
        assert_eq!(last(&all).as_deref(), Some(want));
    }
    list(&all, &[trainer(OTHER), person("alice", "asmith@corp.example")]).await;
    for (request, want) in [(bare(), OTHER), (query_as(SALES, &alice), "asmith@corp.example")] {
        // the first that arrives after the change
        until(&all.world, (200, "OK"), || request.clone()).await;
        assert_eq!(last(&all).as_deref(), Some(want));
    }
    assert_eq!(all.world.workspace.exchanges().len(), 4);
    let before = all.world.workspace.count();
    list(&all, &[]).await;
    for request in [bare(), query_as(SALES, &alice)] {
        assert_eq!(outcome(&send(&all.world, &request).await), (403, "IDENTITY_UNKNOWN".to_owned()), "whatever credential is at hand");
    }
    assert_eq!(all.world.workspace.count(), before);
}
