use std::sync::Arc;

use serde::Serialize;

use super::Sources;
use crate::{
    audit::AuditStatus,
    authn::{IssuerStatus, RevocationStatus},
    broker::EndpointStatus,
    model::Fault,
    pipeline::{Candidate, Snapshot},
    reload::ReloadStatus,
};

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
    /// Namespaces whose calls are so recorded, whatever their host.
    shadow_namespaces: Vec<String>,
    /// `None` where none is configured.
    candidate: Option<CandidateStatus>,
    issuers: Vec<IssuerStatus>,
    revocations: RevocationStatus,
    /// `None` where lakegate signs nothing.
    signing: Option<SigningStatus>,
    /// The token endpoints of targets with minted credentials.
    credentials: Vec<EndpointStatus>,
    audit: AuditStatus,
}

/// What is known of calls.
#[derive(Debug, Serialize)]
struct CatalogStatus {
    version: Arc<str>,
    actions: usize,
}

/// By which keys lakegate is known as an issuer of tokens, each as the `kid` that it is published under.
#[derive(Debug, Serialize)]
struct SigningStatus {
    issuer: String,
    /// The one that signs.
    current: Option<String>,
    /// Those that verify alone.
    others: Vec<String>,
}

/// The policies that are held against those that decide.
#[derive(Debug, Serialize)]
struct CandidateStatus {
    state: CandidateState,
    policies: usize,
    /// Why it cannot be compared.
    faults: Vec<Fault>,
    /// What is compared and is likely not meant.
    warnings: Vec<Fault>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum CandidateState {
    Loading,
    Compared,
    Faulty,
}

pub(super) fn tell(sources: &Sources) -> Status {
    let snapshot = sources.published.snapshot();
    let (configuration, issuers, audit) = (sources.published.status(), snapshot.authenticator.status(), sources.auditor.status());
    let revocations = snapshot.authenticator.revocation_status();
    let credentials = snapshot.broker.status();
    Status {
        version: env!("CARGO_PKG_VERSION"),
        ready: sources.readiness.is_ready(),
        degraded: configuration.degraded
            || audit.degraded
            || revocations.degraded
            || issuers.iter().any(|issuer| issuer.degraded)
            || credentials.iter().any(|endpoint| endpoint.degraded),
        shadow: snapshot.shadow.observed(),
        shadow_namespaces: snapshot.shadow.observed_namespaces(),
        candidate: candidate(&snapshot),
        policies: snapshot.authorizer.policy_count(),
        catalog: CatalogStatus {
            version: Arc::clone(snapshot.classifier.catalog().version()),
            actions: snapshot.classifier.catalog().vocabulary().actions.len(),
        },
        configuration,
        issuers,
        revocations,
        signing: signing(&snapshot),
        credentials,
        audit,
    }
}

fn signing(snapshot: &Snapshot) -> Option<SigningStatus> {
    let issuer = snapshot.responder.issuer()?;
    let mut ids = issuer.keys().iter().map(|key| key.id().to_owned());
    Some(SigningStatus { issuer: issuer.name().to_owned(), current: ids.next(), others: ids.collect() })
}

fn candidate(snapshot: &Snapshot) -> Option<CandidateStatus> {
    let nothing = |state| CandidateStatus { state, policies: 0, faults: Vec::new(), warnings: Vec::new() };
    Some(match snapshot.candidate.as_ref()?.get() {
        None => nothing(CandidateState::Loading),
        Some(Candidate::Faulty(faults)) => CandidateStatus { faults: faults.clone(), ..nothing(CandidateState::Faulty) },
        Some(Candidate::Loaded { authorizer, warnings }) => {
            CandidateStatus { policies: authorizer.policy_count(), warnings: warnings.clone(), ..nothing(CandidateState::Compared) }
        }
    })
}
