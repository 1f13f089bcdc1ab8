//! Token endpoints that are slow, away, at fault or refuse: what each request is told, whom it touches, and how it ends.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    caller::{World, caller},
    endpoint::Mood,
};
use crate::model::Reason;

fn says(status: u16, body: &str) -> Mood {
    Mood::Says(status, body.to_owned(), None)
}

fn token(changes: &Value) -> Mood {
    let mut body = json!({"access_token": "dbx-x", "token_type": "Bearer", "expires_in": 3600});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    says(200, &body.to_string())
}

fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims))
}

#[tokio::test]
async fn what_an_endpoint_answers_is_a_credential_a_refusal_or_a_fault() {
    let now = crate::clock::Clock::default().now();
    let unavailable = Reason::CredentialUnavailable;
    let refused = Reason::CredentialRefused;
    for (mood, reason, said) in [
        (says(400, r#"{"error":"invalid_grant","error_description":"no policy"}"#), refused, "(`invalid_grant`)"),
        (says(401, r#"{"error":"invalid_client"}"#), refused, "look at the client"),
        (says(403, r#"{"error":"access_denied"}"#), refused, "a federation policy that trusts the issuer"),
        (says(400, r#"{"error":"invalid_scope"}"#), refused, "scope"),
        (says(400, r#"{"error_code":"INVALID_PARAMETER_VALUE"}"#), refused, "(status 400)"),
        // what stands before it refuses whoever calls
        (says(400, "<html>"), unavailable, "status 400 and no OAuth error"),
        (says(401, ""), unavailable, "status 401 and no OAuth error"),
        (says(403, "<!doctype html>"), unavailable, "status 403 and no OAuth error"),
        (says(400, r#"{"error":"a b\r\nc"}"#), refused, "(status 400)"),
        (says(200, "<html>"), unavailable, "gives no answer that can be used"),
        (says(200, "[]"), unavailable, "not a JSON object"),
        (says(200, r#"{"access_token":"a","access_token":"b","token_type":"Bearer","expires_in":3600}"#), unavailable, "not strict JSON"),
        (token(&json!({"access_token": null})), unavailable, "no `access_token`"),
        (token(&json!({"access_token": ""})), unavailable, "cannot stand in a header"),
        (token(&json!({"access_token": "a\r\nx-evil: 1"})), unavailable, "cannot stand in a header"),
        (token(&json!({"access_token": "a".repeat(20_000)})), unavailable, "cannot stand in a header"),
        (token(&json!({"token_type": null})), unavailable, "no `token_type`"),
        (token(&json!({"token_type": "DPoP"})), unavailable, "not `Bearer`"),
        (token(&json!({"expires_in": null})), unavailable, "`expires_in`"),
        (token(&json!({"expires_in": "3600"})), unavailable, "`expires_in`"),
        (token(&json!({"expires_in": 1e300})), unavailable, "`expires_in`"),
        (token(&json!({"expires_in": 40})), unavailable, "lives 40 s"),
        (token(&json!({"expires_in": -5})), unavailable, "lives -5 s"),
        (token(&json!({"access_token": jwt(&json!({"exp": now - 10, "aud": "1234"}))})), unavailable, "lives -1"),
        (token(&json!({"access_token": jwt(&json!({"exp": now + 3600, "aud": "5678"}))})), unavailable, "is for `5678`"),
        (token(&json!({"access_token": jwt(&json!({"exp": now + 3600, "aud": ["5678", "9"]}))})), unavailable, "is for `5678`, `9`"),
        (says(302, ""), unavailable, "status 302"),
        (says(404, "{}"), unavailable, "status 404"),
        (says(500, "{}"), unavailable, "status 500"),
        (says(503, "{}"), unavailable, "status 503"),
        (says(429, "{}"), unavailable, "status 429"),
    ] {
        let world = World::start().await;
        world.endpoint.be(mood.clone());
        let refusal = world.authorization(&caller("alice", 3600)).await.unwrap_err();
        assert!(refusal.reason == reason && refusal.whole().contains(said), "{mood:?}: {refusal:?}");
        assert!(!refusal.whole().chars().any(char::is_control), "{refusal:?}");
        assert!(reason.is_fault() || refusal.detail.contains("`alice`"), "{refusal:?}");
    }
    for good in [
        token(&json!({"token_type": "bearer"})),
        token(&json!({"access_token": jwt(&json!({"exp": now + 3600, "aud": "1234"}))})),
        token(&json!({"access_token": jwt(&json!({"exp": now + 3600, "aud": ["x", "1234"]}))})),
        token(&json!({"access_token": jwt(&json!({"sub": "x"}))})),
        token(&json!({"access_token": "a.b.c"})),
    ] {
        let world = World::start().await;
        world.endpoint.be(good.clone());
        assert!(world.authorization(&caller("alice", 3600)).await.is_ok(), "{good:?}");
    }
}

#[tokio::test]
async fn what_an_endpoint_repeats_of_a_token_is_told_to_nobody() {
    let world = World::start().await;
    let echoed = jwt(&json!({"sub": "alice"}));
    world
        .endpoint
        .be(says(400, &json!({"error": "invalid_grant", "error_description": format!("bad token {echoed} or dapi0123456789 \r\n!")}).to_string()));
    let refusal = world.authorization(&caller("alice", 3600)).await.unwrap_err();
    let told = format!("{refusal:?}");
    assert!(refusal.whole().contains("bad token … or … !"), "{told}");
    assert!(!told.contains("eyJ") && !told.contains("dapi0"), "{told}");
    assert!(!refusal.detail.contains("bad token"), "what Databricks says is for operators");
}

#[tokio::test]
async fn a_refusal_of_one_caller_is_remembered_and_touches_nobody_else() {
    let world = World::start().await;
    world.endpoint.be(says(400, r#"{"error":"invalid_grant"}"#));
    for _ in 0..50 {
        world.authorization(&caller("mallory", 3600)).await.unwrap_err();
    }
    assert_eq!(world.endpoint.count(), 1);
    for number in 0..20 {
        world.authorization(&caller(&format!("mallory-{number}"), 3600)).await.unwrap_err();
    }
    world.endpoint.be(Mood::Well);
    world.authorization(&caller("alice", 3600)).await.unwrap();
    world.clock.shift(5_001);
    world.authorization(&caller("mallory", 3600)).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_is_away_is_asked_seldom_and_is_back_two_seconds_after_it_is() {
    let mut world = World::start().await;
    world.endpoint.close().await;
    let mut now = 0;
    for number in 0..200 {
        now += 50;
        world.clock.shift(now);
        let refusal = world.authorization(&caller(&format!("caller-{number}"), 3600)).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::CredentialUnavailable);
        assert!(number < 3 || refusal.since.is_some(), "how long it has been failing is known");
    }
    assert!(world.status().open && world.status().degraded);
    world.endpoint.open().await;
    let mut step = 0;
    let took = loop {
        world.clock.shift(now + step * 50);
        if world.authorization(&caller("alice", 3600)).await.is_ok() {
            break step * 50;
        }
        step += 1;
        assert!(step < 100, "it never comes back");
    };
    assert!(took <= 2_000, "{took} ms");
    assert_eq!((world.status().open, world.status().last_error), (false, None));
}

#[tokio::test]
async fn one_that_hangs_keeps_nobody_from_noticing_that_it_is_back() {
    let world = World::start().await;
    for number in 0..3 {
        world.endpoint.be(says(500, ""));
        world.authorization(&caller(&format!("caller-{number}"), 3600)).await.unwrap_err();
    }
    assert!(world.status().open);
    world.clock.shift(1_001);
    world.endpoint.be(Mood::Slow(Duration::from_mins(1)));
    // It sets out to see whether the endpoint is back, and does not return.
    assert!(tokio::time::timeout(Duration::from_millis(100), world.authorization(&caller("bob", 3600))).await.is_err());
    world.endpoint.be(Mood::Well);
    world.clock.shift(2_002);
    world.authorization(&caller("alice", 3600)).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_says_when_is_left_alone_until_then_and_not_for_ever() {
    for (says_s, waits_s) in [(7, 7), (100_000, 60)] {
        let world = World::start().await;
        world.endpoint.be(Mood::Says(429, String::new(), Some(says_s)));
        world.authorization(&caller("alice", 3600)).await.unwrap_err();
        world.endpoint.be(Mood::Well);
        for ms in [0, 1_000, waits_s * 1000 - 100] {
            world.clock.shift(ms);
            let refusal = world.authorization(&caller("bob", 3600)).await.unwrap_err();
            assert_eq!((refusal.reason, world.endpoint.count()), (Reason::CredentialUnavailable, 1), "{ms}");
        }
        world.clock.shift(waits_s * 1000 + 100);
        world.authorization(&caller("bob", 3600)).await.unwrap();
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_leaves_no_endpoint_alone_for_longer() {
    let world = World::start().await;
    world.clock.shift(3_600_000);
    world.endpoint.be(Mood::Says(429, String::new(), Some(60)));
    world.authorization(&caller("alice", 9_999)).await.unwrap_err();
    world.clock.shift(0);
    world.endpoint.be(Mood::Says(429, String::new(), Some(7)));
    world.authorization(&caller("bob", 9_999)).await.unwrap_err();
    assert_eq!(world.endpoint.count(), 2, "it was asked");
    world.endpoint.be(Mood::Well);
    for (ms, good) in [(6_500, false), (7_500, true)] {
        world.clock.shift(ms);
        assert_eq!(world.authorization(&caller("carol", 9_999)).await.is_ok(), good, "{ms}");
    }
}
