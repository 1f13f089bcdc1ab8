//! One part of a policy's scope: which principals, actions or resources it is about.

use std::fmt;

use cedar_policy_core::ast::{ActionConstraint, EntityReference, EntityType, EntityUID, PrincipalOrResourceConstraint};

use super::node::Node;
use crate::model::{EntityRef, TypeName};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Constraint {
    Any,
    Is(TypeName),
    Eq(EntityRef),
    In(EntityRef),
    IsIn(TypeName, EntityRef),
    /// `action in [..]`
    InAny(Vec<EntityRef>),
}

pub(super) fn entity_ref(uid: &EntityUID) -> EntityRef {
    EntityRef::new(&type_name(uid.entity_type()), uid.eid().as_ref())
}

fn type_name(name: &EntityType) -> TypeName {
    TypeName::new(&name.to_string())
}

// === impl Constraint ===

impl Constraint {
    pub(super) fn matches(&self, node: &Node) -> bool {
        match self {
            Self::Any => true,
            Self::Is(kind) => node.entity.kind == *kind,
            Self::Eq(entity) => node.entity == *entity,
            Self::In(entity) => node.is_in(entity),
            Self::IsIn(kind, entity) => node.entity.kind == *kind && node.is_in(entity),
            Self::InAny(entities) => entities.iter().any(|entity| node.is_in(entity)),
        }
    }

    /// The one entity that it names.
    pub(super) fn entity(&self) -> Option<&EntityRef> {
        match self {
            Self::Eq(entity) | Self::In(entity) | Self::IsIn(_, entity) => Some(entity),
            Self::Any | Self::Is(_) | Self::InAny(_) => None,
        }
    }

    /// As a policy writes it behind `principal`, `action` or `resource`; empty where there is no constraint.
    pub(super) fn behind(&self, variable: &str) -> String {
        format!("{variable}{self}")
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Is(kind) => write!(f, " is {kind}"),
            Self::Eq(entity) => write!(f, " == {entity}"),
            Self::In(entity) => write!(f, " in {entity}"),
            Self::IsIn(kind, entity) => write!(f, " is {kind} in {entity}"),
            Self::InAny(entities) => {
                let all: Vec<String> = entities.iter().map(ToString::to_string).collect();
                write!(f, " in [{}]", all.join(", "))
            }
        }
    }
}

impl Constraint {
    /// Of a principal or a resource; a slot that nothing fills admits everything.
    pub(super) fn of_party(constraint: &PrincipalOrResourceConstraint) -> Self {
        let entity = |reference: &EntityReference| match reference {
            EntityReference::EUID(uid) => Some(entity_ref(uid)),
            EntityReference::Slot(_) => None,
        };
        match constraint {
            PrincipalOrResourceConstraint::Any => Self::Any,
            PrincipalOrResourceConstraint::Is(kind) => Self::Is(type_name(kind)),
            PrincipalOrResourceConstraint::Eq(reference) => entity(reference).map_or(Self::Any, Self::Eq),
            PrincipalOrResourceConstraint::In(reference) => entity(reference).map_or(Self::Any, Self::In),
            PrincipalOrResourceConstraint::IsIn(kind, reference) => {
                entity(reference).map_or_else(|| Self::Is(type_name(kind)), |entity| Self::IsIn(type_name(kind), entity))
            }
        }
    }

    pub(super) fn of_action(constraint: &ActionConstraint) -> Self {
        match constraint {
            ActionConstraint::Any => Self::Any,
            ActionConstraint::Eq(action) => Self::Eq(entity_ref(action)),
            ActionConstraint::In(actions) => Self::InAny(actions.iter().map(|action| entity_ref(action)).collect()),
        }
    }
}
