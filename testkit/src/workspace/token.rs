//! Where the workspace gives out its tokens (RFC 8693; RFC 6749, section 4.4), as far as is known of the real one: the form, federation policies, what it answers,
//! and the ways in which it fails. Its exact words of a refusal are not known.
//!
//! Until a policy or a client is entered it believes everybody, and answers with an opaque token.

mod federation;
mod form;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::{Value, json};

use super::{Reached, Shared, Workspace, answers, lock};
use crate::clock;
pub use federation::{FederationPolicy, ServicePrincipal};

/// A request to the token endpoint, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Its form, decoded, in order.
    pub form: Vec<(String, String)>,
    pub authorization: Option<String>,
    /// What it was answered with; 0 where the connection was closed.
    pub status: u16,
    /// The `error` that it was answered with.
    pub error: Option<String>,
    /// As whom the workspace will know who brings the token.
    pub principal: Option<String>,
    /// The token that was given out.
    pub token: Option<String>,
}

/// How the token endpoint fails, for as long as it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// The answer comes so much later.
    Slow(Duration),
    /// The connection is closed without an answer.
    Down,
    /// Every answer has this status and no body of use; with `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// Every answer is this OAuth error: status, `error` and `error_description`.
    Error(u16, &'static str, &'static str),
    /// Every answer is a redirect to a page where people sign in.
    Redirect,
    /// 200 with a page for people.
    Html,
    /// 200 with what is not JSON.
    Garbage,
    /// 200 with a token that is not for this workspace.
    WrongAudience,
    /// 200 with a token that has ended.
    Expired,
    /// 200 with a token that lives so many seconds.
    ShortLived(i64),
}

/// What the token endpoint goes by.
#[derive(Debug)]
pub(super) struct Tokens {
    policies: Vec<FederationPolicy>,
    /// Secrets by the application id of a service principal.
    clients: HashMap<String, String>,
    /// Who is in the account; `None` for everybody.
    principals: Option<Vec<String>>,
    /// The scopes that are given; `None` for every one.
    scopes: Option<Vec<String>>,
    audience: String,
    lifetime: i64,
    /// How far its clock is from the real one, in seconds.
    clock: i64,
    refuse: bool,
    fault: Option<TokenFault>,
    exchanges: Vec<Exchange>,
}

/// A refusal in the form of RFC 6749, section 5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    status: u16,
    code: &'static str,
    description: String,
}

/// Who has proved to be whom, and until when, in seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Proved {
    principal: String,
    until: i64,
}

// === impl Workspace ===

impl Workspace {
    /// Where tokens are exchanged.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        format!("http://{}/oidc/v1/token", self.server.address())
    }

    /// The token requests so far, oldest first.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.shared).tokens.exchanges.clone()
    }

    /// Enters a federation policy in place of one of the same issuer and service principal. From now on only what a policy holds for is exchanged.
    pub fn federate(&self, policy: FederationPolicy) {
        let tokens = &mut lock(&self.shared).tokens;
        tokens.policies.retain(|known| (&known.issuer, &known.service_principal) != (&policy.issuer, &policy.service_principal));
        tokens.policies.push(policy);
    }

    /// Enters the secret of a service principal, for `client_credentials`.
    pub fn register_client(&self, application_id: &str, secret: &str) {
        lock(&self.shared).tokens.clients.insert(application_id.to_owned(), secret.to_owned());
    }

    /// Says who is in the account: nobody else has a token from now on.
    pub fn admit(&self, principals: &[&str]) {
        lock(&self.shared).tokens.principals = Some(principals.iter().map(|name| (*name).to_owned()).collect());
    }

    /// Gives no other scopes from now on.
    pub fn allow_scopes(&self, scopes: &[&str]) {
        lock(&self.shared).tokens.scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
    }

    /// What its tokens name as their audience; the workspace id unless set.
    pub fn set_token_audience(&self, audience: &str) {
        audience.clone_into(&mut lock(&self.shared).tokens.audience);
    }

    /// How long its tokens live at most, in seconds; an hour unless set, and never longer than what they were exchanged for.
    pub fn set_token_lifetime(&self, seconds: i64) {
        lock(&self.shared).tokens.lifetime = seconds;
    }

    /// Moves its clock by so many seconds from the real time: that by which it judges and dates tokens, and its `Date` header.
    pub fn move_token_clock(&self, seconds: i64) {
        lock(&self.shared).tokens.clock = seconds;
    }

    /// Refuses token requests from now on, as where no federation policy matches.
    pub fn refuse_exchanges(&self, refuse: bool) {
        lock(&self.shared).tokens.refuse = refuse;
    }

    /// Fails from now on as told; `None` mends it.
    pub fn set_token_fault(&self, fault: Option<TokenFault>) {
        lock(&self.shared).tokens.fault = fault;
    }

    /// As whom the workspace knows who brings this token; `None` of one that it has not given out.
    #[must_use]
    pub fn principal_of(&self, token: &str) -> Option<String> {
        let shared = lock(&self.shared);
        let exchange = shared.tokens.exchanges.iter().find(|exchange| exchange.token.as_deref() == Some(token));
        exchange.and_then(|exchange| exchange.principal.clone())
    }
}

// === impl Exchange ===

impl Exchange {
    /// The value of a form field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

// === impl Tokens ===

impl Default for Tokens {
    fn default() -> Self {
        Self {
            policies: Vec::new(),
            clients: HashMap::new(),
            principals: None,
            scopes: None,
            audience: answers::ORG_ID.to_owned(),
            lifetime: 3600,
            clock: 0,
            refuse: false,
            fault: None,
            exchanges: Vec::new(),
        }
    }
}

impl Tokens {
    fn now(&self) -> i64 {
        clock::now_s() + self.clock
    }

    fn believes_everybody(&self) -> bool {
        self.policies.is_empty() && self.clients.is_empty()
    }

    /// Status and body for a request, and what is remembered of it.
    fn decide(&self, exchange: &mut Exchange, content_type: Option<&str>) -> (u16, Value) {
        let proved = match self.prove(exchange, content_type) {
            Ok(proved) => proved,
            Err(Refused { status, code, description }) => {
                exchange.error = Some(code.to_owned());
                return (status, json!({ "error": code, "error_description": description }));
            }
        };
        let now = self.now();
        let lifetime = match self.fault {
            Some(TokenFault::ShortLived(seconds)) => seconds,
            Some(TokenFault::Expired) => -60,
            _ => self.lifetime.min(proved.until - now),
        };
        let scope = exchange.field("scope").unwrap_or("all-apis").to_owned();
        let audience = if self.fault == Some(TokenFault::WrongAudience) { "9999999999999999" } else { &self.audience };
        let opaque = self.believes_everybody() && !matches!(self.fault, Some(TokenFault::WrongAudience | TokenFault::Expired));
        let token = if opaque {
            // the same subject token gets the same one
            format!("dbx-{}", digest(exchange.field("subject_token").unwrap_or_default()))
        } else {
            let claims = json!({
                "iss": "https://stage.cloud.databricks.com/oidc", "aud": audience, "sub": proved.principal, "scope": scope,
                "iat": now, "exp": now + lifetime, "jti": format!("{}-{}", self.exchanges.len(), digest(&proved.principal)),
            });
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            format!("{}.{}.{}", part(&json!({ "alg": "RS256", "typ": "at+jwt" })), part(&claims), digest(&claims.to_string()))
        };
        // A clock that is wrong on its own side does not make it say of itself that its token has ended.
        let told = if self.fault == Some(TokenFault::Expired) { 3600 } else { lifetime };
        let answer = json!({ "access_token": token, "token_type": "Bearer", "expires_in": told, "scope": scope });
        (exchange.principal, exchange.token) = (Some(proved.principal), Some(token));
        (200, answer)
    }

    fn prove(&self, exchange: &Exchange, content_type: Option<&str>) -> Result<Proved, Refused> {
        if self.refuse {
            return Err(Refused::access("no federation policy matches"));
        }
        if self.believes_everybody() {
            return Ok(Proved { principal: exchange.field("client_id").unwrap_or("somebody").to_owned(), until: i64::MAX });
        }
        let asked = form::Asked::of(exchange, content_type)?;
        if let Some(scopes) = &self.scopes
            && let Some(scope) = asked.scope.split(' ').find(|scope| !scopes.iter().any(|known| known == scope))
        {
            return Err(Refused::of(400, "invalid_scope", format!("scope '{scope}' is not assigned")));
        }
        let proved = match asked.proof {
            form::Proof::Secret { client_id, secret } => federation::client(&self.clients, &client_id, &secret)?,
            form::Proof::Assertion { token, client_id } => federation::federated(&self.policies, token, client_id, self.now())?,
        };
        let known = self.principals.as_ref().is_none_or(|known| known.contains(&proved.principal));
        if known { Ok(proved) } else { Err(Refused::access("no user or service principal of this name")) }
    }
}

// === impl Refused ===

impl Refused {
    fn of(status: u16, code: &'static str, description: impl Into<String>) -> Self {
        Self { status, code, description: description.into() }
    }

    fn request(description: impl Into<String>) -> Self {
        Self::of(400, "invalid_request", description)
    }

    fn grant(description: impl Into<String>) -> Self {
        Self::of(400, "invalid_grant", description)
    }

    fn access(description: impl Into<String>) -> Self {
        Self::of(400, "access_denied", description)
    }
}

/// Whether this is one of the paths at which tokens are given out: of a workspace, or of an account.
pub(super) fn is_endpoint(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    matches!(segments.as_slice(), ["oidc", "v1", "token"] | ["oidc", "accounts", _, "v1", "token"])
}

pub(super) async fn answer(shared: &Mutex<Shared>, request: &Reached) -> Response {
    let fault = lock(shared).tokens.fault.clone();
    if let Some(TokenFault::Slow(pause)) = fault {
        tokio::time::sleep(pause).await;
    }
    let mut exchange = Exchange { form: form::fields(&request.body), authorization: request.header("authorization"), ..Exchange::default() };
    let mut shared = lock(shared);
    let tokens = &mut shared.tokens;
    let mut response = match fault {
        Some(TokenFault::Down) => {
            tokens.exchanges.push(exchange);
            drop(shared);
            // without a word of the panic hook; the connection ends with its task
            std::panic::resume_unwind(Box::new("the token endpoint is down"));
        }
        Some(TokenFault::Status(status, retry_after)) => failing(status, retry_after),
        Some(TokenFault::Error(status, code, description)) => {
            exchange.error = Some(code.to_owned());
            with(status, "application/json", json!({ "error": code, "error_description": description }).to_string())
        }
        Some(TokenFault::Redirect) => {
            let mut response = failing(302, None);
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("https://stage.cloud.databricks.com/login.html"));
            response
        }
        Some(TokenFault::Html) => with(200, "text/html; charset=utf-8", "<!doctype html><title>Sign in</title>".to_owned()),
        Some(TokenFault::Garbage) => with(200, "application/json", "{\"access_token\":".to_owned()),
        _ => {
            let content_type = request.header("content-type");
            let (status, body) = tokens.decide(&mut exchange, content_type.as_deref());
            with(status, "application/json", body.to_string())
        }
    };
    exchange.status = response.status().as_u16();
    if let Some(date) = date(tokens.now()) {
        response.headers_mut().insert(header::DATE, date);
    }
    tokens.exchanges.push(exchange);
    response
}

fn with(status: u16, content_type: &'static str, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

fn failing(status: u16, retry_after: Option<u64>) -> Response {
    let mut response = with(status, "text/plain", String::new());
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn date(now: i64) -> Option<HeaderValue> {
    let text = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::from_second(now).ok()?).ok()?;
    HeaderValue::from_str(&text).ok()
}

fn digest(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(digest).chars().take(24).collect()
}

#[cfg(test)]
mod tests;
