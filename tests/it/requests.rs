//! Requests through a real Envoy, as data: attacks that must not reach the workspace, and honest calls that must, unharmed.

mod attack;
mod case;
mod honest;
mod reasons;
pub(crate) mod shadowed;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use lakegate_testkit::World;
use serde_json::Value;

use crate::asking::{PATIENCE, options, world};
use case::{Case, Sent};
use reasons::Reasons;

/// Each a file of cases, and a world of its own.
const FILES: [&str; 6] = ["tokens", "paths", "hosts", "headers", "bodies", "peers"];

const POLICIES: &str = include_str!("../cases/requests/policies.cedar");

fn cases(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/requests/{file}.yaml"));
    serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// So many that the set cannot shrink unnoticed; a case sent through two listeners counts once.
#[test]
fn there_are_enough_of_both_kinds() {
    let (mut attacks, mut honest, mut names) = (0, 0, BTreeSet::new());
    for file in FILES {
        for case in cases(file) {
            *(if case.refuse.is_some() { &mut attacks } else { &mut honest }) += 1;
            assert!(names.insert((file, case.name.clone())), "two cases of {file} are called `{}`", case.name);
        }
    }
    assert!(attacks >= 60, "{attacks} attacks");
    assert!(honest >= 30, "{honest} honest calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens() {
    play("tokens").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths() {
    play("paths").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts() {
    play("hosts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers() {
    play("headers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies() {
    play("bodies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers() {
    play("peers").await;
}

/// Sends every case of a file through each of its listeners, and says of all of them what was wrong.
async fn play(file: &str) {
    let world = world(options().policies(&[("requests.cedar", POLICIES)])).await;
    let reasons = Reasons::documented();
    let mut wrong = Vec::new();
    let mut decided = BTreeMap::new();
    for case in &cases(file) {
        for listener in case.listeners() {
            let sent = Sent::new(&world, case);
            let name = format!("{} ({})", case.name, listener.name());
            let before = world.workspace.count();
            let answer = match world.client(listener, &sent.identity).unwrap().send(&sent.request).await {
                Ok(answer) => answer,
                Err(error) => {
                    wrong.push(format!("{name}: no answer: {error}"));
                    continue;
                }
            };
            let reached = world.workspace.reached().split_off(before);
            let (faults, id) = match &case.refuse {
                Some(reason) => (attack::faults(&sent, reason, &answer, &reached, &reasons), answer.header("x-lakegate-decision").map(str::to_owned)),
                None => (honest::faults(case, &sent, &answer, &reached), reached.first().and_then(|reached| reached.header("x-lakegate-decision"))),
            };
            wrong.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
            decided.insert(id.unwrap_or_default(), (name, case.refuse.clone().unwrap_or_else(|| "ALLOWED".to_owned())));
        }
    }
    wrong.extend(record_faults(&world, &decided).await);
    assert!(wrong.is_empty(), "{} faults in {file}:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong with the audit file, which must hold each decision once, with its reason, and no token.
async fn record_faults(world: &World, decided: &BTreeMap<String, (String, String)>) -> Vec<String> {
    let last = decided.last_key_value().map(|(id, _)| id.clone()).unwrap_or_default();
    let mut wrong: Vec<String> = world.audit.decision(&last, PATIENCE).await.err().into_iter().map(|error| error.to_string()).collect();
    let records = world.audit.records().unwrap();
    if records.len() != decided.len() {
        wrong.push(format!("{} records for {} decisions", records.len(), decided.len()));
    }
    for record in &records {
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        match decided.get(text("event_id")) {
            Some((_, reason)) if text("reason") == reason => {}
            Some((name, reason)) => wrong.push(format!("{name}: its record says `{}`, not `{reason}`", text("reason"))),
            None => wrong.push(format!("a record of no decision that was answered: {record}")),
        }
    }
    if fs::read_to_string(world.audit.path()).unwrap().contains("eyJ") {
        wrong.push("a token stands in the audit file".to_owned());
    }
    wrong
}
