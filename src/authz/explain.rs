//! Why a request is allowed or denied, for people: which policies decided and on which values, which ones nearly did, and what they lack.

mod conditions;
mod near;
mod values;

use std::path::PathBuf;

use serde::Serialize;

pub(super) use self::conditions::texts;
pub use self::{conditions::Condition, near::NearMiss, values::Seen};
use self::{
    near::{Near, Reach},
    values::Scene,
};
use super::{
    Authorizer, Ordered, covers,
    engine::Posed,
    load::Placed,
    node::{Node, Question},
    permit::Outcome,
};
use crate::model::{Caller, EntityRef, Intent, Refusal, RequestFacts};

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
    /// What made them apply: for each resource they decided about, their conditions with the values that these saw. Of one that failed, the condition
    /// that did.
    pub applied: Vec<Applied>,
    /// The policies whose scope covers the request, whether or not their conditions hold.
    pub applicable: Vec<PolicyNote>,
    /// The permits that came nearest, nearest first, where the answer is a deny that no `forbid` made.
    pub near: Vec<NearMiss>,
    /// Whether there may be nearer ones: there were more than were looked at.
    pub near_cut: bool,
    /// With which credential the call goes on, where the permits say.
    #[serde(skip)]
    pub ordered: Option<Ordered>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Explained {
    Allow,
    Deny,
}

/// How long may be looked for what came nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// For an operator, who waits.
    Thorough,
    /// For a caller of the service: about as long as a few decisions.
    Brief,
}

/// One policy, as people know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyNote {
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    pub reason: Option<String>,
    pub owner: Option<String>,
    /// With which credential a call goes on that it decides, where it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    pub file: PathBuf,
    pub line: usize,
}

/// A policy that decided about a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    pub policy: PolicyNote,
    pub resource: String,
    pub conditions: Vec<Condition>,
    /// Whether it hides from its caller what it is about.
    #[serde(skip)]
    pub hidden: bool,
}

/// How many pairs of a resource and a policy that decided are looked at.
const PAIRS: usize = 1000;

/// How many applied policies are told with their values.
const APPLIED: usize = 32;

pub(super) fn explain(authorizer: &Authorizer, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>, effort: Effort) -> Explanation {
    let question = match Question::new(caller, intent, &authorizer.engine.inventory) {
        Ok(question) => question,
        Err(refusal) => return report(None, intent, &Outcome::Refused(refusal)),
    };
    let candidates = authorizer.candidates(&question);
    let outcome = authorizer.decide(&question, &candidates, caller, intent, facts);
    let mut report = report(Some(&question), intent, &outcome);
    let placed = |number: &u32| authorizer.policies.get(*number as usize);
    let covering = |placed: &&Placed| question.resources.iter().any(|resource| covers(&placed.compiled, &question, resource));
    report.applicable = candidates.numbers.iter().filter_map(placed).filter(covering).map(note).collect();
    let determining: Vec<&Placed> = determining(&outcome).iter().filter_map(|id| authorizer.placed(id)).collect();
    report.policies = determining.iter().copied().map(note).collect();
    let Ok(posed) = authorizer.engine.pose(&question, &candidates.literals, caller, intent, facts) else { return report };
    report.applied = applied(&question, &determining, &posed, &outcome);
    if report.decision == Explained::Allow || !determining.is_empty() {
        return report;
    }
    let answers = candidates.set.as_ref().map(|set| authorizer.engine.ask(&posed, set)).unwrap_or_default();
    // what is permitted already lacks nothing
    let denied = question.resources.iter().enumerate().filter(|(number, _)| answers.get(*number).is_none_or(|answer| !answer.allowed));
    let near: Vec<(usize, &Node, Near<'_>)> = denied
        .take(effort.resources())
        .map(|(number, resource)| (number, resource, Near::of(authorizer, &question, resource, &candidates.numbers, effort.reach())))
        .collect();
    let mut literals: Vec<EntityRef> =
        near.iter().flat_map(|(_, _, near)| near.policies()).flat_map(|placed| &placed.compiled.literals).cloned().collect();
    literals.retain(|literal| authorizer.engine.inventory.has(literal));
    literals.sort();
    literals.dedup();
    let Ok(posed) = authorizer.engine.pose(&question, &literals, caller, intent, facts) else { return report };
    report.near_cut = near.iter().any(|(_, _, near)| near.cut);
    let hidden = |placed: &Placed| authorizer.may_reveal(&question.principal, placed);
    let misses = near.iter().filter_map(|(number, resource, near)| Some(near.misses(&question, resource, &posed.scene(*number)?, hidden)));
    report.near = misses.flatten().collect();
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
        applied: Vec::new(),
        applicable: Vec::new(),
        near: Vec::new(),
        near_cut: false,
        ordered: if let Outcome::Permitted { ordered, .. } = outcome { ordered.clone() } else { None },
    }
}

fn determining(outcome: &Outcome) -> &[String] {
    match outcome {
        Outcome::Permitted { policies, .. } => policies,
        Outcome::Refused(refusal) => &refusal.policies,
    }
}

/// The determining policies with what made them so, for each resource that they are about.
fn applied(question: &Question, determining: &[&Placed], posed: &Posed, outcome: &Outcome) -> Vec<Applied> {
    let failed = matches!(outcome, Outcome::Refused(refusal) if refusal.reason == crate::model::Reason::PolicyError);
    let each = question.resources.iter().enumerate().flat_map(|(number, resource)| determining.iter().map(move |placed| (number, resource, *placed)));
    let about = each.take(PAIRS).filter(|(_, resource, placed): &(usize, &Node, &Placed)| covers(&placed.compiled, question, resource));
    let told = about.filter_map(|(number, resource, placed)| {
        let scene = posed.scene(number)?;
        let policy = &placed.compiled.policy;
        let unmet = scene.unmet(policy);
        let conditions = if failed { unmet } else { unmet.is_empty().then(|| scene.all(policy))? };
        Some(Applied { policy: note(placed), resource: resource.entity.to_string(), conditions, hidden: placed.compiled.hide })
    });
    told.take(APPLIED).collect()
}

pub(super) fn note(placed: &Placed) -> PolicyNote {
    let policy = &placed.compiled;
    PolicyNote {
        id: policy.id.to_string(),
        effect: policy.effect(),
        reason: policy.reason.clone(),
        owner: policy.owner.clone(),
        credentials: policy.ordered.as_ref().map(ToString::to_string),
        file: placed.file.to_path_buf(),
        line: placed.line,
    }
}

// === impl Effort ===

impl Effort {
    /// Of how many resources that are denied the nearest permits are looked for.
    fn resources(self) -> usize {
        match self {
            Self::Thorough => 100,
            Self::Brief => 3,
        }
    }

    fn reach(self) -> Reach {
        match self {
            Self::Thorough => Reach { steps: 1_000_000, judged: 5000 },
            Self::Brief => Reach { steps: 5000, judged: 50 },
        }
    }
}

// === impl Posed ===

impl Posed {
    /// The question about the resource of this number, to ask any expression about.
    fn scene(&self, number: usize) -> Option<Scene<'_>> {
        let (evaluator, entities) = self.evaluator(number)?;
        Some(Scene { evaluator, entities })
    }
}
