//! What a file may hold, and what its replay comes to.

use std::{io::BufReader, path::Path};

use serde_json::{Value, json};

use super::world::{Sent, World};
use crate::{
    model::Fault,
    reload,
    replay::{Change, Replay, Summary, Tally, Window, read},
};

pub(super) const LIVE: &str = r#"
@id("read") permit (principal, action in Action::"read", resource);
@id("no-clusters") forbid (principal, action == Action::"clusters.list", resource);
"#;

pub(super) const OTHER: &str = r#"
@id("read") permit (principal, action in Action::"read", resource);
@id("no-jobs") forbid (principal, action == Action::"jobs.list", resource);
@id("run") permit (principal, action == Action::"jobs.run_now", resource);
"#;

pub(super) fn get(path: &str, peer: &str) -> Sent {
    Sent {
        method: "GET",
        host: "stage.example.com",
        path: path.to_owned(),
        body: None,
        peer: Some(format!("spiffe://cluster.local/ns/ml/sa/{peer}")),
        source: None,
        claims: None,
    }
}

struct Case {
    world: World,
    lines: Vec<String>,
}

impl Case {
    fn new() -> Self {
        let world = World::new(LIVE, &json!([]));
        let mut calls: Vec<Sent> = (0..5).map(|_| get("/api/2.2/jobs/list", "a")).collect();
        calls.extend([get("/api/2.2/jobs/list", "b"), get("/api/2.1/clusters/list", "a"), get("/api/2.1/clusters/get?cluster_id=1", "a")]);
        calls.push(Sent { method: "POST", body: Some(json!({ "job_id": 7 })), ..get("/api/2.2/jobs/run-now", "a") });
        calls.extend([get("/no/such/call", "a"), get("/.well-known/databricks-config", "a"), get("//", "a")]);
        let lines = world.records(&calls).iter().map(Value::to_string).collect();
        std::fs::create_dir(world.folder().join("other")).unwrap();
        std::fs::write(world.folder().join("other/other.cedar"), OTHER).unwrap();
        Self { world, lines }
    }

    fn replay(&self, text: &str, window: Window) -> Result<Summary, Fault> {
        let snapshot = self.world.snapshot();
        let file = self.world.folder().join("lakegate.yaml");
        let config = crate::config::Config::load(&file).unwrap();
        let (authorizer, _) = reload::beside(&config, &snapshot, &self.world.folder().join("other"), None).unwrap();
        let replay = Replay::new(&authorizer, snapshot.classifier.catalog().vocabulary());
        let mut tally = Tally::default();
        read(&mut BufReader::new(text.as_bytes()), Path::new("audit.jsonl"), window, &replay, &mut tally)?;
        Ok(tally.summary())
    }
}

#[test]
fn changes_are_counted_by_who_does_what() {
    let case = Case::new();
    let summary = case.replay(&(case.lines.join("\n") + "\n"), Window::default()).unwrap();
    assert_eq!((summary.records, summary.replayed, summary.unchanged), (12, 9, 1));
    assert_eq!((summary.newly_denied, summary.newly_allowed, summary.unlisted), (6, 2, 0));
    assert_eq!(summary.not_replayable, [("before_policies", 2), ("discovery", 1)].into());
    let rows: Vec<_> = summary.changes.iter().map(|row| (row.change, row.count, row.action.as_str(), row.reason, row.policies.join(","))).collect();
    let want = [
        (Change::NewlyDenied, 5, "jobs.list", "POLICY_FORBIDS", "no-jobs".to_owned()),
        (Change::NewlyDenied, 1, "jobs.list", "POLICY_FORBIDS", "no-jobs".to_owned()),
        (Change::NewlyAllowed, 1, "clusters.list", "ALLOWED", "read".to_owned()),
        (Change::NewlyAllowed, 1, "jobs.run_now", "ALLOWED", "run".to_owned()),
    ];
    assert_eq!(rows, want);
    let first = &summary.changes[0];
    assert_eq!(
        (first.principal.as_str(), first.policies_before.as_slice()),
        ("Workload::\"spiffe://cluster.local/ns/ml/sa/a\"", ["read".to_owned()].as_slice())
    );
    assert!(first.first <= first.last && case.lines.iter().any(|line| line.contains(&first.event_id)));
    assert_eq!(summary.changes[2].reason_before, "POLICY_FORBIDS");
    assert_eq!(summary.changes[3].reason_before, "POLICY_NO_PERMIT");
}

#[test]
fn a_line_may_be_cut_and_none_may_be_something_else() {
    let case = Case::new();
    let (one, two) = (&case.lines[0], &case.lines[1]);
    let (half, _) = two.split_at(two.len() / 2);
    for (text, records, other, cut) in [
        (format!("{one}\n{half}"), 1, 0, 1),
        (format!("{one}\n{half}\n{two}\n"), 2, 0, 1),
        (format!("{one}\n{{\n{two}\n{{\"decision\":\"al"), 2, 0, 2),
        (format!("{one}\n{two}"), 2, 0, 0),
        (format!("{one}\n\n{{\"level\":\"INFO\",\"reason\":{{}}}}\n{{\"checkpoint\":1}}\r\n{two}\r\n"), 2, 2, 0),
        (String::new(), 0, 0, 0),
    ] {
        let summary = case.replay(&text, Window::default()).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!((summary.records, summary.other_lines, summary.cut_lines), (records, other, cut), "{text}");
    }
    for (text, place) in [
        (format!("{one}\n{half}{two}\n"), "audit.jsonl:2:"),
        ("nonsense\n".to_owned(), "audit.jsonl:1:"),
        (format!("{one}\n[]\n"), "audit.jsonl:2:"),
        (format!("{one}\n{{\"decision\":7}}\n"), "audit.jsonl:2:"),
        ("x".repeat(5 << 20), "audit.jsonl:1: the line is longer"),
    ] {
        let fault = case.replay(&text, Window::default()).unwrap_err().to_string();
        assert!(fault.starts_with(place), "{fault}");
        assert!(fault.len() < 300, "{fault}");
    }
}

/// What was allowed and cannot be decided again may be denied, for all that is known.
#[test]
fn what_was_allowed_and_cannot_be_replayed_is_not_known() {
    let case = Case::new();
    let without = |line: &String| line.replace("\"facts\":", "\"other\":");
    let text = case.lines.iter().map(without).collect::<Vec<_>>().join("\n");
    let summary = case.replay(&text, Window::default()).unwrap();
    let allowed = case.lines.iter().filter(|line| line.contains("\"decision\":\"allow\"")).count() as u64;
    assert_eq!((summary.unknown, summary.not_replayable["no_facts"], summary.replayed), (allowed, 9, 0));
    let text = format!("{}\n{}\n", case.lines[0], without(&case.lines[1]));
    let summary = case.replay(&text, Window::default()).unwrap();
    assert_eq!((summary.unknown, summary.replayed), (1, 1));
}

#[test]
fn a_window_leaves_out_what_is_of_another_time() {
    let case = Case::new();
    let mut lines = Vec::new();
    for (hour, line) in case.lines.iter().take(4).enumerate() {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record["event_time"] = json!(format!("2026-01-01T0{hour}:00:00.000Z"));
        lines.push(record.to_string());
    }
    let at = |hour: i64| Some(1_767_225_600_000 + hour * 3_600_000);
    for (since, until, records) in [(None, None, 4), (at(1), None, 3), (None, at(1), 1), (at(1), at(3), 2), (at(4), None, 0)] {
        let summary = case.replay(&lines.join("\n"), Window { since, until }).unwrap();
        assert_eq!((summary.records, summary.outside_window), (records, 4 - records), "{since:?} {until:?}");
    }
}

#[test]
fn different_changes_are_listed_up_to_a_number_and_all_are_counted() {
    let case = Case::new();
    // Decided by other policies then, and by the same now.
    let line = |number: usize| case.lines[0].replace("[\"read\"]", &format!("[\"read-{number}\"]")) + "\n";
    let text: String = (0..10_050).chain([1, 1, 1]).map(line).collect();
    let summary = case.replay(&text, Window::default()).unwrap();
    assert_eq!((summary.newly_denied, summary.changes.len(), summary.unlisted), (10_053, 10_000, 50));
    assert_eq!(summary.changes[0].count, 4);
}
