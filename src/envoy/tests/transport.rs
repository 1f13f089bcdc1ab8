//! Connections: how many, how long, and how they end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, authorization_client::AuthorizationClient};
use futures::{StreamExt, future::join_all, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

use super::{
    super::{BindError, Config, Listener, Metrics, metrics::Refused},
    world::*,
};

async fn channel(server: &Server) -> tonic::transport::Channel {
    Endpoint::from_shared(format!("http://{}", server.address)).expect("an address").connect().await.expect("a connection")
}

/// Whether the server closes `stream` in its own time.
async fn closes(stream: &mut TcpStream) -> bool {
    let mut drain = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut drain)).await.is_ok()
}

#[tokio::test]
async fn the_generated_client_is_understood() {
    let server = Server::start(loopback()).await;
    let response = AuthorizationClient::new(channel(&server).await).check(CheckRequest::default()).await.expect("an answer").into_inner();
    assert_eq!(response.status.map(|status| status.code), Some(0));
}

#[tokio::test]
async fn one_connection_has_so_many_streams_and_no_more() {
    let server = Server::start(Config { streams: 3, ..loopback() }).await;
    let client = server.client().await;
    // The client learns the limit from the server's SETTINGS.
    assert_eq!(ask(&client, "/").await, ALLOWED);
    let asked = tokio::spawn(async move { join_all((0..8).map(|_| ask(&client, "/gate"))).await });
    server.until_seen(4).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.stub.seen.load(Ordering::SeqCst), 4, "the first, and three that wait");
    server.stub.gate.add_permits(8);
    assert_eq!(asked.await.expect("no panic"), [ALLOWED; 8]);
}

#[tokio::test]
async fn an_over_long_header_list_is_refused_unread() {
    let server = Server::start(Config { headers: 1024, ..loopback() }).await;
    let client = server.client().await;
    assert_eq!(ask(&client, "/").await, ALLOWED);
    let refused = post(&client, PATH, &[("x-long", &"a".repeat(2000))], check("/")).await;
    assert!(refused.is_err() || refused.is_ok_and(|got| got.status != 200));
    assert_eq!(server.stub.seen.load(Ordering::SeqCst), 1);
    assert_eq!(ask(&server.client().await, "/").await, ALLOWED);
}

#[tokio::test]
async fn there_are_so_many_connections_and_no_more() {
    let server = Server::start(Config { connections: 1, ..loopback() }).await;
    let client = server.client().await;
    assert_eq!(ask(&client, "/").await, ALLOWED);
    let mut second = TcpStream::connect(server.address).await.expect("accepted, then closed");
    assert!(closes(&mut second).await);
    assert_eq!((server.metrics.refusals(Refused::Full), server.metrics.connections.get()), (1, 1));
    assert_eq!(ask(&client, "/").await, ALLOWED, "the first is not disturbed");
    drop(client);
    until(|| server.metrics.connections.get() == 0).await;
    assert_eq!(ask(&server.client().await, "/").await, ALLOWED, "its place is free again");
}

#[tokio::test]
async fn who_says_nothing_or_half_a_preface_is_sent_away() {
    let server = Server::start(Config { handshake: Duration::from_secs(2), ..loopback() }).await;
    let client = server.client().await;
    let said = ["", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    let gone = said.map(async |said| {
        let mut stream = TcpStream::connect(server.address).await.expect("a connection");
        stream.write_all(said.as_bytes()).await.expect("written");
        assert!(closes(&mut stream).await, "{said:?}");
    });
    join_all(gone).await;
    assert_eq!(server.metrics.refusals(Refused::Handshake), 3);
    assert_eq!(ask(&client, "/").await, ALLOWED, "who has said what he speaks may be silent");
}

#[tokio::test]
async fn a_connection_without_checks_is_told_to_go() {
    let server = Server::start(Config { idle: Duration::from_millis(500), ..loopback() }).await;
    let client = server.client().await;
    assert_eq!(ask(&client, "/").await, ALLOWED);
    until(|| client.is_closed()).await;
    until(|| server.metrics.connections.get() == 0).await;
    let busy = server.client().await;
    let held = tokio::spawn(async move { ask(&busy, "/gate").await });
    server.until_seen(2).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    server.stub.gate.add_permits(1);
    assert_eq!(held.await.expect("no panic"), ALLOWED, "a check that takes long is not idleness");
}

#[tokio::test]
async fn a_shutdown_lets_open_checks_finish_and_takes_no_more() {
    let mut server = Server::start(loopback()).await;
    let client = server.client().await;
    let held = tokio::spawn({
        let client = client.clone();
        async move { ask(&client, "/gate").await }
    });
    server.until_seen(1).await;
    drop(server.stop.take());
    until(|| client.is_closed() || std::net::TcpStream::connect(server.address).is_err()).await;
    assert!(!server.done.is_finished(), "a check is open");
    server.stub.gate.add_permits(1);
    assert_eq!(held.await.expect("no panic"), ALLOWED);
    server.done.await.expect("no panic").expect("served");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_who_says_nothing() {
    let mut server = Server::start(loopback()).await;
    let _silent = TcpStream::connect(server.address).await.expect("a connection");
    until(|| server.metrics.connections.get() == 1).await;
    drop(server.stop.take());
    server.done.await.expect("no panic").expect("served");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_health_watch() {
    let mut server = Server::start(loopback()).await;
    let mut watch = HealthClient::new(channel(&server).await).watch(HealthCheckRequest::default()).await.expect("watched").into_inner();
    assert!(watch.next().await.is_some());
    drop(server.stop.take());
    server.done.await.expect("no panic").expect("served");
}

#[tokio::test]
async fn health_says_what_it_is_told() {
    let server = Server::start(loopback()).await;
    let mut client = HealthClient::new(channel(&server).await);
    for serving in [true, false, true] {
        server.health.set(serving).await;
        for service in ["", "envoy.service.auth.v3.Authorization"] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let status = client.check(request).await.expect("known").into_inner().status;
            assert_eq!(status, if serving { 1 } else { 2 }, "`{service}`");
        }
    }
}

#[tokio::test]
async fn health_is_bad_until_it_is_told() {
    let server = Server::start(loopback()).await;
    let status = HealthClient::new(channel(&server).await).check(HealthCheckRequest::default()).await.expect("known").into_inner().status;
    assert_eq!(status, 2);
}

#[tokio::test]
async fn reflection_shows_the_service_and_its_messages() {
    let server = Server::start(loopback()).await;
    let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let questions = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("envoy.service.auth.v3.CheckRequest".to_owned())),
    ];
    let mut client = ServerReflectionClient::new(channel(&server).await);
    let mut answers = client.server_reflection_info(stream::iter(questions)).await.expect("served").into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.next().await.expect("one").expect("good").message_response else {
        panic!("no list")
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, ["envoy.service.auth.v3.Authorization", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]);
    let found = answers.next().await.expect("two").expect("good").message_response;
    assert!(matches!(found, Some(MessageResponse::FileDescriptorResponse(_))));
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let server = Server::start(loopback()).await;
    let error = Listener::bind(Config { address: server.address, ..loopback() }, Metrics::default()).await.expect_err("taken");
    assert!(matches!(error, BindError::Socket(address, cause) if address == server.address && cause.kind() == std::io::ErrorKind::AddrInUse));
}

#[tokio::test]
async fn a_port_for_everyone_has_to_be_asked_for() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let address = address.parse().expect("an address");
        let error = Listener::bind(Config { address, ..loopback() }, Metrics::default()).await.expect_err("exposed");
        assert!(matches!(error, BindError::Exposed(_)), "{address}");
    }
    let address = "0.0.0.0:0".parse().expect("an address");
    assert!(Listener::bind(Config { address, insecure: true, ..loopback() }, Metrics::default()).await.is_ok());
}

#[test]
fn the_metrics_have_their_names() {
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = Metrics::default();
    metrics.register(&mut registry);
    metrics.refused(Refused::Peer);
    metrics.failed(super::super::metrics::Failed::Late);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
    for line in [
        "lakegate_check_connections 0",
        "lakegate_checks_in_flight 0",
        "lakegate_check_connections_refused_total{cause=\"peer\"} 1",
        "lakegate_checks_failed_total{cause=\"late\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

/// What a check holds (its audit record) must be gone when the cut is over, and not some time later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_ends_every_check_before_it_returns() {
    for drains in [true, false] {
        let mut server = Server::start(loopback()).await;
        let mut asked = Vec::new();
        for _ in 0..5 {
            let client = server.client().await;
            asked.extend((0..10).map(|_| {
                let client = client.clone();
                tokio::spawn(async move { post(&client, PATH, &[], check("/hang")).await.is_err() })
            }));
        }
        let mut silent = TcpStream::connect(server.address).await.expect("a connection");
        server.until_seen(50).await;
        until(|| server.metrics.connections.get() == 6).await;
        if drains {
            drop(server.stop.take());
        }
        assert_eq!(server.metrics.in_flight.get(), 50);
        assert!(!server.done.is_finished());
        tokio::time::timeout(Duration::from_mins(1), server.connections.cut()).await.expect("long before the checks' own deadline");
        assert_eq!((server.metrics.in_flight.get(), server.metrics.connections.get()), (0, 0));
        assert!(tokio::time::timeout(Duration::from_mins(1), server.done).await.expect("the server ends").expect("no panic").is_ok());
        assert_eq!(Arc::strong_count(&server.stub), 1, "nobody decides any longer");
        assert!(closes(&mut silent).await);
        for asked in asked {
            assert!(asked.await.expect("no panic"), "no answer, and no allow");
        }
        server.connections.cut().await;
    }
}
