use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderName, StatusCode, header},
    response::Redirect,
    routing::get,
};
use futures::stream;

use super::*;

#[test]
fn only_safe_urls_are_endpoints() {
    let good = [
        "https://idp.example/realms/ml",
        "https://idp.example:8443/a?b=c",
        "https://10.0.0.7/",
        "https://[fd12::7]/",
        "http://127.0.0.1:8080/certs",
        "http://127.9.9.9/",
        "http://[::1]:8080/",
        "http://localhost:8080/",
        "http://idp.localhost/",
    ];
    for text in good {
        assert!(Endpoint::parse(text).is_ok(), "{text}: {:?}", Endpoint::parse(text));
    }
    let long = format!("https://idp.example/{}", "a".repeat(2048));
    let bad = [
        ("", EndpointError::NotAUrl),
        ("idp.example", EndpointError::NotAUrl),
        ("https://", EndpointError::NotAUrl),
        ("http://idp.example/", EndpointError::Scheme),
        ("http://localhost.example/", EndpointError::Scheme),
        ("http://10.0.0.7/", EndpointError::Scheme),
        ("ftp://127.0.0.1/", EndpointError::Scheme),
        ("https://user@idp.example/", EndpointError::UserInfo),
        ("https://:secret@idp.example/", EndpointError::UserInfo),
        ("https://@idp.example/", EndpointError::UserInfo),
        ("https://idp.example/#x", EndpointError::Fragment),
        ("https://idp.example/#", EndpointError::Fragment),
        ("https://idp.example\\@evil.example/", EndpointError::Characters),
        ("https://idp.example/a b", EndpointError::Characters),
        ("https://idp.exa\tmple/", EndpointError::Characters),
        ("https://id\u{f6}.example/", EndpointError::Characters),
        ("https://169.254.169.254/latest", EndpointError::Address),
        ("https://0xa9fea9fe/latest", EndpointError::Address),
        ("https://[::ffff:169.254.169.254]/", EndpointError::Address),
        ("https://[fe80::1]/", EndpointError::Address),
        ("https://[fd00:ec2::254]/", EndpointError::Address),
        ("https://0.0.0.0/", EndpointError::Address),
        ("https://[::]/", EndpointError::Address),
        ("https://224.0.0.1/", EndpointError::Address),
        (long.as_str(), EndpointError::TooLong),
    ];
    for (text, why) in bad {
        assert_eq!(Endpoint::parse(text), Err(why), "{text}");
    }
}

/// Serves `router` on a loopback port and returns its base URL.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    base
}

fn client(max_bytes: usize, timeout_ms: u64) -> Client {
    Client::new(&Config { timeout: Duration::from_millis(timeout_ms), max_bytes }).unwrap()
}

async fn ask(client: &Client, url: String) -> Result<bytes::Bytes, NetError> {
    client.get(&Endpoint::parse(&url).unwrap()).await
}

#[test]
fn inside_a_mesh_plain_http_is_good_for_any_host_and_nothing_else_is() {
    for (text, good) in [
        ("http://dbc-1.cloud.databricks.com/x", true),
        ("https://dbc-1.cloud.databricks.com/x", true),
        ("ftp://dbc-1.cloud.databricks.com/x", false),
        ("http://user@dbc-1.cloud.databricks.com/x", false),
        ("http://169.254.169.254/x", false),
    ] {
        assert_eq!(Endpoint::in_mesh(text).is_ok(), good, "{text}");
    }
}

#[tokio::test]
async fn a_caller_asks_with_its_token_and_reads_every_status() {
    let echo = |headers: http::HeaderMap, body: String| async move {
        let header = |name: HeaderName| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        (StatusCode::FORBIDDEN, format!("{} {} {body}", header(header::AUTHORIZATION), header(header::CONTENT_TYPE)))
    };
    let moved = || async { Redirect::temporary("http://127.0.0.1:9/") };
    let base = serve(Router::new().route("/", get(echo).post(echo)).route("/moved", get(moved))).await;
    let (client, endpoint) = (client(1000, 5000), Endpoint::parse(&format!("{base}/")).unwrap());
    let token = crate::model::Secret::new("t.o.k");
    let ask = async |token, json: Option<&'static str>| {
        let (status, body) = client.ask(&endpoint, token, json.map(bytes::Bytes::from)).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(ask(Some(&token), Some("{}")).await, (403, "Bearer t.o.k application/json {}".to_owned()));
    assert_eq!(ask(None, None).await, (403, "  ".to_owned()));
    // a token goes nowhere but where it was sent
    let moved = client.ask(&Endpoint::parse(&format!("{base}/moved")).unwrap(), Some(&token), None).await.unwrap();
    assert_eq!(moved.0, 307);
}

#[tokio::test]
async fn an_answer_is_a_200_within_the_limits() {
    let reached = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&reached);
    let router = Router::new()
        .route("/good", get(|| async { "12345678" }))
        .route("/redirect", get(|| async { Redirect::temporary("/target") }))
        .route(
            "/target",
            get(move || async move {
                seen.fetch_add(1, Ordering::SeqCst);
                "x"
            }),
        )
        .route("/created", get(|| async { (StatusCode::CREATED, "x") }))
        .route("/gzip", get(|| async { ([(header::CONTENT_ENCODING, "gzip")], "x") }))
        .route("/endless", get(|| async { Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>("0123456789"))) }))
        .route("/silent", get(|| async { Body::from_stream(stream::pending::<Result<&str, std::io::Error>>()) }));
    let base = serve(router).await;
    let client = client(8, 30_000);
    assert_eq!(ask(&client, format!("{base}/good")).await.unwrap(), "12345678");
    assert!(matches!(ask(&client, format!("{base}/redirect")).await, Err(NetError::Status(307))));
    assert_eq!(reached.load(Ordering::SeqCst), 0, "a redirect was followed");
    assert!(matches!(ask(&client, format!("{base}/created")).await, Err(NetError::Status(201))));
    assert!(matches!(ask(&client, format!("{base}/gzip")).await, Err(NetError::Encoded)));
    assert!(matches!(ask(&client, format!("{base}/endless")).await, Err(NetError::TooLong(8))));
    let hasty = self::client(8, 200);
    assert!(matches!(ask(&hasty, format!("{base}/silent")).await, Err(NetError::TimedOut)));
}

#[tokio::test]
async fn nothing_is_asked_for_that_could_be_compressed_or_remembered() {
    let router = Router::new().route(
        "/echo",
        get(|headers: http::HeaderMap| async move {
            let forbidden = ["accept-encoding", "cookie", "referer", "authorization"].map(HeaderName::from_static);
            forbidden.iter().filter(|name| headers.contains_key(*name)).count().to_string()
        }),
    );
    let base = serve(router).await;
    assert_eq!(ask(&client(64, 30_000), format!("{base}/echo")).await.unwrap(), "0");
}

#[tokio::test]
async fn without_roots_only_loopback_can_be_asked() {
    let base = serve(Router::new().route("/", get(|| async { "x" }))).await;
    let client = Client::trusting_nobody(&Config::default()).unwrap();
    assert_eq!(ask(&client, base.clone()).await.unwrap(), "x");
    // Not TLS at all behind that port: it must fail, and say so.
    assert!(matches!(ask(&client, base.replace("http:", "https:")).await, Err(NetError::Unreachable(_))));
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert!(matches!(ask(&client(64, 30_000), url).await, Err(NetError::Unreachable(_))));
}
