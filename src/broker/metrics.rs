use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::model::Name;

/// What the stage counts; one for the life of the process.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    exchanges: Family<ExchangeLabels, Counter>,
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

/// The counters of one target's exchanges.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    pub ok: Counter,
    pub refused: Counter,
    pub failed: Counter,
    pub shed: Counter,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn new() -> Self {
        Self { exchanges: Family::default(), failing: Family::default(), held: Gauge::default() }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("lakegate_broker_exchanges", "Exchanges of callers' identities for tokens of Databricks", self.exchanges.clone());
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
        let counter = |result| self.exchanges.get_or_create_owned(&ExchangeLabels { target: target.to_string(), result });
        Counters {
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
