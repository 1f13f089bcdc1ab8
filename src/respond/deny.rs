//! Denials in the shape that Databricks clients read: status, `error_code`, `ErrorInfo`, `RequestInfo`, and the headers of those that read no body.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    Config, Scene,
    headers::{Names, TrustHeader},
    message, text,
};
use crate::{
    model::{Deny, DenyStatus, HeaderEdit, Reason, Refusal, Verdict},
    text::redacted,
};

/// The deny that `refusal` is answered with.
pub(super) fn deny(config: &Config, names: &Names, scene: &Scene<'_, '_>, refusal: &Refusal) -> Verdict {
    let status = status(refusal.reason, visible_since(config, scene, refusal).is_some());
    let told = message::tell(config, scene, refusal);
    let decision = scene.decision.to_string();
    let request_id = redacted(scene.call.and_then(|call| call.headers.request_id).unwrap_or(&decision));
    let body = if is_oauth(scene) {
        oauth(refusal.reason, &told.message)
    } else {
        databricks(refusal.reason, status, &told, &request_id, message::help(config, &decision).as_deref())
    };
    let mut headers = vec![
        header("content-type", "application/json"),
        header("x-databricks-reason-phrase", text::phrase(&told.message)),
        header("x-request-id", text::phrase(&request_id)),
        HeaderEdit { name: names.of(TrustHeader::Decision), value: Bytes::from(decision) },
    ];
    match status {
        DenyStatus::Unavailable => headers.push(header("retry-after", "1")),
        // RFC 9110 section 15.5.2: every 401 names a scheme; RFC 6750 section 3.
        DenyStatus::Unauthorized => {
            headers.extend([header("x-should-retry", "false"), header("www-authenticate", refusal.challenge.unwrap_or("Bearer"))]);
        }
        _ => headers.push(header("x-should-retry", "false")),
    }
    Verdict::Deny(Deny { decision: scene.decision, status, headers, body: body.to_string().into() })
}

/// When the fault behind `refusal` began, in milliseconds since the epoch, where that is long enough ago for it to be shown instead of retried.
pub(super) fn visible_since(config: &Config, scene: &Scene<'_, '_>, refusal: &Refusal) -> Option<i64> {
    refusal.since.filter(|since| scene.now_ms.saturating_sub(*since) > config.faults_visible_after_ms)
}

/// The status of a refusal; `visible` where its fault is old enough to be shown instead of retried.
pub(super) fn status(reason: Reason, visible: bool) -> DenyStatus {
    match reason {
        Reason::RequestMalformed
        | Reason::PathAmbiguous
        | Reason::HostAmbiguous
        | Reason::HeaderAmbiguous
        | Reason::QueryAmbiguous
        | Reason::BodyUnreadable
        | Reason::ResourceMissing
        | Reason::ResourceAmbiguous
        | Reason::WorkspaceAmbiguous => DenyStatus::BadRequest,
        Reason::BodyTooLarge => DenyStatus::ContentTooLarge,
        Reason::PeerMissing
        | Reason::PeerInvalid
        | Reason::CredentialMissing
        | Reason::CredentialUnsupported
        | Reason::TokenMalformed
        | Reason::TokenTooLarge
        | Reason::TokenWrongType
        | Reason::TokenUnknownIssuer
        | Reason::TokenUnknownKey
        | Reason::TokenBadSignature
        | Reason::TokenBadClaims
        | Reason::TokenWrongAudience
        | Reason::TokenExpired
        | Reason::TokenNotYetValid
        | Reason::TokenNotAccepted
        | Reason::ActorNotAllowed
        | Reason::TokenNotForPeer
        | Reason::ProofMissing
        | Reason::ProofInvalid
        | Reason::TokenRevoked
        | Reason::SessionTooOld
        | Reason::SessionIdle
        | Reason::TokenInactive => DenyStatus::Unauthorized,
        // The token is good, and another one of the same caller would be no better: a client must not sign in again for it.
        Reason::GroupsUnknown
        | Reason::HostUnknown
        | Reason::CallUnknown
        | Reason::UpgradeRefused
        | Reason::PolicyNoPermit
        | Reason::PolicyForbids
        | Reason::PolicyError
        | Reason::IdentityUnknown
        | Reason::CredentialRefused
        | Reason::CredentialConflict => DenyStatus::Forbidden,
        Reason::PolicyHides | Reason::DecisionUnknown => DenyStatus::NotFound,
        Reason::KeysUnavailable
        | Reason::IntrospectionUnavailable
        | Reason::CredentialUnavailable
        | Reason::AuditUnavailable
        | Reason::NotReady
        | Reason::Overloaded
        | Reason::DeadlineExceeded
        | Reason::Internal => {
            if visible {
                DenyStatus::Forbidden
            } else {
                DenyStatus::Unavailable
            }
        }
    }
}

/// What a reason means, in one sentence for callers and for docs/reasons.md.
pub(super) fn title(reason: Reason) -> &'static str {
    match reason {
        Reason::RequestMalformed => "the request cannot be read",
        Reason::PathAmbiguous => "the path can be read in more than one way",
        Reason::HostAmbiguous => "the host can be read in more than one way",
        Reason::HeaderAmbiguous => "a header that decides stands twice, or cannot be read",
        Reason::QueryAmbiguous => "the query can be read in more than one way",
        Reason::BodyUnreadable => "the body decides and cannot be read",
        Reason::BodyTooLarge => "the body decides and is too long, or was cut",
        Reason::ResourceMissing => "the request does not name the object it acts on",
        Reason::ResourceAmbiguous => "the request names the object it acts on in two ways, or not in its canonical form",
        Reason::WorkspaceAmbiguous => "host, header and query name different workspaces, or none of several",
        Reason::PeerMissing => "the call came without a mesh identity",
        Reason::PeerInvalid => "the mesh identity is no SPIFFE ID of a trusted domain, or that of a proxy and not of a workload",
        Reason::CredentialMissing => "the call came without any proof of who makes it",
        Reason::CredentialUnsupported => "the credential is of a kind that is not accepted",
        Reason::TokenMalformed => "the token is no well-formed signed token",
        Reason::TokenTooLarge => "the token is too long",
        Reason::TokenWrongType => "the token is of a type that is not accepted as an access token",
        Reason::TokenUnknownIssuer => "the token's issuer is not trusted",
        Reason::TokenUnknownKey => "the token is signed with a key that its issuer does not publish",
        Reason::TokenBadSignature => "the token's signature does not hold",
        Reason::TokenBadClaims => "a claim of the token is missing or of the wrong type",
        Reason::TokenWrongAudience => "the token is meant for another audience",
        Reason::TokenExpired => "the token has expired",
        Reason::TokenNotYetValid => "the token is not valid yet",
        Reason::TokenNotAccepted => "the token lacks a claim that its issuer's tokens must have here, or has it with another value",
        Reason::ActorNotAllowed => "who acts for the token's subject may not act for anybody",
        Reason::TokenNotForPeer => "the token may not be presented by this workload",
        Reason::ProofMissing => "the token is bound to a key or certificate, and the proof of it did not come with the call",
        Reason::ProofInvalid => "the proof of the key or certificate that the token is bound to does not hold",
        Reason::TokenRevoked => "the token, its session or its subject was revoked",
        Reason::SessionTooOld => "the session began longer ago than the issuer's sessions may last",
        Reason::SessionIdle => "the session was not used for longer than the issuer's sessions may rest",
        Reason::GroupsUnknown => "the token does not hold its subject's groups, and nothing else says which they are",
        Reason::TokenInactive => "the issuer says that the token is not active",
        Reason::HostUnknown => "the host belongs to no configured workspace",
        Reason::CallUnknown => "the call is not in the catalog",
        Reason::UpgradeRefused => "the call asks to change the protocol, and nothing allows that",
        Reason::PolicyNoPermit => "no policy permits it",
        Reason::PolicyForbids => "a policy forbids it",
        Reason::PolicyError => "a policy that applies could not be evaluated",
        Reason::PolicyHides => "a policy hides that the object exists",
        Reason::DecisionUnknown => "no refusal of the caller's own is remembered under this id",
        Reason::IdentityUnknown => "it is permitted, and as whom Databricks knows the caller is not known",
        Reason::CredentialRefused => "it is permitted, and Databricks gives no token for this caller",
        Reason::CredentialConflict => "it is permitted, and what its policies say of the credential does not go together, or not with its target",
        Reason::KeysUnavailable => "the issuer's keys cannot be had",
        Reason::IntrospectionUnavailable => "the issuer cannot be asked whether the token is active",
        Reason::CredentialUnavailable => "the upstream credential cannot be had",
        Reason::AuditUnavailable => "the decision cannot be recorded",
        Reason::NotReady => "lakegate is not ready",
        Reason::Overloaded => "lakegate has more checks than it may hold",
        Reason::DeadlineExceeded => "the decision came too late",
        Reason::Internal => "lakegate failed to decide",
    }
}

/// The code as the caller sees it; a hidden object looks like one that is not there.
pub(super) fn shown(reason: Reason) -> &'static str {
    if reason == Reason::PolicyHides { "RESOURCE_DOES_NOT_EXIST" } else { reason.code() }
}

/// Databricks' `error_code`; SDKs map it to their exception before the status, so it must fit the status.
pub(super) fn error_code(status: DenyStatus) -> &'static str {
    match status {
        DenyStatus::BadRequest => "INVALID_PARAMETER_VALUE",
        DenyStatus::Unauthorized => "UNAUTHENTICATED",
        DenyStatus::Forbidden => "PERMISSION_DENIED",
        DenyStatus::NotFound => "RESOURCE_DOES_NOT_EXIST",
        DenyStatus::ContentTooLarge => "PAYLOAD_TOO_LARGE",
        DenyStatus::Unavailable => "TEMPORARILY_UNAVAILABLE",
    }
}

/// No key here may be `error`, `detail`, `status` or `scimType`: the SDKs would take the answer for another shape.
fn databricks(reason: Reason, status: DenyStatus, told: &message::Told, request_id: &str, help: Option<&str>) -> Value {
    let metadata: Map<String, Value> = told.metadata.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str()))).collect();
    let mut details = vec![
        json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": shown(reason), "domain": "lakegate", "metadata": metadata}),
        json!({"@type": "type.googleapis.com/google.rpc.RequestInfo", "request_id": request_id, "serving_data": ""}),
    ];
    if let Some(url) = help {
        details.push(json!({"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": "what this decision means and how to ask", "url": url}]}));
    }
    json!({"error_code": error_code(status), "message": told.message, "details": details})
}

/// The shape of RFC 6749 section 5.2, which the SDKs expect below `/oidc/`: there a Databricks error shows as `unknown: unknown`.
fn oauth(reason: Reason, message: &str) -> Value {
    let code = match status(reason, false) {
        DenyStatus::BadRequest | DenyStatus::ContentTooLarge => "invalid_request",
        DenyStatus::Unauthorized => "invalid_grant",
        DenyStatus::Forbidden | DenyStatus::NotFound => "access_denied",
        DenyStatus::Unavailable => "temporarily_unavailable",
    };
    json!({"error": code, "error_description": message})
}

fn is_oauth(scene: &Scene<'_, '_>) -> bool {
    scene.raw.path().starts_with(b"/oidc/")
}

pub(super) fn header(name: &'static str, value: impl Into<Cow<'static, str>>) -> HeaderEdit {
    let value = match value.into() {
        Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    };
    HeaderEdit { name: Cow::Borrowed(name), value }
}
