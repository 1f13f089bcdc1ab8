//! The actions of a vocabulary by number, and those that scopes admit as sets of numbers.

use std::collections::{BTreeSet, HashMap};

use crate::{
    authz::{
        constraint::Constraint,
        node::{Node, action_node},
    },
    model::{ActionSpec, EntityRef, Vocabulary},
};

/// Scopes that admit the same actions share one set.
pub(super) struct Actions<'a> {
    specs: &'a [ActionSpec],
    nodes: Vec<Node>,
    /// The actions that are each entity, or stand below it.
    members: HashMap<EntityRef, Vec<usize>>,
    sets: Vec<BTreeSet<usize>>,
    numbers: HashMap<BTreeSet<usize>, usize>,
    known: HashMap<Constraint, usize>,
}

// === impl Actions ===

impl<'a> Actions<'a> {
    pub(super) fn new(vocabulary: &'a Vocabulary) -> Self {
        let nodes: Vec<Node> = vocabulary.actions.iter().map(|spec| action_node(&spec.action)).collect();
        let mut members: HashMap<EntityRef, Vec<usize>> = HashMap::new();
        for (number, node) in nodes.iter().enumerate() {
            for entity in [&node.entity].into_iter().chain(&node.ancestors) {
                members.entry(entity.clone()).or_default().push(number);
            }
        }
        Self { specs: &vocabulary.actions, nodes, members, sets: Vec::new(), numbers: HashMap::new(), known: HashMap::new() }
    }

    /// The number of the set of actions that a scope admits.
    pub(super) fn admitted(&mut self, scope: &Constraint) -> usize {
        if let Some(known) = self.known.get(scope) {
            return *known;
        }
        let below = |entity: &EntityRef| self.members.get(entity).into_iter().flatten().copied();
        let admitted: BTreeSet<usize> = match scope {
            Constraint::InAny(entities) => entities.iter().flat_map(below).collect(),
            Constraint::Eq(entity) => below(entity).filter(|number| self.nodes.get(*number).is_some_and(|node| scope.matches(node))).collect(),
            _ => self.nodes.iter().enumerate().filter(|(_, node)| scope.matches(node)).map(|(number, _)| number).collect(),
        };
        let next = self.sets.len();
        let number = *self.numbers.entry(admitted.clone()).or_insert(next);
        if number == next {
            self.sets.push(admitted);
        }
        self.known.insert(scope.clone(), number);
        number
    }

    pub(super) fn has(&self, set: usize, action: usize) -> bool {
        self.sets.get(set).is_some_and(|set| set.contains(&action))
    }

    /// The actions of a set, each with its number.
    pub(super) fn of(&self, set: usize) -> impl Iterator<Item = (usize, &'a ActionSpec)> + '_ {
        self.sets.get(set).into_iter().flatten().filter_map(|number| Some((*number, self.specs.get(*number)?)))
    }

    /// Their names in backticks.
    pub(super) fn named(&self, actions: impl Iterator<Item = usize>) -> impl Iterator<Item = String> {
        actions.filter_map(|number| self.specs.get(number)).map(|spec| format!("`{}`", spec.action.name))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &'a ActionSpec)> + '_ {
        self.specs.iter().enumerate()
    }
}
