//! Where a guarded object stands, and which scopes may hold it without its name.

use crate::{
    authz::{Scope, constraint::Constraint, schema::COLLECTION},
    model::{EntityRef, TypeName},
};

/// What stands for every object of a target: a `forbid` on one of these reaches whatever a request names.
pub(super) const WHOLE: [&str; 4] = ["Workspace", "Account", "Service", "Environment"];

/// The place of one object among what is configured.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    scope: &'a Scope,
    /// `None` of a collection: what is in one may stand anywhere.
    pub(super) target: Option<&'a str>,
}

// === impl Place ===

impl<'a> Place<'a> {
    pub(super) fn of(guarded: &'a EntityRef, scope: &'a Scope) -> Self {
        Self { scope, target: (guarded.kind.as_str() != COLLECTION).then(|| target_of(guarded)) }
    }

    /// Whether a permit on `resource` may be about an object of type `kind` in the target of what is guarded, without naming that object.
    pub(super) fn may_hold(self, resource: &Constraint, kind: &TypeName) -> bool {
        match resource {
            Constraint::Any => true,
            Constraint::Is(wanted) => wanted == kind,
            Constraint::Eq(entity) | Constraint::In(entity) => self.stands_in(entity),
            Constraint::IsIn(wanted, entity) => wanted == kind && self.stands_in(entity),
            Constraint::InAny(entities) => entities.iter().any(|entity| self.stands_in(entity)),
        }
    }

    /// Whether a policy on `resource` may be about `other`.
    pub(super) fn holds_other(self, resource: &Constraint, other: &EntityRef) -> bool {
        let above = |entity: &EntityRef| {
            entity == other || self.stands_in(entity) || other.id.strip_prefix(&*entity.id).is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        match resource {
            Constraint::Any => true,
            Constraint::Is(kind) => *kind == other.kind,
            Constraint::Eq(entity) => entity == other,
            Constraint::In(entity) => above(entity),
            Constraint::IsIn(kind, entity) => *kind == other.kind && above(entity),
            Constraint::InAny(entities) => entities.iter().any(above),
        }
    }

    /// Whether `resource` names an object of the same target.
    pub(super) fn is_near(self, resource: &Constraint) -> bool {
        named(resource).is_some_and(|on| self.target.is_none_or(|target| target == target_of(on)))
    }

    /// Whether `entity` is what the guarded object stands in: its target, or the environment of that.
    fn stands_in(self, entity: &EntityRef) -> bool {
        let Some(target) = self.target else { return WHOLE.contains(&entity.kind.as_str()) };
        match entity.kind.as_str() {
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
}

/// The target that the id of an object begins with.
pub(super) fn target_of(entity: &EntityRef) -> &str {
    entity.id.split_once('/').map_or(&*entity.id, |(target, _)| target)
}

/// The object that a scope names, where it names one.
pub(super) fn named(resource: &Constraint) -> Option<&EntityRef> {
    resource.entity().filter(|entity| !WHOLE.contains(&entity.kind.as_str()))
}
