use std::{fs, path::Path, time::Duration};

use super::*;

fn config(path: &Path, on_failure: OnFailure, fsync: Fsync, queue: usize) -> Config {
    Config { sink: Sink::File(path.to_owned()), on_failure, fsync, queue }
}

fn start(config: &Config) -> (Auditor, Writer) {
    Auditor::start(config, Clock::default(), &mut crate::telemetry::registry()).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lakegate-audit-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    fs::read_to_string(path).unwrap().lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_record_is_one_line_and_an_unclosed_one_says_aborted() {
    let path = folder("lines").join("audit.jsonl");
    let (auditor, writer) = start(&config(&path, OnFailure::Deny, Fsync::Batch, 100));
    for index in 0..50 {
        let mut record = auditor.open().unwrap();
        record.entry().unwrap().event_id = format!("line\n{index}");
        if index % 2 == 0 {
            record.close(Decision::Allow, Response::default()).await;
        }
    }
    finish(writer).await;
    let lines = lines(&path);
    assert_eq!(lines.len(), 50);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["event_id"], format!("line\n{index}"));
        assert_eq!(line["decision"], if index % 2 == 0 { "allow" } else { "aborted" });
    }
}

#[tokio::test]
async fn with_fsync_always_the_line_is_there_before_the_answer() {
    let path = folder("fsync").join("audit.jsonl");
    let (auditor, _writer) = start(&config(&path, OnFailure::Deny, Fsync::Always, 100));
    for count in 1..=5 {
        auditor.open().unwrap().close(Decision::Deny, Response::default()).await;
        assert_eq!(lines(&path).len(), count);
    }
}

#[tokio::test]
async fn without_a_place_in_the_queue_the_call_is_denied_or_counted() {
    let folder = folder("full");
    let (auditor, _writer) = start(&config(&folder.join("deny.jsonl"), OnFailure::Deny, Fsync::Batch, 2));
    let held = [auditor.open().unwrap(), auditor.open().unwrap()];
    assert_eq!(auditor.open().unwrap_err().reason, Reason::AuditUnavailable);
    drop(held);
    let (auditor, _writer) = start(&config(&folder.join("allow.jsonl"), OnFailure::Allow, Fsync::Batch, 1));
    let _held = auditor.open().unwrap();
    auditor.open().unwrap().close(Decision::Allow, Response::default()).await;
    assert_eq!(auditor.status().lost, 1);
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_opened_anew() {
    let folder = folder("rotate");
    let path = folder.join("audit.jsonl");
    let (auditor, writer) = start(&config(&path, OnFailure::Deny, Fsync::Always, 10));
    auditor.open().unwrap().close(Decision::Allow, Response::default()).await;
    fs::rename(&path, folder.join("audit.jsonl.1")).unwrap();
    auditor.open().unwrap().close(Decision::Allow, Response::default()).await;
    finish(writer).await;
    assert_eq!((lines(&folder.join("audit.jsonl.1")).len(), lines(&path).len()), (1, 1));
}

/// A process that was killed leaves half a line. The next one begins a line of its own, and loses no record to it.
#[tokio::test]
async fn a_line_that_was_broken_off_takes_no_other_along() {
    let folder = folder("torn");
    let path = folder.join("audit.jsonl");
    for before in ["", "{\"decision\":\"allow\"}\n", "{\"decision\":\"al"] {
        fs::write(&path, before).unwrap();
        let (auditor, writer) = start(&config(&path, OnFailure::Deny, Fsync::Always, 10));
        for _ in 0..2 {
            auditor.open().unwrap().close(Decision::Deny, Response::default()).await;
        }
        finish(writer).await;
        let text = fs::read_to_string(&path).unwrap();
        let added = text.strip_prefix(before).unwrap();
        let added = if before.ends_with("al") { added.strip_prefix('\n').unwrap() } else { added };
        let added: Vec<serde_json::Value> = added.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(added.len() == 2 && added.iter().all(|line| line["decision"] == "deny"), "{before}: {text}");
    }
    // and so does the one that follows a file that was moved away
    fs::write(&path, "").unwrap();
    let (auditor, writer) = start(&config(&path, OnFailure::Deny, Fsync::Always, 10));
    fs::remove_file(&path).unwrap();
    fs::write(&path, "half").unwrap();
    auditor.open().unwrap().close(Decision::Deny, Response::default()).await;
    finish(writer).await;
    assert!(fs::read_to_string(&path).unwrap().starts_with("half\n{"));
}

#[tokio::test]
async fn what_cannot_be_written_denies_until_it_can() {
    let folder = folder("broken");
    let path = folder.join("audit.jsonl");
    let (auditor, _writer) = start(&config(&path, OnFailure::Deny, Fsync::Batch, 10));
    // The file and its folder are gone, so that following the name fails.
    fs::remove_dir_all(&folder).unwrap();
    auditor.open().unwrap().close(Decision::Allow, Response::default()).await;
    let refusal = until(|| auditor.open().err()).await;
    assert_eq!(refusal.reason, Reason::AuditUnavailable);
    assert!(auditor.status().degraded && refusal.since.is_some());
    fs::create_dir_all(&folder).unwrap();
    until(|| auditor.open().ok()).await;
    assert_eq!(lines(&path)[0]["decision"], "allow", "the record that could not be written is not lost");
}

async fn finish(writer: Writer) {
    tokio::task::spawn_blocking(|| writer.finish()).await.unwrap().unwrap();
}

async fn until<T>(mut there: impl FnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(found) = there() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 10 s");
}

/// decision.proto and the record have the same fields, in the same order.
#[test]
fn the_proto_follows_the_record() {
    let proto = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/proto/lakegate/v1/decision.proto")).unwrap();
    let message = proto.split("message Decision {").nth(1).unwrap().split("\n  message ").next().unwrap();
    let declared: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|line| line.ends_with(';') && !line.starts_with("//"))
        .map(|line| line.trim_start_matches("repeated ").split(' ').nth(1).unwrap())
        .collect();
    let entry = serde_json::to_value(Entry::default()).unwrap();
    let written: Vec<&String> = entry.as_object().unwrap().keys().collect();
    assert_eq!(declared, written);
}

/// Whoever reads records needs no field that was added, and is not disturbed by it.
#[test]
fn a_record_with_a_credential_and_one_of_before_are_both_read() {
    let credential = Credential { mode: "exchange", principal: Some("alice".into()), scope: None, expires_at: Some(60) };
    let entry = Entry { event_id: "1".to_owned(), decision: Decision::Allow, credential: Some(credential), ..Entry::default() };
    let line = serde_json::to_value(&entry).unwrap();
    assert_eq!(line["credential"], serde_json::json!({ "mode": "exchange", "principal": "alice", "scope": null, "expires_at": 60 }));
    let mut before = line.clone();
    before.as_object_mut().unwrap().remove("credential").unwrap();
    for line in [line, before] {
        let read: Recorded = serde_json::from_value(line).unwrap();
        assert_eq!((read.event_id.as_str(), read.decision.as_deref()), ("1", Some("allow")));
    }
}
