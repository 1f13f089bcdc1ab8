use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Algorithm;

/// Characters of a line (RFC 7468, section 2).
const LINE: usize = 64;

/// A new private key in PEM (PKCS #8), for `Es256` or `EdDsa`; `None` for another algorithm, or where there is no randomness.
#[must_use]
pub fn generate(algorithm: Algorithm) -> Option<String> {
    let random = SystemRandom::new();
    let document = match algorithm {
        Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).ok()?,
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random).ok()?,
        Algorithm::Rs256 | Algorithm::Es384 => return None,
    };
    let text = STANDARD.encode(document.as_ref());
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(LINE) {
        pem.extend(line.iter().map(|&byte| char::from(byte)));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Some(pem)
}

#[cfg(test)]
mod tests {
    use super::{super::SigningKey, *};

    #[test]
    fn a_new_key_can_be_read_and_is_like_no_other() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let [one, other] = [(); 2].map(|()| SigningKey::parse(generate(algorithm).unwrap().as_bytes()).unwrap());
            assert_eq!((one.algorithm(), other.algorithm()), (algorithm, algorithm));
            assert!(one.id() != other.id() && !one.id().is_empty());
        }
        assert!(generate(Algorithm::Rs256).is_none());
    }
}
