//! As whom Databricks knows a caller by the operator's word.

use std::sync::Arc;

use super::{
    caller::{self, CLIENT, World, caller, program, wanted},
    endpoint,
};
use crate::{
    broker::{Exchange, Identity, Subject},
    model::{Caller, Name, Reason, Refusal},
};

const ROBOT: &str = "cccccccc-2222-4333-8444-555555555555";

fn workload() -> Caller {
    Caller { token: None, ..caller("x", 60) }
}

fn with_email() -> Caller {
    caller::changed(caller("alice", 3600), |token| token.email = Some("alice@example.com".to_owned()))
}

fn identified(by: Identity) -> impl FnOnce(&mut Exchange) {
    move |exchange| {
        let Subject::Assertion { identity, .. } = &mut exchange.subject else { panic!("no assertion") };
        *identity = by;
    }
}

/// Whether it says whom to ask, or how to call instead.
fn has_mend(refusal: &Refusal) -> bool {
    let mend = refusal.detail.split_once("; ").map(|(_, mend)| mend);
    mend.is_some_and(|mend| ["ask whoever runs ", "send ", "call with "].iter().any(|begins| mend.contains(begins)))
}

#[tokio::test]
async fn every_caller_whom_nobody_can_name_is_told_whom_to_ask() {
    let signing = Exchange::clone(&World::start().await.exchange);
    let Subject::Assertion { issuer, audience, .. } = signing.subject.clone() else { panic!("no assertion") };
    let no_rules = Exchange { subject: Subject::ServicePrincipal { issuer, audience, rules: Vec::new() }, ..signing.clone() };
    let of_others = Exchange { issuers: Some(vec![Name::parse("other").unwrap()]), ..signing.clone() };
    let callers = Exchange { subject: Subject::Caller, ..signing.clone() };
    let cases = [
        (no_rules, with_email()),
        (of_others, with_email()),
        (callers, with_email()),
        (signing.clone(), Caller { token: None, peer: None }),
        (signing, caller("spiffe://cluster.local/ns/ml/sa/x", 60)),
    ];
    for (exchange, who) in cases {
        let Err(refusal) = caller::key(&exchange, &wanted(&who, None)) else { panic!("{who:?} has a credential") };
        assert!(refusal.reason == Reason::IdentityUnknown && has_mend(&refusal), "{}", refusal.detail);
    }
}

#[tokio::test]
async fn the_operators_word_goes_before_the_claims() {
    use Identity::{ApplicationId, Email, Subject};
    let nameless = || caller::changed(program("ci"), |token| token.client = None);
    let cases = [
        (Email, caller("alice", 3600), Some("a@corp.example"), Ok("a@corp.example")),
        (Email, with_email(), Some("a@corp.example"), Ok("a@corp.example")),
        (Email, with_email(), None, Ok("alice@example.com")),
        (Email, program("ci"), Some(ROBOT), Ok(ROBOT)),
        (Email, program("ci"), None, Ok(CLIENT)),
        (Email, nameless(), Some(ROBOT), Ok(ROBOT)),
        (Email, nameless(), None, Err("no program with a client id")),
        (Email, workload(), Some(ROBOT), Ok(ROBOT)),
        (Email, workload(), None, Err("`databricks_application_id` in the inventory")),
        (ApplicationId, program("ci"), Some(ROBOT), Ok(ROBOT)),
        (ApplicationId, nameless(), Some(ROBOT), Ok(ROBOT)),
        (ApplicationId, workload(), Some(ROBOT), Ok(ROBOT)),
        // people are none of this identity's, whoever says so
        (ApplicationId, with_email(), Some("a@corp.example"), Err("no program with a client id")),
        // a subject is told as it is
        (Subject, caller("alice", 3600), Some("a@corp.example"), Ok("alice")),
        (Subject, workload(), Some(ROBOT), Ok("spiffe://cluster.local/ns/ml-staging/sa/trainer")),
    ];
    for (identity, who, known, want) in cases {
        let world = World::with(identified(identity)).await;
        let known: Option<Arc<str>> = known.map(Into::into);
        match (world.grant_known(&who, known.as_ref()).await, want) {
            (Ok(_), Ok(want)) => {
                let order = world.endpoint.orders().pop().unwrap();
                let claims = endpoint::verified(&order["subject_token"], world.keys.document()).unwrap();
                assert_eq!((&claims["sub"], order.get("client_id")), (&want.into(), None), "{identity:?} {known:?}");
            }
            (Err(refusal), Err(want)) => {
                assert_eq!((refusal.reason, world.endpoint.count()), (Reason::IdentityUnknown, 0), "{identity:?} {known:?}");
                assert!(refusal.detail.contains(want), "{identity:?} {known:?}: {}", refusal.detail);
                assert!(has_mend(&refusal), "{identity:?} {known:?}: {}", refusal.detail);
            }
            (got, want) => panic!("{identity:?} {known:?}: {got:?}, not {want:?}"),
        }
    }
}

/// Another word is another credential at once, and the first one's is still there when that is said again; where it counts for nothing it changes nothing.
#[tokio::test]
async fn a_credential_is_kept_under_the_operators_word() {
    let world = World::with(identified(Identity::Email)).await;
    let names: [Arc<str>; 2] = ["a@corp.example".into(), "b@corp.example".into()];
    let mut had = Vec::new();
    for name in [None, Some(&names[0]), Some(&names[1]), Some(&names[0]), None] {
        had.push(world.grant_known(&with_email(), name).await.unwrap());
    }
    assert_eq!(world.endpoint.count(), 3);
    assert!(had[0] == had[4] && had[1] == had[3] && had[0] != had[1] && had[1] != had[2] && had[0] != had[2]);
    let subjects = world
        .endpoint
        .orders()
        .iter()
        .map(|order| endpoint::verified(&order["subject_token"], world.keys.document()).unwrap()["sub"].clone())
        .collect::<Vec<_>>();
    assert_eq!(subjects, ["alice@example.com", "a@corp.example", "b@corp.example"]);

    for (identity, counts) in [(Identity::Email, true), (Identity::Subject, false), (Identity::ApplicationId, false)] {
        let mut exchange = Exchange::clone(&world.exchange);
        identified(identity)(&mut exchange);
        let who = with_email();
        let key = |name| caller::key(&exchange, &wanted(&who, Some("t")).known_as(name)).ok();
        assert_eq!(key(None) != key(Some(&names[0])), counts, "{identity:?}");
    }
}
