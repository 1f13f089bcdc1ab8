use std::sync::Arc;

use axum::{body::Body, extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use tokio::runtime::Handle;

use super::{Controls, Problem, json};
use crate::inquiry::{Inquiry, Report};

/// A report, and which set it is of.
#[derive(Debug, Serialize)]
struct Explained {
    generation: u64,
    #[serde(flatten)]
    report: Report,
}

/// Bytes of an inquiry, the body of the call that it is about included.
const LONGEST: usize = 4 << 20;

/// What the policies that are served say of a call. Nothing is permitted by it, and it counts for no policy.
pub(super) async fn explain(State(controls): State<Arc<Controls>>, body: Body) -> Result<Response, Problem> {
    let bad = |message: String| Problem::new(StatusCode::BAD_REQUEST, message);
    let too_long = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the inquiry does not arrive whole, or has more than 4 MiB");
    let text = axum::body::to_bytes(body, LONGEST).await.map_err(|_| too_long())?;
    let (snapshot, now_ms) = (controls.published.snapshot(), controls.clock.now_ms());
    let inquiry = Inquiry::read(&text, now_ms.div_euclid(1000)).map_err(bad)?;
    // A look at every policy for those that nearly permit takes its time, and must not keep calls waiting.
    let runtime = Handle::current();
    let explained = tokio::task::spawn_blocking(move || Explained {
        generation: snapshot.generation,
        report: runtime.block_on(inquiry.answer(&snapshot, now_ms)),
    });
    let explained = explained.await.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("it cannot be explained: {error}")))?;
    Ok(json(&explained))
}
