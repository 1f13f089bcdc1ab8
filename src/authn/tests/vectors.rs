//! Project Wycheproof's vectors of JSON Web Signatures and Keys (as the crate `wycheproof-ng-kdf-jose` carries them): what a verifier must refuse whatever it
//! knows of signatures, and what it should accept.

use serde_json::{Value, json};
use wycheproof_ng_kdf_jose::json_web::{TestName, TestSet};

use super::super::{Algorithm, jws::Jws, keys::KeySet};

/// What became of the vectors.
#[derive(Debug, Default, PartialEq)]
struct Count {
    /// Good and verified.
    verified: usize,
    /// Good by a symmetric key, which must be worth nothing where a set publishes it.
    symmetric: usize,
    /// Bad and refused.
    refused: usize,
    /// Good and refused all the same.
    strict: Vec<usize>,
    /// Bad and verified all the same.
    lax: Vec<usize>,
}

/// Whether `token` is verified as a token of an issuer that publishes `public`, a key or a set of keys, would be.
fn verifies(public: &Value, token: &str) -> bool {
    let set = if public.get("keys").is_some() { public.clone() } else { json!({"keys": [public]}) };
    let Ok(keys) = KeySet::read(set.to_string().as_bytes()) else { return false };
    let Ok(jws) = Jws::read(token, 64 * 1024) else { return false };
    let Some(algorithm) = Algorithm::parse(&jws.header.algorithm) else { return false };
    keys.find(jws.header.key_id.as_deref(), algorithm).is_ok_and(|key| key.verifies(jws.signed, jws.signature, algorithm))
}

fn count(name: TestName) -> Count {
    let set = TestSet::load(name).unwrap();
    let mut count = Count::default();
    for group in &set.test_groups {
        // what is symmetric has no public half: a set that publishes the secret is tried in its place
        let public = group.public_key.as_ref().or(group.private_key.as_ref()).unwrap();
        let symmetric = group.public_key.is_none();
        for test in &group.tests {
            let verified = test.jws.as_ref().and_then(Value::as_str).is_some_and(|token| verifies(public, token));
            match (test.result.must_fail() || symmetric, verified) {
                (true, true) => count.lax.push(test.tc_id),
                (true, false) if test.result.must_fail() => count.refused += 1,
                (true, false) => count.symmetric += 1,
                (false, true) => count.verified += 1,
                (false, false) => count.strict.push(test.tc_id),
            }
        }
    }
    count
}

#[test]
fn signatures_are_verified_as_they_should_be() {
    // RFC 7520, figures 20 and 27, each twice: signed with PS384 by a key that says `PS256`, and with P-521, which no issuer here uses
    let strict = vec![346, 347, 350, 351];
    assert_eq!(count(TestName::JsonWebSignature), Count { verified: 32, symmetric: 10, refused: 355, strict, lax: vec![] });
}

#[test]
fn keys_that_are_wrong_or_weak_verify_nothing() {
    assert_eq!(count(TestName::JsonWebKey), Count { verified: 1, symmetric: 4, refused: 21, strict: vec![], lax: vec![] });
}
