//! Every check has an answer.

use std::time::Duration;

use bytes::Bytes;

use super::{
    super::{Config, metrics::Failed},
    world::*,
};

#[tokio::test]
async fn verdicts_arrive() {
    let server = Server::start(loopback()).await;
    let client = server.client().await;
    assert_eq!(ask(&client, "/").await, ALLOWED);
    assert_eq!(ask(&client, "/deny").await, "7 403 no");
    assert_eq!(ask(&client, "/answer").await, "7 200 {}");
}

#[tokio::test]
async fn a_panic_is_that_checks_deny_and_no_more() {
    let server = Server::start(loopback()).await;
    let client = server.client().await;
    assert_eq!(ask(&client, "/panic").await, "14 503 INTERNAL /panic");
    assert_eq!(server.metrics.failures(Failed::Panic), 1);
    assert_eq!(ask(&client, "/").await, ALLOWED, "on the same connection");
    assert_eq!(server.metrics.in_flight.get(), 0);
}

#[tokio::test]
async fn a_panic_of_the_answer_is_a_deny() {
    let server = Server::start(Config { concurrency: 0, ..loopback() }).await;
    assert_eq!(ask(&server.client().await, "/panic/twice").await, "14 503");
}

#[tokio::test]
async fn a_late_check_is_denied_before_its_caller_gives_up() {
    let server = Server::start(Config { deadline: Duration::from_secs(1), ..loopback() }).await;
    let client = server.client().await;
    assert_eq!(ask(&client, "/hang").await, "14 503 DEADLINE_EXCEEDED /hang");
    assert_eq!(server.metrics.failures(Failed::Late), 1);

    let server = Server::start(loopback()).await;
    let client = server.client().await;
    let got = post(&client, PATH, &[("grpc-timeout", "1S")], check("/hang")).await.expect("an answer");
    assert_eq!(tell(&got), "14 503 DEADLINE_EXCEEDED /hang");
    assert_eq!(server.metrics.in_flight.get(), 0, "what was late is dropped");
}

#[tokio::test]
async fn what_cannot_be_read_is_denied() {
    let server = Server::start(Config { message: 1000, ..loopback() }).await;
    let client = server.client().await;
    let cases = [
        ("over-long", check(&"/a".repeat(600)), "14 503 BODY_TOO_LARGE"),
        ("much too long", check(&"/a".repeat(600_000)), "14 503 BODY_TOO_LARGE"),
        ("no protobuf", framed(0, b"\x0a\xff"), "14 503 REQUEST_MALFORMED"),
        ("compressed", framed(1, b""), "14 503 REQUEST_MALFORMED"),
        ("no frame", Bytes::from_static(b"\0\0"), "14 503 REQUEST_MALFORMED"),
        ("nothing", Bytes::new(), "14 503 REQUEST_MALFORMED"),
        ("two messages", [check("/"), check("/")].concat().into(), "14 503 REQUEST_MALFORMED"),
    ];
    for (what, body, expected) in cases {
        assert_eq!(tell(&post(&client, PATH, &[], body).await.expect("an answer")), expected, "{what}");
    }
    assert_eq!(server.metrics.failures(Failed::Oversize), 2);
    assert_eq!(server.metrics.failures(Failed::Undecodable), 5);
    assert_eq!(server.stub.seen.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn more_checks_than_there_are_places_are_shed() {
    let server = Server::start(Config { concurrency: 1, ..loopback() }).await;
    let client = server.client().await;
    let held = tokio::spawn({
        let client = client.clone();
        async move { ask(&client, "/gate").await }
    });
    server.until_seen(1).await;
    assert_eq!(ask(&client, "/").await, "14 503 OVERLOADED /", "read, so that the pipeline may answer discovery");
    server.stub.gate.add_permits(1);
    assert_eq!(held.await.expect("no panic"), ALLOWED);
    assert_eq!(ask(&client, "/").await, ALLOWED);
    assert_eq!(server.metrics.failures(Failed::Shed), 1);
}

#[tokio::test]
async fn more_bytes_than_there_is_room_for_are_shed() {
    let held_path = "/gate";
    let server = Server::start(Config { bodies: 100, ..loopback() }).await;
    let client = server.client().await;
    assert_eq!(ask(&client, &"/a".repeat(100)).await, "14 503 OVERLOADED");
    let held = tokio::spawn({
        let client = client.clone();
        async move { ask(&client, held_path).await }
    });
    server.until_seen(1).await;
    let long = format!("/{}", "a".repeat(70));
    assert_eq!(ask(&client, &long).await, "14 503 OVERLOADED", "the held check's bytes count");
    server.stub.gate.add_permits(1);
    assert_eq!(held.await.expect("no panic"), ALLOWED);
    assert_eq!(ask(&client, &long).await, ALLOWED, "and are given back");
}

#[tokio::test]
async fn other_methods_are_unimplemented() {
    let server = Server::start(loopback()).await;
    let client = server.client().await;
    for path in ["/envoy.service.auth.v3.Authorization/Other", "/envoy.service.auth.v2.Authorization/Check", "/"] {
        let got = post(&client, path, &[], check("/")).await.expect("an answer");
        assert_eq!(got.grpc_status.as_deref(), Some("12"), "{path}");
    }
}
