//! Where others learn by which keys lakegate is known as an issuer of tokens (OpenID Connect Discovery 1.0, section 4; RFC 7517, section 5).

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use super::Sources;

/// How long others may keep the keys, in seconds: as long as a new key has to be known before it signs.
pub const MAX_AGE: u32 = 300;

pub(super) fn router(sources: Arc<Sources>) -> Router {
    Router::new().route("/.well-known/jwks.json", get(keys)).route("/.well-known/openid-configuration", get(discovery)).with_state(sources)
}

async fn keys(State(sources): State<Arc<Sources>>) -> Response {
    match sources.published.snapshot().responder.issuer() {
        Some(issuer) => document(&issuer.keys().document()),
        None => nothing("lakegate signs nothing: `trust.assertion` is not configured\n"),
    }
}

async fn discovery(State(sources): State<Arc<Sources>>) -> Response {
    let snapshot = sources.published.snapshot();
    let Some(issuer) = snapshot.responder.issuer() else {
        return nothing("lakegate signs nothing: `trust.assertion` is not configured\n");
    };
    let name = issuer.name();
    if !name.starts_with("http") {
        return nothing("lakegate's tokens have no URL as their issuer: set `trust.assertion.issuer` to the one below which this is reached\n");
    }
    let mut algorithms: Vec<&str> = issuer.keys().iter().map(|key| key.algorithm().as_str()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    document(&json!({
        "issuer": name,
        "jwks_uri": format!("{}/.well-known/jwks.json", name.trim_end_matches('/')),
        "id_token_signing_alg_values_supported": algorithms,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
    }))
}

fn document(value: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CACHE_CONTROL, format!("public, max-age={MAX_AGE}"))];
    (headers, value.to_string() + "\n").into_response()
}

fn nothing(why: &'static str) -> Response {
    (StatusCode::NOT_FOUND, why).into_response()
}
