//! The spine: every stage in order, over one snapshot, with the record open from the first moment to the answer.
//!
//! The only module that names all stages. A stage's refusal ends the call here and becomes the deny; nothing turns one into an allow, but shadow mode,
//! which changes no answer and keeps what enforcement would have said in the record.

mod found;
mod metrics;
mod snapshot;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::{
    audit::{Auditor, Decision},
    broker::Grant,
    clock::Clock,
    model::{Call, Caller, DecisionId, RawCall, Reason, Refusal, RequestFacts, Target, Verdict},
    normalize,
    respond::Scene,
    telemetry::{
        Registry,
        trace::{Finished, Tracer},
    },
};

use found::{Found, Stage};
use metrics::Metrics;
pub use snapshot::{ShadowTargets, Snapshot};

/// Decides calls, each over the snapshot that is current when it arrives.
#[derive(Debug)]
pub struct Pipeline {
    snapshot: Arc<ArcSwap<Snapshot>>,
    auditor: Auditor,
    clock: Clock,
    tracer: Tracer,
    metrics: Metrics,
}

/// How a call ended, before it is put into the words of an answer.
#[derive(Debug)]
enum Outcome {
    Granted(Grant),
    /// Permitted in shadow mode, where no credential is asked for.
    Observed,
    Discovery(Arc<Target>),
    Refused(Refusal),
}

// === impl Pipeline ===

impl Pipeline {
    #[must_use]
    pub fn new(snapshot: Arc<ArcSwap<Snapshot>>, auditor: Auditor, clock: Clock, tracer: Tracer, registry: &mut Registry) -> Self {
        Self { snapshot, auditor, clock, tracer, metrics: Metrics::new(registry) }
    }

    /// The answer to one call, by `deadline` at the latest.
    pub async fn decide(&self, raw: &RawCall, deadline: Instant) -> Verdict {
        let snapshot = self.snapshot.load_full();
        let mut found = self.begin(&snapshot, raw);
        let mut record = match self.auditor.open() {
            Ok(record) => record,
            Err(refusal) => return self.undecided(&snapshot, raw, found, refusal),
        };
        if let Some(entry) = record.entry() {
            found.begin(entry);
        }
        let outcome = tokio::time::timeout_at(deadline, stages(&snapshot, raw, &mut found)).await;
        let outcome =
            outcome.unwrap_or_else(|_| Outcome::Refused(Refusal::new(Reason::DeadlineExceeded, "the decision took longer than its caller waits")));
        let verdict = answer(&snapshot, raw, &found, &outcome);
        let took = found.started.elapsed();
        if let Some(entry) = record.entry() {
            found.describe(raw, &outcome, took, entry);
        }
        self.tell(&found, &outcome, took);
        record.close(outcome.decision(), found::response(&verdict)).await;
        verdict
    }

    /// The answer to a call that was not decided: shed, unreadable, or broken off by a panic.
    ///
    /// A panic has left its own record behind, as *aborted*; the others get theirs here.
    #[must_use]
    pub fn fault(&self, reason: Reason, raw: Option<&RawCall>) -> Verdict {
        let snapshot = self.snapshot.load_full();
        let nothing = RawCall::default();
        let raw = raw.unwrap_or(&nothing);
        let found = self.begin(&snapshot, raw);
        self.undecided(&snapshot, raw, found, Refusal::new(reason, "the call was not looked at"))
    }

    fn begin<'r>(&self, snapshot: &Snapshot, raw: &RawCall) -> Found<'r> {
        let now_ms = self.clock.now_ms();
        Found::new(DecisionId::new(now_ms), now_ms, snapshot.generation, snapshot.shadow.covers(raw.host()))
    }

    fn undecided<'r>(&self, snapshot: &Snapshot, raw: &'r RawCall, mut found: Found<'r>, refusal: Refusal) -> Verdict {
        // Discovery decides nothing, MLflow asks for it before every call, and a 503 would hang SDKs for minutes: it is answered whatever the fault.
        let outcome = match normalize::normalize(raw, &snapshot.normalize) {
            Ok(call) => {
                let asked = discovery(snapshot, &call, &mut found);
                found.call = Some(call);
                asked.unwrap_or(Outcome::Refused(refusal))
            }
            Err(_) => Outcome::Refused(refusal),
        };
        let verdict = answer(snapshot, raw, &found, &outcome);
        let took = found.started.elapsed();
        let panicked = matches!(&outcome, Outcome::Refused(refusal) if refusal.reason == Reason::Internal);
        if !panicked
            && let Ok(mut record) = self.auditor.open()
            && let Some(entry) = record.entry()
        {
            found.begin(entry);
            found.describe(raw, &outcome, took, entry);
            (entry.decision, entry.response) = (outcome.decision(), found::response(&verdict));
        }
        self.tell(&found, &outcome, took);
        verdict
    }

    /// Counts the decision and adds its span to the caller's trace.
    fn tell(&self, found: &Found<'_>, outcome: &Outcome, took: Duration) {
        self.metrics.count(outcome.decision(), outcome.reason(), found.shadow, took);
        if let Some(parent) = found.trace() {
            let finished = Finished {
                started_ms: found.now_ms,
                took,
                decision: &found.decision.to_string(),
                outcome: outcome.decision().as_str(),
                reason: outcome.code(),
                action: found.intent.as_ref().map_or("", |intent| &intent.action.name),
            };
            self.tracer.record(Some(&parent), &finished);
        }
    }
}

/// Every stage in order; what each found is kept in `found`, for the answer and the record.
async fn stages<'r>(snapshot: &Snapshot, raw: &'r RawCall, found: &mut Found<'r>) -> Outcome {
    match decide(snapshot, raw, found).await {
        Ok(outcome) => outcome,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

async fn decide<'r>(snapshot: &Snapshot, raw: &'r RawCall, found: &mut Found<'r>) -> Result<Outcome, Refusal> {
    let call = found.call.insert(normalize::normalize(raw, &snapshot.normalize)?);
    found.stage = Stage::Authn;
    found.peer = snapshot.authenticator.peer(call)?;
    if let Some(target) = snapshot.classifier.discovery(call) {
        found.caller = Some(Caller { peer: found.peer.clone(), token: None });
        return Ok(if found.shadow { Outcome::Observed } else { Outcome::Discovery(target?) });
    }
    let caller = found.caller.insert(snapshot.authenticator.authenticate(call).await?);
    found.stage = Stage::Classify;
    let intent = found.intent.insert(snapshot.classifier.classify(call)?);
    found.stage = Stage::Authz;
    let facts = RequestFacts { method: call.method, path: call.path.raw, source_ip: call.source_ip, time_ms: found.now_ms };
    let permit = snapshot.authorizer.authorize(caller, intent, &facts)?;
    found.policies = permit.policies().to_vec();
    found.stage = Stage::Broker;
    if found.shadow {
        return Ok(Outcome::Observed);
    }
    let grant = snapshot.broker.grant(permit, &intent.target)?;
    found.stage = Stage::Respond;
    Ok(Outcome::Granted(grant))
}

/// Discovery, where `call` asks for it and the configuration knows the host.
fn discovery(snapshot: &Snapshot, call: &Call<'_>, found: &mut Found<'_>) -> Option<Outcome> {
    let target = snapshot.classifier.discovery(call)?.ok().filter(|_| !found.shadow)?;
    found.peer = snapshot.authenticator.peer(call).ok()?;
    found.caller = Some(Caller { peer: found.peer.clone(), token: None });
    Some(Outcome::Discovery(target))
}

fn answer(snapshot: &Snapshot, raw: &RawCall, found: &Found<'_>, outcome: &Outcome) -> Verdict {
    let scene = Scene {
        decision: found.decision,
        raw,
        call: found.call.as_ref(),
        caller: found.caller.as_ref(),
        intent: found.intent.as_ref(),
        now_ms: found.now_ms,
    };
    let responder = &snapshot.responder;
    match outcome {
        _ if found.shadow => responder.shadow(&scene),
        Outcome::Granted(grant) => responder.respond(&scene, Ok(grant)),
        Outcome::Discovery(target) => responder.discovery(&scene, target),
        Outcome::Refused(refusal) => responder.respond(&scene, Err(refusal)),
        Outcome::Observed => responder.respond(&scene, Err(&Refusal::new(Reason::Internal, "a call was observed outside shadow mode"))),
    }
}

// === impl Outcome ===

impl Outcome {
    fn decision(&self) -> Decision {
        match self {
            Self::Granted(_) | Self::Observed => Decision::Allow,
            Self::Discovery(_) => Decision::Answer,
            Self::Refused(_) => Decision::Deny,
        }
    }

    fn reason(&self) -> Option<Reason> {
        if let Self::Refused(refusal) = self { Some(refusal.reason) } else { None }
    }

    fn code(&self) -> &'static str {
        self.reason().map_or("ALLOWED", Reason::code)
    }
}
