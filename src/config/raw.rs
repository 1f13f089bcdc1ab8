//! What `lakegate.yaml` says, as it is written: nothing here has been checked beyond its type.
//!
//! Every field is optional, so that a file with faults can still be read as far as it is good and all its faults are found at once;
//! which keys are required is said to the JSON Schema, and the walk over the file holds it. A doc comment is the key's description there.

mod issuers;
mod listen;
mod targets;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::{
    issuers::{Attribute, Binding, Bindings, Introspection, Issuer, OneOrMany, When},
    listen::{Listen, PeerProxy, Peers, Tls},
    targets::{Account, Credentials, PrincipalRule, Service, Trust, TrustWord, Workspace},
};
use super::{
    units::{Size, Span},
    words::{Explain, Fsync, LogFormat, LogLevel, Mode, OnFailure},
};

/// The configuration of lakegate: who may ask, whose tokens count, which hosts are guarded, and by which policies.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "lakegate.yaml")]
pub struct Raw {
    /// The version of this file's form. Always 1.
    #[schemars(required, example = 1, extend("const" = 1))]
    pub version: Option<u64>,
    /// Where lakegate listens, and who may ask it.
    #[schemars(required)]
    pub listen: Option<Listen>,
    /// Which workloads of the mesh are known.
    #[schemars(required)]
    pub peers: Option<Peers>,
    /// Whose tokens count. Without any, callers are workloads alone and a call that brings a token is refused.
    pub issuers: Option<Vec<Issuer>>,
    /// The guarded Databricks workspaces. At least one workspace, account or service is needed.
    pub workspaces: Option<Vec<Workspace>>,
    /// The guarded Databricks account consoles.
    pub accounts: Option<Vec<Account>>,
    /// The guarded services in the mesh that are not Databricks.
    pub services: Option<Vec<Service>>,
    /// A folder that lakegate may write to, in which it keeps what must outlive a restart. Nothing does unless given.
    #[schemars(example = &"state")]
    pub state_dir: Option<PathBuf>,
    /// What is known of the calls of Databricks; as shipped unless given.
    pub catalog: Option<CatalogFiles>,
    /// The policies that decide.
    #[schemars(required)]
    pub policy: Option<Policy>,
    /// The headers that tell the far side who calls.
    pub trust: Option<TrustHeaders>,
    /// Where every decision is recorded.
    pub audit: Option<Audit>,
    /// How much of a denial the caller reads.
    #[schemars(extend("default" = "own"))]
    pub explain_to_caller: Option<Explain>,
    /// Where a refused caller finds help. `{decision}` becomes the id of the decision.
    #[schemars(example = &"https://wiki.example.com/lakegate?decision={decision}")]
    pub help_url: Option<String>,
    /// Traces and logs.
    pub telemetry: Option<Telemetry>,
    /// How much of anything is accepted.
    pub limits: Option<Limits>,
    /// How faults of lakegate's own, or of what it depends on, are answered.
    pub faults: Option<Faults>,
}

/// What is known of the calls of Databricks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogFiles {
    /// A folder with a whole catalog, every `*.yaml` in it and below, in place of the one that is shipped. Watched.
    #[schemars(example = &"catalog")]
    pub dir: Option<PathBuf>,
    /// Files with further calls and types: private endpoints. Watched.
    #[schemars(example = ["private-endpoints.yaml"])]
    pub extra: Option<Vec<PathBuf>>,
}

/// The policies that decide.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The folder of the Cedar policies: every `*.cedar` file below it, hidden files and folders left out. Watched; a good change is served at once.
    #[schemars(required, example = &"policies")]
    pub dir: Option<PathBuf>,
    /// An inventory of resources: tags, owners, extra groups. Watched.
    #[schemars(example = &"entities.json")]
    pub entities: Option<PathBuf>,
    /// A folder that says who is in which group, beside what tokens say or in its place: every `*.yaml` file below it. Watched.
    #[schemars(example = &"groups")]
    pub groups: Option<PathBuf>,
    /// A folder that says who has which role on what: every `*.yaml` file below it. Watched.
    #[schemars(example = &"access")]
    pub access: Option<PathBuf>,
    /// Access that is approved for a time and ends by itself.
    pub grants: Option<Grants>,
    /// A folder of policies that are to be: evaluated beside those of `dir` for every decision, without changing any answer. Records and metrics tell where they
    /// differ. With the same inventory, access and grants. Watched.
    #[schemars(example = &"candidate")]
    pub candidate: Option<PathBuf>,
    /// Whether decisions bind. A workspace or account may say it for itself.
    #[schemars(extend("default" = "enforce"))]
    pub mode: Option<Mode>,
    /// Whose calls are in shadow mode, wherever they go.
    pub shadow: Option<Shadow>,
}

/// Whose calls are in shadow mode, wherever they go but to what has `mode: enforce` of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// Kubernetes namespaces, each behind its trust domain as in `Namespace::"<trust domain>/<namespace>"`. A call is of the namespace that its verified SPIFFE ID
    /// names; without one it is enforced.
    #[schemars(example = ["cluster.local/ml-dev"])]
    pub namespaces: Option<Vec<String>>,
}

/// Access that is approved for a time and ends by itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// The folder of the grants: every `*.yaml` file below it. Watched.
    #[schemars(required, example = &"grants")]
    pub dir: Option<PathBuf>,
    /// From the beginning of a grant to its end, at most; 1m to 366d.
    #[schemars(extend("default" = "7d"))]
    pub longest: Option<Span>,
}

/// The headers that tell the far side who calls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustHeaders {
    /// What the name of every trust header begins with: `x-`, then `a-z`, `0-9` and `-`, ending in `-`. Whatever a caller sends below it is removed.
    #[schemars(extend("default" = "x-lakegate-"))]
    pub prefix: Option<String>,
    /// What lakegate signs of callers: for services in the mesh, and for Databricks' token endpoints.
    pub assertion: Option<Assertion>,
}

/// What lakegate signs of callers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// Files with a private key each, in PEM: EC on P-256 or Ed25519. The first signs, all verify: `/.well-known/jwks.json` on the admin port has them. Watched.
    #[schemars(required, example = ["assertion.pem"])]
    pub keys: Option<Vec<PathBuf>>,
    /// How long an assertion in a trust header may be believed; 10s to 10m.
    #[schemars(extend("default" = "60s"))]
    pub lifetime: Option<Span>,
    /// Its `iss`: the URL below which others reach `/.well-known/openid-configuration`. Without one it is `lakegate`, and keys have to be handed over.
    #[schemars(example = &"https://lakegate.example.com")]
    pub issuer: Option<String>,
}

/// Where every decision is recorded.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// The file that records are appended to, one JSON object a line; `stdout` is standard output.
    #[schemars(extend("default" = "stdout"), example = &"audit.jsonl")]
    pub file: Option<PathBuf>,
    /// What happens to a call whose record cannot be kept.
    #[schemars(extend("default" = "deny"))]
    pub on_failure: Option<OnFailure>,
    /// When records are forced to disk.
    #[schemars(extend("default" = "batch"))]
    pub fsync: Option<Fsync>,
}

/// Traces and logs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// The OpenTelemetry collector that traces are sent to, over gRPC. Without it none are made.
    #[schemars(example = &"http://otel-collector:4317")]
    pub otlp: Option<String>,
    /// The least severe log line that is written.
    #[schemars(extend("default" = "info"))]
    pub log: Option<LogLevel>,
    /// The form of a log line.
    #[schemars(extend("default" = "json"))]
    pub log_format: Option<LogFormat>,
}

/// How much of anything is accepted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The longest body of a call, as Envoy passes it on; 1KiB to 256MiB.
    #[schemars(extend("default" = "16MiB"))]
    pub body: Option<Size>,
    /// All bodies that are being decoded at one time, together; at least `body`, up to 16GiB.
    #[schemars(extend("default" = "64MiB"))]
    pub bodies: Option<Size>,
    /// The longest token; 1KiB to 64KiB.
    #[schemars(extend("default" = "16KiB"))]
    pub token: Option<Size>,
    /// All header names and values of a call, together; at least `token`, up to 1MiB.
    #[schemars(extend("default" = "96KiB"))]
    pub headers: Option<Size>,
    /// Checks in flight on one connection; 1 to 10000.
    #[schemars(extend("default" = 200))]
    pub streams: Option<u64>,
    /// Open connections to the check port; 1 to 65536.
    #[schemars(extend("default" = 1024))]
    pub connections: Option<u64>,
}

/// How faults of lakegate's own, or of what it depends on, are answered.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// After this long a fault is answered with 403 in place of 503, so that SDKs stop retrying and show it; up to 10m.
    #[schemars(extend("default" = "20s"))]
    pub visible_after: Option<Span>,
}
