use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

use super::{fetch::Origin, flight::Flights, keys::KeySet};
use crate::clock::Clock;

/// The keys of an issuer and the fetches that keep them fresh.
///
/// Shared by all configurations with the same issuer and source of keys: another audience or claim must not cost the last good keys of an issuer that
/// happens to be down.
#[derive(Debug)]
pub(super) struct Keyring {
    /// The identifier whose keys these are.
    issuer: String,
    pub origin: Origin,
    pub published: ArcSwapOption<Published>,
    flights: Mutex<Flights>,
}

/// The last good key set.
#[derive(Debug)]
pub(super) struct Published {
    pub keys: KeySet,
    /// When its fetch began, in milliseconds since the epoch.
    pub fetched_ms: i64,
}

// === impl Keyring ===

impl Keyring {
    /// Of the issuer with this identifier. Only a file's keys are there from the start.
    pub(super) fn new(issuer: &str, origin: Origin, clock: &Clock) -> Self {
        let published = match &origin {
            Origin::File(keys) => Some(Arc::new(Published { keys: keys.clone(), fetched_ms: clock.now_ms() })),
            Origin::Discovery(_) | Origin::Uri(_) => None,
        };
        Self { issuer: issuer.to_owned(), origin, published: ArcSwapOption::new(published), flights: Mutex::default() }
    }

    /// Whether it has the keys of this issuer from this place; of a file, the same keys.
    pub(super) fn is(&self, issuer: &str, origin: &Origin) -> bool {
        self.issuer == issuer && self.origin == *origin
    }

    /// A panic elsewhere leaves counters that are good enough to go on with.
    pub(super) fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
