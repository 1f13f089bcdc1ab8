//! A strict reader of signed tokens: JWS compact serialization (RFC 7515, section 7.1) and nothing else.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::shown;
use crate::{
    json::{self, Object, Value},
    model::{Reason, Refusal},
};

/// A token taken apart; nothing in it is verified.
#[derive(Debug)]
pub(super) struct Jws<'t> {
    pub header: Header,
    /// The decoded payload.
    pub claims: Vec<u8>,
    /// Header and payload as they stand in the token: what was signed.
    pub signed: &'t str,
    /// The third part as it stands in the token: known to be canonical base64url.
    pub signature: &'t str,
}

/// The header parameters that count. Where keys could be taken from the token itself (`jwk`, `jku`, `x5c`, `x5u`), they are not looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub algorithm: String,
    pub key_id: Option<String>,
    /// Lower case, without `application/`; `jwt` where there is none.
    pub kind: String,
}

/// Parameters that change what is signed or how the payload is read: to ignore one is to read another token than its issuer wrote.
const REFUSED: [&str; 5] = ["crit", "b64", "zip", "enc", "cty"];

// === impl Jws ===

impl<'t> Jws<'t> {
    /// Takes `token` apart, which is no longer than `limit` bytes.
    pub(super) fn read(token: &'t str, limit: usize) -> Result<Self, Refusal> {
        Self::read_with(token, limit, |_| ()).map(|(jws, ())| jws)
    }

    /// The same, and what `find` makes of the whole header.
    pub(super) fn read_with<T>(token: &'t str, limit: usize, find: impl FnOnce(&Object<'_>) -> T) -> Result<(Self, T), Refusal> {
        if token.len() > limit {
            return Err(Refusal::new(Reason::TokenTooLarge, format!("the token is longer than {limit} bytes")));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| not_a_token(token))?;
        let (header, payload) = signed.split_once('.').ok_or_else(|| not_a_token(token))?;
        if payload.contains('.') {
            return Err(not_a_token(token));
        }
        let header = decode(header, "header")?;
        let (header, found) = Header::read(&header, find)?;
        let claims = decode(payload, "payload")?;
        if decode(signature, "signature")?.is_empty() {
            return Err(malformed("the token is not signed"));
        }
        Ok((Self { header, claims, signed, signature }, found))
    }
}

// === impl Header ===

impl Header {
    fn read<T>(text: &[u8], find: impl FnOnce(&Object<'_>) -> T) -> Result<(Self, T), Refusal> {
        let value = json::read(text).map_err(|error| malformed(format!("the token's header cannot be read: {}", shown(&error.to_string()))))?;
        let Value::Object(header) = value else { return Err(malformed("the token's header is not an object")) };
        if let Some(name) = REFUSED.into_iter().find(|name| header.get(name).is_some()) {
            return Err(malformed(format!("the token's header has `{name}`, which is not accepted")));
        }
        let algorithm = text_of(&header, "alg")?.ok_or_else(|| malformed("the token's header has no `alg`"))?;
        let kind = text_of(&header, "typ")?.map_or_else(|| "jwt".to_owned(), str::to_ascii_lowercase);
        let kind = kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind);
        let read = Self { algorithm: algorithm.to_owned(), key_id: text_of(&header, "kid")?.map(str::to_owned), kind };
        Ok((read, find(&header)))
    }
}

fn text_of<'h>(header: &'h Object<'_>, name: &str) -> Result<Option<&'h str>, Refusal> {
    header.get(name).map(|value| value.as_text().ok_or_else(|| malformed(format!("`{name}` in the token's header is not a string")))).transpose()
}

/// Base64url without padding, without white space and without bits left over: one text for one value (RFC 7515, appendix C; RFC 4648, section 3.5).
fn decode(part: &str, what: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed(format!("the token's {what} is not base64url without padding")))
}

fn not_a_token(token: &str) -> Refusal {
    malformed(match token.bytes().filter(|&b| b == b'.').count() {
        4 => "the token is encrypted; only signed tokens are accepted",
        0 => "the token is not a JWT, and no issuer is asked about opaque tokens; send a signed one, or configure `introspection` of its issuer",
        _ => "the token does not have the three parts of a signed JWT",
    })
}

fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::TokenMalformed, detail)
}
