//! Asking issuers about tokens: what they say, how often they are asked, and what happens when they cannot be.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use serde_json::{Value, json};

use super::world::{CORP, Discovery, Forge, Idp, PEER, alice, ask, authenticator, b64, call, client, config, eventually, issuer, merged, reason};
use crate::{
    authn::{Authenticator, ClientAuth, IntrospectWhen, IntrospectionConfig, IssuerConfig, Provider, Trail},
    clock::Clock,
    model::{PrincipalKind, Reason, Secret},
    net::{Endpoint, SecretSource},
};

const OPAQUE: &str = "9f86d081-884c7d65.9a2f_eaa0~c55a+d015/a3bf4f1b2b0b822cd15d6c15b0f00a08==";

fn asking(when: IntrospectWhen) -> IntrospectionConfig {
    let auth = ClientAuth::Basic(SecretSource::Given(Secret::new("s3cret")));
    IntrospectionConfig { when, endpoint: None, client_id: "lakegate".to_owned(), auth, window_s: 10, audience_optional: false }
}

fn asked(idp: &Idp, when: IntrospectWhen) -> IssuerConfig {
    IssuerConfig { introspection: Some(asking(when)), ..issuer("corp", &idp.url, Provider::Generic) }
}

async fn corp(when: IntrospectWhen) -> (Arc<Idp>, Authenticator, Clock) {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let authn = authenticator(vec![asked(&idp, when)], &clock);
    (idp, authn, clock)
}

#[tokio::test]
async fn an_active_opaque_token_has_the_facts_of_the_answer() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    idp.tell(OPAQUE, &alice(&clock));
    let token = ask(&authn, OPAQUE).await.unwrap();
    assert_eq!((token.issuer.as_str(), token.subject.as_str(), token.kind), ("corp", "alice", PrincipalKind::User));
    assert_eq!((token.groups.as_slice(), token.client.as_deref()), (&["ml-engineers".to_owned()][..], Some("notebooks")));
    assert_eq!(token.scopes, ["openid", "profile"]);
    let [(header, form)] = &idp.questions()[..] else { panic!("one question") };
    assert_eq!(header, "Basic bGFrZWdhdGU6czNjcmV0");
    assert!(form.ends_with("&token_type_hint=access_token") && !form.contains("s3cret"), "{form}");
    // The same token signed in two ways has the same rights.
    let signed = Forge::new(&idp.url, &CORP).claims(&json!({"azp": "notebooks", "sid": null, "acr": null, "auth_time": null})).token();
    assert_eq!(ask(&authn, &signed).await.unwrap().digest, token.digest);
    assert_eq!(idp.questions().len(), 1, "`opaque` asks about no signed token");
}

#[tokio::test]
async fn an_answer_that_does_not_say_enough_makes_no_caller() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    let now = clock.now();
    let cases = [
        (json!({"active": false}), Reason::TokenInactive),
        (json!({"sub": null}), Reason::TokenBadClaims),
        (json!({"sub": 7}), Reason::TokenBadClaims),
        (json!({"aud": null}), Reason::TokenWrongAudience),
        (json!({"aud": "other"}), Reason::TokenWrongAudience),
        (json!({"aud": ["other", "more"]}), Reason::TokenWrongAudience),
        (json!({"iss": "https://other.example"}), Reason::TokenBadClaims),
        (json!({"iss": ["x"]}), Reason::TokenBadClaims),
        (json!({"exp": now - 60}), Reason::TokenExpired),
        (json!({"exp": "soon"}), Reason::TokenBadClaims),
        (json!({"nbf": now + 600}), Reason::TokenNotYetValid),
        (json!({"token_type": "N_A"}), Reason::TokenWrongType),
        (json!({"token_type": "refresh_token"}), Reason::TokenWrongType),
        (json!({"token_type": ["Bearer"]}), Reason::TokenWrongType),
        (json!({"token_type": "DPoP"}), Reason::TokenBadClaims),
        (json!({"cnf": {}}), Reason::TokenBadClaims),
        (json!({"cnf": {"jwk": {}}}), Reason::TokenBadClaims),
        (json!({"groups": "ml-engineers"}), Reason::TokenBadClaims),
    ];
    for (i, (changes, wanted)) in cases.iter().enumerate() {
        let token = format!("opaque-{i}");
        idp.tell(&token, &merged(&alice(&clock), changes));
        assert_eq!(reason(ask(&authn, &token).await, &changes.to_string()), *wanted, "{changes}");
    }
    for good in
        [json!({"iss": idp.url}), json!({"token_type": null}), json!({"exp": null}), json!({"username": null}), json!({"aud": ["x", "lakegate"]})]
    {
        let token = format!("good-{good}").replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        idp.tell(&token, &merged(&alice(&clock), &good));
        assert!(ask(&authn, &token).await.is_ok(), "{good}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_fault_and_never_a_yes() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    let long = format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(100_000));
    let cases = [
        (200, ""),
        (200, "<html>sign in</html>"),
        (200, "true"),
        (200, "[]"),
        (200, "{}"),
        (200, r#"{"active":"true"}"#),
        (200, r#"{"active":1}"#),
        (200, r#"{"active":null}"#),
        (200, r#"{"active":false,"active":true}"#),
        (200, long.as_str()),
        (201, r#"{"active":true}"#),
        (204, ""),
        (302, ""),
        (400, r#"{"active":true}"#),
    ];
    for (i, (status, body)) in cases.iter().enumerate() {
        let token = format!("opaque-{i}");
        idp.tell(&token, &alice(&clock));
        idp.say(Some((*status, body)));
        let (asked, began) = (idp.questions().len(), Instant::now());
        for _ in 0..5 {
            let refusal = ask(&authn, &token).await.unwrap_err();
            assert_eq!(refusal.reason, Reason::IntrospectionUnavailable, "{status} {body}");
            assert!(refusal.since.is_some(), "{status} {body}: the fault has no beginning");
        }
        let most = 1 + usize::try_from(began.elapsed().as_secs()).unwrap();
        assert!(idp.questions().len() - asked <= most, "{status} {body}: it is asked again at once");
        let seen = authn.status().remove(0).introspection.unwrap();
        assert!(seen.last_error.is_some() && seen.failing_since.is_some() && !seen.open, "{status} {body}: {seen:?}");
        // What one token can cause does not close the endpoint for others, and is remembered for a second.
        idp.say(None);
        let other = format!("other-{i}");
        idp.tell(&other, &alice(&clock));
        assert!(ask(&authn, &other).await.is_ok(), "{status} {body}");
        clock.shift(1_100 * i64::try_from(i + 1).unwrap());
        assert!(ask(&authn, &token).await.is_ok(), "{status} {body}");
        let seen = authn.status().remove(0).introspection.unwrap();
        assert!(seen.last_error.is_none() && seen.failing_since.is_none(), "{status} {body}: {seen:?}");
    }
}

#[tokio::test]
async fn answers_that_cannot_be_used_are_seen_and_cost_nobody_but_who_may_have_caused_them() {
    for (status, body, costs) in [(200, "<html>sign in</html>", false), (302, "", false), (404, "", false), (400, "", true), (431, "", true)] {
        let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
        idp.say(Some((status, body)));
        let began = Instant::now();
        for i in 0..300 {
            assert_eq!(reason(ask(&authn, &format!("opaque-{i}")).await, body), Reason::IntrospectionUnavailable, "{status}");
        }
        let (asked, seconds) = (idp.questions().len(), usize::try_from(began.elapsed().as_secs()).unwrap() + 1);
        assert!(if costs { asked <= 200 + 5 * seconds } else { asked == 300 }, "{status}: {asked} questions");
        let seen = authn.status().remove(0);
        assert!(seen.degraded && seen.introspection.as_ref().is_some_and(|seen| !seen.open && seen.last_error.is_some()), "{status}: {seen:?}");
        if !costs {
            // Whoever had to wait for the mend has its whole allowance.
            idp.say(None);
            idp.tell(OPAQUE, &alice(&clock));
            assert!(ask(&authn, OPAQUE).await.is_ok(), "{status}");
            assert!(!authn.status()[0].degraded, "{status}");
        }
    }
}

#[tokio::test]
async fn one_question_that_is_answered_badly_does_not_keep_an_endpoint_closed() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    let open = || authn.status()[0].introspection.as_ref().is_some_and(|asked| asked.open);
    idp.tell(OPAQUE, &alice(&clock));
    for status in [400, 404] {
        idp.say(Some((503, "")));
        for i in 0..3 {
            assert_eq!(reason(ask(&authn, &format!("down-{status}-{i}")).await, "down"), Reason::IntrospectionUnavailable);
        }
        assert!(open());
        let shift = clock.now_ms() - Clock::default().now_ms();
        clock.shift(shift + 1_100);
        idp.say(Some((status, "")));
        assert_eq!(reason(ask(&authn, &format!("trial-{status}")).await, "trial"), Reason::IntrospectionUnavailable);
        assert!(!open(), "{status}");
        idp.say(None);
        clock.shift(shift + 12_000);
        assert!(ask(&authn, OPAQUE).await.is_ok(), "{status}");
    }
}

#[tokio::test]
async fn credentials_that_are_refused_are_told_from_an_endpoint_that_fails() {
    let (idp, authn, _) = corp(IntrospectWhen::Opaque).await;
    let mut registry = prometheus_client::registry::Registry::default();
    authn.register(&mut registry);
    for status in [401, 403] {
        idp.say(Some((status, "")));
        assert_eq!(reason(ask(&authn, &format!("opaque-{status}")).await, "denied"), Reason::IntrospectionUnavailable);
        let seen = authn.status().remove(0).introspection.unwrap();
        assert!(seen.last_error.unwrap().contains("lakegate's own credentials"), "{status}");
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in ["result=\"unauthorized\"} 2", "result=\"failed\"} 0"] {
        assert!(text.contains(&format!("lakegate_authn_introspections_total{{issuer=\"corp\",{line}")), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn an_answer_without_an_audience_counts_only_where_that_is_said() {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let mut config = asked(&idp, IntrospectWhen::Opaque);
    config.introspection.as_mut().unwrap().audience_optional = true;
    let authn = authenticator(vec![config], &clock);
    for (i, (aud, good)) in [(Value::Null, true), (json!("other"), false), (json!([]), false), (json!("lakegate"), true)].iter().enumerate() {
        let token = format!("opaque-{i}");
        idp.tell(&token, &merged(&alice(&clock), &json!({"aud": aud})));
        assert_eq!(ask(&authn, &token).await.is_ok(), *good, "{aud}");
    }
    // A signed token always names us.
    let signed = Forge::new(&idp.url, &CORP).claims(&json!({"aud": null})).token();
    assert_eq!(reason(ask(&authn, &signed).await, "signed"), Reason::TokenWrongAudience);
}

#[tokio::test]
async fn an_ended_token_passes_no_longer_than_the_window() {
    for when in [IntrospectWhen::Opaque, IntrospectWhen::Signed, IntrospectWhen::Always] {
        let (idp, authn, clock) = corp(when).await;
        let token = if when.opaque() { OPAQUE.to_owned() } else { Forge::new(&idp.url, &CORP).token() };
        idp.tell(&token, &alice(&clock));
        assert!(ask(&authn, &token).await.is_ok());
        clock.shift(5_000);
        assert!(ask(&authn, &token).await.is_ok());
        assert_eq!(idp.questions().len(), 1);
        clock.shift(11_000);
        assert!(ask(&authn, &token).await.is_ok());
        assert_eq!(idp.questions().len(), 2);
        idp.end(&token);
        clock.shift(22_000);
        for _ in 0..10 {
            assert_eq!(reason(ask(&authn, &token).await, "ended"), Reason::TokenInactive);
        }
        assert_eq!(idp.questions().len(), 3, "a refusal is remembered");
        idp.tell(&token, &alice(&clock));
        clock.shift(28_000);
        assert!(ask(&authn, &token).await.is_ok(), "not for long");
    }
}

#[tokio::test]
async fn a_token_that_is_asked_about_again_counts_each_time_it_comes() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    let mut registry = prometheus_client::registry::Registry::default();
    authn.register(&mut registry);
    idp.tell(OPAQUE, &alice(&clock));
    for later in [0, 5_000, 16_000] {
        clock.shift(later);
        assert!(ask(&authn, OPAQUE).await.is_ok());
    }
    idp.end(OPAQUE);
    clock.shift(32_000);
    ask(&authn, OPAQUE).await.unwrap_err();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for (result, count) in [("verified", 2), ("cached", 1), ("refused", 1)] {
        let line = format!("lakegate_authn_tokens_total{{result=\"{result}\"}} {count}\n");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_ends_with_the_window_and_new_facts_count_then() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    idp.tell(OPAQUE, &merged(&alice(&clock), &json!({"exp": null})));
    let asked = clock.now();
    let ends = ask(&authn, OPAQUE).await.unwrap().expires_at;
    assert!((asked + 10..=clock.now() + 10).contains(&ends), "asked at {asked}, it ends at {ends}");
    idp.tell(OPAQUE, &merged(&alice(&clock), &json!({"groups": ["others"]})));
    clock.shift(11_000);
    assert_eq!(ask(&authn, OPAQUE).await.unwrap().groups, ["others"]);
    // Nor is it taken for one that has expired when nobody has used it for long.
    idp.tell(OPAQUE, &merged(&alice(&clock), &json!({"exp": null})));
    clock.shift(22_000);
    assert!(ask(&authn, OPAQUE).await.is_ok());
    clock.shift(200_000);
    assert!(ask(&authn, OPAQUE).await.is_ok());
    idp.end(OPAQUE);
    clock.shift(211_000);
    assert_eq!(reason(ask(&authn, OPAQUE).await, "ended"), Reason::TokenInactive);
}

#[tokio::test]
async fn a_known_token_without_an_end_goes_before_made_up_ones() {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let mut config = asked(&idp, IntrospectWhen::Opaque);
    config.introspection.as_mut().unwrap().window_s = 1;
    let authn = authenticator(vec![config], &clock);
    idp.tell(OPAQUE, &merged(&alice(&clock), &json!({"exp": null})));
    assert!(ask(&authn, OPAQUE).await.is_ok());
    // What is cached goes by the time that really passes.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    for i in 0.. {
        if reason(ask(&authn, &format!("garbage-{i}")).await, "garbage") == Reason::IntrospectionUnavailable {
            break;
        }
    }
    assert!(ask(&authn, OPAQUE).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_was_long_under_way_is_no_fresh_one() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    idp.tell(OPAQUE, &alice(&clock));
    idp.hold(true);
    let mut first = Box::pin(ask(&authn, OPAQUE));
    assert!(futures::poll!(&mut first).is_pending());
    eventually(|| idp.questions().len() == 1).await;
    clock.shift(10_000);
    let mut late = Box::pin(ask(&authn, OPAQUE));
    assert!(futures::poll!(&mut late).is_pending());
    idp.hold(false);
    let (first, late) = futures::join!(first, late);
    assert!(first.is_ok(), "asked for its own sake");
    assert_eq!(reason(late, "asked a window ago"), Reason::IntrospectionUnavailable);
    assert!(ask(&authn, OPAQUE).await.is_ok());
    assert_eq!(idp.questions().len(), 2);
}

#[tokio::test]
async fn made_up_tokens_of_many_workloads_leave_room_for_known_ones() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    idp.tell(OPAQUE, &alice(&clock));
    assert!(ask(&authn, OPAQUE).await.is_ok());
    clock.shift(11_000);
    idp.hold(true);
    let flood = (0..2200).map(|i| {
        let authn = &authn;
        async move {
            let (peer, header) = (format!("spiffe://cluster.local/ns/ml-dev/sa/w{}", i % 11), format!("Bearer garbage-{i}"));
            authn.authenticate(&call(peer.as_bytes(), Some(&header))).await.map(drop)
        }
    });
    let mut flood = Box::pin(join_all(flood));
    assert!(futures::poll!(&mut flood).is_pending());
    let mut known = Box::pin(ask(&authn, OPAQUE));
    assert!(futures::poll!(&mut known).is_pending(), "it is turned away");
    eventually(|| idp.questions().iter().filter(|(_, form)| form.contains("9f86d081")).count() == 2).await;
    idp.hold(false);
    let _ = (known.await, flood.await);
}

#[tokio::test]
async fn a_token_without_an_end_stays_known_and_is_never_served_past_its_window() {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let mut config = asked(&idp, IntrospectWhen::Opaque);
    config.introspection.as_mut().unwrap().window_s = 1;
    let authn = authenticator(vec![config], &clock);
    idp.tell(OPAQUE, &merged(&alice(&clock), &json!({"exp": null})));
    // The cache forgets by the real time, so that this waits for it; a renewed entry must not keep the time of the first.
    for round in 0..3 {
        assert!(ask(&authn, OPAQUE).await.is_ok(), "{round}");
        tokio::time::sleep(Duration::from_millis(1200)).await;
        use_up(&authn, &round.to_string()).await;
    }
    // Long after its window, leeway and all, it is asked about all the same.
    for (round, shift) in [(1, 90_000), (2, 500_000)] {
        clock.shift(shift);
        use_up(&authn, &format!("later-{round}")).await;
        let asked = idp.questions().len();
        assert!(ask(&authn, OPAQUE).await.is_ok());
        assert_eq!(idp.questions().len(), asked + 1);
    }
    idp.end(OPAQUE);
    clock.shift(600_000);
    assert_eq!(reason(ask(&authn, OPAQUE).await, "ended"), Reason::TokenInactive);
}

/// Has made-up tokens asked about until the workload's allowance is used up.
async fn use_up(authn: &Authenticator, name: &str) {
    for i in 0..1_000 {
        if reason(ask(authn, &format!("garbage-{name}-{i}")).await, "garbage") == Reason::IntrospectionUnavailable {
            return;
        }
    }
    panic!("it is never used up");
}

#[tokio::test]
async fn a_signed_token_is_asked_about_after_its_signature_alone() {
    let (idp, authn, clock) = corp(IntrospectWhen::Signed).await;
    let forge = Forge::new(&idp.url, &CORP);
    let good = forge.token();
    idp.tell(&good, &merged(&alice(&clock), &json!({"groups": ["admins"]})));
    let token = ask(&authn, &good).await.unwrap();
    assert_eq!((token.groups.as_slice(), token.session.as_deref()), (&["ml-engineers".to_owned()][..], Some("s1")), "signed facts count");
    let forged = forge.token_of(&forge.clone().claims(&json!({"sub": "root"})).signed()).replace(['A', 'B'], "C");
    let expired = forge.clone().claims(&json!({"exp": clock.now() - 100})).token();
    for bad in [forged, expired] {
        idp.tell(&bad, &alice(&clock));
        assert!(ask(&authn, &bad).await.is_err());
    }
    assert_eq!(idp.questions().len(), 1);
    let other = forge.clone().claims(&json!({"jti": "j2"})).token();
    idp.tell(&other, &merged(&alice(&clock), &json!({"sub": "bob"})));
    assert_eq!(reason(ask(&authn, &other).await, "of another"), Reason::TokenBadClaims);
    let unknown = forge.clone().claims(&json!({"jti": "j3"})).token();
    assert_eq!(reason(ask(&authn, &unknown).await, "ended"), Reason::TokenInactive);
    // What the issuer binds by its answer is no bearer token.
    let print = b64([7; 32]);
    for (i, said) in
        [json!({"cnf": {"jkt": print}}), json!({"cnf": {"x5t#S256": print}}), json!({"cnf": {}}), json!({"token_type": "DPoP"})].iter().enumerate()
    {
        let bearer = forge.clone().claims(&json!({"jti": format!("bound-{i}")})).token();
        idp.tell(&bearer, &merged(&alice(&clock), said));
        assert_eq!(reason(ask(&authn, &bearer).await, &said.to_string()), Reason::TokenBadClaims, "{said}");
    }
    let bound = forge.clone().claims(&json!({"jti": "bound", "cnf": {"jkt": print}})).token();
    idp.tell(&bound, &merged(&alice(&clock), &json!({"cnf": {"jkt": print}, "token_type": "DPoP"})));
    assert_eq!(reason(ask(&authn, &bound).await, "bound, as both say"), Reason::ProofMissing);
    assert_eq!(reason(ask(&authn, OPAQUE).await, "opaque"), Reason::TokenMalformed, "`signed` asks about no opaque token");
}

#[tokio::test]
async fn what_is_no_opaque_token_is_asked_of_nobody() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    let jwe = "eyJhbGciOiJSU0EtT0FFUCJ9.eA.eA.eA.eA";
    let foreign = Forge::new("https://other.example", &CORP).token();
    let forge = Forge::new("https://other.example", &CORP);
    let pretty = forge.token_of(&format!("{}.{}", b64("{\n  \"alg\": \"RS256\", \"kid\": \"corp-1\"}"), b64(forge.claims.to_string())));
    let spaced = forge.token_of(&format!("{}.{}", b64("\t {\"alg\":\"RS256\"}"), b64(forge.claims.to_string())));
    let personal = "dapi0123456789abcdef0123456789abcdef";
    for token in [jwe, foreign.as_str(), pretty.as_str(), spaced.as_str(), personal, "dapi", "tok\u{22}en", "<script>", "=", "a=b"] {
        idp.tell(token, &alice(&clock));
        assert!(ask(&authn, token).await.is_err(), "{token}");
        assert!(authn.examine(token, &mut Trail::default()).await.is_err(), "{token}");
    }
    assert!(authn.examine(&"x".repeat(20_000), &mut Trail::default()).await.is_err());
    assert_eq!(idp.questions(), []);
}

#[tokio::test]
async fn only_one_issuer_can_be_asked_about_tokens_that_name_none() {
    let clock = Clock::default();
    let with =
        |name: &str, when| IssuerConfig { introspection: Some(asking(when)), ..issuer(name, &format!("https://{name}.example"), Provider::Generic) };
    let new = |issuers| Authenticator::new(config(issuers), client(), clock.clone(), None);
    let faults = new(vec![with("a", IntrospectWhen::Opaque), with("b", IntrospectWhen::Always)]).unwrap_err();
    assert!(faults[0].message.contains("`a` and `b`"), "{faults:?}");
    assert!(new(vec![with("a", IntrospectWhen::Always), with("b", IntrospectWhen::Signed), with("c", IntrospectWhen::Signed)]).is_ok());
}

#[tokio::test]
async fn many_requests_with_one_token_ask_once_and_one_that_leaves_ends_nothing() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    let authn = Arc::new(authn);
    idp.tell(OPAQUE, &alice(&clock));
    idp.hold(true);
    let stage = Arc::clone(&authn);
    let first = tokio::spawn(async move { ask(&stage, OPAQUE).await });
    eventually(|| idp.questions().len() == 1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let began = Instant::now();
    let asks = join_all((0..100).map(|_| ask(&authn, OPAQUE)));
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        idp.hold(false);
    };
    let (results, ()) = futures::join!(asks, release);
    // Only who has waited for two seconds may have lost patience.
    let patient = began.elapsed() < Duration::from_secs(2);
    for result in results {
        assert!(result.as_ref().map_or_else(|refusal| !patient && refusal.reason == Reason::IntrospectionUnavailable, |_| true), "{result:?}");
    }
    assert!(ask(&authn, OPAQUE).await.is_ok());
    assert_eq!(idp.questions().len(), 1);
    // A token that is known is answered without waiting.
    let header = format!("Bearer {OPAQUE}");
    let call = call(PEER, Some(&header));
    assert!(futures::FutureExt::now_or_never(authn.authenticate(&call)).unwrap().is_ok());
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_lets_nobody_pass_and_is_left_alone() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    idp.tell(OPAQUE, &alice(&clock));
    assert!(ask(&authn, OPAQUE).await.is_ok());
    for (status, fails) in [(503, true), (429, true), (401, true), (500, true)] {
        let began = clock.now_ms();
        idp.say(Some((status, "")));
        let asked = idp.questions().len();
        for i in 0..50 {
            let refusal = ask(&authn, &format!("fresh-{status}-{i}")).await.unwrap_err();
            assert_eq!(refusal.reason, Reason::IntrospectionUnavailable);
            assert!(refusal.since.is_some_and(|since| since >= began), "the fault has a beginning");
        }
        assert_eq!(idp.questions().len() - asked == 3, fails, "{status}");
        assert!(ask(&authn, OPAQUE).await.is_ok(), "within its window");
        let status = authn.status().remove(0);
        assert!(status.degraded && status.introspection.as_ref().is_some_and(|asked| asked.open && asked.last_error.is_some()), "{status:?}");
        assert!(status.introspection.unwrap().endpoint.unwrap().ends_with("/introspect"));
        idp.say(None);
        let clock_now = clock.now_ms() - Clock::default().now_ms();
        clock.shift(clock_now + 1_100);
        assert_eq!(reason(ask(&authn, "made-up").await, "made up"), Reason::TokenInactive);
        assert!(!authn.status()[0].degraded);
        clock.shift(clock_now + 7_000);
        idp.tell(OPAQUE, &alice(&clock));
        let _ = ask(&authn, OPAQUE).await;
    }
    idp.say(Some((503, "")));
    let clock_now = clock.now_ms() - Clock::default().now_ms();
    clock.shift(clock_now + 11_000);
    assert_eq!(reason(ask(&authn, OPAQUE).await, "beyond its window"), Reason::IntrospectionUnavailable);
}

#[tokio::test]
async fn an_endpoint_that_was_found_is_asked_while_its_discovery_document_cannot_be_had() {
    for discovery in [Discovery::Hangs, Discovery::Fails] {
        let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
        let token = async |name: String| {
            idp.tell(&name, &alice(&clock));
            ask(&authn, &name).await
        };
        for i in 0..5 {
            assert!(token(format!("young-{i}")).await.is_ok());
        }
        assert_eq!(idp.discoveries(), 1);
        clock.shift(700_000);
        idp.discovery(discovery);
        let began = Instant::now();
        for i in 0..20 {
            assert!(token(format!("old-{i}")).await.is_ok(), "{discovery:?}");
        }
        eventually(|| idp.discoveries() > 1).await;
        // One that hangs is waited for, and what failed is left alone for a second and more.
        let most = 2 + usize::try_from(began.elapsed().as_secs()).unwrap();
        assert!(idp.discoveries() <= most, "{discovery:?}: {} looks", idp.discoveries());
        let seen = idp.discoveries();
        idp.discovery(Discovery::Answers);
        clock.shift(1_400_000);
        for i in 0..2_000 {
            assert!(token(format!("late-{i}")).await.is_ok(), "{discovery:?}");
            if idp.discoveries() > seen {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(idp.discoveries() > seen && !authn.status()[0].degraded, "{discovery:?}");
    }
}

#[tokio::test]
async fn made_up_tokens_of_one_workload_do_not_flood_the_issuer_nor_stop_others() {
    let (idp, authn, clock) = corp(IntrospectWhen::Opaque).await;
    idp.tell(OPAQUE, &merged(&alice(&clock), &json!({"exp": null})));
    let mut shed = 0;
    for batch in 0..40 {
        let tokens: Vec<String> = (0..50).map(|i| format!("garbage-{batch}-{i}")).collect();
        for result in join_all(tokens.iter().map(|token| ask(&authn, token))).await {
            match reason(result, "garbage") {
                Reason::TokenInactive => {}
                Reason::IntrospectionUnavailable => shed += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    let seconds = 60;
    assert!(idp.questions().len() <= 200 + 5 * seconds, "{} questions", idp.questions().len());
    assert!(shed >= 2000 - 200 - 5 * seconds);
    let header = format!("Bearer {OPAQUE}");
    let other = call(b"spiffe://cluster.local/ns/ml-prod/sa/server", Some(&header));
    assert!(authn.authenticate(&other).await.is_ok());
    assert!(ask(&authn, OPAQUE).await.is_ok(), "a known token of the same workload");
    clock.shift(11_000);
    assert!(ask(&authn, OPAQUE).await.is_ok(), "and when it is asked about again");
}

#[tokio::test]
async fn a_new_secret_is_used_at_once_and_another_issuer_keeps_what_it_knows() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::default());
    let file = folder.path().join("secret");
    let (corp, other) = (Idp::start(&[&CORP]).await, Idp::start(&[&CORP]).await);
    let mut asked = asked(&corp, IntrospectWhen::Opaque);
    asked.introspection.as_mut().unwrap().auth = ClientAuth::Post(SecretSource::File(file.clone()));
    asked.introspection.as_mut().unwrap().endpoint = Some(Endpoint::parse(&format!("{}/introspect", corp.url)).unwrap());
    let issuers = vec![asked, issuer("other", &other.url, Provider::Generic)];
    std::fs::write(&file, "one\n").unwrap();
    let first = Authenticator::new(config(issuers.clone()), client(), clock.clone(), None).unwrap();
    corp.tell(OPAQUE, &alice(&clock));
    let signed = Forge::new(&other.url, &CORP).token();
    assert!(ask(&first, OPAQUE).await.is_ok() && ask(&first, &signed).await.is_ok());
    let same = Authenticator::new(config(issuers.clone()), client(), clock.clone(), Some(&first)).unwrap();
    assert!(ask(&same, OPAQUE).await.is_ok());
    assert_eq!(corp.questions().len(), 1);
    std::fs::write(&file, "two\n").unwrap();
    let second = Authenticator::new(config(issuers.clone()), client(), clock.clone(), Some(&same)).unwrap();
    assert!(ask(&second, OPAQUE).await.is_ok() && ask(&second, &signed).await.is_ok());
    let forms: Vec<String> = corp.questions().into_iter().map(|(header, form)| header + &form).collect();
    assert_eq!((forms[0].contains("client_secret=one"), forms[1].contains("client_secret=two")), (true, true), "{forms:?}");
    assert_eq!(other.fetches(), 1);
    std::fs::remove_file(&file).unwrap();
    let faults = Authenticator::new(config(issuers), client(), clock, Some(&second)).unwrap_err();
    assert_eq!(faults[0].file, file);
}
