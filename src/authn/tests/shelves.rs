//! Key sets that outlive the process, and are fetched again before anybody needs them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use serde_json::{Value, json};

use super::world::{CORP, Forge, Idp, NEXT, ask, client, config, eventually, issuer, reason};
use crate::{
    authn::{Authenticator, Config, Provider, Trail},
    clock::Clock,
    model::Reason,
};

fn stage(idp: &Idp, folder: &Path, clock: &Clock) -> Authenticator {
    let config = Config { state_dir: Some(folder.to_owned()), ..config(vec![issuer("corp", &idp.url, Provider::Generic)]) };
    Authenticator::new(config, client(), clock.clone(), None).unwrap()
}

/// An issuer whose keys have been stored in the folder.
async fn stored() -> (Arc<Idp>, tempfile::TempDir, Clock) {
    let (idp, folder, clock) = (Idp::start(&[&CORP]).await, tempfile::tempdir().unwrap(), Clock::default());
    let authn = stage(&idp, folder.path(), &clock);
    authn.refresh();
    eventually(|| folder.path().join("keys-corp.json").exists()).await;
    (idp, folder, clock)
}

#[tokio::test]
async fn a_stored_set_serves_while_the_issuer_is_down_and_until_it_is_too_old() {
    let (idp, folder, clock) = stored().await;
    let mode = fs::metadata(folder.path().join("keys-corp.json")).unwrap().permissions().mode();
    assert_eq!((mode & 0o777, fs::read_dir(folder.path()).unwrap().count()), (0o600, 1));
    idp.fail();
    let token = Forge::new(&idp.url, &CORP).claims(&json!({"exp": clock.now() + 80_000})).token();
    for minutes in [0, 1, 59] {
        clock.shift(minutes * 60_000);
        assert!(ask(&stage(&idp, folder.path(), &clock), &token).await.is_ok(), "after {minutes} min");
    }
    clock.shift(61 * 60_000);
    assert_eq!(reason(ask(&stage(&idp, folder.path(), &clock), &token).await, "too old"), Reason::KeysUnavailable);
    clock.shift(-60_000);
    assert_eq!(reason(ask(&stage(&idp, folder.path(), &clock), &token).await, "of the future"), Reason::KeysUnavailable);
}

#[tokio::test]
async fn a_fetched_set_replaces_the_stored_one() {
    let (idp, folder, clock) = stored().await;
    idp.publish(&[&NEXT]);
    clock.shift(61_000);
    let authn = stage(&idp, folder.path(), &clock);
    authn.refresh();
    eventually(|| authn.status()[0].keys == ["corp-2"]).await;
    assert_eq!(reason(ask(&authn, &Forge::new(&idp.url, &CORP).token()).await, "withdrawn"), Reason::TokenUnknownKey);
    eventually(|| fs::read_to_string(folder.path().join("keys-corp.json")).unwrap().contains("corp-2")).await;
    idp.fail();
    assert!(ask(&stage(&idp, folder.path(), &clock), &Forge::new(&idp.url, &NEXT).token()).await.is_ok());
}

#[tokio::test]
async fn a_file_that_is_not_what_was_stored_is_of_no_use() {
    let (idp, folder, clock) = stored().await;
    let (file, token) = (folder.path().join("keys-corp.json"), Forge::new(&idp.url, &CORP).token());
    let good: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    idp.fail();
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed.to_string()
    };
    let bad = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        with("format", json!("lakegate key set 2")),
        with("issuer", json!("https://other.example")),
        with("source", json!("https://other.example/keys")),
        with("fetched_ms", json!("now")),
        with("fetched_ms", json!(clock.now_ms() + 60_000)),
        with("key_set", json!("{}")),
        with("key_set", json!({"keys": [CORP.jwk]})),
        with("key_set", json!(json!({"keys": [{"kty": "oct", "k": "AAAA"}]}).to_string())),
    ];
    for text in bad {
        fs::write(&file, &text).unwrap();
        assert_eq!(reason(ask(&stage(&idp, folder.path(), &clock), &token).await, &text), Reason::KeysUnavailable, "{text}");
    }
    fs::write(&file, good.to_string()).unwrap();
    assert!(ask(&stage(&idp, folder.path(), &clock), &token).await.is_ok());
}

#[tokio::test]
async fn what_does_not_serve_stores_nothing() {
    let (idp, folder, clock) = (Idp::start(&[&CORP]).await, tempfile::tempdir().unwrap(), Clock::default());
    let authn = stage(&idp, folder.path(), &clock);
    assert!(authn.examine(&Forge::new(&idp.url, &CORP).token(), &mut Trail::default()).await.is_ok());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn keys_of_an_idle_issuer_are_fetched_again_well_before_they_are_a_minute_old() {
    let (idp, folder, clock) = stored().await;
    let authn = stage(&idp, folder.path(), &clock);
    for (second, fetches) in [(10, 1), (20, 1), (29, 1), (31, 2), (40, 2), (59, 2), (62, 3)] {
        clock.shift(second * 1000);
        authn.refresh();
        eventually(|| idp.fetches() >= fetches).await;
        eventually(|| authn.status()[0].fetched_at.is_some_and(|at| clock.now() - at < 31)).await;
        assert_eq!(idp.fetches(), fetches, "at {second} s");
    }
}
