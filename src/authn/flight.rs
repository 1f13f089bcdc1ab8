//! When a key set may be fetched: one fetch at a time, seldom for tokens with unknown keys, and less and less often where the issuer fails.

use tokio::sync::watch;

use crate::{clock::apart, net::Backoff};

/// The fetches of one issuer. Times are in milliseconds since the epoch.
#[derive(Debug, Default)]
pub(super) struct Flights {
    /// The fetch under way. It ends when its sender is gone, even if that died.
    running: Option<watch::Receiver<()>>,
    started: Option<i64>,
    /// When the last one began that a token with an unknown key caused.
    sought: Option<i64>,
    backoff: Backoff,
    failing_since: Option<i64>,
    last_error: Option<String>,
}

/// Why a fetch is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// There are no keys, or they are old.
    Age,
    /// A token names a key that is not in the set, at most once in this many milliseconds. Other fetches do not count: the first token of a new key must not
    /// wait because the keys happen to be young.
    UnknownKey { apart: i64 },
}

/// What to do about a wanted fetch.
#[derive(Debug)]
pub(super) enum Boarding {
    /// Start it, and drop this when it has ended.
    Start(watch::Sender<()>, watch::Receiver<()>),
    /// It is under way.
    Join(watch::Receiver<()>),
    /// Not now.
    Wait,
}

// === impl Flights ===

impl Flights {
    pub(super) fn board(&mut self, cause: Cause, now: i64) -> Boarding {
        if let Some(running) = self.running.as_ref().filter(|running| running.has_changed().is_ok()) {
            return Boarding::Join(running.clone());
        }
        if !self.is_due(cause, now) {
            return Boarding::Wait;
        }
        let (sender, receiver) = watch::channel(());
        self.running = Some(receiver.clone());
        self.started = Some(now);
        if matches!(cause, Cause::UnknownKey { .. }) {
            self.sought = Some(now);
        }
        Boarding::Start(sender, receiver)
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self { running: self.running.take(), started: self.started, sought: self.sought, ..Self::default() };
    }

    /// Whether this is the first of a row of failures.
    pub(super) fn failed(&mut self, error: String, now: i64) -> bool {
        self.failing_since = self.failing_since.or(self.started).or(Some(now));
        self.last_error = Some(error);
        self.backoff.failed(now) == 1
    }

    /// Whether the last fetch failed.
    pub(super) fn is_failing(&self) -> bool {
        self.backoff.failures() > 0
    }

    /// When the present fault began; where none is known yet, when the fetch under way did.
    pub(super) fn since(&self) -> Option<i64> {
        self.failing_since.or(self.started)
    }

    pub(super) fn failing_since(&self) -> Option<i64> {
        self.failing_since
    }

    pub(super) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    fn is_due(&self, cause: Cause, now: i64) -> bool {
        self.backoff.is_over(0, now)
            && match cause {
                Cause::Age => true,
                Cause::UnknownKey { apart: least } => self.sought.is_none_or(|sought| apart(sought, now) >= least),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(flights: &mut Flights, cause: Cause, now: i64) -> bool {
        matches!(flights.board(cause, now), Boarding::Start(..))
    }

    #[test]
    fn pauses_grow_with_failures_and_end_with_a_success() {
        let mut flights = Flights::default();
        let mut now = 1_000_000;
        for pause in [1000, 2000, 4000, 8000, 10_000, 10_000] {
            assert!(starts(&mut flights, Cause::Age, now));
            flights.failed("down".to_owned(), now);
            assert!(!starts(&mut flights, Cause::Age, now + pause - 1), "pause {pause}");
            now += pause;
        }
        for _ in 0..100 {
            flights.failed("down".to_owned(), now);
            assert!(!starts(&mut flights, Cause::Age, now + 9_999));
        }
        assert_eq!(flights.since(), Some(1_000_000));
        assert!(starts(&mut flights, Cause::Age, now + 10_000));
        flights.succeeded();
        assert!(!flights.is_failing());
        assert!(starts(&mut flights, Cause::Age, now + 10_001));
    }

    #[test]
    fn unknown_keys_cause_one_fetch_in_an_interval() {
        let mut flights = Flights::default();
        let cause = Cause::UnknownKey { apart: 5000 };
        assert!(starts(&mut flights, Cause::Age, 0));
        let started = (1..=20_000).filter(|&now| starts(&mut flights, cause, now)).count();
        assert_eq!(started, 4);
        assert!(!starts(&mut flights, cause, 20_000), "the fifth is too soon");
        assert!(starts(&mut flights, cause, -20_000), "a clock that was set back stops it");
    }

    #[test]
    fn one_fetch_at_a_time_even_if_it_dies() {
        let mut flights = Flights::default();
        let Boarding::Start(sender, _) = flights.board(Cause::Age, 0) else { panic!() };
        assert!(matches!(flights.board(Cause::Age, 60_000), Boarding::Join(_)));
        drop(sender);
        assert!(matches!(flights.board(Cause::Age, 60_000), Boarding::Start(..)));
    }
}
