//! What shows callers or changes state: HTTP with JSON over a Unix socket, for root and the user that lakegate runs as.

mod explain;
mod grants;
mod policies;
mod revocations;
mod socket;

use std::{io, path::Path, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Serialize;
use tokio::time::timeout;

use self::socket::{Client, Socket};
use super::server::{self, Limits};
use crate::{
    clock::Clock,
    lifecycle::Drain,
    reload::{Published, Reloaded, Trigger},
};

/// Where the control listener looks, and what it can have done.
#[derive(Debug)]
pub struct Controls {
    pub published: Arc<Published>,
    pub trigger: Trigger,
    pub clock: Clock,
}

/// A bound control listener; its socket is removed when it is dropped or has ended.
#[derive(Debug)]
pub struct Control {
    socket: Socket,
    controls: Arc<Controls>,
}

/// A request that cannot be answered, as JSON: `{"error": …}`.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    message: String,
}

/// How long a reload is waited for: not as long as a connection may live, so that there is an answer.
const PATIENCE: Duration = Duration::from_mins(4);

// === impl Control ===

impl Control {
    /// # Errors
    /// The system's, and what is in the way of the socket at `path`.
    pub fn bind(path: &Path, controls: Controls) -> io::Result<Self> {
        Ok(Self { socket: Socket::bind(path)?, controls: Arc::new(controls) })
    }

    /// Serves until `drain` begins and the last answer is out.
    pub async fn serve(self, drain: Drain) {
        let router = Router::new()
            .route("/v1/policies", get(policies::list))
            .route("/v1/policies/{id}", get(policies::one))
            .route("/v1/grants", get(grants::list))
            .route("/v1/reload", post(reload))
            .route("/v1/explain", post(explain::explain))
            .route("/v1/revocations", get(revocations::list).post(revocations::make))
            .route("/v1/revocations/{id}", delete(revocations::lift))
            .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is no such path; see docs/operations.md"))
            .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the path does not take this method"))
            .with_state(self.controls);
        server::serve(self.socket, router, Limits::CONTROL, drain).await;
    }
}

async fn reload(State(controls): State<Arc<Controls>>, Extension(client): Extension<Client>) -> Result<Response, Problem> {
    let (uid, pid) = (client.uid, client.pid);
    tracing::info!(uid, pid, "a reload is asked for on the control socket");
    let reloaded = reloaded(&controls.trigger, PATIENCE).await?;
    let (generation, changed, degraded) = (reloaded.status.generation, reloaded.changed, reloaded.status.degraded);
    tracing::info!(uid, pid, generation, changed, degraded, "the files were read again as asked for on the control socket");
    let status = if degraded { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, json(&*reloaded)).into_response())
}

async fn reloaded(trigger: &Trigger, patience: Duration) -> Result<Arc<Reloaded>, Problem> {
    let late = "the files are still being read after four minutes; the reload goes on, and /status on the admin port will say what comes of it";
    let reloaded = timeout(patience, trigger.reload()).await.map_err(|_| Problem::new(StatusCode::GATEWAY_TIMEOUT, late))?;
    reloaded.ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "lakegate stops, or too many reloads are waited for; ask again"))
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("the answer cannot be written: {error}\n")).into_response(),
    }
}

// === impl Problem ===

impl Problem {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, json(&serde_json::json!({ "error": self.message }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reload;

    #[tokio::test]
    async fn a_reload_that_does_not_end_is_answered() {
        let (trigger, requests) = reload::requests();
        let late = reloaded(&trigger, Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(late.status, StatusCode::GATEWAY_TIMEOUT);
        assert!(PATIENCE < Limits::CONTROL.life, "the connection is still there");
        drop(requests);
        assert_eq!(reloaded(&trigger, PATIENCE).await.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
