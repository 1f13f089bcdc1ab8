//! Where issuers send logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.5). Nobody is asked who they are: the token is signed, and what
//! anyone else sends here costs little and changes nothing.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::{sync::Semaphore, time::timeout};

use super::Sources;
use crate::{authn::LogoutError, text::quoted};

/// What the endpoint needs and may cost.
#[derive(Debug)]
struct Door {
    sources: Arc<Sources>,
    /// Tokens that are read and checked at one time.
    places: Semaphore,
    pace: Mutex<Pace>,
}

/// How many came within a second, but for those that were good: an issuer that ends all its sessions at once says each of them once.
#[derive(Debug, Default)]
struct Pace {
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
/// How long a place is waited for. Few issuers say again what was refused once.
const PATIENCE: Duration = Duration::from_secs(2);
/// In one second: a signature takes some 50 µs to check, so that a flood takes half a hundredth of a processor.
const MOST: u32 = 100;

pub(super) fn router(sources: Arc<Sources>) -> Router {
    let door = Door { sources, places: Semaphore::new(PLACES), pace: Mutex::default() };
    Router::new().route("/v1/logout/{issuer}", post(logout)).with_state(Arc::new(door))
}

async fn logout(State(door): State<Arc<Door>>, issuer: Result<Path<String>, PathRejection>, headers: HeaderMap, body: Body) -> Response {
    let Ok(Path(issuer)) = issuer else { return Refused::invalid("the name in the path cannot be read").into_response() };
    match door.take(&issuer, &headers, body).await {
        Ok(id) => {
            tracing::info!(issuer = quoted(&issuer), id, "a session ended, as its issuer says");
            (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response()
        }
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
    async fn take(&self, issuer: &str, headers: &HeaderMap, body: Body) -> Result<String, Refused> {
        let busy =
            || Refused { status: StatusCode::TOO_MANY_REQUESTS, error: "temporarily_unavailable", description: "too many at a time".to_owned() };
        if !self.pace().may_come(self.sources.clock.now()) {
            return Err(busy());
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refused::invalid("the body is not `application/x-www-form-urlencoded`"));
        }
        let body =
            axum::body::to_bytes(body, LONGEST).await.map_err(|_| Refused::invalid("the body does not arrive whole, or has more than 64 KiB"))?;
        // Only now: whoever sends slowly keeps nobody out.
        let _place = timeout(PATIENCE, self.places.acquire()).await.ok().and_then(Result::ok).ok_or_else(busy)?;
        let mut tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == "logout_token").map(|(_, value)| value);
        let (Some(token), None) = (tokens.next(), tokens.next()) else { return Err(Refused::invalid("there is not one `logout_token`")) };
        let authenticator = Arc::clone(&self.sources.published.snapshot().authenticator);
        let revocation = authenticator.logout(issuer, &token).await?;
        let id = revocation.id.clone();
        let ended = tokio::task::spawn_blocking(move || authenticator.end(revocation)).await;
        ended.map_err(|error| LogoutError::Unavailable(error.to_string()))??;
        self.pace().was_good();
        Ok(id)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pace ===

impl Pace {
    fn may_come(&mut self, second: i64) -> bool {
        if self.second != second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= MOST
    }

    fn was_good(&mut self) {
        self.count = self.count.saturating_sub(1);
    }
}

// === impl Refused ===

impl Refused {
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
        (self.status, headers, body.to_string() + "\n").into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_tokens_cost_nothing_and_others_are_few() {
        let mut pace = Pace::default();
        for i in 0..10 * MOST {
            assert!(pace.may_come(7), "{i}");
            pace.was_good();
        }
        assert_eq!((0..10 * MOST).filter(|_| pace.may_come(7)).count(), MOST as usize);
        assert!(pace.may_come(8));
    }
}
