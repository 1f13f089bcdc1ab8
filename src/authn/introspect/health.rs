//! How asking an endpoint goes, and when it is left alone: after faults in a row nobody asks for a while, then one does.

use super::super::backoff::Backoff;
use crate::clock::apart;

/// What has become of the questions to one endpoint. Times are in milliseconds since the epoch.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// The endpoint's own faults in a row.
    faults: Backoff,
    /// When the one that tries again while the endpoint is left alone set out.
    tried_at: Option<i64>,
    /// Answers that could not be used, since the last one that could. They leave nobody out, since the questions of one caller may be at fault.
    unusable: u32,
    failing_since: Option<i64>,
    last_error: Option<String>,
}

/// How many in a row count: a single one may be a connection that the other side had closed, or a question of somebody's making.
const THRESHOLD: u32 = 3;
/// How long one that tries again may take before another does, in milliseconds: longer than any exchange.
const TRIAL: i64 = 10_000;

// === impl Health ===

impl Health {
    /// Whether the endpoint may be asked now; where it is left alone, by the one who was told so alone.
    pub(super) fn allows(&mut self, now: i64) -> bool {
        if !self.is_open() {
            return true;
        }
        let trying = self.tried_at.is_some_and(|tried| apart(tried, now) < TRIAL);
        if trying || !self.faults.is_over(THRESHOLD - 1, now) {
            return false;
        }
        self.tried_at = Some(now);
        true
    }

    /// Notes an answer that is of use. Since when there was none, where that was said.
    pub(super) fn succeeded(&mut self) -> Option<i64> {
        let said = self.is_open() || self.unusable > 0;
        let since = self.failing_since.filter(|_| said);
        *self = Self::default();
        since
    }

    /// Notes a fault of the endpoint itself; whether the endpoint is left alone from now on.
    pub(super) fn failed(&mut self, error: String, now: i64) -> bool {
        self.tried_at = None;
        self.note(error, now);
        self.faults.failed(now) == THRESHOLD
    }

    /// Notes an answer that cannot be used: the endpoint is there, and is asked on. Whether it is the first since one that could be used.
    pub(super) fn answered_badly(&mut self, error: String, now: i64) -> bool {
        self.tried_at = None;
        self.faults = Backoff::default();
        self.note(error, now);
        self.unusable = self.unusable.saturating_add(1);
        self.unusable == 1
    }

    /// Notes that a question did not set out, which says nothing of the endpoint.
    pub(super) fn not_asked(&mut self) {
        self.tried_at = None;
    }

    fn note(&mut self, error: String, now: i64) {
        self.failing_since = self.failing_since.or(Some(now));
        self.last_error = Some(error);
    }

    /// Whether the endpoint is left alone.
    pub(super) fn is_open(&self) -> bool {
        self.faults.failures() >= THRESHOLD
    }

    /// Whether more than a single question came to nothing.
    pub(super) fn is_failing(&self) -> bool {
        self.is_open() || self.unusable >= THRESHOLD
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

    fn open(now: i64) -> Health {
        let mut health = Health::default();
        for _ in 0..THRESHOLD {
            health.failed("down".to_owned(), now);
        }
        assert!(health.is_open() && health.is_failing());
        health
    }

    #[test]
    fn it_opens_after_faults_in_a_row_and_lets_one_try() {
        let mut health = Health::default();
        let mut now = 1_000_000;
        for _ in 1..THRESHOLD {
            assert!(health.allows(now) && health.allows(now));
            assert!(!health.failed("down".to_owned(), now));
        }
        assert_eq!(health.succeeded(), None, "nothing was said of single faults");
        for _ in 1..THRESHOLD {
            assert!(!health.failed("down".to_owned(), now));
        }
        assert!(health.failed("down".to_owned(), now));
        assert_eq!(health.failing_since(), Some(now));
        for pause in [1000, 2000, 4000, 8000, 10_000, 10_000] {
            assert!(!health.allows(now + pause - 1), "{pause}");
            now += pause;
            assert!(health.allows(now), "{pause}");
            assert!(!health.allows(now), "two try at once");
            assert!(!health.failed("down".to_owned(), now));
        }
        assert_eq!(health.failing_since(), Some(1_000_000));
        now += 10_000;
        assert!(health.allows(now));
        assert!(!health.allows(now + TRIAL - 1) && health.allows(now + TRIAL), "one that died holds it open for ever");
        assert_eq!(health.succeeded(), Some(1_000_000));
        assert!(health.allows(now) && health.allows(now) && health.last_error().is_none());
    }

    #[test]
    fn a_trial_that_is_answered_badly_closes_it_and_is_seen() {
        let mut health = open(1_000_000);
        assert!(health.allows(1_001_000));
        assert!(health.answered_badly("it answered with status 400".to_owned(), 1_001_000), "it is said");
        assert!(!health.is_open() && health.allows(1_001_000) && health.allows(1_001_000));
        assert_eq!((health.failing_since(), health.last_error()), (Some(1_000_000), Some("it answered with status 400")));
        assert!(!health.is_failing(), "one question says little");
        for _ in 1..THRESHOLD {
            assert!(!health.answered_badly("it answered with status 400".to_owned(), 1_002_000), "it is said again");
        }
        assert!(health.is_failing() && !health.is_open());
        assert_eq!(health.succeeded(), Some(1_000_000));
        assert!(!health.is_failing() && health.failing_since().is_none());
    }

    #[test]
    fn a_trial_that_never_set_out_leaves_its_turn_to_the_next() {
        let mut health = open(1_000_000);
        assert!(health.allows(1_001_000));
        health.not_asked();
        assert!(health.is_open() && health.allows(1_001_000));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_it_open() {
        assert!(open(10_000_000).allows(0));
    }
}
