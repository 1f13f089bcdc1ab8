//! Whose credential is whose, and how often each is asked for.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::future::join_all;
use proptest::prelude::*;

use super::{
    caller::{self, World, caller, program, wanted},
    endpoint::Mood,
};
use crate::{
    broker::{Exchange, Identity, PrincipalRule, Subject},
    model::{Caller, Name, Reason, Secret, SpiffeId, Token},
    net::{self, Endpoint},
    signer::TokenIssuer,
};

#[tokio::test]
async fn many_first_requests_of_one_caller_make_one_exchange() {
    let world = World::start().await;
    world.endpoint.be(Mood::Slow(Duration::from_millis(200)));
    let alice = caller("alice", 3600);
    let all = join_all((0..1_000).map(|_| world.authorization(&alice))).await;
    let values: HashSet<Vec<u8>> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!((values.len(), world.endpoint.count()), (1, 1));
    assert!(values.iter().all(|value| value.starts_with(b"Bearer dbx-")));
    for _ in 0..100 {
        world.authorization(&alice).await.unwrap();
    }
    assert_eq!(world.endpoint.count(), 1, "what is at hand is not asked for");
}

#[tokio::test]
async fn an_exchange_outlives_the_request_that_began_it() {
    let world = World::start().await;
    world.endpoint.be(Mood::Slow(Duration::from_millis(300)));
    let alice = caller("alice", 3600);
    assert!(tokio::time::timeout(Duration::from_millis(50), world.authorization(&alice)).await.is_err());
    world.authorization(&alice).await.unwrap();
    assert_eq!(world.endpoint.count(), 1, "the retry waits for the same exchange");
}

#[tokio::test]
async fn what_is_sent_says_who_calls_and_no_more() {
    let world = World::start().await;
    world.authorization(&caller("alice", 3600)).await.unwrap();
    let order = world.endpoint.orders().pop().unwrap();
    let claims = super::endpoint::verified(&order["subject_token"], world.keys.document()).unwrap();
    assert_eq!((&claims["sub"], &claims["iss"]), (&"alice".into(), &super::endpoint::ISSUER.into()));
    let names: HashSet<&str> = order.keys().map(String::as_str).collect();
    assert_eq!(names, HashSet::from(["grant_type", "scope", "subject_token", "subject_token_type"]));
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((3590..=3600).contains(&life), "{life}: as long as the window, and no longer than the caller's token");
    assert_eq!(jsonwebtoken::decode_header(&order["subject_token"]).unwrap().typ.as_deref(), Some("JWT"));
}

#[tokio::test]
async fn a_service_principal_is_had_by_role_or_workload() {
    let world = World::with(|exchange| {
        let Subject::Assertion { issuer, audience, .. } = exchange.subject.clone() else { panic!("no assertion") };
        exchange.subject = Subject::ServicePrincipal { issuer, audience, rules: caller::rules() };
    })
    .await;
    let trainer = Caller { peer: Some(SpiffeId::parse("spiffe://cluster.local/ns/ml/sa/trainer").unwrap()), ..caller("bob", 3600) };
    for (who, client_id) in [(caller::with_role("trainers"), caller::BY_ROLE), (trainer, caller::BY_PEER)] {
        world.authorization(&who).await.unwrap();
        let order = world.endpoint.orders().pop().unwrap();
        let claims = super::endpoint::verified(&order["subject_token"], world.keys.document()).unwrap();
        assert_eq!((order["client_id"].as_str(), claims["sub"].as_str()), (client_id, Some(client_id)));
    }
    // A role is that of its issuer.
    let partner = caller::changed(caller::with_role("trainers"), |token| token.issuer = Name::parse("partner").unwrap());
    for nobody in [caller("carol", 3600), partner] {
        let refusal = world.authorization(&nobody).await.unwrap_err();
        assert_eq!((refusal.reason, world.endpoint.count()), (Reason::IdentityUnknown, 2), "nobody gets another's");
    }
}

#[tokio::test]
async fn the_principal_of_a_secret_is_everybodys() {
    let world = World::with(caller::by_secret).await;
    let one = world.authorization(&caller("alice", 60)).await.unwrap();
    for ms in [0, 1_000_000] {
        world.clock.shift(ms);
        assert_eq!(world.authorization(&caller("bob", 3600)).await.unwrap(), one, "it does not end with whoever was the first");
    }
    let order = world.endpoint.orders().pop().unwrap();
    assert_eq!((world.endpoint.count(), order["grant_type"].as_str()), (1, "client_credentials"));
    assert!(!order.contains_key("subject_token"));
}

#[tokio::test]
async fn as_whom_databricks_knows_a_caller() {
    let with_email = |caller: Caller| caller::changed(caller, |token| token.email = Some("alice@example.com".to_owned()));
    let nobody = Caller { token: None, ..caller("x", 60) };
    for (identity, who, expected) in [
        (Identity::Subject, caller("alice", 60), Ok("alice")),
        (Identity::Subject, program("ci"), Ok("ci")),
        (Identity::Subject, nobody.clone(), Ok("spiffe://cluster.local/ns/ml-staging/sa/trainer")),
        (Identity::Subject, caller("spiffe://cluster.local/ns/ml-staging/sa/trainer", 60), Err("the token is a person's")),
        (Identity::Subject, program("spiffe://cluster.local/ns/ml-staging/sa/trainer"), Ok("spiffe://cluster.local/ns/ml-staging/sa/trainer")),
        (Identity::Email, with_email(caller("alice", 60)), Ok("alice@example.com")),
        (Identity::Email, caller("alice", 60), Err("no `email` that its issuer has verified")),
        (Identity::Email, program("ci"), Ok(caller::CLIENT)),
        (Identity::Email, with_email(program("ci")), Ok(caller::CLIENT)),
        (Identity::Email, nobody.clone(), Err("send a token")),
        (Identity::ApplicationId, program("ci"), Ok(caller::CLIENT)),
        (Identity::ApplicationId, with_email(caller("alice", 60)), Err("is no program")),
        (Identity::ApplicationId, nobody, Err("send a token")),
    ] {
        let world = World::with(move |exchange| {
            if let Subject::Assertion { identity: known, .. } = &mut exchange.subject {
                *known = identity;
            }
        })
        .await;
        match (world.authorization(&who).await, expected) {
            (Ok(_), Ok(expected)) => {
                let order = world.endpoint.orders().pop().unwrap();
                let claims = super::endpoint::verified(&order["subject_token"], world.keys.document()).unwrap();
                assert_eq!(claims["sub"], expected, "{identity:?}");
            }
            (Err(refusal), Err(said)) => {
                assert!(refusal.reason == Reason::IdentityUnknown && refusal.detail.contains(said), "{identity:?}: {refusal:?}");
                assert_eq!(world.endpoint.count(), 0);
            }
            (got, expected) => panic!("{identity:?}: {got:?}, not {expected:?}"),
        }
    }
}

#[tokio::test]
async fn whose_issuer_is_not_named_gets_nothing() {
    let world = World::with(|exchange| exchange.issuers = Some(vec![Name::parse("other").unwrap()])).await;
    let refusal = world.authorization(&caller("alice", 60)).await.unwrap_err();
    assert_eq!((refusal.reason, world.endpoint.count()), (Reason::IdentityUnknown, 0));
}

#[tokio::test]
async fn the_callers_own_token_is_exchanged_where_that_is_meant_and_each_for_itself() {
    let world = World::unverified(|exchange| exchange.subject = Subject::Caller).await;
    let alice = caller("alice", 3600);
    for (token, count) in [("a.b.c", 1), ("a.b.c", 1), ("d.e.f", 2)] {
        world.grant(&alice, Some(token)).await.unwrap();
        let order = world.endpoint.orders().pop().unwrap();
        assert_eq!((world.endpoint.count(), order["subject_token"].as_str()), (count, token));
    }
    let refusal = world.grant(&alice, None).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::IdentityUnknown);
}

/// A change of who calls, from where or how it is had is another credential.
fn change() -> impl Strategy<Value = u8> {
    0..12_u8
}

fn apply(change: u8, exchange: &mut Exchange, caller: &mut Caller) {
    let token = |caller: &mut Caller, change: fn(&mut Token)| *caller = caller::changed(caller.clone(), change);
    match change {
        0 => exchange.scope = Some("sql".to_owned()),
        1 => exchange.window_s += 1,
        2 => exchange.audiences.push("x".to_owned()),
        3 => caller.peer = SpiffeId::parse("spiffe://cluster.local/ns/other/sa/trainer").ok(),
        4 => caller.peer = None,
        5 => token(caller, |token| token.subject = "bob".to_owned()),
        6 => token(caller, |token| token.actors = vec!["agent".to_owned()]),
        7 => token(caller, |token| token.client = Some("other".to_owned())),
        8 => token(caller, |token| token.groups = vec!["admins".to_owned()]),
        9 => token(caller, |token| token.session = Some("s2".to_owned())),
        10 => token(caller, |token| token.email = Some("bob@example.com".to_owned())),
        _ => exchange.subject = Subject::Caller,
    }
}

proptest! {
    #[test]
    fn credentials_are_kept_under_all_that_tells_them_apart(one in change(), other in change()) {
        let keys = caller::keys();
        let base = caller::exchange(&Endpoint::parse("https://ws.example/oidc/v1/token").unwrap(), &keys);
        let key = |changes: &[u8]| {
            let (mut exchange, mut who) = (base.clone(), caller("alice", 3600));
            for change in changes {
                apply(*change, &mut exchange, &mut who);
            }
            caller::key(&exchange, &wanted(&who, Some("t"))).unwrap()
        };
        prop_assert_ne!(key(&[one]), key(&[]));
        prop_assert_eq!(key(&[one]) == key(&[other]), one == other);
    }
}

/// Two ways to a token, or two whom it is for, never share one.
#[test]
fn every_way_to_a_token_has_credentials_of_its_own() {
    let keys = caller::keys();
    let base = |subject: Subject| Exchange { subject, ..caller::exchange(&Endpoint::parse("https://ws.example/oidc/v1/token").unwrap(), &keys) };
    let issuer = |name: &str| Arc::new(TokenIssuer::new(name.to_owned(), keys.clone()));
    let assertion = |name: &str, audience: &str, identity| base(Subject::Assertion { issuer: issuer(name), audience: audience.to_owned(), identity });
    let principal = |name: &str, audience: &str, client_id: &str| {
        let rules = vec![PrincipalRule { client_id: client_id.to_owned(), role: None, peer: None }];
        base(Subject::ServicePrincipal { issuer: issuer(name), audience: audience.to_owned(), rules })
    };
    let client = |id: &str, secret: &str| base(Subject::Client { client_id: id.to_owned(), authorization: net::basic(id, &Secret::new(secret)) });
    // One whom Databricks knows alike, whichever claim says it.
    let who = caller::changed(caller("alice", 3600), |token| token.email = Some("alice".to_owned()));
    let mut all = vec![
        assertion("a", "b", Identity::Subject),
        assertion("a", "b", Identity::Email),
        assertion("other", "b", Identity::Subject),
        assertion("a", "other", Identity::Subject),
        principal("a", "b", caller::BY_ROLE),
        principal("other", "b", caller::BY_ROLE),
        principal("a", "other", caller::BY_ROLE),
        principal("a", "b", caller::BY_PEER),
        client(caller::CLIENT, "one"),
        client(caller::CLIENT, "two"),
        client(caller::BY_ROLE, "one"),
        base(Subject::Caller),
    ];
    let elsewhere: Vec<Exchange> = all
        .iter()
        .map(|exchange| Exchange { endpoint: Endpoint::parse("https://other.example/oidc/v1/token").unwrap(), ..exchange.clone() })
        .collect();
    all.extend(elsewhere);
    let mut distinct: Vec<[u8; 32]> = all.iter().map(|exchange| caller::key(exchange, &wanted(&who, Some("t"))).unwrap()).collect();
    let caller_mode = base(Subject::Caller);
    distinct.push(caller::key(&caller_mode, &wanted(&who, Some("u"))).unwrap());
    let count = distinct.len();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), count);
}

/// The token of a client's secret is everybody's whose issuer is named, and nobody else's, also once it is there.
#[tokio::test]
async fn whose_issuer_is_not_named_has_no_use_of_what_is_at_hand() {
    let world = World::unverified(|exchange| {
        exchange.subject = Subject::Client { client_id: caller::CLIENT.to_owned(), authorization: net::basic(caller::CLIENT, &Secret::new("s")) };
        exchange.issuers = Some(vec![Name::parse("corp").unwrap()]);
    })
    .await;
    world.authorization(&caller("alice", 3600)).await.unwrap();
    world.authorization(&caller("bob", 3600)).await.unwrap();
    let partner = caller::changed(caller("alice", 3600), |token| token.issuer = Name::parse("partner").unwrap());
    let refusal = world.authorization(&partner).await.unwrap_err();
    assert_eq!((refusal.reason, world.endpoint.count()), (Reason::IdentityUnknown, 1));
}

#[test]
fn a_renewed_token_of_the_same_session_finds_what_the_last_one_had() {
    let exchange = caller::exchange(&Endpoint::parse("https://ws.example/t").unwrap(), &caller::keys());
    let renewed = caller::changed(caller("alice", 7200), |token| (token.id, token.issued_at) = (Some("j2".to_owned()), Some(1)));
    let key = |who: &Caller| caller::key(&exchange, &wanted(who, Some("t"))).unwrap();
    assert_eq!(key(&caller("alice", 60)), key(&renewed));
}
