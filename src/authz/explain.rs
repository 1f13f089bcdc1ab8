//! Why a request is allowed or denied, for people: which policies decided, which ones nearly did, and what they lack.

use std::path::PathBuf;

use cedar_policy::{Policy, PolicyId, PolicySet};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Authorizer, covers,
    engine::Posed,
    load::Placed,
    node::{Node, Question},
    permit::Outcome,
};
use crate::model::{Caller, Intent, Refusal, RequestFacts};

/// A report on one decision, in the words of the audit record.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    pub decision: Explained,
    /// The code of the refusal.
    pub reason: Option<&'static str>,
    /// What the denied caller would read.
    pub detail: Option<String>,
    pub principal: Option<String>,
    pub peer: Option<String>,
    pub action: String,
    pub level: &'static str,
    pub resources: Vec<String>,
    /// The policies that decided.
    pub policies: Vec<PolicyNote>,
    /// The policies whose scope covers the request, whether or not their conditions hold.
    pub applicable: Vec<PolicyNote>,
    /// The permits that came nearest, where the answer is a deny.
    pub near: Vec<NearMiss>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Explained {
    Allow,
    Deny,
}

/// One policy, as people know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyNote {
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    pub reason: Option<String>,
    pub owner: Option<String>,
    pub file: PathBuf,
    pub line: usize,
}

/// A permit that did not hold for a resource, and what it would have needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearMiss {
    pub policy: PolicyNote,
    pub resource: String,
    /// The parts of the scope that do not match; else the first part of the conditions that does not hold.
    pub missing: Vec<String>,
}

/// How many near misses are told of each resource.
const TOLD: usize = 3;

pub(super) fn explain(authorizer: &Authorizer, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Explanation {
    let question = match Question::new(caller, intent, &authorizer.engine.inventory) {
        Ok(question) => question,
        Err(refusal) => return report(None, intent, &Outcome::Refused(refusal)),
    };
    let candidates = authorizer.candidates(&question);
    let outcome = authorizer.decide(&question, &candidates, caller, intent, facts);
    let mut report = report(Some(&question), intent, &outcome);
    let covers_some = |placed: &&Placed| question.resources.iter().any(|resource| covers(&placed.compiled, &question, resource));
    report.applicable = authorizer.policies.iter().filter(covers_some).map(note).collect();
    report.policies = determining(&outcome).iter().filter_map(|id| authorizer.placed(id)).map(note).collect();
    let permits: Vec<&Placed> = authorizer.policies.iter().filter(|placed| !placed.compiled.is_forbid()).collect();
    if report.decision == Explained::Deny
        && let Ok(posed) = authorizer.engine.pose(&question, &candidates.literals, caller, intent, facts)
    {
        let each = question.resources.iter().enumerate();
        report.near = each.flat_map(|(number, resource)| near_misses(authorizer, &question, resource, &permits, &posed.only(number))).collect();
    }
    report
}

fn report(question: Option<&Question>, intent: &Intent, outcome: &Outcome) -> Explanation {
    let refusal = if let Outcome::Refused(refusal) = outcome { Some(refusal) } else { None };
    Explanation {
        decision: if refusal.is_none() { Explained::Allow } else { Explained::Deny },
        reason: refusal.map(|refusal| refusal.reason.code()),
        detail: refusal.map(|refusal: &Refusal| refusal.detail.to_string()),
        principal: question.map(|question| question.principal.entity.to_string()),
        peer: question.map(|question| question.peer.entity.to_string()),
        action: intent.action.name.to_string(),
        level: intent.action.level.as_str(),
        resources: intent.resources.iter().map(|resource| resource.entity.to_string()).collect(),
        policies: Vec::new(),
        applicable: Vec::new(),
        near: Vec::new(),
    }
}

fn determining(outcome: &Outcome) -> &[String] {
    match outcome {
        Outcome::Permitted(policies) => policies,
        Outcome::Refused(refusal) => &refusal.policies,
    }
}

pub(super) fn note(placed: &Placed) -> PolicyNote {
    let policy = &placed.compiled;
    PolicyNote {
        id: policy.id.to_string(),
        effect: if policy.is_forbid() { "forbid" } else { "permit" },
        reason: policy.reason.clone(),
        owner: policy.owner.clone(),
        file: placed.file.to_path_buf(),
        line: placed.line,
    }
}

/// The permits whose conditions alone fail for the resource; where there are none, those that most of the scope fits.
fn near_misses(authorizer: &Authorizer, question: &Question, resource: &Node, permits: &[&Placed], posed: &Posed) -> Vec<NearMiss> {
    let miss = |placed: &&Placed, missing| NearMiss { policy: note(placed), resource: resource.entity.to_string(), missing };
    let covering = permits.iter().filter(|placed| covers(&placed.compiled, question, resource));
    let near: Vec<NearMiss> = covering
        .filter_map(|placed| Some(miss(placed, vec![failing_condition(authorizer, &Policy::from(placed.compiled.policy.clone()), posed)?])))
        .take(TOLD)
        .collect();
    if !near.is_empty() || permits.iter().any(|placed| covers(&placed.compiled, question, resource)) {
        return near;
    }
    let mut ranked: Vec<(usize, NearMiss)> = permits
        .iter()
        .map(|placed| {
            let missing = unmatched(placed, question, resource);
            (missing.len(), miss(placed, missing))
        })
        .collect();
    ranked.sort_by_key(|(missing, _)| *missing);
    let best = ranked.first().map_or(0, |(missing, _)| *missing);
    ranked.into_iter().take_while(|(missing, _)| *missing == best && best < 3).map(|(_, miss)| miss).take(TOLD).collect()
}

fn unmatched(placed: &Placed, question: &Question, resource: &Node) -> Vec<String> {
    let parts = [("principal", &question.principal), ("action", &question.action), ("resource", resource)];
    let unmatched = placed.compiled.scope().into_iter().zip(parts).filter(|(constraint, (_, node))| !constraint.matches(node));
    unmatched.map(|(constraint, (variable, _))| constraint.behind(variable)).collect()
}

/// The first conjunct of the policy's conditions that does not hold by itself, as the policy writes it; `None` where all hold.
fn failing_condition(authorizer: &Authorizer, policy: &Policy, posed: &Posed) -> Option<String> {
    let policy = policy.to_json().ok()?;
    for condition in policy.get("conditions")?.as_array()? {
        let kind = condition.get("kind")?.as_str()?;
        let body = condition.get("body")?;
        // `unless` holds unless all of its conjuncts do, so only the whole of it can be named
        let parts = if kind == "when" { conjuncts(body) } else { vec![body] };
        for part in parts {
            let set = PolicySet::from_policies([alone(kind, part)?]).ok()?;
            if !authorizer.engine.ask(posed, &set).iter().all(|answer| answer.allowed) {
                return written(kind, part);
            }
        }
    }
    None
}

/// A permit for everything on one condition.
fn alone(kind: &str, body: &Value) -> Option<Policy> {
    let policy = json!({
        "effect": "permit",
        "principal": { "op": "All" },
        "action": { "op": "All" },
        "resource": { "op": "All" },
        "conditions": [{ "kind": kind, "body": body }],
    });
    Policy::from_json(Some(PolicyId::new("alone")), policy).ok()
}

/// The condition in Cedar's syntax, on one line. Cedar prints an `unless` as the `when` of its opposite, so the body is printed as a `when`.
fn written(kind: &str, body: &Value) -> Option<String> {
    let text = alone("when", body)?.to_cedar()?;
    let (_, body) = text.split_once("when")?;
    let words: Vec<&str> = body.trim_end().trim_end_matches(';').split_whitespace().collect();
    Some(format!("{kind} {}", words.join(" ")))
}

fn conjuncts(body: &Value) -> Vec<&Value> {
    match body.get("&&").and_then(|both| Some((both.get("left")?, both.get("right")?))) {
        Some((left, right)) => [conjuncts(left), conjuncts(right)].concat(),
        None => vec![body],
    }
}
