use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};

use super::Algorithm;

pub(super) enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Bytes of the modulus of the shortest RSA key that is taken: 2048 bits (RFC 7518, section 3.3).
const SHORTEST_RSA: usize = 256;

// === impl Pair ===

impl Pair {
    pub(super) fn read(der: &PrivateKeyDer<'_>) -> Option<Self> {
        let ec = |algorithm: &'static EcdsaSigningAlgorithm| match der {
            PrivateKeyDer::Sec1(key) => EcdsaKeyPair::from_private_key_der(algorithm, key.secret_sec1_der()).ok(),
            PrivateKeyDer::Pkcs8(key) => EcdsaKeyPair::from_pkcs8(algorithm, key.secret_pkcs8_der()).ok(),
            _ => None,
        };
        let rsa = match der {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
            _ => None,
        };
        let edwards = || match der {
            PrivateKeyDer::Pkcs8(key) => Ed25519KeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
            _ => None,
        };
        let rsa = rsa.filter(|pair| pair.public_modulus_len() >= SHORTEST_RSA).map(Self::Rsa);
        rsa.or_else(|| ec(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::P256))
            .or_else(|| ec(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Self::P384))
            .or_else(|| edwards().map(Self::Ed25519))
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::P384(_) => Algorithm::Es384,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// The signature as it stands in a JWS (RFC 7518, section 3.1; RFC 8037, section 3.1).
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok().map(|()| signature)
            }
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message).ok().map(|signature| signature.as_ref().to_vec()),
            Self::Ed25519(pair) => pair.try_sign(message).ok().map(|signature| signature.as_ref().to_vec()),
        }
    }

    /// The members of its public JWK that RFC 7638 makes a thumbprint of, in the order that it has them in; `None` of an RSA key, which signs for no issuer.
    pub(super) fn public(&self) -> Option<Value> {
        let curve = |name: &str, pair: &EcdsaKeyPair| {
            // An uncompressed point: 4, x, y (SEC 1, section 2.3.3).
            let point = pair.public_key().as_ref().get(1..)?;
            let (x, y) = point.split_at(point.len() / 2);
            Some(json!({"crv": name, "kty": "EC", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)}))
        };
        match self {
            Self::Rsa(_) => None,
            Self::P256(pair) => curve("P-256", pair),
            Self::P384(pair) => curve("P-384", pair),
            Self::Ed25519(pair) => Some(json!({"crv": "Ed25519", "kty": "OKP", "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref())})),
        }
    }
}
