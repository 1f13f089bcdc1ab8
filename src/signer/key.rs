use std::{fmt, fs, os::unix::fs::MetadataExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};

use super::pair::Pair;

/// A private key that signs JSON Web Tokens.
pub struct SigningKey {
    pair: Pair,
    /// Its JWK's thumbprint (RFC 7638); empty of a key that has no public form here.
    id: String,
    public: Option<Value>,
    /// SHA-256 of the file, by which keys are compared.
    digest: [u8; 32],
}

/// How a key signs, in the words of RFC 7518 and RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Rs256,
    Es256,
    Es384,
    EdDsa,
}

/// Whether others than the owner of `file` and its group may read or write it; not so where it cannot be looked at. Links are followed.
#[must_use]
pub fn is_exposed(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.mode() & 0o006 != 0)
}

// === impl SigningKey ===

impl SigningKey {
    /// Reads the private key in PEM in `file`: RSA of 2048 bits and more, EC on P-256 or P-384, or Ed25519.
    ///
    /// # Errors
    /// In words; never a part of what is in the file.
    pub fn read(file: &Path) -> Result<Self, String> {
        let pem = fs::read(file).map_err(|error| format!("the file cannot be read: {error}"))?;
        Self::parse(&pem)
    }

    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| "the file holds no private key in PEM".to_owned())?;
        let pair =
            Pair::read(&der).ok_or("the file's key is not one that signs here: RSA of 2048 bits and more, EC on P-256 or P-384, or Ed25519")?;
        let public = pair.public();
        let id = public.as_ref().map(|jwk| URL_SAFE_NO_PAD.encode(crate::digest::of(jwk.to_string().as_bytes()))).unwrap_or_default();
        Ok(Self { pair, id, public, digest: crate::digest::of(pem) })
    }

    /// The thumbprint of its public key (RFC 7638), by which verifiers find it; empty of an RSA key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.pair.algorithm()
    }

    /// Its public JWK, as a key set has it (RFC 7517, section 4); `None` of an RSA key.
    #[must_use]
    pub fn jwk(&self) -> Option<Value> {
        let mut jwk = self.public.clone()?;
        let members = jwk.as_object_mut()?;
        members.insert("use".to_owned(), "sig".into());
        members.insert("alg".to_owned(), self.algorithm().as_str().into());
        members.insert("kid".to_owned(), self.id.as_str().into());
        Some(jwk)
    }

    /// A signed JWT (RFC 7519) with `claims`, under `typ` and the `kid` that verifiers know it by; `None` where the signature cannot be made.
    #[must_use]
    pub fn sign(&self, typ: &str, kid: Option<&str>, claims: &Value) -> Option<String> {
        let mut header = json!({"alg": self.algorithm().as_str(), "typ": typ});
        if let (Some(kid), Some(members)) = (kid, header.as_object_mut()) {
            members.insert("kid".to_owned(), kid.into());
        }
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let signature = self.pair.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }
}

/// Says nothing of the private key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

// === impl Algorithm ===

impl Algorithm {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7638, section 3.1, is of an RSA key; this is the thumbprint of RFC 8037, appendix A.3.
    #[test]
    fn the_id_is_the_thumbprint_of_the_public_key() {
        // RFC 8037, appendix A.1, in the form of RFC 8410, section 7.
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let key = SigningKey::parse(pem.as_bytes()).unwrap();
        assert_eq!((key.id(), key.algorithm()), ("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", Algorithm::EdDsa));
        assert_eq!(key.jwk().unwrap()["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert!(!format!("{key:?}").contains("nWGxne"));
    }
}
