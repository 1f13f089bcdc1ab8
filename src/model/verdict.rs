use std::{borrow::Cow, fmt};

use bytes::Bytes;

use super::DecisionId;
use crate::text::redacted;

/// What Envoy is told. `envoy` turns it into a `CheckResponse` in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow(Allow),
    Deny(Deny),
    /// An answer of our own with status 200, which never reaches the workspace (discovery alone).
    Answer(Answer),
}

/// The request goes on, with these changes to its headers.
///
/// Envoy applies `set` (overwriting) before `remove`, so a name in both would be lost: no name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    pub decision: DecisionId,
    pub set: Vec<HeaderEdit>,
    /// Header names exactly as the request spelled them, in lower case.
    pub remove: Vec<Cow<'static, str>>,
}

/// One header to set. Both parts are visible ASCII, the value may hold spaces.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderEdit {
    pub name: Cow<'static, str>,
    pub value: Bytes,
}

/// The request ends here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deny {
    pub decision: DecisionId,
    pub status: DenyStatus,
    pub headers: Vec<HeaderEdit>,
    pub body: Bytes,
}

/// An answer of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub decision: DecisionId,
    pub headers: Vec<HeaderEdit>,
    pub body: Bytes,
}

/// The HTTP statuses of a deny. There is no other: to Envoy a status of 0 in a denied response is an allow, and a 200 a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenyStatus {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    ContentTooLarge,
    Unavailable,
}

// === impl HeaderEdit ===

/// Says nothing of a credential.
impl fmt::Debug for HeaderEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = String::from_utf8_lossy(&self.value);
        let value = if self.name.eq_ignore_ascii_case("authorization") { "…".into() } else { redacted(&value) };
        f.debug_struct("HeaderEdit").field("name", &self.name).field("value", &value).finish()
    }
}

// === impl DenyStatus ===

impl DenyStatus {
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::ContentTooLarge => 413,
            Self::Unavailable => 503,
        }
    }
}
