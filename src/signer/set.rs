use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use super::{Algorithm, SigningKey};

/// The keys of an issuer: never empty, no two alike, each of an algorithm that whoever trusts the issuer can verify.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySet(Vec<Arc<SigningKey>>);

// === impl KeySet ===

impl KeySet {
    /// Reads the keys of `files`, of which the first is to sign.
    ///
    /// # Errors
    /// Every file that cannot be used, with what is wrong with it; never a part of what is in it.
    pub fn read(files: &[PathBuf]) -> Result<Self, Vec<(PathBuf, String)>> {
        let (mut keys, mut faults) = (Vec::<Arc<SigningKey>>::with_capacity(files.len()), Vec::new());
        for file in files {
            match SigningKey::read(file) {
                Err(message) => faults.push((file.clone(), message)),
                Ok(key) if !matches!(key.algorithm(), Algorithm::Es256 | Algorithm::EdDsa) => {
                    let message = "an issuer's key is EC on P-256 or Ed25519 here: make one with `lakegate keys new`".to_owned();
                    faults.push((file.clone(), message));
                }
                Ok(key) if keys.iter().any(|known| known.id() == key.id()) => {
                    faults.push((file.clone(), "it is the key of an earlier file too".to_owned()));
                }
                Ok(key) => keys.push(Arc::new(key)),
            }
        }
        if faults.is_empty() { Ok(Self(keys)) } else { Err(faults) }
    }

    /// The key that signs.
    #[must_use]
    pub fn first(&self) -> Option<&SigningKey> {
        self.0.first().map(AsRef::as_ref)
    }

    pub fn iter(&self) -> impl Iterator<Item = &SigningKey> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// A JWT with `claims`, by the first key.
    #[must_use]
    pub fn sign(&self, typ: &str, claims: &Value) -> Option<String> {
        let key = self.first()?;
        key.sign(typ, Some(key.id()), claims)
    }

    /// The document that verifiers fetch (RFC 7517, section 5).
    #[must_use]
    pub fn document(&self) -> Value {
        json!({ "keys": self.iter().filter_map(SigningKey::jwk).collect::<Vec<_>>() })
    }
}
