//! How asking an endpoint goes, and when it is left alone: after faults in a row nobody asks for a while, then one does.

use super::Backoff;
use crate::clock::apart;

/// What has become of the questions to one endpoint. Times are in milliseconds since the epoch.
#[derive(Debug)]
pub struct Breaker {
    /// The endpoint's own faults in a row.
    faults: Backoff,
    /// How long one that tries again may take before another does, in milliseconds.
    trial: i64,
    /// When the one that tries again while the endpoint is left alone set out.
    tried_at: Option<i64>,
    /// Answers that could not be used, since the last one that could. They leave nobody out, since the questions of one caller may be at fault.
    unusable: u32,
    /// Faults in a row of questions that had met one before. They leave nobody out either, for the same reason.
    again: u32,
    failing_since: Option<i64>,
    failed_at: Option<i64>,
    last_error: Option<String>,
}

/// How many in a row count: a single one may be a connection that the other side had closed, or a question of somebody's making.
const THRESHOLD: u32 = 3;
/// Longer than any exchange.
const TRIAL: i64 = 10_000;
/// How far apart two faults are at most that are of one outage, in milliseconds: longer than an endpoint is left alone, whoever asks for that.
const RECENT: i64 = 120_000;

// === impl Breaker ===

impl Breaker {
    /// One that lets somebody try again at least every `longest` milliseconds, whether or not who tried last is back.
    #[must_use]
    pub fn trying_every(longest: i64) -> Self {
        Self::of(Backoff::of(longest), longest)
    }

    fn of(faults: Backoff, trial: i64) -> Self {
        Self { faults, trial, tried_at: None, unusable: 0, again: 0, failing_since: None, failed_at: None, last_error: None }
    }

    /// Whether the endpoint may be asked now; where it is left alone, by the one who was told so alone.
    pub fn allows(&mut self, now: i64) -> bool {
        if !self.is_open() {
            return true;
        }
        let trying = self.tried_at.is_some_and(|tried| apart(tried, now) < self.trial);
        if trying || !self.faults.is_over(THRESHOLD - 1, now) {
            return false;
        }
        self.tried_at = Some(now);
        true
    }

    /// Notes an answer that is of use. Since when there was none, where that was said.
    pub fn succeeded(&mut self) -> Option<i64> {
        let said = self.is_failing() || self.unusable > 0;
        let since = self.failing_since.filter(|_| said);
        self.faults.reset();
        (self.tried_at, self.unusable, self.again) = (None, 0, 0);
        (self.failing_since, self.failed_at, self.last_error) = (None, None, None);
        since
    }

    /// Notes a fault of the endpoint itself; whether it is left alone from now on, or known to fail.
    pub fn failed(&mut self, error: String, now: i64) -> bool {
        let before = (self.is_open(), self.is_failing());
        self.tried_at = None;
        self.note(error, now);
        self.faults.failed(now);
        before != (self.is_open(), self.is_failing())
    }

    /// Notes the fault of a question that had met one before, which may be at fault itself: it leaves nobody out, and where somebody is, for longer. Whether
    /// the endpoint is known to fail from now on.
    pub fn failed_again(&mut self, error: String, now: i64) -> bool {
        if self.is_open() {
            return self.failed(error, now);
        }
        let before = self.is_failing();
        self.note(error, now);
        self.again = self.again.saturating_add(1);
        before != self.is_failing()
    }

    /// Notes an answer that cannot be used: the endpoint is there, and is asked on. Whether it is the first since one that could be used.
    pub fn answered_badly(&mut self, error: String, now: i64) -> bool {
        self.tried_at = None;
        self.again = 0;
        self.faults.reset();
        self.note(error, now);
        self.unusable = self.unusable.saturating_add(1);
        self.unusable == 1
    }

    /// Notes that a question did not set out, which says nothing of the endpoint.
    pub fn not_asked(&mut self) {
        self.tried_at = None;
    }

    fn note(&mut self, error: String, now: i64) {
        self.failing_since = self.outage(now).or(Some(now));
        (self.failed_at, self.last_error) = (Some(now), Some(error));
    }

    /// Whether the endpoint is left alone.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.faults.failures() >= THRESHOLD
    }

    /// Whether more than a single question came to nothing.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.unusable >= THRESHOLD || self.faults.failures().saturating_add(self.again) >= THRESHOLD
    }

    /// Since when the outage lasts that there is now; `None` where the last fault is long ago, as where nobody has asked since.
    #[must_use]
    pub fn outage(&self, now: i64) -> Option<i64> {
        self.failing_since.filter(|_| self.failed_at.is_some_and(|failed| apart(failed, now) < RECENT))
    }

    /// Since when there was no answer of use, as far as faults followed each other.
    #[must_use]
    pub fn failing_since(&self) -> Option<i64> {
        self.failing_since
    }

    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::of(Backoff::default(), TRIAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(now: i64) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..THRESHOLD {
            breaker.failed("down".to_owned(), now);
        }
        assert!(breaker.is_open() && breaker.is_failing());
        breaker
    }

    #[test]
    fn it_opens_after_faults_in_a_row_and_lets_one_try() {
        let mut breaker = Breaker::default();
        let mut now = 1_000_000;
        for _ in 1..THRESHOLD {
            assert!(breaker.allows(now) && breaker.allows(now));
            assert!(!breaker.failed("down".to_owned(), now));
        }
        assert_eq!(breaker.succeeded(), None, "nothing was said of single faults");
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
        assert_eq!(breaker.succeeded(), Some(1_000_000));
        assert!(breaker.allows(now) && breaker.allows(now) && breaker.last_error().is_none());
    }

    #[test]
    fn a_trial_that_is_answered_badly_closes_it_and_is_seen() {
        let mut breaker = open(1_000_000);
        assert!(breaker.allows(1_001_000));
        assert!(breaker.answered_badly("it answered with status 400".to_owned(), 1_001_000), "it is said");
        assert!(!breaker.is_open() && breaker.allows(1_001_000) && breaker.allows(1_001_000));
        assert_eq!((breaker.failing_since(), breaker.last_error()), (Some(1_000_000), Some("it answered with status 400")));
        assert!(!breaker.is_failing(), "one question says little");
        for _ in 1..THRESHOLD {
            assert!(!breaker.answered_badly("it answered with status 400".to_owned(), 1_002_000), "it is said again");
        }
        assert!(breaker.is_failing() && !breaker.is_open());
        assert_eq!(breaker.succeeded(), Some(1_000_000));
        assert!(!breaker.is_failing() && breaker.failing_since().is_none());
    }

    #[test]
    fn a_trial_that_never_set_out_leaves_its_turn_to_the_next() {
        let mut breaker = open(1_000_000);
        assert!(breaker.allows(1_001_000));
        breaker.not_asked();
        assert!(breaker.is_open() && breaker.allows(1_001_000));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_it_open() {
        assert!(open(10_000_000).allows(0));
    }

    #[test]
    fn faults_that_are_far_apart_are_no_long_outage() {
        let mut breaker = Breaker::default();
        for (now, since) in [(0, 0), (RECENT - 1, 0), (2 * RECENT - 2, 0), (4 * RECENT, 4 * RECENT), (RECENT, RECENT)] {
            breaker.failed("down".to_owned(), now);
            assert_eq!((breaker.failing_since(), breaker.outage(now)), (Some(since), Some(since)), "{now}");
        }
        breaker.answered_badly("it answered with status 404".to_owned(), 9 * RECENT);
        assert_eq!(breaker.failing_since(), Some(9 * RECENT));
        assert_eq!(breaker.outage(10 * RECENT), None, "it is not known to last");
    }

    #[test]
    fn a_question_that_fails_again_leaves_nobody_out_and_is_seen() {
        let mut breaker = Breaker::default();
        assert!(!breaker.failed("down".to_owned(), 1_000_000));
        let said: Vec<bool> = (0..10).map(|_| breaker.failed_again("down".to_owned(), 1_000_000)).collect();
        assert_eq!(said.iter().position(|said| *said), Some(1), "{said:?}");
        assert!(said.iter().filter(|said| **said).count() == 1 && breaker.is_failing() && !breaker.is_open() && breaker.allows(1_000_000));
        assert_eq!(breaker.succeeded(), Some(1_000_000));
        assert!(!breaker.is_failing());
        let mut breaker = open(1_000_000);
        assert!(breaker.allows(1_001_000) && !breaker.failed_again("down".to_owned(), 1_001_000));
        assert!(!breaker.allows(1_002_999) && breaker.allows(1_003_000), "a trial that fails makes the pause begin anew");
    }

    #[test]
    fn one_that_hangs_keeps_nobody_else_from_trying() {
        let mut breaker = Breaker::trying_every(1_000);
        for _ in 0..THRESHOLD {
            breaker.failed("down".to_owned(), 1_000_000);
        }
        for second in 1..20 {
            let now = 1_000_000 + second * 1_000;
            assert!(!breaker.allows(now - 1) && breaker.allows(now) && !breaker.allows(now), "{second}");
        }
        for _ in 0..9 {
            breaker.failed("down".to_owned(), 2_000_000);
        }
        assert!(!breaker.allows(2_000_999) && breaker.allows(2_001_000), "the pause grows beyond what was said");
    }
}
