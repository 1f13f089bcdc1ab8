use std::{fmt, net::IpAddr};

use reqwest::Url;

use super::dial;

/// A URL that may be asked: `https`, or `http` on loopback; without user information and fragment, and no address that [`Client`](super::Client)
/// would refuse to dial.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    url: Url,
    loopback: bool,
}

/// Why a text is not an [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("it is longer than {MAX_LENGTH} bytes")]
    TooLong,
    #[error("it is not a URL with a scheme and a host")]
    NotAUrl,
    #[error("it holds a space, a backslash or a byte that is not visible ASCII")]
    Characters,
    #[error("its scheme is not `https`; plain `http` is accepted on loopback alone")]
    Scheme,
    #[error("it holds a user name or a password")]
    UserInfo,
    #[error("it holds a fragment")]
    Fragment,
    #[error("its address is link-local, unspecified, multicast or a cloud's metadata service")]
    Address,
}

const MAX_LENGTH: usize = 2048;

// === impl Endpoint ===

impl Endpoint {
    /// # Errors
    /// [`EndpointError`] says which rule `text` breaks.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        Self::read(text, false)
    }

    /// The same, but `http` is good for any host: of a caller inside a mesh, whose sidecar takes plain text and speaks mutual TLS.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn in_mesh(text: &str) -> Result<Self, EndpointError> {
        Self::read(text, true)
    }

    fn read(text: &str, in_mesh: bool) -> Result<Self, EndpointError> {
        if text.len() > MAX_LENGTH {
            return Err(EndpointError::TooLong);
        }
        // A URL parser repairs these without a word, so that two readers would see two URLs.
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err(EndpointError::Characters);
        }
        let url = Url::parse(text).map_err(|_| EndpointError::NotAUrl)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(EndpointError::NotAUrl)?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let loopback = address.map_or_else(|| dial::is_loopback_name(host), dial::is_loopback);
        match url.scheme() {
            "https" => {}
            "http" if loopback || in_mesh => {}
            _ => return Err(EndpointError::Scheme),
        }
        // `https://@host` has an empty user, which the parser drops.
        if !url.username().is_empty() || url.password().is_some() || url.authority().contains('@') || authority(text).contains('@') {
            return Err(EndpointError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        if address.is_some_and(dial::is_forbidden) {
            return Err(EndpointError::Address);
        }
        Ok(Self { url, loopback })
    }

    /// Whether its host is the machine itself, by address or by the name `localhost` (RFC 6761, section 6.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }
}

/// What stands between `//` and the path, as it was written.
fn authority(text: &str) -> &str {
    text.split_once("//").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.url)
    }
}
