//! What this stage counts.

use std::{fmt, sync::Arc};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::hits::Board;

/// Handles shared by all authorizers that came from one another by reloads, so that counts go on.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    lookups: Family<Lookup, Counter>,
    pub(super) cached: Counter,
    pub(super) decided: Counter,
    pub(super) uncacheable: Counter,
    pub(super) board: Arc<Board>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lookup {
    result: LookupResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LookupResult {
    /// Decided before.
    Cached,
    Decided,
    /// Decided and not kept: a candidate policy read the time, or one failed.
    Uncacheable,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn new() -> Self {
        let lookups = Family::<Lookup, Counter>::default();
        let handle = |result| lookups.get_or_create_owned(&Lookup { result });
        let (cached, decided, uncacheable) = (handle(LookupResult::Cached), handle(LookupResult::Decided), handle(LookupResult::Uncacheable));
        Self { lookups, cached, decided, uncacheable, board: Arc::default() }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("lakegate_authz_cache_lookups", "Decisions looked up in the decision cache", self.lookups.clone());
        let help = "Decisions that policies without a series of their own in lakegate_policy_hits determined";
        registry.register("lakegate_policy_hits_unlisted", help, self.board.unlisted.clone());
    }
}

// === impl LookupResult ===

impl EncodeLabelValue for LookupResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::Cached => "cached",
            Self::Decided => "decided",
            Self::Uncacheable => "uncacheable",
        };
        name.encode(encoder)
    }
}
