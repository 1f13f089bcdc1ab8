//! The permits that came nearest to a request that none permits: those of which the fewest parts are unmet.

use serde::Serialize;

use super::{
    PolicyNote,
    conditions::Condition,
    note,
    values::{Scene, Seen, named, placed},
};
use crate::{
    authz::{
        Authorizer,
        constraint::Constraint,
        load::Placed,
        node::{Node, Question},
    },
    model::TypeName,
};

/// A permit that did not hold for a resource, and everything it would have needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearMiss {
    pub policy: PolicyNote,
    pub resource: String,
    /// The parts of the scope that do not match, then the conditions that do not hold.
    pub missing: Vec<Condition>,
    /// Whether it is the caller's own: the principal of its scope matches.
    #[serde(skip)]
    pub own: bool,
    /// Whether it names what a policy may hide from the caller.
    #[serde(skip)]
    pub hidden: bool,
}

/// How far is looked for permits that are near.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Steps through the index.
    pub(super) steps: usize,
    /// Permits whose conditions are evaluated.
    pub(super) judged: usize,
}

/// Permits that could be near, and whether there may be more than were looked at.
pub(super) struct Near<'a> {
    permits: Vec<Ranked<'a>>,
    pub(super) cut: bool,
}

struct Ranked<'a> {
    placed: &'a Placed,
    /// Which of principal, action and resource do not match.
    unmatched: [bool; 3],
}

/// How many near misses are told of each resource.
const TOLD: usize = 3;

// === impl Near ===

impl<'a> Near<'a> {
    /// The permits of which most of the scope fits the request on `resource`, best first: those that cover it, or else lack one part, or else two.
    pub(super) fn of(authorizer: &'a Authorizer, question: &Question, resource: &Node, covering: &[u32], reach: Reach) -> Self {
        let (mut numbers, mut cut) = authorizer.index.near(question, resource, reach.steps);
        numbers.extend(covering);
        numbers.sort_unstable();
        numbers.dedup();
        let placed = numbers.iter().filter_map(|number| authorizer.policies.get(*number as usize));
        let permits = placed.filter(|placed| !placed.compiled.is_forbid());
        let mut permits: Vec<Ranked<'a>> = permits.map(|placed| Ranked { placed, unmatched: unmatched(placed, question, resource) }).collect();
        permits.retain(|ranked| ranked.unmet() < 3);
        // the sort keeps the order of the files among equals
        permits.sort_by_key(Ranked::key);
        cut |= permits.len() > reach.judged;
        permits.truncate(reach.judged);
        Self { permits, cut }
    }

    pub(super) fn policies(&self) -> impl Iterator<Item = &'a Placed> {
        self.permits.iter().map(|ranked| ranked.placed)
    }

    /// The nearest of them, each with everything that it lacks.
    pub(super) fn misses(&self, question: &Question, resource: &Node, scene: &Scene<'_>, hidden: impl Fn(&Placed) -> bool) -> Vec<NearMiss> {
        let policy = |placed: &'a Placed| &placed.compiled.policy;
        let ranked = self.permits.iter().map(|ranked| (ranked.unmet() + scene.unmet_count(policy(ranked.placed)), ranked));
        // one that holds is no miss: it was a permit, and a `forbid` won
        let mut ranked: Vec<(usize, &Ranked<'a>)> = ranked.filter(|(unmet, _)| *unmet > 0).collect();
        ranked.sort_by_key(|(unmet, ranked)| (*unmet, ranked.key()));
        let nearest = ranked.into_iter().take(TOLD).map(|(_, Ranked { placed, unmatched })| {
            let mut missing = scope_parts(placed, question, resource, *unmatched);
            missing.extend(scene.unmet(policy(placed)));
            let [principal, _, _] = unmatched;
            NearMiss { policy: note(placed), resource: resource.entity.to_string(), missing, own: !principal, hidden: hidden(placed) }
        });
        nearest.collect()
    }
}

// === impl Ranked ===

impl Ranked<'_> {
    fn unmet(&self) -> usize {
        self.unmatched.iter().filter(|unmatched| **unmatched).count()
    }

    /// Of two that lack as much, the one about the same call on the same object is nearer: rights can be given, another call is another call.
    fn key(&self) -> (usize, bool, bool) {
        let [_, action, resource] = self.unmatched;
        (self.unmet(), action, resource)
    }
}

fn unmatched(placed: &Placed, question: &Question, resource: &Node) -> [bool; 3] {
    let [principal, action, object] = placed.compiled.scope();
    [!principal.matches(&question.principal), !action.matches(&question.action), !object.matches(resource)]
}

fn scope_parts(placed: &Placed, question: &Question, resource: &Node, unmatched: [bool; 3]) -> Vec<Condition> {
    let parts = [("principal", &question.principal), ("action", &question.action), ("resource", resource)];
    let lacking = placed.compiled.scope().into_iter().zip(parts).zip(unmatched).filter(|(_, unmatched)| *unmatched);
    lacking
        .map(|((constraint, (variable, node)), _)| {
            let value = placed_in(node, constraint);
            Condition { text: constraint.behind(variable), saw: vec![Seen { what: variable.to_owned(), value }], error: None }
        })
        .collect()
}

/// The entity, with what it is in of the kind that the scope asks for.
fn placed_in(node: &Node, constraint: &Constraint) -> String {
    let wanted: Vec<TypeName> = match constraint {
        Constraint::In(entity) | Constraint::IsIn(_, entity) => vec![entity.kind.clone()],
        Constraint::InAny(entities) if entities.iter().any(|entity| node.ancestors.iter().any(|ancestor| ancestor.kind == entity.kind)) => {
            entities.first().map(|entity| entity.kind.clone()).into_iter().collect()
        }
        Constraint::InAny(_) | Constraint::Any | Constraint::Is(_) | Constraint::Eq(_) => return named(&node.entity),
    };
    placed(&node.entity, node.ancestors.iter(), &wanted)
}
