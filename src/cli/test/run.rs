//! One case through the stages that a real call goes through, as far as the decision.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    cases::{Case, Expected},
    raw::Decision,
};
use crate::{
    authz::Explanation,
    model::{Intent, Reason, Refusal, RequestFacts},
    pipeline::Snapshot,
};

/// What came of one case, in the words of the audit record.
#[derive(Debug, Serialize)]
pub(super) struct Outcome<'c> {
    pub(super) name: &'c str,
    pub(super) file: &'c Path,
    pub(super) line: usize,
    pub(super) passed: bool,
    /// What is otherwise than the case says.
    pub(super) differs: Vec<String>,
    pub(super) expected: Wanted<'c>,
    #[serde(flatten)]
    pub(super) got: Got,
    /// Why it was decided so, where a case did not pass.
    pub(super) explanation: Option<Explanation>,
    /// The policies that the call just misses.
    #[serde(skip)]
    pub(super) missed: Vec<String>,
    /// How long it took, with the explanation of one that did not pass.
    #[serde(skip)]
    pub(super) took: Duration,
}

/// What a case expects.
#[derive(Debug, Serialize)]
pub(super) struct Wanted<'c> {
    pub(super) decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policies: Option<&'c [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<&'c str>,
}

/// What was decided.
#[derive(Debug, Default, Serialize)]
pub(super) struct Got {
    pub(super) decision: &'static str,
    pub(super) reason: &'static str,
    pub(super) detail: String,
    pub(super) principal: Option<String>,
    pub(super) peer: Option<String>,
    pub(super) action: Option<String>,
    pub(super) resources: Vec<String>,
    pub(super) workspace: Option<String>,
    /// The policies that decided, sorted.
    pub(super) policies: Vec<String>,
}

/// The reasons for which policies deny, as against those for which a call never reaches them.
const BY_POLICY: [Reason; 3] = [Reason::PolicyNoPermit, Reason::PolicyForbids, Reason::PolicyHides];

/// Decides on the call of `case` and holds the answer against what is expected.
pub(super) fn run<'c>(case: &'c Case, snapshot: &Snapshot) -> Outcome<'c> {
    let Expected { decision, reason, policies, detail } = &case.expected;
    let mut outcome = Outcome {
        name: &case.name,
        file: &case.file,
        line: case.line,
        passed: false,
        differs: Vec::new(),
        expected: Wanted { decision: decision.as_str(), reason: *reason, policies: policies.as_deref(), detail: detail.as_deref() },
        got: Got::default(),
        explanation: None,
        missed: Vec::new(),
        took: Duration::ZERO,
    };
    let started = Instant::now();
    if let Err(refusal) = stages(case, snapshot, &mut outcome) {
        refuse(&mut outcome.got, &refusal);
    }
    outcome.differs = differences(&case.expected, &outcome.got);
    outcome.passed = outcome.differs.is_empty();
    outcome.took = started.elapsed();
    outcome
}

/// Leaves what the stages found in `outcome`.
///
/// # Errors
/// The refusal of a stage before the policies.
fn stages(case: &Case, snapshot: &Snapshot, outcome: &mut Outcome<'_>) -> Result<(), Refusal> {
    let too_long = || Refusal::new(Reason::RequestMalformed, "the call is longer than any check");
    let raw = case.request.raw(case.caller.peer.as_deref()).ok_or_else(too_long)?;
    let call = crate::normalize::normalize(&raw, &snapshot.normalize)?;
    let peer = snapshot.authenticator.peer_told(call.principal)?;
    outcome.got.peer = peer.as_ref().map(ToString::to_string);
    if let Some(target) = snapshot.classifier.discovery(&call) {
        outcome.got.workspace = Some(target?.name.to_string());
        (outcome.got.decision, outcome.got.reason) = (Decision::Answer.as_str(), "ALLOWED");
        return Ok(());
    }
    let caller = case.caller.caller(&snapshot.authenticator, peer, case.time_ms)?;
    outcome.got.principal = caller.principal().map(|principal| principal.entity().to_string());
    let intent = snapshot.classifier.classify(&call)?;
    understood(&mut outcome.got, &intent);
    let facts = RequestFacts { method: call.method, path: call.path.raw, source_ip: call.source_ip, time_ms: case.time_ms };
    let answer = snapshot.authorizer.authorize(&caller, &intent, &facts);
    match &answer {
        Ok(permit) => {
            (outcome.got.decision, outcome.got.reason) = (Decision::Allow.as_str(), "ALLOWED");
            outcome.got.policies = permit.policies().to_vec();
        }
        Err(refusal) => refuse(&mut outcome.got, refusal),
    }
    outcome.missed = snapshot.authorizer.just_missed(&caller, &intent, &facts, answer.as_ref()).into_iter().map(str::to_owned).collect();
    if !differences(&case.expected, &outcome.got).is_empty() {
        outcome.explanation = Some(snapshot.authorizer.explain(&caller, &intent, &facts));
    }
    Ok(())
}

fn understood(got: &mut Got, intent: &Intent) {
    got.action = Some(intent.action.name.to_string());
    got.resources = intent.resources.iter().map(|resource| resource.entity.to_string()).collect();
    got.workspace = Some(intent.target.name.to_string());
}

fn refuse(got: &mut Got, refusal: &Refusal) {
    (got.decision, got.reason) = (Decision::Deny.as_str(), refusal.reason.code());
    got.detail = refusal.whole().into_owned();
    got.policies.clone_from(&refusal.policies);
}

/// What of `got` is otherwise than `expected`, one clause each.
fn differences(expected: &Expected, got: &Got) -> Vec<String> {
    let mut differs = Vec::new();
    let wanted = expected.decision.as_str();
    if got.decision != wanted {
        differs.push(format!("the decision is `{}`, not `{wanted}`", got.decision));
        return differs;
    }
    match expected.reason {
        Some(reason) if reason != got.reason => differs.push(format!("the reason is `{}`, not `{reason}`", got.reason)),
        // A denial that no policy had a part in shows nothing of the policies; where it is meant, the case says so.
        None if expected.decision == Decision::Deny && BY_POLICY.iter().all(|reason| reason.code() != got.reason) => {
            differs.push(format!("the call never reached the policies: `{}`; where that is meant, write it as `reason`", got.reason));
        }
        _ => {}
    }
    if let Some(policies) = expected.policies.as_ref().filter(|policies| **policies != got.policies) {
        differs.push(format!("{} decided, not {}", listed(&got.policies), listed(policies)));
    }
    if let Some(detail) = expected.detail.as_ref().filter(|detail| !got.detail.contains(*detail)) {
        differs.push(format!("the detail does not hold `{detail}`"));
    }
    differs
}

fn listed(ids: &[String]) -> String {
    if ids.is_empty() { "no policy".to_owned() } else { ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ") }
}
