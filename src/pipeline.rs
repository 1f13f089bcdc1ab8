//! The spine: every stage in order, over one snapshot, with the record open from the first moment to the answer.
//!
//! The only module that names all stages. A stage's refusal ends the call here and becomes the deny; nothing turns one into an allow, but shadow mode,
//! which changes no answer and keeps what enforcement would have said in the record.

mod asked;
mod candidate;
mod facts;
mod found;
mod identity;
mod metrics;
mod personal;
mod remembered;
mod snapshot;
mod telling;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures::FutureExt as _;
use tokio::time::Instant;

use crate::{
    audit::{Auditor, Decision, Record, Response},
    authn,
    broker::{Grant, Wanted},
    clock::Clock,
    model::{Call, Caller, DecisionId, RawCall, Reason, Refusal, RequestFacts, Target, Verdict},
    normalize,
    respond::Scene,
    telemetry::{
        Registry,
        trace::{Finished, Tracer},
    },
};

use asked::Answered;
pub use candidate::Candidate;
use candidate::{Comparer, Question};
use found::{Found, Judged, Stage};
pub use identity::{credential, identity, refused_token};
use metrics::Metrics;
use remembered::Refusals;
pub use snapshot::{ShadowTargets, Snapshot};

/// Decides calls, each over the snapshot that is current when it arrives.
#[derive(Debug)]
pub struct Pipeline {
    snapshot: Arc<ArcSwap<Snapshot>>,
    auditor: Auditor,
    clock: Clock,
    tracer: Tracer,
    metrics: Metrics,
    comparer: Comparer,
    refusals: Refusals,
}

/// How a call ended, before it is put into the words of an answer.
#[derive(Debug)]
enum Outcome {
    Granted(Grant),
    /// Permitted in shadow mode, where no credential is asked for.
    Observed,
    Discovery(Arc<Target>),
    /// What the caller asked lakegate itself.
    Answered(Answered),
    Refused(Refusal),
}

// === impl Pipeline ===

impl Pipeline {
    #[must_use]
    pub fn new(snapshot: Arc<ArcSwap<Snapshot>>, auditor: Auditor, clock: Clock, tracer: Tracer, registry: &mut Registry) -> Self {
        let metrics = Metrics::new(registry);
        let comparer = Comparer::start(metrics.comparisons.clone());
        Self { snapshot, auditor, clock, tracer, metrics, comparer, refusals: Refusals::new() }
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
            found.begin(raw, entry);
        }
        // A panic ends this call alone, under its own decision id and record.
        let stages = AssertUnwindSafe(stages(&snapshot, &self.refusals, raw, &mut found)).catch_unwind();
        let outcome = match tokio::time::timeout_at(deadline, stages).await {
            // What never awaits is not broken off by the timer: a body may take its time to read.
            Ok(Ok(_)) if Instant::now() > deadline => Outcome::Refused(late(&snapshot, &found)),
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Outcome::Refused(Refusal::new(Reason::Internal, "lakegate failed while it decided")),
            Err(_) => Outcome::Refused(late(&snapshot, &found)),
        };
        let took = found.started.elapsed();
        if let Some(entry) = record.entry() {
            found.describe(&outcome, took, entry);
        }
        self.tell(&found, &outcome, took);
        // a question that lakegate does not know is no call that the catalog lacks
        if outcome.reason() == Some(Reason::CallUnknown)
            && !found.own
            && let Some(call) = &found.call
        {
            self.metrics.unknown(call.method, snapshot.classifier.known_path(call));
        }
        if let Outcome::Refused(refusal) = &outcome {
            found.remembered = self.refusals.keep(&found, refusal);
        }
        let decision = outcome.decision();
        let (verdict, response) = answer(&snapshot, raw, &found, outcome);
        let closed = async {
            match question(&snapshot, &found) {
                Some(question) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.comparer.close(question, record, decision, response, left).await;
                }
                None => record.close(decision, response).await,
            }
        };
        match tokio::time::timeout_at(deadline, closed).await {
            Ok(()) => verdict,
            Err(_) => self.unwritten(&snapshot, raw, &found),
        }
    }

    /// The answer to a call that was not looked at: shed, or unreadable.
    #[must_use]
    pub fn fault(&self, reason: Reason, raw: Option<&RawCall>) -> Verdict {
        let snapshot = self.snapshot.load_full();
        let nothing = RawCall::default();
        let (seen, raw) = (raw.is_some(), raw.unwrap_or(&nothing));
        let mut found = self.begin(&snapshot, raw);
        // Headers that were not seen may forge what a service trusts: not even shadow mode lets them pass.
        found.shadow &= seen;
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
                found.own = snapshot.classifier.asked(&call).is_some();
                found.shadow &= snapshot.observes(&call) && !found.own;
                found.presented = snapshot.authenticator.presented_peer(&call);
                if let Ok(peer) = snapshot.authenticator.peer(&call) {
                    found.shadow |= snapshot.observes_caller(&call, peer.as_ref()) && !found.own;
                    found.peer = peer;
                }
                let asked = discovery(snapshot, &call, &mut found);
                found.call = Some(call);
                asked.unwrap_or(Outcome::Refused(refusal))
            }
            Err(unread) => {
                found.shadow &= snapshot.observes_unread(raw, unread.reason);
                Outcome::Refused(refusal)
            }
        };
        self.answer_and_record(snapshot, raw, &found, outcome)
    }

    /// The deny of a call whose record did not reach the disk in time, under the decision id that the late record has.
    fn unwritten(&self, snapshot: &Snapshot, raw: &RawCall, found: &Found<'_>) -> Verdict {
        let refusal = Refusal::new(Reason::AuditUnavailable, "the decision was not on disk in time");
        self.answer_and_record(snapshot, raw, found, Outcome::Refused(refusal))
    }

    /// Answers with `outcome`, recorded where there is a place for a record.
    fn answer_and_record(&self, snapshot: &Snapshot, raw: &RawCall, found: &Found<'_>, outcome: Outcome) -> Verdict {
        let (decision, took) = (outcome.decision(), found.started.elapsed());
        self.tell(found, &outcome, took);
        let mut record = self.auditor.open().ok();
        if let Some(entry) = record.as_mut().and_then(Record::entry) {
            found.begin(raw, entry);
            found.describe(&outcome, took, entry);
        }
        let (verdict, response) = answer(snapshot, raw, found, outcome);
        if let Some(entry) = record.as_mut().and_then(Record::entry) {
            (entry.decision, entry.response) = (decision, response);
        }
        verdict
    }

    /// Counts the decision and adds its span to the caller's trace.
    fn tell(&self, found: &Found<'_>, outcome: &Outcome, took: Duration) {
        self.metrics.count(outcome.decision(), outcome.reason(), found.shadow, took);
        if let Some(parent) = found.trace() {
            let finished = Finished {
                started_ms: found.now_ms,
                took,
                decision: &found.id,
                outcome: outcome.decision().as_str(),
                reason: outcome.code(),
                action: found.intent.as_ref().map_or("", |intent| &intent.action.name),
            };
            self.tracer.record(Some(&parent), &finished);
        }
    }
}

/// What a call is told whose time is over: what it waited for, where that is known.
fn late(snapshot: &Snapshot, found: &Found<'_>) -> Refusal {
    match &found.intent {
        Some(intent) if found.stage == Stage::Broker => snapshot.broker.late(&intent.target),
        _ => Refusal::new(Reason::DeadlineExceeded, "the decision took longer than its caller waits"),
    }
}

/// Every stage in order; what each found is kept in `found`, for the answer and the record.
async fn stages<'r>(snapshot: &Snapshot, refusals: &Refusals, raw: &'r RawCall, found: &mut Found<'r>) -> Outcome {
    match decide(snapshot, refusals, raw, found).await {
        Ok(outcome) => outcome,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

async fn decide<'r>(snapshot: &Snapshot, refusals: &Refusals, raw: &'r RawCall, found: &mut Found<'r>) -> Result<Outcome, Refusal> {
    let read = normalize::normalize(raw, &snapshot.normalize).inspect_err(|refusal| found.shadow &= snapshot.observes_unread(raw, refusal.reason))?;
    let call = found.call.insert(read);
    let asked = snapshot.classifier.asked(call);
    // What is asked of lakegate itself is never for anybody behind it, in shadow mode either.
    found.shadow &= snapshot.observes(call) && asked.is_none();
    found.own = asked.is_some();
    found.asked = asked.as_ref().and_then(|asked| Some(asked.as_ref().ok()?.action()));
    found.stage = Stage::Authn;
    found.presented = snapshot.authenticator.presented_peer(call);
    found.peer = snapshot.authenticator.peer(call)?;
    found.shadow |= snapshot.observes_caller(call, found.peer.as_ref()) && !found.own;
    if let Some(target) = snapshot.classifier.discovery(call) {
        found.caller = Some(Caller { peer: found.peer.clone(), token: None });
        return Ok(Outcome::Discovery(target?));
    }
    let caller = found.caller.insert(snapshot.authenticator.identify(call, found.peer.clone(), &mut found.trail).await?);
    found.stage = Stage::Classify;
    if let Some(asked) = asked {
        let asked = asked?;
        let target = found.target.insert(snapshot.classifier.target(call)?);
        let question = asked::Question { snapshot, raw, call, caller, target, decision: found.decision, now_ms: found.now_ms };
        return question.answer(asked, refusals).map(Outcome::Answered);
    }
    let intent = found.intent.insert(snapshot.classifier.classify(call)?);
    found.stage = Stage::Authz;
    let facts = RequestFacts { method: call.method, path: call.path.raw, source_ip: call.source_ip, time_ms: found.now_ms };
    let permit = snapshot.authorizer.authorize(caller, intent, &facts);
    found.judged = Some(permit.as_ref().map_or_else(|refusal| Judged::Refused(refusal.reason), |_| Judged::Permitted));
    let permit = permit?;
    found.policies = permit.policies().to_vec();
    found.stage = Stage::Broker;
    personal::keeps(&found.trail, &permit)?;
    let wanted = Wanted::new(caller, call.headers.authorization.map(authn::bare), intent.scope.as_deref());
    let wanted = wanted.known_as(snapshot.authorizer.known_as(caller));
    if found.shadow {
        snapshot.broker.rehearse(&permit, &wanted, &mut found.manner)?;
        return Ok(Outcome::Observed);
    }
    let grant = snapshot.broker.grant(permit, &wanted, &mut found.manner).await?;
    found.stage = Stage::Respond;
    Ok(Outcome::Granted(grant))
}

/// What the candidate policies are to be asked, where there are any and those that decide were asked.
fn question(snapshot: &Arc<Snapshot>, found: &Found<'_>) -> Option<Question> {
    snapshot.candidate()?;
    let (judged, call, caller, intent) = (found.judged?, found.call.as_ref()?, found.caller.as_ref()?, found.intent.as_ref()?);
    Some(Question {
        snapshot: Arc::clone(snapshot),
        live: if let Judged::Refused(reason) = judged { Some(reason) } else { None },
        caller: caller.clone(),
        intent: intent.clone(),
        method: call.method.to_owned(),
        path: call.path.raw.to_owned(),
        source_ip: call.source_ip,
        time_ms: found.now_ms,
    })
}

/// Discovery, where `call` asks for it and the configuration knows the host.
fn discovery(snapshot: &Snapshot, call: &Call<'_>, found: &mut Found<'_>) -> Option<Outcome> {
    let target = snapshot.classifier.discovery(call)?.ok()?;
    found.peer = snapshot.authenticator.peer(call).ok()?;
    found.caller = Some(Caller { peer: found.peer.clone(), token: None });
    Some(Outcome::Discovery(target))
}

/// The answer, and what the record says of it: in shadow mode the one that enforcement would have given.
fn answer(snapshot: &Snapshot, raw: &RawCall, found: &Found<'_>, outcome: Outcome) -> (Verdict, Response) {
    let scene = Scene {
        decision: found.decision,
        raw,
        call: found.call.as_ref(),
        peer: found.peer.as_ref(),
        caller: found.caller.as_ref(),
        intent: found.intent.as_ref(),
        now_ms: found.now_ms,
        remembered: found.remembered,
    };
    let responder = &snapshot.responder;
    let enforced = match outcome {
        Outcome::Granted(grant) => responder.respond(&scene, Ok(grant)),
        Outcome::Discovery(target) => responder.discovery(&scene, &target),
        Outcome::Answered(answered) => responder.answer(&scene, &answered.body),
        Outcome::Refused(refusal) => responder.respond(&scene, Err(refusal)),
        Outcome::Observed if found.shadow => responder.shadow(&scene),
        Outcome::Observed => responder.respond(&scene, Err(Refusal::new(Reason::Internal, "a call was observed outside shadow mode"))),
    };
    let response = found::response(&enforced);
    (if found.shadow { responder.shadow(&scene) } else { enforced }, response)
}

// === impl Outcome ===

impl Outcome {
    fn decision(&self) -> Decision {
        match self {
            Self::Granted(_) | Self::Observed => Decision::Allow,
            Self::Discovery(_) | Self::Answered(_) => Decision::Answer,
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
