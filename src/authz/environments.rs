//! The request environments of a schema, which are the kinds of requests that a policy is typechecked for, and those among them that a scope admits.

use std::collections::{HashMap, HashSet};

use cedar_policy_core::{
    ast::{ActionConstraint, EntityReference, EntityType, EntityUID, PrincipalOrResourceConstraint, Template},
    validator::{
        ValidatorActionId, ValidatorEntityType, ValidatorSchema,
        types::{RequestEnv, Type},
    },
};

use super::{
    numbers::Numbers,
    reading::{Lens, View},
};

/// Every environment of one schema: each action with each type of principal and of resource that it applies to.
#[derive(Default)]
pub(super) struct Environments {
    /// Every type of a principal or a resource.
    types: Vec<EntityType>,
    /// Every type of a context.
    pub(super) contexts: Vec<Type>,
    shapes: Vec<Shape>,
    /// For each type that can stand in a scope, which of the types are it or can be within it.
    within: HashMap<EntityType, Vec<bool>>,
    /// In the order in which messages would name them, so that of alike environments the first has the first message.
    actions: Vec<Applied>,
    groups: HashMap<EntityUID, Group>,
    /// The places of all actions.
    all: Members,
}

/// What an action applies to, as places in `types`. Most actions share theirs.
#[derive(PartialEq, Eq, Hash)]
struct Shape {
    principals: Vec<usize>,
    resources: Vec<usize>,
}

/// An action that requests can be made for.
struct Applied {
    action: EntityUID,
    shape: usize,
    context: usize,
}

/// An action as a policy may name it: as itself, or for all that is in it.
#[derive(Default)]
struct Group {
    /// Its own place in `actions`, unless it is only a group.
    own: Option<usize>,
    /// All that is in it, itself among them.
    members: Members,
}

/// Some actions.
#[derive(Clone, Default)]
struct Members {
    /// Their places in `actions`, in order.
    places: Vec<usize>,
    /// Among those the first with its shape and its context: they stand for all to whom it makes no difference which action it is.
    kinds: Vec<usize>,
}

/// What a scope admits.
pub(super) struct Slice {
    /// For each of the types, whether a principal of it is admitted.
    principals: Vec<bool>,
    resources: Vec<bool>,
    actions: Members,
}

/// One of the two that a scope admits by their types.
#[derive(Clone, Copy)]
pub(super) enum Party {
    Principal,
    Resource,
}

// === impl Environments ===

impl Environments {
    pub(super) fn new(schema: &ValidatorSchema) -> Self {
        let mut named: Vec<(String, &ValidatorActionId)> = schema.action_ids().map(|action| (action.name().to_string(), action)).collect();
        named.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let (mut types, mut contexts, mut shapes) = (Numbers::default(), Numbers::default(), Numbers::default());
        let mut actions = Vec::new();
        for (_, action) in &named {
            let shape = Shape {
                principals: action.principals().map(|name| types.of(name.clone())).collect(),
                resources: action.resources().map(|name| types.of(name.clone())).collect(),
            };
            if let Some(context) = action.context_type().filter(|_| !shape.principals.is_empty() && !shape.resources.is_empty()) {
                actions.push(Applied { action: action.name().clone(), shape: shapes.of(shape), context: contexts.of(context.clone()) });
            }
        }
        let places: HashMap<&EntityUID, usize> = actions.iter().map(|applied| &applied.action).zip(0..).collect();
        let group = |action: &ValidatorActionId| {
            let own = places.get(action.name()).copied();
            let mut members: Vec<usize> = action.descendants().filter_map(|member| places.get(member).copied()).chain(own).collect();
            members.sort_unstable();
            (action.name().clone(), Group { own, members: Members::new(members, &actions) })
        };
        let groups = named.iter().map(|(_, action)| group(action)).collect();
        let all = Members::new((0..actions.len()).collect(), &actions);
        let types = types.list();
        let inside = |container: &ValidatorEntityType| {
            types.iter().map(|name| name == container.name() || container.has_descendant_entity_type(name)).collect()
        };
        let within = schema.entity_types().map(|container| (container.name().clone(), inside(container))).collect();
        Self { types, contexts: contexts.list(), shapes: shapes.list(), within, actions, groups, all }
    }

    pub(super) fn slice(&self, schema: &ValidatorSchema, template: &Template) -> Slice {
        Slice {
            principals: self.admitted(schema, template.principal_constraint().as_inner()),
            resources: self.admitted(schema, template.resource_constraint().as_inner()),
            actions: self.admitted_actions(template.action_constraint()),
        }
    }

    /// One environment of the slice for each kind that the lens can tell from others: the one whose action is first.
    pub(super) fn through<'e>(&'e self, slice: &Slice, lens: &Lens) -> Vec<RequestEnv<'e>> {
        let (mut kinds, mut alike, mut found) = (HashSet::new(), HashSet::new(), Vec::new());
        let places = if matches!(lens.action, View::Blind) { &slice.actions.kinds } else { &slice.actions.places };
        for place in places {
            let Some(applied) = self.actions.get(*place) else { continue };
            let seen = (lens.action.class(*place), lens.context.class(applied.context));
            if !alike.insert((applied.shape, seen)) {
                continue;
            }
            for (principal, resource) in self.pairs(slice, applied, (lens.principal, lens.resource)) {
                let kind = (lens.principal.then_some(principal), lens.resource.then_some(resource), seen);
                if kinds.insert(kind) {
                    found.extend(self.environment(applied, principal, resource));
                }
            }
        }
        found
    }

    /// Whether a scope that demands an entity would admit something if it demanded what is in the entity.
    pub(super) fn in_would_help(&self, schema: &ValidatorSchema, slice: &Slice, party: Party, constraint: &PrincipalOrResourceConstraint) -> bool {
        let PrincipalOrResourceConstraint::Eq(EntityReference::EUID(uid)) = constraint else { return false };
        let applied = slice.actions.kinds.iter().filter_map(|place| self.shapes.get(self.actions.get(*place)?.shape));
        let places = applied.flat_map(|shape| match party {
            Party::Principal => &shape.principals,
            Party::Resource => &shape.resources,
        });
        let types: HashSet<&EntityType> = places.filter_map(|place| self.types.get(*place)).collect();
        let inside = |container: &ValidatorEntityType| types.iter().any(|name| container.has_descendant_entity_type(name));
        !types.contains(uid.entity_type()) && schema.get_entity_type(uid.entity_type()).is_some_and(inside)
    }

    /// The places of an action, if requests can be made for it, and of all actions in it.
    pub(super) fn members(&self, action: &EntityUID) -> &[usize] {
        self.groups.get(action).map_or(&[], |group| &group.members.places)
    }

    /// The place of an action that requests can be made for.
    pub(super) fn place(&self, action: &EntityUID) -> Option<usize> {
        self.groups.get(action)?.own
    }

    pub(super) fn count(&self) -> usize {
        self.actions.len()
    }

    /// The types that are admitted together; of types that are not told apart only the first.
    fn pairs<'s>(&'s self, slice: &'s Slice, applied: &Applied, apart: (bool, bool)) -> impl Iterator<Item = (usize, usize)> + 's {
        let shape = self.shapes.get(applied.shape);
        let admitted = |types: &'s [usize], admitted: &'s [bool], apart: bool| {
            types.iter().copied().filter(|place| admitted.get(*place) == Some(&true)).take(if apart { usize::MAX } else { 1 })
        };
        shape.into_iter().flat_map(move |shape| {
            let resources = move || admitted(&shape.resources, &slice.resources, apart.1);
            let principals = admitted(&shape.principals, &slice.principals, apart.0);
            principals.flat_map(move |principal| resources().map(move |resource| (principal, resource)))
        })
    }

    fn environment<'e>(&'e self, applied: &'e Applied, principal: usize, resource: usize) -> Option<RequestEnv<'e>> {
        // Slots stand in scopes alone: filled with the party's own type, a scope is never found to be wrong, nor conditions to be unreachable.
        let (principal, resource) = (self.types.get(principal)?, self.types.get(resource)?);
        let (principal_slot, resource_slot) = (Some(principal.clone()), Some(resource.clone()));
        let context = self.contexts.get(applied.context)?;
        Some(RequestEnv::DeclaredAction { principal, action: &applied.action, resource, context, principal_slot, resource_slot })
    }

    /// The types for which the typechecker does not find that the constraint is always false. It leaves out what follows only where it finds that:
    /// of an entity that the schema does not know, it finds nothing.
    fn admitted(&self, schema: &ValidatorSchema, constraint: &PrincipalOrResourceConstraint) -> Vec<bool> {
        let is = |wanted: &EntityType| self.types.iter().map(|name| name == wanted).collect();
        match constraint {
            PrincipalOrResourceConstraint::Any => vec![true; self.types.len()],
            PrincipalOrResourceConstraint::Is(wanted) => is(wanted),
            PrincipalOrResourceConstraint::Eq(entity) => known(schema, entity).map_or_else(|| vec![true; self.types.len()], is),
            PrincipalOrResourceConstraint::In(entity) => self.within(schema, entity),
            PrincipalOrResourceConstraint::IsIn(wanted, entity) => {
                self.within(schema, entity).into_iter().zip(is(wanted)).map(|(within, is): (bool, bool)| within && is).collect()
            }
        }
    }

    fn within(&self, schema: &ValidatorSchema, entity: &EntityReference) -> Vec<bool> {
        let Some(container) = known(schema, entity) else { return vec![true; self.types.len()] };
        self.within.get(container).cloned().unwrap_or_else(|| self.types.iter().map(|name| name == container).collect())
    }

    /// The same of actions. Of a single action that the schema does not know, the typechecker finds that no other is it.
    fn admitted_actions(&self, constraint: &ActionConstraint) -> Members {
        match constraint {
            ActionConstraint::Eq(action) => Members::new(self.place(action).into_iter().collect(), &self.actions),
            ActionConstraint::In(actions) => {
                let groups: Option<Vec<&Group>> = actions.iter().map(|action| self.groups.get(&**action)).collect();
                groups.map_or_else(|| self.all.clone(), |groups| Members::together(groups.into_iter().map(|group| &group.members)))
            }
            ActionConstraint::Any => self.all.clone(),
        }
    }
}

// === impl Members ===

impl Members {
    fn new(places: Vec<usize>, actions: &[Applied]) -> Self {
        let mut kinds = HashSet::new();
        let mut first = |place: &usize| actions.get(*place).is_some_and(|applied| kinds.insert((applied.shape, applied.context)));
        Self { kinds: places.iter().copied().filter(|place| first(place)).collect(), places }
    }

    /// Of each kind the first of each group, so the first of all among them.
    fn together<'m>(groups: impl Iterator<Item = &'m Self>) -> Self {
        let mut both = Self::default();
        for group in groups {
            both.places.extend(&group.places);
            both.kinds.extend(&group.kinds);
        }
        for places in [&mut both.places, &mut both.kinds] {
            places.sort_unstable();
            places.dedup();
        }
        both
    }
}

// === impl Slice ===

impl Slice {
    pub(super) fn is_empty(&self, environments: &Environments) -> bool {
        let mut applied = self.actions.kinds.iter().filter_map(|place| environments.actions.get(*place));
        !applied.any(|applied| environments.pairs(self, applied, (false, false)).next().is_some())
    }
}

/// The type of an entity, unless the schema does not know it.
fn known<'c>(schema: &ValidatorSchema, entity: &'c EntityReference) -> Option<&'c EntityType> {
    let EntityReference::EUID(uid) = entity else { return None };
    let known = if uid.is_action() { schema.get_action_id(uid).is_some() } else { schema.get_entity_type(uid.entity_type()).is_some() };
    known.then(|| uid.entity_type())
}
