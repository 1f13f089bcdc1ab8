//! One token endpoint: how it is doing, whose exchanges it fails, and how much it is asked at once.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;
use tower::retry::budget::{Budget, TpsBudget};

use crate::{
    clock::apart,
    model::{Name, Reason, Refusal, Target},
    net::{Breaker, Endpoint},
};

/// One for the life of the process.
#[derive(Debug)]
pub(super) struct Counter {
    health: Mutex<Health>,
    /// Until when it wants to be left alone, in milliseconds since the epoch.
    quiet_until: AtomicI64,
    /// Exchanges under way or waiting for a place. Changed under the lock of the desk's list of them.
    flights: AtomicUsize,
    pub places: Semaphore,
    budget: TpsBudget,
}

/// What came of the exchanges.
#[derive(Debug)]
struct Health {
    breaker: Breaker,
    /// What those were for that met the endpoint's own fault and have had no answer since, the latest last. One that fails time and again may be at fault
    /// itself, and must not keep others from asking.
    suspects: VecDeque<[u8; 32]>,
    failed_at: Option<i64>,
    /// Whether anybody else was turned away since.
    others: bool,
    /// When it gave a token last, and when it refused a caller.
    ok_at: Option<i64>,
    refused_at: Option<i64>,
    /// How many it has refused since it gave one.
    refused: u64,
    /// When it was last said that it refuses callers, and how many it has since.
    told_at: Option<i64>,
    untold: u64,
}

/// As what an exchange sets out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Usual,
    /// As the one that sees whether an endpoint that is left alone is back.
    Trial,
}

/// How an endpoint is doing. Times are in seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EndpointStatus {
    pub target: String,
    pub endpoint: String,
    pub failing_since: Option<i64>,
    /// Why it could not be asked last; `None` once it can.
    pub last_error: Option<String>,
    /// Whether it is left alone for the time being, so that every credential that is not at hand is refused at once.
    pub open: bool,
    /// Whether more than a single exchange came to nothing.
    pub degraded: bool,
    /// Until when it wants to be left alone, where it does.
    pub quiet_until: Option<i64>,
    /// When it gave a token last, and when it refused a caller; since the start.
    pub last_ok: Option<i64>,
    pub last_refused: Option<i64>,
    /// How many callers it has refused since it gave a token: many, where what it goes by is wrong and not a caller.
    pub refused_since_ok: u64,
}

/// Exchanges under way or waiting for a place, at one endpoint: one that hangs leaves room for the others.
const MAX_FLIGHTS: usize = 1024;
/// Exchanges under way at one endpoint.
const AT_ONCE: usize = 64;
/// How often an endpoint that fails is tried, in milliseconds: often enough to be back soon after it is.
const TRY_EVERY: i64 = 1_000;
/// For how long after that a trial is for others than those who have failed, where others have asked, in milliseconds.
const FOR_OTHERS: i64 = 500;
/// How often it is said at most that it refuses callers, in milliseconds.
const TOLD_EVERY: i64 = 60_000;
/// How many of those who have failed are known.
const SUSPECTS: usize = 32;
/// The longest that an endpoint is left alone because it says so, in milliseconds: what it says may be a slip.
const LONGEST_QUIET: i64 = 60_000;
/// Second tries: some each second, and one in ten beyond.
const RETRIES_PER_SECOND: u32 = 2;
const RETRY_SHARE: f32 = 0.1;
const BUDGET_WINDOW: Duration = Duration::from_secs(10);

// === impl Counter ===

impl Counter {
    pub(super) fn new() -> Self {
        let health = Health {
            breaker: Breaker::trying_every(TRY_EVERY),
            suspects: VecDeque::new(),
            failed_at: None,
            others: false,
            ok_at: None,
            refused_at: None,
            refused: 0,
            told_at: None,
            untold: 0,
        };
        Self {
            health: Mutex::new(health),
            quiet_until: AtomicI64::new(i64::MIN),
            flights: AtomicUsize::new(0),
            places: Semaphore::new(AT_ONCE),
            budget: TpsBudget::new(BUDGET_WINDOW, RETRIES_PER_SECOND, RETRY_SHARE),
        }
    }

    /// Whether an exchange for this key may set out now; where the endpoint is left alone, as the one that tries, alone.
    pub(super) fn admits(&self, key: &[u8; 32], now: i64) -> Option<Turn> {
        if self.is_quiet(now) { None } else { self.health().admits(key, now) }
    }

    /// Notes a token. Since when there was no answer of use, where that was said.
    pub(super) fn succeeded(&self, key: &[u8; 32], now: i64) -> Option<i64> {
        let mut health = self.health();
        (health.ok_at, health.refused) = (Some(now), 0);
        health.answered(key)
    }

    /// Notes an answer that is of this caller alone. How many there were since that was said last, where it is to be said.
    pub(super) fn refused(&self, key: &[u8; 32], now: i64) -> Option<u64> {
        let mut health = self.health();
        let _ = health.answered(key);
        (health.refused_at, health.refused, health.untold) = (Some(now), health.refused.saturating_add(1), health.untold.saturating_add(1));
        if health.told_at.is_some_and(|told| apart(told, now) < TOLD_EVERY) {
            return None;
        }
        health.told_at = Some(now);
        Some(std::mem::take(&mut health.untold))
    }

    /// Notes a fault of the endpoint itself; whether that is to be said.
    pub(super) fn failed(&self, key: &[u8; 32], turn: Turn, error: String, now: i64) -> bool {
        self.health().failed(key, turn, error, now)
    }

    /// Notes an answer that cannot be used; whether that is to be said.
    pub(super) fn answered_badly(&self, error: String, now: i64) -> bool {
        self.health().breaker.answered_badly(error, now)
    }

    /// Notes that an exchange did not set out after all; a trial leaves its turn to the next.
    pub(super) fn not_asked(&self, turn: Turn) {
        if turn == Turn::Trial {
            self.health().breaker.not_asked();
        }
    }

    /// Whether one more try is within what this endpoint may be asked beyond its callers' own number.
    pub(super) fn may_retry(&self) -> bool {
        self.budget.withdraw()
    }

    pub(super) fn asked(&self) {
        self.budget.deposit();
    }

    pub(super) fn is_full(&self) -> bool {
        self.flights.load(Ordering::Relaxed) >= MAX_FLIGHTS
    }

    pub(super) fn entered(&self) {
        self.flights.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left(&self) {
        self.flights.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that it wants to be left alone for so long; what it has said before counts on where that is longer. Whether it was not left alone until now.
    pub(super) fn leave_alone(&self, now: i64, seconds: u64) -> bool {
        let ms = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000).min(LONGEST_QUIET);
        let until = now.saturating_add(ms);
        let later = |before| if quiet(before, now) { until.max(before) } else { until };
        // What it is set to is always something, so that this cannot fail.
        let before = self.quiet_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| Some(later(before)));
        before.is_ok_and(|before| !quiet(before, now))
    }

    pub(super) fn is_quiet(&self, now: i64) -> bool {
        quiet(self.quiet_until.load(Ordering::Relaxed), now)
    }

    pub(super) fn unavailable(&self, target: &Target, why: &str, now: i64) -> Refusal {
        let since = self.health().breaker.outage(now);
        let detail = format!("the token endpoint of {} `{}` {why}", target.kind.type_name().to_lowercase(), target.name);
        Refusal { since, ..Refusal::new(Reason::CredentialUnavailable, detail) }
    }

    /// The same where nobody was asked, with the reason why.
    pub(super) fn left_alone(&self, target: &Target, now: i64) -> Refusal {
        let refusal = self.unavailable(target, "cannot be asked", now);
        let why = self.health().breaker.last_error().map(str::to_owned);
        match why {
            Some(why) => refusal.with_aside(format!("it is left alone, since {why}")),
            None => refusal.with_aside("it wants to be left alone".to_owned()),
        }
    }

    pub(super) fn status(&self, target: &Name, endpoint: &Endpoint, now: i64) -> EndpointStatus {
        let quiet_until = Some(self.quiet_until.load(Ordering::Relaxed)).filter(|until| quiet(*until, now));
        let seconds = |ms: i64| ms.div_euclid(1000);
        let health = self.health();
        let breaker = &health.breaker;
        EndpointStatus {
            target: target.to_string(),
            endpoint: endpoint.to_string(),
            failing_since: breaker.failing_since().map(|since| since.div_euclid(1000)),
            last_error: breaker.last_error().map(str::to_owned),
            open: breaker.is_open() || quiet_until.is_some(),
            degraded: breaker.is_failing(),
            quiet_until: quiet_until.map(seconds),
            last_ok: health.ok_at.map(seconds),
            last_refused: health.refused_at.map(seconds),
            refused_since_ok: health.refused,
        }
    }

    /// A panic elsewhere leaves what is good enough to go on with.
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `until` is still to come; a clock that was set back must not make it longer than it may be.
fn quiet(until: i64, now: i64) -> bool {
    now < until && until.saturating_sub(now) <= LONGEST_QUIET
}

// === impl Health ===

impl Health {
    fn answered(&mut self, key: &[u8; 32]) -> Option<i64> {
        self.suspects.retain(|suspect| suspect != key);
        self.breaker.succeeded()
    }

    fn admits(&mut self, key: &[u8; 32], now: i64) -> Option<Turn> {
        if !self.breaker.is_open() {
            return Some(Turn::Usual);
        }
        let suspect = self.suspects.contains(key);
        let for_others = self.others && self.failed_at.is_some_and(|failed| apart(failed, now) < TRY_EVERY + FOR_OTHERS);
        if !(suspect && for_others) && self.breaker.allows(now) {
            return Some(Turn::Trial);
        }
        self.others |= !suspect;
        None
    }

    /// Whoever has failed before and had no answer since counts once.
    fn failed(&mut self, key: &[u8; 32], turn: Turn, error: String, now: i64) -> bool {
        let known = self.suspects.contains(key);
        if !known {
            if self.suspects.len() >= SUSPECTS {
                self.suspects.pop_front();
            }
            self.suspects.push_back(*key);
        }
        // One that set out before it was left alone says nothing new, and must not put off the next trial.
        if turn == Turn::Usual && self.breaker.is_open() {
            return false;
        }
        (self.failed_at, self.others) = (Some(now), false);
        if known { self.breaker.failed_again(error, now) } else { self.breaker.failed(error, now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_set_out_before_it_was_left_alone_does_not_put_off_the_next_trial() {
        let counter = Counter::new();
        let failed = |number, turn, now| counter.failed(&[number; 32], turn, "it took too long".to_owned(), now);
        for number in 0..3 {
            assert_eq!(counter.admits(&[number; 32], 0), Some(Turn::Usual));
            assert_eq!(failed(number, Turn::Usual, 0), number == 2);
        }
        for number in 3..13 {
            failed(number, Turn::Usual, 900);
        }
        assert_eq!((counter.admits(&[99; 32], 999), counter.admits(&[99; 32], 1_000)), (None, Some(Turn::Trial)));
        // Nor does it end one that is under way, as one does that did not set out.
        failed(13, Turn::Usual, 1_001);
        counter.not_asked(Turn::Usual);
        assert_eq!(counter.admits(&[98; 32], 1_500), None);
        counter.not_asked(Turn::Trial);
        assert_eq!(counter.admits(&[98; 32], 1_501), Some(Turn::Trial));
        failed(98, Turn::Trial, 1_600);
        assert_eq!((counter.admits(&[99; 32], 2_599), counter.admits(&[99; 32], 2_600)), (None, Some(Turn::Trial)));
    }

    #[test]
    fn refusals_are_said_once_a_minute_and_counted_until_a_token_is_had() {
        let (counter, endpoint) = (Counter::new(), Endpoint::parse("https://ws.example/oidc/v1/token").unwrap());
        let said: Vec<Option<u64>> = [0, 1_000, 59_000, 60_000, 61_000].map(|now| counter.refused(&[1; 32], now)).to_vec();
        assert_eq!(said, [Some(1), None, None, Some(3), None]);
        let status = |now| counter.status(&Name::parse("prod").unwrap(), &endpoint, now);
        assert_eq!((status(0).refused_since_ok, status(0).last_refused, status(0).last_ok, status(0).degraded), (5, Some(61), None, false));
        counter.succeeded(&[2; 32], 70_000);
        assert_eq!((status(0).refused_since_ok, status(0).last_refused, status(0).last_ok), (0, Some(61), Some(70)));
    }

    /// Nobody new is served then, which has to show.
    #[test]
    fn an_endpoint_that_wants_to_be_left_alone_shows() {
        let (counter, endpoint) = (Counter::new(), Endpoint::parse("https://ws.example/oidc/v1/token").unwrap());
        assert!(counter.leave_alone(0, 30) && !counter.leave_alone(1_000, 5), "it is said once");
        let status = |now| counter.status(&Name::parse("prod").unwrap(), &endpoint, now);
        assert_eq!((status(29_000).open, status(29_000).quiet_until), (true, Some(30)));
        assert_eq!((status(30_000).open, status(30_000).quiet_until), (false, None));
        assert!(counter.leave_alone(40_000, 1), "and again");
    }

    #[test]
    fn what_says_more_of_being_left_alone_counts() {
        let counter = Counter::new();
        let hour = 3_600_000;
        for (now, seconds, until) in [(0, 30, 30_000), (1_000, 3, 30_000), (2_000, 40, 42_000), (hour, 60, hour + 60_000), (50_000, 1, 51_000)] {
            counter.leave_alone(now, seconds);
            assert!(counter.is_quiet(until - 1) && !counter.is_quiet(until), "{now} {seconds}");
        }
        counter.leave_alone(0, u64::MAX);
        assert!(counter.is_quiet(LONGEST_QUIET - 1) && !counter.is_quiet(LONGEST_QUIET));
    }
}
