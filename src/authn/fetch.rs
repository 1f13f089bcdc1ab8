//! One fetch of a key set: discovery where the configuration names no address, then the set itself.

use bytes::Bytes;

use super::{
    KeySource,
    keys::{KeySet, KeySetError},
    shown,
};
use crate::{
    json::{self, Keep, Named, Value},
    net::{Client, Endpoint, EndpointError, NetError},
};

/// Where the keys of an issuer come from, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// The address of the issuer's discovery document.
    Discovery(Endpoint),
    Uri(Endpoint),
    /// Read once, when the stage was made.
    File(KeySet),
}

/// What a fetch brought: good keys, and the text they were read from.
#[derive(Debug)]
pub(super) struct Fetched {
    pub keys: KeySet,
    pub text: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the discovery document cannot be had: {0}")]
    Discovery(NetError),
    #[error("the discovery document is not what it should be: {0}")]
    Document(String),
    #[error("the `{0}` of the discovery document is refused: {1}")]
    Address(&'static str, EndpointError),
    #[error("the `{0}` of the discovery document leads to loopback")]
    Loopback(&'static str),
    #[error("the key set cannot be had: {0}")]
    Keys(NetError),
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    #[error("fetching the keys took too long")]
    Late,
}

// === impl Origin ===

impl Origin {
    /// Where `source` says, for the issuer with the identifier `issuer`; a file is read by `read`.
    pub(super) fn new(source: &KeySource, issuer: &str, read: impl Fn(&std::path::Path) -> Result<KeySet, String>) -> Result<Self, String> {
        match source {
            KeySource::Discovery => discovery(issuer)
                .map(Self::Discovery)
                .map_err(|error| format!("the issuer `{}` cannot be asked for its keys: {error}", shown(issuer))),
            KeySource::Uri(endpoint) => Ok(Self::Uri(endpoint.clone())),
            KeySource::File(path) => read(path).map(Self::File),
        }
    }

    /// Asks for the keys of `issuer`. What is not a good key set is an error, never an empty one.
    pub(super) async fn fetch(&self, issuer: &str, client: &Client) -> Result<Fetched, FetchError> {
        let keys = match self {
            Self::File(keys) => return Ok(Fetched { keys: keys.clone(), text: Bytes::new() }),
            Self::Uri(endpoint) => endpoint.clone(),
            Self::Discovery(endpoint) => {
                let document = client.get(endpoint).await.map_err(FetchError::Discovery)?;
                address(&document, "jwks_uri", issuer, endpoint)?
            }
        };
        let text = client.get(&keys).await.map_err(FetchError::Keys)?;
        Ok(Fetched { keys: KeySet::read(&text)?, text })
    }

    /// The address that keys are asked for at, or by which it is found; `None` for a file.
    pub(super) fn address(&self) -> Option<&str> {
        match self {
            Self::Discovery(endpoint) | Self::Uri(endpoint) => Some(endpoint.as_str()),
            Self::File(_) => None,
        }
    }
}

/// The address of the discovery document of `issuer` (OIDC Discovery 1.0, section 4.1: a slash at its end goes first).
fn discovery(issuer: &str) -> Result<Endpoint, EndpointError> {
    Endpoint::parse(&format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer)))
}

/// Where `issuer` can be asked about tokens, by its discovery document (RFC 8414, section 2).
pub(super) async fn introspection_endpoint(issuer: &str, client: &Client) -> Result<Endpoint, FetchError> {
    let place = discovery(issuer).map_err(|error| FetchError::Document(error.to_string()))?;
    let document = client.get(&place).await.map_err(FetchError::Discovery)?;
    address(&document, "introspection_endpoint", issuer, &place)
}

/// The address under `name` in `document`, which stood at `place` and must be about `issuer` and no other (OIDC Discovery 1.0, section 4.3).
fn address(document: &[u8], name: &'static str, issuer: &str, place: &Endpoint) -> Result<Endpoint, FetchError> {
    let wrong = |detail: &str| FetchError::Document(detail.to_owned());
    let kept = Keep::Members(Named(&["issuer", name]));
    let value = json::read_keeping(document, kept).map_err(|error| FetchError::Document(shown(&error.to_string())))?;
    let members = value.as_object().ok_or_else(|| wrong("it is not an object"))?;
    if members.get("issuer").and_then(Value::as_text) != Some(issuer) {
        return Err(wrong("its `issuer` is another one"));
    }
    let address = members.get(name).and_then(Value::as_text).ok_or_else(|| wrong(&format!("it has no `{name}`")))?;
    let address = Endpoint::parse(address).map_err(|error| FetchError::Address(name, error))?;
    // An outside issuer has no business with what listens on this machine.
    if address.is_loopback() && !place.is_loopback() { Err(FetchError::Loopback(name)) } else { Ok(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discovery_document_speaks_of_its_issuer_alone() {
        let cases = [
            (r#"{"issuer":"https://idp","jwks_uri":"https://idp/certs","x":[1]}"#, true),
            (r#"{"issuer":"https://idp/","jwks_uri":"https://idp/certs"}"#, false),
            (r#"{"issuer":["https://idp"],"jwks_uri":"https://idp/certs"}"#, false),
            (r#"{"jwks_uri":"https://idp/certs"}"#, false),
            (r#"{"issuer":"https://idp"}"#, false),
            (r#"{"issuer":"https://idp","jwks_uri":"https://idp/certs","jwks_uri":"https://evil/certs"}"#, false),
            (r#"{"issuer":"https://idp","jwks_uri":"http://idp/certs"}"#, false),
            (r#"{"issuer":"https://idp","jwks_uri":"https://169.254.169.254/certs"}"#, false),
            (r#"{"issuer":"https://idp","jwks_uri":"file:///etc/passwd"}"#, false),
            (r#"{"issuer":"https://idp","jwks_uri":"http://127.0.0.1:9192/certs"}"#, false),
            (r#"{"issuer":"https://idp","jwks_uri":"https://localhost/certs"}"#, false),
            ("[]", false),
            ("", false),
        ];
        let place = Endpoint::parse("https://idp/.well-known/openid-configuration").unwrap();
        for (document, good) in cases {
            assert_eq!(address(document.as_bytes(), "jwks_uri", "https://idp", &place).is_ok(), good, "{document}");
        }
    }
}
