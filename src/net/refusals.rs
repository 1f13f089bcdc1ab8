//! What is known of questions that came to nothing, for a short time.

use std::{sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync};

use crate::{clock::apart, model::Refusal};

/// Refusals by the digest of what was asked about, bounded in bytes; of more, those that were not asked for longest are forgotten.
#[derive(Debug)]
pub struct Refusals(sync::Cache<[u8; 32], Arc<Remembered>>);

#[derive(Debug)]
struct Remembered {
    refusal: Refusal,
    /// When it was given, and how long it counts, in milliseconds.
    at: i64,
    lasts: i64,
}

/// The longest that one counts, in milliseconds.
const LONGEST: i64 = 5_000;
const BYTES: u64 = 8 << 20;
/// What each takes, in bytes.
const WEIGHT: u32 = 512;

// === impl Refusals ===

impl Refusals {
    #[must_use]
    pub fn new() -> Self {
        Self::of(BYTES)
    }

    /// In a flood the latest refusals are those that are asked for again, which the cache's own policy would not let in.
    fn of(bytes: u64) -> Self {
        let cache = sync::Cache::builder().max_capacity(bytes).weigher(|_, _| WEIGHT).eviction_policy(EvictionPolicy::lru());
        Self(cache.time_to_live(Duration::from_millis(LONGEST.unsigned_abs())).build())
    }

    /// The refusal that counts now.
    #[must_use]
    pub fn get(&self, digest: &[u8; 32], now: i64) -> Option<Refusal> {
        let remembered = self.0.get(digest).filter(|remembered| apart(remembered.at, now) < remembered.lasts)?;
        Some(remembered.refusal.clone())
    }

    /// Remembers a refusal of this time for `lasts` milliseconds, [`LONGEST`] at most.
    pub fn insert(&self, digest: [u8; 32], refusal: Refusal, at: i64, lasts: i64) {
        self.0.insert(digest, Arc::new(Remembered { refusal, at, lasts: lasts.min(LONGEST) }));
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest, model::Reason};

    #[test]
    fn the_latest_are_remembered_however_many_there_are() {
        let refusals = Refusals::of(100 * u64::from(WEIGHT));
        let refusal = Refusal::new(Reason::TokenInactive, "ended");
        let digest = |name: String| digest::of(name.as_bytes());
        for i in 0..100 {
            refusals.insert(digest(format!("old-{i}")), refusal.clone(), 0, LONGEST);
        }
        refusals.0.run_pending_tasks();
        for i in (0..100).cycle().take(1_000) {
            assert!(refusals.get(&digest(format!("old-{i}")), 0).is_some());
        }
        for i in 0..50 {
            refusals.insert(digest(format!("new-{i}")), refusal.clone(), 0, LONGEST);
            refusals.0.run_pending_tasks();
            assert!(refusals.get(&digest(format!("new-{i}")), 0).is_some(), "{i}");
        }
        assert!(refusals.0.weighted_size() <= 100 * u64::from(WEIGHT));
    }

    #[test]
    fn one_counts_for_its_time_and_takes_room_no_longer() {
        let refusals = Refusals::new();
        refusals.insert([1; 32], Refusal::new(Reason::TokenInactive, "ended"), 10_000, 1_000);
        for (now, counts) in [(10_000, true), (10_999, true), (11_000, false), (0, false)] {
            assert_eq!(refusals.get(&[1; 32], now).is_some(), counts, "{now}");
        }
        assert_eq!(refusals.0.policy().time_to_live(), Some(Duration::from_secs(5)));
    }
}
