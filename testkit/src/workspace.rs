//! What stands for Databricks: a dozen endpoints that answer in its shapes, and a memory of all that reached it.
//!
//! It believes every credential: deciding is lakegate's part, and a workspace in `strip` mode gets none.

mod answers;
mod token;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};

use crate::server::Server;
use answers::Answer;
use token::Tokens;
pub use token::{Exchange, FederationPolicy, ServicePrincipal, TokenFault};

/// More than any test sends; what is longer is remembered cut.
const BODY_LIMIT: usize = 64 << 20;

/// A running stand-in workspace; it stops when dropped.
#[derive(Debug)]
pub struct Workspace {
    shared: Arc<Mutex<Shared>>,
    server: Server,
}

/// A request as it reached the workspace.
#[derive(Clone, Debug)]
pub struct Reached {
    pub method: String,
    /// Path and query as they stood on the wire.
    pub target: String,
    /// In order, names in lower case, duplicates kept.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Bytes,
}

#[derive(Debug, Default)]
struct Shared {
    reached: Vec<Reached>,
    tokens: Tokens,
    agree: bool,
}

// === impl Workspace ===

impl Workspace {
    /// Starts it on a free loopback port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        let (listener, address) = Server::bind().await?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        Ok(Self { shared, server: Server::serve(listener, address, router) })
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// All that reached it, oldest first; requests to the token endpoint are `exchanges` instead.
    #[must_use]
    pub fn reached(&self) -> Vec<Reached> {
        lock(&self.shared).reached.clone()
    }

    /// How many requests reached it: to be compared before and after a call.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.shared).reached.len()
    }

    /// Answers from now on every request that it does not know with an empty object, so that a client goes on where it would stop at a 404.
    pub fn agree(&self) {
        lock(&self.shared).agree = true;
    }
}

// === impl Reached ===

impl Reached {
    /// Every value of a header.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        self.headers.iter().filter(|(have, _)| have == name).map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The value of a header that is there exactly once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.values(name);
        if values.len() == 1 { values.pop() } else { None }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let target = head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string);
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let reached = Reached { method: head.method.to_string(), target, headers, body };
    if reached.method == "POST" && token::is_endpoint(head.uri.path()) {
        return token::answer(&shared, &reached).await;
    }
    let answer = {
        let mut shared = lock(&shared);
        let answer = if shared.agree { Answer::agreeing(&reached) } else { Answer::to(&reached) };
        shared.reached.push(reached);
        answer
    };
    answer.into_response()
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        if self.status == StatusCode::SWITCHING_PROTOCOLS {
            // nothing is ever said on the connection: what follows the switch is no one's business here
            return (self.status, [("connection", "upgrade"), ("upgrade", "websocket"), ("x-reached", "workspace")]).into_response();
        }
        let mut response = self.body.to_string().into_response();
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("server", HeaderValue::from_static("databricks"));
        // the mark by which a test knows that the answer is the workspace's and not the mesh's
        headers.insert("x-reached", HeaderValue::from_static("workspace"));
        headers.insert("x-databricks-org-id", HeaderValue::from_static(answers::ORG_ID));
        response
    }
}

#[cfg(test)]
mod tests;
