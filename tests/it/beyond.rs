//! Beyond the workspaces of Databricks: accounts, services in the mesh, endpoints that only the operator knows, objects with two names.
//!
//! What stands in for all of them answers 404 to calls that it does not have: such an answer shows that a call was let through.

use std::fs;

use lakegate_testkit::{World, envoy::Listener, issuer::TokenSpec, raw::Request, world::STAGE};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::asking::{PATIENCE, options, outcome, send, status_until, until, world};

const ACCOUNT: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

const POLICIES: &str = r#"
@id("experiments") permit (principal in Group::"corp/ml-engineers", action, resource in Service::"tracking") when { resource is Experiment };
@id("features-read") permit (principal in Group::"corp/ml-engineers", action in Action::"read", resource in HttpPath::"features//v1/churn");
@id("llama") permit (principal in Group::"corp/ml-engineers", action in Action::"use", resource == ModelName::"models/llama");
@id("orders") permit (principal in Group::"corp/ml-engineers", action == Action::"orders.get", resource == Order::"orders/7");
@id("networks") permit (principal in Group::"corp/ml-engineers", action == Action::"networks.list", resource == Account::"main");
"#;

const ORDERS: &str = r#"
types: [{ name: Order, form: decimal, in: [Service] }]
calls:
  - { action: orders.get, level: read, method: GET, path: "/orders/{id}", resource: { type: Order, id: id } }
  - { action: orders.cancel, level: write, method: POST, path: "/orders/{id}:cancel", resource: { type: Order, id: id } }
"#;

/// Method, host, path, body, what comes of it, and the resource in its record.
struct Sent<'c>(&'c str, &'c str, &'c str, Option<Value>, (u16, &'c str), &'c str);

async fn beyond(folder: &TempDir) -> World {
    let orders = folder.path().join("orders.yaml");
    fs::write(&orders, ORDERS).unwrap();
    let service = |name: &str, catalog: &str| json!({ "name": name, "hosts": [format!("{name}.svc")], "environment": "staging", "catalog": catalog });
    let services = json!([
        service("tracking", "mlflow"),
        service("features", "generic"),
        service("models", "openai"),
        service("orders", &orders.display().to_string())
    ]);
    let accounts = json!([{ "name": "main", "hosts": ["accounts.cloud.databricks.com"], "account_id": ACCOUNT }]);
    let configure = move |config: &mut Value| {
        config["services"] = services.clone();
        config["accounts"] = accounts.clone();
    };
    world(options().policies(&[("beyond.cedar", POLICIES)]).configure(configure)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_services_are_guarded_by_their_own_catalogs() {
    let folder = TempDir::new().unwrap();
    let world = beyond(&folder).await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let networks = format!("/api/2.0/accounts/{ACCOUNT}/networks");
    let other = "/api/2.0/accounts/9a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9/networks";
    let cases: [Sent<'_>; 19] = [
        // an MLflow server of one's own
        Sent("POST", "tracking.svc", "/api/2.0/mlflow/runs/create", Some(json!({"experiment_id": "1"})), (200, "OK"), r#"Experiment::"tracking/1""#),
        Sent("POST", "tracking.svc", "/api/2.0/mlflow/registered-models/create", Some(json!({"name": "m"})), (403, "POLICY_NO_PERMIT"), ""),
        Sent("GET", "tracking.svc", "/api/2.2/jobs/list", None, (403, "CALL_UNKNOWN"), ""),
        // a service that nobody described
        Sent("GET", "features.svc", "/v1/churn/daily", None, (404, "OK"), r#"HttpPath::"features//v1/churn/daily""#),
        Sent("GET", "features.svc", "/v1/churn/?o=9", None, (404, "OK"), r#"HttpPath::"features//v1/churn""#),
        Sent("GET", "features.svc", "/v1/other", None, (403, "POLICY_NO_PERMIT"), ""),
        Sent("GET", "features.svc", "/v1/churn%2f..%2fother", None, (400, "PATH_AMBIGUOUS"), ""),
        Sent("GET", "features.svc", "/v1/churn%2Fdaily", None, (400, "PATH_AMBIGUOUS"), ""),
        Sent("POST", "features.svc", "/v1/churn", Some(json!({})), (403, "POLICY_NO_PERMIT"), ""),
        // a model server
        Sent(
            "POST",
            "models.svc",
            "/v1/chat/completions",
            Some(json!({"model": "llama", "messages": []})),
            (404, "OK"),
            r#"ModelName::"models/llama""#,
        ),
        Sent("POST", "models.svc", "/v1/chat/completions", Some(json!({"model": "secret"})), (403, "POLICY_NO_PERMIT"), ""),
        Sent("POST", "models.svc", "/v1/chat/completions", Some(json!({"messages": []})), (400, "RESOURCE_MISSING"), ""),
        // a catalog of one's own
        Sent("GET", "orders.svc", "/orders/7", None, (404, "OK"), r#"Order::"orders/7""#),
        Sent("POST", "orders.svc", "/orders/7:cancel", None, (403, "POLICY_NO_PERMIT"), ""),
        Sent("GET", "orders.svc", "/orders/07", None, (400, "RESOURCE_AMBIGUOUS"), ""),
        // the account
        Sent("GET", "accounts.cloud.databricks.com", &networks, None, (404, "OK"), r#"Account::"main""#),
        Sent("GET", "accounts.cloud.databricks.com", other, None, (400, "WORKSPACE_AMBIGUOUS"), ""),
        Sent("GET", "accounts.cloud.databricks.com", "/api/2.2/jobs/list", None, (403, "CALL_UNKNOWN"), ""),
        Sent("GET", STAGE.host, &networks, None, (403, "CALL_UNKNOWN"), ""),
    ];
    let mut wrong = Vec::new();
    for Sent(method, host, path, body, want, resource) in cases {
        let request = Request::new(method, host, path).bearer(&token);
        let answer = send(&world, &body.as_ref().map_or(request.clone(), |body| request.json(body))).await;
        let (status, reason) = outcome(&answer);
        if (status, reason.as_str()) != want {
            wrong.push(format!("{method} {host}{path}: {status} {reason}"));
        } else if reason == "OK" {
            let reached = world.audit.wait_for(PATIENCE, |record| record["resources"] == json!([resource]) && record["decision"] == "allow").await;
            assert!(reached.is_ok(), "{method} {host}{path} was not recorded as a call on {resource}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (_, metrics) = world.admin("/metrics").await.unwrap();
    let line = "lakegate_unknown_calls_total{method=\"GET\",path=\"/api/2.0/accounts/…\"} 1";
    assert!(metrics.contains(line), "{}", metrics.lines().filter(|line| line.contains("unknown")).collect::<Vec<_>>().join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn private_endpoints_come_and_a_broken_catalog_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let extra = folder.path().join("private.yaml");
    fs::write(&extra, "calls: []\n").unwrap();
    let named = extra.display().to_string();
    let permit = r#"@id("all") permit (principal, action, resource in Workspace::"stage");"#;
    let world = world(options().policies(&[("all.cedar", permit)]).configure(move |config| config["catalog"] = json!({ "extra": [named] }))).await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let request = || Request::new("GET", STAGE.host, "/api/2.0/preview/private/things").bearer(&token);
    assert_eq!(outcome(&send(&world, &request()).await), (403, "CALL_UNKNOWN".to_owned()));
    let actions = status_until(&world, |_| true).await["catalog"]["actions"].as_u64().unwrap();
    fs::write(&extra, "calls: [{ action: private.list, level: read, method: GET, path: /api/2.0/preview/private/things }]\n").unwrap();
    until(&world, (404, "OK"), request).await;
    let status = status_until(&world, |_| true).await;
    assert_eq!(status["catalog"]["actions"], actions + 1, "{status}");
    fs::write(&extra, "calls: [{ action: private.list, level: wild, method: GET, path: /x }]\n").unwrap();
    let status = status_until(&world, |status| status["degraded"] == true).await;
    let fault = &status["configuration"]["faults"][0];
    assert!(fault["file"].as_str().unwrap().ends_with("private.yaml") && fault["line"] == 1, "{status}");
    assert_eq!(outcome(&send(&world, &request()).await), (404, "OK".to_owned()));
}

/// A `forbid` on a name holds for the id too, once the inventory says that they are one.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_name_is_no_way_around_a_forbid() {
    let folder = TempDir::new().unwrap();
    let inventory = folder.path().join("entities.json");
    fs::write(&inventory, "[]").unwrap();
    let named = inventory.display().to_string();
    let policies = r#"
@id("all") permit (principal, action, resource in Workspace::"stage");
@id("pii") forbid (principal, action, resource in Schema::"stage/main.pii");
"#;
    let world = world(options().policies(&[("all.cedar", policies)]).configure(move |config| config["policy"]["entities"] = json!(named))).await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let by_id = || {
        let path = "/api/2.0/unity-catalog/temporary-table-credentials";
        Request::new("POST", STAGE.host, path).bearer(&token).json(&json!({"table_id": "0a1b-2c", "operation": "READ"}))
    };
    assert_eq!(outcome(&send(&world, &by_id()).await), (404, "OK".to_owned()));
    fs::write(&inventory, r#"[{ "type": "Table", "id": "stage/0a1b-2c", "same_as": "stage/main.pii.people" }]"#).unwrap();
    let answer = until(&world, (403, "POLICY_FORBIDS"), by_id).await;
    assert!(String::from_utf8_lossy(&answer.body).contains("main.pii.people"), "the denial names the object as policies do");
}

/// A job in Databricks asks a model server in the mesh: through an ingress gateway, so without a mesh identity, with the token that its workspace issued.
/// Such a token can do in Databricks whatever the job can, so it must not reach the server.
#[tokio::test(flavor = "multi_thread")]
async fn databricks_calls_into_the_mesh_with_a_token_of_its_own() {
    const JOB: &str = "5f4c1b9a-2d3e-4f50-8a61-7b8c9d0e1f22";
    let policies = format!(
        r#"@id("scoring") permit (principal == ServicePrincipal::"databricks/{JOB}", action in Action::"use", resource == ModelName::"models/llama")
when {{ context has token && context.token.scopes.contains("model-serving") }};"#
    );
    let configure = |config: &mut Value| {
        config["peers"]["required"] = json!(false);
        config["services"] = json!([{ "name": "models", "hosts": ["models.svc"], "environment": "staging", "catalog": "openai" }]);
        let issuer = &mut config["issuers"][0];
        issuer["name"] = json!("databricks");
        issuer["audiences"] = json!([STAGE.workspace_id]);
        issuer["token_types"] = json!(["at+jwt"]);
        issuer["kind"] = json!("service-principal");
    };
    let world = world(options().policies(&[("inward.cedar", &policies)]).configure(configure)).await;
    let spec = TokenSpec::new().header("typ", "at+jwt").without("groups").without("azp");
    let spec = spec.claim("sub", JOB).claim("client_id", JOB).claim("aud", STAGE.workspace_id).claim("scope", "model-serving offline_access");
    let client = world.client(Listener::Plain, &world.workloads.trainer).unwrap();
    let ask = async |spec: Option<&TokenSpec>, model: &str| {
        let request = Request::new("POST", "models.svc", "/v1/chat/completions").json(&json!({ "model": model, "messages": [] }));
        let request = spec.map_or(request.clone(), |spec| request.bearer(&world.corp.token(spec).unwrap()));
        outcome(&client.send(&request).await.unwrap())
    };
    let other = |name: &str, value: &str| Some(spec.clone().claim(name, value));
    for (token, model, want) in [
        (Some(spec.clone()), "secret", (403, "POLICY_NO_PERMIT")),
        (other("sub", "someone-else"), "llama", (403, "POLICY_NO_PERMIT")),
        (other("scope", "sql"), "llama", (403, "POLICY_NO_PERMIT")),
        (other("aud", "9999999999999999"), "llama", (401, "TOKEN_WRONG_AUDIENCE")),
        (Some(spec.clone().header("typ", "JWT")), "llama", (401, "TOKEN_WRONG_TYPE")),
        (None, "llama", (401, "CREDENTIAL_MISSING")),
    ] {
        let (status, reason) = ask(token.as_ref(), model).await;
        assert_eq!((status, reason.as_str()), want, "{token:?} {model}");
    }
    assert_eq!(world.workspace.count(), 0);

    assert_eq!(ask(Some(&spec), "llama").await, (404, "OK".to_owned()));
    let reached = world.workspace.reached();
    let [arrived] = reached.as_slice() else { panic!("{} calls arrived", reached.len()) };
    assert_eq!(arrived.header("authorization"), None, "the token went on");
    assert_eq!(arrived.header("x-lakegate-subject").as_deref(), Some(format!("databricks/{JOB}").as_str()));
}
