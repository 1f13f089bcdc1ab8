//! Shadow mode: as if lakegate were not there, but for forged trust headers and the record.

use lakegate_testkit::{issuer::TokenSpec, raw::Request, world::STAGE};
use serde_json::{Value, json};

use crate::{
    asking::{CLOSED, PATIENCE, SALES, options, outcome, query, send, status_until, world},
    requests::shadowed,
};

/// Every attack that enforcement refuses, and every honest call: all arrive as they were sent.
#[tokio::test(flavor = "multi_thread")]
async fn everything_passes_as_it_was_sent() {
    shadowed::play().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_in_shadow_leaves_the_others_enforced() {
    let world = world(options().configure(|config| config["workspaces"][0]["mode"] = json!("shadow"))).await;
    let forged = |request: Request| request.header("x-lakegate-subject", "root").header("Cookie", "a=b");
    let answer = send(&world, &forged(query(&world, CLOSED))).await;
    assert_eq!(outcome(&answer), (200, "OK".to_owned()));
    let arrived = world.workspace.reached().pop().unwrap();
    assert_eq!((arrived.header("cookie").as_deref(), arrived.header("x-lakegate-subject")), (Some("a=b"), None));
    let record = world.audit.wait_for(PATIENCE, |record| record["mode"] == "shadow").await.unwrap();
    assert_eq!((&record["decision"], &record["reason"], &record["workspace"]), (&json!("deny"), &json!("POLICY_FORBIDS"), &json!("stage")));
    assert_eq!(record["policies"], json!(["closed-endpoint"]));

    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let before = world.workspace.count();
    // neither another spelling of a host nor a header that names the shadowed workspace opens an enforced one
    for host in ["prod.cloud.databricks.com", "PROD.cloud.databricks.com:443", "prod.cloud.databricks.com.", "unknown.cloud.databricks.com"] {
        let answer = send(&world, &Request::new("POST", host, SALES).bearer(&token).json(&json!({}))).await;
        assert_eq!(answer.status, 403, "{host}");
        let claimed = Request::new("POST", host, SALES).header("X-Databricks-Workspace-Id", STAGE.workspace_id).bearer(&token).json(&json!({}));
        assert!([400, 403].contains(&send(&world, &claimed).await.status), "{host}");
    }
    assert_eq!(world.workspace.count(), before);
    for host in ["Stage.Cloud.Databricks.Com", "stage.cloud.databricks.com.", "stage.cloud.databricks.com:443"] {
        assert_eq!(send(&world, &Request::new("GET", host, "/no/such/call")).await.header("x-reached"), Some("workspace"), "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mode_changes_live() {
    let mut world = world(options()).await;
    assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await).0, 403);
    let enforcing = world.config().clone();
    let mut shadowing: Value = enforcing.clone();
    shadowing["policy"]["mode"] = json!("shadow");
    let generation = async |world: &lakegate_testkit::World, wanted: u64| {
        drop(status_until(world, |status| status["configuration"]["generation"] == wanted).await);
    };
    world.write_config(shadowing).unwrap();
    generation(&world, 2).await;
    assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await), (200, "OK".to_owned()));
    world.write_config(enforcing).unwrap();
    generation(&world, 3).await;
    assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await), (403, "POLICY_FORBIDS".to_owned()));
}
