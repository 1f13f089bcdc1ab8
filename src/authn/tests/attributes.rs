//! Claims as attributes, what is required of them, who may act, and why.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{CORP, Forge, KeyFile, ask, authenticator, client, config, issuer, reason};
use crate::{
    authn::{Attribute, Authenticator, ClaimPath, IssuerConfig, Provider, Purpose, Requirement, claims, of_facts},
    clock::Clock,
    model::{Caller, Field, FieldKind, FieldSpec, FieldValue, Reason, Refusal, Token},
};

const URL: &str = "https://idp.example";

fn attribute(name: &str, claim: &str, kind: FieldKind) -> Attribute {
    Attribute { name: name.into(), claim: ClaimPath::parse(claim).unwrap(), kind }
}

fn with(change: impl FnOnce(&mut IssuerConfig)) -> Authenticator {
    let mut corp = issuer("corp", URL, Provider::Generic);
    change(&mut corp);
    authenticator(vec![corp], &Clock::default())
}

fn declared() -> Authenticator {
    with(|corp| {
        let all = [
            ("branch", "git.ref", FieldKind::Text),
            ("amr", "amr", FieldKind::Texts),
            ("tier", "https://acme.example/tier", FieldKind::Long),
            ("staff", "staff", FieldKind::Bool),
            ("runs", "projects.*.runs", FieldKind::Texts),
        ];
        for (name, claim, kind) in all {
            corp.declare(attribute(name, claim, kind));
        }
    })
}

fn caller(authn: &Authenticator, changes: &Value) -> Result<Caller, Refusal> {
    authn.caller_from_claims(Forge::new(URL, &CORP).claims(changes).claims.to_string().as_bytes(), None)
}

fn token(authn: &Authenticator, changes: &Value) -> Arc<Token> {
    caller(authn, changes).unwrap_or_else(|refusal| panic!("{changes}: {refusal:?}")).token.unwrap()
}

fn field(name: &str, value: FieldValue) -> Field {
    Field { name: name.into(), value }
}

fn texts(texts: &[&str]) -> FieldValue {
    FieldValue::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[test]
fn a_claim_is_read_by_the_type_that_is_declared() {
    let authn = declared();
    let text = |text: &str| FieldValue::Text(text.to_owned());
    let cases = [
        (json!({}), vec![]),
        (json!({"git": {"ref": "main", "sha": 1}}), vec![field("branch", text("main"))]),
        (json!({"git": {"ref": ""}}), vec![field("branch", text(""))]),
        (json!({"git": {}}), vec![]),
        (json!({"git": {"ref": "x".repeat(1024)}}), vec![field("branch", text(&"x".repeat(1024)))]),
        (json!({"amr": ["pwd", "mfa", "pwd"]}), vec![field("amr", texts(&["mfa", "pwd"]))]),
        (json!({"amr": "mfa"}), vec![field("amr", texts(&["mfa"]))]),
        (json!({"amr": []}), vec![field("amr", texts(&[]))]),
        (json!({"https://acme.example/tier": -3}), vec![field("tier", FieldValue::Long(-3))]),
        (json!({"https://acme.example/tier": i64::MAX}), vec![field("tier", FieldValue::Long(i64::MAX))]),
        (json!({"staff": false}), vec![field("staff", FieldValue::Bool(false))]),
        (json!({"projects": {"a": {"runs": ["1"]}, "b": {"runs": ["2", "1"]}}}), vec![field("runs", texts(&["a:1", "b:1", "b:2"]))]),
        (
            json!({"staff": true, "amr": ["otp"], "git": {"ref": "x"}}),
            vec![field("amr", texts(&["otp"])), field("branch", text("x")), field("staff", FieldValue::Bool(true))],
        ),
    ];
    for (changes, want) in cases {
        assert_eq!(token(&authn, &changes).claims, want, "{changes}");
    }
}

#[test]
fn a_claim_of_another_type_is_refused_with_its_name_and_the_type() {
    let authn = declared();
    let cases = [
        (json!({"git": {"ref": 1}}), "the claim `git.ref` is a number, and is declared as `string`"),
        (json!({"git": {"ref": ["main"]}}), "the claim `git.ref` is an array, and is declared as `string`"),
        (json!({"git": {"ref": {"name": "main"}}}), "the claim `git.ref` is an object, and is declared as `string`"),
        (json!({"git": "main"}), "the claim `git.ref` passes through a string, not an object"),
        (json!({"git": {"ref": "x".repeat(1025)}}), "the claim `git.ref` has a text of more than 1024 bytes"),
        (json!({"git": {"ref": "a\nb"}}), "the claim `git.ref` holds a control character"),
        (json!({"amr": ["pwd", 1]}), "the claim `amr` holds a number, and is declared as `strings`"),
        (json!({"amr": {"pwd": true}}), "the claim `amr` is an object, and is declared as `strings`"),
        (json!({"amr": (0..257).map(|number| number.to_string()).collect::<Vec<_>>()}), "the claim `amr` has more than 256 texts"),
        (json!({"https://acme.example/tier": "3"}), "the claim `https://acme.example/tier` is a string, and is declared as `long`"),
        (json!({"https://acme.example/tier": 3.0}), "is a number that is not whole, and is declared as `long`"),
        (json!({"https://acme.example/tier": u64::MAX}), "is a number that does not fit 64 bits, and is declared as `long`"),
        (json!({"staff": "true"}), "the claim `staff` is a string, and is declared as `bool`"),
        (json!({"staff": 1}), "the claim `staff` is a number, and is declared as `bool`"),
    ];
    for (changes, want) in cases {
        let refusal = caller(&authn, &changes).unwrap_err();
        assert!(refusal.reason == Reason::TokenBadClaims && refusal.detail.contains(want), "{changes}: {refusal:?}");
    }
    let mut claims = Forge::new(URL, &CORP).claims;
    claims["staff"] = Value::Null;
    let refusal = authn.caller_from_claims(claims.to_string().as_bytes(), None).unwrap_err();
    assert_eq!(refusal.detail, "the claim `staff` is null, and is declared as `bool`");
    assert!(caller(&with(|_| ()), &json!({"staff": 1, "git": 2, "amr": {}})).is_ok(), "what is not declared is not read");
}

#[test]
fn attributes_of_all_issuers_make_one_record() {
    let mut corp = issuer("corp", URL, Provider::Generic);
    corp.declare(attribute("tier", "tier", FieldKind::Long));
    corp.declare(attribute("branch", "ref", FieldKind::Text));
    corp.declare(attribute("tier", "level", FieldKind::Text));
    let names: Vec<_> = corp.attributes.iter().map(|attribute| (attribute.name.to_string(), attribute.claim.to_string())).collect();
    assert_eq!(names, [("branch".to_owned(), "ref".to_owned()), ("tier".to_owned(), "level".to_owned())], "the later one counts");
    let mut other = issuer("other", "https://other.example", Provider::Generic);
    other.declare(attribute("branch", "git.branch", FieldKind::Text));
    other.declare(attribute("amr", "amr", FieldKind::Texts));
    let spec = |name: &str, kind| FieldSpec { name: name.into(), kind };
    let all = [spec("amr", FieldKind::Texts), spec("branch", FieldKind::Text), spec("tier", FieldKind::Text)];
    assert_eq!(claims(&[corp.clone(), other.clone()]), all);
    other.declare(attribute("tier", "tier", FieldKind::Long));
    let faults = Authenticator::new(config(vec![corp, other]), client(), Clock::default(), None).unwrap_err();
    assert_eq!(
        faults[0].message,
        "the attribute `tier` is `long` of issuer `other` and `string` of issuer `corp`; give both one type, or one of them another name"
    );
}

/// Of `claim: text text, claim: text`.
fn demand(required: &str) -> Authenticator {
    let requirement = |text: &str| {
        let (claim, texts) = text.split_once(": ").unwrap();
        Requirement { claim: ClaimPath::parse(claim).unwrap(), any_of: texts.split(' ').map(str::to_owned).collect() }
    };
    with(|corp| corp.require = required.split(", ").map(requirement).collect())
}

#[test]
fn a_token_has_what_is_required_of_its_claims() {
    let (owner, two) = ("repository_owner: acme acme-labs", "repository_owner: acme, git.ref: main");
    let good = [
        (owner, json!({"repository_owner": "acme"})),
        (owner, json!({"repository_owner": "acme-labs"})),
        (owner, json!({"repository_owner": ["x", "acme"]})),
        ("email_verified: true", json!({"email_verified": true})),
        ("tid: 42", json!({"tid": 42})),
        ("tid: 42", json!({"tid": "42"})),
        (two, json!({"repository_owner": "acme", "git": {"ref": "main"}})),
    ];
    for (required, changes) in good {
        let got = caller(&demand(required), &changes);
        assert!(got.is_ok(), "{changes}: {got:?}");
    }
    let bad = [
        (
            owner,
            json!({"repository_owner": "evil"}),
            Reason::TokenNotAccepted,
            "the claim `repository_owner` is `evil`, and issuer `corp` is trusted only for tokens in which it is `acme` or `acme-labs`",
        ),
        (owner, json!({}), Reason::TokenNotAccepted, "the token has no claim `repository_owner`, and issuer `corp` is trusted only for"),
        (owner, json!({"repository_owner": "ACME"}), Reason::TokenNotAccepted, "is `ACME`"),
        (owner, json!({"repository_owner": "acme "}), Reason::TokenNotAccepted, "is `acme `"),
        (owner, json!({"repository_owner": []}), Reason::TokenNotAccepted, "is ``"),
        (owner, json!({"repository_owner": ["acme", 1]}), Reason::TokenBadClaims, "which nothing can be required of"),
        (owner, json!({"repository_owner": {"acme": 1}}), Reason::TokenBadClaims, "is or holds an object"),
        ("tid: 42", json!({"tid": 42.0}), Reason::TokenBadClaims, "a number that is not whole"),
        ("email_verified: true", json!({"email_verified": false}), Reason::TokenNotAccepted, "is `false`"),
        (two, json!({"repository_owner": "acme", "git": {"ref": "dev"}}), Reason::TokenNotAccepted, "the claim `git.ref` is `dev`"),
        (two, json!({"repository_owner": "acme", "git": "main"}), Reason::TokenBadClaims, "passes through a string"),
    ];
    for (required, changes, reason, detail) in bad {
        let refusal = caller(&demand(required), &changes).unwrap_err();
        assert!(refusal.reason == reason && refusal.detail.contains(detail), "{changes}: {refusal:?}");
    }
}

#[tokio::test]
async fn what_is_required_holds_of_tokens_that_are_known_too() {
    let file = KeyFile::new(&json!({"keys": [CORP.jwk]}));
    let open = file.issuer(Provider::Generic);
    let authn = Authenticator::new(config(vec![open.clone()]), client(), Clock::default(), None).unwrap();
    let forged = Forge::new(URL, &CORP).claims(&json!({"repository_owner": "evil", "act": {"sub": "agent"}})).token();
    assert!(ask(&authn, &forged).await.is_ok());
    let mut closed = open.clone();
    closed.require = vec![Requirement { claim: ClaimPath::parse("repository_owner").unwrap(), any_of: vec!["acme".to_owned()] }];
    let mut alone = open.clone();
    alone.actors = Vec::new();
    for (issuer, want) in [(closed, Some(Reason::TokenNotAccepted)), (alone, Some(Reason::ActorNotAllowed)), (open, None)] {
        let reloaded = Authenticator::new(config(vec![issuer]), client(), Clock::default(), Some(&authn)).unwrap();
        assert_eq!(ask(&reloaded, &forged).await.err().map(|refusal| refusal.reason), want);
    }
}

#[test]
fn only_actors_that_are_named_may_act() {
    let named = with(|corp| corp.actors = vec!["copilot".to_owned()]);
    let nobody = with(|corp| corp.actors = Vec::new());
    let copilot = json!({"act": {"sub": "copilot", "act": {"sub": "planner"}}});
    assert_eq!(token(&named, &copilot).actors, ["copilot", "planner"], "earlier ones are for the record");
    let refusal = caller(&nobody, &copilot).unwrap_err();
    assert_eq!(refusal.reason, Reason::ActorNotAllowed);
    assert_eq!(refusal.detail, "`copilot` acts for the token's subject, and is none of the actors that issuer `corp` may name");
    for act in [json!({"sub": "planner"}), json!({"sub": "planner", "act": {"sub": "copilot"}}), json!({"sub": "Copilot"}), json!({"sub": "alice"})] {
        assert_eq!(reason(caller(&named, &json!({ "act": act })), "actor"), Reason::ActorNotAllowed, "{act}");
    }
    assert!(token(&nobody, &json!({})).actors.is_empty());
    // what a test tells of a token
    let told = Token::clone(&token(&named, &copilot));
    assert!(named.caller_from_facts_at(told.clone(), None, Clock::default().now()).is_ok());
    assert_eq!(reason(nobody.caller_from_facts_at(told, None, Clock::default().now()), "told"), Reason::ActorNotAllowed);
}

#[test]
fn a_purpose_comes_from_its_claim_or_from_the_details() {
    let claimed = with(|corp| corp.purpose = Some(Purpose::Claim(ClaimPath::parse("why.purpose").unwrap())));
    let details = with(|corp| corp.purpose = Some(Purpose::Details("databricks".to_owned())));
    let entry = |purpose: &str| json!({"type": "databricks", "purpose": purpose, "actions": ["read"]});
    let other = json!({"type": "payment", "purpose": "rent"});
    let cases = [
        (&claimed, json!({"why": {"purpose": "audit"}}), Ok(Some("audit"))),
        (&claimed, json!({"why": {}}), Ok(None)),
        (&claimed, json!({"purpose": "audit", "authorization_details": [entry("audit")]}), Ok(None)),
        (&claimed, json!({"why": {"purpose": ["audit"]}}), Err("is or holds an array, not a string")),
        (&claimed, json!({"why": {"purpose": ""}}), Err("is empty")),
        (&claimed, json!({"why": {"purpose": "a\tb"}}), Err("control character")),
        (&claimed, json!({"why": {"purpose": "x".repeat(256)}}), Err("longer than 255 bytes")),
        (&details, json!({}), Ok(None)),
        (&details, json!({"authorization_details": []}), Ok(None)),
        (&details, json!({"authorization_details": [other]}), Ok(None)),
        (&details, json!({"authorization_details": [{"type": "databricks"}]}), Ok(None)),
        (&details, json!({"authorization_details": [other, entry("audit")]}), Ok(Some("audit"))),
        (&details, json!({"authorization_details": [entry("audit"), entry("audit")]}), Ok(Some("audit"))),
        (&details, json!({"authorization_details": [entry("audit"), other, entry("fraud")]}), Err("do not name one purpose")),
        (&details, json!({"authorization_details": [entry("audit"), {"type": "databricks"}]}), Err("do not name one purpose")),
        (&details, json!({"authorization_details": entry("audit")}), Err("is an object, not an array")),
        (&details, json!({"authorization_details": ["databricks"]}), Err("holds a string, not objects alone")),
        (&details, json!({"authorization_details": [{"purpose": "audit"}]}), Err("has no `type`")),
        (&details, json!({"authorization_details": [{"type": "databricks", "purpose": 1}]}), Err("is or holds a number")),
    ];
    for (authn, changes, want) in cases {
        match (caller(authn, &changes), want) {
            (Ok(caller), Ok(want)) => assert_eq!(caller.token.unwrap().purpose.as_deref(), want, "{changes}"),
            (Err(refusal), Err(want)) => assert!(refusal.reason == Reason::TokenBadClaims && refusal.detail.contains(want), "{changes}: {refusal:?}"),
            (got, want) => panic!("{changes}: {got:?}, not {want:?}"),
        }
    }
}

#[test]
fn what_a_test_tells_of_attributes_is_what_a_token_would_have() {
    let authn = declared();
    let name = authn.issuers().next().unwrap().clone();
    let claims = json!({"git": {"ref": "main"}, "amr": ["pwd", "mfa"], "staff": true, "https://acme.example/tier": 3});
    let told = json!({"tier": 3, "branch": "main", "amr": ["mfa", "pwd"], "staff": true});
    assert_eq!(authn.attributes_of(&name, told.to_string().as_bytes()), Ok(token(&authn, &claims).claims.clone()));
    for (told, want) in [
        (json!({"branhc": "main"}), "issuer `corp` has no attribute `branhc`; did you mean `branch`?"),
        (json!({"branch": 1}), "the attribute `branch` is a number, and is declared as `string`"),
        (json!([]), "attributes are an array, not an object"),
    ] {
        assert_eq!(authn.attributes_of(&name, told.to_string().as_bytes()).unwrap_err(), want);
    }
}

fn value() -> impl Strategy<Value = FieldValue> {
    let text = || proptest::sample::select(vec!["", "a", "b", "ab", "1", "true"]).prop_map(str::to_owned);
    prop_oneof![
        text().prop_map(FieldValue::Text),
        (0..3_i64).prop_map(FieldValue::Long),
        any::<bool>().prop_map(FieldValue::Bool),
        proptest::collection::btree_set(text(), 0..3).prop_map(|texts| FieldValue::Texts(texts.into_iter().collect())),
    ]
}

fn some_facts() -> impl Strategy<Value = (Vec<Field>, Option<String>, Vec<String>, Option<String>)> {
    let names = proptest::sample::subsequence(vec!["a", "ab", "b"], 0..=3);
    let text = || proptest::option::of(proptest::sample::select(vec!["a", "b"]).prop_map(str::to_owned));
    let actors = proptest::sample::subsequence(vec!["a".to_owned(), "b".to_owned()], 0..=2);
    (names, proptest::array::uniform3(value()), text(), actors, text()).prop_map(|(names, values, purpose, actors, session)| {
        let fields = names.into_iter().zip(values).map(|(name, value)| field(name, value)).collect();
        (fields, purpose, actors, session)
    })
}

static PLAIN: LazyLock<Token> = LazyLock::new(|| Token::clone(&token(&with(|_| ()), &json!({}))));

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    /// Decisions are kept by the digest: two tokens that policies could tell apart must not share one.
    #[test]
    fn tokens_share_a_digest_where_policies_cannot_tell_them_apart_and_nowhere_else(one in some_facts(), other in some_facts()) {
        let of = |(claims, purpose, actors, session): &(Vec<Field>, Option<String>, Vec<String>, Option<String>)| {
            let told = Token { claims: claims.clone(), purpose: purpose.clone(), actors: actors.clone(), session: session.clone(), ..PLAIN.clone() };
            of_facts(&told)
        };
        prop_assert_eq!(of(&one) == of(&other), one == other);
        prop_assert_eq!(of(&one), of(&one.clone()));
    }
}
