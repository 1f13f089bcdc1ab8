//! When an endpoint is left alone: after failures in a row nobody asks for a while, then one does.

use super::super::backoff::Backoff;
use crate::clock::apart;

/// The failures of one endpoint. Times are in milliseconds since the epoch.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    backoff: Backoff,
    /// When the one that tries again while the breaker is open set out.
    tried_at: Option<i64>,
    failing_since: Option<i64>,
    last_error: Option<String>,
}

/// How many failures in a row open it: a single one may be a connection that the other side had closed.
const THRESHOLD: u32 = 3;
/// How long one that tries again may take before another does, in milliseconds: longer than any exchange.
const TRIAL: i64 = 10_000;

// === impl Breaker ===

impl Breaker {
    /// Whether the endpoint may be asked now; where it is failing, by the one who was told so alone.
    pub(super) fn allows(&mut self, now: i64) -> bool {
        if !self.is_open() {
            return true;
        }
        let trying = self.tried_at.is_some_and(|tried| apart(tried, now) < TRIAL);
        if trying || !self.backoff.is_over(THRESHOLD - 1, now) {
            return false;
        }
        self.tried_at = Some(now);
        true
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Whether this opened it.
    pub(super) fn failed(&mut self, error: String, now: i64) -> bool {
        self.tried_at = None;
        self.failing_since = self.failing_since.or(Some(now));
        self.last_error = Some(error);
        self.backoff.failed(now) == THRESHOLD
    }

    pub(super) fn is_open(&self) -> bool {
        self.backoff.failures() >= THRESHOLD
    }

    pub(super) fn failing_since(&self) -> Option<i64> {
        self.failing_since
    }

    pub(super) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try() {
        let mut breaker = Breaker::default();
        let mut now = 1_000_000;
        for _ in 1..THRESHOLD {
            assert!(breaker.allows(now) && breaker.allows(now));
            assert!(!breaker.failed("down".to_owned(), now));
        }
        breaker.succeeded();
        for _ in 1..THRESHOLD {
            assert!(!breaker.failed("down".to_owned(), now));
        }
        assert!(breaker.failed("down".to_owned(), now));
        assert_eq!(breaker.failing_since(), Some(now));
        for pause in [1000, 2000, 4000, 8000, 10_000, 10_000] {
            assert!(!breaker.allows(now + pause - 1), "{pause}");
            now += pause;
            assert!(breaker.allows(now), "{pause}");
            assert!(!breaker.allows(now), "two try at once");
            assert!(!breaker.failed("down".to_owned(), now));
        }
        assert_eq!(breaker.failing_since(), Some(1_000_000));
        now += 10_000;
        assert!(breaker.allows(now));
        assert!(!breaker.allows(now + TRIAL - 1) && breaker.allows(now + TRIAL), "one that died holds it open for ever");
        breaker.succeeded();
        assert!(breaker.allows(now) && breaker.allows(now) && breaker.last_error().is_none());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_it_open() {
        let mut breaker = Breaker::default();
        for _ in 0..THRESHOLD {
            breaker.failed("down".to_owned(), 10_000_000);
        }
        assert!(breaker.allows(0));
    }
}
