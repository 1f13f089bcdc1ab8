//! The one source of time. Nothing else reads the wall clock, so that tests can move it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The current time, shifted by an offset that tests may change.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

/// How far apart two times are, in milliseconds, whichever is the later: a clock that was set back must not make a span without end.
#[must_use]
pub fn apart(then_ms: i64, now_ms: i64) -> i64 {
    i64::try_from(now_ms.abs_diff(then_ms)).unwrap_or(i64::MAX)
}

// === impl Clock ===

impl Clock {
    /// Milliseconds since the epoch.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now_ms(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        real.saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Seconds since the epoch, rounded down.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Moves the clock by `by_ms` from the real time (replacing an earlier move).
    pub fn shift(&self, by_ms: i64) {
        self.offset_ms.store(by_ms, Ordering::Relaxed);
    }
}
