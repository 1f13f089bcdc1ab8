//! The claims of a token that nobody has, in place of one.

use serde_json::{Map, Value};

/// How long such a token is good for, where it does not say, in seconds.
const GOOD_FOR_S: i64 = 300;

/// `text`, one JSON object, with an `exp` where it has none.
///
/// # Errors
/// In words, where it is no object, or has a key twice.
pub fn claims(text: &[u8], now_s: i64) -> Result<Vec<u8>, String> {
    crate::json::read(text).map_err(|error| error.to_string())?;
    let claims: Map<String, Value> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    completed(claims, now_s)
}

pub(super) fn completed(mut claims: Map<String, Value>, now_s: i64) -> Result<Vec<u8>, String> {
    claims.entry("exp").or_insert_with(|| now_s.saturating_add(GOOD_FOR_S).into());
    serde_json::to_vec(&claims).map_err(|error| error.to_string())
}
