//! Keys over time: one fetch for many, rotation, withdrawal, floods, faults, reloads.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use prometheus_client::registry::Registry;
use serde_json::json;

use super::world::{CORP, Forge, Idp, NEXT, PEER, ask, call, client, config, corp, eventually, issuer, reason};
use crate::{
    authn::{Authenticator, ClaimPath, IssuerConfig, KeySource, Provider},
    clock::Clock,
    model::{Name, Reason},
    net::Endpoint,
};

#[tokio::test]
async fn many_first_requests_fetch_once() {
    let (idp, authn, _) = corp().await;
    idp.hold(true);
    let tokens: Vec<String> = (0..100).map(|i| Forge::new(&idp.url, &CORP).claims(&json!({"sub": format!("u{i}")})).token()).collect();
    let began = Instant::now();
    let asks = join_all(tokens.iter().map(|token| ask(&authn, token)));
    let release = async {
        idp.asked(1).await;
        idp.hold(false);
    };
    let (results, ()) = futures::join!(asks, release);
    // Only who has waited for two seconds, on a very slow machine, may have lost patience.
    let patient = began.elapsed() < Duration::from_secs(2);
    for result in results {
        assert!(result.as_ref().map_or_else(|refusal| !patient && refusal.reason == Reason::KeysUnavailable, |_| true), "{result:?}");
    }
    eventually(|| !authn.status()[0].keys.is_empty()).await;
    for token in &tokens {
        assert!(ask(&authn, token).await.is_ok());
    }
    assert_eq!(idp.fetches(), 1);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_end_the_fetch_for_others() {
    let (idp, authn, _) = corp().await;
    let authn = Arc::new(authn);
    idp.hold(true);
    let token = Forge::new(&idp.url, &CORP).token();
    let (stage, asked) = (Arc::clone(&authn), token.clone());
    let first = tokio::spawn(async move { ask(&stage, &asked).await });
    idp.asked(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    idp.hold(false);
    eventually(|| !authn.status()[0].keys.is_empty()).await;
    assert!(ask(&authn, &token).await.is_ok());
    assert_eq!(idp.fetches(), 1);
}

#[tokio::test]
async fn a_rotated_key_counts_at_once_and_the_old_one_while_it_is_published() {
    let (idp, authn, _) = corp().await;
    let (old, new) = (Forge::new(&idp.url, &CORP), Forge::new(&idp.url, &NEXT));
    assert!(ask(&authn, &old.token()).await.is_ok());
    idp.publish(&[&CORP, &NEXT]);
    assert!(ask(&authn, &new.token()).await.is_ok());
    assert!(ask(&authn, &old.token()).await.is_ok());
    assert_eq!(idp.fetches(), 2);
}

#[tokio::test]
async fn unknown_keys_do_not_flood_the_issuer() {
    let (idp, authn, clock) = corp().await;
    let began = clock.now_ms();
    for i in 0..200 {
        let token = Forge::new(&idp.url, &CORP).header(&json!({"kid": format!("made-up-{i}")})).token();
        assert_eq!(reason(ask(&authn, &token).await, "made up"), Reason::TokenUnknownKey);
    }
    let intervals = usize::try_from((clock.now_ms() - began) / 5_000).unwrap();
    assert!(idp.fetches() <= 2 + intervals, "{} fetches", idp.fetches());
}

#[tokio::test]
async fn an_issuer_that_is_down_does_not_matter_until_its_keys_are_too_old() {
    let (idp, authn, clock) = corp().await;
    let long = Forge::new(&idp.url, &CORP).claims(&json!({"exp": clock.now() + 80_000}));
    let cached = long.token();
    assert!(ask(&authn, &cached).await.is_ok());
    idp.fail();
    for minutes in [1, 2, 10, 59] {
        clock.shift(minutes * 60_000);
        let fresh = long.clone().claims(&json!({"jti": format!("j{minutes}")})).token();
        assert!(ask(&authn, &cached).await.is_ok(), "cached, after {minutes} min");
        assert!(ask(&authn, &fresh).await.is_ok(), "fresh, after {minutes} min");
        eventually(|| authn.status()[0].degraded).await;
    }
    let status = authn.status().remove(0);
    assert!(status.last_error.unwrap().contains("500"));
    clock.shift(61 * 60_000);
    for token in [&cached, &long.token()] {
        let refusal = ask(&authn, token).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::KeysUnavailable);
        assert!(refusal.since.is_some_and(|since| since <= clock.now_ms() - 50 * 60_000), "the fault began long ago");
    }
    idp.publish(&[&CORP]);
    clock.shift(62 * 60_000);
    authn.refresh();
    eventually(|| !authn.status()[0].degraded).await;
    assert!(ask(&authn, &cached).await.is_ok());
    assert_eq!(authn.status()[0].last_error, None);
}

#[tokio::test]
async fn a_slow_issuer_holds_up_nobody_while_its_keys_are_young_enough() {
    let (idp, authn, clock) = corp().await;
    let token = Forge::new(&idp.url, &CORP).token();
    assert!(ask(&authn, &token).await.is_ok());
    idp.hold(true);
    clock.shift(40_000);
    let header = format!("Bearer {token}");
    let call = call(PEER, Some(&header));
    let polled = futures::FutureExt::now_or_never(authn.authenticate(&call));
    assert!(polled.expect("it did not wait").is_ok());
    idp.asked(2).await;
    idp.hold(false);
}

#[tokio::test]
async fn a_verified_token_is_answered_without_waiting() {
    let (idp, authn, _) = corp().await;
    let token = Forge::new(&idp.url, &CORP).token();
    let first = ask(&authn, &token).await.unwrap();
    let header = format!("Bearer {token}");
    let call = call(PEER, Some(&header));
    let second = futures::FutureExt::now_or_never(authn.authenticate(&call)).unwrap().unwrap().token.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn a_withdrawn_key_stops_verifying_cached_tokens_too() {
    for shift in [61_000, 130_000] {
        let (idp, authn, clock) = corp().await;
        let token = Forge::new(&idp.url, &CORP).token();
        assert!(ask(&authn, &token).await.is_ok());
        idp.publish(&[&NEXT]);
        clock.shift(shift);
        let _ = ask(&authn, &token).await;
        eventually(|| authn.status()[0].keys == ["corp-2"]).await;
        assert_eq!(reason(ask(&authn, &token).await, "withdrawn"), Reason::TokenUnknownKey);
        // The same id with another key is another key.
        let renamed = NEXT.jwk_with(&json!({"kid": "corp-1"}));
        idp.publish_jwks(&json!({"keys": [renamed]}));
        clock.shift(shift * 3);
        let _ = ask(&authn, &token).await;
        eventually(|| authn.status()[0].keys == ["corp-1"]).await;
        assert_eq!(reason(ask(&authn, &token).await, "replaced"), Reason::TokenBadSignature);
    }
}

#[tokio::test]
async fn a_poisoned_key_set_changes_nothing() {
    let poison = [
        json!({"keys": [CORP.jwk, {"kty": "oct", "kid": "x", "k": "AAAA"}]}),
        json!({"keys": [CORP.jwk_with(&json!({"d": "AQAB"}))]}),
        json!({"keys": [NEXT.jwk, NEXT.jwk]}),
        json!({"keys": []}),
        json!({}),
        json!("x".repeat(300_000)),
    ];
    let (idp, authn, clock) = corp().await;
    let token = Forge::new(&idp.url, &CORP).token();
    assert!(ask(&authn, &token).await.is_ok());
    for (i, set) in poison.iter().enumerate() {
        idp.publish_jwks(set);
        let fetches = idp.fetches();
        clock.shift(70_000 + 15_000 * i64::try_from(i).unwrap());
        // Again and again: the fetch before may not have ended yet, or make this one wait.
        eventually(|| {
            authn.refresh();
            idp.fetches() > fetches
        })
        .await;
        eventually(|| authn.status()[0].degraded).await;
        assert!(ask(&authn, &token).await.is_ok(), "{i}");
        assert_eq!(authn.status()[0].keys, ["corp-1"], "{i}");
    }
}

#[tokio::test]
async fn without_keys_there_is_no_caller_and_no_hammering() {
    let (idp, authn, clock) = corp().await;
    idp.fail();
    let token = Forge::new(&idp.url, &CORP).token();
    let began = clock.now_ms();
    for _ in 0..50 {
        let refusal = ask(&authn, &token).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::KeysUnavailable);
        assert!(refusal.since.is_some_and(|since| since >= began && since <= clock.now_ms()));
    }
    let seconds = usize::try_from((clock.now_ms() - began) / 1000).unwrap();
    assert!(idp.fetches() <= 1 + seconds, "{} fetches", idp.fetches());
    idp.publish(&[&CORP]);
    clock.shift(11_000);
    assert!(ask(&authn, &token).await.is_ok());
}

#[tokio::test]
async fn a_cached_token_ends_with_its_time() {
    let (idp, authn, clock) = corp().await;
    let token = Forge::new(&idp.url, &CORP).token();
    assert!(ask(&authn, &token).await.is_ok());
    clock.shift(700_000);
    assert_eq!(reason(ask(&authn, &token).await, "later"), Reason::TokenExpired);
    clock.shift(-700_000);
    assert_eq!(reason(ask(&authn, &token).await, "earlier"), Reason::TokenNotYetValid);
    clock.shift(0);
    assert!(ask(&authn, &token).await.is_ok());
}

#[tokio::test]
async fn a_reload_keeps_what_is_configured_as_before_and_nothing_else() {
    let (idp, first, clock) = corp().await;
    let same = issuer("corp", &idp.url, Provider::Generic);
    let token = Forge::new(&idp.url, &CORP).token();
    let known = ask(&first, &token).await.unwrap();
    idp.fail();
    let second = Authenticator::new(config(vec![same.clone()]), client(), clock.clone(), Some(&first)).unwrap();
    assert!(Arc::ptr_eq(&known, &ask(&second, &token).await.unwrap()));
    assert_eq!(idp.fetches(), 1);
    let mut stricter = same.clone();
    stricter.audiences = vec!["another".to_owned()];
    let third = Authenticator::new(config(vec![stricter]), client(), clock.clone(), Some(&second)).unwrap();
    assert_eq!(reason(ask(&third, &token).await, "stricter"), Reason::TokenWrongAudience);
    let gone = Authenticator::new(config(vec![]), client(), clock, Some(&third)).unwrap();
    assert_eq!(reason(ask(&gone, &token).await, "gone"), Reason::TokenUnknownIssuer);
}

/// The keys belong to the issuer and the place they come from; what was verified with them belongs to the rules it was verified under.
#[tokio::test]
async fn a_reload_of_other_rules_keeps_the_keys_of_an_issuer_that_is_down_but_verifies_again() {
    let same = IssuerConfig { audiences: vec!["lakegate".to_owned()], ..IssuerConfig::new(Name::parse("corp").unwrap(), "", Provider::Generic) };
    let changed = [
        ("audience", IssuerConfig { audiences: ["another", "lakegate"].map(str::to_owned).to_vec(), ..same.clone() }),
        ("subject", IssuerConfig { subject_claim: "azp".to_owned(), ..same.clone() }),
        ("groups", IssuerConfig { groups_claim: Some(ClaimPath::parse("roles").unwrap()), ..same.clone() }),
        ("times", IssuerConfig { refresh_s: 30, ..same.clone() }),
        ("name", IssuerConfig { name: Name::parse("renamed").unwrap(), ..same }),
    ];
    for (what, other) in changed {
        let (idp, first, clock) = corp().await;
        let token = Forge::new(&idp.url, &CORP).token();
        let known = ask(&first, &token).await.unwrap();
        idp.fail();
        let other = IssuerConfig { issuer: idp.url.clone(), ..other };
        let second = Authenticator::new(config(vec![other]), client(), clock.clone(), Some(&first)).unwrap();
        assert_eq!(second.status()[0].fetched_at, first.status()[0].fetched_at, "{what}");
        let again = ask(&second, &token).await.unwrap_or_else(|refusal| panic!("{what}: {refusal:?}"));
        assert!(!Arc::ptr_eq(&known, &again), "{what}: verified under other rules");
        assert_eq!(again.subject, if what == "subject" { "notebooks" } else { "alice" }, "{what}");
        assert_eq!(idp.fetches(), 1, "{what}");
        // What is learned of the issuer after the reload is learned for both.
        clock.shift(70_000);
        second.refresh();
        eventually(|| first.status()[0].degraded).await;
    }
}

#[tokio::test]
async fn another_issuer_or_another_place_has_its_own_keys() {
    let (idp, first, clock) = corp().await;
    ask(&first, &Forge::new(&idp.url, &CORP).token()).await.unwrap();
    let mut named = issuer("corp", &idp.url, Provider::Generic);
    named.keys = KeySource::Uri(Endpoint::parse(&format!("{}/certs", idp.url)).unwrap());
    let mut elsewhere = issuer("corp", "https://idp.example", Provider::Generic);
    elsewhere.keys.clone_from(&named.keys);
    let second = Authenticator::new(config(vec![named]), client(), clock.clone(), Some(&first)).unwrap();
    assert_eq!(second.status()[0].fetched_at, None, "another place");
    second.refresh();
    eventually(|| second.status()[0].fetched_at.is_some()).await;
    let third = Authenticator::new(config(vec![elsewhere]), client(), clock, Some(&second)).unwrap();
    assert_eq!(third.status()[0].fetched_at, None, "another issuer");
}

#[tokio::test]
async fn a_stage_without_room_to_remember_verifies_again() {
    let (idp, first, clock) = corp().await;
    let token = Forge::new(&idp.url, &CORP).token();
    let known = ask(&first, &token).await.unwrap();
    let mut tiny = config(vec![issuer("corp", &idp.url, Provider::Generic)]);
    tiny.cache_bytes = 0;
    let second = Authenticator::new(tiny, client(), clock, Some(&first)).unwrap();
    for _ in 0..3 {
        let again = ask(&second, &token).await.unwrap();
        assert!(!Arc::ptr_eq(&known, &again));
        assert_eq!(known, again, "cached or not, the facts are the same");
    }
    assert_eq!(idp.fetches(), 1);
}

#[tokio::test]
async fn keys_can_be_fetched_ahead_and_from_a_named_address() {
    let idp = Idp::start(&[&CORP]).await;
    let mut named = issuer("corp", "https://idp.example", Provider::Generic);
    named.keys = KeySource::Uri(Endpoint::parse(&format!("{}/certs", idp.url)).unwrap());
    let authn = super::world::authenticator(vec![named], &Clock::default());
    assert_eq!(authn.status()[0].fetched_at, None);
    authn.refresh();
    eventually(|| authn.status()[0].fetched_at.is_some()).await;
    authn.refresh();
    assert!(ask(&authn, &Forge::new("https://idp.example", &CORP).token()).await.is_ok());
    assert_eq!(idp.fetches(), 1);
}

#[tokio::test]
async fn metrics_count_on_across_reloads() {
    let (idp, first, clock) = corp().await;
    let mut registry = Registry::default();
    first.register(&mut registry);
    let token = Forge::new(&idp.url, &CORP).token();
    for _ in 0..3 {
        ask(&first, &token).await.unwrap();
    }
    let mut other = issuer("corp", &idp.url, Provider::Generic);
    other.leeway_s = 10;
    let second = Authenticator::new(config(vec![other]), client(), clock, Some(&first)).unwrap();
    ask(&second, &token).await.unwrap();
    ask(&second, "nonsense").await.unwrap_err();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "lakegate_authn_tokens_total{result=\"cached\"} 2",
        "lakegate_authn_tokens_total{result=\"verified\"} 2",
        "lakegate_authn_tokens_total{result=\"refused\"} 1",
        "lakegate_authn_key_fetches_total{issuer=\"corp\",result=\"ok\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
