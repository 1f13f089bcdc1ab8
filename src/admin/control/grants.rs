use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use serde::Serialize;

use super::{Controls, Problem, json};
use crate::authz::GrantNote;

/// The grants of the set that is served.
#[derive(Debug, Serialize)]
struct Granted {
    generation: u64,
    grants: Vec<GrantNote>,
}

/// `?all` for those that have ended, too.
pub(super) async fn list(State(controls): State<Arc<Controls>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let ended = match query.as_deref() {
        None | Some("") => false,
        Some("all") => true,
        Some(_) => return Err(Problem::new(StatusCode::BAD_REQUEST, "the query of grants is `all`, or nothing")),
    };
    let snapshot = controls.published.snapshot();
    let grants = snapshot.authorizer.granted(controls.clock.now_ms(), ended);
    Ok(json(&Granted { generation: snapshot.generation, grants }))
}
