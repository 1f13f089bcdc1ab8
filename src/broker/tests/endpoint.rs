//! A token endpoint of Databricks, as its documents say that it behaves: it believes one issuer's assertions, and what it gives out ends with them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{clock::Clock, net::Endpoint, signer::KeySet};

/// What it does in place of giving out a token.
#[derive(Clone, Debug, Default)]
pub(super) enum Mood {
    #[default]
    Well,
    /// It answers so much later.
    Slow(Duration),
    /// It answers with this status, body and `Retry-After`.
    Says(u16, String, Option<u32>),
    /// It gives back what it was sent as the token.
    Returns,
}

/// One that runs until it is dropped.
pub(super) struct TokenEndpoint {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

pub(super) struct Shared {
    clock: Clock,
    keys: Mutex<Option<Value>>,
    mood: Mutex<Mood>,
    /// The longest that a token lives, in seconds.
    longest: Mutex<i64>,
    orders: Mutex<Vec<HashMap<String, String>>>,
    /// When each token that was given out ends, in seconds since the epoch.
    given: Mutex<HashMap<String, i64>>,
}

pub(super) const AUDIENCE: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
pub(super) const ISSUER: &str = "https://lakegate.example.com";

impl TokenEndpoint {
    pub(super) async fn start(clock: &Clock, keys: Option<&KeySet>) -> Self {
        let shared = Shared {
            clock: clock.clone(),
            keys: Mutex::new(keys.map(KeySet::document)),
            mood: Mutex::default(),
            longest: Mutex::new(3600),
            orders: Mutex::default(),
            given: Mutex::default(),
        };
        let mut new = Self { address: ([127, 0, 0, 1], 0).into(), shared: Arc::new(shared), task: None };
        new.open().await;
        new
    }

    /// Listens, on the same port as before.
    pub(super) async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let router = Router::new().route("/oidc/v1/token", post(token)).with_state(Arc::clone(&self.shared));
        self.task = Some(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
    }

    /// Listens no more.
    pub(super) async fn close(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    pub(super) fn url(&self) -> Endpoint {
        Endpoint::parse(&format!("http://{}/oidc/v1/token", self.address)).unwrap()
    }

    pub(super) fn be(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    pub(super) fn live_at_most(&self, seconds: i64) {
        *self.shared.longest.lock().unwrap() = seconds;
    }

    /// The forms that came, oldest first.
    pub(super) fn orders(&self) -> Vec<HashMap<String, String>> {
        self.shared.orders.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.shared.orders.lock().unwrap().len()
    }

    /// Seconds that the token in this value of `authorization` still has; `None` of one that was never given out.
    pub(super) fn left(&self, authorization: &[u8]) -> Option<i64> {
        let token = std::str::from_utf8(authorization).unwrap().strip_prefix("Bearer ")?;
        self.shared.given.lock().unwrap().get(token).map(|end| end - self.shared.clock.now())
    }
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let form: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    shared.orders.lock().unwrap().push(form.clone());
    let mood = shared.mood.lock().unwrap().clone();
    match mood {
        Mood::Well => {}
        Mood::Slow(time) => tokio::time::sleep(time).await,
        Mood::Returns => {
            return json!({ "access_token": form["subject_token"], "token_type": "Bearer", "expires_in": 3600 }).to_string().into_response();
        }
        Mood::Says(status, body, retry_after) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "application/json")], body).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            return response;
        }
    }
    match shared.give(&form, &headers) {
        Ok(body) => body.to_string().into_response(),
        Err(description) => {
            (StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant", "error_description": description }).to_string()).into_response()
        }
    }
}

impl Shared {
    fn give(&self, form: &HashMap<String, String>, headers: &HeaderMap) -> Result<Value, String> {
        let field = |name: &str| form.get(name).map(String::as_str);
        let now = self.clock.now();
        let mut end = now + *self.longest.lock().unwrap();
        match field("grant_type") {
            Some("client_credentials") if headers.contains_key(header::AUTHORIZATION) => {}
            Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
                let keys = self.keys.lock().unwrap().clone();
                if let Some(keys) = keys {
                    let claims = verified(field("subject_token").ok_or("no subject_token")?, keys)?;
                    let expires = claims["exp"].as_i64().ok_or("no exp")?;
                    if expires <= now || claims["iat"].as_i64().is_none_or(|issued| issued > now + 30) {
                        return Err("the assertion is not of now".to_owned());
                    }
                    end = end.min(expires);
                }
                if field("subject_token_type") != Some("urn:ietf:params:oauth:token-type:jwt") {
                    return Err("subject_token_type".to_owned());
                }
            }
            _ => return Err("grant_type".to_owned()),
        }
        let token = format!("dbx-{}", self.orders.lock().unwrap().len());
        self.given.lock().unwrap().insert(token.clone(), end);
        Ok(json!({ "access_token": token, "token_type": "Bearer", "expires_in": end - now, "scope": field("scope"), "refresh_token": "never" }))
    }
}

/// The claims of an assertion of the one issuer that is believed.
pub(super) fn verified(token: &str, keys: Value) -> Result<Value, String> {
    let keys: JwkSet = serde_json::from_value(keys).map_err(|error| error.to_string())?;
    let head = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let key = keys.find(&head.kid.ok_or("no kid")?).ok_or("no such key")?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_exp = false;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    jsonwebtoken::decode::<Value>(token, &key, &validation).map(|data| data.claims).map_err(|error| error.to_string())
}
