use std::sync::Arc;

use serde::Serialize;

use super::Sources;
use crate::{audit::AuditStatus, authn::IssuerStatus, reload::ReloadStatus};

/// What `/status` says.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    ready: bool,
    /// Something is not as it should be, though calls are decided: see which part says so below.
    degraded: bool,
    configuration: ReloadStatus,
    policies: usize,
    catalog: CatalogStatus,
    /// Hosts whose decisions are recorded without being enforced; `*` for all.
    shadow: Vec<String>,
    issuers: Vec<IssuerStatus>,
    audit: AuditStatus,
}

/// What is known of calls.
#[derive(Debug, Serialize)]
struct CatalogStatus {
    version: Arc<str>,
    actions: usize,
}

pub(super) fn tell(sources: &Sources) -> Status {
    let snapshot = sources.published.snapshot();
    let (configuration, issuers, audit) = (sources.published.status(), snapshot.authenticator.status(), sources.auditor.status());
    Status {
        version: env!("CARGO_PKG_VERSION"),
        ready: sources.readiness.is_ready(),
        degraded: configuration.degraded || audit.degraded || issuers.iter().any(|issuer| issuer.degraded),
        shadow: snapshot.shadow.observed(),
        policies: snapshot.authorizer.policy_count(),
        catalog: CatalogStatus {
            version: Arc::clone(snapshot.classifier.catalog().version()),
            actions: snapshot.classifier.catalog().vocabulary().actions.len(),
        },
        configuration,
        issuers,
        audit,
    }
}
