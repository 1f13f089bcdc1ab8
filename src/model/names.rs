use std::{fmt, sync::Arc};

use crate::text::quoted;

/// A name of an issuer, workspace, account, service or environment: `[a-z0-9-]{1,63}`, so that ids joined with `/` are unambiguous.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// A text that is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a name: 1 to 63 of `a-z`, `0-9` and `-`", quoted(.0))]
pub struct NameError(pub String);

/// The id of one decision, the same in the answer, the audit record, the trace and Envoy's metadata: a `UUIDv7` (RFC 9562).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecisionId(uuid::Uuid);

// === impl Name ===

impl Name {
    /// # Errors
    /// [`NameError`] where `text` is empty, longer than 63 bytes or holds another character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let good = (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if good { Ok(Self(text.into())) } else { Err(NameError(text.to_owned())) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl DecisionId ===

impl DecisionId {
    /// A fresh id, ordered by `unix_ms` (milliseconds since the epoch).
    #[must_use]
    pub fn new(unix_ms: i64) -> Self {
        let seconds = u64::try_from(unix_ms / 1000).unwrap_or_default();
        let nanos = u32::try_from(unix_ms % 1000).unwrap_or_default() * 1_000_000;
        Self(uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
