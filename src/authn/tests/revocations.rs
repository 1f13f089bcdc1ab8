//! Revocations as an operator makes them, and what they do to tokens.

use jiff::Timestamp;
use serde_json::json;

use super::world::*;
use crate::{
    authn::{Authenticator, By, ClientAuth, IntrospectWhen, IntrospectionConfig, Order, Provider, RevokeError, Trail},
    clock::Clock,
    model::{Reason, Secret, SpiffeId},
    net::SecretSource,
};

const OPERATOR: By = By::Operator { uid: 0, pid: Some(7) };
const HOUR: i64 = 3600;

fn order() -> Order {
    Order { issuer: "corp".to_owned(), ..Order::default() }
}

fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap().to_string()
}

#[tokio::test]
async fn a_revoked_token_is_refused_by_the_next_request() {
    let (idp, authn, clock) = corp().await;
    let now = clock.now();
    let good = Forge::new(&idp.url, &CORP);
    let other = good.clone().claims(&json!({"sub": "bob", "jti": "j2", "sid": "s2"}));
    let later = good.clone().claims(&json!({"jti": "j3", "sid": "s3", "iat": now + 29}));
    let orders = [
        ("a token", Order { token_id: Some("j1".to_owned()), ..order() }, [true, false, false]),
        ("a session", Order { session: Some("s1".to_owned()), ..order() }, [true, false, false]),
        // The issuer's clock may be ahead of ours by the leeway
        ("a subject", Order { subject: Some("alice".to_owned()), ..order() }, [true, false, true]),
        (
            "a subject before a time",
            Order { subject: Some("alice".to_owned()), not_before: Some(rfc3339(now + 29)), ..order() },
            [true, false, false],
        ),
        ("a subject, whatever it has", Order { subject: Some("alice".to_owned()), block: true, for_s: Some(60), ..order() }, [true, false, true]),
        ("all before a time", Order { not_before: Some(rfc3339(now)), ..order() }, [true, true, false]),
        ("all until now", Order { not_before: Some("now".to_owned()), ..order() }, [true, true, true]),
    ];
    for (what, order, refused) in orders {
        let tokens = [&good, &other, &later].map(Forge::token);
        for token in &tokens {
            ask(&authn, token).await.unwrap_or_else(|refusal| panic!("{what}: {refusal:?}"));
        }
        let note = authn.revoke(order, OPERATOR).unwrap();
        for (token, refused) in tokens.iter().zip(refused) {
            let answers = [ask(&authn, token).await, authn.examine(token, &mut Trail::default()).await.map(|examined| examined.token)];
            for answer in answers {
                assert_eq!(answer.is_err(), refused, "{what}: {answer:?}");
                if refused {
                    assert_eq!(reason(answer, what), Reason::TokenRevoked);
                }
            }
        }
        assert!(!note.kept && note.warnings.iter().any(|warning| warning.contains("state_dir")), "{note:?}");
        authn.lift(&note.id, OPERATOR).unwrap();
        for token in &tokens {
            ask(&authn, token).await.unwrap_or_else(|refusal| panic!("{what}: {refusal:?}"));
        }
    }
}

#[tokio::test]
async fn it_holds_over_a_reload_and_a_new_name_of_the_issuer() {
    let (idp, authn, clock) = corp().await;
    let token = Forge::new(&idp.url, &CORP).token();
    authn.revoke(Order { token_id: Some("j1".to_owned()), ..order() }, OPERATOR).unwrap();
    let renamed = config(vec![issuer("people", &idp.url, Provider::Generic)]);
    let next = Authenticator::new(renamed, client(), clock.clone(), Some(&authn)).unwrap();
    assert_eq!(reason(ask(&next, &token).await, "renamed"), Reason::TokenRevoked);
    let none = Authenticator::new(config(vec![]), client(), clock.clone(), Some(&next)).unwrap();
    assert_eq!(none.revocations(None, 10, false).revocations[0].issuer, None);
    let again = Authenticator::new(config(vec![issuer("corp", &idp.url, Provider::Generic)]), client(), clock, Some(&none)).unwrap();
    assert_eq!(reason(ask(&again, &token).await, "back"), Reason::TokenRevoked);
}

#[tokio::test]
async fn it_holds_over_a_restart_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let start = || {
        let config = crate::authn::Config { state_dir: Some(dir.path().to_owned()), ..config(vec![issuer("corp", &idp.url, Provider::Generic)]) };
        let authn = Authenticator::new(config, client(), clock.clone(), None).unwrap();
        authn.keep_revocations().unwrap();
        authn
    };
    let authn = start();
    let token = Forge::new(&idp.url, &CORP).claims(&json!({"exp": clock.now() + 2 * HOUR})).token();
    let note = authn.revoke(Order { session: Some("s1".to_owned()), for_s: Some(3600), ..order() }, OPERATOR).unwrap();
    assert!(note.kept && note.warnings.iter().any(|warning| warning.contains("may still be good when it ends")), "{note:?}");
    drop(authn);
    let authn = start();
    assert_eq!(reason(ask(&authn, &token).await, "restarted"), Reason::TokenRevoked);
    // What is explained is told of it too; a test of policies is not about it
    let claims = Forge::new(&idp.url, &CORP).claims.to_string();
    assert_eq!(reason(authn.caller_from_claims(claims.as_bytes(), None), "explained"), Reason::TokenRevoked);
    authn.caller_from_claims_at(claims.as_bytes(), None, clock.now()).unwrap();
    clock.shift((HOUR + 1) * 1000);
    ask(&authn, &token).await.unwrap();
    authn.tend_revocations();
    assert_eq!(authn.revocation_status().sessions, 0);
}

#[tokio::test]
async fn actors_are_parties() {
    let (idp, authn, _) = corp().await;
    let token = Forge::new(&idp.url, &CORP).claims(&json!({"sub": "bob", "act": {"sub": "agent", "act": {"sub": "alice"}}})).token();
    for subject in ["agent", "alice", "bob"] {
        ask(&authn, &token).await.unwrap();
        let note = authn.revoke(Order { subject: Some(subject.to_owned()), ..order() }, OPERATOR).unwrap();
        assert_eq!(reason(ask(&authn, &token).await, subject), Reason::TokenRevoked);
        authn.lift(&note.id, OPERATOR).unwrap();
    }
}

#[test]
fn an_order_is_read_strictly() {
    let clock = Clock::default();
    let authn = authenticator(vec![issuer("corp", "https://idp.example", Provider::Generic)], &clock);
    let now = clock.now();
    let long = "x".repeat(501);
    for (order, said) in [
        (Order { issuer: "nobody".to_owned(), token_id: Some("j1".to_owned()), ..order() }, "no issuer is called `nobody`; there are `corp`"),
        (order(), "name a token id, a session or a subject"),
        (Order { token_id: Some("j1".to_owned()), session: Some("s1".to_owned()), ..order() }, "name one of"),
        (Order { token_id: Some(String::new()), ..order() }, "no token says"),
        (Order { session: Some(long.clone()), ..order() }, "no token says"),
        (Order { subject: Some("a\u{7}".to_owned()), ..order() }, "no token says"),
        (Order { token_id: Some("j1".to_owned()), not_before: Some("now".to_owned()), ..order() }, "`not_before` is for"),
        (Order { session: Some("s1".to_owned()), block: true, ..order() }, "`block` is for a subject"),
        (Order { not_before: Some("now".to_owned()), block: true, ..order() }, "`block` is for a subject"),
        (Order { subject: Some("alice".to_owned()), not_before: Some("now".to_owned()), block: true, ..order() }, "exclude each other"),
        (Order { subject: Some("alice".to_owned()), block: true, ..order() }, "say how long"),
        (Order { subject: Some("alice".to_owned()), not_before: Some("yesterday".to_owned()), ..order() }, "is no time for `not_before`"),
        (Order { not_before: Some(rfc3339(now + 2 * 86_400)), ..order() }, "more than a day ahead"),
        (Order { token_id: Some("j1".to_owned()), until: Some(rfc3339(now)), ..order() }, "end in the future"),
        (Order { token_id: Some("j1".to_owned()), for_s: Some(0), ..order() }, "end in the future"),
        (Order { token_id: Some("j1".to_owned()), for_s: Some(u64::MAX), ..order() }, "within ten years"),
        (Order { token_id: Some("j1".to_owned()), for_s: Some(1), until: Some(rfc3339(now + 9)), ..order() }, "exclude each other"),
        (Order { token_id: Some("j1".to_owned()), note: Some(long.clone()), ..order() }, "the note"),
        (Order { token_id: Some("j1".to_owned()), note: Some("a\u{1b}[2J".to_owned()), ..order() }, "the note"),
    ] {
        let shown = format!("{order:?}");
        let error = authn.revoke(order, OPERATOR).expect_err(&shown);
        assert!(matches!(&error, RevokeError::Invalid(message) if message.contains(said)), "{shown}: {error}");
    }
    assert_eq!(authn.revocations(None, 10, true).revocations, []);
}

#[test]
fn by_itself_it_lasts_as_long_as_a_token_can() {
    let clock = Clock::default();
    let mut corp = issuer("corp", "https://idp.example", Provider::Generic);
    corp.longest_token_s = 12 * HOUR;
    let ends = |corp: &crate::authn::IssuerConfig, order: Order| {
        let authn = authenticator(vec![corp.clone()], &clock);
        let note = authn.revoke(order, OPERATOR).unwrap();
        assert_eq!(note.warnings.len(), 1, "only that nothing is kept: {note:?}");
        note.until.parse::<Timestamp>().unwrap().as_second() - clock.now()
    };
    let near = |have: i64, want: i64| (want - 2..=want + 2).contains(&have);
    // With the leeway of both clocks
    assert!(near(ends(&corp, Order { token_id: Some("j1".to_owned()), ..order() }), 12 * HOUR + 61));
    let at = Some(rfc3339(clock.now() + HOUR));
    assert!(near(ends(&corp, Order { subject: Some("alice".to_owned()), not_before: at, ..order() }), 13 * HOUR + 61));
    corp.session.longest_s = Some(HOUR);
    assert!(near(ends(&corp, Order { session: Some("s1".to_owned()), ..order() }), HOUR + 61));
}

#[tokio::test]
async fn no_token_lives_longer_than_its_revocation() {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let now = clock.now();
    let mut corp = issuer("corp", &idp.url, Provider::Generic);
    corp.longest_token_s = HOUR;
    let authn = authenticator(vec![corp], &clock);
    let forge = Forge::new(&idp.url, &CORP);
    ask(&authn, &forge.clone().claims(&json!({"iat": now - 600, "exp": now + 3000})).token()).await.unwrap();
    // Without `iat` nobody knows how long it lives: near its end it would be taken, long after a revocation that was made while it was refused.
    for claims in [
        json!({"iat": now - 600, "exp": now + 3001}),
        json!({"iat": null, "nbf": null, "exp": now + 3500}),
        json!({"iat": null, "nbf": null, "exp": now + 3700}),
        json!({"iat": 0}),
    ] {
        let refused = ask(&authn, &forge.clone().claims(&claims).token()).await;
        assert!(refused.as_ref().is_err_and(|refusal| refusal.detail.contains("`longest_token`")), "{claims}: {refused:?}");
        assert_eq!(reason(refused, &claims.to_string()), Reason::TokenBadClaims);
    }
    let peer = SpiffeId::parse("spiffe://cluster.local/ns/a/sa/b").unwrap();
    let told = forge.claims(&json!({"iat": 0})).claims.to_string();
    authn.caller_from_claims(told.as_bytes(), Some(peer)).expect("how long claims live that nobody has issued says nothing");
}

#[tokio::test]
async fn nor_does_one_that_its_issuer_says_no_end_of() {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let now = clock.now();
    let mut corp = issuer("corp", &idp.url, Provider::Generic);
    corp.longest_token_s = HOUR;
    corp.introspection = Some(IntrospectionConfig {
        endpoint: None,
        client_id: "lakegate".to_owned(),
        auth: ClientAuth::Basic(SecretSource::Given(Secret::new("s3cr3t"))),
        when: IntrospectWhen::Opaque,
        window_s: 10,
        audience_optional: false,
    });
    let authn = authenticator(vec![corp], &clock);
    idp.tell("ageless", &merged(&alice(&clock), &json!({"iat": null})));
    assert_eq!(reason(ask(&authn, "ageless").await, "ageless"), Reason::TokenBadClaims);
    // What is known of it counts no longer either.
    let young = |iat: i64| merged(&alice(&clock), &json!({"exp": null, "iat": iat}));
    idp.tell("aging", &young(now - HOUR + 5));
    ask(&authn, "aging").await.unwrap();
    assert!(ask(&authn, "aging").await.unwrap().expires_at <= now + 5);
    idp.tell("endless", &merged(&alice(&clock), &json!({"exp": null, "jti": "j1", "iat": now})));
    ask(&authn, "endless").await.unwrap();
    let note = authn.revoke(Order { token_id: Some("j1".to_owned()), ..order() }, OPERATOR).unwrap();
    let end = note.until.parse::<Timestamp>().unwrap().as_second() - now;
    for second in (0..2 * HOUR).step_by(61).chain([HOUR - 1, HOUR, HOUR + 1, end - 1, end, end + 1]) {
        clock.shift(second * 1000);
        let refused = ask(&authn, "endless").await;
        assert!(refused.is_err(), "after {second} s: {refused:?}");
    }
}
