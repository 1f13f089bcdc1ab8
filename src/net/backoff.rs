//! How long an endpoint that fails is left alone.

use crate::clock::apart;

/// Failures in a row, and the pause after the last of them: 1, 2, 4, 8, then 10 s, or less where that is said. Times are in milliseconds since the epoch.
#[derive(Debug)]
pub struct Backoff {
    failures: u32,
    failed_at: Option<i64>,
    longest: i64,
}

const FIRST_PAUSE: i64 = 1000;
const MAX_PAUSE: i64 = 10_000;

// === impl Backoff ===

impl Backoff {
    /// With pauses of at most `longest` milliseconds.
    #[must_use]
    pub fn of(longest: i64) -> Self {
        Self { failures: 0, failed_at: None, longest }
    }

    /// As if there had been no failure.
    pub fn reset(&mut self) {
        *self = Self::of(self.longest);
    }

    /// Counts a failure, and says how many there are in a row.
    pub fn failed(&mut self, now: i64) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failed_at = Some(now);
        self.failures
    }

    /// How many have failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether the pause is over; the first `spared` failures make none.
    #[must_use]
    pub fn is_over(&self, spared: u32, now: i64) -> bool {
        let Some(doublings) = self.failures.checked_sub(spared.saturating_add(1)) else { return true };
        let pause = self.longest.min(FIRST_PAUSE << doublings.min(10));
        self.failed_at.is_none_or(|failed| apart(failed, now) >= pause)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::of(MAX_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_ten_seconds_after_those_that_are_spared() {
        for spared in [0, 2] {
            let (mut backoff, mut now) = (Backoff::default(), 1_000_000);
            for _ in 0..spared {
                backoff.failed(now);
                assert!(backoff.is_over(spared, now));
            }
            for pause in [1000, 2000, 4000, 8000, 10_000, 10_000] {
                backoff.failed(now);
                assert!(!backoff.is_over(spared, now + pause - 1), "{pause}");
                now += pause;
                assert!(backoff.is_over(spared, now), "{pause}");
            }
            for _ in 0..100 {
                backoff.failed(now);
            }
            assert!(!backoff.is_over(spared, now + 9_999) && backoff.is_over(spared, now + 10_000));
            assert!(backoff.is_over(spared, 0), "a clock that was set back lengthens it");
        }
    }
}
