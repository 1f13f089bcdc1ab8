//! The wall clock, read at this one place.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the epoch, as token claims want them.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tokens and certificates of the testkit are dated by the wall clock, as those of a real issuer are")]
pub fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|elapsed| i64::try_from(elapsed.as_secs()).ok()).unwrap_or(0)
}
