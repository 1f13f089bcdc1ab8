//! What holds a credential says nothing of it to whoever prints it.

use std::{collections::HashMap, fmt::Debug, sync::Arc};

use bytes::Bytes;

use super::caller::{World, caller, sought, wanted};
use crate::{
    broker::{Broker, Config, Credential, Mode, Subject, answer::Issued},
    model::{Allow, DecisionId, HeaderEdit, Secret, Verdict},
    net,
};

/// Both forms of `Debug`, and what bytes look like in it.
fn told(value: &dyn Debug) -> [String; 2] {
    [format!("{value:?}"), format!("{value:#?}")]
}

#[tokio::test]
async fn nothing_prints_a_credential_that_holds_one() {
    const OWN: &str = "own-token-of-the-caller";
    let world = World::unverified(|exchange| exchange.subject = Subject::Caller).await;
    let alice = caller("alice", 3600);
    let wanted = wanted(&alice, Some(OWN));
    let sought = sought(&world.exchange, &world.target, &wanted).unwrap();
    let minted = world.desk.fetch(&sought).await.unwrap();
    let value = minted.value();
    assert!(value.starts_with(b"Bearer dbx-"));

    let body = Bytes::from_static(br#"{"access_token":"dbx-1"}"#);
    let answer = net::Answer { status: 200, retry_after_s: None, date_s: None, body: body.clone() };
    let holder = sought.whom.holder();
    let edits = [
        ("authorization", value.clone()),
        ("Authorization", value.clone()),
        ("x-lakegate-assertion", Bytes::from_static(b"eyJhbGciOiJFUzI1NiJ9.e30.AAAA")),
    ];
    let set: Vec<HeaderEdit> = edits.map(|(name, value)| HeaderEdit { name: name.into(), value }).to_vec();
    let allow = Allow { decision: DecisionId::new(0), set: set.clone(), remove: Vec::new() };
    let config = Config {
        modes: HashMap::from([((world.target.kind, world.target.name.clone()), Mode::Exchange(Arc::clone(&world.exchange)))]),
        cache_bytes: 1,
    };
    let broker = Broker { config, desk: Arc::clone(&world.desk) };
    let secret = net::basic("client", &Secret::new(OWN));

    let all: [&dyn Debug; 11] = [
        &minted,
        &Credential::Replace(value.clone()),
        &Issued { token: "dbx-1", lifetime: 1 },
        &answer,
        &holder,
        &set,
        &allow,
        &Verdict::Allow(allow.clone()),
        &broker,
        &world.desk,
        &secret,
    ];
    for text in all.iter().flat_map(|value| told(*value)) {
        for part in ["dbx-1", "access_token", OWN, "eyJ", secret.expose()] {
            assert!(!text.contains(part), "`{part}` is in {text}");
        }
    }
    // What is no credential is still there to be read.
    let plain = HeaderEdit { name: "x-lakegate-subject".into(), value: Bytes::from_static(b"corp/alice") };
    assert!(told(&plain)[0].contains("corp/alice"));
    assert!(told(&answer)[0].contains(&format!("bytes: {}", body.len())));
}
