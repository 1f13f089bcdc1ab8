//! Where issuers send logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.5). Nobody is asked who they are: the token is signed.
//!
//! An issuer need not send one again, so that a good one is never refused for what others send: it waits instead. What is no logout token of the issuer by
//! its claims is out of the way before it could be waited for, and what only a fetch of keys can tell to be none waits beside the others.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
    routing::post,
};
use tokio::{sync::Semaphore, time::timeout};

use super::{Sources, server::Hold};
use crate::{
    authn::{Authenticator, LogoutError},
    text::quoted,
};

/// What the endpoint needs and may cost.
#[derive(Debug)]
struct Door {
    sources: Arc<Sources>,
    /// Tokens whose signature is checked, or that are written to disk, at one time.
    places: Semaphore,
    /// Requests whose connection stays while their token waits: with keys that are known, and with others.
    kept: Semaphore,
    kept_strangers: Semaphore,
    failures: Mutex<Failures>,
}

/// How many were no good within a second.
#[derive(Debug, Default)]
struct Failures {
    second: i64,
    count: u32,
}

/// Why a request is refused, as section 2.8 has it.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    error: &'static str,
    description: String,
}

/// Bytes of a request's body.
const LONGEST: usize = 64 << 10;
const PLACES: usize = 8;
/// How long a token waits for one of them: long enough for hundreds of others to be written, and less than most senders wait.
const PATIENCE: Duration = Duration::from_secs(10);
const KEPT: usize = 512;
/// Fewer, since anyone can make up the name of a key.
const KEPT_STRANGERS: usize = 128;
const BUSY: &str = "too many at a time";
/// Tokens of one second that are told, and logged, why they are no good. Only those that are no good count.
const MOST: u32 = 100;

pub(super) fn router(sources: Arc<Sources>) -> Router {
    let [places, kept, kept_strangers] = [PLACES, KEPT, KEPT_STRANGERS].map(Semaphore::new);
    let door = Door { sources, places, kept, kept_strangers, failures: Mutex::default() };
    Router::new().route("/v1/logout/{issuer}", post(logout)).with_state(Arc::new(door))
}

async fn logout(
    State(door): State<Arc<Door>>,
    Extension(hold): Extension<Hold>,
    issuer: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(Path(issuer)) = issuer else { return Refused::invalid("the name in the path cannot be read").into_response() };
    match door.take(&issuer, &hold, &headers, body).await {
        Ok(id) => {
            tracing::info!(issuer = quoted(&issuer), id, "a session ended, as its issuer says");
            (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response()
        }
        Err(refused) if refused.status.is_client_error() && !door.may_fail() => Refused::busy(StatusCode::TOO_MANY_REQUESTS).into_response(),
        Err(refused) => {
            tracing::warn!(
                issuer = quoted(&issuer),
                status = refused.status.as_u16(),
                description = refused.description,
                "a logout token is refused"
            );
            refused.into_response()
        }
    }
}

// === impl Door ===

impl Door {
    /// The id of the revocation that was made.
    async fn take(&self, issuer: &str, hold: &Hold, headers: &HeaderMap, body: Body) -> Result<String, Refused> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refused::invalid("the body is not `application/x-www-form-urlencoded`"));
        }
        let body =
            axum::body::to_bytes(body, LONGEST).await.map_err(|_| Refused::invalid("the body does not arrive whole, or has more than 64 KiB"))?;
        let mut tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == "logout_token").map(|(_, value)| value);
        let (Some(token), None) = (tokens.next(), tokens.next()) else { return Err(Refused::invalid("there is not one `logout_token`")) };
        let authenticator = Arc::clone(&self.sources.published.snapshot().authenticator);
        let ended = self.end(&authenticator, issuer, &token, hold).await;
        authenticator.count_logout(issuer, &ended);
        Ok(ended?)
    }

    /// The id of the revocation that `token` has made.
    async fn end(&self, authenticator: &Arc<Authenticator>, issuer: &str, token: &str, hold: &Hold) -> Result<String, LogoutError> {
        let logout = authenticator.logout(issuer, token)?;
        let kept = if logout.names_known_key() { &self.kept } else { &self.kept_strangers };
        let _kept = kept.try_acquire().ok().map(|place| (place, hold.keep()));
        let keys = logout.keys().await?;
        let Ok(Ok(_place)) = timeout(PATIENCE, self.places.acquire()).await else { return Err(LogoutError::Unavailable(BUSY.to_owned())) };
        let revocation = logout.verified(&keys)?;
        let id = revocation.id.clone();
        let ended = {
            let authenticator = Arc::clone(authenticator);
            tokio::task::spawn_blocking(move || authenticator.end(revocation)).await
        };
        ended.map_err(|error| LogoutError::Unavailable(error.to_string()))??;
        Ok(id)
    }

    /// Counts one that is no good; whether it is told why.
    fn may_fail(&self) -> bool {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).one_more(self.sources.clock.now())
    }
}

// === impl Failures ===

impl Failures {
    /// Whether there is place for one more within this second.
    fn one_more(&mut self, second: i64) -> bool {
        if self.second != second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= MOST
    }
}

// === impl Refused ===

impl Refused {
    fn busy(status: StatusCode) -> Self {
        Self { status, error: "temporarily_unavailable", description: BUSY.to_owned() }
    }

    fn invalid(description: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_request", description: description.to_owned() }
    }
}

impl From<LogoutError> for Refused {
    fn from(error: LogoutError) -> Self {
        let (status, code) = match error {
            LogoutError::UnknownIssuer => (StatusCode::NOT_FOUND, "invalid_request"),
            LogoutError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            LogoutError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        };
        Self { status, error: code, description: error.to_string() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.error, "error_description": self.description });
        let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
        let later = matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let later = later.then_some([(header::RETRY_AFTER, "1")]);
        (self.status, headers, later.map(AppendHeaders), body.to_string() + "\n").into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_a_second_are_told_why() {
        let mut failures = Failures::default();
        for second in [7, 8, 3] {
            let told = (0..3 * MOST).filter(|_| failures.one_more(second)).count();
            assert_eq!(told, 100, "in second {second}");
        }
    }
}
