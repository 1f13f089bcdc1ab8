//! How many tokens that turn out to be nothing a workload may have asked about: whoever makes tokens up uses up its own allowance, not the issuer's time.

use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;

use crate::clock::apart;

/// What each workload may still ask.
#[derive(Debug)]
pub(super) struct Allowance(Cache<String, Arc<Account>>);

/// The account of one workload: what it has used, which is forgotten at a steady rate.
#[derive(Debug)]
pub(super) struct Account(Mutex<Used>);

/// In thousandths of a question; the time in milliseconds since the epoch.
#[derive(Debug, Default)]
struct Used {
    count: i64,
    at: i64,
}

/// How many questions without a good answer, or without one yet, a workload may have.
pub(super) const MOST: i64 = 200;
/// How many of them are forgotten each second.
pub(super) const FORGOTTEN_PER_SECOND: i64 = 5;
/// How many workloads are told apart.
const WORKLOADS: u64 = 10_000;
const ONE: i64 = 1000;

// === impl Allowance ===

impl Allowance {
    pub(super) fn new() -> Self {
        Self(Cache::new(WORKLOADS))
    }

    /// Charges `peer` for a question, unless it has used up what it may; a question that was worth asking is to be [given back](Account::give_back).
    pub(super) fn charge(&self, peer: &str, now: i64) -> Option<Arc<Account>> {
        let account = self.0.get(peer).unwrap_or_else(|| self.0.get_with(peer.to_owned(), || Arc::new(Account(Mutex::default()))));
        account.charge(now).then_some(account)
    }
}

// === impl Account ===

impl Account {
    fn charge(&self, now: i64) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One thousandth in a millisecond is one in a second.
        let count = used.count.saturating_sub(apart(used.at, now).saturating_mul(FORGOTTEN_PER_SECOND)).max(0);
        let fits = count <= (MOST - 1).saturating_mul(ONE);
        *used = Used { count: if fits { count.saturating_add(ONE) } else { count }, at: now };
        fits
    }

    pub(super) fn give_back(&self) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.count = used.count.saturating_sub(ONE).max(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_workload_uses_up_its_own_allowance_alone() {
        let allowance = Allowance::new();
        let minute = 60_000;
        let asked = (0..100_000).filter(|i| allowance.charge("garbage", 1_000_000 + i * minute / 100_000).is_some()).count();
        let most = usize::try_from(MOST + 60 * FORGOTTEN_PER_SECOND).unwrap();
        assert!(asked <= most && asked >= most - 2, "{asked}");
        assert!(allowance.charge("other", 1_000_000 + minute).is_some());
        assert!(allowance.charge("garbage", 1_000_000 + 3 * minute).is_some());
    }

    #[test]
    fn good_tokens_cost_nothing() {
        let allowance = Allowance::new();
        for i in 0..100_000 {
            allowance.charge("gateway", 1_000_000).unwrap_or_else(|| panic!("{i}")).give_back();
        }
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nobody() {
        let allowance = Allowance::new();
        while allowance.charge("w", 10_000_000).is_some() {}
        assert!(allowance.charge("w", 0).is_some());
    }
}
