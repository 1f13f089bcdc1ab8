use std::{fmt, sync::Arc};

/// The SPIFFE ID of a workload: `spiffe://<trust domain>/<path>` (SPIFFE-ID specification, section 2).
///
/// Stricter than the specification where two readers could differ: the path may not be empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Arc<str>,
    domain_end: usize,
}

/// Why a text is not a [`SpiffeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeError {
    #[error("it is longer than 2048 bytes")]
    TooLong,
    #[error("it does not begin with `spiffe://`")]
    Scheme,
    #[error("its trust domain is not 1 to 255 of `a-z`, `0-9`, `.`, `-` and `_`")]
    TrustDomain,
    #[error("its path is empty, or a segment is empty, `.`, `..` or holds more than letters, digits, `.`, `-` and `_`")]
    Path,
}

const SCHEME: &str = "spiffe://";

// === impl SpiffeId ===

impl SpiffeId {
    /// # Errors
    /// [`SpiffeError`] says which part of `text` is wrong.
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        if text.len() > 2048 {
            return Err(SpiffeError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeError::Scheme)?;
        let (domain, path) = rest.split_once('/').ok_or(SpiffeError::Path)?;
        if !Self::is_trust_domain(domain) {
            return Err(SpiffeError::TrustDomain);
        }
        if !path.split('/').all(Self::is_segment) {
            return Err(SpiffeError::Path);
        }
        Ok(Self { domain_end: SCHEME.len() + domain.len(), text: text.into() })
    }

    /// Whether `text` can be the name of a trust domain, without `spiffe://` before it.
    #[must_use]
    pub fn is_trust_domain(text: &str) -> bool {
        let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        (1..=255).contains(&text.len()) && text.bytes().all(lower)
    }

    /// Whether `text` can be one segment of the path.
    #[must_use]
    pub fn is_segment(text: &str) -> bool {
        !matches!(text, "" | "." | "..") && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    }

    /// The workload of the same path in the trust domain `domain`.
    ///
    /// # Errors
    /// [`SpiffeError`] where `domain` is none, or the whole becomes too long.
    pub fn in_domain(&self, domain: &str) -> Result<Self, SpiffeError> {
        Self::parse(&format!("{SCHEME}{domain}{}", self.text.get(self.domain_end..).unwrap_or_default()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..self.domain_end).unwrap_or_default()
    }

    /// The Kubernetes namespace, where the path is Istio's `ns/<namespace>/sa/<account>`.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let mut parts = self.text.get(self.domain_end..)?.split('/').skip(1);
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("ns"), Some(namespace), Some("sa"), Some(_), None) => Some(namespace),
            _ => None,
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
