//! What the check port counts.

use std::fmt::{self, Write};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The handles of this room's metrics; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(super) connections: Gauge,
    pub(super) in_flight: Gauge,
    refused: Family<RefusedLabels, Counter>,
    failed: Family<FailedLabels, Counter>,
}

/// Why a connection was closed before it could ask anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refused {
    /// There are as many connections as there may be.
    Full,
    /// No TLS handshake, or no HTTP/2 preface, in time; or a certificate that the client CA did not sign.
    Handshake,
    /// A good certificate whose identity is not on the allow-list.
    Peer,
}

/// Why a check was answered without a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Failed {
    /// Too many checks or too many bytes at once.
    Shed,
    Undecodable,
    Oversize,
    Panic,
    Late,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    cause: Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailedLabels {
    cause: Failed,
}

// === impl Metrics ===

impl Metrics {
    /// Adds them to `registry`, each cause from zero on: the first event of a counter that was not there before is no rise to an alert.
    pub fn register(&self, registry: &mut Registry) {
        for cause in Refused::ALL {
            drop(self.refused.get_or_create(&RefusedLabels { cause }));
        }
        for cause in Failed::ALL {
            drop(self.failed.get_or_create(&FailedLabels { cause }));
        }
        registry.register("lakegate_check_connections", "Open connections on the check port", self.connections.clone());
        registry.register("lakegate_check_connections_refused", "Connections closed before a check, by cause", self.refused.clone());
        registry.register("lakegate_checks_in_flight", "Checks being decided", self.in_flight.clone());
        registry.register("lakegate_checks_failed", "Checks answered without a decision, by cause", self.failed.clone());
    }

    pub(super) fn refused(&self, cause: Refused) {
        self.refused.get_or_create(&RefusedLabels { cause }).inc();
    }

    pub(super) fn failed(&self, cause: Failed) {
        self.failed.get_or_create(&FailedLabels { cause }).inc();
    }

    #[cfg(test)]
    pub(super) fn refusals(&self, cause: Refused) -> u64 {
        self.refused.get_or_create(&RefusedLabels { cause }).get()
    }

    #[cfg(test)]
    pub(super) fn failures(&self, cause: Failed) -> u64 {
        self.failed.get_or_create(&FailedLabels { cause }).get()
    }
}

impl Refused {
    const ALL: [Self; 3] = [Self::Full, Self::Handshake, Self::Peer];
}

impl Failed {
    const ALL: [Self; 5] = [Self::Shed, Self::Undecodable, Self::Oversize, Self::Panic, Self::Late];
}

impl EncodeLabelValue for Refused {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Full => "full",
            Self::Handshake => "handshake",
            Self::Peer => "peer",
        })
    }
}

impl EncodeLabelValue for Failed {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Shed => "shed",
            Self::Undecodable => "undecodable",
            Self::Oversize => "oversize",
            Self::Panic => "panic",
            Self::Late => "late",
        })
    }
}
