//! What a caller may do, as far as policies say so without a request at hand: the policies whose principal is the caller.

use serde::Serialize;

use super::{
    Authorizer,
    constraint::Constraint,
    explain::texts,
    inventory::Inventory,
    load::Placed,
    node::{Node, Question},
    schema::{COLLECTION, PARTIES},
};
use crate::model::{Caller, EntityRef, Refusal, TargetKind, TypeName};

/// The policies that speak of one caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rights {
    pub principal: String,
    /// What is permitted, where the conditions hold and nothing forbids it.
    pub permits: Vec<Right>,
    /// What may forbid it.
    pub forbids: Vec<Right>,
    /// How many are not told, for lack of room.
    pub left_out: usize,
}

/// One policy, as the caller it speaks of may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Right {
    pub policy: String,
    pub reason: Option<String>,
    pub owner: Option<String>,
    /// `principal in Group::"corp/ml-engineers"`
    pub principal: String,
    /// `action == Action::"jobs.run_now"`
    pub action: String,
    /// `resource in Environment::"staging"`
    pub resource: String,
    /// `when { … }`, `unless { … }`: all have to hold.
    pub conditions: Vec<String>,
}

/// Bytes of text that one list holds.
pub(super) const ROOM: usize = 128 * 1024;

/// Bytes of it that a policy takes which is not told.
pub(super) const HIDDEN: usize = 32;

// === impl Authorizer ===

impl Authorizer {
    /// The policies whose principal is `caller`, in the order of the files; what is hidden from the caller is not among them.
    ///
    /// # Errors
    /// The refusal where there is nobody to judge.
    pub fn rights(&self, caller: &Caller) -> Result<Rights, Refusal> {
        let principal = Question::principal(caller, &self.engine.inventory)?;
        let mut rights = Rights { principal: principal.entity.to_string(), ..Rights::default() };
        let mut room = ROOM;
        for placed in self.index.of_principal(&principal).iter().filter_map(|number| self.policies.get(*number as usize)) {
            let policy = &placed.compiled;
            if !policy.principal.matches(&principal) || policy.hide {
                continue;
            }
            if room == 0 {
                rights.left_out += 1;
            } else if self.may_reveal(&principal, placed) {
                // to find that out takes its time
                room = room.saturating_sub(HIDDEN);
            } else {
                let right = Right::of(placed);
                // the last one may be longer than the room that is left
                room = room.saturating_sub(right.bytes());
                let list = if policy.is_forbid() { &mut rights.forbids } else { &mut rights.permits };
                list.push(right);
            }
        }
        Ok(rights)
    }

    /// Whether `placed` names an object that a policy may hide from `principal`, so that telling of it would tell that the object exists.
    pub(super) fn may_reveal(&self, principal: &Node, placed: &Placed) -> bool {
        if self.hiding.is_empty() {
            return false;
        }
        // a role names its object by the slot, not in its text
        let named = placed.compiled.literals.iter().chain(placed.compiled.resource.entity());
        let named: Vec<&EntityRef> = named.filter(|entity| is_object(&entity.kind)).collect();
        if named.is_empty() {
            return false;
        }
        let mut hiding = self.hiding.iter().filter_map(|number| self.policy(*number)).filter(|policy| policy.principal.matches(principal));
        hiding.any(|policy| named.iter().any(|entity| may_hold(&policy.resource, entity, &self.engine.inventory)))
    }
}

// === impl Right ===

impl Right {
    fn of(placed: &Placed) -> Self {
        let policy = &placed.compiled;
        Self {
            policy: policy.id.to_string(),
            reason: policy.reason.clone(),
            owner: policy.owner.clone(),
            principal: policy.principal.behind("principal"),
            action: policy.action.behind("action"),
            resource: policy.resource.behind("resource"),
            conditions: texts(&policy.policy),
        }
    }

    /// As JSON, about.
    fn bytes(&self) -> usize {
        const KEYS: usize = 128;
        let texts = [&self.policy, &self.principal, &self.action, &self.resource].into_iter().chain(&self.conditions);
        let texts = texts.chain(&self.reason).chain(&self.owner);
        texts.map(|text| text.len() + text.len() / 8).sum::<usize>() + KEYS
    }
}

/// Whether it is something that could be hidden: neither a party nor a place as wide as a workspace, which everybody's calls name.
fn is_object(kind: &TypeName) -> bool {
    kind.as_str() != "Action" && !is_place(kind) && PARTIES.iter().all(|(party, _)| *party != kind.as_str())
}

fn is_place(kind: &TypeName) -> bool {
    kind.as_str() == "Environment" || is_target(kind)
}

fn is_target(kind: &TypeName) -> bool {
    [TargetKind::Workspace, TargetKind::Account, TargetKind::Service].iter().any(|target| target.type_name() == kind.as_str())
}

/// Whether `entity` may be among what a `resource` scope is about, as far as its id and the inventory tell what it stands in; in doubt it is.
fn may_hold(scope: &Constraint, entity: &EntityRef, inventory: &Inventory) -> bool {
    let holds = |other: &EntityRef| {
        if other == entity || inventory.ancestors(entity).contains(other) {
            return true;
        }
        let target = |entity: &EntityRef| entity.id.split_once('/').map(|(target, _)| target.to_owned());
        match other.kind.as_str() {
            // the inventory would have said it
            COLLECTION => false,
            _ if is_target(&other.kind) => target(entity).is_some_and(|target| *target == *other.id),
            "Environment" => true,
            // ids of one type show what is in what: `main.ml` and `main.ml.t`, `/a` and `/a/b`
            _ => target(other) == target(entity) && (other.kind != entity.kind || entity.id.starts_with(&*other.id)),
        }
    };
    match scope {
        Constraint::Any => true,
        Constraint::Is(kind) => entity.kind == *kind,
        Constraint::Eq(other) => other == entity,
        Constraint::In(other) => holds(other),
        Constraint::IsIn(kind, other) => entity.kind == *kind && holds(other),
        Constraint::InAny(others) => others.iter().any(holds),
    }
}
