//! The parties of one question, each with everything it is in.

use super::{canonical::NO_PEER, inventory::Inventory, schema::service_group, text::shown_entity};
use crate::model::{Action, Caller, EntityRef, Intent, Principal, Reason, Refusal, SpiffeId, Token, TypeName};

/// An entity with all its ancestors, flattened: groups and containers need not exist as entities of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) entity: EntityRef,
    /// Without duplicates; not the entity itself.
    pub(super) ancestors: Vec<EntityRef>,
}

/// Who asks to do what, on which resources.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) principal: Node,
    pub(super) peer: Node,
    pub(super) action: Node,
    /// Never empty.
    pub(super) resources: Vec<Node>,
}

// === impl Node ===

impl Node {
    /// With what the inventory says the entity and its ancestors are in besides.
    pub(super) fn new(entity: EntityRef, mut ancestors: Vec<EntityRef>, inventory: &Inventory) -> Self {
        let beside: Vec<EntityRef> = ancestors.iter().chain([&entity]).flat_map(|known| inventory.ancestors(known)).cloned().collect();
        for extra in beside {
            if extra != entity && !ancestors.contains(&extra) {
                ancestors.push(extra);
            }
        }
        Self { entity, ancestors }
    }

    /// Cedar's `in`: it is `other`, or stands below it.
    pub(super) fn is_in(&self, other: &EntityRef) -> bool {
        self.entity == *other || self.ancestors.contains(other)
    }
}

// === impl Question ===

impl Question {
    /// # Errors
    /// The refusal where there is nobody or nothing to judge, or where nothing says which groups somebody is in.
    pub(super) fn new(caller: &Caller, intent: &Intent, inventory: &Inventory) -> Result<Self, Refusal> {
        let principal = Self::principal(caller, inventory)?;
        let peer = caller.peer.as_ref();
        let peer_id = peer.map_or(NO_PEER, SpiffeId::as_str);
        let resources: Vec<Node> =
            intent.resources.iter().map(|resource| Node::new(resource.entity.clone(), resource.ancestors.clone(), inventory)).collect();
        if resources.is_empty() {
            return Err(Refusal::new(Reason::Internal, "the call was taken for one on no resource at all"));
        }
        Ok(Self {
            principal,
            peer: Node::new(entity("Workload", peer_id), peer.and_then(namespace).into_iter().collect(), inventory),
            action: action_node(&intent.action),
            resources,
        })
    }

    /// Whom policies judge.
    ///
    /// # Errors
    /// The refusal where there is nobody, or somebody whose groups nothing says.
    pub(super) fn principal(caller: &Caller, inventory: &Inventory) -> Result<Node, Refusal> {
        const NOBODY: &str = "the call has neither a token nor a mesh identity that policies could judge";
        let principal = caller.principal().ok_or_else(|| Refusal::new(Reason::CredentialMissing, NOBODY))?;
        let ancestors = match &principal {
            Principal::Token(token) if token.groups_elsewhere && !inventory.knows_groups_of(&principal.entity()) => {
                let detail = format!(
                    "the token leaves out the groups of `{}`, who has too many of them, and neither the inventory (`parents`) nor a group file says them",
                    shown_entity(&principal.entity())
                );
                return Err(Refusal::new(Reason::GroupsUnknown, detail));
            }
            Principal::Token(token) => token_ancestors(token, inventory),
            Principal::Workload(peer) => namespace(peer).into_iter().collect(),
        };
        Ok(Node::new(principal.entity(), ancestors, inventory))
    }
}

/// The action with its groups: its service, its level, its marks and the wider actions it belongs to.
pub(super) fn action_node(action: &Action) -> Node {
    let groups = service_group(&action.service).into_iter().chain([action.level.as_str()]).chain(action.groups());
    Node { entity: entity("Action", &action.name), ancestors: groups.map(|group| entity("Action", group)).collect() }
}

/// Without the groups of which the inventory alone says who is in them.
fn token_ancestors(token: &Token, inventory: &Inventory) -> Vec<EntityRef> {
    let issuer = token.issuer.as_str();
    let groups = token.groups.iter().map(|group| entity("Group", &format!("{issuer}/{group}"))).filter(|group| !inventory.is_closed(group));
    let roles = token.roles.iter().map(|role| entity("Role", &format!("{issuer}/{role}")));
    groups.chain(roles).chain([entity("Issuer", issuer)]).collect()
}

fn namespace(peer: &SpiffeId) -> Option<EntityRef> {
    peer.namespace().map(|namespace| entity("Namespace", &format!("{}/{namespace}", peer.trust_domain())))
}

fn entity(kind: &str, id: &str) -> EntityRef {
    EntityRef::new(&TypeName::new(kind), id)
}
