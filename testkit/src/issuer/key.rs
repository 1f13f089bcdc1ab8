use std::io;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Value, json};

/// An RSA-2048 signing key with its published form.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) kid: String,
    pair: KeyPair,
    modulus: String,
    exponent: String,
}

// === impl Key ===

impl Key {
    pub(super) fn generate(kid: String) -> io::Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| io::Error::other("cannot generate an RSA key"))?;
        let public = DecodingKey::from_rsa_der(pair.public_key().as_ref());
        let jwk = Jwk::from_decoding_key(&public, Some(Algorithm::RS256)).map_err(io::Error::other)?;
        let AlgorithmParameters::RSA(rsa) = jwk.algorithm else {
            return Err(io::Error::other("an RSA key came out as another kind"));
        };
        Ok(Self { kid, pair, modulus: rsa.n, exponent: rsa.e })
    }

    pub(super) fn public_jwk(&self) -> Value {
        json!({ "kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256", "n": self.modulus, "e": self.exponent })
    }

    /// The RS256 signature, base64url.
    pub(super) fn sign(&self, message: &[u8]) -> io::Result<String> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(|_| io::Error::other("cannot sign a token"))?;
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }

    /// The public key as PEM: what an attacker feeds to a verifier as an HMAC secret.
    pub(super) fn public_pem(&self) -> io::Result<String> {
        let der = self.pair.public_key().as_der().map_err(|_| io::Error::other("cannot encode a public key"))?;
        let text = STANDARD.encode(der.as_ref());
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for (position, letter) in text.chars().enumerate() {
            if position > 0 && position % 64 == 0 {
                pem.push('\n');
            }
            pem.push(letter);
        }
        pem.push_str("\n-----END PUBLIC KEY-----\n");
        Ok(pem)
    }
}
