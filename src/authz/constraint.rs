//! One part of a policy's scope: which principals, actions or resources it is about.

use std::fmt;

use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, PrincipalConstraint, ResourceConstraint};

use super::node::Node;
use crate::model::{EntityRef, TypeName};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Constraint {
    Any,
    Is(TypeName),
    Eq(EntityRef),
    In(EntityRef),
    IsIn(TypeName, EntityRef),
    /// `action in [..]`
    InAny(Vec<EntityRef>),
}

pub(super) fn entity_ref(uid: &EntityUid) -> EntityRef {
    EntityRef::new(&type_name(uid.type_name()), uid.id().unescaped())
}

fn type_name(name: &EntityTypeName) -> TypeName {
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

impl From<PrincipalConstraint> for Constraint {
    fn from(constraint: PrincipalConstraint) -> Self {
        match constraint {
            PrincipalConstraint::Any => Self::Any,
            PrincipalConstraint::Is(kind) => Self::Is(type_name(&kind)),
            PrincipalConstraint::Eq(entity) => Self::Eq(entity_ref(&entity)),
            PrincipalConstraint::In(entity) => Self::In(entity_ref(&entity)),
            PrincipalConstraint::IsIn(kind, entity) => Self::IsIn(type_name(&kind), entity_ref(&entity)),
        }
    }
}

impl From<ResourceConstraint> for Constraint {
    fn from(constraint: ResourceConstraint) -> Self {
        match constraint {
            ResourceConstraint::Any => Self::Any,
            ResourceConstraint::Is(kind) => Self::Is(type_name(&kind)),
            ResourceConstraint::Eq(entity) => Self::Eq(entity_ref(&entity)),
            ResourceConstraint::In(entity) => Self::In(entity_ref(&entity)),
            ResourceConstraint::IsIn(kind, entity) => Self::IsIn(type_name(&kind), entity_ref(&entity)),
        }
    }
}

impl From<ActionConstraint> for Constraint {
    fn from(constraint: ActionConstraint) -> Self {
        match constraint {
            ActionConstraint::Any => Self::Any,
            ActionConstraint::Eq(entity) => Self::Eq(entity_ref(&entity)),
            ActionConstraint::In(entities) => Self::InAny(entities.iter().map(entity_ref).collect()),
        }
    }
}
