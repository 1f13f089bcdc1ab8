use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use super::{Controls, Problem, json, socket::Client};
use crate::{
    authn::{Authenticator, By, Order, RevocationNote, RevocationPage, RevocationStatus, RevokeError},
    text::quoted,
};

/// Some of the revocations, and how they are doing.
#[derive(Debug, Serialize)]
struct Listed {
    status: RevocationStatus,
    #[serde(flatten)]
    page: RevocationPage,
}

/// Bytes of an order.
const LONGEST: usize = 64 << 10;

/// Revocations in one answer, unless asked for otherwise, and at most.
const LIMIT: usize = 1000;
const LIMIT_MOST: usize = 10_000;

/// `?after=<id>&limit=<n>&all=true`; `all` for lifted ones too, until they would have ended.
pub(super) async fn list(State(controls): State<Arc<Controls>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let (after, limit, all) = wanted(query.as_deref().unwrap_or_default()).map_err(|message| Problem::new(StatusCode::BAD_REQUEST, message))?;
    let listed = blocking(&controls, move |authenticator| Listed {
        status: authenticator.revocation_status(),
        page: authenticator.revocations(after.as_deref(), limit, all),
    });
    Ok(json(&listed.await?))
}

pub(super) async fn make(State(controls): State<Arc<Controls>>, Extension(client): Extension<Client>, body: Body) -> Result<Response, Problem> {
    let too_long = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the order does not arrive whole, or has more than 64 KiB");
    let text = axum::body::to_bytes(body, LONGEST).await.map_err(|_| too_long())?;
    let bad = |error: serde_json::Error| Problem::new(StatusCode::BAD_REQUEST, format!("the order cannot be read: {error}"));
    let order: Order = serde_json::from_slice(&text).map_err(bad)?;
    let Client { uid, pid } = client;
    tracing::info!(uid, pid, issuer = quoted(&order.issuer), "a revocation is asked for on the control socket");
    let made = blocking(&controls, move |authenticator| authenticator.revoke(order, By::Operator { uid, pid })).await?;
    let note = made.map_err(|error| problem(&error))?;
    log(&note, uid, pid, "revoked");
    Ok((StatusCode::CREATED, json(&note)).into_response())
}

pub(super) async fn lift(
    State(controls): State<Arc<Controls>>,
    Extension(client): Extension<Client>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the id in the path cannot be read"))?;
    let Client { uid, pid } = client;
    let lifted = blocking(&controls, move |authenticator| authenticator.lift(&id, By::Operator { uid, pid })).await?;
    let note = lifted.map_err(|error| problem(&error))?;
    log(&note, uid, pid, "a revocation was lifted");
    Ok(json(&note))
}

fn log(note: &RevocationNote, uid: u32, pid: Option<i32>, what: &str) {
    let RevocationNote { id, iss, kind, value, until, note, .. } = note;
    tracing::info!(uid, pid, id, iss, kind, value, until, note, "{what}");
}

/// What waits for the disk, or looks at very many.
async fn blocking<T: Send + 'static>(controls: &Controls, work: impl FnOnce(&Authenticator) -> T + Send + 'static) -> Result<T, Problem> {
    let authenticator = Arc::clone(&controls.published.snapshot().authenticator);
    let done = tokio::task::spawn_blocking(move || work(&authenticator)).await;
    done.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("it cannot be done: {error}")))
}

fn problem(error: &RevokeError) -> Problem {
    let status = match error {
        RevokeError::Invalid(_) | RevokeError::Replayed => StatusCode::BAD_REQUEST,
        RevokeError::Unknown(_) => StatusCode::NOT_FOUND,
        RevokeError::Full | RevokeError::NotKept(_) | RevokeError::NotLifted(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, error.to_string())
}

/// A key that is unknown, stands twice or has no good value is refused: a list must be what was asked for.
fn wanted(query: &str) -> Result<(Option<String>, usize, bool), String> {
    let (mut after, mut limit, mut all) = (None, None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = |right: &str| format!("{} is no value of {}; {right}", quoted(&value), quoted(&key));
        let twice = match &*key {
            "after" => after.replace(value.into_owned()).is_some(),
            "limit" => {
                let count = value.parse().ok().filter(|count| (1..=LIMIT_MOST).contains(count));
                limit.replace(count.ok_or_else(|| wrong("write a number from 1 to 10000"))?).is_some()
            }
            "all" => all.replace(value.parse().map_err(|_| wrong("write `true` or `false`"))?).is_some(),
            unknown => return Err(format!("unknown key {} in the query; there are after, limit, all", quoted(unknown))),
        };
        if twice {
            return Err(format!("{} stands twice in the query", quoted(&key)));
        }
    }
    Ok((after, limit.unwrap_or(LIMIT), all.unwrap_or(false)))
}
