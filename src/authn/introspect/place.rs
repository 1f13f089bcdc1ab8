//! Where an issuer is asked: as configured, else as its discovery document says, which is looked at again from time to time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::{sync::watch, time::timeout};

use super::super::{
    fetch,
    flight::{Boarding, Cause, Flights},
};
use crate::{
    clock::{Clock, apart},
    net::{Client, Endpoint},
};

/// The address of an issuer's endpoint. Once it is known, nobody waits for the discovery document again: that may hang while the endpoint is well.
#[derive(Debug)]
pub(super) struct Place {
    configured: Option<Endpoint>,
    found: ArcSwapOption<Found>,
    looks: Mutex<Flights>,
    client: Client,
    clock: Clock,
}

#[derive(Debug)]
struct Found {
    endpoint: Endpoint,
    /// When the document was asked for, in milliseconds since the epoch.
    at: i64,
}

/// The age at which the document is looked at again, in milliseconds.
const RENEWAL: i64 = 600_000;
/// The time of one look, whatever the client allows: less than that of the question which waits for the first.
const LOOK: Duration = Duration::from_secs(5);

// === impl Place ===

impl Place {
    pub(super) fn new(configured: Option<Endpoint>, client: Client, clock: Clock) -> Self {
        Self { configured, found: ArcSwapOption::empty(), looks: Mutex::default(), client, clock }
    }

    /// Where `issuer` is asked; waits only while that was never known.
    ///
    /// # Errors
    /// Why the document is of no use.
    pub(super) async fn endpoint(self: &Arc<Self>, issuer: &str) -> Result<Endpoint, String> {
        let now = self.clock.now_ms();
        if let Some(endpoint) = self.known() {
            if self.found.load().as_ref().is_some_and(|found| apart(found.at, now) >= RENEWAL) {
                // The look goes on behind the question.
                let _ = self.look(issuer, now);
            }
            return Ok(endpoint);
        }
        if let Some(mut landed) = self.look(issuer, now) {
            // The sender never sends: the wait ends when it is dropped.
            let _ = landed.changed().await;
        }
        self.known().ok_or_else(|| self.looks().last_error().unwrap_or("the discovery document is not there").to_owned())
    }

    /// As far as it is known now.
    pub(super) fn known(&self) -> Option<Endpoint> {
        self.configured.clone().or_else(|| self.found.load().as_ref().map(|found| found.endpoint.clone()))
    }

    /// The look at the document that is under way, or a new one, or `None` where it is too soon for one.
    fn look(self: &Arc<Self>, issuer: &str, now: i64) -> Option<watch::Receiver<()>> {
        match self.looks().board(Cause::Age, now) {
            Boarding::Wait => None,
            Boarding::Join(landed) => Some(landed),
            Boarding::Start(landing, landed) => {
                let (place, issuer) = (Arc::clone(self), issuer.to_owned());
                tokio::spawn(async move {
                    let found = timeout(LOOK, fetch::introspection_endpoint(&issuer, &place.client)).await;
                    let found =
                        found.map_or_else(|_| Err("the discovery document took too long".to_owned()), |found| found.map_err(|e| e.to_string()));
                    place.land(found, &issuer, now);
                    drop(landing);
                });
                Some(landed)
            }
        }
    }

    fn land(&self, found: Result<Endpoint, String>, issuer: &str, at: i64) {
        match found {
            Ok(endpoint) => {
                self.found.store(Some(Arc::new(Found { endpoint, at })));
                self.looks().succeeded();
            }
            Err(error) => {
                if self.looks().failed(error.clone(), self.clock.now_ms()) {
                    tracing::warn!(
                        issuer,
                        error,
                        "it cannot be found out where an issuer is asked about tokens; the last place counts, if there is one"
                    );
                }
            }
        }
    }

    /// A panic elsewhere leaves counters that are good enough to go on with.
    fn looks(&self) -> MutexGuard<'_, Flights> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
