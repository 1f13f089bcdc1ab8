//! A server on a port of its own, someone who decides, and a raw HTTP/2 client.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse,
    attribute_context::{HttpRequest, Request as Attributes},
    check_response::HttpResponse,
};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::super::*;
use crate::model::{Allow, Answer, DecisionId, Deny, DenyStatus, HeaderEdit};

/// Decides by the path of the call.
#[derive(Debug)]
pub(super) struct Stub {
    /// Calls that arrived at `decide`.
    pub(super) seen: AtomicUsize,
    /// What `/gate` waits for.
    pub(super) gate: Semaphore,
}

/// A running check port.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) stub: Arc<Stub>,
    pub(super) metrics: Metrics,
    pub(super) health: Health,
    pub(super) connections: Connections,
    pub(super) tls: Option<Tls>,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) done: JoinHandle<std::io::Result<()>>,
}

/// What a raw client got.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) grpc_status: Option<String>,
    pub(super) body: Bytes,
}

pub(super) const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The answer to a call that the stub allows.
pub(super) const ALLOWED: &str = r#"0 allow 1 ["x-lakegate-roles"]"#;

pub(super) fn loopback() -> Config {
    Config { deadline: Duration::from_secs(30), ..Config::new(SocketAddr::from(([127, 0, 0, 1], 0))) }
}

// === impl Stub ===

impl Decide for Stub {
    async fn decide(&self, raw: RawCall, _: Instant) -> Verdict {
        self.seen.fetch_add(1, Ordering::SeqCst);
        let decision = DecisionId::new(1);
        let header = HeaderEdit { name: "x-lakegate-subject".into(), value: Bytes::from_static(b"corp/alice") };
        match raw.path() {
            b"/panic" => panic!("a decision that panics"),
            b"/hang" => std::future::pending().await,
            b"/gate" => drop(self.gate.acquire().await.expect("open")),
            b"/answer" => return Verdict::Answer(Answer { decision, headers: Vec::new(), body: Bytes::from_static(b"{}") }),
            b"/deny" => return deny(DenyStatus::Forbidden, "no"),
            _ => {}
        }
        Verdict::Allow(Allow { decision, set: vec![header], remove: vec!["x-lakegate-roles".into()] })
    }

    fn fault(&self, reason: Reason, raw: Option<&RawCall>) -> Verdict {
        let path = raw.map(|raw| String::from_utf8_lossy(raw.path()).into_owned());
        assert_ne!(path.as_deref(), Some("/panic/twice"), "an answer that panics");
        deny(DenyStatus::Unavailable, &format!("{} {}", reason.code(), path.unwrap_or_default()))
    }
}

fn deny(status: DenyStatus, body: &str) -> Verdict {
    Verdict::Deny(Deny { decision: DecisionId::new(1), status, headers: Vec::new(), body: Bytes::copy_from_slice(body.as_bytes()) })
}

// === impl Server ===

impl Server {
    pub(super) async fn start(config: Config) -> Self {
        let metrics = Metrics::default();
        let listener = Listener::bind(config, metrics.clone()).await.expect("a free port");
        let (address, health, connections, tls) = (listener.local_addr(), listener.health(), listener.connections(), listener.tls());
        let stub = Arc::new(Stub { seen: AtomicUsize::new(0), gate: Semaphore::new(0) });
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(listener.serve(Arc::clone(&stub), async { drop(stopped.await) }));
        Self { address, stub, metrics, health, connections, tls, stop: Some(stop), done }
    }

    pub(super) async fn client(&self) -> SendRequest<Full<Bytes>> {
        speak(TcpStream::connect(self.address).await.expect("a connection")).await.expect("http/2")
    }

    /// Waits until `decide` has seen `count` calls.
    pub(super) async fn until_seen(&self, count: usize) {
        until(|| self.stub.seen.load(Ordering::SeqCst) >= count).await;
    }
}

/// Waits until `ready` says yes.
pub(super) async fn until(ready: impl Fn() -> bool) {
    let wait = async {
        while !ready() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.expect("what was waited for");
}

/// HTTP/2 over `stream`.
pub(super) async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> hyper::Result<SendRequest<Full<Bytes>>> {
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A framed check of `path`.
pub(super) fn check(path: &str) -> Bytes {
    let http = HttpRequest { method: "GET".to_owned(), path: path.to_owned(), ..HttpRequest::default() };
    let attributes = AttributeContext { request: Some(Attributes { time: None, http: Some(http) }), ..AttributeContext::default() };
    framed(0, &CheckRequest { attributes: Some(attributes) }.encode_to_vec())
}

pub(super) fn framed(flag: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[flag], &length[..], message].concat().into()
}

/// Posts `body` to the check, with `headers` beside the usual ones.
pub(super) async fn post(client: &SendRequest<Full<Bytes>>, path: &str, headers: &[(&str, &str)], body: Bytes) -> hyper::Result<Got> {
    let mut request = Request::post(format!("http://lakegate{path}")).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut client = client.clone();
    client.ready().await?;
    let response = client.send_request(request.body(Full::new(body)).expect("a request")).await?;
    let (parts, body) = response.into_parts();
    let collected = body.collect().await?;
    let grpc_status = collected.trailers().unwrap_or(&parts.headers).get("grpc-status").map(|code| code.to_str().expect("ascii").to_owned());
    Ok(Got { status: parts.status, grpc_status, body: collected.to_bytes() })
}

/// Posts a check of `path` and tells the answer in a line: the code, the HTTP status and the body.
pub(super) async fn ask(client: &SendRequest<Full<Bytes>>, path: &str) -> String {
    tell(&post(client, PATH, &[], check(path)).await.expect("an answer"))
}

pub(super) fn tell(got: &Got) -> String {
    assert_eq!((got.status, got.grpc_status.as_deref()), (StatusCode::OK, Some("0")), "gRPC must say that all is well");
    let message = got.body.get(5..).expect("a message");
    let response = CheckResponse::decode(message).expect("protobuf");
    let code = response.status.as_ref().expect("a status").code;
    match response.http_response.expect("a response") {
        HttpResponse::OkResponse(ok) => format!("{code} allow {} {:?}", ok.headers.len(), ok.headers_to_remove),
        HttpResponse::DeniedResponse(denied) => format!("{code} {} {}", denied.status.expect("a status").code, denied.body).trim_end().to_owned(),
        HttpResponse::ErrorResponse(_) => panic!("an error response may be an allow"),
    }
}
