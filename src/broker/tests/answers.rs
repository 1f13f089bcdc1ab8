//! What an endpoint answers with: which tokens are sent on, and what is told of the rest.

use std::collections::HashMap;

use base64::{
    Engine as _,
    engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{
    caller::{self, World, caller, wanted},
    endpoint::{ISSUER, Mood},
};
use crate::{
    broker::{Broker, Config, Exchange, Mode, Probe, Subject, Trial, TrialEnd, Unusable},
    clock::Clock,
    model::{Reason, Secret},
    net::{self, Client},
};

const SECRET: &str = "doseSECRETSECRET0123456789";
/// One that is all words and spaces.
const PHRASE: &str = "correct horse/battery staple";

/// What an endpoint gives back.
struct Return {
    name: &'static str,
    change: fn(&mut Exchange),
    mood: Mood,
}

fn of_the_caller(exchange: &mut Exchange) {
    exchange.subject = Subject::Caller;
}

fn client_secret(secret: &'static str) -> impl FnOnce(&mut Exchange) {
    move |exchange| {
        let authorization = net::basic(caller::BY_ROLE, &Secret::new(secret));
        exchange.subject = Subject::Client { client_id: caller::BY_ROLE.to_owned(), authorization };
    }
}

fn service_principal(exchange: &mut Exchange) {
    let Subject::Assertion { issuer, audience, .. } = exchange.subject.clone() else { panic!("no assertion") };
    let rule = crate::broker::PrincipalRule { client_id: caller::CLIENT.to_owned(), role: None, peer: None };
    exchange.subject = Subject::ServicePrincipal { issuer, audience, rules: vec![rule] };
}

fn answer(changes: &Value) -> Mood {
    let mut body = json!({"access_token": "dbx-x", "token_type": "Bearer", "expires_in": 3600});
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Mood::Says(200, body.to_string(), None)
}

/// A JWT with this text as its claims.
fn jwt(claims: &str) -> String {
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(claims))
}

/// The one trial of an exchange for alice, past all that is kept.
async fn tried(world: &World, token: &str) -> Trial {
    let modes = HashMap::from([((world.target.kind, world.target.name.clone()), Mode::Exchange(world.exchange.clone()))]);
    let client = Client::new(&net::Config::default()).unwrap();
    let broker = Broker::new(Config { modes, cache_bytes: 1 << 20 }, client, world.clock.clone(), None);
    let alice = caller("alice", 3600);
    broker.try_exchange(&world.target, &Probe::Caller(wanted(&alice, Some(token)))).await.pop().unwrap()
}

#[tokio::test]
async fn what_was_sent_to_the_endpoint_is_never_sent_on_as_its_token() {
    let own = jwt(&json!({"iss": "https://corp.example", "aud": "1234", "exp": Clock::default().now() + 3600, "sub": "alice"}).to_string());
    let returns = |token: &str| answer(&json!({"access_token": token}));
    let basic = net::basic(caller::BY_ROLE, &Secret::new(SECRET));
    let ours = jwt(&json!({"iss": ISSUER, "aud": "1234"}).to_string());
    let cases = [
        Return { name: "the caller's token", change: of_the_caller, mood: returns(&own) },
        Return { name: "our word", change: |_| {}, mood: Mood::Returns },
        Return { name: "our word for a principal", change: service_principal, mood: Mood::Returns },
        Return { name: "another word of ours", change: |_| {}, mood: returns(&ours) },
        Return { name: "another word of ours for a principal", change: service_principal, mood: returns(&ours) },
        Return { name: "the secret", change: |exchange| client_secret(SECRET)(exchange), mood: returns(SECRET) },
        Return {
            name: "the whole of the secret",
            change: |exchange| client_secret(SECRET)(exchange),
            mood: returns(basic.expose().strip_prefix("Basic ").unwrap()),
        },
    ];
    for Return { name, change, mood } in cases {
        let world = World::unverified(|exchange| {
            // The account is the audience of what is sent, and one that a token may have.
            exchange.audiences.push(super::endpoint::AUDIENCE.to_owned());
            change(exchange);
        })
        .await;
        world.endpoint.be(mood);
        let refusal = world.grant(&caller("alice", 3600), Some(&own)).await.expect_err(name);
        assert!(refusal.reason == Reason::CredentialUnavailable && refusal.whole().contains("what was sent to it"), "{name}: {refusal:?}");
        let trial = tried(&world, &own).await;
        assert!(matches!(trial.end, TrialEnd::Unusable(Unusable::Returned)), "{name}: {trial:?}");
    }
    // Where nothing is said by lakegate, a token may be of any issuer.
    let world = World::unverified(of_the_caller).await;
    world.endpoint.be(returns(&ours));
    world.grant(&caller("alice", 3600), Some(&own)).await.unwrap();
}

#[tokio::test]
async fn a_secret_that_an_endpoint_repeats_is_told_to_nobody() {
    let basic = |secret: &str| net::basic(caller::BY_ROLE, &Secret::new(secret)).expose().to_owned();
    let encoded = |secret: &str| form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
    let says = |status, body: Value| Mood::Says(status, body.to_string(), None);
    let described = |text: String| says(401, json!({"error": "invalid_client", "error_description": text}));
    let mut moods = Vec::new();
    for secret in [SECRET, PHRASE] {
        moods.extend([
            (secret, described(format!("bad secret {secret}"))),
            (secret, described(format!("bad secret={}; go", secret.to_uppercase()))),
            (secret, described(format!("begins with {}", secret.split_at(12).0))),
            (secret, described(format!("bad header {}", basic(secret)))),
            (secret, described(format!("bad form {}", encoded(secret)))),
            (secret, says(401, json!({"error": secret}))),
            (secret, says(401, json!({"errorCode": secret, "errorSummary": secret}))),
            (secret, answer(&json!({"token_type": secret}))),
            (secret, answer(&json!({"scope": secret}))),
            (secret, answer(&json!({"access_token": jwt(&json!({"aud": ["5678", secret]}).to_string())}))),
        ]);
    }
    moods.extend([
        ("horsebatterystaple", says(401, json!({"error": "horsebatterystaple"}))),
        (SECRET, answer(&json!({"token_type": "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"}))),
        (SECRET, answer(&json!({"access_token": jwt(r#"{"aud":"5678","sub":"dapifedcba9876543210"}"#)}))),
        (SECRET, answer(&json!({"scope": "sql dapifedcba9876543210"}))),
        (SECRET, answer(&json!({"scope": "fedcba9876543210fedcba9876543210"}))),
    ]);
    for (secret, mood) in moods {
        let world = World::with(client_secret(secret)).await;
        world.endpoint.be(mood.clone());
        let refusal = world.authorization(&caller("alice", 3600)).await.unwrap_err();
        let trial = tried(&world, "t").await;
        let facts = serde_json::to_string(&trial.token).unwrap();
        let told = format!("{} | {:?} | {trial:?} | {facts}", refusal.whole(), world.status()).to_lowercase();
        let basic = basic(secret);
        let (begin, end) = secret.split_at(10);
        let parts = [begin, end, basic.strip_prefix("Basic ").unwrap(), "eyJ", "dapif", "fedcba98", &encoded(secret)];
        for part in parts.map(str::to_lowercase) {
            assert!(!told.contains(&part), "{mood:?}: `{part}` is in {told}");
        }
    }
}

#[tokio::test]
async fn the_token_that_is_sent_is_told_to_nobody_in_whatever_part() {
    let own = jwt(r#"{"sub":"alice"}"#).replace("c2ln", "c2lnbmF0dXJlLW9mLWNvcnA");
    for said in ["{}", "signature c2lnbmF0dXJlLW9mLWNvcnA is bad", "begins with eyJ", "bad 'c2lnbmF0dXJl'"] {
        let world = World::unverified(of_the_caller).await;
        let description = said.replace("{}", &own);
        world.endpoint.be(Mood::Says(400, json!({"error": "invalid_grant", "error_description": description}).to_string(), None));
        let refusal = world.grant(&caller("alice", 3600), Some(&own)).await.unwrap_err();
        let told = format!("{} {:?}", refusal.whole(), tried(&world, &own).await);
        assert!(told.contains('…') && !told.contains("c2lnbmF0") && !told.contains("eyJ"), "{told}");
    }
}

#[tokio::test]
async fn what_tells_an_operator_what_is_wrong_is_told() {
    let unknown = ["a b\r\nc", "Error", "e".repeat(41).leak(), "", "_", "invalid grant", "E123", "E00000111"];
    let known = ["invalid_target", "server_error", "temporarily_unavailable", "unauthorized_client", "interaction_required", "E0000011"];
    for (code, is) in known.into_iter().map(|code| (code, true)).chain(unknown.into_iter().map(|code| (code, false))) {
        let world = World::start().await;
        world.endpoint.be(Mood::Says(400, json!({ "error": code }).to_string(), None));
        let refusal = world.authorization(&caller("alice", 3600)).await.unwrap_err();
        let says = if is { format!("(`{code}`)") } else { "(status 400)".to_owned() };
        assert!(refusal.detail.contains(&says), "`{code}`: {refusal:?}");
    }
    // The longest word that is told, and one that is longer.
    let [longest, longer] = [100, 101].map(|length| "x".repeat(length));
    for (text, says) in [(format!("no {longer} here"), "no … here".to_owned()), (longest.clone(), longest.split_at(80).0.to_owned())] {
        let world = World::start().await;
        world.endpoint.be(Mood::Says(400, json!({ "error": "invalid_grant", "error_description": text }).to_string(), None));
        let refusal = world.authorization(&caller("alice", 3600)).await.unwrap_err();
        assert!(refusal.whole().contains(&format!("says: {says}")), "{refusal:?}");
    }
    for (changes, says) in [
        (json!({"scope": "sql unity-catalog dashboards.genie"}), "`sql unity-catalog dashboards.genie`"),
        (json!({"scope": "sql A0b1C2d3"}), "`sql …`"),
        (json!({"token_type": "dpop"}), "is `DPoP`, not `Bearer`"),
        (json!({"token_type": "x"}), "is another, not `Bearer`"),
        (
            json!({"access_token": jwt(r#"{"aud":["https://dbc-a1b2c3d4-e5f6.cloud.databricks.com","0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f0"]}"#)}),
            "for `https://dbc-a1b2c3d4-e5f6.cloud.databricks.com`, `0a1b2c3d-4e5f-6071-",
        ),
    ] {
        let world = World::start().await;
        world.endpoint.be(answer(&changes));
        let refusal = world.authorization(&caller("alice", 3600)).await.unwrap_err();
        assert!(refusal.whole().contains(says), "{changes}: {refusal:?}");
        assert!(world.status().last_error.unwrap().contains(says), "{changes}");
    }
}

#[tokio::test]
async fn a_token_without_a_scope_that_was_asked_for_is_of_no_use() {
    for (asked, given, good) in [
        ("sql", json!("sql"), true),
        ("sql", json!("jobs sql"), true),
        ("sql", json!("all-apis"), true),
        ("sql jobs", json!("jobs sql files"), true),
        ("sql", json!("jobs"), false),
        ("sql", json!("sql-read"), false),
        ("sql", json!(""), false),
        ("sql jobs", json!("sql"), false),
        ("all-apis", json!("sql jobs"), false),
        ("sql", json!(["sql"]), false),
        ("sql", json!(null), false),
    ] {
        let world = World::with(|exchange| exchange.scope = Some(asked.to_owned())).await;
        world.endpoint.be(answer(&json!({ "scope": given })));
        let got = world.authorization(&caller("alice", 3600)).await;
        assert_eq!(
            got.map(drop).map_err(|refusal| refusal.reason),
            if good { Ok(()) } else { Err(Reason::CredentialUnavailable) },
            "{asked}: {given}"
        );
        assert_eq!(matches!(tried(&world, "t").await.end, TrialEnd::Issued), good, "{asked}: {given}");
    }
}

#[tokio::test]
async fn claims_that_some_reader_could_read_are_read_strictly_or_not_taken() {
    let now = Clock::default().now();
    let (soon, past) = (now + 3600, now - 10);
    let padded = |claims: &str| {
        let middle = URL_SAFE.encode(claims);
        assert!(middle.ends_with('='), "{claims} needs no padding");
        format!("e30.{middle}.c2ln")
    };
    let bad = [
        ("exp as fraction", jwt(&format!(r#"{{"aud":"1234","exp":{soon}.5}}"#))),
        ("exp as power", jwt(r#"{"aud":"1234","exp":1e12}"#)),
        ("exp as text", jwt(&format!(r#"{{"aud":"1234","exp":"{soon}"}}"#))),
        ("exp as null", jwt(r#"{"aud":"1234","exp":null}"#)),
        ("exp beyond all time", jwt(r#"{"aud":"1234","exp":18446744073709551615}"#)),
        ("nbf to come", jwt(&format!(r#"{{"aud":"1234","exp":{soon},"nbf":{}}}"#, now + 3000))),
        ("nbf as text", jwt(&format!(r#"{{"aud":"1234","nbf":"{past}"}}"#))),
        ("a claim twice", jwt(&format!(r#"{{"aud":"5678","exp":{past},"x":1,"x":2}}"#))),
        ("cut short", jwt(r#"{"aud":"1234""#)),
        ("more after it", jwt(r#"{"aud":"1234"} {}"#)),
        ("spaces before it", jwt("  {\n\"aud\":\"5678\"}")),
        ("padding", padded(&format!(r#"{{"aud":"56789","exp":{past}}}"#))),
        ("padding, and otherwise good", padded(&format!(r#"{{"aud":"1234","exp":{soon},"x":1}}"#))),
        ("the other alphabet", format!("e30.{}.c2ln", base64::engine::general_purpose::STANDARD.encode(r#"{"aud":"5678","x":"??>~~~"}"#))),
        ("what is no letter at its end", format!("e30.{}!.c2ln", URL_SAFE_NO_PAD.encode(r#"{"aud":"1234"}"#))),
        ("aud as number", jwt(r#"{"aud":1234}"#)),
        ("aud as null", jwt(r#"{"aud":null}"#)),
        ("aud as object", jwt(r#"{"aud":{"1234":"1234"}}"#)),
        ("a number among aud", jwt(r#"{"aud":["1234",1234]}"#)),
        ("aud of nobody", jwt(r#"{"aud":[]}"#)),
        ("aud of another", jwt(r#"{"aud":"12345"}"#)),
    ];
    let good = [
        ("exp and aud", jwt(&format!(r#"{{"aud":"1234","exp":{soon},"nbf":{past}}}"#))),
        ("nbf by a clock that is ahead", jwt(&format!(r#"{{"aud":["x","1234"],"nbf":{}}}"#, now + 30))),
        ("no claims", jwt("{}")),
        ("opaque", "dkea0123456789".to_owned()),
        ("opaque with dots", "a.b.c".to_owned()),
        ("opaque with dots that can be decoded", "abcd.c2VjcmV0.efgh".to_owned()),
        ("opaque with a brace in it", format!("abcd.{}.efgh", URL_SAFE_NO_PAD.encode(b"{\xff\x01\x02"))),
        ("five parts", "e30.e30.e30.e30.e30".to_owned()),
    ];
    let cases = bad.into_iter().map(|case| (case, false)).chain(good.into_iter().map(|case| (case, true)));
    for ((name, token), is_good) in cases {
        let world = World::start().await;
        world.endpoint.be(answer(&json!({ "access_token": token })));
        let got = world.authorization(&caller("alice", 3600)).await;
        assert_eq!(got.map(drop).map_err(|refusal| refusal.reason), if is_good { Ok(()) } else { Err(Reason::CredentialUnavailable) }, "{name}");
        assert_eq!(matches!(tried(&world, "t").await.end, TrialEnd::Issued), is_good, "{name}");
    }
}
