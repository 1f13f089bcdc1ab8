use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::facts::Facts;
use crate::model::TokenDigest;

/// One audit record: normative for `proto/lakegate/v1/decision.proto`, and for every command that speaks of decisions.
///
/// Field names are lakegate's own vocabulary first, then those of Databricks' `system.access.audit`, so that the two can be joined.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry {
    /// Of this format.
    pub version: &'static str,
    /// The decision id.
    pub event_id: String,
    /// RFC 3339, UTC, milliseconds.
    pub event_time: String,
    pub decision: Decision,
    /// A code of docs/reasons.md; `ALLOWED` where nothing refused.
    pub reason: &'static str,
    /// The sentence that the caller may read, and behind it what operators alone may.
    pub detail: String,
    /// The last stage the call reached.
    pub stage: &'static str,
    /// `enforce` or `shadow`; in shadow the decision did not touch the call.
    pub mode: &'static str,
    /// `User::"corp/alice"`, as policies name it.
    pub principal: Option<String>,
    /// The workload's SPIFFE ID.
    pub peer: Option<String>,
    /// As its certificate names it, where its trust domain counts as another.
    pub peer_presented: Option<String>,
    /// Who acts now for the principal; earlier actors follow.
    pub actor: Vec<String>,
    /// Why it is made, as the token has it.
    pub purpose: Option<String>,
    /// `serving_endpoints.query`
    pub action: Option<String>,
    pub level: Option<&'static str>,
    /// `ServingEndpoint::"stage/sales"`, …
    pub resources: Vec<String>,
    /// The name of the workspace, account or service.
    pub workspace: Option<String>,
    /// The policies that decided, sorted.
    pub policies: Vec<String>,
    /// There where policies permit the call: with which credential it went on, or would have.
    pub credential: Option<Credential>,
    /// Of the configuration and policies that decided.
    pub generation: u64,
    pub duration_us: u64,
    pub trace_id: Option<String>,
    pub account_id: Option<String>,
    pub workspace_id: Option<String>,
    pub source_ip_address: Option<String>,
    pub user_agent: Option<String>,
    pub session_id: Option<String>,
    pub request_id: Option<String>,
    pub user_identity: Option<Identity>,
    /// There where nobody was admitted, and the token that came is known all the same.
    pub refused_token: Option<RefusedToken>,
    /// `personal-access-token` where one came that Databricks alone can tell whose it is; `principal` is the workload that brought it.
    pub presented: Option<&'static str>,
    /// The action's service: `serving_endpoints`.
    pub service_name: Option<String>,
    /// The action's method: `query`.
    pub action_name: Option<String>,
    /// `method`, `host`, `path` (without its query), and the body fields that policies may read.
    pub request_params: Vec<Param>,
    pub response: Response,
    /// `WORKSPACE_LEVEL` or `ACCOUNT_LEVEL`.
    pub audit_level: Option<&'static str>,
    /// There where policies were asked.
    pub facts: Option<Facts>,
    /// There where the candidate policies say something else than those that decided.
    pub candidate: Option<Candidate>,
}

/// With which credential a call goes on. Nothing of it is good for a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// `passthrough`, `strip`, `exchange`, `service-principal` or `client-credentials`.
    pub mode: &'static str,
    /// As whom, where a token is minted: the user name or application id that Databricks is told, and with `subject: caller` the subject of the caller's token.
    #[serde(serialize_with = "shared")]
    pub principal: Option<Arc<str>>,
    /// What is asked for, where a token is minted; scopes with one space between each.
    #[serde(serialize_with = "shared")]
    pub scope: Option<Arc<str>>,
    /// When the minted token is used no more, in seconds since the epoch; `None` where none was had.
    pub expires_at: Option<i64>,
}

/// What the candidate policies would have decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    pub decision: Decision,
    pub reason: &'static str,
    pub detail: String,
    /// The candidate policies that would have decided, sorted.
    pub policies: Vec<String>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Allow,
    Deny,
    /// lakegate answered itself.
    Answer,
    /// The call ended before a decision did.
    #[default]
    Aborted,
}

/// Whom the token spoke of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    pub issuer: String,
    pub subject_name: String,
    /// `jti`, or what the issuer has in its place.
    pub token_id: Option<String>,
    pub token_digest: Option<TokenDigest>,
    pub client: Option<String>,
}

/// Whose a token is that was verified, by its signature or by its issuer's answer, and refused for what came after: a thief's, or one that was revoked.
/// It names nobody who was let in. A token that could not be verified has none, since it may say anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusedToken {
    /// The name of the issuer in the configuration.
    pub issuer: String,
    pub subject_name: Option<String>,
    pub token_id: Option<String>,
    pub token_digest: Option<TokenDigest>,
    pub client: Option<String>,
    pub session_id: Option<String>,
    /// Who acts now first.
    pub actor: Vec<String>,
    pub purpose: Option<String>,
    /// Seconds since the epoch.
    pub expires_at: Option<i64>,
    /// The revocation that refused it: `lakegate revoke --lift` takes it.
    pub revocation_id: Option<String>,
}

/// One name and value of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Param {
    pub name: String,
    pub value: String,
}

/// What the caller got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Response {
    /// The HTTP status of our answer; 0 where the call went on to the workspace.
    pub status_code: u16,
    pub error_message: Option<String>,
}

// === impl Decision ===

impl Decision {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Answer => "answer",
            Self::Aborted => "aborted",
        }
    }
}

#[expect(clippy::ref_option, reason = "serde hands fields over so")]
fn shared<S: Serializer>(text: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(serializer)
}
