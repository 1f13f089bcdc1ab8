use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use super::{Algorithm, SigningKey};

/// The keys of an issuer: never empty, no two alike, each of an algorithm that whoever trusts the issuer can verify.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySet {
    keys: Vec<Arc<SigningKey>>,
    repeated: Vec<PathBuf>,
}

// === impl KeySet ===

impl KeySet {
    /// Reads the keys of `files`, of which the first is to sign. A key that stands in several of them, as in the middle of a rotation, is one key.
    ///
    /// # Errors
    /// Every file that cannot be used, with what is wrong with it; never a part of what is in it.
    pub fn read(files: &[PathBuf]) -> Result<Self, Vec<(PathBuf, String)>> {
        let (mut keys, mut repeated, mut faults) = (Vec::<Arc<SigningKey>>::with_capacity(files.len()), Vec::new(), Vec::new());
        for file in files {
            match SigningKey::read(file) {
                Err(message) => faults.push((file.clone(), message)),
                Ok(key) if !matches!(key.algorithm(), Algorithm::Es256 | Algorithm::EdDsa) => {
                    let message = format!(
                        "the file's key signs with {}, and an issuer's is EC on P-256 (ES256) or Ed25519 (EdDSA) here: make one with `lakegate keys new`",
                        key.algorithm().as_str()
                    );
                    faults.push((file.clone(), message));
                }
                Ok(key) if keys.iter().any(|known| known.id() == key.id()) => repeated.push(file.clone()),
                Ok(key) => keys.push(Arc::new(key)),
            }
        }
        if faults.is_empty() { Ok(Self { keys, repeated }) } else { Err(faults) }
    }

    /// The key that signs.
    #[must_use]
    pub fn first(&self) -> Option<&SigningKey> {
        self.keys.first().map(AsRef::as_ref)
    }

    pub fn iter(&self) -> impl Iterator<Item = &SigningKey> {
        self.keys.iter().map(AsRef::as_ref)
    }

    /// The files that hold the key of an earlier one.
    #[must_use]
    pub fn repeated(&self) -> &[PathBuf] {
        &self.repeated
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::generate, *};

    #[test]
    fn keys_of_other_kinds_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.pem");
        fs::write(&good, generate(Algorithm::Es256).unwrap()).unwrap();
        for (kind, name) in [(&rcgen::PKCS_ECDSA_P384_SHA384, "ES384"), (&rcgen::PKCS_RSA_SHA256, "RS256")] {
            let file = folder.path().join(name);
            fs::write(&file, rcgen::KeyPair::generate_for(kind).unwrap().serialize_pem()).unwrap();
            assert_eq!(SigningKey::read(&file).unwrap().algorithm().as_str(), name, "it is a key that signs");
            let faults = KeySet::read(&[good.clone(), file.clone()]).unwrap_err();
            let [(of, message)] = &faults[..] else { panic!("{faults:?}") };
            assert!(*of == file && message.contains(&format!("signs with {name}")) && message.contains("`lakegate keys new`"), "{message}");
        }
    }

    #[test]
    fn a_key_in_two_files_is_one_key_and_the_first_signs() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["current", "next", "previous"].map(|name| folder.path().join(name));
        let [one, other] = [(); 2].map(|()| generate(Algorithm::Es256).unwrap());
        let ids = [&one, &other].map(|pem| SigningKey::parse(pem.as_bytes()).unwrap().id().to_owned());
        // What a rotation leaves behind that was killed after its first step, and after its second.
        for (texts, first, repeated) in [([&one, &other, &one], 0, 2), ([&other, &other, &one], 1, 1)] {
            for (file, text) in files.iter().zip(texts) {
                fs::write(file, text).unwrap();
            }
            let set = KeySet::read(&files).unwrap();
            assert_eq!(set.first().unwrap().id(), ids[first]);
            let mut have: Vec<&str> = set.iter().map(SigningKey::id).collect();
            have.sort_unstable();
            let mut want: Vec<&str> = ids.iter().map(String::as_str).collect();
            want.sort_unstable();
            assert_eq!((have, set.repeated()), (want, &files[repeated..=repeated]));
            assert_eq!(set.document()["keys"].as_array().unwrap().len(), 2);
        }
    }
}
