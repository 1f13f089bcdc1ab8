//! The outcome of a decision, and the value that proves one went well.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    credentials::{self, Ordered},
    engine::Answer,
    node::{Node, Question},
    policy::Compiled,
    text::shown_entity,
};
use crate::model::{Reason, Refusal, Target};

/// Proof that policies permit a call. Only this stage makes one, for one call, and it cannot be copied.
#[derive(Debug)]
pub struct Permit {
    policies: Arc<[String]>,
    ordered: Option<Ordered>,
    until_ms: Option<i64>,
    target: Arc<Target>,
}

/// A decision as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Permitted {
        /// The ids of the permits that held, sorted.
        policies: Arc<[String]>,
        /// What they say of the credential.
        ordered: Option<Ordered>,
        /// When a condition of theirs could end it, or one of a forbid; the end of the caller's token is none.
        until_ms: Option<i64>,
    },
    Refused(Refusal),
}

/// How many policies a message names.
const NAMED: usize = 3;

// === impl Permit ===

impl Permit {
    /// The ids of the policies that permitted it, sorted.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// With which credential the call goes on, where the permits say; otherwise with what its target has.
    #[must_use]
    pub fn ordered(&self) -> Option<&Ordered> {
        self.ordered.as_ref()
    }

    /// How long the policies permit it at least, in milliseconds since the epoch, where what they say of the time could end it: a grant does, and so do hours
    /// of the day and the time since somebody has signed in. `None` where the time alone does not. That the caller's token ends is no part of it.
    #[must_use]
    pub fn until_ms(&self) -> Option<i64> {
        self.until_ms
    }

    /// Where the permitted call goes: a credential is for this target, whatever else is known of the call.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }
}

// === impl Outcome ===

impl Outcome {
    /// Of one answer for each of the question's resources, every one of which must allow. `find` gives a policy by its id, and `near` the permits
    /// whose scope covers a resource though their conditions do not hold. `until` says of an answer when the time could end it.
    pub(super) fn new<'p>(
        question: &Question,
        answers: &[Answer],
        find: impl Fn(&str) -> Option<&'p Compiled>,
        near: impl Fn(&Node) -> Vec<&'p str>,
        until: impl Fn(&Answer) -> Option<i64>,
    ) -> Self {
        let failed: BTreeSet<&String> = answers.iter().flat_map(|answer| &answer.failed).collect();
        if !failed.is_empty() {
            let detail = format!("{} failed while it was evaluated, so nothing is allowed", listed(failed.iter().map(|id| id.as_str())));
            return Self::refused(Reason::PolicyError, detail, failed);
        }
        let forbids: BTreeSet<&String> = answers.iter().filter(|answer| !answer.allowed).flat_map(|answer| &answer.determining).collect();
        if !forbids.is_empty() {
            let policies: Vec<&Compiled> = forbids.iter().filter_map(|id| find(id)).collect();
            return Self::forbidden(question, answers, &policies, forbids);
        }
        let answered = question.resources.len() == answers.len() && !answers.is_empty();
        let denied = question.resources.iter().zip(answers).find(|(_, answer)| !answer.allowed);
        match denied {
            None if answered => Self::permitted(answers, answers.iter().filter_map(until).min(), find),
            None => Self::refused(Reason::Internal, "no answer for some resource".to_owned(), BTreeSet::new()),
            Some((resource, _)) => Self::refused(Reason::PolicyNoPermit, missing(question, resource, &near(resource)), BTreeSet::new()),
        }
    }

    /// Of the permits that held, which may name one credential between them.
    fn permitted<'p>(answers: &[Answer], until_ms: Option<i64>, find: impl Fn(&str) -> Option<&'p Compiled>) -> Self {
        let permits: BTreeSet<&String> = answers.iter().flat_map(|answer| &answer.determining).collect();
        let each: Vec<Vec<&Compiled>> = answers.iter().map(|answer| answer.determining.iter().filter_map(|id| find(id)).collect()).collect();
        match credentials::of_all(&each) {
            Ok(ordered) => Self::Permitted { policies: permits.into_iter().cloned().collect(), ordered: ordered.cloned(), until_ms },
            Err(two) => {
                let detail = format!(
                    "{} permit it with different credentials; ask whoever owns these policies to have them say one",
                    listed(two.iter().map(|policy| &*policy.id))
                );
                Self::refused(Reason::CredentialConflict, detail, permits)
            }
        }
    }

    fn forbidden(question: &Question, answers: &[Answer], policies: &[&Compiled], ids: BTreeSet<&String>) -> Self {
        if policies.iter().any(|policy| policy.hide) {
            let hides = |id: &String| policies.iter().any(|policy| policy.hide && *policy.id == **id);
            let hidden = question.resources.iter().zip(answers).find(|(_, answer)| answer.determining.iter().any(hides));
            let name = hidden.map_or_else(String::new, |(resource, _)| format!(" `{}`", shown_entity(&resource.entity)));
            return Self::refused(Reason::PolicyHides, format!("the resource{name} does not exist"), ids);
        }
        let reasons: Vec<String> = policies
            .iter()
            .take(NAMED)
            .map(|policy| match &policy.reason {
                Some(reason) => format!("{reason} (policy {})", policy.id),
                None => format!("policy {} forbids it", policy.id),
            })
            .collect();
        Self::refused(Reason::PolicyForbids, reasons.join("; "), ids)
    }

    fn refused(reason: Reason, detail: String, policies: BTreeSet<&String>) -> Self {
        Self::Refused(Refusal { policies: policies.into_iter().cloned().collect(), ..Refusal::new(reason, detail) })
    }

    /// Whether it may serve the same question again. An error may pass, and is worth meeting anew.
    pub(super) fn keeps(&self) -> bool {
        !matches!(self, Self::Refused(refusal) if matches!(refusal.reason, Reason::PolicyError | Reason::Internal))
    }

    /// The ids of the policies that determined it: the permits of an allow, the forbids of a deny. A policy that failed determined nothing.
    pub(super) fn determining(&self) -> &[String] {
        match self {
            Self::Permitted { policies, .. } => policies,
            Self::Refused(refusal) if matches!(refusal.reason, Reason::PolicyForbids | Reason::PolicyHides) => &refusal.policies,
            Self::Refused(_) => &[],
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let listed = |ids: &[String]| ids.iter().map(|id| id.len() + size_of::<String>()).sum::<usize>();
        match self {
            Self::Permitted { policies, ordered: Some(Ordered::ServicePrincipal(id)), .. } => listed(policies) + id.len(),
            Self::Permitted { policies, .. } => listed(policies),
            Self::Refused(refusal) => size_of::<Refusal>() + refusal.detail.len() + listed(&refusal.policies),
        }
    }

    pub(super) fn result(&self, target: &Arc<Target>) -> Result<Permit, Refusal> {
        match self {
            Self::Permitted { policies, ordered, until_ms } => {
                Ok(Permit { policies: policies.clone(), ordered: ordered.clone(), until_ms: *until_ms, target: Arc::clone(target) })
            }
            Self::Refused(refusal) => Err(refusal.clone()),
        }
    }
}

/// What a default deny lacks; of several resources, the one that it lacks a permit on.
fn missing(question: &Question, resource: &Node, near: &[&str]) -> String {
    let resource = if question.resources.len() > 1 { format!(" on `{}`", shown_entity(&resource.entity)) } else { String::new() };
    let conditions = if near.is_empty() { String::new() } else { format!("; the conditions of {} do not hold", listed(near.iter().copied())) };
    format!("no policy permits it{resource}{conditions}")
}

/// ``policies `a` and `b` ``, or how many more.
fn listed<'i>(ids: impl ExactSizeIterator<Item = &'i str>) -> String {
    let count = ids.len();
    let named: Vec<String> = ids.take(NAMED).map(|id| format!("`{id}`")).collect();
    let noun = if count == 1 { "policy" } else { "policies" };
    let more = if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
    format!("{noun} {}{more}", named.join(", "))
}
