use serde_json::{Value, json};

use crate::authority::spiffe_id;
use crate::issuer::Issuer;

/// What the configuration says of a workspace; the stand-in answers for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkspaceFacts {
    pub name: &'static str,
    pub host: &'static str,
    pub workspace_id: &'static str,
    pub environment: &'static str,
    /// The credential mode: what becomes of the caller's token.
    pub credentials: &'static str,
}

/// The workspace that most tests call; the caller's token passes through.
pub const STAGE: WorkspaceFacts = WorkspaceFacts {
    name: "stage",
    host: "stage.cloud.databricks.com",
    workspace_id: "1111111111111111",
    environment: "staging",
    credentials: "passthrough",
};

pub const WORKSPACES: [WorkspaceFacts; 3] = [
    STAGE,
    WorkspaceFacts { name: "prod", host: "prod.cloud.databricks.com", workspace_id: "2222222222222222", environment: "prod", credentials: "strip" },
    WorkspaceFacts { name: "dev", host: "dev.cloud.databricks.com", workspace_id: "3333333333333333", environment: "dev", credentials: "strip" },
];

/// The configuration of a world in which nothing is special.
pub(super) fn default(check: u16, admin: u16, issuers: &[&Issuer]) -> Value {
    let issuers: Vec<Value> = issuers
        .iter()
        .map(|issuer| {
            json!({ "name": issuer.name(), "issuer": issuer.url(), "provider": "generic", "audiences": ["lakegate"], "bindings": "none", "actors": ["agent-7"] })
        })
        .collect();
    let workspace = |facts: WorkspaceFacts| {
        json!({
            "name": facts.name, "hosts": [facts.host], "workspace_id": facts.workspace_id, "environment": facts.environment,
            "credentials": { "mode": facts.credentials },
        })
    };
    json!({
        "version": 1,
        "listen": { "check": format!("127.0.0.1:{check}"), "admin": format!("127.0.0.1:{admin}") },
        "peers": { "trust_domains": ["cluster.local"], "source": "principal", "required": true },
        "issuers": issuers,
        "workspaces": WORKSPACES.map(workspace),
        "policy": { "dir": "policies" },
        "trust": { "prefix": "x-lakegate-" },
        "audit": { "file": "audit.jsonl" },
    })
}

/// mTLS on the check port, for the gateway alone.
pub(super) fn check_tls() -> Value {
    json!({
        "cert": "certificates/lakegate.crt", "key": "certificates/lakegate.key", "client_ca": "certificates/ca.crt",
        "allow": [spiffe_id("istio-egress", "egress")],
    })
}
