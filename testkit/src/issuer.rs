//! An `OpenID` Connect issuer: discovery, key set, rotation, faults, and tokens of any shape, honest or not.

mod introspect;
mod key;
mod token;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::server::Server;
pub use introspect::ClientCheck;
use introspect::Introspection;
use key::Key;
pub use token::{Signature, TokenSpec};

/// A running issuer on a loopback port; it stops when dropped.
#[derive(Debug)]
pub struct Issuer {
    name: String,
    url: String,
    shared: Arc<Mutex<Shared>>,
    _server: Server,
}

/// How an issuer fails, for as long as it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every answer is a 503.
    Unavailable,
    /// No answer for a minute: longer than anybody should wait.
    Hang,
    /// The answer comes 400 ms late: later than a check of keys that are there takes, and sooner than anybody stops waiting.
    Slow,
    /// 200 with something that is not JSON.
    Garbage,
    /// 200 with a key set of 8 MiB.
    Oversize,
    /// Discovery names another issuer than the one asked (RFC 8414 §3.3 has clients refuse it).
    WrongIssuer,
    /// A key set without keys.
    NoKeys,
}

/// What becomes of the keys published before a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldKeys {
    Keep,
    Withdraw,
}

#[derive(Debug)]
struct Shared {
    name: String,
    url: String,
    /// The published keys; the last one signs.
    keys: Vec<Key>,
    made: usize,
    fault: Option<Fault>,
    fetches: usize,
    introspection: Introspection,
}

// === impl Issuer ===

impl Issuer {
    /// Starts an issuer with one key; `name` becomes part of its URL and of its key ids.
    ///
    /// # Errors
    /// When no port can be bound or no key generated.
    pub async fn start(name: &str) -> io::Result<Self> {
        let (listener, address) = Server::bind().await?;
        let url = format!("http://{address}/realms/{name}");
        let mut shared = Shared {
            name: name.to_owned(),
            url: url.clone(),
            keys: Vec::new(),
            made: 0,
            fault: None,
            fetches: 0,
            introspection: Introspection::default(),
        };
        shared.add_key()?;
        let shared = Arc::new(Mutex::new(shared));
        let router = Router::new()
            .route(&format!("/realms/{name}/.well-known/openid-configuration"), get(discovery))
            .route(&format!("/realms/{name}/certs"), get(certs))
            .route(&format!("/realms/{name}/introspect"), post(introspect::introspect))
            .with_state(Arc::clone(&shared));
        Ok(Self { name: name.to_owned(), url, shared, _server: Server::serve(listener, address, router) })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The issuer identifier: what stands in `iss`, and below which discovery is found.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The id of the key that signs now.
    #[must_use]
    pub fn kid(&self) -> String {
        self.lock().keys.last().map(|key| key.kid.clone()).unwrap_or_default()
    }

    /// The key set as it is published, for a `jwks_file`.
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.lock().jwks()
    }

    /// Makes a new key, which signs from now on.
    ///
    /// # Errors
    /// When no key can be generated.
    pub fn rotate(&self, old: OldKeys) -> io::Result<()> {
        let mut shared = self.lock();
        if old == OldKeys::Withdraw {
            shared.keys.clear();
        }
        shared.add_key()
    }

    /// Fails from now on as told; `None` mends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    /// How often the key set was asked for.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.lock().fetches
    }

    /// The token that `spec` describes: by default a good one for alice, an ML engineer, for ten minutes.
    ///
    /// # Errors
    /// When the signature cannot be made.
    pub fn token(&self, spec: &TokenSpec) -> io::Result<String> {
        let shared = self.lock();
        let key = shared.keys.last().ok_or_else(|| io::Error::other("the issuer has no key"))?;
        spec.mint(&self.url, key)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

// === impl Shared ===

impl Shared {
    fn add_key(&mut self) -> io::Result<()> {
        self.made += 1;
        let kid = format!("{}-{}", self.name, self.made);
        self.keys.push(Key::generate(kid)?);
        Ok(())
    }

    fn jwks(&self) -> Value {
        json!({ "keys": self.keys.iter().map(Key::public_jwk).collect::<Vec<_>>() })
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn discovery(State(shared): State<Arc<Mutex<Shared>>>) -> Response {
    let (fault, url) = {
        let shared = lock(&shared);
        (shared.fault, shared.url.clone())
    };
    let issuer = if fault == Some(Fault::WrongIssuer) { format!("{url}-other") } else { url.clone() };
    let document = json!({
        "issuer": issuer,
        "jwks_uri": format!("{url}/certs"),
        "authorization_endpoint": format!("{url}/auth"),
        "token_endpoint": format!("{url}/token"),
        "introspection_endpoint": format!("{url}/introspect"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    failing(fault).await.unwrap_or_else(|| json_answer(&document))
}

async fn certs(State(shared): State<Arc<Mutex<Shared>>>) -> Response {
    let (fault, jwks) = {
        let mut shared = lock(&shared);
        shared.fetches += 1;
        (shared.fault, shared.jwks())
    };
    match fault {
        Some(Fault::NoKeys) => json_answer(&json!({ "keys": [] })),
        Some(Fault::Oversize) => json_answer(&json!({ "keys": [], "padding": "x".repeat(8 << 20) })),
        _ => failing(fault).await.unwrap_or_else(|| json_answer(&jwks)),
    }
}

/// The answer of a fault that concerns every document.
async fn failing(fault: Option<Fault>) -> Option<Response> {
    match fault? {
        Fault::Unavailable => Some(StatusCode::SERVICE_UNAVAILABLE.into_response()),
        Fault::Hang => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            Some(StatusCode::GATEWAY_TIMEOUT.into_response())
        }
        Fault::Slow => {
            tokio::time::sleep(Duration::from_millis(400)).await;
            None
        }
        Fault::Garbage => Some("<html>sign in</html>".into_response()),
        Fault::Oversize | Fault::WrongIssuer | Fault::NoKeys => None,
    }
}

fn json_answer(document: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}

#[cfg(test)]
mod tests;
