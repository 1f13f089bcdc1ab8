//! What a caller becomes, by provider and configuration.

use serde_json::{Value, json};

use super::world::{CORP, Forge, KeyFile, ask, authenticator, client, config, issuer, reason};
use crate::{
    authn::{Attribute, Authenticator, ClaimPath, KindRule, Overage, Provider},
    clock::Clock,
    model::{FieldKind, Name, PrincipalKind, Reason, Refusal, Token},
};

const URL: &str = "https://idp.example";

/// The token that these claims, added to honest ones, make.
fn token_of(authn: &Authenticator, changes: &Value) -> Result<Token, Refusal> {
    let claims = Forge::new(URL, &CORP).claims(changes).claims;
    authn.caller_from_claims(claims.to_string().as_bytes(), None).map(|caller| Token::clone(&caller.token.unwrap()))
}

fn generic() -> Authenticator {
    authenticator(vec![issuer("corp", URL, Provider::Generic)], &Clock::default())
}

fn keycloak() -> Authenticator {
    authenticator(vec![issuer("corp", URL, Provider::Keycloak)], &Clock::default())
}

#[test]
fn every_fact_comes_from_its_claim() {
    let changes = json!({"groups": ["b", "a", "b"], "roles": ["z", "y"], "scope": "write  read", "scp": ["read", "extra"],
        "act": {"sub": "agent", "act": {"sub": "planner", "iss": URL}}});
    let token = token_of(&generic(), &changes).unwrap();
    let now = Clock::default().now();
    assert_eq!(token.issuer.as_str(), "corp");
    assert_eq!((token.kind, token.subject.as_str()), (PrincipalKind::User, "alice"));
    assert_eq!(token.groups, ["a", "b"]);
    assert_eq!(token.roles, ["y", "z"]);
    assert_eq!(token.scopes, ["extra", "read", "write"]);
    assert_eq!(token.client.as_deref(), Some("notebooks"));
    assert_eq!(token.actors, ["agent", "planner"]);
    assert_eq!((token.id.as_deref(), token.session.as_deref(), token.acr.as_deref()), (Some("j1"), Some("s1"), Some("1")));
    assert!((now + 590..=now + 601).contains(&token.expires_at));
    assert!(token.issued_at.is_some_and(|at| at < now) && token.auth_time.is_some_and(|at| at < now));
}

#[test]
fn what_is_absent_is_empty_or_absent() {
    let changes = json!({"groups": null, "scope": null, "azp": null, "jti": null, "sid": null, "acr": null, "auth_time": null, "iat": null});
    let token = token_of(&generic(), &changes).unwrap();
    assert!(token.groups.is_empty() && token.roles.is_empty() && token.scopes.is_empty() && token.actors.is_empty());
    assert_eq!((token.client, token.id, token.session, token.acr, token.auth_time, token.issued_at), (None, None, None, None, None, None));
}

#[test]
fn keycloak_tokens_are_read_as_keycloak_writes_them() {
    let bearer = json!({"typ": "Bearer", "preferred_username": "alice", "realm_access": {"roles": ["offline_access", "ml"]},
        "resource_access": {"account": {"roles": ["view-profile"]}, "notebooks": {"roles": ["run", "ml"]}}, "groups": ["/teams/ml", "ml"]});
    let token = token_of(&keycloak(), &bearer).unwrap();
    assert_eq!(token.roles, ["account:view-profile", "ml", "notebooks:ml", "notebooks:run", "offline_access"]);
    assert_eq!(token.groups, ["/teams/ml", "ml"], "a group's name is never changed into another's");
    assert_eq!(token.kind, PrincipalKind::User);
    let wrong = [
        (json!({"typ": "ID"}), Reason::TokenWrongType),
        (json!({"typ": "Refresh"}), Reason::TokenWrongType),
        (json!({"typ": "Offline"}), Reason::TokenWrongType),
        (json!({"typ": "Logout"}), Reason::TokenWrongType),
        (json!({"typ": "bearer"}), Reason::TokenWrongType),
        (json!({"typ": 1}), Reason::TokenWrongType),
        (json!({"typ": null}), Reason::TokenWrongType),
        (json!({"realm_access": "x"}), Reason::TokenBadClaims),
        (json!({"realm_access": {"roles": "ml"}}), Reason::TokenBadClaims),
        (json!({"resource_access": {"notebooks": []}}), Reason::TokenBadClaims),
        (json!({"resource_access": {"notebooks": {"roles": [1]}}}), Reason::TokenBadClaims),
        (json!({"resource_access": {"a\nb": {"roles": ["x"]}}}), Reason::TokenBadClaims),
    ];
    for (change, expected) in wrong {
        let result = token_of(&keycloak(), &nulled(&bearer, &change));
        assert_eq!(reason(result, &change.to_string()), expected, "{change}");
    }
}

/// `base` with `changes`, where `null` stays, so that it removes what an honest token has.
fn nulled(base: &Value, changes: &Value) -> Value {
    let mut out = base.clone();
    for (name, value) in changes.as_object().unwrap() {
        out[name] = value.clone();
    }
    out
}

#[test]
fn programs_are_told_from_people() {
    let (generic, keycloak) = (generic(), keycloak());
    let cases = [
        (&generic, json!({}), PrincipalKind::User),
        (&generic, json!({"sub": "notebooks"}), PrincipalKind::ServicePrincipal),
        (&generic, json!({"sub": "ci", "azp": null, "client_id": "ci"}), PrincipalKind::ServicePrincipal),
        (&generic, json!({"gty": "client-credentials"}), PrincipalKind::ServicePrincipal),
        (&generic, json!({"idtyp": "app"}), PrincipalKind::ServicePrincipal),
        (&generic, json!({"preferred_username": "service-account-notebooks"}), PrincipalKind::User),
        (&keycloak, json!({"typ": "Bearer", "preferred_username": "alice"}), PrincipalKind::User),
        (&keycloak, json!({"typ": "Bearer", "sid": null, "preferred_username": "service-account-notebooks"}), PrincipalKind::ServicePrincipal),
        (
            &keycloak,
            json!({"typ": "Bearer", "clientHost": "10.0.0.7", "clientAddress": "10.0.0.7", "preferred_username": "service-account-notebooks"}),
            PrincipalKind::ServicePrincipal,
        ),
        (
            &keycloak,
            json!({"typ": "Bearer", "sid": null, "azp": "NoteBooks", "preferred_username": "service-account-notebooks"}),
            PrincipalKind::ServicePrincipal,
        ),
        (&keycloak, json!({"typ": "Bearer", "preferred_username": "service-account-other"}), PrincipalKind::User),
        (&keycloak, json!({"typ": "Bearer", "azp": null, "preferred_username": "service-account-notebooks"}), PrincipalKind::User),
    ];
    for (authn, change, expected) in cases {
        assert_eq!(token_of(authn, &change).unwrap().kind, expected, "{change}");
    }
    // A person who took the name that the account of the client would have.
    let person = json!({"typ": "Bearer", "preferred_username": "service-account-notebooks"});
    assert_eq!(reason(token_of(&keycloak, &person), "a person"), Reason::TokenBadClaims);
    for (rule, expected) in [(KindRule::User, PrincipalKind::User), (KindRule::ServicePrincipal, PrincipalKind::ServicePrincipal)] {
        let mut config = issuer("corp", URL, Provider::Generic);
        config.kind = rule;
        let authn = authenticator(vec![config], &Clock::default());
        for change in [json!({}), json!({"sub": "notebooks"})] {
            assert_eq!(token_of(&authn, &change).unwrap().kind, expected);
        }
    }
}

#[test]
fn claims_are_found_where_the_configuration_says() {
    let mut config = issuer("corp", URL, Provider::Generic);
    config.subject_claim = "oid".to_owned();
    config.groups_claim = Some(ClaimPath::parse("https://corp.example/groups").unwrap());
    config.roles_claims = vec![ClaimPath::parse("a.b.roles").unwrap(), ClaimPath::parse("apps.*").unwrap()];
    let authn = authenticator(vec![config.clone()], &Clock::default());
    let change =
        json!({"oid": "o1", "groups": ["not-these"], "https://corp.example/groups": ["these"], "a": {"b": {"roles": ["r"]}}, "apps": {"x": ["y"]}});
    let token = token_of(&authn, &change).unwrap();
    assert_eq!((token.subject.as_str(), &token.groups, &token.roles), ("o1", &vec!["these".to_owned()], &vec!["r".to_owned(), "x:y".to_owned()]));
    assert_eq!(reason(token_of(&authn, &json!({})), "no oid"), Reason::TokenBadClaims);
    config.subject_claim = "email".to_owned();
    let authn = authenticator(vec![config], &Clock::default());
    let email = |verified: Value| json!({"email": "a@b.example", "email_verified": verified});
    assert!(token_of(&authn, &email(json!(true))).is_ok());
    for verified in [json!(false), json!("true"), json!(1), Value::Null] {
        assert_eq!(reason(token_of(&authn, &email(verified)), "unverified"), Reason::TokenBadClaims);
    }
}

#[test]
fn groups_that_are_elsewhere_are_never_none() {
    let mut config = issuer("corp", URL, Provider::Generic);
    config.overage = Overage::Inventory;
    let (marking, refusing) = (authenticator(vec![config], &Clock::default()), generic());
    let none = token_of(&marking, &json!({"groups": null})).unwrap();
    assert!(!none.groups_elsewhere);
    for change in
        [json!({"_claim_names": {"groups": "src1"}}), json!({"groups": null, "hasgroups": true}), json!({"groups": null, "groups:src1": {}})]
    {
        assert_eq!(reason(token_of(&refusing, &change), &change.to_string()), Reason::GroupsUnknown);
        let marked = token_of(&marking, &change).unwrap();
        assert!(marked.groups_elsewhere && marked.groups.is_empty(), "{change}");
        assert_ne!(marked.digest, none.digest, "{change}");
    }
    for change in [json!({"hasgroups": false}), json!({"_claim_names": {"address": "src1"}})] {
        assert_eq!(token_of(&refusing, &change).unwrap().groups, ["ml-engineers"], "{change}");
    }
}

#[test]
fn a_claim_that_is_read_and_elsewhere_is_never_none() {
    let mut config = issuer("corp", URL, Provider::Generic);
    config.groups_claim = Some(ClaimPath::parse("https://corp.example/teams").unwrap());
    config.roles_claims = vec![ClaimPath::parse("access.roles").unwrap()];
    config.declare(Attribute { name: "risk".into(), claim: ClaimPath::parse("risk").unwrap(), kind: FieldKind::Text });
    let authn = authenticator(vec![config], &Clock::default());
    let elsewhere = |name: &str| token_of(&authn, &json!({"_claim_names": {name: "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}}));
    for (name, expected) in
        [("https://corp.example/teams", Reason::GroupsUnknown), ("access", Reason::TokenBadClaims), ("risk", Reason::TokenBadClaims)]
    {
        assert_eq!(reason(elsewhere(name), name), expected, "{name}");
    }
    assert!(elsewhere("address").is_ok());
}

#[test]
fn the_digest_is_that_of_the_rights() {
    let authn = generic();
    let digest = |change: Value| token_of(&authn, &change).unwrap().digest;
    let base = digest(json!({"groups": ["a", "b"], "roles": ["r"]}));
    let now = Clock::default().now();
    for same in [json!({"jti": "j2"}), json!({"exp": now + 300}), json!({"iat": now - 9}), json!({"groups": ["b", "a", "a"]}), json!({"unknown": 1})]
    {
        assert_eq!(digest(nulled(&json!({"groups": ["a", "b"], "roles": ["r"]}), &same)), base, "{same}");
    }
    let changes = [
        json!({"sub": "bob"}),
        json!({"sub": "notebooks"}),
        json!({"groups": ["a"]}),
        json!({"groups": ["ab"]}),
        json!({"groups": ["a", "b", "r"], "roles": []}),
        json!({"groups": ["a"], "roles": ["b", "r"]}),
        json!({"scope": "openid"}),
        json!({"azp": null}),
        json!({"azp": "x"}),
        json!({"auth_time": null}),
        json!({"auth_time": 0}),
        json!({"acr": "2"}),
        json!({"acr": null}),
        json!({"sid": "s2"}),
        json!({"act": {"sub": "agent"}}),
        json!({"act": {"sub": "agent", "act": {"sub": "planner"}}}),
        json!({"act": {"sub": "planner", "act": {"sub": "agent"}}}),
    ];
    let mut seen = vec![base];
    for change in changes {
        let found = digest(nulled(&json!({"groups": ["a", "b"], "roles": ["r"]}), &change));
        assert!(!seen.contains(&found), "{change}");
        seen.push(found);
    }
    let other = authenticator(vec![issuer("other", URL, Provider::Generic)], &Clock::default());
    assert!(!seen.contains(&token_of(&other, &json!({"groups": ["a", "b"], "roles": ["r"]})).unwrap().digest));
}

#[tokio::test]
async fn claims_alone_make_the_caller_that_a_token_with_them_makes() {
    let file = KeyFile::new(&json!({"keys": [CORP.jwk]}));
    let authn = Authenticator::new(config(vec![file.issuer(Provider::Generic)]), client(), Clock::default(), None).unwrap();
    for change in [json!({}), json!({"roles": ["r"]}), json!({"sub": "notebooks"}), json!({"groups": "x"}), json!({"exp": 1}), json!({"iss": "x"})] {
        let forge = Forge::new(URL, &CORP).claims(&change);
        let verified = ask(&authn, &forge.token()).await;
        let claimed = authn.caller_from_claims(forge.claims.to_string().as_bytes(), None).map(|caller| caller.token.unwrap());
        assert_eq!(verified, claimed, "{change}");
    }
    assert_eq!(reason(authn.caller_from_claims(b"{", None), "not JSON"), Reason::TokenMalformed);
}

#[tokio::test]
async fn only_the_configured_token_types_count() {
    let file = KeyFile::new(&json!({"keys": [CORP.jwk]}));
    let mut strict = file.issuer(Provider::Generic);
    strict.token_types = vec!["at+jwt".to_owned()];
    let authn = authenticator(vec![strict], &Clock::default());
    for (typ, good) in [(json!("at+jwt"), true), (json!("JWT"), false), (Value::Null, false)] {
        let token = Forge::new(URL, &CORP).header(&json!({"typ": typ})).token();
        assert_eq!(ask(&authn, &token).await.is_ok(), good, "{typ}");
    }
}

/// What a test tells of a token makes the same caller as the token would, the digest that decisions are kept by included.
#[test]
fn a_token_that_is_told_of_is_the_one_that_is_verified() {
    let changes = json!({"groups": ["b", "a", "b"], "roles": ["z", "y"], "scope": "write read", "act": {"sub": "agent", "act": {"sub": "planner"}}});
    for authn in [generic(), keycloak()] {
        let mut claims = Forge::new(URL, &CORP).claims(&changes).claims;
        claims["typ"] = json!("Bearer");
        let read = authn.caller_from_claims(claims.to_string().as_bytes(), None).unwrap().token.unwrap();
        let mut told = Token { digest: [0; 32], ..Token::clone(&read) };
        told.groups.reverse();
        told.roles.extend(told.roles.clone());
        let now = Clock::default().now();
        assert_eq!(authn.caller_from_facts_at(told.clone(), None, now).unwrap().token.unwrap(), read);
        assert_eq!(authn.impossible(&told), None);
        for (now, reason) in [(told.expires_at + 30, Reason::TokenExpired), (told.issued_at.unwrap() - 31, Reason::TokenNotYetValid)] {
            let refused = [
                authn.caller_from_facts_at(told.clone(), None, now).unwrap_err().reason,
                authn.caller_from_claims_at(claims.to_string().as_bytes(), None, now).unwrap_err().reason,
            ];
            assert_eq!(refused, [reason; 2]);
        }
    }
    assert_eq!(generic().caller_without_token(None).unwrap_err().reason, Reason::CredentialMissing);
}

#[test]
fn what_no_token_could_say_is_named() {
    let mut persons = issuer("corp", URL, Provider::Generic);
    persons.kind = KindRule::User;
    let authn = authenticator(vec![persons], &Clock::default());
    let good = token_of(&authn, &json!({})).unwrap();
    let cases = [
        (good.clone(), None),
        (Token { kind: PrincipalKind::ServicePrincipal, ..good.clone() }, Some("each subject of issuer `corp` is a `User`")),
        (Token { groups: vec![String::new()], ..good.clone() }, Some("a token cannot say ``")),
        (Token { subject: "x".repeat(256), ..good.clone() }, Some("a token cannot say `xxx")),
        (Token { issuer: Name::parse("other").unwrap(), ..good }, Some("no issuer is called `other`")),
    ];
    for (told, want) in cases {
        let got = authn.impossible(&told);
        assert!(got.as_deref().unwrap_or_default().starts_with(want.unwrap_or_default()) && got.is_some() == want.is_some(), "{got:?}");
    }
}

#[test]
fn an_issuer_that_is_almost_one_of_those_configured_is_named_aside() {
    const TENANT: &str = "6babcaad-604b-40ac-a9d7-9fd97c0b779f";
    let v1 = format!("https://sts.windows.net/{TENANT}/");
    let v2 = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let authn = authenticator(vec![issuer("corp", URL, Provider::Generic), issuer("azure", &v2, Provider::Entra)], &Clock::default());
    for (claimed, said) in [
        (format!("{URL}/"), Some("issuer `corp` differs from it by `/` at the end alone")),
        (URL.to_uppercase(), Some("issuer `corp` differs from it by capitals alone")),
        (v1.clone(), Some("issuer `azure` is the other version of the same Entra tenant")),
        (v1.replace('6', "7"), None),
        ("https://other.example".to_owned(), None),
    ] {
        let refusal = token_of(&authn, &json!({ "iss": claimed })).unwrap_err();
        assert_eq!(refusal.reason, Reason::TokenUnknownIssuer, "{claimed}");
        assert!(!refusal.detail.contains("corp") && !refusal.detail.contains("azure"), "{}", refusal.detail);
        match said {
            Some(said) => assert!(refusal.aside.as_deref().is_some_and(|aside| aside.starts_with(said)), "{claimed}: {:?}", refusal.aside),
            None => assert!(refusal.aside.is_none(), "{claimed}: {:?}", refusal.aside),
        }
    }
}
