//! Ways around a `forbid`: calls that reach what it guards without naming it, and that some policy permits.

use std::collections::BTreeSet;

use super::{
    Authorizer, Scope,
    constraint::Constraint,
    load::Placed,
    node::{Node, action_node},
    schema::COLLECTION,
};
use crate::model::{Action, ActionSpec, EntityRef, Fault, Mark, TypeName, Vocabulary};

/// Names in one message before the rest is counted.
const NAMED: usize = 3;

/// What stands for every object of a target: a `forbid` on one of these reaches whatever a request names.
const WHOLE: [&str; 4] = ["Workspace", "Account", "Service", "Environment"];

// === impl Authorizer ===

impl Authorizer {
    /// The ids of the policies whose scope admits `action`, in their order.
    #[must_use]
    pub fn policies_on(&self, action: &Action) -> Vec<&str> {
        let node = action_node(action);
        self.policies.iter().filter(|placed| placed.compiled.action.matches(&node)).map(|placed| &*placed.compiled.id).collect()
    }

    /// A warning for each `forbid` on a name that an id without a name, or code that the request does not show, can go around.
    #[must_use]
    pub fn ways_around(&self, vocabulary: &Vocabulary, scope: &Scope) -> Vec<Fault> {
        let actions: Vec<(&ActionSpec, Node)> = vocabulary.actions.iter().map(|spec| (spec, action_node(&spec.action))).collect();
        let risky: Vec<&(&ActionSpec, Node)> = actions.iter().filter(|(spec, _)| !spec.orphans.is_empty() || executes(spec)).collect();
        let permits: Vec<&Placed> = self.policies.iter().filter(|placed| !placed.compiled.is_forbid()).collect();
        let mut found = Vec::new();
        for forbid in self.policies.iter().filter(|placed| placed.compiled.is_forbid()) {
            found.extend(narrower(vocabulary, forbid));
            for guarded in guarded(vocabulary, forbid) {
                let reach = Reach { vocabulary, scope, permits: &permits, forbid, guarded };
                found.extend(reach.by_id(&risky));
                found.extend(reach.by_code(&risky));
            }
        }
        found
    }
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
            "`{}` does not reach {}, where the request says neither name nor parent of the object; {} permits them",
            self.forbid.compiled.id,
            listed(&calls),
            listed(&permits)
        );
        let help = "permit such ids one by one, or forbid these actions where the object stands; where it is the object's own second id, say so in the inventory (`same_as`)";
        (!calls.is_empty()).then(|| self.fault(message, help))
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
            "what `{}` guards can be reached by what {} run, which {} permits: the request does not show it",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::tests::world::{load, said, target, vocabulary};

    fn warned(forbid: &str, permit: &str) -> String {
        let scope = Scope { targets: vec![target()], ..Scope::default() };
        let text = format!("@id(\"closed\") forbid ({forbid});\n@id(\"open\") permit ({permit});");
        said(&load(&text).ways_around(&vocabulary(), &scope))
    }

    #[test]
    fn ids_without_a_name_go_around_a_forbid_on_a_name() {
        let pii = r#"principal, action, resource in Schema::"stage/main.pii""#;
        for (forbid, permit, want) in [
            (pii, r#"principal, action, resource in Environment::"staging""#, "`tables.temporary` (Table)"),
            (pii, r#"principal, action == Action::"tables.temporary", resource"#, "`open` permits"),
            (pii, "principal, action, resource is Table", "`tables.temporary` (Table)"),
            (r#"principal, action, resource in Collection::"pii""#, "principal, action, resource is Table", "`tables.temporary` (Table)"),
            (r#"principal, action, resource == Job::"stage/42""#, r#"principal, action in Action::"use", resource"#, "`jobs.cancel_run` (JobRun)"),
        ] {
            let said = warned(forbid, permit);
            assert!(said.starts_with("base.cedar:1: ") && said.contains(want), "{permit}: {said}");
        }
        for (forbid, permit) in [
            (pii, r#"principal, action, resource in Environment::"prod""#),
            (pii, r#"principal, action == Action::"tables.get", resource"#),
            (pii, r#"principal, action in Action::"credentials", resource in Schema::"stage/main.open""#),
            (pii, "principal, action, resource is Job"),
            (
                r#"principal, action == Action::"tables.get", resource in Schema::"stage/main.pii""#,
                r#"principal, action == Action::"tables.temporary", resource"#,
            ),
            (r#"principal, action, resource in Workspace::"stage""#, "principal, action, resource"),
            (
                r#"principal, action, resource in Schema::"other/main.pii""#,
                r#"principal, action == Action::"tables.temporary", resource in Workspace::"stage""#,
            ),
        ] {
            let said = warned(forbid, permit);
            assert!(!said.contains("neither name"), "{forbid} and {permit}: {said}");
        }
    }

    #[test]
    fn a_forbid_of_a_wider_action_alone_is_told() {
        let said = warned(r#"principal, action == Action::"jobs.submit", resource"#, "principal, action, resource");
        assert!(said.contains("does not forbid `jobs.cancel_run`, which `jobs.submit` holds; write `action in Action::\"jobs.submit\"`"), "{said}");
        assert_eq!(warned(r#"principal, action in Action::"jobs.submit", resource"#, "principal, action, resource"), "");
    }

    #[test]
    fn code_that_is_not_shown_goes_around_any_forbid() {
        let pii = r#"principal, action, resource in Schema::"stage/main.pii""#;
        let said = warned(pii, r#"principal, action == Action::"sql.execute", resource"#);
        assert!(said.contains("by what `sql.execute` run, which `open` permits"), "{said}");
        let on_one = warned(pii, r#"principal, action == Action::"sql.execute", resource == Job::"stage/1""#);
        assert!(on_one.contains("by what `sql.execute` run"), "{on_one}");
        assert_eq!(warned(pii, r#"principal, action == Action::"sql.execute", resource in Workspace::"other""#), "");
        assert_eq!(warned(pii, r#"principal, action == Action::"sql.execute", resource == Job::"other/1""#), "");
    }
}
