//! What a way around is, found by looking at every permit for every `forbid`.

use std::collections::{BTreeSet, HashMap};

use crate::{
    authz::{
        Authorizer, Scope,
        constraint::Constraint,
        load::Placed,
        node::{Node, action_node},
        policy::Compiled,
        schema::COLLECTION,
    },
    model::{ActionSpec, EntityRef, Fault, Mark, TypeName, Vocabulary},
};

const NAMED: usize = 3;

const WHOLE: [&str; 4] = ["Workspace", "Account", "Service", "Environment"];

pub(super) fn ways_around(authorizer: &Authorizer, vocabulary: &Vocabulary, scope: &Scope) -> Vec<Fault> {
    let actions: Vec<(&ActionSpec, Node)> = vocabulary.actions.iter().map(|spec| (spec, action_node(&spec.action))).collect();
    let risky: Vec<&(&ActionSpec, Node)> = actions.iter().filter(|(spec, _)| !spec.orphans.is_empty() || executes(spec)).collect();
    let permits: Vec<&Placed> = authorizer.policies.iter().filter(|placed| !placed.compiled.is_forbid()).collect();
    let forbids: Vec<&Placed> = authorizer.policies.iter().filter(|placed| placed.compiled.is_forbid()).collect();
    let second_names = authorizer.second_names();
    let mut found = Vec::new();
    for forbid in &forbids {
        found.extend(narrower(vocabulary, forbid));
        for guarded in guarded(vocabulary, forbid) {
            let reach = Reach { vocabulary, scope, permits: &permits, forbid, guarded };
            found.extend(reach.by_id(&risky));
            found.extend(reach.by_other_type(second_names, &forbids, &actions));
            found.extend(reach.by_code(&risky));
        }
    }
    found
}

/// Whether a policy applies to all principals, and under all conditions, to which `other` applies, as far as their texts say so.
fn applies_where(policy: &Compiled, other: &Compiled) -> bool {
    let principal = policy.principal == Constraint::Any || policy.principal == other.principal;
    let [own, others] = [policy, other].map(|policy| policy.policy.non_scope_constraints());
    principal && own.is_none_or(|own| others.is_some_and(|others| own.eq_shape(others)))
}

/// One `forbid`, and what may reach the object it names.
struct Reach<'a> {
    vocabulary: &'a Vocabulary,
    scope: &'a Scope,
    permits: &'a [&'a Placed],
    forbid: &'a Placed,
    guarded: &'a EntityRef,
}

// === impl Reach ===

impl Reach<'_> {
    /// Calls it is meant for, that name the object, or what is in it, by an id which does not say so.
    fn by_id(&self, actions: &[&(&ActionSpec, Node)]) -> Option<Fault> {
        let (mut calls, mut permits) = (BTreeSet::new(), BTreeSet::new());
        for (spec, node) in actions.iter().filter(|(_, node)| self.forbid.compiled.action.matches(node)) {
            let related = |kind: &&TypeName| self.is_collection() || self.vocabulary.belongs(kind, &self.guarded.kind);
            for kind in spec.orphans.iter().filter(related) {
                let open = self.permitting(node, |permit| self.may_hold(&permit.compiled.resource, kind));
                if !open.is_empty() {
                    calls.insert(format!("`{}` ({kind})", spec.action.name));
                    permits.extend(open);
                }
            }
        }
        let message = format!(
            "`{}` does not reach {}, where the request says neither name nor parent of the object (permitted by {})",
            self.forbid.compiled.id,
            listed(&calls),
            listed(&permits)
        );
        let help = "permit such ids one by one, or forbid these actions where the object stands; where it is the object's own second id, say so in the inventory (`same_as`)";
        (!calls.is_empty()).then(|| self.fault(message, help))
    }

    /// Calls that name the object by its id, and by another type: a vector index is a table to Unity Catalog.
    fn by_other_type(&self, second_names: &HashMap<EntityRef, EntityRef>, forbids: &[&Placed], actions: &[(&ActionSpec, Node)]) -> Option<Fault> {
        let (mut calls, mut permits, mut mends) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for kind in self.vocabulary.type_named(self.guarded.kind.as_str()).into_iter().flat_map(|spec| &spec.seen_as) {
            let other = EntityRef { kind: kind.clone(), id: self.guarded.id.clone() };
            if second_names.get(&other) == Some(self.guarded) {
                continue;
            }
            let acting = actions.iter().filter(|(spec, node)| spec.resources.contains(kind) && self.forbid.compiled.action.matches(node));
            for (spec, node) in acting {
                let covers = |compiled: &Compiled| compiled.action.matches(node) && self.holds_other(&compiled.resource, &other);
                let closed = forbids.iter().any(|forbid| covers(&forbid.compiled) && applies_where(&forbid.compiled, &self.forbid.compiled));
                let open = self.permitting(node, |permit| self.holds_other(&permit.compiled.resource, &other));
                if !closed && !open.is_empty() {
                    calls.insert(format!("`{}`", spec.action.name));
                    permits.extend(open);
                    mends.insert(format!("`{other}`"));
                }
            }
        }
        let message = format!(
            "`{}` does not reach {}, to which the object is {} (permitted by {})",
            self.forbid.compiled.id,
            listed(&calls),
            listed(&mends),
            listed(&permits)
        );
        let help = "forbid the same there too, or say in the inventory that both are one (`same_as`)";
        (!calls.is_empty()).then(|| self.fault(message, help))
    }

    /// Whether a policy on `resource` may be about `other`.
    fn holds_other(&self, resource: &Constraint, other: &EntityRef) -> bool {
        let above = |entity: &EntityRef| {
            entity == other || self.stands_in(entity) || other.id.strip_prefix(&*entity.id).is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        match resource {
            Constraint::Any => true,
            Constraint::Is(kind) => *kind == other.kind,
            Constraint::Eq(entity) => entity == other,
            Constraint::In(entity) => above(entity),
            Constraint::IsIn(kind, entity) => *kind == other.kind && above(entity),
            Constraint::InAny(entities) => entities.iter().any(above),
        }
    }

    /// Calls that run what the request does not show: it can do whatever its caller may do in Databricks.
    fn by_code(&self, actions: &[&(&ActionSpec, Node)]) -> Option<Fault> {
        let (mut calls, mut permits) = (BTreeSet::new(), BTreeSet::new());
        for (spec, node) in actions.iter().filter(|(spec, _)| executes(spec)) {
            // Whatever it runs on, a warehouse or a job, stands beside what is guarded.
            let near = |permit: &Placed| named(&permit.compiled.resource).is_some_and(|on| self.is_collection() || self.target() == target_of(on));
            let open =
                self.permitting(node, |permit| near(permit) || spec.resources.iter().any(|kind| self.may_hold(&permit.compiled.resource, kind)));
            if !open.is_empty() {
                calls.insert(format!("`{}`", spec.action.name));
                permits.extend(open);
            }
        }
        let message = format!(
            "what `{}` guards can be reached by code that {} may run (permitted by {}): the request does not show it",
            self.forbid.compiled.id,
            listed(&calls),
            listed(&permits)
        );
        let help = "guard the object in Databricks itself, or let fewer callers do what is in `Action::\"executes\"`";
        (!calls.is_empty()).then(|| self.fault(message, help))
    }

    fn permitting(&self, action: &Node, holds: impl Fn(&Placed) -> bool) -> Vec<String> {
        let fitting = self.permits.iter().filter(|permit| permit.compiled.action.matches(action) && holds(permit));
        fitting.map(|permit| format!("`{}`", permit.compiled.id)).collect()
    }

    /// Whether a permit on `resource` may be about an object of type `kind` in the target of what is guarded, without naming that object.
    fn may_hold(&self, resource: &Constraint, kind: &TypeName) -> bool {
        match resource {
            Constraint::Any => true,
            Constraint::Is(wanted) => wanted == kind,
            Constraint::Eq(entity) | Constraint::In(entity) => self.stands_in(entity),
            Constraint::IsIn(wanted, entity) => wanted == kind && self.stands_in(entity),
            Constraint::InAny(entities) => entities.iter().any(|entity| self.stands_in(entity)),
        }
    }

    /// Whether `entity` is what the guarded object stands in: its target, or the environment of that.
    fn stands_in(&self, entity: &EntityRef) -> bool {
        let target = self.target();
        match entity.kind.as_str() {
            // What is in a collection may stand anywhere, and so may what a permit names by one.
            _ if self.is_collection() => WHOLE.contains(&entity.kind.as_str()),
            COLLECTION => true,
            "Workspace" | "Account" | "Service" => *entity.id == *target,
            "Environment" => {
                let configured = self.scope.targets.iter().filter(|known| known.name.as_str() == target);
                let mut environments = configured.filter_map(|known| known.environment.as_ref()).peekable();
                // A target that is not configured may be in any environment.
                environments.peek().is_none() || environments.any(|environment| environment.0.as_str() == &*entity.id)
            }
            _ => false,
        }
    }

    fn is_collection(&self) -> bool {
        self.guarded.kind.as_str() == COLLECTION
    }

    fn target(&self) -> &str {
        target_of(self.guarded)
    }

    fn fault(&self, message: String, help: &str) -> Fault {
        Fault { file: self.forbid.file.to_path_buf(), line: Some(self.forbid.line), column: None, message, help: Some(help.to_owned()) }
    }
}

/// A `forbid` of one action that holds others: those have names of their own, and pass.
fn narrower(vocabulary: &Vocabulary, forbid: &Placed) -> Option<Fault> {
    let Constraint::Eq(action) = &forbid.compiled.action else { return None };
    let within = vocabulary.actions.iter().filter(|spec| spec.action.within.iter().any(|wider| **wider == *action.id));
    let names: BTreeSet<String> = within.map(|spec| format!("`{}`", spec.action.name)).collect();
    let message = format!("`{}` does not forbid {}, which `{}` holds", forbid.compiled.id, listed(&names), action.id);
    let mend = format!("write `action in {action}`");
    let fault = Fault { file: forbid.file.to_path_buf(), line: Some(forbid.line), column: None, message, help: Some(mend) };
    (!names.is_empty()).then_some(fault)
}

/// The objects that `forbid` is about: the one of its scope, or else those that its conditions name.
fn guarded<'f>(vocabulary: &Vocabulary, forbid: &'f Placed) -> Vec<&'f EntityRef> {
    if let Some(entity) = named(&forbid.compiled.resource) {
        return vec![entity];
    }
    let object = |entity: &&EntityRef| {
        let kind = entity.kind.as_str();
        kind == COLLECTION || (!WHOLE.contains(&kind) && vocabulary.type_named(kind).is_some())
    };
    forbid.compiled.literals.iter().filter(object).collect()
}

/// The target that the id of an object begins with.
fn target_of(entity: &EntityRef) -> &str {
    entity.id.split_once('/').map_or(&*entity.id, |(target, _)| target)
}

/// The object that a scope names, where it names one.
fn named(resource: &Constraint) -> Option<&EntityRef> {
    let (Constraint::Eq(entity) | Constraint::In(entity) | Constraint::IsIn(_, entity)) = resource else { return None };
    (!WHOLE.contains(&entity.kind.as_str())).then_some(entity)
}

fn executes(spec: &ActionSpec) -> bool {
    spec.action.marks.contains(&Mark::Executes)
}

/// The first of `names`, and how many more there are.
fn listed(names: &BTreeSet<String>) -> String {
    let first: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
