use std::borrow::Cow;

/// Why a call was refused: the closed vocabulary of answers, records, metrics and docs/reasons.md.
///
/// Codes are stable; a code is added, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    // the request can be read in two ways, or not at all
    RequestMalformed,
    PathAmbiguous,
    HostAmbiguous,
    HeaderAmbiguous,
    QueryAmbiguous,
    BodyUnreadable,
    BodyTooLarge,
    ResourceMissing,
    ResourceAmbiguous,
    WorkspaceAmbiguous,
    // no, or no good, proof of who calls
    PeerMissing,
    PeerInvalid,
    CredentialMissing,
    CredentialUnsupported,
    TokenMalformed,
    TokenTooLarge,
    TokenWrongType,
    TokenUnknownIssuer,
    TokenUnknownKey,
    TokenBadSignature,
    TokenBadClaims,
    TokenWrongAudience,
    TokenExpired,
    TokenNotYetValid,
    TokenNotAccepted,
    ActorNotAllowed,
    TokenNotForPeer,
    ProofMissing,
    ProofInvalid,
    TokenRevoked,
    SessionTooOld,
    SessionIdle,
    TokenInactive,
    // what the call would do is not known, or not allowed
    GroupsUnknown,
    HostUnknown,
    CallUnknown,
    UpgradeRefused,
    PolicyNoPermit,
    PolicyForbids,
    PolicyError,
    PolicyHides,
    DecisionUnknown,
    // permitted, and no credential goes with it
    IdentityUnknown,
    CredentialRefused,
    CredentialConflict,
    // a fault of ours or of an upstream
    KeysUnavailable,
    IntrospectionUnavailable,
    CredentialUnavailable,
    AuditUnavailable,
    NotReady,
    Overloaded,
    DeadlineExceeded,
    Internal,
}

/// A stage's no: the reason, and what a person needs to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// One sentence for the caller, lower case, no full stop. Never holds a token, a secret or an unescaped byte of the request.
    pub detail: Cow<'static, str>,
    /// More of it, for whoever runs lakegate: callers read it only where `explain_to_caller` is `full`. As clean as `detail`.
    pub aside: Option<Box<str>>,
    /// The ids of the policies that decided, sorted; empty where none did.
    pub policies: Vec<String>,
    /// When the fault behind it began, in milliseconds since the epoch; `None` for a decision, and for a fault just met.
    pub since: Option<i64>,
    /// The schemes that would do, as `WWW-Authenticate` names them to an unauthorized caller; `None` for `Bearer` alone.
    pub challenge: Option<&'static str>,
}

// === impl Reason ===

impl Reason {
    pub const ALL: [Self; 53] = [
        Self::RequestMalformed,
        Self::PathAmbiguous,
        Self::HostAmbiguous,
        Self::HeaderAmbiguous,
        Self::QueryAmbiguous,
        Self::BodyUnreadable,
        Self::BodyTooLarge,
        Self::ResourceMissing,
        Self::ResourceAmbiguous,
        Self::WorkspaceAmbiguous,
        Self::PeerMissing,
        Self::PeerInvalid,
        Self::CredentialMissing,
        Self::CredentialUnsupported,
        Self::TokenMalformed,
        Self::TokenTooLarge,
        Self::TokenWrongType,
        Self::TokenUnknownIssuer,
        Self::TokenUnknownKey,
        Self::TokenBadSignature,
        Self::TokenBadClaims,
        Self::TokenWrongAudience,
        Self::TokenExpired,
        Self::TokenNotYetValid,
        Self::TokenNotAccepted,
        Self::ActorNotAllowed,
        Self::TokenNotForPeer,
        Self::ProofMissing,
        Self::ProofInvalid,
        Self::TokenRevoked,
        Self::SessionTooOld,
        Self::SessionIdle,
        Self::TokenInactive,
        Self::GroupsUnknown,
        Self::HostUnknown,
        Self::CallUnknown,
        Self::UpgradeRefused,
        Self::PolicyNoPermit,
        Self::PolicyForbids,
        Self::PolicyError,
        Self::PolicyHides,
        Self::DecisionUnknown,
        Self::IdentityUnknown,
        Self::CredentialRefused,
        Self::CredentialConflict,
        Self::KeysUnavailable,
        Self::IntrospectionUnavailable,
        Self::CredentialUnavailable,
        Self::AuditUnavailable,
        Self::NotReady,
        Self::Overloaded,
        Self::DeadlineExceeded,
        Self::Internal,
    ];

    /// The code that answers, records and metrics carry.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::RequestMalformed => "REQUEST_MALFORMED",
            Self::PathAmbiguous => "PATH_AMBIGUOUS",
            Self::HostAmbiguous => "HOST_AMBIGUOUS",
            Self::HeaderAmbiguous => "HEADER_AMBIGUOUS",
            Self::QueryAmbiguous => "QUERY_AMBIGUOUS",
            Self::BodyUnreadable => "BODY_UNREADABLE",
            Self::BodyTooLarge => "BODY_TOO_LARGE",
            Self::ResourceMissing => "RESOURCE_MISSING",
            Self::ResourceAmbiguous => "RESOURCE_AMBIGUOUS",
            Self::WorkspaceAmbiguous => "WORKSPACE_AMBIGUOUS",
            Self::PeerMissing => "PEER_MISSING",
            Self::PeerInvalid => "PEER_INVALID",
            Self::CredentialMissing => "CREDENTIAL_MISSING",
            Self::CredentialUnsupported => "CREDENTIAL_UNSUPPORTED",
            Self::TokenMalformed => "TOKEN_MALFORMED",
            Self::TokenTooLarge => "TOKEN_TOO_LARGE",
            Self::TokenWrongType => "TOKEN_WRONG_TYPE",
            Self::TokenUnknownIssuer => "TOKEN_UNKNOWN_ISSUER",
            Self::TokenUnknownKey => "TOKEN_UNKNOWN_KEY",
            Self::TokenBadSignature => "TOKEN_BAD_SIGNATURE",
            Self::TokenBadClaims => "TOKEN_BAD_CLAIMS",
            Self::TokenWrongAudience => "TOKEN_WRONG_AUDIENCE",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::TokenNotYetValid => "TOKEN_NOT_YET_VALID",
            Self::TokenNotAccepted => "TOKEN_NOT_ACCEPTED",
            Self::ActorNotAllowed => "ACTOR_NOT_ALLOWED",
            Self::TokenNotForPeer => "TOKEN_NOT_FOR_PEER",
            Self::ProofMissing => "PROOF_MISSING",
            Self::ProofInvalid => "PROOF_INVALID",
            Self::TokenRevoked => "TOKEN_REVOKED",
            Self::SessionTooOld => "SESSION_TOO_OLD",
            Self::SessionIdle => "SESSION_IDLE",
            Self::TokenInactive => "TOKEN_INACTIVE",
            Self::GroupsUnknown => "GROUPS_UNKNOWN",
            Self::HostUnknown => "HOST_UNKNOWN",
            Self::CallUnknown => "CALL_UNKNOWN",
            Self::UpgradeRefused => "UPGRADE_REFUSED",
            Self::PolicyNoPermit => "POLICY_NO_PERMIT",
            Self::PolicyForbids => "POLICY_FORBIDS",
            Self::PolicyError => "POLICY_ERROR",
            Self::PolicyHides => "POLICY_HIDES",
            Self::DecisionUnknown => "DECISION_UNKNOWN",
            Self::KeysUnavailable => "KEYS_UNAVAILABLE",
            Self::IntrospectionUnavailable => "INTROSPECTION_UNAVAILABLE",
            Self::IdentityUnknown => "IDENTITY_UNKNOWN",
            Self::CredentialRefused => "CREDENTIAL_REFUSED",
            Self::CredentialConflict => "CREDENTIAL_CONFLICT",
            Self::CredentialUnavailable => "CREDENTIAL_UNAVAILABLE",
            Self::AuditUnavailable => "AUDIT_UNAVAILABLE",
            Self::NotReady => "NOT_READY",
            Self::Overloaded => "OVERLOADED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Internal => "INTERNAL",
        }
    }

    /// Whether it is a fault, of ours or of an upstream, that time may cure, and no decision about this caller.
    #[must_use]
    pub fn is_fault(self) -> bool {
        matches!(
            self,
            Self::KeysUnavailable
                | Self::IntrospectionUnavailable
                | Self::CredentialUnavailable
                | Self::AuditUnavailable
                | Self::NotReady
                | Self::Overloaded
                | Self::DeadlineExceeded
                | Self::Internal
        )
    }
}

// === impl Refusal ===

impl Refusal {
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), aside: None, policies: Vec::new(), since: None, challenge: None }
    }

    #[must_use]
    pub fn with_aside(self, aside: String) -> Self {
        Self { aside: Some(aside.into()), ..self }
    }

    /// All there is to say.
    #[must_use]
    pub fn whole(&self) -> Cow<'_, str> {
        match &self.aside {
            None => Cow::Borrowed(&self.detail),
            Some(aside) => Cow::Owned(format!("{}; {aside}", self.detail)),
        }
    }
}
