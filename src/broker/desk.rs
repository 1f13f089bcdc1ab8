//! What is shared by all callers and outlives a reload: credentials, exchanges under way, and how each token endpoint is doing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Wanted,
    config::Exchange,
    counter::{Counter, EndpointStatus},
    flight::{Exchanged, Flight},
    manner::Manner,
    metrics::Metrics,
    minted::{Minted, Shelf},
    subject::Whom,
};
use crate::{
    clock::Clock,
    model::{Name, Reason, Refusal, Target},
    net::{Arrival, Client, Endpoint, Landing, Refusals},
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

/// A credential that a call needs.
#[derive(Clone, Copy)]
pub(super) struct Sought<'w> {
    pub exchange: &'w Arc<Exchange>,
    pub target: &'w Arc<Target>,
    pub wanted: &'w Wanted<'w>,
    pub whom: Whom<'w>,
    /// What it is kept under.
    pub key: [u8; 32],
}

/// Exchanges under way or waiting for a place, at all endpoints together.
const MAX_FLIGHTS: usize = 4096;

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
    pub(super) fn at_hand(self: &Arc<Self>, sought: &Sought<'_>) -> Option<Arc<Minted>> {
        let now = self.clock.now_ms();
        let minted = self.shelf.get(&sought.key, now)?;
        if minted.is_due(now, sought.exchange.bound(sought.wanted)) {
            // What comes of it is for the requests that follow.
            let _ = self.flight(sought, now);
        }
        Some(minted)
    }

    /// The credential for this caller, once it is had.
    ///
    /// # Errors
    /// `IdentityUnknown`, `CredentialRefused` or `CredentialUnavailable`.
    pub(super) async fn fetch(self: &Arc<Self>, sought: &Sought<'_>) -> Result<Arc<Minted>, Refusal> {
        let arrival = self.flight(sought, self.clock.now_ms())?;
        let died = || Err(Refusal::new(Reason::CredentialUnavailable, "the exchange of the caller's token ended early"));
        let minted = arrival.wait().await.map_or_else(died, |Exchanged(result)| result)?;
        // One that was long under way when this request came may have been for a token that ends now.
        if minted.counts(self.clock.now_ms()) {
            Ok(minted)
        } else {
            Err(Refusal::new(Reason::CredentialUnavailable, "the credential ended before it could be used"))
        }
    }

    /// The exchange for this caller that is under way, what has just come of one, or a new one.
    fn flight(self: &Arc<Self>, sought: &Sought<'_>, now: i64) -> Result<Arrival<Exchanged>, Refusal> {
        let Sought { exchange, target, wanted, whom, ref key } = *sought;
        let counter = self.counter(&exchange.endpoint);
        let counters = self.metrics.exchanges_of(&target.name);
        let caller_until = exchange.bound(wanted);
        let mut flights = self.flights();
        // One of which the task died is none.
        if let Some(arrival) = flights.get(key).filter(|arrival| arrival.is_to_come()) {
            return Ok(arrival.clone());
        }
        // What came of one is kept before it is struck out, so that whoever finds none here finds that.
        if let Some(refusal) = self.refusals.get(key, now) {
            return Err(refusal);
        }
        if let Some(minted) = self.shelf.get(key, now).filter(|minted| !minted.is_due(now, caller_until)) {
            return Ok(Arrival::landed(Exchanged(Ok(minted))));
        }
        if flights.len() >= MAX_FLIGHTS || counter.is_full() {
            counters.shed.inc();
            return Err(Refusal::new(Reason::CredentialUnavailable, "too many credentials are being asked for"));
        }
        let Some(turn) = counter.admits(key, now) else {
            counters.shed.inc();
            return Err(counter.left_alone(target, now));
        };
        let (landing, arrival) = Landing::new();
        let flight = Flight {
            desk: Arc::clone(self),
            counter: Arc::clone(&counter),
            counters,
            exchange: Arc::clone(exchange),
            target: Arc::clone(target),
            key: *key,
            manner: Manner::minting(exchange, whom, wanted),
            holder: whom.holder(),
            scope: exchange.scope(wanted.scope).into(),
            caller_until,
            turn,
            landing: Some(landing),
        };
        counter.entered();
        flight.counters.in_flight.inc();
        flights.insert(*key, arrival.clone());
        // It takes the lock when it ends, which may be at once.
        drop(flights);
        flight.begin();
        Ok(arrival)
    }

    /// Strikes out the exchange of this key, however it ended.
    pub(super) fn ended(&self, key: &[u8; 32], counter: &Counter) {
        let mut flights = self.flights();
        flights.remove(key);
        counter.left();
    }

    #[cfg(test)]
    pub(super) fn is_busy(&self) -> bool {
        !self.flights().is_empty()
    }

    pub(super) fn status(&self, target: &Name, exchange: &Exchange) -> EndpointStatus {
        self.counter(&exchange.endpoint).status(target, &exchange.endpoint, self.clock.now_ms())
    }

    pub(super) fn counter(&self, endpoint: &Endpoint) -> Arc<Counter> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(counters.entry(endpoint.clone()).or_insert_with(|| Arc::new(Counter::new())))
    }

    /// A panic elsewhere leaves what is good enough to go on with, here and below.
    fn flights(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arrival<Exchanged>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
