//! What holds for every input.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::world::{Forge, Key, KeyFile, PEER, ask, authenticator, b64, call};
use crate::{
    authn::{Authenticator, Provider, Trail},
    clock::Clock,
};

/// A stage with a fast key in a file, so that nothing has to be fetched.
struct Stage {
    key: Key,
    authn: Authenticator,
    runtime: tokio::runtime::Runtime,
}

static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let key = Key::ed25519("ed");
    let file = KeyFile::new(&json!({"keys": [key.jwk]}));
    let authn = authenticator(vec![file.issuer(Provider::Generic)], &Clock::default());
    Stage { key, authn, runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap() }
});

fn token(key: &Key) -> String {
    Forge::new("https://idp.example", key).header(&json!({"alg": "EdDSA"})).token()
}

#[test]
fn no_bit_of_a_token_can_be_flipped() {
    let Stage { key, authn, runtime } = &*STAGE;
    let token = token(key);
    assert!(runtime.block_on(ask(authn, &token)).is_ok());
    for at in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let flipped = String::from_utf8(bytes).unwrap();
            assert!(runtime.block_on(authn.examine(&flipped, &mut Trail::default())).is_err(), "bit {bit} at {at}");
        }
    }
}

#[test]
fn no_part_of_a_token_can_be_cut_or_lengthened() {
    let Stage { key, authn, runtime } = &*STAGE;
    let token = token(key);
    for at in 0..token.len() {
        let (head, tail) = token.split_at(at);
        let (_, behind) = tail.split_at(1);
        for changed in [head.to_owned(), behind.to_owned(), format!("{head}A{tail}"), format!("{head}{behind}"), format!("{head}.{tail}")] {
            assert!(runtime.block_on(authn.examine(&changed, &mut Trail::default())).is_err(), "{changed} at {at}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_made_up_is_a_token(text in any::<String>(), parts in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..64))) {
        let Stage { authn, runtime, .. } = &*STAGE;
        let encoded = parts.map(b64).join(".");
        let header = b64(r#"{"alg":"EdDSA","kid":"ed"}"#);
        for candidate in [text.clone(), encoded.clone(), format!("{header}.{encoded}"), format!("{header}.{}", encoded.split_once('.').unwrap().1)] {
            prop_assert!(runtime.block_on(authn.examine(&candidate, &mut Trail::default())).is_err());
            let header = format!("Bearer {candidate}");
            prop_assert!(runtime.block_on(authn.authenticate(&call(PEER, Some(&header)))).is_err());
            prop_assert!(runtime.block_on(authn.authenticate(&call(PEER, Some(&candidate)))).is_err());
        }
    }

    #[test]
    fn no_bytes_are_a_workload_by_chance(principal in prop::collection::vec(any::<u8>(), 1..64)) {
        prop_assert!(STAGE.authn.peer(&call(&principal, None)).is_err());
    }

    #[test]
    fn claims_of_any_shape_end_in_an_answer(name in "iss|aud|exp|nbf|iat|sub|groups|roles|scope|scp|act|azp|acr|cnf|typ", text in any::<String>(), number in any::<f64>()) {
        let now = Clock::default().now();
        for value in [json!(text), json!([text]), json!({text.clone(): text}), json!(number), json!([[number]])] {
            let mut claims = json!({"iss": "https://idp.example", "aud": "lakegate", "sub": "alice", "exp": now + 60});
            claims[&name] = value;
            // Only that it ends: some of these are good.
            let _ = STAGE.authn.caller_from_claims(claims.to_string().as_bytes(), None);
        }
    }
}
