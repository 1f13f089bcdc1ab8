use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::{
    units::Span,
    words::{CredentialMode, Identity, Mode, PersonalTokens, Subject, TrustHeader},
};

/// A guarded Databricks workspace.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// The name in policies and records: `Workspace::"<name>"`. 1 to 63 of `a-z`, `0-9` and `-`.
    #[schemars(required, example = &"prod")]
    pub name: Option<String>,
    /// Its hosts: lower case, without port. Several workspaces may share one if each says its `workspace_id`; then a request must name which it means.
    #[schemars(required, example = ["dbc-1a2b3c4d-5e6f.cloud.databricks.com"])]
    pub hosts: Option<Vec<String>>,
    /// Its Databricks workspace id: a plain decimal number, in quotes.
    #[schemars(example = &"1234567890123456")]
    pub workspace_id: Option<String>,
    /// The Databricks account it belongs to: a UUID.
    #[schemars(example = &"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")]
    pub account_id: Option<String>,
    /// Its environment in policies: `Environment::"<environment>"`.
    #[schemars(required, example = &"prod")]
    pub environment: Option<String>,
    /// With which credential an allowed call goes on.
    pub credentials: Option<Credentials>,
    /// Whether decisions about it bind; `policy.mode` unless given.
    #[schemars(example = &"shadow")]
    pub mode: Option<Mode>,
    /// Which trust headers may leave the mesh with a call to it.
    #[schemars(extend("default" = "all"), example = ["subject", "peer"])]
    pub trust: Option<Trust>,
}

/// A guarded Databricks account console.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The name in policies and records: `Account::"<name>"`. 1 to 63 of `a-z`, `0-9` and `-`.
    #[schemars(required, example = &"main")]
    pub name: Option<String>,
    /// Its hosts: lower case, without port.
    #[schemars(required, example = ["accounts.cloud.databricks.com"])]
    pub hosts: Option<Vec<String>>,
    /// Its Databricks account id: a UUID.
    #[schemars(required, example = &"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")]
    pub account_id: Option<String>,
    /// With which credential an allowed call goes on.
    pub credentials: Option<Credentials>,
    /// Whether decisions about it bind; `policy.mode` unless given.
    #[schemars(example = &"shadow")]
    pub mode: Option<Mode>,
    /// Which trust headers may leave the mesh with a call to it.
    #[schemars(extend("default" = "all"), example = ["subject", "peer"])]
    pub trust: Option<Trust>,
}

/// A guarded service in the mesh that is not Databricks: an `MLflow` of one's own, a model server, a feature or data API.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The name in policies and records: `Service::"<name>"`. 1 to 63 of `a-z`, `0-9` and `-`.
    #[schemars(required, example = &"mlflow")]
    pub name: Option<String>,
    /// Its hosts: lower case, without port.
    #[schemars(required, example = ["mlflow.ml.svc.cluster.local"])]
    pub hosts: Option<Vec<String>>,
    /// Its environment in policies: `Environment::"<environment>"`.
    #[schemars(required, example = &"dev")]
    pub environment: Option<String>,
    /// What its calls are: `mlflow`, `openai`, `generic` (a level for each HTTP method), or a catalog file of one's own, ending in `.yaml`.
    #[schemars(required, example = &"mlflow")]
    pub catalog: Option<String>,
    /// With which credential an allowed call goes on.
    pub credentials: Option<Credentials>,
    /// Whether decisions about it bind; `policy.mode` unless given.
    #[schemars(example = &"shadow")]
    pub mode: Option<Mode>,
    /// Which trust headers travel with a call to it.
    #[schemars(extend("default" = "all"), example = ["subject", "peer"])]
    pub trust: Option<Trust>,
}

/// With which credential an allowed call goes on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// How the credential is had.
    #[schemars(extend("default" = "strip"))]
    pub mode: Option<CredentialMode>,
    /// What becomes of personal access tokens (`dapi…`) of a workspace with `mode: passthrough`.
    #[schemars(extend("default" = "refuse"))]
    pub personal_access_tokens: Option<PersonalTokens>,
    /// Where Databricks gives out tokens; unless given, `https://<first host>/oidc/v1/token`, and of an account `…/oidc/accounts/<account id>/v1/token`.
    #[schemars(example = &"https://dbc-1a2b3c4d-5e6f.cloud.databricks.com/oidc/v1/token")]
    pub token_endpoint: Option<String>,
    /// What is exchanged, with `mode: exchange`.
    #[schemars(extend("default" = "assertion"))]
    pub subject: Option<Subject>,
    /// As whom Databricks knows the caller, with `subject: assertion`.
    #[schemars(extend("default" = "subject"))]
    pub identity: Option<Identity>,
    /// The `aud` of what is exchanged; the account id where the target says it, else the token endpoint.
    #[schemars(example = &"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")]
    pub audience: Option<String>,
    /// The scopes to ask for: `narrowest` for those that the catalog says a call needs, or the same for every call, with one space between each, as `all-apis`.
    #[schemars(extend("default" = "narrowest"), example = &"all-apis")]
    pub scope: Option<String>,
    /// How long one token is used at most; 1m to 24h. Never longer than the caller's own is good, or the call is permitted.
    #[schemars(extend("default" = "1h"))]
    pub window: Option<Span>,
    /// The issuers whose callers get a token, by name; all unless given.
    #[schemars(example = ["corp"])]
    pub issuers: Option<Vec<String>>,
    /// Of which one must be the `aud` of a token that Databricks gives out as a JWT; the target's ids and hosts unless given.
    #[schemars(example = ["1234567890123456"])]
    pub token_audiences: Option<Vec<String>>,
    /// Which service principal a caller has, with `mode: service-principal`: the first whose `role` and `peer` are the caller's.
    pub principals: Option<Vec<PrincipalRule>>,
    /// The application id of the service principal, with `mode: client-credentials`.
    #[schemars(example = &"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")]
    pub client_id: Option<String>,
    /// The file with its secret, one line. Watched.
    #[schemars(example = &"databricks.secret")]
    pub secret_file: Option<PathBuf>,
    /// The environment variable with its secret.
    #[schemars(example = &"DATABRICKS_CLIENT_SECRET")]
    pub secret_env: Option<String>,
}

/// A service principal, and who has it. Without `role` and `peer`, everyone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrincipalRule {
    /// Its application id: a UUID.
    #[schemars(required, example = &"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")]
    pub client_id: Option<String>,
    /// A role that the caller must have, as policies name it: `<issuer>/<role>`.
    #[schemars(example = &"corp/trainers")]
    pub role: Option<String>,
    /// A pattern that the calling workload must match; `*` stands for one segment of the path.
    #[schemars(example = &"spiffe://cluster.local/ns/ml-staging/sa/*")]
    pub peer: Option<String>,
}

/// Which trust headers may leave the mesh: a word, or a list of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Trust {
    Word(TrustWord),
    Only(Vec<TrustHeader>),
}

/// All trust headers, or none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum TrustWord {
    All,
    None,
}
