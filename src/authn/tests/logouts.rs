//! Logout tokens: what each must say, and what follows from them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::*;
use crate::{
    authn::{Authenticator, LogoutError, Provider},
    clock::Clock,
    model::Reason,
};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

async fn started() -> (Arc<Idp>, Authenticator, Clock) {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let mut corp = issuer("corp", &idp.url, Provider::Generic);
    (corp.logout_audience, corp.min_refetch_s) = (Some("lakegate-client".to_owned()), 1);
    let other = issuer("other", "https://other.example", Provider::Generic);
    let authn = authenticator(vec![corp, other], &clock);
    (idp, authn, clock)
}

/// A good logout token of the session `s1`.
fn forge(idp: &Idp, now: i64) -> Forge<'static> {
    let mut forge = Forge::new(&idp.url, &CORP).header(&json!({"typ": "logout+jwt"}));
    forge.claims = json!({"iss": idp.url, "aud": "lakegate-client", "sub": "alice", "sid": "s1", "iat": now, "exp": now + 120, "jti": "l1", "events": {EVENT: {}}});
    forge
}

async fn end(authn: &Authenticator, token: &str) -> Result<(), LogoutError> {
    let logout = authn.logout("corp", token)?;
    let keys = logout.keys().await?;
    authn.end(logout.verified(&keys)?)
}

#[tokio::test]
async fn what_a_logout_token_must_be() {
    let (idp, authn, clock) = started().await;
    let now = clock.now();
    let good = forge(&idp, now);
    let with = |claims: Value| good.clone().claims(&claims).token();
    let headed = |header: Value| good.clone().header(&header).token();
    let mut foreign = Forge::new(&idp.url, &FOREIGN);
    (foreign.claims, foreign.header) = (good.claims.clone(), good.header.clone());
    for (what, token, said) in [
        ("an access token", Forge::new(&idp.url, &CORP).token(), "`aud`"),
        ("an access token for the client", with(json!({"events": null})), "`events`"),
        ("another event", with(json!({"events": {"http://schemas.openid.net/event/other": {}}})), "`events`"),
        ("an event that is no object", with(json!({"events": {EVENT: true}})), "`events`"),
        ("events that are a list", with(json!({"events": [EVENT]})), "`events`"),
        ("a nonce", with(json!({"nonce": "n"})), "`nonce`"),
        ("an empty nonce", with(json!({"nonce": ""})), "`nonce`"),
        ("another issuer", with(json!({"iss": "https://other.example"})), "`iss`"),
        ("no issuer", with(json!({"iss": null})), "`iss`"),
        ("another audience", with(json!({"aud": "lakegate"})), "`aud`"),
        ("no audience", with(json!({"aud": null})), "`aud`"),
        ("an old one", with(json!({"iat": now - 400, "exp": null})), "`iat`"),
        ("one of a time to come", with(json!({"iat": now + 60})), "`iat`"),
        ("no iat", with(json!({"iat": null})), "`iat`"),
        ("an expired one", with(json!({"iat": now - 200, "exp": now - 80})), "expired"),
        ("no jti", with(json!({"jti": null})), "`jti`"),
        ("a jti that is none", with(json!({"jti": 1})), "`jti`"),
        ("nobody", with(json!({"sub": null, "sid": null})), "`sub`"),
        ("a sid that is none", with(json!({"sid": 7})), "`sid`"),
        ("the type of an access token", headed(json!({"typ": "at+jwt"})), "`typ`"),
        ("a type of its own", headed(json!({"typ": "secevent+jwt"})), "`typ`"),
        ("another key", foreign.token(), "signature"),
        ("an unknown key", headed(json!({"kid": "corp-9"})), "publishes no key"),
        ("no algorithm", format!("{}.{}", headed(json!({"alg": "none"})).rsplit_once('.').unwrap().0, ""), "not signed"),
        ("an HMAC", headed(json!({"alg": "HS256"})), "algorithm"),
        ("no token", "x".to_owned(), "not a JWT"),
        ("a long one", "x".repeat(20_000), "too long"),
    ] {
        let error = end(&authn, &token).await.expect_err(what);
        assert!(matches!(&error, LogoutError::Invalid(message) if message.contains(said)), "{what}: {error:?}");
    }
    assert_eq!(authn.revocations(None, 10, true).revocations, []);
    for name in ["other", "nobody", "", "Corp"] {
        assert_eq!(authn.logout(name, &good.token()).err(), Some(LogoutError::UnknownIssuer), "{name}");
    }
    for (number, token) in [
        good.clone(),
        good.clone().header(&json!({"typ": "JWT"})),
        good.clone().header(&json!({"typ": null})),
        good.clone().header(&json!({"typ": "application/logout+jwt"})),
        good.clone().claims(&json!({"exp": null, "aud": ["x", "lakegate-client"], "typ": "Logout", "iat": now - 200})),
        good.clone().claims(&json!({"events": {EVENT: {}, "other": 1}, "exp": now - 10, "sub": null})),
        good.clone().claims(&json!({"sid": null})),
    ]
    .into_iter()
    .enumerate()
    {
        end(&authn, &token.claims(&json!({"jti": format!("good-{number}")})).token()).await.unwrap_or_else(|error| panic!("{number}: {error}"));
    }
}

#[tokio::test]
async fn a_session_ends_and_others_go_on() {
    let (idp, authn, clock) = started().await;
    let now = clock.now();
    let access = Forge::new(&idp.url, &CORP);
    let of_another_session = access.clone().claims(&json!({"sid": "s2"})).token();
    let of_no_session = access.clone().claims(&json!({"sid": null})).token();
    let (of_bob, token) = (access.clone().claims(&json!({"sid": null, "sub": "bob"})).token(), access.token());
    for token in [&token, &of_another_session, &of_no_session, &of_bob] {
        ask(&authn, token).await.unwrap();
    }
    end(&authn, &forge(&idp, now).token()).await.unwrap();
    for token in [&token, &of_no_session] {
        assert_eq!(reason(ask(&authn, token).await, "ended"), Reason::TokenRevoked);
    }
    for token in [&of_another_session, &of_bob] {
        ask(&authn, token).await.unwrap();
    }
    // Who signs in again has another session, or at least a younger token
    let again = access.claims(&json!({"sid": null, "iat": now + 1, "nbf": null})).token();
    ask(&authn, &again).await.unwrap();
}

#[tokio::test]
async fn all_sessions_of_a_subject_end() {
    let (idp, authn, clock) = started().await;
    let now = clock.now();
    let access = Forge::new(&idp.url, &CORP);
    let (token, of_bob) = (access.token(), access.clone().claims(&json!({"sub": "bob"})).token());
    end(&authn, &forge(&idp, now - 20).claims(&json!({"sid": null})).token()).await.unwrap();
    // Issued after the logout, by the issuer's own clock
    ask(&authn, &token).await.unwrap();
    end(&authn, &forge(&idp, now).claims(&json!({"sid": null, "jti": "l2"})).token()).await.unwrap();
    assert_eq!(reason(ask(&authn, &token).await, "ended"), Reason::TokenRevoked);
    ask(&authn, &of_bob).await.unwrap();
    ask(&authn, &access.claims(&json!({"iat": now + 1, "nbf": null})).token()).await.unwrap();
}

#[tokio::test]
async fn a_logout_token_counts_once() {
    let (idp, authn, clock) = started().await;
    let token = forge(&idp, clock.now()).claims(&json!({"exp": null})).token();
    end(&authn, &token).await.unwrap();
    let replayed = |error: Result<(), LogoutError>| assert!(matches!(error, Err(LogoutError::Invalid(message)) if message.contains("before")));
    replayed(end(&authn, &token).await);
    clock.shift(299_000);
    replayed(end(&authn, &token).await);
    // What has fallen out of the memory is too old
    clock.shift(340_000);
    let late = end(&authn, &token).await;
    assert!(matches!(&late, Err(LogoutError::Invalid(message)) if message.contains("`iat`")), "{late:?}");
    assert_eq!(authn.revocation_status().sessions, 1);
}

#[tokio::test]
async fn however_short_its_tokens_live_a_logout_token_counts_once_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let start = || {
        let mut corp = issuer("corp", &idp.url, Provider::Generic);
        (corp.logout_audience, corp.longest_token_s) = (Some("lakegate-client".to_owned()), 60);
        let config = crate::authn::Config { state_dir: Some(dir.path().to_owned()), ..config(vec![corp]) };
        let authn = Authenticator::new(config, client(), clock.clone(), None).unwrap();
        authn.keep_revocations().unwrap();
        authn
    };
    let token = forge(&idp, clock.now()).claims(&json!({"exp": null})).token();
    let authn = start();
    end(&authn, &token).await.unwrap();
    clock.shift(250_000);
    authn.tend_revocations();
    drop(authn);
    let replayed = end(&start(), &token).await;
    assert!(matches!(&replayed, Err(LogoutError::Invalid(message)) if message.contains("before")), "{replayed:?}");
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_no_bad_token() {
    let (idp, authn, clock) = started().await;
    idp.fail();
    let error = end(&authn, &forge(&idp, clock.now()).token()).await.unwrap_err();
    assert!(matches!(error, LogoutError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_new_key_is_waited_for_where_another_token_had_the_last_fetch() {
    let (idp, authn, clock) = started().await;
    let made_up = forge(&idp, clock.now()).header(&json!({"kid": "made-up"}));
    let refused = end(&authn, &made_up.token()).await;
    assert!(matches!(&refused, Err(LogoutError::Invalid(message)) if message.contains("publishes no key")), "{refused:?}");
    let fetches = idp.fetches();
    idp.publish(&[&CORP, &NEXT]);
    let mut next = Forge::new(&idp.url, &NEXT);
    next.claims = forge(&idp, clock.now()).claims;
    next = next.header(&json!({"typ": "logout+jwt"}));
    end(&authn, &next.token()).await.unwrap();
    assert_eq!(idp.fetches(), fetches + 1);
}

#[tokio::test]
async fn what_is_no_logout_token_costs_no_fetch() {
    let (idp, authn, clock) = started().await;
    let strange = forge(&idp, clock.now()).header(&json!({"kid": "made-up"}));
    for claims in [json!({"aud": "x"}), json!({"iss": "x"}), json!({"events": null}), json!({"iat": 1}), json!({"nonce": "n"}), json!({"jti": null})]
    {
        end(&authn, &strange.clone().claims(&claims).token()).await.unwrap_err();
    }
    end(&authn, &strange.header(&json!({"typ": "at+jwt"})).token()).await.unwrap_err();
    assert_eq!(idp.fetches(), 0);
}
