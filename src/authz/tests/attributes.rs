//! Claims of tokens, and the purpose of a call, in policies.

use std::sync::Arc;

use super::world::{alice, caller, claims, facts, intent, load, said, seal, source, summary, token, vocabulary};
use crate::{
    authz::{Authorizer, Explained, Source},
    model::{Caller, Field, FieldKind, FieldSpec, FieldValue, Intent},
};

fn with(claims: &[(&str, FieldValue)], purpose: Option<&str>) -> Caller {
    let mut token = token("alice", &["ml-engineers"]);
    token.claims = claims.iter().map(|(name, value)| Field { name: (*name).into(), value: value.clone() }).collect();
    token.purpose = purpose.map(str::to_owned);
    seal(&mut token);
    caller(Some(token), Some("ml-staging/trainer"))
}

fn text(text: &str) -> FieldValue {
    FieldValue::Text(text.to_owned())
}

fn job() -> Intent {
    intent("jobs.run_now", &[("Job", "stage/1")])
}

fn permit(condition: &str) -> String {
    format!("@id(\"p\") permit (principal, action, resource) when {{ {condition} }};")
}

fn allowed(authorizer: &Authorizer, caller: &Caller) -> bool {
    summary(authorizer.authorize(caller, &job(), &facts())).is_ok()
}

#[test]
fn policies_read_claims_and_the_purpose() {
    let teams = FieldValue::Texts(vec!["blue".to_owned(), "red".to_owned()]);
    let said = with(
        &[("repository", text("acme/app")), ("teams", teams), ("tier", FieldValue::Long(3)), ("trusted", FieldValue::Bool(true))],
        Some("audit"),
    );
    let cases = [
        (r#"context has token && context.token.claims has repository && context.token.claims.repository == "acme/app""#, true),
        (r#"context has token.claims.repository && context.token.claims.repository like "acme/*""#, true),
        (r#"context has token.claims.repository && context.token.claims.repository == "acme""#, false),
        (r#"context has token.claims.teams && context.token.claims.teams.contains("red")"#, true),
        (r#"context has token.claims.teams && context.token.claims.teams.containsAll(["red", "green"])"#, false),
        ("context has token.claims.tier && context.token.claims.tier >= 3", true),
        ("context has token.claims.trusted && !context.token.claims.trusted", false),
        (r#"context has purpose && context.purpose == "audit""#, true),
        (r#"context has purpose && context.purpose == "fraud""#, false),
    ];
    for (condition, want) in cases {
        let authorizer = load(&permit(condition));
        for _ in 0..2 {
            assert_eq!(allowed(&authorizer, &said), want, "{condition}");
            assert!(!allowed(&authorizer, &alice()), "{condition}: who says nothing");
            assert!(!allowed(&authorizer, &caller(None, Some("ml-staging/trainer"))), "{condition}: nobody's token");
        }
    }
}

#[test]
fn a_policy_on_what_is_not_declared_or_otherwise_does_not_load() {
    let cases = [
        (r#"context has token && context.token.claims.branch == "main""#, "branch"),
        (r#"context has token && context.token.claims.repository == "acme""#, "repository"),
        ("context has token && context.token.claims has repository && context.token.claims.repository > 3", "expected Long but saw String"),
        (r#"context.purpose == "audit""#, "purpose"),
        // what Cedar takes for false, and would say nothing of
        (
            r#"context has token && context.token.claims has repositry && context.token.claims.repositry == "acme""#,
            "base.cedar:1:100: no issuer declares the attribute `repositry`; did you mean `repository`?",
        ),
        ("!(context has token.claims.zone)", "no issuer declares the attribute `zone`; declare it in `issuers[].attributes` of lakegate.yaml"),
        (r#"context has token && context.token.claims has "a b""#, "no issuer declares the attribute `a b`"),
        // `when {` ends in column 53; the name is marked where the claim is asked for, not where its letters stand first
        (r#""refuse" != "ref" && context has token && context.token.claims has ref"#, "base.cedar:1:121: no issuer declares the attribute `ref`"),
        (r"context has references && context has token.claims.ref", "base.cedar:1:105: no issuer declares the attribute `ref`"),
        // Cedar reads escapes in names
        (r#"context has token && context.token["cl\u{61}ims"] has zone"#, "no issuer declares the attribute `zone`"),
    ];
    for (condition, want) in cases {
        let loaded = Authorizer::load(&vocabulary(), &source(&permit(condition)), 1 << 20, None);
        let faults = loaded.err().map(|faults| said(&faults)).unwrap_or_default();
        assert!(faults.contains(want), "{condition}: {faults}");
    }
}

#[test]
fn another_set_of_attributes_is_another_set_of_rules() {
    let of = |claims: &[FieldSpec], text: &str| Source { claims: claims.to_vec(), ..source(text) };
    let has = permit("context has token && context.token.claims has tier");
    let all = claims();
    let first = Authorizer::load(&vocabulary(), &of(&all, &has), 1 << 20, None).unwrap_or_else(|_| panic!());
    let caller = with(&[("tier", FieldValue::Long(3))], None);
    assert!(allowed(&first, &caller));
    let same = Authorizer::load(&vocabulary(), &of(&all, &has), 1 << 20, Some(&first)).unwrap_or_else(|_| panic!());
    assert!(Arc::ptr_eq(&first.rules, &same.rules) && Arc::ptr_eq(&first.policies[0].compiled, &same.policies[0].compiled));
    assert_eq!(same.claims(), all);
    // what was good is no more
    let fewer: Vec<FieldSpec> = all.iter().filter(|claim| &*claim.name != "tier").cloned().collect();
    assert!(Authorizer::load(&vocabulary(), &of(&fewer, &has), 1 << 20, Some(&same)).is_err());
    let more: Vec<FieldSpec> = [FieldSpec { name: "branch".into(), kind: FieldKind::Text }].into_iter().chain(all.clone()).collect();
    let second = Authorizer::load(&vocabulary(), &of(&more, &has), 1 << 20, Some(&same)).unwrap_or_else(|_| panic!());
    assert!(!Arc::ptr_eq(&same.rules, &second.rules) && !Arc::ptr_eq(&same.policies[0].compiled, &second.policies[0].compiled), "validated anew");
    assert_ne!(same.engine.digest, second.engine.digest, "decisions do not outlast it");
    let number = permit("context has token && context.token.claims has tier && context.token.claims.tier > 2");
    let third = Authorizer::load(&vocabulary(), &of(&all, &number), 1 << 20, Some(&second)).unwrap_or_else(|_| panic!());
    let texts: Vec<FieldSpec> = all.iter().map(|claim| FieldSpec { name: claim.name.clone(), kind: FieldKind::Text }).collect();
    assert!(Authorizer::load(&vocabulary(), &of(&texts, &number), 1 << 20, Some(&third)).is_err());
    // a set beside another is checked by what that one declares
    assert!(third.beside(&vocabulary(), &of(&texts, &number), 1 << 20, None).is_ok());
    assert!(second.beside(&vocabulary(), &of(&[], &number), 1 << 20, None).is_ok());
}

#[test]
fn an_explanation_shows_the_claims_that_a_condition_saw() {
    let authorizer = load(&permit(
        r#"context has token && context.token.claims has repository && context.token.claims.repository == "acme/app" && context has purpose && context.purpose == "audit""#,
    ));
    let seen = |caller: &Caller| {
        let explanation = authorizer.explain(caller, &job(), &facts());
        assert!(explanation.decision != Explained::Allow);
        serde_json::to_string(&explanation).unwrap()
    };
    let other = seen(&with(&[("repository", text("acme/other"))], None));
    assert!(other.contains(r#"{"what":"context.token.claims.repository","value":"\"acme/other\""}"#), "{other}");
    let none = seen(&alice());
    assert!(none.contains(r#"{"what":"context.token.claims.repository","value":"missing"}"#), "{none}");
    let fraud = seen(&with(&[("repository", text("acme/app"))], Some("fraud")));
    assert!(fraud.contains(r#"{"what":"context.purpose","value":"\"fraud\""}"#), "{fraud}");
    let token = seen(&with(&[("repository", text("eyJhbGciOiJSUzI1NiJ9.e30.AAAA"))], None));
    assert!(!token.contains("eyJhbG"), "{token}");
}
