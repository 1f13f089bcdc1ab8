//! Public keys of an issuer: a strict reader of JSON Web Key sets (RFC 7517), and which key a token is signed with.

mod guessable;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;

use super::{Algorithm, shown};
use crate::json::{self, Object, Value};

/// The usable keys of an issuer, at least one. Keys of kinds that are not used here are left out; a set that is wrong is refused whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

/// A public key to verify signatures with.
#[derive(Clone, Debug)]
pub(super) struct Key {
    id: Option<String>,
    shape: Shape,
    /// Its own `alg`: the only one it verifies.
    algorithm: Option<Algorithm>,
    decoding: DecodingKey,
    fingerprint: Fingerprint,
}

/// SHA-256 over all that makes a key what it is: a verified token stays verified only as long as a key with this fingerprint is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

/// What the key is made of: decides which algorithms it can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Why a key set is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeySetError {
    #[error("the key set cannot be read: {0}")]
    Unreadable(String),
    #[error("the key set is not an object with a list of `keys`")]
    Shape,
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooMany,
    #[error("the key set holds a private or symmetric key; whoever can read it can sign")]
    Secret,
    #[error("the key set has two keys with the id `{0}`")]
    Twice(String),
    #[error("the key set has no key that can verify a token")]
    Empty,
}

/// Why no key of a set is the token's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// No key has this id, or the token names none and the set has not exactly one that could be meant.
    Unknown,
    /// The key is there, but is not for this algorithm.
    Algorithm,
}

const MAX_KEYS: usize = 64;
/// Members that only a private or symmetric key has (RFC 7518, sections 6.2.2, 6.3.2 and 6.4.1).
const SECRET: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

// === impl KeySet ===

impl KeySet {
    /// Reads a JSON Web Key set.
    pub(super) fn read(text: &[u8]) -> Result<Self, KeySetError> {
        let value = json::read(text).map_err(|error| KeySetError::Unreadable(shown(&error.to_string())))?;
        let listed = value.as_object().and_then(|set| set.get("keys")).and_then(Value::as_list).ok_or(KeySetError::Shape)?;
        if listed.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut keys: Vec<Key> = Vec::with_capacity(listed.len());
        for item in listed {
            let jwk = item.as_object().ok_or(KeySetError::Shape)?;
            if is_secret(jwk) {
                return Err(KeySetError::Secret);
            }
            let Some(key) = Key::read(jwk) else { continue };
            if let Some(id) = key.id.as_ref().filter(|_| keys.iter().any(|other| other.id == key.id)) {
                return Err(KeySetError::Twice(shown(id)));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self { keys }) }
    }

    /// The one key that a token with this header may be signed with.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&Key, Mismatch> {
        if let Some(id) = id {
            let key = self.keys.iter().find(|key| key.id.as_deref() == Some(id)).ok_or(Mismatch::Unknown)?;
            return if key.fits(algorithm) { Ok(key) } else { Err(Mismatch::Algorithm) };
        }
        let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(Mismatch::Unknown),
        }
    }

    /// Whether the key with `fingerprint` is in the set.
    pub(super) fn holds(&self, fingerprint: Fingerprint) -> bool {
        self.keys.iter().any(|key| key.fingerprint == fingerprint)
    }

    /// The ids of the keys, in the order of the set.
    pub(super) fn ids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.id.as_deref().map_or_else(|| "(without id)".to_owned(), shown)).collect()
    }
}

// === impl Key ===

impl Key {
    /// The key in `jwk`, or `None` where it is not one that verifies tokens here.
    pub(super) fn read(jwk: &Object<'_>) -> Option<Self> {
        if !is_for_signatures(jwk) {
            return None;
        }
        let id = match jwk.get("kid") {
            None => None,
            Some(id) => Some(id.as_text()?.to_owned()),
        };
        let (shape, parts) = material(jwk)?;
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(name) => Some(Algorithm::parse(name.as_text()?).filter(|&algorithm| shape.fits(algorithm))?),
        };
        let decoding = match (shape, parts.as_slice()) {
            (Shape::Rsa, [n, e]) => DecodingKey::from_rsa_raw_components(n, e),
            (Shape::P256 | Shape::P384, [x, y]) => DecodingKey::from_ec_der(&[&[4], x.as_slice(), y.as_slice()].concat()),
            (Shape::Ed25519, [x]) => DecodingKey::from_ed_der(x),
            _ => return None,
        };
        let fingerprint = Fingerprint::of(id.as_deref(), shape, algorithm, &parts);
        Some(Self { id, shape, algorithm, decoding, fingerprint })
    }

    /// Whether it verifies `algorithm`: by what it says of itself, else by what it is made of.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.map_or_else(|| self.shape.fits(algorithm), |own| own == algorithm)
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether `signature` (base64url) is this key's over `signed`. The caller has made sure that the key is for `algorithm`.
    pub(super) fn verifies(&self, signed: &str, signature: &str, algorithm: Algorithm) -> bool {
        use jsonwebtoken::Algorithm as Theirs;
        let algorithm = match algorithm {
            Algorithm::RS256 => Theirs::RS256,
            Algorithm::RS384 => Theirs::RS384,
            Algorithm::RS512 => Theirs::RS512,
            Algorithm::PS256 => Theirs::PS256,
            Algorithm::PS384 => Theirs::PS384,
            Algorithm::PS512 => Theirs::PS512,
            Algorithm::ES256 => Theirs::ES256,
            Algorithm::ES384 => Theirs::ES384,
            Algorithm::EdDSA => Theirs::EdDSA,
        };
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.decoding, algorithm).unwrap_or(false)
    }
}

/// Whether whoever reads it can sign.
pub(super) fn is_secret(jwk: &Object<'_>) -> bool {
    jwk.get("kty").and_then(Value::as_text) == Some("oct") || SECRET.iter().any(|name| jwk.get(name).is_some())
}

/// Equal by fingerprint, which covers everything.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

/// `use` and `key_ops` (RFC 7517, sections 4.2 and 4.3), where they are there.
fn is_for_signatures(jwk: &Object<'_>) -> bool {
    let purpose = jwk.get("use").is_none_or(|purpose| purpose.as_text() == Some("sig"));
    let operations = jwk.get("key_ops").is_none_or(|list| list.as_list().is_some_and(|list| list.iter().any(|op| op.as_text() == Some("verify"))));
    purpose && operations
}

/// What the key is made of, each part in its one length.
fn material(jwk: &Object<'_>) -> Option<(Shape, Vec<Vec<u8>>)> {
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_text()?).ok();
    let sized = |name: &str, length: usize| part(name).filter(|bytes| bytes.len() == length);
    let curve = jwk.get("crv").and_then(Value::as_text);
    match (jwk.get("kty")?.as_text()?, curve) {
        ("RSA", None) => {
            let (n, e) = (significant(part("n")?), significant(part("e")?));
            (strong_modulus(&n) && sound_exponent(&e) && !guessable::is_guessable(&n)).then(|| (Shape::Rsa, vec![n, e]))
        }
        ("EC", Some("P-256")) => Some((Shape::P256, vec![sized("x", 32)?, sized("y", 32)?])),
        ("EC", Some("P-384")) => Some((Shape::P384, vec![sized("x", 48)?, sized("y", 48)?])),
        ("OKP", Some("Ed25519")) => Some((Shape::Ed25519, vec![sized("x", 32)?])),
        _ => None,
    }
}

/// Without leading zeros, which some issuers write.
fn significant(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    bytes.into_iter().skip(zeros).collect()
}

/// 2048 to 8192 bits (NIST SP 800-131A; the upper end bounds the work of one verification).
fn strong_modulus(n: &[u8]) -> bool {
    let Some(first) = n.first() else { return false };
    let bits = n.len().saturating_mul(8).saturating_sub(first.leading_zeros() as usize);
    (2048..=8192).contains(&bits)
}

/// Odd, more than 1, at most 32 bits.
fn sound_exponent(e: &[u8]) -> bool {
    e.len() <= 4 && e != [1] && e.last().is_some_and(|last| last % 2 == 1)
}

// === impl Fingerprint ===

impl Fingerprint {
    fn of(id: Option<&str>, shape: Shape, algorithm: Option<Algorithm>, parts: &[Vec<u8>]) -> Self {
        let mut hash = super::digest::Fields::new();
        hash.option(id).text(&format!("{shape:?}")).option(algorithm.map(Algorithm::name));
        for part in parts {
            hash.bytes(part);
        }
        Self(hash.finish())
    }
}

// === impl Shape ===

impl Shape {
    fn fits(self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        match self {
            Self::Rsa => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Self::P256 => algorithm == ES256,
            Self::P384 => algorithm == ES384,
            Self::Ed25519 => algorithm == EdDSA,
        }
    }
}
