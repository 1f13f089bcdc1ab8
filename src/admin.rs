//! The operator's view over HTTP: alive, ready, metrics, status. No secrets stand here, so nobody is asked who they are; whatever shows callers or changes
//! state belongs to the control listener, but for logout tokens, which are their issuers' signed word.

mod control;
mod keys;
mod logout;
mod server;
mod status;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use self::server::Limits;
pub use self::{
    control::{Control, Controls},
    keys::MAX_AGE as KEYS_MAX_AGE,
};
use crate::{
    audit::Auditor,
    clock::Clock,
    lifecycle::{Drain, Readiness},
    reload::Published,
    telemetry::Registry,
};

/// Where the admin listener looks.
#[derive(Debug)]
pub struct Sources {
    pub readiness: Readiness,
    pub published: Arc<Published>,
    pub auditor: Auditor,
    pub registry: Registry,
    pub clock: Clock,
}

/// A bound admin listener.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    sources: Arc<Sources>,
}

// === impl Admin ===

impl Admin {
    #[must_use]
    pub fn new(listener: TcpListener, sources: Sources) -> Self {
        Self { listener, sources: Arc::new(sources) }
    }

    /// # Errors
    /// The system's, where the socket has no address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `drain` begins and the last answer is out. Connections are few and short, so that nobody who reaches the port can take the
    /// descriptors that checks need.
    ///
    /// # Errors
    /// None yet; a connection that cannot be accepted is none, since files run out and come back.
    pub async fn serve(self, drain: Drain) -> io::Result<()> {
        let router = Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .route("/status", get(status))
            .with_state(Arc::clone(&self.sources))
            .merge(keys::router(Arc::clone(&self.sources)))
            .merge(logout::router(self.sources));
        server::serve(self.listener, router, Limits::ADMIN, drain).await;
        Ok(())
    }
}

async fn ready(State(sources): State<Arc<Sources>>) -> Response {
    if sources.readiness.is_ready() { "ready\n".into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response() }
}

async fn metrics(State(sources): State<Arc<Sources>>) -> Response {
    sources.published.snapshot().broker.gauge();
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &sources.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics cannot be written: {error}\n")).into_response(),
    }
}

async fn status(State(sources): State<Arc<Sources>>) -> Response {
    match serde_json::to_string_pretty(&status::tell(&sources)) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("the status cannot be written: {error}\n")).into_response(),
    }
}
