//! Which policies a request says anything about, for those who count what their tests reach.

use super::{
    Authorizer,
    explain::{PolicyNote, note},
    node::{Node, Question},
    permit::Permit,
    policy::Compiled,
    role::ROLE,
};
use crate::model::{Caller, Intent, Reason, Refusal, RequestFacts};

// === impl Authorizer ===

impl Authorizer {
    /// Every policy, in the order of files and lines.
    pub fn policies(&self) -> impl Iterator<Item = PolicyNote> {
        self.policies.iter().map(note)
    }

    /// What was written for the policy `id` to hold: the policy itself, or the role that an entry gives. `None` of a grant, which ends by itself.
    #[must_use]
    pub fn written_as(&self, id: &str) -> Option<&str> {
        let written: &str = self.placed(id)?.compiled.policy.template().id().as_ref();
        match written.split_once(':') {
            None => Some(written),
            Some((ROLE, role)) => Some(role),
            Some(_) => None,
        }
    }

    /// The ids of the policies that a request just misses: its scope covers the request and its conditions do not hold; or it has no conditions, and one
    /// of principal, action and resource is not what its scope asks for. `answer` is what [`authorize`](Self::authorize) said to the same.
    #[must_use]
    pub fn just_missed(&self, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>, answer: Result<&Permit, &Refusal>) -> Vec<&str> {
        let (decided, forbidden) = match answer {
            Ok(permit) => (permit.policies(), false),
            Err(refusal) if refusal.reason == Reason::PolicyNoPermit => (refusal.policies.as_slice(), false),
            Err(refusal) if matches!(refusal.reason, Reason::PolicyForbids | Reason::PolicyHides) => (refusal.policies.as_slice(), true),
            // nothing is known of the others once one has failed
            Err(_) => return Vec::new(),
        };
        let Ok(question) = Question::new(caller, intent, &self.engine.inventory) else { return Vec::new() };
        // A permit may hold for one of several resources, and decide nothing for want of one on another.
        let in_part = answer.is_err() && !forbidden && question.resources.len() > 1;
        let fails = |number| self.fails(number, &question, caller, intent, facts);
        let others = self.policies.iter().zip(0..).filter(|(placed, _)| !decided.iter().any(|id| **id == *placed.compiled.id));
        let missed = others.filter(|(placed, number)| match distance(&placed.compiled, &question) {
            Some(0) => is_conditional(&placed.compiled) && (placed.compiled.is_forbid() || !forbidden) && (!in_part || fails(*number)),
            Some(1) => !is_conditional(&placed.compiled),
            _ => false,
        });
        missed.map(|(placed, _)| &*placed.compiled.id).collect()
    }

    /// Whether the conditions of the policy `number` do not hold for a resource that its scope covers.
    fn fails(&self, number: u32, question: &Question, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> bool {
        let Some(policy) = self.policy(number) else { return false };
        let alone = self.prepare([number].into());
        let answers = self.engine.pose(question, &alone.literals, caller, intent, facts).ok().zip(alone.set);
        let answers = answers.map(|(posed, set)| self.engine.ask(&posed, &set)).unwrap_or_default();
        let mut covered = question.resources.iter().zip(&answers).filter(|(resource, _)| unmatched(policy, question, resource) == 0);
        covered.any(|(_, answer)| answer.determining.is_empty() && answer.failed.is_empty())
    }
}

/// How many of principal, action and resource are not what the scope asks for, of the resource that is nearest to it.
fn distance(policy: &Compiled, question: &Question) -> Option<usize> {
    question.resources.iter().map(|resource| unmatched(policy, question, resource)).min()
}

fn unmatched(policy: &Compiled, question: &Question, resource: &Node) -> usize {
    let parts = [&question.principal, &question.action, resource];
    policy.scope().into_iter().zip(parts).filter(|(constraint, node)| !constraint.matches(node)).count()
}

fn is_conditional(policy: &Compiled) -> bool {
    policy.policy.non_scope_constraints().is_some()
}
