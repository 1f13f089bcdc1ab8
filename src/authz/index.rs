//! Which policies could apply, found by what their scopes name instead of by trying each: the engine is linear in the policies it is given.

use std::collections::HashMap;

use super::{
    constraint::Constraint,
    node::{Node, Question},
};
use crate::model::{EntityRef, TypeName};

/// A number for each entity and type that some scope names. What no scope names has none and costs one lookup.
#[derive(Clone, Debug, Default)]
struct Symbols {
    entities: HashMap<EntityRef, u32>,
    types: HashMap<TypeName, u32>,
    next: u32,
}

/// Stands for a part of a scope that is not constrained.
const ANY: u32 = 0;

/// Policies by the action, then the resource, then the principal of their scopes.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    symbols: Symbols,
    tree: HashMap<u32, HashMap<u32, HashMap<u32, Vec<u32>>>>,
}

// === impl Index ===

impl Index {
    /// `scopes` are principal, action and resource of each policy, in the policies' order.
    pub(super) fn new<'s>(scopes: impl IntoIterator<Item = [&'s Constraint; 3]>) -> Self {
        let mut index = Self::default();
        for (policy, [principal, action, resource]) in (0_u32..).zip(scopes) {
            let [principals, actions, resources] = [principal, action, resource].map(|part| index.symbols.of_constraint(part));
            for action in actions {
                let below = index.tree.entry(action).or_default();
                for &resource in &resources {
                    let below = below.entry(resource).or_default();
                    for &principal in &principals {
                        below.entry(principal).or_default().push(policy);
                    }
                }
            }
        }
        index
    }

    /// The numbers of all policies whose scope matches for at least one of the question's resources, and perhaps of a few more; ascending.
    pub(super) fn candidates(&self, question: &Question) -> Box<[u32]> {
        let (actions, principals) = (self.symbols.of_node(&question.action), self.symbols.of_node(&question.principal));
        let mut resources: Vec<u32> = question.resources.iter().flat_map(|resource| self.symbols.of_node(resource)).collect();
        resources.sort_unstable();
        resources.dedup();
        let mut found: Vec<u32> = actions
            .iter()
            .filter_map(|action| self.tree.get(action))
            .flat_map(|below| resources.iter().filter_map(|resource| below.get(resource)))
            .flat_map(|below| principals.iter().filter_map(|principal| below.get(principal)))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found.dedup();
        found.into()
    }
}

// === impl Symbols ===

impl Symbols {
    fn of_constraint(&mut self, constraint: &Constraint) -> Vec<u32> {
        match constraint {
            Constraint::Any => vec![ANY],
            Constraint::Is(kind) => {
                let next = &mut self.next;
                vec![*self.types.entry(kind.clone()).or_insert_with(|| fresh(next))]
            }
            Constraint::Eq(entity) | Constraint::In(entity) | Constraint::IsIn(_, entity) => vec![self.of_entity(entity)],
            Constraint::InAny(entities) => entities.iter().map(|entity| self.of_entity(entity)).collect(),
        }
    }

    fn of_entity(&mut self, entity: &EntityRef) -> u32 {
        let next = &mut self.next;
        *self.entities.entry(entity.clone()).or_insert_with(|| fresh(next))
    }

    fn of_node(&self, node: &Node) -> Vec<u32> {
        let entities = node.ancestors.iter().chain([&node.entity]).filter_map(|entity| self.entities.get(entity));
        [ANY].iter().chain(self.types.get(&node.entity.kind)).chain(entities).copied().collect()
    }
}

fn fresh(next: &mut u32) -> u32 {
    *next += 1;
    *next
}
