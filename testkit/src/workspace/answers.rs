use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::Reached;

pub(super) const ORG_ID: &str = "1111111111111111";

/// What the workspace says to a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

// === impl Answer ===

impl Answer {
    pub(super) fn to(request: &Reached) -> Self {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", _) if request.header("upgrade").is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) => {
                Self { status: StatusCode::SWITCHING_PROTOCOLS, body: Value::Null }
            }
            ("GET", [".well-known", "databricks-config"]) => Self::ok(json!({
                "oidc_endpoint": "https://stage.cloud.databricks.com/oidc", "account_id": "6f2e9c1a-0000-4000-8000-000000000001", "workspace_id": ORG_ID, "cloud": "AWS",
            })),
            ("POST", ["serving-endpoints", name, "invocations"]) => Self::predictions(name),
            ("POST", ["serving-endpoints", "chat", "completions"]) => Self::completion(&body),
            ("GET", ["api", "2.0", "serving-endpoints"]) => Self::ok(json!({ "endpoints": [endpoint("churn"), endpoint("sales")] })),
            ("GET", ["api", "2.0", "serving-endpoints", name]) | ("PUT", ["api", "2.0", "serving-endpoints", name, "config"]) => {
                Self::ok(endpoint(name))
            }
            ("DELETE", ["api", "2.0", "serving-endpoints", _]) | ("POST", ["api", "2.0", "secrets", "put"]) => Self::ok(json!({})),
            ("POST", ["api", version, "jobs", "run-now"]) if version.starts_with("2.") => Self::run(&body),
            ("GET", ["api", version, "jobs", "list"]) if version.starts_with("2.") => {
                Self::ok(json!({ "jobs": [{ "job_id": 42, "settings": { "name": "train churn" } }], "has_more": false }))
            }
            ("GET", ["api", version, "clusters", "list"]) if version.starts_with("2.") => {
                Self::ok(json!({ "clusters": [{ "cluster_id": "0123-456789-abcdefgh", "cluster_name": "shared", "state": "RUNNING" }] }))
            }
            ("POST", ["api", "2.0", "sql", "statements"]) => Self::ok(
                json!({ "statement_id": "01ef-0000", "status": { "state": "SUCCEEDED" }, "result": { "row_count": 1, "data_array": [["1"]] } }),
            ),
            ("GET", ["api", "2.0", "secrets", "get"]) => {
                Self::ok(json!({ "key": field(query, "key"), "value": STANDARD.encode("a stand-in secret") }))
            }
            ("GET", ["api", "2.0", "mlflow", "experiments", "get"]) => Self::ok(
                json!({ "experiment": { "experiment_id": field(query, "experiment_id"), "name": "/Shared/churn", "lifecycle_stage": "active" } }),
            ),
            ("POST", ["api", "2.0", "mlflow", "runs", "create"]) => {
                Self::ok(json!({ "run": { "info": { "run_id": "4f1c0de0", "experiment_id": body.get("experiment_id"), "status": "RUNNING" } } }))
            }
            ("GET", ["api", "2.1", "unity-catalog", "models", name]) => Self::ok(json!({ "full_name": name, "owner": "ml-engineers" })),
            ("POST", ["api", "2.0", "dbfs", "create"]) => Self::ok(json!({ "handle": 4711 })),
            ("GET", ["api", "2.0", "preview", "scim", "v2", "Me"]) => {
                Self::ok(json!({ "id": "4242", "userName": "alice@example.com", "active": true }))
            }
            _ => Self::not_found(&request.method, path),
        }
    }

    /// The same, but an empty object where nothing is known.
    pub(super) fn agreeing(request: &Reached) -> Self {
        let answer = Self::to(request);
        if answer.status == StatusCode::NOT_FOUND { Self::ok(json!({})) } else { answer }
    }

    fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body }
    }

    fn predictions(name: &str) -> Self {
        Self::ok(json!({ "predictions": [0.12], "served-model-name": format!("{name}-1") }))
    }

    fn completion(body: &Value) -> Self {
        Self::ok(json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": body.get("model"),
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hello" }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 },
        }))
    }

    fn run(body: &Value) -> Self {
        if body.get("job_id").is_none() {
            return Self::error(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", "job_id is required");
        }
        Self::ok(json!({ "run_id": 4711, "number_in_job": 4711 }))
    }

    fn not_found(method: &str, path: &str) -> Self {
        Self::error(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", &format!("No API found for '{method} {path}'"))
    }

    fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let request = json!({ "@type": "type.googleapis.com/google.rpc.RequestInfo", "request_id": "stand-in", "serving_data": "" });
        Self { status, body: json!({ "error_code": code, "message": message, "details": [request] }) }
    }
}

fn endpoint(name: &str) -> Value {
    json!({ "name": name, "id": "0a1b2c3d", "creator": "alice@example.com", "state": { "ready": "READY", "config_update": "NOT_UPDATING" } })
}

fn field<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}
