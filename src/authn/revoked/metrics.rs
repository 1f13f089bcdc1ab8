use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Kind, State};

#[derive(Debug)]
pub(super) struct Metrics {
    held: Family<KindLabels, Gauge>,
    places: Gauge,
    limit: Family<MakerLabels, Gauge>,
    degraded: Gauge,
    pub refused: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MakerLabels {
    maker: &'static str,
}

/// Those that are counted.
const KINDS: [(Kind, &str); 4] = [(Kind::Token, "token"), (Kind::Session, "session"), (Kind::Subject, "subject"), (Kind::Issuer, "issuer")];

// === impl Metrics ===

impl Metrics {
    pub(super) fn new() -> Self {
        let new = Self {
            held: Family::default(),
            places: Gauge::default(),
            limit: Family::default(),
            degraded: Gauge::default(),
            refused: Counter::default(),
        };
        for (_, kind) in KINDS {
            drop(new.held.get_or_create(&KindLabels { kind }));
        }
        new
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("lakegate_authn_revocations", "Revocations that count", self.held.clone());
        registry.register("lakegate_authn_revocations_held", "Revocations that take a place, lifted ones too", self.places.clone());
        registry.register("lakegate_authn_revocations_limit", "Places, by who makes a revocation", self.limit.clone());
        registry.register("lakegate_authn_revocations_degraded", "1 where revocations are not on disk that should be", self.degraded.clone());
        registry.register("lakegate_authn_revoked", "Calls refused since their token is revoked", self.refused.clone());
    }

    pub(super) fn show(&self, state: &State) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for (which, kind) in KINDS {
            let count = state.counts.get(&which).copied().unwrap_or_default();
            self.held.get_or_create(&KindLabels { kind }).set(number(count));
        }
        self.places.set(number(state.held));
        for (maker, limit) in [("issuer", state.places.logouts), ("operator", state.places.all)] {
            self.limit.get_or_create(&MakerLabels { maker }).set(number(limit));
        }
        self.degraded.set(i64::from(state.broken.is_some()));
    }
}
