//! How many calls were decided how, and how long it took.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};

use crate::{audit::Decision, model::Reason, telemetry::Registry};

/// Handles resolved once; counting a decision is an addition and an uncontended lock.
#[derive(Debug)]
pub(super) struct Metrics {
    /// By mode and outcome, see [`Metrics::count`].
    decisions: [Vec<Counter>; 2],
    duration: Histogram,
    unknown: Family<UnknownLabels, Counter>,
    pub(super) comparisons: Comparisons,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    decision: Word,
    reason: Word,
    mode: Word,
}

/// Where a call was that the catalog does not have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UnknownLabels {
    method: Word,
    /// As far as the catalog knows it, so that callers cannot make labels.
    path: String,
}

/// What the candidate policies say, held against what was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    WouldAllow,
    WouldDeny,
    /// They deny too, for another reason.
    OtherReason,
    Same,
    /// Not asked: too many calls, or a candidate too slow for them.
    Skipped,
    /// It panicked.
    Failed,
}

/// How often the candidate policies said what.
#[derive(Clone, Debug)]
pub(super) struct Comparisons([Counter; 6]);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: Word,
}

/// A label value of a closed vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Word(&'static str);

/// From a cached decision (tens of microseconds) to Istio's usual deadline (0.5 s).
const BUCKETS: [f64; 14] = [0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.02, 0.1, 0.25, 0.45, 0.5, 2.0];

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

const MODES: [&str; 2] = ["enforce", "shadow"];

// === impl Word ===

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let family = Family::<Labels, Counter>::default();
        registry.register("lakegate_decisions", "Decisions by outcome, reason and mode", family.clone());
        let duration = Histogram::new(BUCKETS);
        let unknown = Family::<UnknownLabels, Counter>::default();
        registry.register("lakegate_unknown_calls", "Calls that the catalog does not have, by as much of their path as it knows", unknown.clone());
        registry.register("lakegate_check_duration_seconds", "From the decoded check to its answer", duration.clone());
        let counter = |mode: &'static str, decision: Decision, reason: &'static str| {
            family.get_or_create_owned(&Labels { decision: Word(decision.as_str()), reason: Word(reason), mode: Word(mode) })
        };
        let decisions = MODES.map(|mode| {
            let mut all = vec![counter(mode, Decision::Allow, "ALLOWED"), counter(mode, Decision::Answer, "ALLOWED")];
            all.extend(Reason::ALL.map(|reason| counter(mode, Decision::Deny, reason.code())));
            all
        });
        Self { decisions, duration, unknown, comparisons: Comparisons::new(registry) }
    }

    /// A call that the catalog does not have.
    pub(super) fn unknown(&self, method: &str, path: String) {
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or("other");
        self.unknown.get_or_create_owned(&UnknownLabels { method: Word(method), path }).inc();
    }

    pub(super) fn count(&self, decision: Decision, reason: Option<Reason>, shadow: bool, took: Duration) {
        let [enforced, shadowed] = &self.decisions;
        let index = match reason {
            Some(reason) => 2 + reason as usize,
            None => usize::from(decision == Decision::Answer),
        };
        if let Some(counter) = if shadow { shadowed } else { enforced }.get(index) {
            counter.inc();
        }
        self.duration.observe(took.as_secs_f64());
    }
}

// === impl Outcome ===

impl Outcome {
    const ALL: [Self; 6] = [Self::WouldAllow, Self::WouldDeny, Self::OtherReason, Self::Same, Self::Skipped, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::WouldAllow => "would_allow",
            Self::WouldDeny => "would_deny",
            Self::OtherReason => "other_reason",
            Self::Same => "same",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

// === impl Comparisons ===

impl Comparisons {
    fn new(registry: &mut Registry) -> Self {
        let family = Family::<OutcomeLabels, Counter>::default();
        registry.register(
            "lakegate_candidate_decisions",
            "Decisions that the candidate policies were held against, by what they would do",
            family.clone(),
        );
        Self(Outcome::ALL.map(|outcome| family.get_or_create_owned(&OutcomeLabels { outcome: Word(outcome.as_str()) })))
    }

    pub(super) fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.0.get(outcome as usize) {
            counter.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_own_name() {
        let mut registry = crate::telemetry::registry();
        let metrics = Metrics::new(&mut registry);
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "the order of `Reason::ALL` is that of the enum");
            metrics.count(Decision::Deny, Some(reason), false, Duration::ZERO);
        }
        metrics.count(Decision::Answer, None, true, Duration::ZERO);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for reason in Reason::ALL {
            let line = format!("lakegate_decisions_total{{decision=\"deny\",reason=\"{}\",mode=\"enforce\"}} 1", reason.code());
            assert!(text.contains(&line), "{line} is missing");
        }
        assert!(text.contains("lakegate_decisions_total{decision=\"answer\",reason=\"ALLOWED\",mode=\"shadow\"} 1"));
    }

    #[test]
    fn every_comparison_is_counted_under_its_own_name() {
        let mut registry = crate::telemetry::registry();
        let metrics = Metrics::new(&mut registry);
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index, "the order of `Outcome::ALL` is that of the enum");
            (0..=index).for_each(|_| metrics.comparisons.count(outcome));
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            let line = format!("lakegate_candidate_decisions_total{{outcome=\"{}\"}} {}", outcome.as_str(), index + 1);
            assert!(text.contains(&line), "{line} is missing");
        }
    }
}
