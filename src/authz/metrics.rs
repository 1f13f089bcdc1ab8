//! What this stage counts.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Handles shared by all authorizers that came from one another by reloads, so that counts go on.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    lookups: Family<Lookup, Counter>,
    pub(super) hits: Counter,
    pub(super) misses: Counter,
    pub(super) uncacheable: Counter,
    pub(super) policies: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lookup {
    outcome: LookupOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum LookupOutcome {
    Hit,
    Miss,
    /// A candidate policy read the time, or one failed.
    Uncacheable,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn new() -> Self {
        let lookups = Family::<Lookup, Counter>::default();
        let handle = |outcome| lookups.get_or_create(&Lookup { outcome }).clone();
        let (hits, misses, uncacheable) = (handle(LookupOutcome::Hit), handle(LookupOutcome::Miss), handle(LookupOutcome::Uncacheable));
        Self { lookups, hits, misses, uncacheable, policies: Gauge::default() }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("lakegate_authz_cache_lookups", "Decisions looked up in the decision cache", self.lookups.clone());
        registry.register("lakegate_authz_policies", "Policies in the set that was loaded last", self.policies.clone());
    }
}
