//! Policies gathered by their scopes: to what they can reach, it makes no difference which of a class it is.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
};

use cedar_policy_core::ast::ExprShapeOnly;

use super::{
    acting::Actions,
    place::{WHOLE, target_of},
};
use crate::authz::{constraint::Constraint, load::Placed, policy::Compiled, schema::COLLECTION};

/// Names in one message before the rest is counted.
pub(super) const NAMED: usize = 3;

/// Policies with the same actions and the same resources in their scopes.
pub(super) struct Class<'p> {
    /// The number of their set of actions.
    pub(super) actions: usize,
    pub(super) resource: &'p Constraint,
    names: Names,
    /// To whom they apply.
    pub(super) appliers: HashSet<Applier<'p>>,
}

/// All of one effect.
pub(super) struct Classes<'p> {
    all: Vec<Class<'p>>,
    /// Those on types, targets, environments and collections.
    wide: Vec<usize>,
    /// All others, by the id that they name.
    named: HashMap<&'p str, Vec<usize>>,
    /// The same by the target of that.
    near: HashMap<&'p str, Vec<usize>>,
}

/// To whom a policy applies and under which conditions, as far as its text says so.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Applier<'p> {
    principal: &'p Constraint,
    conditions: Option<ExprShapeOnly<'p>>,
}

/// Some names in backticks, the first of them in full.
#[derive(Clone, Default)]
pub(super) struct Names {
    pub(super) first: BTreeSet<String>,
    pub(super) count: usize,
}

/// Which of `calls` the classes reach, and the policies of every class that reaches any.
pub(super) fn reached<'c, 'p: 'c, T>(
    classes: impl Iterator<Item = &'c Class<'p>>,
    calls: &[T],
    reaches: impl Fn(&Class<'p>, &T) -> bool,
) -> (impl Iterator<Item = &T>, Names) {
    let (mut found, mut names) = (vec![false; calls.len()], Names::default());
    for class in classes {
        let mut any = false;
        for (call, found) in calls.iter().zip(&mut found) {
            // What is known both of the class and of the call need not be found again.
            if !(any && *found) && reaches(class, call) {
                (any, *found) = (true, true);
            }
        }
        if any {
            names.add(&class.names);
        }
    }
    (calls.iter().zip(found).filter(|(_, found)| *found).map(|(call, _)| call), names)
}

// === impl Classes ===

impl<'p> Classes<'p> {
    pub(super) fn new(policies: &[&'p Placed], actions: &mut Actions<'_>) -> Self {
        let mut classes = Self { all: Vec::new(), wide: Vec::new(), named: HashMap::new(), near: HashMap::new() };
        let mut known: HashMap<(usize, &Constraint), usize> = HashMap::new();
        for policy in policies.iter().map(|placed| &*placed.compiled) {
            let (actions, resource) = (actions.admitted(&policy.action), &policy.resource);
            let number = *known.entry((actions, resource)).or_insert_with(|| classes.open(actions, resource));
            if let Some(class) = classes.all.get_mut(number) {
                class.names.add(&Names { first: [format!("`{}`", policy.id)].into(), count: 1 });
                class.appliers.insert(Applier::of(policy));
            }
        }
        classes
    }

    /// Those that can be about an object that they do not name.
    pub(super) fn wide(&self) -> impl Iterator<Item = &Class<'p>> {
        self.wide.iter().filter_map(|number| self.all.get(*number))
    }

    /// Those that name what has this id, or an id that it begins with.
    pub(super) fn naming<'c>(&'c self, id: &'c str) -> impl Iterator<Item = &'c Class<'p>> {
        let ids = id.match_indices(['.', '/']).filter_map(|(end, _)| id.get(..end)).chain([id]);
        ids.filter_map(|id| self.named.get(id)).flatten().filter_map(|number| self.all.get(*number))
    }

    /// Those that name an object in `target`, or anywhere.
    pub(super) fn in_target<'c>(&'c self, target: Option<&'c str>) -> impl Iterator<Item = &'c Class<'p>> {
        let near = self.near.iter().filter(move |(name, _)| target.is_none_or(|target| target == **name));
        near.flat_map(|(_, numbers)| numbers).filter_map(|number| self.all.get(*number))
    }

    fn open(&mut self, actions: usize, resource: &'p Constraint) -> usize {
        let number = self.all.len();
        self.all.push(Class { actions, resource, names: Names::default(), appliers: HashSet::new() });
        let object = resource.entity().filter(|entity| entity.kind.as_str() != COLLECTION && !WHOLE.contains(&entity.kind.as_str()));
        match object {
            None => self.wide.push(number),
            Some(entity) => {
                self.named.entry(&entity.id).or_default().push(number);
                self.near.entry(target_of(entity)).or_default().push(number);
            }
        }
        number
    }
}

// === impl Applier ===

impl<'p> Applier<'p> {
    pub(super) fn of(policy: &'p Compiled) -> Self {
        Self { principal: &policy.principal, conditions: policy.policy.non_scope_constraints().map(ExprShapeOnly::new_from_borrowed) }
    }

    /// Whatever applies at least to those, and under those conditions, to which `policy` does.
    pub(super) fn covering(policy: &'p Compiled) -> [Self; 4] {
        let own = || Self::of(policy).conditions;
        let everybody = &Constraint::Any;
        let principal = &policy.principal;
        [(everybody, None), (everybody, own()), (principal, None), (principal, own())].map(|(principal, conditions)| Self { principal, conditions })
    }
}

// === impl Names ===

impl Names {
    /// With those of others, of whom none is among these.
    pub(super) fn add(&mut self, others: &Self) {
        self.count += others.count;
        self.first.extend(others.first.iter().cloned());
        while self.first.len() > NAMED {
            self.first.pop_last();
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first: Vec<&str> = self.first.iter().map(String::as_str).collect();
        write!(f, "{}", first.join(", "))?;
        match self.count.saturating_sub(first.len()) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
