//! The outermost layer of a check: whatever happens below, there is an answer in time.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use http::Request;
use http_body::Body;
use tokio::time::Instant;

use super::{
    Config, Decide, Metrics, deadline, decode,
    encode::frame,
    message::{self, Message, Unreadable},
    meter::Meter,
    metrics::Failed,
};
use crate::model::{DecisionId, Deny, DenyStatus, Proxy, RawCall, Reason, Verdict};

/// How long a decision may be late before it is broken off: it then answers, and records, that it is late itself.
const GRACE: Duration = Duration::from_millis(5);

/// The method `Authorization/Check`.
#[derive(Debug)]
pub(super) struct Check<D> {
    decide: Arc<D>,
    metrics: Metrics,
    /// The longest a check may take.
    longest: Duration,
    /// The longest message, in bytes.
    limit: usize,
    /// Bytes of all messages in memory.
    room: Meter,
    /// Checks being decided.
    places: Meter,
}

/// One more check in flight, until dropped.
struct Flying<'m>(&'m Metrics);

// === impl Check ===

impl<D: Decide> Check<D> {
    pub(super) fn new(decide: Arc<D>, config: &Config, metrics: Metrics) -> Self {
        Self {
            decide,
            metrics,
            longest: config.deadline,
            limit: config.message,
            room: Meter::new(config.bodies),
            places: Meter::new(config.concurrency),
        }
    }

    /// The answer to one check of `proxy`, framed for gRPC. Never fails, and never waits longer than the check's budget.
    pub(super) async fn answer<B>(&self, request: Request<B>, proxy: Option<Arc<Proxy>>) -> Bytes
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let budget = deadline::budget(request.headers(), self.longest);
        let mut heard = None;
        let by = Instant::now() + budget;
        let work = AssertUnwindSafe(self.work(request.into_body(), proxy.clone(), &mut heard, by)).catch_unwind();
        let failed = match tokio::time::timeout_at(by + GRACE, work).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(_)) => {
                // The panic hook has said where; what it says may hold a piece of the request and does not belong into a field.
                tracing::error!("a check panicked");
                Failed::Panic
            }
            Err(_) => Failed::Late,
        };
        // Read once more rather than kept: this path is rare, and `decide` owns the first reading.
        let raw = heard.and_then(|wire| decode(wire).ok()).map(|raw| raw.with_proxy(proxy));
        self.fail(failed, raw.as_ref())
    }

    /// `heard` is the message, once there is one, for an answer about it from outside.
    async fn work<B>(&self, body: B, proxy: Option<Arc<Proxy>>, heard: &mut Option<Bytes>, by: Instant) -> Bytes
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Message { bytes, room } = match message::read(body, self.limit, &self.room).await {
            Ok(message) => message,
            Err(Unreadable::TooLong) => return self.fail(Failed::Oversize, None),
            Err(Unreadable::NoRoom) => return self.fail(Failed::Shed, None),
            Err(Unreadable::Malformed) => return self.fail(Failed::Undecodable, None),
        };
        *heard = Some(bytes.clone());
        let raw = match decode(bytes) {
            Ok(raw) => raw.with_proxy(proxy),
            Err(error) => {
                tracing::debug!(%error, "a check could not be decoded");
                return self.fail(Failed::Undecodable, None);
            }
        };
        let Some(place) = self.places.take(1) else { return self.fail(Failed::Shed, Some(&raw)) };
        let flying = Flying::new(&self.metrics);
        let verdict = self.decide.decide(raw, by).await;
        drop((flying, place, room));
        frame(&verdict)
    }

    fn fail(&self, failed: Failed, raw: Option<&RawCall>) -> Bytes {
        self.metrics.failed(failed);
        let verdict = catch_unwind(AssertUnwindSafe(|| self.decide.fault(failed.reason(), raw)));
        frame(&verdict.unwrap_or_else(|_| last_resort()))
    }
}

/// What is answered when even the answer panics.
fn last_resort() -> Verdict {
    Verdict::Deny(Deny { decision: DecisionId::new(0), status: DenyStatus::Unavailable, headers: Vec::new(), body: Bytes::new() })
}

// === impl Flying ===

impl<'m> Flying<'m> {
    fn new(metrics: &'m Metrics) -> Self {
        metrics.in_flight.inc();
        Self(metrics)
    }
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

// === impl Failed ===

impl Failed {
    fn reason(self) -> Reason {
        match self {
            Self::Shed => Reason::Overloaded,
            Self::Undecodable => Reason::RequestMalformed,
            Self::Oversize => Reason::BodyTooLarge,
            Self::Panic => Reason::Internal,
            Self::Late => Reason::DeadlineExceeded,
        }
    }
}

#[cfg(test)]
mod tests;
