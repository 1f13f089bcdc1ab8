use serde_json::{Value, json};

use super::*;
use crate::raw;

async fn ask(workspace: &Workspace, request: raw::Request) -> (u16, Value) {
    let answer = raw::Client::plain(workspace.port()).send(&request).await.unwrap();
    (answer.status, answer.json())
}

#[tokio::test]
async fn endpoints_answer_in_databricks_shapes() {
    let workspace = Workspace::start().await.unwrap();
    let get = |target: &str| raw::Request::new("GET", "stage", target);
    let post = |target: &str, body: Value| raw::Request::new("POST", "stage", target).json(&body);
    let cases = [
        (get("/.well-known/databricks-config"), 200, "/workspace_id", json!("1111111111111111")),
        (post("/serving-endpoints/churn/invocations", json!({})), 200, "/predictions/0", json!(0.12)),
        (post("/serving-endpoints/chat/completions", json!({"model": "llama"})), 200, "/model", json!("llama")),
        (get("/api/2.0/serving-endpoints"), 200, "/endpoints/0/name", json!("churn")),
        (get("/api/2.0/serving-endpoints/sales"), 200, "/name", json!("sales")),
        (post("/api/2.2/jobs/run-now", json!({"job_id": 42})), 200, "/run_id", json!(4711)),
        (post("/api/2.2/jobs/run-now", json!({})), 400, "/error_code", json!("INVALID_PARAMETER_VALUE")),
        (get("/api/2.2/jobs/list"), 200, "/jobs/0/job_id", json!(42)),
        (get("/api/2.1/clusters/list"), 200, "/clusters/0/state", json!("RUNNING")),
        (post("/api/2.0/sql/statements", json!({"warehouse_id": "w"})), 200, "/status/state", json!("SUCCEEDED")),
        (get("/api/2.0/secrets/get?scope=ml&key=k"), 200, "/key", json!("k")),
        (get("/api/2.0/mlflow/experiments/get?experiment_id=7"), 200, "/experiment/experiment_id", json!("7")),
        (post("/api/2.0/mlflow/runs/create", json!({"experiment_id": "7"})), 200, "/run/info/experiment_id", json!("7")),
        (get("/api/2.1/unity-catalog/models/a.b.c"), 200, "/full_name", json!("a.b.c")),
        (get("/api/2.0/preview/scim/v2/Me"), 200, "/active", json!(true)),
        (get("/api/2.0/nothing"), 404, "/error_code", json!("ENDPOINT_NOT_FOUND")),
    ];
    for (request, status, pointer, value) in cases {
        let target = String::from_utf8_lossy(&request.target).into_owned();
        let (got, body) = ask(&workspace, request).await;
        assert_eq!((got, body.pointer(pointer)), (status, Some(&value)), "{target}: {body}");
    }
}

#[tokio::test]
async fn what_reached_it_is_remembered_byte_for_byte() {
    let workspace = Workspace::start().await.unwrap();
    let request = raw::Request::new("PUT", "Stage:80", "/a%2fb/..%5c?x=%20&x").header("X-A", "1").header("x-a", b"\xff").header("x_a", "3");
    ask(&workspace, raw::Request { body: b"0123456789".to_vec(), chunked: true, ..request }).await;
    let [reached] = workspace.reached().try_into().unwrap();
    assert_eq!((reached.method.as_str(), reached.target.as_str(), &reached.body[..]), ("PUT", "/a%2fb/..%5c?x=%20&x", b"0123456789".as_slice()));
    assert_eq!(reached.header("host").as_deref(), Some("Stage:80"));
    let twice: Vec<_> = reached.headers.iter().filter(|(name, _)| name == "x-a").map(|(_, value)| value.as_slice()).collect();
    assert_eq!(twice, [b"1".as_slice(), b"\xff"]);
    assert_eq!((reached.header("x-a"), reached.header("x_a").as_deref()), (None, Some("3")));
}
