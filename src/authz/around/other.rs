//! Ways around a `forbid` by another type: a vector index is a table to the calls on tables.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    Way,
    acting::Actions,
    classes::{Applier, Class, Classes, Names, reached},
    fault, listed,
};
use crate::model::{EntityRef, Fault, TypeName, Vocabulary};

/// Where such ways are looked for, and what was found already for objects of one target.
pub(super) struct OtherTypes<'a> {
    vocabulary: &'a Vocabulary,
    second_names: &'a HashMap<EntityRef, EntityRef>,
    forbids: &'a Classes<'a>,
    permits: &'a Classes<'a>,
    /// The actions of a set that are about a type.
    acting: HashMap<(usize, &'a TypeName), Vec<usize>>,
    /// The actions on a type that policies which name no object forbid in a target, and to whom.
    closed: HashMap<(&'a TypeName, &'a str), HashMap<&'a Applier<'a>, HashSet<usize>>>,
    /// Which calls such policies permit in a target.
    open: HashMap<(&'a str, Vec<Call<'a>>), Open<'a>>,
}

/// Calls that are permitted, and the policies that permit them.
#[derive(Clone)]
struct Open<'a> {
    calls: Vec<Call<'a>>,
    permits: Names,
}

/// An action on the guarded object by another type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Call<'a> {
    kind: &'a TypeName,
    action: usize,
}

// === impl OtherTypes ===

impl<'a> OtherTypes<'a> {
    pub(super) fn new(
        vocabulary: &'a Vocabulary,
        second_names: &'a HashMap<EntityRef, EntityRef>,
        forbids: &'a Classes<'a>,
        permits: &'a Classes<'a>,
    ) -> Self {
        Self { vocabulary, second_names, forbids, permits, acting: HashMap::new(), closed: HashMap::new(), open: HashMap::new() }
    }

    /// Calls that name the object by its id, and by another type.
    pub(super) fn around(&mut self, way: &Way<'a>, actions: &Actions<'a>) -> Option<Fault> {
        let target = way.place.target?;
        let mut calls = Vec::new();
        for kind in &self.vocabulary.type_named(way.guarded.kind.as_str())?.seen_as {
            let other = as_kind(way.guarded, kind);
            if self.second_names.get(&other) == Some(way.guarded) {
                continue;
            }
            let about = || actions.of(way.actions).filter(|(_, spec)| spec.resources.contains(kind)).map(|(action, _)| action).collect();
            let acting = self.acting.entry((way.actions, kind)).or_insert_with(about).clone();
            calls.extend(
                acting
                    .into_iter()
                    .filter(|action| !self.is_closed(way, target, (kind, &other), *action, actions))
                    .map(|action| Call { kind, action }),
            );
        }
        if calls.is_empty() {
            return None;
        }
        let reaches = |class: &Class<'_>, Call { kind, action }: &Call<'_>| {
            actions.has(class.actions, *action) && way.place.holds_other(class.resource, &as_kind(way.guarded, kind))
        };
        let permits = self.permits;
        let Open { calls: mut open, permits: mut names } = {
            let wide = || {
                let (open, names) = reached(permits.wide(), &calls, reaches);
                Open { calls: open.copied().collect(), permits: names }
            };
            self.open.entry((target, calls.clone())).or_insert_with(wide).clone()
        };
        let (by_name, further) = reached(permits.naming(&way.guarded.id), &calls, reaches);
        open.extend(by_name);
        names.add(&further);
        let called: BTreeSet<String> = actions.named(open.iter().map(|call| call.action)).collect();
        let mends: BTreeSet<String> = open.iter().map(|call| format!("`{}`", as_kind(way.guarded, call.kind))).collect();
        let message = format!(
            "`{}` does not reach {}, to which the object is {} (permitted by {names})",
            way.forbid.compiled.id,
            listed(&called),
            listed(&mends)
        );
        let help = "forbid the same there too, or say in the inventory that both are one (`same_as`)";
        (!open.is_empty()).then(|| fault(way.forbid, message, help.to_owned()))
    }

    /// Whether the action is forbidden on the object by its other type, wherever it is by its own.
    fn is_closed(&mut self, way: &Way<'a>, target: &'a str, (kind, other): (&'a TypeName, &EntityRef), action: usize, actions: &Actions<'a>) -> bool {
        let forbids = self.forbids;
        let wide = self.closed.entry((kind, target)).or_insert_with(|| {
            let mut closed: HashMap<&Applier<'_>, HashSet<usize>> = HashMap::new();
            for class in forbids.wide().filter(|class| way.place.holds_other(class.resource, other)) {
                let about = actions.of(class.actions).filter(|(_, spec)| spec.resources.contains(kind)).map(|(action, _)| action);
                let about: Vec<usize> = about.collect();
                for applier in &class.appliers {
                    closed.entry(applier).or_default().extend(&about);
                }
            }
            closed
        });
        let covering = Applier::covering(&way.forbid.compiled);
        let here = |class: &Class<'_>| actions.has(class.actions, action) && way.place.holds_other(class.resource, other);
        covering.iter().any(|applier| wide.get(applier).is_some_and(|actions| actions.contains(&action)))
            || forbids.naming(&other.id).any(|class| here(class) && covering.iter().any(|applier| class.appliers.contains(applier)))
    }
}

/// The same id with another type.
fn as_kind(entity: &EntityRef, kind: &TypeName) -> EntityRef {
    EntityRef { kind: kind.clone(), id: entity.id.clone() }
}
