//! A client that proves possession of a key (DPoP, RFC 9449).

use std::io;

use aws_lc_rs::digest;
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::clock;

/// An ES256 key and what can be made with it.
#[derive(Debug)]
pub struct Prover {
    pair: EcdsaKeyPair,
    x: String,
    y: String,
}

// === impl Prover ===

impl Prover {
    /// # Errors
    /// When no key can be generated.
    pub fn new() -> io::Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| io::Error::other("cannot generate an EC key"))?;
        let point = pair.public_key().as_ref();
        let (x, y) = point.get(1..33).zip(point.get(33..65)).ok_or_else(|| io::Error::other("an EC key came out as another kind"))?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        Ok(Self { pair, x, y })
    }

    /// What a token says in `cnf` that is bound to the key.
    #[must_use]
    pub fn confirmation(&self) -> Value {
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, self.x, self.y);
        json!({ "jkt": sha256(&members) })
    }

    /// A proof for one request with `token`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn proof(&self, method: &str, url: &str, token: &str) -> io::Result<String> {
        self.proof_with(method, url, token, &Map::new())
    }

    /// The same with other claims than an honest one has; null leaves one out.
    ///
    /// # Errors
    /// As `proof`.
    pub fn proof_with(&self, method: &str, url: &str, token: &str, changes: &Map<String, Value>) -> io::Result<String> {
        let mut id = [0; 12];
        rand::fill(&mut id).map_err(|_| io::Error::other("no randomness"))?;
        let honest = json!({ "htm": method, "htu": url, "iat": clock::now_s(), "jti": URL_SAFE_NO_PAD.encode(id), "ath": sha256(token) });
        let mut claims = honest.as_object().cloned().unwrap_or_default();
        claims.extend(changes.clone());
        claims.retain(|_, value| !value.is_null());
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": { "kty": "EC", "crv": "P-256", "x": self.x, "y": self.y } });
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| io::Error::other("cannot sign a proof"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}
