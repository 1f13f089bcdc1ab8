use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::authn::{IssuerConfig, Provider};

fn binding(kind: Option<PrincipalKind>, claims: &[(&str, &[&str])], peers: &[&str]) -> Binding {
    let requirement = |(claim, any_of): &(&str, &[&str])| Requirement {
        claim: ClaimPath::parse(claim).unwrap(),
        any_of: any_of.iter().map(ToString::to_string).collect(),
    };
    Binding { kind, claims: claims.iter().map(requirement).collect(), peers: peers.iter().map(|peer| PeerTemplate::parse(peer).unwrap()).collect() }
}

/// The patterns of a token with these claims, or why there are none.
fn bound(bindings: &[Binding], kind: PrincipalKind, claims: &serde_json::Value) -> Result<Vec<String>, String> {
    let text = claims.to_string();
    let claims = Claims::read(text.as_bytes()).unwrap();
    match of_claims(Some(bindings), &claims, kind) {
        Ok(patterns) => Ok(patterns.unwrap().iter().map(ToString::to_string).collect()),
        Err(refusal) => {
            assert_eq!(refusal.reason, Reason::TokenNotForPeer);
            assert!(refusal.detail.len() < 400 && !refusal.detail.ends_with('.'));
            Err(refusal.detail.into_owned())
        }
    }
}

/// `require` and `when` read a claim the same way, whatever it is.
#[test]
fn what_is_required_is_what_a_binding_is_about() {
    let values = [
        json!("ml"),
        json!("true"),
        json!(true),
        json!(false),
        json!(7),
        json!(-7),
        json!("7"),
        json!(7.0),
        json!(7.5),
        json!(1e30),
        json!(null),
        json!([]),
        json!(["bi", "ml"]),
        json!(["true"]),
        json!([7]),
        json!(["ml", true]),
        json!([["ml"]]),
        json!({ "ml": "ml" }),
    ];
    let wanted = ["ml", "true", "false", "7", "-7", "7.0", "7.5", "null", "", "[]", "x"];
    let named = crate::model::Name::parse("corp").unwrap();
    let (mut held, mut failed) = (0, 0);
    for claim in ["team", "a.team", "other"] {
        for any_of in wanted.iter().map(std::slice::from_ref).chain([&wanted[..2]]) {
            let binding = binding(None, &[(claim, any_of)], &["spiffe://cluster.local/ns/ml/sa/x"]);
            let mut config = IssuerConfig::new(named.clone(), "https://idp.example", Provider::Generic);
            config.require.clone_from(&binding.claims);
            for value in &values {
                for claims in [json!({ "team": value }), json!({ "a": { "team": value } }), json!({ "a": value })] {
                    let text = claims.to_string();
                    let required = attributes::required(&Claims::read(text.as_bytes()).unwrap(), &config).is_ok();
                    let when = bound(std::slice::from_ref(&binding), PrincipalKind::User, &claims).is_ok();
                    assert_eq!(required, when, "{claim} of {claims} is to be one of {any_of:?}");
                    *(if when { &mut held } else { &mut failed }) += 1;
                }
            }
        }
    }
    assert!(held > 20 && failed > 20, "{held} {failed}");
}

const OWN: &str = "spiffe://cluster.local/ns/{namespace}/sa/{name}";

#[test]
fn a_claim_is_exactly_one_segment() {
    let bindings = [binding(None, &[], &[OWN])];
    let of = |namespace: &serde_json::Value| bound(&bindings, PrincipalKind::User, &json!({ "namespace": namespace, "name": "x" }));
    for good in ["ml", "ML_1.x-y", "a", "..."] {
        assert_eq!(of(&json!(good)).unwrap(), [format!("spiffe://cluster.local/ns/{good}/sa/x")]);
    }
    let bad = [
        json!(""),
        json!("."),
        json!(".."),
        json!("*"),
        json!("a*"),
        json!("a/b"),
        json!("a/sa/b/../x"),
        json!("%2f"),
        json!("a%"),
        json!("ä"),
        json!("a b"),
        json!("a\u{0}"),
        json!("{name}"),
        json!("a?b"),
        json!("a#b"),
        json!("a@b"),
        json!("a:b"),
        json!("a\\b"),
        json!(7),
        json!(null),
        json!(true),
        json!(["ml"]),
        json!([]),
        json!({ "ml": 1 }),
        json!("a".repeat(3000)),
    ];
    for value in bad {
        assert!(of(&value).is_err(), "{value}");
    }
    assert!(bound(&bindings, PrincipalKind::User, &json!({ "name": "x" })).unwrap_err().contains("lacks the claim `namespace`"));
}

#[test]
fn claims_inside_others_are_found_and_nothing_else() {
    let bindings = [binding(None, &[], &["spiffe://cluster.local/ns/{k8s.namespace}/sa/*"])];
    let of = |claims: serde_json::Value| bound(&bindings, PrincipalKind::User, &claims);
    assert_eq!(of(json!({ "k8s": { "namespace": "ml" } })).unwrap(), ["spiffe://cluster.local/ns/ml/sa/*"]);
    for claims in
        [json!({}), json!({ "k8s": "ml" }), json!({ "k8s": [{ "namespace": "ml" }] }), json!({ "k8s.namespace": "ml" }), json!({ "k8s": {} })]
    {
        assert!(of(claims.clone()).is_err(), "{claims}");
    }
    let url = [binding(None, &[], &["spiffe://cluster.local/ns/{https://corp.example/team}/sa/x"])];
    assert_eq!(bound(&url, PrincipalKind::User, &json!({ "https://corp.example/team": "ml" })).unwrap(), ["spiffe://cluster.local/ns/ml/sa/x"]);
}

/// Every binding that is about a token adds its workloads; a token that none is about is nobody's.
#[test]
fn all_bindings_about_a_token_count() {
    let (user, program) = (PrincipalKind::User, PrincipalKind::ServicePrincipal);
    let bindings = [
        binding(Some(user), &[], &["spiffe://cluster.local/ns/notebooks/sa/*"]),
        binding(Some(program), &[("team", &["ml", "bi"])], &["spiffe://cluster.local/ns/{team}/sa/{name}"]),
        binding(None, &[("env", &["prod"]), ("roles", &["deployer"])], &["spiffe://cluster.local/ns/ci/sa/a", "spiffe://cluster.local/ns/ci/sa/b"]),
    ];
    let of = |kind, claims: serde_json::Value| bound(&bindings, kind, &claims);
    assert_eq!(of(user, json!({})).unwrap(), ["spiffe://cluster.local/ns/notebooks/sa/*"]);
    assert_eq!(of(program, json!({ "team": "ml", "name": "x" })).unwrap(), ["spiffe://cluster.local/ns/ml/sa/x"]);
    let both = json!({ "team": "bi", "name": "x", "env": "prod", "roles": ["reader", "deployer"] });
    let all = ["spiffe://cluster.local/ns/bi/sa/x", "spiffe://cluster.local/ns/ci/sa/a", "spiffe://cluster.local/ns/ci/sa/b"];
    assert_eq!(of(program, both).unwrap(), all);
    let nobodys = [
        json!({}),
        json!({ "team": "sales", "name": "x" }),
        json!({ "team": 7, "name": "x" }),
        json!({ "env": "prod" }),
        json!({ "env": "prod", "roles": [] }),
        json!({ "env": "prod", "roles": ["deployer", 7] }),
        json!({ "env": ["staging"], "roles": "deployer" }),
    ];
    for claims in nobodys {
        assert!(of(program, claims.clone()).unwrap_err().contains("no binding of its issuer"), "{claims}");
    }
    // one that is about the token and cannot be filled in refuses it, whatever the others say
    assert!(of(program, json!({ "team": "ml", "env": "prod", "roles": "deployer" })).unwrap_err().contains("lacks the claim `name`"));
}

#[test]
fn what_is_no_template_is_refused() {
    let cases = [
        ("*", "`spiffe://`"),
        ("https://cluster.local/ns/x", "`spiffe://`"),
        ("spiffe://cluster.local", "path"),
        ("spiffe://{domain}/ns/x/sa/y", "trust domain"),
        ("spiffe://*/ns/x/sa/y", "trust domain"),
        ("spiffe://cluster.local/ns/{team}-x/sa/y", "whole segment"),
        ("spiffe://cluster.local/ns/x{team}/sa/y", "whole segment"),
        ("spiffe://cluster.local/ns/{a}{b}/sa/y", "whole segment"),
        ("spiffe://cluster.local/ns/{{a}}/sa/y", "whole segment"),
        ("spiffe://cluster.local/ns/{a/sa/y", "whole segment"),
        ("spiffe://cluster.local/ns/a}/sa/y", "whole segment"),
        ("spiffe://cluster.local/ns/{}/sa/y", "path of claims"),
        ("spiffe://cluster.local/ns/{a..b}/sa/y", "path of claims"),
        ("spiffe://cluster.local/ns/{a.*.b}/sa/y", "any of its members"),
        ("spiffe://cluster.local/ns/x*/sa/y", "segment"),
        ("spiffe://cluster.local/ns/%61/sa/y", "segment"),
        ("spiffe://cluster.local/ns//sa/y", "segment"),
        ("spiffe://cluster.local/ns/{a}/", "segment"),
    ];
    for (text, why) in cases {
        let error = PeerTemplate::parse(text).expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn a_refusal_names_the_workload_to_its_caller_and_the_right_ones_aside() {
    let patterns: Vec<SpiffePattern> = (0..5).map(|n| SpiffePattern::parse(&format!("spiffe://cluster.local/ns/ml/sa/x{n}")).unwrap()).collect();
    let peer = SpiffeId::parse("spiffe://cluster.local/ns/dev/sa/thief").unwrap();
    let refusal = admit(&patterns, Some(&peer)).unwrap_err();
    assert_eq!(refusal.reason, Reason::TokenNotForPeer);
    let aside = refusal.aside.unwrap();
    for (part, caller) in [("`spiffe://cluster.local/ns/ml/sa/x0`", false), ("and others", false), ("`spiffe://cluster.local/ns/dev/sa/thief`", true)]
    {
        assert_eq!((refusal.detail.contains(part), aside.contains(part)), (caller, !caller), "{}; {aside}", refusal.detail);
    }
    assert!(admit(&patterns, None).unwrap_err().detail.contains("no known workload"));
    assert!(admit(&[], Some(&peer)).is_err(), "nobody is not everybody");
    assert!(admit(&patterns, Some(&SpiffeId::parse("spiffe://cluster.local/ns/ml/sa/x4").unwrap())).is_ok());
}

proptest! {
    /// Whatever a claim says: the workloads that may present the token differ from the template in that one segment alone.
    #[test]
    fn no_claim_escapes_its_segment(claim in "[ -~]{0,12}|(ml|\\.\\.|\\*|/|%2e|sa|[a-z]){0,5}", namespace in "[a-z]{1,4}", account in "[a-z]{1,4}") {
        let bindings = [binding(None, &[], &["spiffe://cluster.local/ns/{claim}/sa/fixed"])];
        let peer = SpiffeId::parse(&format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")).unwrap();
        let text = json!({ "claim": claim }).to_string();
        let claims = Claims::read(text.as_bytes()).unwrap();
        if let Ok(patterns) = of_claims(Some(&bindings), &claims, PrincipalKind::User) {
            let patterns = patterns.unwrap();
            let expected = format!("spiffe://cluster.local/ns/{claim}/sa/fixed");
            prop_assert_eq!(patterns.iter().map(SpiffePattern::as_str).collect::<Vec<_>>(), [expected.as_str()]);
            prop_assert!(SpiffeId::parse(&expected).is_ok(), "{}", expected);
            prop_assert_eq!(admit(&patterns, Some(&peer)).is_ok(), namespace == claim && account == "fixed");
        }
    }

    #[test]
    fn no_template_panics(text in "(spiffe://)?[a-z{}/.*:]{0,30}") {
        drop(PeerTemplate::parse(&text));
    }
}
