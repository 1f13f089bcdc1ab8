//! Envoy's side of lakegate: `CheckRequest` in, `CheckResponse` out, over gRPC. It decides nothing, and it alone knows protobuf.
//!
//! To Envoy a gRPC error, a timeout and bytes it cannot parse all follow `failure_mode_allow`, that is, they may be an allow. So whatever reaches
//! the check is answered with a `CheckResponse`: a panic, a late, over-long, shed or unreadable check gets an explicit deny ([`Decide::fault`]).
//! Nothing here is believed; `normalize` reads what [`decode`] found.

mod check;
mod connection;
mod connections;
mod deadline;
mod decode;
mod encode;
mod front;
mod health;
mod listener;
mod message;
mod meter;
mod metrics;
mod pulse;
mod tls;
mod wire;

#[cfg(test)]
mod tests;

use std::future::Future;

use tokio::time::Instant;

pub use connections::Connections;
pub use decode::decode;
pub use encode::encode;
pub use health::Health;
pub use listener::{BindError, Config, Listener};
pub use metrics::Metrics;
pub use tls::{Tls, TlsConfig, TlsError};
pub use wire::Undecodable;

use crate::model::{RawCall, Reason, Verdict};

/// Who decides about a check: the pipeline, or a test.
pub trait Decide: Send + Sync + 'static {
    /// The verdict on one call, at `by` at the latest. Dropped unfinished where it comes later still, or the caller goes away.
    fn decide(&self, raw: RawCall, by: Instant) -> impl Future<Output = Verdict> + Send;

    /// The verdict where there is no decision, because of `reason`; `raw` is `None` where the check could not even be read.
    fn fault(&self, reason: Reason, raw: Option<&RawCall>) -> Verdict;
}
