use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwapOption;

use super::{
    fetch::Origin,
    flight::Flights,
    keys::KeySet,
    shelf::{self, Label},
};
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
    /// When the set that was written to disk last was fetched; locked while one is being written.
    kept_ms: Mutex<i64>,
    /// Why what was stored is of no use, until it is said: the log begins only after the first keyrings are made.
    unsaid: Mutex<Option<String>>,
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
        let published = ArcSwapOption::new(published);
        Self { issuer: issuer.to_owned(), origin, published, flights: Mutex::default(), kept_ms: Mutex::new(i64::MIN), unsaid: Mutex::default() }
    }

    /// Begins with the keys in `file`, where they are of use; a fetch that succeeds replaces them, however it turns out.
    pub(super) fn remembering(self, file: Option<&Path>, clock: &Clock, max_age_ms: i64) -> Self {
        if let (Some(file), Some(label)) = (file, self.label()) {
            match shelf::load(file, label, clock.now_ms(), max_age_ms) {
                Ok(Some(published)) => self.published.store(Some(Arc::new(published))),
                Ok(None) => {}
                Err(error) => *self.unsaid() = Some(format!("{}: {error}", file.display())),
            }
        }
        self
    }

    /// Says once what is wrong with what was stored, if anything is.
    pub(super) fn say(&self) {
        if let Some(error) = self.unsaid().take() {
            tracing::warn!(issuer = self.issuer, error, "a stored key set is of no use; the issuer is asked");
        }
    }

    fn unsaid(&self) -> MutexGuard<'_, Option<String>> {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a set to `file`, unless a newer one is there. Blocks.
    pub(super) fn keep(&self, file: &Path, text: &[u8], fetched_ms: i64) {
        let mut kept_ms = self.kept_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(label) = self.label().filter(|_| *kept_ms < fetched_ms) else { return };
        match shelf::save(file, label, text, fetched_ms) {
            Ok(()) => *kept_ms = fetched_ms,
            Err(error) => tracing::error!(file = %file.display(), %error, "a key set cannot be stored; a restart would need its issuer"),
        }
    }

    fn label(&self) -> Option<Label<'_>> {
        self.origin.address().map(|source| Label { issuer: &self.issuer, source })
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
