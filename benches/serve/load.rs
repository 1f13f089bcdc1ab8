//! The load: checks over a few connections, as fast as answers come or at a given rate, each answer looked at.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use envoy_types::ext_authz::v3::pb::{CheckResponse, HttpResponse};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::{
    net::TcpStream,
    runtime::Handle,
    task::{JoinSet, spawn_blocking},
};

use super::{Outcome, servers::Server};

/// Connections to each server: an Envoy opens one for each of its workers.
pub(crate) const CONNECTIONS: usize = 4;
/// Checks that are out at once under full load, over all connections.
pub(crate) const IN_FLIGHT: usize = 64;

const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";
/// What answers of lakegate must set, and no allow-all server does.
const VOUCHER: &str = "x-lakegate-subject";
/// The bytes before a gRPC message.
const PREFIX: usize = 5;

/// What the answer to a check must be; any other fails the run, as what fails cannot look fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// An allow that sets nothing.
    Allow,
    /// An allow that says for whom.
    Vouched,
    Refusal,
}

/// Connections to one server.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    connections: Vec<Connection>,
}

#[derive(Clone, Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    uri: Uri,
    expected: Expected,
}

/// How long answers took, in nanoseconds, in order of length.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

// === impl Load ===

impl Load {
    pub(crate) async fn connect(server: &Server) -> Outcome<Self> {
        Self::expecting(server, if server.vouches() { Expected::Vouched } else { Expected::Allow }).await
    }

    pub(crate) async fn expecting(server: &Server, expected: Expected) -> Outcome<Self> {
        let uri: Uri = format!("http://{}{PATH}", server.address).parse()?;
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(server.address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            // How it ends is seen by whoever sends on it.
            tokio::spawn(connection);
            connections.push(Connection { sender, uri: uri.clone(), expected });
        }
        Ok(Self { connections })
    }

    /// Sends the calls round and round, the next as soon as one is answered.
    pub(crate) async fn full(&self, calls: &Arc<[Bytes]>, duration: Duration) -> Outcome<Latencies> {
        self.unpaced(calls, usize::MAX, Some(Instant::now() + duration)).await
    }

    /// Sends each call once, as fast as answers come.
    pub(crate) async fn once(&self, calls: &Arc<[Bytes]>) -> Outcome<Latencies> {
        self.unpaced(calls, calls.len(), None).await
    }

    async fn unpaced(&self, calls: &Arc<[Bytes]>, count: usize, until: Option<Instant>) -> Outcome<Latencies> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for connection in self.connections.iter().cycle().take(IN_FLIGHT) {
            let (connection, next, calls) = (connection.clone(), Arc::clone(&next), Arc::clone(calls));
            workers.spawn(async move {
                let mut took = Vec::new();
                while until.is_none_or(|until| Instant::now() < until) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    took.push(connection.check(&calls, number, Instant::now()).await?);
                }
                Outcome::Ok(took)
            });
        }
        let mut all = Vec::new();
        while let Some(took) = workers.join_next().await {
            all.extend(took??);
        }
        Ok(Latencies::new(all))
    }

    /// Sends `rate` calls a second, whether answers come or not. A call's time begins when it is due to be sent, not when there is room for it, so
    /// that an answer that is late is late for all that wait behind it.
    pub(crate) async fn paced(&self, calls: &Arc<[Bytes]>, rate: f64, duration: Duration) -> Outcome<Latencies> {
        let (this, calls, runtime) = (self.clone(), Arc::clone(calls), Handle::current());
        // A thread of its own: the runtime's timer is no finer than a millisecond.
        let mut sent = spawn_blocking(move || {
            let mut sent = JoinSet::new();
            let start = Instant::now();
            for (number, connection) in this.connections.iter().cycle().enumerate() {
                let due = Duration::from_secs_f64(f64::from(u32::try_from(number).unwrap_or(u32::MAX)) / rate);
                if due >= duration {
                    break;
                }
                std::thread::sleep(due.saturating_sub(start.elapsed()));
                let (connection, calls, begun) = (connection.clone(), Arc::clone(&calls), Instant::now());
                sent.spawn_on(async move { connection.check(&calls, number, begun).await }, &runtime);
            }
            sent
        })
        .await?;
        let mut all = Vec::with_capacity(sent.len());
        while let Some(took) = sent.join_next().await {
            all.push(took??);
        }
        Ok(Latencies::new(all))
    }
}

// === impl Connection ===

impl Connection {
    /// How long the answer to one of `calls` took since `begun`; an error for any answer but the expected one.
    async fn check(&self, calls: &[Bytes], number: usize, begun: Instant) -> Outcome<u32> {
        let call = number.checked_rem(calls.len()).and_then(|index| calls.get(index)).ok_or("there is no call to send")?;
        let request = Request::post(self.uri.clone())
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            // As Envoy sends its own timeout; long enough that a machine that stands still does not fail the run.
            .header("grpc-timeout", "5000m")
            .body(Full::new(call.clone()))?;
        let mut sender = self.sender.clone();
        sender.ready().await?;
        let answer = sender.send_request(request).await?.into_body().collect().await?;
        let took = u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX);
        if answer.trailers().and_then(|trailers| trailers.get("grpc-status")).is_none_or(|status| status != "0") {
            return Err("a check ended in a gRPC error".into());
        }
        let body = answer.to_bytes();
        self.examine(&CheckResponse::decode(body.get(PREFIX..).unwrap_or_default())?)?;
        Ok(took)
    }

    fn examine(&self, answer: &CheckResponse) -> Outcome<()> {
        let allowed = answer.status.as_ref().is_some_and(|status| status.code == 0);
        let found = match &answer.http_response {
            Some(HttpResponse::OkResponse(ok)) if allowed => {
                let vouched = ok.headers.iter().filter_map(|option| option.header.as_ref()).any(|header| header.key == VOUCHER);
                if vouched { Expected::Vouched } else { Expected::Allow }
            }
            Some(HttpResponse::DeniedResponse(_)) if !allowed => Expected::Refusal,
            _ => return Err(format!("a check was neither allowed nor refused: {answer:?}").into()),
        };
        if found == self.expected { Ok(()) } else { Err(format!("a check was not answered as it should be: {answer:?}").into()) }
    }
}

// === impl Latencies ===

impl Latencies {
    fn new(mut all: Vec<u32>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// In milliseconds: the time within which so many of a thousand answers came.
    pub(crate) fn within(&self, per_mille: usize) -> f64 {
        let index = (self.0.len() * per_mille / 1000).min(self.0.len().saturating_sub(1));
        self.0.get(index).map_or(f64::NAN, |nanos| f64::from(*nanos) / 1e6)
    }
    /// One spell of load, in words.
    pub(crate) fn line(&self, name: &str) -> String {
        let within = |per_mille| self.within(per_mille);
        format!("{name:<10} {:>8} checks   p50 {:>7.2} ms   p99 {:>7.2} ms   p99.9 {:>7.2} ms\n", self.count(), within(500), within(990), within(999))
    }
}
