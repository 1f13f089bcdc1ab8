//! Personal access tokens of Databricks, through a real Envoy: refused, or, where a workspace still takes them, sent on past policies that look at the workload alone.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lakegate_testkit::{
    World,
    envoy::Listener,
    raw::Request,
    world::{STAGE, WORKSPACES},
};
use serde_json::{Value, json};

use crate::asking::{CHURN, PATIENCE, SALES, options, outcome, send, send_as, until, world};

const TOKEN: &str = "dapi0123456789abcdef0123456789abcdef";

/// What a workload may, and with which credential.
const POLICIES: &str = r#"
@id("churn")
permit (principal == Workload::"spiffe://cluster.local/ns/ml-staging/sa/trainer", action, resource == ServingEndpoint::"stage/churn");
@id("stripped") @credentials("strip")
permit (principal is Workload, action, resource == ServingEndpoint::"stage/stripped");
@id("people")
permit (principal is User, action, resource);
@id("prod")
permit (principal, action, resource in Environment::"prod");
"#;

/// Both ways in which clients send one.
fn forms() -> [String; 2] {
    [format!("Bearer {TOKEN}"), format!("Basic {}", STANDARD.encode(format!("token:{TOKEN}")))]
}

fn to(host: &str, endpoint: &str, authorization: Option<&str>) -> Request {
    let request = Request::new("POST", host, endpoint).json(&json!({ "inputs": [1] }));
    authorization.into_iter().fold(request, |request, value| request.header("authorization", value))
}

/// What is recorded of the call that the workspace saw last.
async fn last_record(world: &World) -> Value {
    let id = world.workspace.reached().pop().unwrap().header("x-lakegate-decision").unwrap();
    world.audit.decision(&id, PATIENCE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_takes_them_gets_them_as_the_workload_is_permitted() {
    let mut world = world(options().policies(&[("own.cedar", POLICIES)])).await;
    for value in forms() {
        let answer = send(&world, &to(STAGE.host, CHURN, Some(&value))).await;
        assert_eq!(outcome(&answer), (401, "CREDENTIAL_UNSUPPORTED".to_owned()), "unless it is said, they are refused");
        assert!(String::from_utf8_lossy(&answer.body).contains("DATABRICKS_TOKEN"), "what to do instead");
    }
    assert_eq!(world.workspace.count(), 0);
    let mut config = world.config().clone();
    config["workspaces"][0]["credentials"]["personal_access_tokens"] = json!("passthrough");
    world.write_config(config).unwrap();
    let [bearer, _] = forms();
    until(&world, (200, "OK"), || to(STAGE.host, CHURN, Some(&bearer))).await;
    for value in forms() {
        assert_eq!(outcome(&send(&world, &to(STAGE.host, CHURN, Some(&value))).await), (200, "OK".to_owned()));
        let arrived = world.workspace.reached().pop().unwrap();
        assert_eq!(arrived.header("authorization"), Some(value), "untouched");
        assert_eq!(arrived.header("x-lakegate-peer").as_deref(), Some("spiffe://cluster.local/ns/ml-staging/sa/trainer"));
        assert!(arrived.values("x-lakegate-subject").is_empty(), "nobody is vouched for");
        let with = last_record(&world).await;
        assert_eq!(outcome(&send(&world, &to(STAGE.host, CHURN, None)).await), (200, "OK".to_owned()));
        assert!(world.workspace.reached().pop().unwrap().values("authorization").is_empty());
        let without = last_record(&world).await;
        assert_eq!((&with["presented"], &without["presented"]), (&json!("personal-access-token"), &Value::Null));
        for same in ["decision", "principal", "peer", "policies", "user_identity", "resources", "facts"] {
            assert_eq!(with[same], without[same], "{same}: decided as without a token");
        }
    }
    refused_as_without_one(&world).await;
    let told = fs::read_to_string(world.audit.path()).unwrap() + &world.admin("/status").await.unwrap().1;
    assert!(!told.contains(TOKEN) && !told.contains(&STANDARD.encode(format!("token:{TOKEN}"))), "{told}");
}

/// Nothing that the workload alone may not, for nobody but a workload, and nowhere else.
async fn refused_as_without_one(world: &World) {
    let before = world.workspace.count();
    for value in forms() {
        for (endpoint, identity) in [(SALES, &world.workloads.trainer), (CHURN, &world.workloads.notebook)] {
            let [with, without] = [Some(value.as_str()), None].map(|value| to(STAGE.host, endpoint, value));
            let refused = outcome(&send_as(world, identity, &with).await);
            assert_eq!(refused, (403, "POLICY_NO_PERMIT".to_owned()), "{endpoint}");
            assert_eq!(refused, outcome(&send_as(world, identity, &without).await), "{endpoint}");
        }
        // a permit that would take it away does not do so in silence
        let answer = send(world, &to(STAGE.host, "/serving-endpoints/stripped/invocations", Some(&value))).await;
        assert_eq!(outcome(&answer), (403, "CREDENTIAL_CONFLICT".to_owned()));
        assert!(
            String::from_utf8_lossy(&answer.body).contains("comes with a personal access token: send none"),
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        let answer = send(world, &to(WORKSPACES[1].host, CHURN, Some(&value))).await;
        assert_eq!(outcome(&answer), (401, "CREDENTIAL_UNSUPPORTED".to_owned()), "another workspace takes none");
    }
    assert_eq!(world.workspace.count(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_mesh_identity_passes_none() {
    let open = |config: &mut Value| {
        config["peers"]["required"] = json!(false);
        config["workspaces"][0]["credentials"]["personal_access_tokens"] = json!("passthrough");
    };
    let all = r#"@id("all") permit (principal, action, resource);"#;
    let world = world(options().policies(&[("own.cedar", all)]).configure(open)).await;
    let client = world.client(Listener::Plain, &world.workloads.trainer).unwrap();
    for value in forms() {
        let answer = client.send(&to(STAGE.host, CHURN, Some(&value))).await.unwrap();
        assert_eq!(outcome(&answer), (401, "CREDENTIAL_UNSUPPORTED".to_owned()), "{}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(world.workspace.count(), 0);
}
