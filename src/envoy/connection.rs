//! One connection of a proxy, from the handshake to the last answer.

use std::{pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::{
    Config, Connections, Decide, Metrics, Tls,
    front::Front,
    meter::Share,
    metrics::Refused,
    pulse::{Counted, Pulse},
};
use crate::model::Proxy;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared<D> {
    pub(super) front: Arc<Front<D>>,
    pub(super) tls: Option<Tls>,
    pub(super) metrics: Metrics,
    pub(super) handshake: Duration,
    pub(super) idle: Duration,
    pub(super) http2: http2::Builder<Connections>,
    /// Cancelled when the server stops: every connection then finishes what it has.
    pub(super) stop: CancellationToken,
}

/// One place among the open connections, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    metrics: Metrics,
    _share: Share,
}

/// How much a client may send on one stream before lakegate has read it, in bytes: a check with headers and a small body in one flight.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for the whole connection; what nobody has read yet is held in memory outside `limits.bodies`.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// A PING after so long without a frame, and how long its answer may take: finds peers that are gone without a word.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);
/// How many streams a peer may make us reset by its own errors before it is sent away (CVE-2025-8671). h2 counts them over the whole life of a
/// connection, which for a proxy is days, so this is no place to be stingy.
const ERROR_RESETS: usize = 1024;
/// How long a connection that was told to go stays open with no check on it, for what else is open there (a health watch never ends).
const FAREWELL: Duration = Duration::from_secs(1);

/// HTTP/2 with every limit set. Resets by the peer (CVE-2023-44487), CONTINUATION floods, empty DATA floods and header bombs end in a GOAWAY by
/// h2's own limits (0.4.20); PING floods are answered as fast as the peer reads, bounded by the one task of the connection.
pub(super) fn http2(config: &Config, connections: Connections) -> http2::Builder<Connections> {
    let mut builder = http2::Builder::new(connections);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(config.headers)
        .max_local_error_reset_streams(ERROR_RESETS)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_ANSWER)
        .auto_date_header(false);
    builder
}

// === impl Shared ===

impl<D: Decide> Shared<D> {
    /// Serves `stream` until it ends; never longer than it takes to finish the open checks once the server stops.
    pub(super) async fn run(&self, stream: TcpStream, place: Place) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection went away at once");
            return;
        }
        match &self.tls {
            None => self.speak(stream, None).await,
            Some(tls) => {
                let shaken = tokio::select! {
                    shaken = tokio::time::timeout(self.handshake, tls.accept(stream)) => shaken,
                    () = self.stop.cancelled() => return,
                };
                match shaken {
                    Ok(Ok((stream, proxy))) => self.speak(stream, Some(Arc::new(proxy))).await,
                    Ok(Err(cause)) => self.metrics.refused(cause),
                    Err(_) => self.metrics.refused(Refused::Handshake),
                }
            }
        }
        drop(place);
    }

    /// `proxy` is who the other side has proven to be.
    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, proxy: Option<Arc<Proxy>>) {
        let pulse = Arc::new(Pulse::default());
        let service = service_fn(|request| {
            let (front, pulse, proxy) = (Arc::clone(&self.front), Arc::clone(&pulse), proxy.clone());
            async move { front.call(request, &pulse, proxy).await }
        });
        let io = TokioIo::new(Counted::new(stream, Arc::clone(&pulse)));
        let mut connection = pin!(self.http2.serve_connection(io, service));
        tokio::select! {
            ended = &mut connection => return log_end(ended),
            () = self.stop.cancelled() => {}
            () = self.silent(&pulse) => return self.metrics.refused(Refused::Handshake),
            () = pulse.quiet(self.idle) => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = &mut connection => log_end(ended),
            () = pulse.quiet(FAREWELL) => {}
        }
    }

    /// Returns where the client has not said, in the time of a handshake, that it speaks HTTP/2; else never.
    async fn silent(&self, pulse: &Pulse) {
        tokio::time::sleep(self.handshake).await;
        if pulse.has_preface() {
            std::future::pending::<()>().await;
        }
    }
}

fn log_end(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

// === impl Place ===

impl Place {
    pub(super) fn new(metrics: &Metrics, share: Share) -> Self {
        metrics.connections.inc();
        Self { metrics: metrics.clone(), _share: share }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}
