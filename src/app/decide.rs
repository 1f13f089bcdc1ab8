//! The pipeline as the wire sees it.

use tokio::time::Instant;

use crate::{
    envoy::Decide,
    model::{RawCall, Reason, Verdict},
    pipeline::Pipeline,
};

impl Decide for Pipeline {
    async fn decide(&self, raw: RawCall, by: Instant) -> Verdict {
        Self::decide(self, &raw, by).await
    }

    fn fault(&self, reason: Reason, raw: Option<&RawCall>) -> Verdict {
        Self::fault(self, reason, raw)
    }
}
