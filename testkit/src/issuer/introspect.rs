//! The introspection endpoint (RFC 7662): what it says of tokens, whom it believes, how it fails.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::{Fault, Issuer, Shared, TokenSpec, failing, json_answer, lock};
use crate::clock;

/// As whom the endpoint must be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCheck {
    /// Whoever asks is answered.
    #[default]
    Anyone,
    /// `client_secret_basic`.
    Basic { id: String, secret: String },
    /// `client_secret_post`.
    Post { id: String, secret: String },
    /// `private_key_jwt` with ES256; the point of the public key, uncompressed. Each assertion counts once.
    Key { id: String, point: Vec<u8> },
}

#[derive(Debug, Default)]
pub(super) struct Introspection {
    /// The claims of opaque tokens.
    opaque: HashMap<String, Map<String, Value>>,
    ended: HashSet<String>,
    fault: Option<Fault>,
    pause: Duration,
    client: ClientCheck,
    assertions: HashSet<String>,
    asked: usize,
    refused: usize,
}

// === impl Issuer ===

impl Issuer {
    /// An opaque token: what `spec` describes is known to the endpoint alone.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn opaque_token(&self, spec: &TokenSpec) -> io::Result<String> {
        let mut shared = self.lock();
        let claims = spec.all_claims(&shared.url)?;
        let mut id = [0; 24];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| io::Error::other("no randomness"))?;
        let token = format!("opaque.{}", URL_SAFE_NO_PAD.encode(id));
        shared.introspection.opaque.insert(token.clone(), claims);
        Ok(token)
    }

    /// Ends a token, signed or not: from now on it is not active.
    pub fn end(&self, token: &str) {
        self.lock().introspection.ended.insert(token.to_owned());
    }

    /// Fails from now on, at the endpoint alone, as told; `None` mends it.
    pub fn set_introspection_fault(&self, fault: Option<Fault>) {
        self.lock().introspection.fault = fault;
    }

    /// Takes this long for each answer.
    pub fn set_introspection_pause(&self, pause: Duration) {
        self.lock().introspection.pause = pause;
    }

    /// Answers only whoever proves to be this client.
    pub fn expect_client(&self, client: ClientCheck) {
        self.lock().introspection.client = client;
    }

    /// How often the endpoint was asked.
    #[must_use]
    pub fn introspections(&self) -> usize {
        self.lock().introspection.asked
    }

    /// How often it was asked by somebody who did not prove to be the client.
    #[must_use]
    pub fn refused_clients(&self) -> usize {
        self.lock().introspection.refused
    }
}

pub(super) async fn introspect(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, body: String) -> Response {
    let (fault, pause, answer) = {
        let mut shared = lock(&shared);
        let url = shared.url.clone();
        let introspection = &mut shared.introspection;
        introspection.asked += 1;
        let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let believed = introspection.believes(&url, &headers, &form);
        introspection.refused += usize::from(!believed);
        (introspection.fault, introspection.pause, believed.then(|| introspection.say(field(&form, "token"))))
    };
    tokio::time::sleep(pause).await;
    if let Some(failed) = failing(fault).await {
        return failed;
    }
    answer.map_or_else(|| StatusCode::UNAUTHORIZED.into_response(), |answer| json_answer(&answer))
}

// === impl Introspection ===

impl Introspection {
    /// What is said of a token: nothing but that it is not active, where it is not (RFC 7662 §2.2).
    fn say(&self, token: &str) -> Value {
        let signed = || {
            let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
            serde_json::from_slice::<Map<String, Value>>(&payload).ok()
        };
        let claims = self.opaque.get(token).cloned().or_else(signed).filter(|_| !self.ended.contains(token));
        let alive = |claims: &Map<String, Value>| claims.get("exp").and_then(Value::as_i64).is_none_or(|exp| exp > clock::now_s());
        let Some(mut claims) = claims.filter(alive) else { return json!({ "active": false }) };
        if let Some(client) = claims.remove("azp") {
            claims.insert("client_id".to_owned(), client);
        }
        claims.insert("active".to_owned(), true.into());
        let bound = claims.get("cnf").is_some_and(|cnf| cnf.get("jkt").is_some());
        claims.insert("token_type".to_owned(), if bound { "DPoP" } else { "Bearer" }.into());
        Value::Object(claims)
    }

    fn believes(&mut self, url: &str, headers: &HeaderMap, form: &[(String, String)]) -> bool {
        match &self.client {
            ClientCheck::Anyone => true,
            ClientCheck::Basic { id, secret } => {
                let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let wanted = format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))));
                headers.get(http::header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == wanted.as_bytes())
            }
            ClientCheck::Post { id, secret } => field(form, "client_id") == id && field(form, "client_secret") == secret,
            ClientCheck::Key { id, point } => {
                let (assertion, key) = (field(form, "client_assertion"), jsonwebtoken::DecodingKey::from_ec_der(point));
                let Some((signed, signature)) = assertion.rsplit_once('.') else { return false };
                let good = jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, jsonwebtoken::Algorithm::ES256).unwrap_or(false);
                let claims = signed.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
                let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
                let says = |name: &str, wanted: &str| claims.get(name).and_then(Value::as_str) == Some(wanted);
                let alive = claims.get("exp").and_then(Value::as_i64).is_some_and(|exp| (1..=120).contains(&(exp - clock::now_s())));
                let named = says("iss", id) && says("sub", id) && says("aud", url);
                let kind = field(form, "client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let once = claims.get("jti").and_then(Value::as_str).is_some_and(|jti| self.assertions.insert(jti.to_owned()));
                good && alive && named && kind && once
            }
        }
    }
}

fn field<'f>(form: &'f [(String, String)], name: &str) -> &'f str {
    form.iter().find(|(have, _)| have == name).map_or("", |(_, value)| value)
}
