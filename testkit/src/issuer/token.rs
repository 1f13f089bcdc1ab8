use std::io;

use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::key::Key;
use crate::clock;

/// What a token is to look like: the changes to the honest token that `TokenSpec::new` describes.
#[derive(Clone, Debug, Default)]
pub struct TokenSpec {
    claims: Map<String, Value>,
    header: Map<String, Value>,
    without: Vec<String>,
    raw_claims: Option<String>,
    signature: Signature,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signature {
    /// RS256 with the issuer's current key, whatever the header says.
    #[default]
    Good,
    /// By a key the issuer does not publish, under the `kid` of one it does: a forgery.
    Foreign,
    /// HS256 with the public key as the secret: the algorithm confusion of CVE-2015-9235.
    PublicKeyAsSecret,
    /// The signature part is there and empty: what `alg: none` asks for.
    Empty,
    /// The signature part is missing: two parts instead of three.
    Missing,
}

// === impl TokenSpec ===

impl TokenSpec {
    /// A good token: alice of the group `ml-engineers`, audience `lakegate`, for ten minutes, signed in a minute ago.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A good token for another person of these groups.
    #[must_use]
    pub fn person(subject: &str, groups: &[&str]) -> Self {
        Self::new().claim("sub", subject).claim("groups", groups)
    }

    /// A token whose lifetime ended long before any leeway.
    #[must_use]
    pub fn expired() -> Self {
        let now = clock::now_s();
        Self::new().claim("iat", now - 3600).claim("nbf", now - 3600).claim("exp", now - 1800)
    }

    /// An unsigned token that says so.
    #[must_use]
    pub fn unsigned() -> Self {
        Self::new().header("alg", "none").signed(Signature::Empty)
    }

    /// Sets a claim, of any JSON type.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Claim>) -> Self {
        self.claims.insert(name.to_owned(), value.into().0);
        self
    }

    /// Sets `exp` to so many seconds from now.
    #[must_use]
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", clock::now_s() + seconds)
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without(mut self, claim: &str) -> Self {
        self.without.push(claim.to_owned());
        self
    }

    /// Sets a header parameter; null leaves it out.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn signed(mut self, signature: Signature) -> Self {
        self.signature = signature;
        self
    }

    /// Signs this text as the claims, unread: for duplicate keys and worse. `$iss` and `$exp` in it are filled in.
    #[must_use]
    pub fn raw_claims(mut self, text: &str) -> Self {
        self.raw_claims = Some(text.to_owned());
        self
    }

    pub(super) fn mint(&self, issuer: &str, key: &Key) -> io::Result<String> {
        let claims = match &self.raw_claims {
            Some(text) => text.replace("$iss", issuer).replace("$exp", &(clock::now_s() + 600).to_string()),
            None => Value::Object(self.all_claims(issuer)?).to_string(),
        };
        let mut header = Map::from_iter([("alg".to_owned(), json!("RS256")), ("typ".to_owned(), json!("JWT")), ("kid".to_owned(), json!(key.kid))]);
        if self.signature == Signature::PublicKeyAsSecret {
            header.insert("alg".to_owned(), json!("HS256"));
        }
        header.extend(self.header.clone());
        header.retain(|_, value| !value.is_null());
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(Value::Object(header).to_string()), URL_SAFE_NO_PAD.encode(claims));
        Ok(match self.signature {
            Signature::Good => format!("{message}.{}", key.sign(message.as_bytes())?),
            Signature::Foreign => format!("{message}.{}", Key::generate(key.kid.clone())?.sign(message.as_bytes())?),
            Signature::PublicKeyAsSecret => {
                let secret = hmac::Key::new(hmac::HMAC_SHA256, key.public_pem()?.as_bytes());
                format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&secret, message.as_bytes())))
            }
            Signature::Empty => format!("{message}."),
            Signature::Missing => message,
        })
    }

    pub(super) fn all_claims(&self, issuer: &str) -> io::Result<Map<String, Value>> {
        let now = clock::now_s();
        let mut id = [0; 12];
        rand::fill(&mut id).map_err(|_| io::Error::other("no randomness"))?;
        let honest = json!({
            "iss": issuer, "aud": "lakegate", "sub": "alice", "iat": now - 5, "nbf": now - 5, "exp": now + 600, "auth_time": now - 60,
            "azp": "notebooks", "jti": URL_SAFE_NO_PAD.encode(id), "groups": ["ml-engineers"],
        });
        let mut claims = honest.as_object().cloned().unwrap_or_default();
        claims.extend(self.claims.clone());
        claims.retain(|name, _| !self.without.contains(name));
        Ok(claims)
    }
}

/// A claim's value, from whatever is at hand: a JSON value, a text, a number or a list of texts.
#[derive(Clone, Debug)]
pub struct Claim(Value);

// === impl Claim ===

impl From<Value> for Claim {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl From<&str> for Claim {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<i64> for Claim {
    fn from(number: i64) -> Self {
        Self(number.into())
    }
}

impl From<&[&str]> for Claim {
    fn from(texts: &[&str]) -> Self {
        Self(texts.into())
    }
}
