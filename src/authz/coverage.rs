//! Which policies a request says anything about, for those who count what their tests reach.

use super::{
    Authorizer,
    explain::{PolicyNote, note},
    load::Placed,
    node::{Node, Question},
    permit::Permit,
    role::ROLE,
};
use crate::model::{Caller, Intent, Reason, Refusal};

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
    pub fn just_missed(&self, caller: &Caller, intent: &Intent, answer: Result<&Permit, &Refusal>) -> Vec<&str> {
        let (decided, forbidden) = match answer {
            Ok(permit) => (permit.policies(), false),
            Err(refusal) if refusal.reason == Reason::PolicyNoPermit => (refusal.policies.as_slice(), false),
            Err(refusal) if matches!(refusal.reason, Reason::PolicyForbids | Reason::PolicyHides) => (refusal.policies.as_slice(), true),
            // nothing is known of the others once one has failed
            Err(_) => return Vec::new(),
        };
        let Ok(question) = Question::new(caller, intent, &self.engine.inventory) else { return Vec::new() };
        let others = self.policies.iter().filter(|placed| !decided.iter().any(|id| **id == *placed.compiled.id));
        others.filter(|placed| is_just_missed(placed, &question, forbidden)).map(|placed| &*placed.compiled.id).collect()
    }
}

/// Of a policy that did not decide. `forbidden`: a permit that holds would not have decided either.
fn is_just_missed(placed: &Placed, question: &Question, forbidden: bool) -> bool {
    let policy = &placed.compiled;
    let unmatched = |resource: &Node| {
        let parts = [&question.principal, &question.action, resource];
        policy.scope().into_iter().zip(parts).filter(|(constraint, node)| !constraint.matches(node)).count()
    };
    let conditional = policy.policy.non_scope_constraints().is_some();
    match question.resources.iter().map(unmatched).min() {
        Some(0) => conditional && (policy.is_forbid() || !forbidden),
        Some(1) => !conditional,
        _ => false,
    }
}
