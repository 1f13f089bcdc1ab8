//! How often each policy decided, and when last: what an operator cleans up by.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::{MetricType, counter::Counter},
};

use super::{Authorizer, load::Placed, permit::Outcome, policy::Compiled};

/// Of one policy. Sets that came from one another by reloads share it while the policy keeps its id and effect, and so do decisions that are kept, so
/// that a cached one is counted without being looked up. With the last set that has the policy it is gone.
#[derive(Debug)]
pub(super) struct Hits {
    count: AtomicU64,
    /// Unix milliseconds; 0 before the first.
    last_ms: AtomicI64,
    /// When the policy was first served, in Unix milliseconds; 0 before that.
    since_ms: AtomicI64,
    /// One of [`UNSEEN`], [`LISTED`] and [`UNLISTED`].
    place: AtomicU8,
    board: Arc<Board>,
}

/// What the hits of all policies share: how many of them have a series of their own in the metrics.
#[derive(Debug, Default)]
pub(super) struct Board {
    listed: AtomicUsize,
    /// Hits of policies without a series.
    pub(super) unlisted: Counter,
}

/// An outcome with the hits of the policies that determined it.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) outcome: Outcome,
    determining: Box<[Arc<Hits>]>,
}

/// How many policies have a series of their own: the first that are hit, each until it is gone.
pub(super) const LISTED_MOST: usize = 1000;

const UNSEEN: u8 = 0;
const LISTED: u8 = 1;
const UNLISTED: u8 = 2;

// === impl Authorizer ===

impl Authorizer {
    /// Counts decisions from `now_ms` on. A set that is only tried, beside the one that is served or in a command, is never told so and counts nothing.
    pub fn serve_from(&self, now_ms: i64) {
        for hits in &self.hits {
            hits.serve_from(now_ms);
        }
        self.serving.store(true, Relaxed);
    }

    /// Writes how often each policy decided; of the set that is served.
    ///
    /// # Errors
    /// The encoder's.
    pub fn encode_hits(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode(self.policies.iter().zip(&self.hits), encoder)
    }

    pub(super) fn serves(&self) -> bool {
        self.serving.load(Relaxed)
    }

    /// What the policy of the same id and effect has been hit.
    pub(super) fn hits_of(&self, policy: &Compiled) -> Option<Arc<Hits>> {
        let number = *self.by_id.get(&policy.id)?;
        self.policy(number).filter(|known| known.is_forbid() == policy.is_forbid())?;
        self.hits.get(number as usize).cloned()
    }
}

// === impl Hits ===

impl Hits {
    pub(super) fn new(board: &Arc<Board>) -> Arc<Self> {
        Arc::new(Self {
            count: AtomicU64::new(0),
            last_ms: AtomicI64::new(0),
            since_ms: AtomicI64::new(0),
            place: AtomicU8::new(UNSEEN),
            board: Arc::clone(board),
        })
    }

    pub(super) fn add(&self, now_ms: i64) {
        self.count.fetch_add(1, Relaxed);
        // most hits within a millisecond write nothing
        if self.last_ms.load(Relaxed) < now_ms {
            self.last_ms.fetch_max(now_ms, Relaxed);
        }
        let place = match self.place.load(Relaxed) {
            UNSEEN => self.take_place(),
            place => place,
        };
        if place == UNLISTED {
            self.board.unlisted.inc();
        }
    }

    pub(super) fn serve_from(&self, now_ms: i64) {
        // an error says that it is served already
        let _ = self.since_ms.compare_exchange(0, now_ms, Relaxed, Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    pub(super) fn last_ms(&self) -> Option<i64> {
        Some(self.last_ms.load(Relaxed)).filter(|last| *last != 0)
    }

    pub(super) fn since_ms(&self) -> Option<i64> {
        Some(self.since_ms.load(Relaxed)).filter(|since| *since != 0)
    }

    fn take_place(&self) -> u8 {
        let got = self.board.listed.fetch_update(Relaxed, Relaxed, |listed| (listed < LISTED_MOST).then_some(listed + 1)).is_ok();
        let place = if got { LISTED } else { UNLISTED };
        self.place.compare_exchange(UNSEEN, place, Relaxed, Relaxed).map_or_else(
            |other| {
                if got {
                    self.board.listed.fetch_sub(1, Relaxed);
                }
                other
            },
            |_| place,
        )
    }
}

impl Drop for Hits {
    fn drop(&mut self) {
        if *self.place.get_mut() == LISTED {
            self.board.listed.fetch_sub(1, Relaxed);
        }
    }
}

// === impl Decision ===

impl Decision {
    /// `find` gives the hits of a policy by its id.
    pub(super) fn new(outcome: Outcome, find: impl Fn(&str) -> Option<Arc<Hits>>) -> Self {
        let determining = outcome.determining().iter().filter_map(|id| find(id)).collect();
        Self { outcome, determining }
    }

    /// Counts a call that was decided so.
    pub(super) fn count(&self, now_ms: i64) {
        for hits in &self.determining {
            hits.add(now_ms);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.outcome.bytes().saturating_add(self.determining.len().saturating_mul(size_of::<Arc<Hits>>()))
    }
}

/// Writes one sample for each of the `policies` that has a series, with its `hits`.
pub(super) fn encode<'p>(policies: impl Iterator<Item = (&'p Placed, &'p Arc<Hits>)>, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Decisions that the policy determined, of the first 1,000 policies that determined any";
    let mut metric = encoder.encode_descriptor("lakegate_policy_hits", help, None, MetricType::Counter)?;
    for (placed, hits) in policies.filter(|(_, hits)| hits.place.load(Relaxed) == LISTED) {
        let labels = [("policy", &*placed.compiled.id), ("effect", placed.compiled.effect())];
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&hits.count(), None)?;
    }
    Ok(())
}
