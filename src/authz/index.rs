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
    tree: Tree,
    /// The policies of each principal, in their order.
    by_principal: HashMap<u32, Vec<u32>>,
}

/// By action, resource and principal.
#[derive(Clone, Debug, Default)]
struct Tree(HashMap<u32, HashMap<u32, HashMap<u32, Vec<u32>>>>);

/// Policies that are being gathered, in so many steps at most.
struct Walk {
    found: Vec<u32>,
    steps: usize,
}

// === impl Index ===

impl Index {
    /// `scopes` are principal, action and resource of each policy, in the policies' order.
    pub(super) fn new<'s>(scopes: impl IntoIterator<Item = [&'s Constraint; 3]>) -> Self {
        let mut index = Self::default();
        for (policy, [principal, action, resource]) in (0_u32..).zip(scopes) {
            let [principals, actions, resources] = [principal, action, resource].map(|part| index.symbols.of_constraint(part));
            for &principal in &principals {
                index.by_principal.entry(principal).or_default().push(policy);
            }
            for action in actions {
                let below = index.tree.0.entry(action).or_default();
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
            .filter_map(|action| self.tree.0.get(action))
            .flat_map(|below| resources.iter().filter_map(|resource| below.get(resource)))
            .flat_map(|below| principals.iter().filter_map(|principal| below.get(principal)))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found.dedup();
        found.into()
    }

    /// The numbers of the policies whose scope lacks at most one part for the question on `resource`, of those that lack two where there are none, and
    /// perhaps of a few more; and whether there may be others, since no more than `steps` were made. In no order.
    pub(super) fn near(&self, question: &Question, resource: &Node, steps: usize) -> (Vec<u32>, bool) {
        let (action, principal, resource) =
            (self.symbols.of_node(&question.action), self.symbols.of_node(&question.principal), self.symbols.of_node(resource));
        let mut walk = Walk { found: Vec::new(), steps };
        walk.tree(&self.tree, Some(&action), Some(&resource), None);
        walk.tree(&self.tree, Some(&action), None, Some(&principal));
        if walk.found.is_empty() {
            walk.tree(&self.tree, None, Some(&resource), Some(&principal));
        }
        if walk.found.is_empty() {
            walk.tree(&self.tree, Some(&action), None, None);
        }
        (walk.found, walk.steps == 0)
    }

    /// The numbers of all policies whose principal may be this one, ascending.
    pub(super) fn of_principal(&self, principal: &Node) -> Vec<u32> {
        let symbols = self.symbols.of_node(principal);
        let mut found: Vec<u32> = symbols.iter().filter_map(|symbol| self.by_principal.get(symbol)).flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

// === impl Walk ===

impl Walk {
    /// Adds the policies below these symbols; `None` stands for every one.
    fn tree(&mut self, tree: &Tree, actions: Option<&[u32]>, resources: Option<&[u32]>, principals: Option<&[u32]>) {
        for by_resource in select(&tree.0, actions) {
            for by_principal in select(by_resource, resources) {
                for policies in select(by_principal, principals) {
                    let room = policies.len().min(self.steps);
                    self.found.extend(policies.iter().take(room));
                    self.steps -= room;
                }
                if !self.step() {
                    return;
                }
            }
            if !self.step() {
                return;
            }
        }
    }

    /// Counts a step; whether there is one left.
    fn step(&mut self) -> bool {
        self.steps = self.steps.saturating_sub(1);
        self.steps > 0
    }
}

fn select<'t, T>(map: &'t HashMap<u32, T>, keys: Option<&[u32]>) -> Box<dyn Iterator<Item = &'t T> + 't> {
    match keys {
        None => Box::new(map.values()),
        Some(keys) => Box::new(keys.iter().filter_map(|key| map.get(key)).collect::<Vec<_>>().into_iter()),
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
