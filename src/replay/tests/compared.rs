//! What a candidate says of a call is what a replay of its record says; and for neither does an answer come too late.

use serde_json::{Value, json};
use tokio::time::Duration;

use super::{
    files::{LIVE, OTHER, get},
    world::{Sent, World},
};
use crate::{audit::Recorded, config::Config, reload, replay::Replay};

#[test]
fn a_candidate_and_a_replay_say_the_same() {
    let world = World::new(LIVE, &json!([]));
    world.compare(OTHER);
    let (config, snapshot) = (Config::load(&world.folder().join("lakegate.yaml")).unwrap(), world.snapshot());
    let (authorizer, _) = reload::beside(&config, &snapshot, &world.folder().join("candidate"), None).unwrap();
    let replay = Replay::new(&authorizer, snapshot.classifier.catalog().vocabulary());
    let run = Sent { method: "POST", body: Some(json!({ "job_id": 7 })), ..get("/api/2.2/jobs/run-now", "a") };
    for call in [get("/api/2.2/jobs/list", "a"), get("/api/2.1/clusters/list", "a"), run] {
        // Where records are on disk before the answer, the answer does not wait for long.
        let mut records = (0..200).map(|_| world.records(std::slice::from_ref(&call)).remove(0));
        let record = records.find(|record| !record["candidate"].is_null()).unwrap();
        let judgement = replay.decide(&serde_json::from_value::<Recorded>(record.clone()).unwrap()).unwrap();
        let decision = if judgement.is_allowed() { "allow" } else { "deny" };
        assert_ne!(record["decision"], decision, "{record:#}");
        let said = json!({ "decision": decision, "reason": judgement.code(), "detail": judgement.detail, "policies": judgement.policies });
        assert_eq!(record["candidate"], said, "{record:#}");
    }
}

/// What is late is refused: so an answer with little time left waits for no candidate, though its record must be on disk first.
#[test]
fn an_answer_that_is_nearly_late_does_not_wait() {
    let world = World::new(LIVE, &json!([]));
    world.compare(OTHER);
    let calls: Vec<Sent> = (0..20).map(|_| get("/api/2.2/jobs/list", "a")).collect();
    world.send(&calls, Duration::from_millis(90));
    let records = world.written();
    assert!(!records.is_empty() && records.iter().all(|record| record["candidate"] == Value::Null), "{records:#?}");
}
