//! What is shared by all callers and outlives a reload: credentials, exchanges under way, and how each token endpoint is doing.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;
use tower::retry::budget::{Budget, TpsBudget};

use super::{
    Wanted,
    config::Exchange,
    flight::{Exchanged, Flight},
    manner::Manner,
    metrics::Metrics,
    minted::{Minted, Shelf},
    subject::Whom,
};
use crate::{
    clock::Clock,
    model::{Name, Reason, Refusal, Target},
    net::{Arrival, Breaker, Client, Endpoint, Refusals},
};

/// One for the life of the process.
#[derive(Debug)]
pub(super) struct Desk {
    pub client: Client,
    pub clock: Clock,
    pub shelf: Shelf,
    pub refusals: Refusals,
    pub metrics: Metrics,
    /// Those under way, by what their credential is kept under.
    flights: Mutex<HashMap<[u8; 32], Arrival<Exchanged>>>,
    counters: Mutex<HashMap<Endpoint, Arc<Counter>>>,
}

/// One token endpoint.
#[derive(Debug)]
pub(super) struct Counter {
    breaker: Mutex<Breaker>,
    /// Until when it wants to be left alone, in milliseconds since the epoch.
    quiet_until: AtomicI64,
    pub places: Semaphore,
    budget: TpsBudget,
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
}

/// Exchanges under way or waiting for a place.
const MAX_FLIGHTS: usize = 4096;
/// Exchanges under way at one endpoint.
const AT_ONCE: usize = 64;
/// How often an endpoint that fails is tried, in milliseconds: often enough to be back soon after it is.
const TRY_EVERY: i64 = 1_000;
/// The longest that an endpoint is left alone because it says so, in seconds: what it says may be a slip.
const LONGEST_QUIET: u64 = 60;
/// Second tries: some each second, and one in ten beyond.
const RETRIES_PER_SECOND: u32 = 2;
const RETRY_SHARE: f32 = 0.1;
const BUDGET_WINDOW: Duration = Duration::from_secs(10);

// === impl Desk ===

impl Desk {
    pub(super) fn new(client: Client, clock: Clock, cache_bytes: u64) -> Self {
        Self {
            client,
            shelf: Shelf::new(cache_bytes, clock.clone()),
            clock,
            refusals: Refusals::new(),
            metrics: Metrics::new(),
            flights: Mutex::default(),
            counters: Mutex::default(),
        }
    }

    /// The credential that is kept for this caller, where there is one that counts; another is fetched where it is due.
    pub(super) fn at_hand(
        self: &Arc<Self>,
        exchange: &Arc<Exchange>,
        target: &Arc<Target>,
        wanted: &Wanted<'_>,
        whom: Whom<'_>,
        key: &[u8; 32],
    ) -> Option<Arc<Minted>> {
        let now = self.clock.now_ms();
        let minted = self.shelf.get(key, now)?;
        if minted.is_due(now, exchange.bound(wanted)) && self.refusals.get(key, now).is_none() {
            // What comes of it is for the requests that follow.
            let _ = self.flight(exchange, target, wanted, whom, key, now);
        }
        Some(minted)
    }

    /// The credential for this caller, once it is had.
    ///
    /// # Errors
    /// `IdentityUnknown`, `CredentialRefused` or `CredentialUnavailable`.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        exchange: &Arc<Exchange>,
        target: &Arc<Target>,
        wanted: &Wanted<'_>,
        whom: Whom<'_>,
        key: &[u8; 32],
    ) -> Result<Arc<Minted>, Refusal> {
        let now = self.clock.now_ms();
        if let Some(refusal) = self.refusals.get(key, now) {
            return Err(refusal);
        }
        let arrival = self.flight(exchange, target, wanted, whom, key, now)?;
        let died = || Err(Refusal::new(Reason::CredentialUnavailable, "the exchange of the caller's token ended early"));
        let minted = arrival.wait().await.map_or_else(died, |Exchanged(result)| result)?;
        // One that was long under way when this request came may have been for a token that ends now.
        if minted.counts(self.clock.now_ms()) {
            Ok(minted)
        } else {
            Err(Refusal::new(Reason::CredentialUnavailable, "the credential ended before it could be used"))
        }
    }

    /// The exchange for this caller that is under way, or a new one.
    fn flight(
        self: &Arc<Self>,
        exchange: &Arc<Exchange>,
        target: &Arc<Target>,
        wanted: &Wanted<'_>,
        whom: Whom<'_>,
        key: &[u8; 32],
        now: i64,
    ) -> Result<Arrival<Exchanged>, Refusal> {
        let counter = self.counter(&exchange.endpoint);
        let counters = self.metrics.exchanges_of(&target.name);
        let mut flights = self.flights();
        // One of which the task died is none.
        if let Some(arrival) = flights.get(key).filter(|arrival| arrival.is_to_come()) {
            return Ok(arrival.clone());
        }
        if flights.len() >= MAX_FLIGHTS {
            counters.shed.inc();
            return Err(Refusal::new(Reason::CredentialUnavailable, "too many credentials are being asked for"));
        }
        if counter.is_quiet(now) || !counter.breaker().allows(now) {
            counters.shed.inc();
            return Err(counter.unavailable(target, "cannot be asked"));
        }
        let flight = Flight {
            desk: Arc::clone(self),
            counter,
            counters,
            exchange: Arc::clone(exchange),
            target: Arc::clone(target),
            key: *key,
            manner: Manner::minting(exchange, whom, wanted),
            holder: whom.holder(),
            scope: exchange.scope(wanted.scope).into(),
            caller_until: exchange.bound(wanted),
        };
        // It cannot end before it is entered, which it takes the lock for.
        let arrival = flight.begin();
        flights.insert(*key, arrival.clone());
        Ok(arrival)
    }

    pub(super) fn ended(&self, key: &[u8; 32]) {
        self.flights().remove(key);
    }

    #[cfg(test)]
    pub(super) fn is_busy(&self) -> bool {
        !self.flights().is_empty()
    }

    pub(super) fn status(&self, target: &Name, exchange: &Exchange) -> EndpointStatus {
        let counter = self.counter(&exchange.endpoint);
        let breaker = counter.breaker();
        EndpointStatus {
            target: target.to_string(),
            endpoint: exchange.endpoint.to_string(),
            failing_since: breaker.failing_since().map(|since| since.div_euclid(1000)),
            last_error: breaker.last_error().map(str::to_owned),
            open: breaker.is_open(),
            degraded: breaker.is_failing(),
        }
    }

    fn counter(&self, endpoint: &Endpoint) -> Arc<Counter> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(counters.entry(endpoint.clone()).or_insert_with(|| Arc::new(Counter::new())))
    }

    /// A panic elsewhere leaves what is good enough to go on with, here and below.
    fn flights(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arrival<Exchanged>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Counter ===

impl Counter {
    fn new() -> Self {
        Self {
            breaker: Mutex::new(Breaker::trying_every(TRY_EVERY)),
            quiet_until: AtomicI64::new(i64::MIN),
            places: Semaphore::new(AT_ONCE),
            budget: TpsBudget::new(BUDGET_WINDOW, RETRIES_PER_SECOND, RETRY_SHARE),
        }
    }

    pub(super) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more try is within what this endpoint may be asked beyond its callers' own number.
    pub(super) fn may_retry(&self) -> bool {
        self.budget.withdraw()
    }

    pub(super) fn asked(&self) {
        self.budget.deposit();
    }

    pub(super) fn leave_alone(&self, now: i64, seconds: u64) {
        let seconds = i64::try_from(seconds.min(LONGEST_QUIET)).unwrap_or_default();
        self.quiet_until.store(now.saturating_add(seconds.saturating_mul(1000)), Ordering::Relaxed);
    }

    fn is_quiet(&self, now: i64) -> bool {
        let until = self.quiet_until.load(Ordering::Relaxed);
        // A clock that was set back must not make it longer than it may be.
        now < until && until.saturating_sub(now) <= i64::try_from(LONGEST_QUIET).unwrap_or_default().saturating_mul(1000)
    }

    pub(super) fn unavailable(&self, target: &Target, why: &str) -> Refusal {
        let since = self.breaker().failing_since();
        let detail = format!("the token endpoint of {} `{}` {why}", target.kind.type_name().to_lowercase(), target.name);
        Refusal { since, ..Refusal::new(Reason::CredentialUnavailable, detail) }
    }
}
