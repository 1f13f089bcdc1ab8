//! W3C trace context (Recommendation, 2021): a check joins its caller's trace, as one span.
//!
//! Whether a call is sampled is decided by its caller and known before any span is made: an unsampled call costs nothing here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};

/// The trace a call belongs to, from its `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
}

/// Where spans go: to an OTLP collector, or nowhere.
#[derive(Clone, Debug, Default)]
pub struct Tracer {
    export: Option<(SdkTracerProvider, SdkTracer)>,
}

/// One finished check, for its span.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'f> {
    /// Milliseconds since the epoch.
    pub started_ms: i64,
    pub took: Duration,
    pub decision: &'f str,
    pub outcome: &'static str,
    pub reason: &'static str,
    pub action: &'f str,
}

// === impl TraceParent ===

impl TraceParent {
    /// Reads `00-<32 hex>-<16 hex>-<2 hex>`; `None` where it is malformed or an id is zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower_hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        if version != "00" || parts.next().is_some() || !lower_hex(trace, 32) || !lower_hex(span, 16) || !lower_hex(flags, 2) {
            return None;
        }
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        (trace != TraceId::INVALID && span != SpanId::INVALID).then_some(Self { trace, span, sampled })
    }

    /// The trace id as 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.trace.to_string()
    }
}

// === impl Tracer ===

impl Tracer {
    /// A tracer that exports to the OTLP/gRPC collector at `endpoint`, in batches, in the background.
    ///
    /// # Errors
    /// The exporter's own words where `endpoint` is not usable.
    pub fn otlp(endpoint: &str) -> Result<Self, String> {
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().map_err(|error| error.to_string())?;
        let resource = Resource::builder().with_service_name("lakegate").build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        let tracer = provider.tracer("lakegate");
        Ok(Self { export: Some((provider, tracer)) })
    }

    /// Records `finished` as a child of `parent`, if its caller samples the trace and there is a collector.
    pub fn record(&self, parent: Option<&TraceParent>, finished: &Finished<'_>) {
        let (Some((_, tracer)), Some(parent)) = (&self.export, parent.filter(|parent| parent.sampled)) else { return };
        let context = SpanContext::new(parent.trace, parent.span, TraceFlags::SAMPLED, true, TraceState::default());
        let context = opentelemetry::Context::new().with_remote_span_context(context);
        let started: SystemTime = UNIX_EPOCH + Duration::from_millis(u64::try_from(finished.started_ms).unwrap_or_default());
        let builder = tracer.span_builder("lakegate.check").with_kind(SpanKind::Server).with_start_time(started).with_attributes([
            KeyValue::new("lakegate.decision_id", finished.decision.to_owned()),
            KeyValue::new("lakegate.decision", finished.outcome),
            KeyValue::new("lakegate.reason", finished.reason),
            KeyValue::new("lakegate.action", finished.action.to_owned()),
        ]);
        let mut span = tracer.build_with_context(builder, &context);
        span.end_with_timestamp(started + finished.took);
    }

    /// Sends what is still held; at most a few seconds.
    pub fn shutdown(&self) {
        if let Some((provider, _)) = &self.export
            && let Err(error) = provider.shutdown_with_timeout(Duration::from_secs(2))
        {
            tracing::warn!(%error, "spans were lost at shutdown");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_traceparent_is_joined() {
        let good = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(good.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(good.sampled);
        for bad in [
            "",
            "00",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}
