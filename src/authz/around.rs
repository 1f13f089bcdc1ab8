//! Ways around a `forbid`: calls that reach what it guards without naming it, and that some policy permits.
//!
//! What permits leave open is found out once for all objects of a type in a target, and then for those alone that name the guarded object by its id:
//! to look at each permit for each `forbid` would take hours where both are many.

mod acting;
mod classes;
mod other;
mod place;

use std::collections::{BTreeSet, HashMap};

use self::{
    acting::Actions,
    classes::{Class, Classes, Names, reached},
    other::OtherTypes,
    place::{Place, WHOLE, named},
};
use super::{Authorizer, Scope, constraint::Constraint, load::Placed, node::action_node, schema::COLLECTION};
use crate::model::{Action, ActionSpec, EntityRef, Fault, Faults, Mark, TypeName, Vocabulary};

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
        let (forbids, permits): (Vec<&Placed>, Vec<&Placed>) = self.policies.iter().partition(|placed| placed.compiled.is_forbid());
        let mut actions = Actions::new(vocabulary);
        let closing = Classes::new(&forbids, &mut actions);
        let permits = Classes::new(&permits, &mut actions);
        let mut others = OtherTypes::new(vocabulary, self.second_names(), &closing, &permits);
        let mut around = Around { vocabulary, permits: &permits, wider: wider(vocabulary), by_id: HashMap::new(), by_code: HashMap::new() };
        let mut found = Faults::default();
        for forbid in forbids {
            found.extend(around.narrower(forbid));
            for guarded in guarded(vocabulary, forbid) {
                let way = Way { forbid, guarded, place: Place::of(guarded, scope), actions: actions.admitted(&forbid.compiled.action) };
                found.extend(around.by_id(&way, &actions));
                found.extend(others.around(&way, &actions));
                found.extend(around.by_code(&way, &actions));
            }
        }
        found.into_vec()
    }
}

/// One `forbid`, and one object that it names.
struct Way<'a> {
    forbid: &'a Placed,
    guarded: &'a EntityRef,
    place: Place<'a>,
    /// The number of the set of actions that it is about.
    actions: usize,
}

/// What goes around a `forbid`, as a message names it.
struct Open {
    calls: String,
    permits: String,
}

/// Where ways are looked for, and what was found already for objects that are alike in that.
struct Around<'a> {
    vocabulary: &'a Vocabulary,
    permits: &'a Classes<'a>,
    /// The actions that each action holds, as messages name them.
    wider: HashMap<&'a str, BTreeSet<String>>,
    /// By the actions that are forbidden, and by the type and the target of the object.
    by_id: HashMap<(usize, &'a TypeName, Option<&'a str>), Option<Open>>,
    /// By the target.
    by_code: HashMap<Option<&'a str>, Option<Open>>,
}

// === impl Around ===

impl<'a> Around<'a> {
    /// A `forbid` of one action that holds others: those have names of their own, and pass.
    fn narrower(&self, forbid: &Placed) -> Option<Fault> {
        let Constraint::Eq(action) = &forbid.compiled.action else { return None };
        let names = self.wider.get(&*action.id)?;
        let message = format!("`{}` does not forbid {}, which `{}` holds", forbid.compiled.id, listed(names), action.id);
        Some(fault(forbid, message, format!("write `action in {action}`")))
    }

    /// Calls it is meant for, that name the object, or what is in it, by an id which does not say so.
    fn by_id(&mut self, way: &Way<'a>, actions: &Actions<'a>) -> Option<Fault> {
        let known = self.by_id.entry((way.actions, &way.guarded.kind, way.place.target));
        let (vocabulary, permits) = (self.vocabulary, self.permits);
        let open = known.or_insert_with(|| {
            let related = |kind: &&TypeName| way.place.target.is_none() || vocabulary.belongs(kind, &way.guarded.kind);
            let unnamed =
                actions.of(way.actions).flat_map(|(number, spec)| spec.orphans.iter().filter(related).map(move |kind| (number, spec, kind)));
            let unnamed: Vec<(usize, &ActionSpec, &TypeName)> = unnamed.collect();
            let (calls, permits) = reached(permits.wide(), &unnamed, |class: &Class<'_>, (number, _, kind)| {
                actions.has(class.actions, *number) && way.place.may_hold(class.resource, kind)
            });
            Open::new(calls.map(|(_, spec, kind)| format!("`{}` ({kind})", spec.action.name)), &permits)
        });
        let Open { calls, permits } = open.as_ref()?;
        let message = format!(
            "`{}` does not reach {calls}, where the request says neither name nor parent of the object (permitted by {permits})",
            way.forbid.compiled.id
        );
        let help = "permit such ids one by one, or forbid these actions where the object stands; where it is the object's own second id, say so in the inventory (`same_as`)";
        Some(fault(way.forbid, message, help.to_owned()))
    }

    /// Calls that run what the request does not show: it can do whatever its caller may do in Databricks.
    fn by_code(&mut self, way: &Way<'a>, actions: &Actions<'a>) -> Option<Fault> {
        let permits = self.permits;
        let open = self.by_code.entry(way.place.target).or_insert_with(|| {
            let running: Vec<(usize, &ActionSpec)> = actions.all().filter(|(_, spec)| spec.action.marks.contains(&Mark::Executes)).collect();
            let classes = permits.wide().chain(permits.in_target(way.place.target));
            let (calls, permits) = reached(classes, &running, |class: &Class<'_>, (number, spec)| {
                // Whatever it runs on, a warehouse or a job, stands beside what is guarded.
                let holds = || way.place.is_near(class.resource) || spec.resources.iter().any(|kind| way.place.may_hold(class.resource, kind));
                actions.has(class.actions, *number) && holds()
            });
            Open::new(calls.map(|(_, spec)| format!("`{}`", spec.action.name)), &permits)
        });
        let Open { calls, permits } = open.as_ref()?;
        let message = format!(
            "what `{}` guards can be reached by code that {calls} may run (permitted by {permits}): the request does not show it",
            way.forbid.compiled.id
        );
        let help = "guard the object in Databricks itself, or let fewer callers do what is in `Action::\"executes\"`";
        Some(fault(way.forbid, message, help.to_owned()))
    }
}

// === impl Open ===

impl Open {
    /// `None` where no call goes around.
    fn new(calls: impl Iterator<Item = String>, permits: &Names) -> Option<Self> {
        let calls: BTreeSet<String> = calls.collect();
        (!calls.is_empty()).then(|| Self { calls: listed(&calls), permits: permits.to_string() })
    }
}

/// The actions that each action holds.
fn wider(vocabulary: &Vocabulary) -> HashMap<&str, BTreeSet<String>> {
    let mut wider: HashMap<&str, BTreeSet<String>> = HashMap::new();
    for spec in &vocabulary.actions {
        for name in &spec.action.within {
            wider.entry(name).or_default().insert(format!("`{}`", spec.action.name));
        }
    }
    wider
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

fn fault(forbid: &Placed, message: String, help: String) -> Fault {
    Fault { file: forbid.file.to_path_buf(), line: Some(forbid.line), column: None, message, help: Some(help) }
}

/// The first of `names`, and how many more there are.
fn listed(names: &BTreeSet<String>) -> String {
    Names { first: names.iter().take(classes::NAMED).cloned().collect(), count: names.len() }.to_string()
}

#[cfg(test)]
mod tests;
