use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::model::Name;

/// What the stage counts; one for the life of the process.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    exchanges: Family<ExchangeLabels, Counter>,
    seconds: Family<TargetLabels, Histogram>,
    in_flight: Family<TargetLabels, Gauge>,
    failing: Family<TargetLabels, Gauge>,
    held: Gauge,
}

/// The targets are those configured, so that there are few.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExchangeLabels {
    target: String,
    result: ExchangeResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    target: String,
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ExchangeResult {
    Ok,
    /// The endpoint has no token for this caller.
    Refused,
    /// No answer, or none that can be used.
    Failed,
    /// Not asked: too many were, or the endpoint is left alone.
    Shed,
}

/// The counters of one target's exchanges, resolved once for each.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    /// How long the endpoint took, in seconds, whatever came of it.
    pub seconds: Histogram,
    /// Those under way, and those that wait for a place.
    pub in_flight: Gauge,
    pub ok: Counter,
    pub refused: Counter,
    pub failed: Counter,
    pub shed: Counter,
}

/// From a connection at hand to the longest time of an exchange (8 s); what is beyond had no answer in time.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 4.0, 8.0];

// === impl Metrics ===

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            exchanges: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Family::default(),
            failing: Family::default(),
            held: Gauge::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("lakegate_broker_exchanges", "Exchanges of callers' identities for tokens of Databricks", self.exchanges.clone());
        registry.register(
            "lakegate_broker_exchange_seconds",
            "From when a target's token endpoint is asked to its answer, whatever that is, or the end of patience",
            self.seconds.clone(),
        );
        registry.register(
            "lakegate_broker_exchanges_in_flight",
            "Exchanges of a target that are under way, or wait for a place at its token endpoint",
            self.in_flight.clone(),
        );
        registry.register(
            "lakegate_broker_endpoint_failing",
            "1 where a target's token endpoint cannot be asked, or gives no answer that can be used",
            self.failing.clone(),
        );
        registry.register("lakegate_broker_credentials", "Credentials that are held in memory", self.held.clone());
    }

    pub(super) fn show(&self, held: u64, failing: impl Iterator<Item = (String, bool)>) {
        self.held.set(i64::try_from(held).unwrap_or(i64::MAX));
        self.failing.clear();
        for (target, failing) in failing {
            self.failing.get_or_create(&TargetLabels { target }).set(i64::from(failing));
        }
    }

    pub(super) fn exchanges_of(&self, target: &Name) -> Counters {
        let of = || TargetLabels { target: target.to_string() };
        let counter = |result| self.exchanges.get_or_create_owned(&ExchangeLabels { target: target.to_string(), result });
        Counters {
            seconds: self.seconds.get_or_create_owned(&of()),
            in_flight: self.in_flight.get_or_create_owned(&of()),
            ok: counter(ExchangeResult::Ok),
            refused: counter(ExchangeResult::Refused),
            failed: counter(ExchangeResult::Failed),
            shed: counter(ExchangeResult::Shed),
        }
    }
}

// === impl ExchangeResult ===

impl EncodeLabelValue for ExchangeResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let name = match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Shed => "shed",
        };
        name.encode(encoder)
    }
}
