//! Asking an issuer whether a token is active (RFC 7662), as often as the configured window says and no more.
//!
//! One question at a time for each token; it is a task of its own with a deadline of its own, on which requests only wait, so that its answer serves the
//! retry of a caller that could not. How many questions are under way is bounded, tokens that were active go before those never seen, and a workload
//! whose tokens turn out to be nothing is asked for less and less. Where the issuer cannot be asked, nobody passes.

mod allowance;
mod answer;
mod client_auth;
mod config;
mod flight;
mod place;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Semaphore, time::timeout};

pub(super) use self::client_auth::Credentials;
pub use self::config::{AssertionAudience, ClientAuth, IntrospectWhen, IntrospectionConfig};
use self::{
    allowance::Allowance,
    flight::{Asked, Flight, PATIENCE},
    place::Place,
};
use super::{
    cache::{Cache, Verified},
    issuer::Issuer,
    metrics::IntrospectionCounters,
};
use crate::{
    clock::{Clock, apart},
    model::{Reason, Refusal, Secret, SpiffeId},
    net::{Arrival, Breaker, Client, Refusals},
};

/// The questions to one issuer's endpoint.
#[derive(Debug)]
pub(super) struct Introspector {
    pub config: IntrospectionConfig,
    pub credentials: Credentials,
    client: Client,
    clock: Clock,
    counters: IntrospectionCounters,
    place: Arc<Place>,
    /// Those under way, by the SHA-256 of the token.
    flights: Mutex<HashMap<[u8; 32], Arrival<Asked>>>,
    health: Mutex<Breaker>,
    allowance: Allowance,
    /// Places for tokens that were active when last asked about; and for others, which cannot take those places.
    known: Semaphore,
    unknown: Semaphore,
    refusals: Refusals,
}

/// A token that is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'q> {
    pub token: &'q str,
    /// The SHA-256 of the token.
    pub digest: [u8; 32],
    /// Who presents it, whose questions these are.
    pub peer: Option<&'q SpiffeId>,
    /// Where a good answer is kept.
    pub cache: &'q Cache,
    /// Whether it was active before.
    pub known: bool,
}

/// What is known of a token before it is asked about.
#[derive(Clone, Debug)]
pub(super) enum About {
    Opaque,
    /// Its signature has been verified.
    Signed(Arc<Verified>),
}

/// How asking is going. Times are in seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IntrospectionStatus {
    /// `None` until the discovery document has named it.
    pub endpoint: Option<String>,
    pub failing_since: Option<i64>,
    /// Why it could not be asked last; `None` once it can.
    pub last_error: Option<String>,
    /// Whether it is left alone for the time being, so that every token it would have to be asked about is refused at once.
    pub open: bool,
}

/// Questions under way to one endpoint, of each of both kinds.
const AT_ONCE: usize = 64;
/// Questions under way or waiting for a place.
const MAX_FLIGHTS: usize = 2048;
/// How many there may be for one more to set out about a token that was never seen: the rest is for those that were active.
const MAX_UNKNOWN_FLIGHTS: usize = MAX_FLIGHTS / 2;

// === impl Introspector ===

impl Introspector {
    pub(super) fn new(config: IntrospectionConfig, credentials: Credentials, client: Client, clock: Clock, counters: IntrospectionCounters) -> Self {
        let place = Arc::new(Place::new(config.endpoint.clone(), client.clone(), clock.clone()));
        Self {
            config,
            credentials,
            client,
            clock,
            counters,
            place,
            flights: Mutex::default(),
            health: Mutex::default(),
            allowance: Allowance::new(),
            known: Semaphore::new(AT_ONCE),
            unknown: Semaphore::new(AT_ONCE),
            refusals: Refusals::new(),
        }
    }

    /// Whether what was answered at `asked_ms` still counts.
    pub(super) fn is_fresh(&self, asked_ms: Option<i64>) -> bool {
        asked_ms.is_some_and(|asked| apart(asked, self.clock.now_ms()) < self.window_ms())
    }

    fn window_ms(&self) -> i64 {
        self.config.window_s.saturating_mul(1000)
    }

    /// What `issuer` says of the token now; waits for it no longer than a request can.
    ///
    /// # Errors
    /// `TokenInactive`, what is wrong with the facts in the answer, or `IntrospectionUnavailable`.
    pub(super) async fn ask(self: &Arc<Self>, issuer: &Arc<Issuer>, question: Question<'_>, about: About) -> Result<Arc<Verified>, Refusal> {
        let now = self.clock.now_ms();
        if let Some(refusal) = self.refusals.get(&question.digest, now) {
            return Err(refusal);
        }
        let arrival = self.flight(issuer, question, about, now)?;
        match timeout(PATIENCE, arrival.wait()).await.ok().flatten().map(|Asked(result)| result) {
            // One that was long under way when this request came may be older than an answer may be.
            Some(Ok(verified)) if verified.asked_ms < Some(now) && !self.is_fresh(verified.asked_ms) => None,
            landed => landed,
        }
        .unwrap_or_else(|| Err(self.unavailable(issuer, "has not answered yet")))
    }

    /// The question about this token that is under way, or a new one.
    fn flight(self: &Arc<Self>, issuer: &Arc<Issuer>, question: Question<'_>, about: About, now: i64) -> Result<Arrival<Asked>, Refusal> {
        let mut flights = self.flights();
        // One of which the task died is none.
        if let Some(arrival) = flights.get(&question.digest).filter(|arrival| arrival.is_to_come()) {
            return Ok(arrival.clone());
        }
        if flights.len() >= if question.known { MAX_FLIGHTS } else { MAX_UNKNOWN_FLIGHTS } {
            self.counters.shed.inc();
            return Err(Refusal::new(
                Reason::IntrospectionUnavailable,
                format!("issuer `{}` is being asked about too many tokens", issuer.config.name),
            ));
        }
        let account = if question.known {
            None
        } else {
            let peer = question.peer.map_or("", SpiffeId::as_str);
            let account = self.allowance.charge(peer, now).ok_or_else(|| {
                self.counters.shed.inc();
                let detail = format!("issuer `{}` was asked about too many tokens of this workload that are not active", issuer.config.name);
                Refusal::new(Reason::IntrospectionUnavailable, detail)
            })?;
            Some(account)
        };
        if !self.health().allows(now) {
            if let Some(account) = account {
                account.give_back();
            }
            self.counters.shed.inc();
            return Err(self.unavailable(issuer, "cannot be asked"));
        }
        let flight = Flight {
            introspector: Arc::clone(self),
            issuer: Arc::clone(issuer),
            token: Secret::new(question.token),
            digest: question.digest,
            cache: question.cache.clone(),
            known: question.known,
            about,
            account,
        };
        // It cannot end before it is entered, which it takes the lock for.
        let arrival = flight.begin();
        flights.insert(question.digest, arrival.clone());
        Ok(arrival)
    }

    fn unavailable(&self, issuer: &Issuer, why: &str) -> Refusal {
        let since = self.health().outage(self.clock.now_ms());
        let detail = format!("issuer `{}` {why} whether the token is active", issuer.config.name);
        Refusal { since, ..Refusal::new(Reason::IntrospectionUnavailable, detail) }
    }

    pub(super) fn status(&self) -> IntrospectionStatus {
        let health = self.health();
        IntrospectionStatus {
            endpoint: self.place.known().map(|endpoint| endpoint.to_string()),
            failing_since: health.failing_since().map(|since| since.div_euclid(1000)),
            last_error: health.last_error().map(str::to_owned),
            open: health.is_open(),
        }
    }

    /// Whether its tokens cannot be asked about, or not with an answer that is of use.
    pub(super) fn is_failing(&self) -> bool {
        self.health().is_failing()
    }

    /// Notes that lakegate's own credentials are refused, which is the endpoint's `error` for whoever asks; whether that is new.
    fn denied(&self, error: &str, now: i64) -> bool {
        let mut health = self.health();
        let new = health.last_error() != Some(error);
        health.failed(error.to_owned(), now);
        new
    }

    /// A panic elsewhere leaves what is good enough to go on with, here and below.
    fn flights(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arrival<Asked>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Breaker> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
