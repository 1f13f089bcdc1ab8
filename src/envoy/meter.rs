//! A count with a limit: checks in flight, bytes of messages in memory, connections.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How much of a limit is in use.
#[derive(Clone, Debug)]
pub(super) struct Meter(Arc<Count>);

#[derive(Debug)]
struct Count {
    used: AtomicUsize,
    limit: usize,
}

/// A part of a [`Meter`], given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    meter: Meter,
    amount: usize,
}

// === impl Meter ===

impl Meter {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Count { used: AtomicUsize::new(0), limit }))
    }

    /// `amount` of what is left, or `None` where less is left.
    pub(super) fn take(&self, amount: usize) -> Option<Share> {
        let mut share = Share { meter: self.clone(), amount: 0 };
        share.grow(amount).then_some(share)
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.0.used.load(Ordering::Acquire)
    }
}

// === impl Share ===

impl Share {
    /// Takes `more` on top; false, and nothing taken, where less is left.
    pub(super) fn grow(&mut self, more: usize) -> bool {
        let count = &self.meter.0;
        let fits = |used: usize| used.checked_add(more).filter(|sum| *sum <= count.limit);
        let taken = count.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok();
        if taken {
            // Bounded by the limit just checked.
            self.amount = self.amount.saturating_add(more);
        }
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.meter.0.used.fetch_sub(self.amount, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_given_back_once() {
        let meter = Meter::new(10);
        let mut share = meter.take(4).expect("four of ten");
        assert!(share.grow(6));
        assert!(!share.grow(1), "all ten are taken");
        assert!(meter.take(1).is_none());
        assert_eq!(meter.used(), 10);
        drop(share);
        assert_eq!(meter.used(), 0);
        assert!(meter.take(11).is_none(), "more than there is");
        assert!(meter.take(usize::MAX).is_none());
        assert_eq!(meter.used(), 0);
    }
}
