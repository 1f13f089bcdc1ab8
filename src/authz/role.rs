//! Roles: policies that leave open for whom they hold, and often on what. `access/` and `grants/` say that; each line of them is a template link.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use cedar_policy_core::{
    ast::{Effect, Expr, Policy, PolicyID, PrincipalConstraint, ResourceConstraint, SlotId, Template},
    parser::parse_policy_or_template,
};

use super::{
    constraint::{Constraint, entity_ref},
    credentials::Ordered,
    edges::Edge,
    footprint::Footprint,
    policy::{Compiled, annotation, ordered},
    reading::literals,
    text::{Mark, Piece},
    validate::Validation,
};
use crate::{
    digest::Fields,
    model::{EntityRef, TypeName},
};

/// A template without fault: `permit (principal in ?principal, …)`.
#[derive(Clone, Debug)]
pub(super) struct Role {
    template: Arc<Template>,
    kind: Kind,
    /// From `@id`.
    pub(super) id: Arc<str>,
    reason: Option<String>,
    owner: Option<String>,
    ordered: Option<Ordered>,
    footprint: Footprint,
    edges: Vec<Edge>,
    literals: Vec<EntityRef>,
    pub(super) warnings: Vec<Mark>,
    /// Of its text and what it was narrowed by.
    digest: [u8; 32],
}

/// What roles share that can apply to the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    /// Of the template without the clauses of a grant.
    template: PolicyID,
    /// By which alone those differ that are no written role.
    action: Constraint,
}

/// To whom a role is given, and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) principal: EntityRef,
    /// `None` where the role itself says on what.
    pub(super) resource: Option<EntityRef>,
}

/// Makes policies of roles.
pub(super) struct Linker<'v> {
    validation: &'v Validation<'v>,
    types: HashMap<TypeName, EntityTypeName>,
    /// Whether a link of the role with these types can ever apply. When and by whom it was approved makes no difference.
    possible: HashMap<(Kind, TypeName, Option<TypeName>), bool>,
}

/// What stands before the `:` in the id of a role's template.
pub(super) const ROLE: &str = "role";

/// The id of a template in Cedar: no policy has such a one, since `:` stands in no `@id`.
pub(super) fn template_id(id: &str) -> PolicyID {
    PolicyID::from_string(format!("{ROLE}:{id}"))
}

/// What keeps a template from being a role.
pub(super) fn faults(template: &Template, piece: &Piece<'_>) -> Vec<Mark> {
    let mut faults = Vec::new();
    if template.is_static() {
        return faults;
    }
    let mut fault = |message: &str, help: &str| faults.push(Mark::new(piece.start, message, Some(help.to_owned())));
    if template.effect() == Effect::Forbid {
        fault("a role that forbids", "write `permit`; a `forbid` names whom it is about");
    }
    if !template.slots().any(|slot| slot.id.is_principal()) {
        fault("a role without `?principal` would be everybody's", "write `principal in ?principal`, or name whom it is about");
    }
    faults
}

// === impl Role ===

impl Role {
    pub(super) fn new(template: Arc<Template>, id: Arc<str>, warnings: Vec<Mark>, digest: [u8; 32]) -> Self {
        let edges = Edge::of(&template);
        Self {
            id,
            reason: annotation(&template, "reason").map(str::to_owned),
            owner: annotation(&template, "owner").map(str::to_owned),
            ordered: ordered(&template),
            footprint: Footprint::of(&template, edges.is_some()),
            edges: edges.unwrap_or_default(),
            literals: literals(&template).iter().map(entity_ref).collect(),
            warnings,
            digest,
            kind: Kind { template: template.id().clone(), action: Constraint::of_action(template.action_constraint()) },
            template,
        }
    }

    /// The role where `clauses` hold, too: looked at first, so that where they do not, nothing of the role can fail.
    ///
    /// # Errors
    /// What keeps the clauses from being Cedar.
    pub(super) fn within(&self, clauses: &str) -> Result<Self, String> {
        let parsed =
            parse_policy_or_template(None, &format!("permit (principal, action, resource)\n{clauses};")).map_err(|error| error.to_string())?;
        let own = self.template.non_scope_constraints().cloned();
        let both = match (parsed.non_scope_constraints().cloned(), own) {
            (Some(clauses), Some(own)) => Some(Expr::and(clauses, own)),
            (one, other) => one.or(other),
        };
        // A name that no other template has, since links of both stand in one set.
        let mut name = "grant:".to_owned();
        let mut fields = Fields::new();
        // Of all its text: roles that are actions alone share an id.
        fields.bytes(&self.digest).text(clauses);
        let digest = fields.finish();
        for byte in digest {
            let _ = write!(name, "{byte:02x}");
        }
        let template = Template::new_shared(
            PolicyID::from_string(name),
            None,
            Arc::clone(self.template.annotations_arc()),
            self.template.effect(),
            self.template.principal_constraint().clone(),
            self.template.action_constraint().clone(),
            self.template.resource_constraint().clone(),
            both.map(Arc::new),
        );
        Ok(Self { kind: self.kind.clone(), ..Self::new(Arc::new(template), Arc::clone(&self.id), Vec::new(), digest) })
    }

    /// Whether who is given the role is given it on something: it has `?resource`.
    pub(super) fn takes_resource(&self) -> bool {
        self.template.slots().any(|slot| slot.id.is_resource())
    }
}

// === impl Linker ===

impl<'v> Linker<'v> {
    pub(super) fn new(validation: &'v Validation<'v>) -> Self {
        Self { validation, types: HashMap::new(), possible: HashMap::new() }
    }

    /// The policy that the role is for one holder.
    ///
    /// # Errors
    /// What keeps it from ever applying.
    pub(super) fn link(&mut self, role: &Role, holder: &Holder, id: Arc<str>, owner: Option<&str>) -> Result<Compiled, String> {
        let policy = self.policy(role, holder, &id)?;
        if !self.can_apply(role, &policy, holder) {
            let on = holder.resource.as_ref().map_or_else(String::new, |resource| format!(" on `{resource}`"));
            return Err(format!("`{}` can never apply to `{}`{on}: it is about other types", role.id, holder.principal));
        }
        let named = [Some(&holder.principal), holder.resource.as_ref()].into_iter().flatten();
        Ok(Compiled {
            reason: role.reason.clone(),
            owner: owner.map(str::to_owned).or_else(|| role.owner.clone()),
            hide: false,
            ordered: role.ordered.clone(),
            principal: Constraint::of_party(policy.principal_constraint().as_inner()),
            action: Constraint::of_action(policy.action_constraint()),
            resource: Constraint::of_party(policy.resource_constraint().as_inner()),
            footprint: role.footprint,
            edges: role.edges.clone(),
            literals: role.literals.iter().chain(named).cloned().collect(),
            warnings: Vec::new(),
            digest: link_digest(role, holder, &id, owner),
            id,
            policy,
        })
    }

    /// Whether the role can ever apply to the holder.
    pub(super) fn fits(&mut self, role: &Role, holder: &Holder) -> bool {
        self.policy(role, holder, &role.id).is_ok_and(|policy| self.can_apply(role, &policy, holder))
    }

    fn policy(&mut self, role: &Role, holder: &Holder, id: &str) -> Result<Policy, String> {
        let mut values = HashMap::from([(SlotId::principal(), self.uid(&holder.principal)?)]);
        if let Some(resource) = &holder.resource {
            values.insert(SlotId::resource(), self.uid(resource)?);
        }
        Template::link(Arc::clone(&role.template), PolicyID::from_string(id), values).map_err(|error| error.to_string())
    }

    /// By the types alone, so that most links share an answer.
    fn can_apply(&mut self, role: &Role, policy: &Policy, holder: &Holder) -> bool {
        let resource = holder.resource.as_ref().map(|resource| resource.kind.clone());
        let key = (role.kind.clone(), holder.principal.kind.clone(), resource);
        *self.possible.entry(key).or_insert_with(|| self.validation.can_apply(&filled(policy)))
    }

    fn uid(&mut self, entity: &EntityRef) -> Result<cedar_policy_core::ast::EntityUID, String> {
        let kind = if let Some(kind) = self.types.get(&entity.kind) {
            kind.clone()
        } else {
            let kind: EntityTypeName = entity.kind.as_str().parse().map_err(|_| format!("`{}` is no type", entity.kind))?;
            self.types.entry(entity.kind.clone()).or_insert(kind).clone()
        };
        Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(&entity.id)).as_ref().clone())
    }
}

fn link_digest(role: &Role, holder: &Holder, id: &str, owner: Option<&str>) -> [u8; 32] {
    let mut fields = Fields::new();
    fields.bytes(&role.digest).text(id).option(owner);
    fields.text(holder.principal.kind.as_str()).text(&holder.principal.id);
    fields.option(holder.resource.as_ref().map(|resource| resource.kind.as_str()));
    fields.option(holder.resource.as_ref().map(|resource| &*resource.id));
    fields.finish()
}

/// The same policy without slots.
fn filled(policy: &Policy) -> Template {
    Template::new_shared(
        policy.id().clone(),
        None,
        Arc::clone(policy.annotations_arc()),
        policy.effect(),
        PrincipalConstraint::new(policy.principal_constraint().into_inner()),
        policy.action_constraint().clone(),
        ResourceConstraint::new(policy.resource_constraint().into_inner()),
        policy.non_scope_constraints_arc().cloned(),
    )
}
