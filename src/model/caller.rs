use std::{fmt, sync::Arc};

use super::{EntityRef, Field, Name, SpiffeId, TypeName};

/// Who calls: the workload the mesh vouches for, and the person or service whose verified token came with the call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `None` only where the configuration does not require a mesh identity.
    pub peer: Option<SpiffeId>,
    pub token: Option<Arc<Token>>,
}

/// The facts of one verified token. Holds no part of the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub issuer: Name,
    pub kind: PrincipalKind,
    pub subject: String,
    /// Sorted, without duplicates.
    pub groups: Vec<String>,
    /// Whether the token says that the groups are not in it: then none are here, and the inventory must know the subject.
    pub groups_elsewhere: bool,
    /// Sorted, without duplicates.
    pub roles: Vec<String>,
    /// Sorted, without duplicates.
    pub scopes: Vec<String>,
    /// `azp` or `client_id`.
    pub client: Option<String>,
    /// Seconds since the epoch.
    pub expires_at: i64,
    pub issued_at: Option<i64>,
    pub auth_time: Option<i64>,
    pub acr: Option<String>,
    /// `jti`
    pub id: Option<String>,
    /// `sid`
    pub session: Option<String>,
    /// `email`, where the issuer says that it has verified it (`email_verified`).
    pub email: Option<String>,
    /// Subjects of the RFC 8693 `act` chain, outermost (who acts now) first.
    pub actors: Vec<String>,
    /// The claims that policies read as `context.token.claims.<name>`, in order of name; absent ones are left out. Of a list the members are sorted,
    /// without duplicates.
    pub claims: Vec<Field>,
    /// Why the call is made, as the token has it.
    pub purpose: Option<String>,
    /// SHA-256 of all facts above but `id`, `issued_at` and `expires_at`: callers with the same digest have the same rights.
    pub digest: [u8; 32],
}

/// The first 64 bits of the SHA-256 of a whole token. It tells one token from another in records, and neither is a token nor leads back to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenDigest([u8; 8]);

/// Which Cedar type a token's subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    User,
    ServicePrincipal,
}

/// Whom policies judge: the token's subject, or the workload where there is no token.
#[derive(Clone, Debug)]
pub enum Principal<'c> {
    Token(&'c Token),
    Workload(&'c SpiffeId),
}

// === impl Caller ===

impl Caller {
    /// `None` where there is neither a token nor a mesh identity: nobody to judge.
    #[must_use]
    pub fn principal(&self) -> Option<Principal<'_>> {
        match (&self.token, &self.peer) {
            (Some(token), _) => Some(Principal::Token(token)),
            (None, Some(peer)) => Some(Principal::Workload(peer)),
            (None, None) => None,
        }
    }
}

// === impl TokenDigest ===

impl TokenDigest {
    #[must_use]
    pub fn of(sha256: &[u8; 32]) -> Self {
        Self(sha256.first_chunk().copied().unwrap_or_default())
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl serde::Serialize for TokenDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl PrincipalKind ===

impl PrincipalKind {
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ServicePrincipal => "ServicePrincipal",
        }
    }
}

// === impl Principal ===

impl Principal<'_> {
    /// `User::"corp/alice"`, `ServicePrincipal::"corp/ci"` or `Workload::"spiffe://…"`.
    #[must_use]
    pub fn entity(&self) -> EntityRef {
        match self {
            Self::Token(token) => EntityRef::new(&TypeName::new(token.kind.type_name()), &format!("{}/{}", token.issuer, token.subject)),
            Self::Workload(peer) => EntityRef::new(&TypeName::new("Workload"), peer.as_str()),
        }
    }
}
