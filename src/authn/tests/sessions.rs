//! How old a session may be, and how long it may rest.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::*;
use crate::{
    authn::{Authenticator, Provider, SessionLimits, Trail},
    clock::Clock,
    model::Reason,
};

const HOUR: i64 = 3600;

async fn limited(longest_s: Option<i64>, idle_s: Option<i64>) -> (Arc<Idp>, Authenticator, Clock) {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let mut corp = issuer("corp", &idp.url, Provider::Generic);
    corp.session = SessionLimits { longest_s, idle_s };
    // Moving the clock must not make the keys old
    (corp.refresh_s, corp.max_stale_s) = (100 * HOUR, 200 * HOUR);
    let authn = authenticator(vec![corp], &clock);
    (idp, authn, clock)
}

#[tokio::test]
async fn a_session_ends_with_its_age_whatever_its_tokens_are() {
    let (idp, authn, clock) = limited(Some(12 * HOUR), None).await;
    let now = clock.now();
    let forge = Forge::new(&idp.url, &CORP);
    for (claims, refused) in [
        (json!({}), None),
        (json!({"auth_time": now - 12 * HOUR}), None),
        (json!({"auth_time": now - 12 * HOUR - 60}), Some(Reason::SessionTooOld)),
        (json!({"auth_time": 0}), Some(Reason::SessionTooOld)),
        (json!({"auth_time": null}), Some(Reason::TokenBadClaims)),
        (json!({"auth_time": now + 120}), Some(Reason::TokenBadClaims)),
        (json!({"auth_time": "1"}), Some(Reason::TokenBadClaims)),
        // A program signs in with each token
        (json!({"sub": "notebooks", "auth_time": null}), None),
        (json!({"sub": "notebooks", "auth_time": null, "iat": now - 13 * HOUR}), Some(Reason::SessionTooOld)),
        (json!({"sub": "notebooks", "auth_time": null, "iat": null}), Some(Reason::TokenBadClaims)),
    ] {
        let forge = forge.clone().claims(&claims);
        let answer = ask(&authn, &forge.token()).await;
        assert_eq!(answer.as_ref().err().map(|refusal| refusal.reason), refused, "{claims}: {answer:?}");
        let told = authn.caller_from_claims_at(forge.claims.to_string().as_bytes(), None, now);
        assert_eq!(told.err().map(|refusal| refusal.reason), refused, "{claims}, told");
    }
}

#[tokio::test]
async fn a_known_token_is_refused_once_its_session_is_too_old() {
    let (idp, authn, clock) = limited(Some(HOUR), None).await;
    let now = clock.now();
    let token = Forge::new(&idp.url, &CORP).claims(&json!({"exp": now + 9 * HOUR, "auth_time": now - 60})).token();
    let known = ask(&authn, &token).await.unwrap();
    clock.shift((HOUR - 120) * 1000);
    ask(&authn, &token).await.unwrap();
    clock.shift(HOUR * 1000);
    assert_eq!(reason(ask(&authn, &token).await, "old"), Reason::SessionTooOld);
    assert_eq!(reason(authn.examine(&token, &mut Trail::default()).await, "old"), Reason::SessionTooOld);
    // Facts of a test of policies are held to the same
    let told = (*known).clone();
    authn.caller_from_facts_at(told.clone(), None, now).unwrap();
    assert_eq!(reason(authn.caller_from_facts_at(told, None, now + HOUR), "told"), Reason::SessionTooOld);
}

#[tokio::test]
async fn a_session_that_rests_too_long_has_ended() {
    let (idp, authn, clock) = limited(None, Some(HOUR / 2)).await;
    let now = clock.now();
    let forge = Forge::new(&idp.url, &CORP).claims(&json!({"exp": now + 9 * HOUR}));
    let token = forge.token();
    let other = forge.clone().claims(&json!({"sid": "s2"})).token();
    ask(&authn, &token).await.unwrap();
    ask(&authn, &other).await.unwrap();
    // Used every twenty minutes it goes on, whichever of its tokens is used
    for (minutes, token) in [(20, &token), (40, &forge.clone().claims(&json!({"jti": "j2"})).token()), (60, &token)] {
        clock.shift(minutes * 60_000);
        ask(&authn, token).await.unwrap();
    }
    assert_eq!(reason(ask(&authn, &other).await, "idle"), Reason::SessionIdle);
    clock.shift(91 * 60_000);
    assert_eq!(reason(ask(&authn, &token).await, "idle"), Reason::SessionIdle);
    // Asking is no sign of life of what has ended
    assert_eq!(reason(ask(&authn, &token).await, "still idle"), Reason::SessionIdle);
    // A token that was issued since is
    let renewed = forge.claims(&json!({"iat": now + 90 * 60, "nbf": null})).token();
    ask(&authn, &renewed).await.unwrap();
    ask(&authn, &token).await.unwrap();
}

#[tokio::test]
async fn a_session_that_was_never_seen_lives_since_its_token_was_issued() {
    let (idp, authn, clock) = limited(None, Some(HOUR / 2)).await;
    let now = clock.now();
    let forge = Forge::new(&idp.url, &CORP);
    for (claims, refused) in [
        (json!({"iat": now - HOUR / 2 + 5}), None),
        (json!({"iat": now - HOUR, "sid": "s2"}), Some(Reason::SessionIdle)),
        (json!({"iat": null, "sid": "s3"}), Some(Reason::TokenBadClaims)),
        // Without `sid`, subject and client are the session
        (json!({"iat": now - HOUR, "sid": null}), Some(Reason::SessionIdle)),
        (json!({"sid": null}), None),
        (json!({"iat": now - HOUR, "sid": null, "jti": "j2"}), None),
        (json!({"iat": now - HOUR, "sid": null, "azp": "other"}), Some(Reason::SessionIdle)),
        (json!({"iat": now - HOUR, "sid": null, "sub": "bob"}), Some(Reason::SessionIdle)),
    ] as [(Value, Option<Reason>); 8]
    {
        let answer = ask(&authn, &forge.clone().claims(&claims).token()).await;
        assert_eq!(answer.as_ref().err().map(|refusal| refusal.reason), refused, "{claims}: {answer:?}");
    }
}

#[tokio::test]
async fn a_reload_forgets_no_session() {
    let (idp, authn, clock) = limited(None, Some(HOUR / 2)).await;
    let now = clock.now();
    let token = Forge::new(&idp.url, &CORP).claims(&json!({"exp": now + 9 * HOUR})).token();
    ask(&authn, &token).await.unwrap();
    clock.shift(20 * 60_000);
    ask(&authn, &token).await.unwrap();
    let mut corp = issuer("corp", &idp.url, Provider::Generic);
    (corp.session.idle_s, corp.leeway_s) = (Some(HOUR / 2), 20);
    (corp.refresh_s, corp.max_stale_s) = (100 * HOUR, 200 * HOUR);
    let next = Authenticator::new(config(vec![corp]), client(), clock.clone(), Some(&authn)).unwrap();
    clock.shift(40 * 60_000);
    ask(&next, &token).await.unwrap();
}
