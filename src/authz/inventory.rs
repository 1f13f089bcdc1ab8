//! The inventory (`entities.json`): what the operator knows of entities beyond what requests say, their tags and the extra containers they are in.
//!
//! ```json
//! [{ "type": "Job", "id": "stage/42", "parents": [{ "type": "Collection", "id": "pii" }], "tags": { "owner": "risk" } },
//!  { "type": "User", "id": "corp/alice", "tags": { "databricks_user": "alice@example.com" } },
//!  { "type": "Table", "id": "prod/0a1b-2c", "same_as": "prod/main.pii.people" }]
//! ```
//!
//! Group files say who is in which group, beside what tokens say or in its place.

mod entry;
mod groups;
mod known;
mod listed;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use self::{groups::Membership, listed::Listed};
use super::text::shown_entity;
use crate::model::{Caller, EntityRef, Faults, Vocabulary};

/// Every listed entity by name, ancestors flattened once, so that a request takes only what it names.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory {
    items: HashMap<EntityRef, Item>,
    /// Second names, each with the name that policies use.
    same: Arc<HashMap<EntityRef, EntityRef>>,
    /// Groups whose members are those that are listed, whatever tokens say.
    closed: HashSet<EntityRef>,
    /// As whom Databricks knows principals.
    known: HashMap<EntityRef, Arc<str>>,
    warnings: Faults,
}

#[derive(Clone, Debug, Default)]
struct Item {
    ancestors: Arc<[EntityRef]>,
    tags: BTreeMap<String, String>,
    /// Whether it is said in what the entity is, be it nothing.
    placed: bool,
}

/// What one entity may be in, by the inventory and group files.
const ANCESTORS: usize = 1000;

// === impl Inventory ===

impl Inventory {
    /// Of `entities.json`, where there is one, and of group files.
    ///
    /// # Errors
    /// Every fault of every file.
    pub(super) fn load(entities: Option<&(PathBuf, String)>, groups: &[(PathBuf, String)], vocabulary: &Vocabulary) -> Result<Self, Faults> {
        let listed = entities.map_or_else(|| Ok(Listed::default()), |(path, text)| Listed::read(path, text, vocabulary));
        let (listed, (memberships, closed)) = match (listed, groups::read(groups, vocabulary)) {
            (Ok(listed), Ok(read)) => (listed, read),
            (listed, read) => {
                let mut faults = Faults::default();
                [listed.err(), read.err()].into_iter().flatten().for_each(|found| faults.append(found));
                return Err(faults);
            }
        };
        let mut faults = Faults::default();
        groups::ways_in(&listed, &memberships, &closed, &mut faults);
        let items = flatten(&listed, &memberships, &mut faults);
        let (known, mut warnings) = (known::names(&listed), known::shared(&listed));
        warnings.append(groups::look_alikes(&memberships));
        faults.or(Self { items, same: Arc::new(listed.same), closed, known, warnings })
    }

    /// What is likely not meant.
    pub(super) fn warnings(&self) -> &Faults {
        &self.warnings
    }

    /// Whether a token's word for it that somebody is in the group counts for nothing.
    pub(super) fn is_closed(&self, group: &EntityRef) -> bool {
        self.closed.contains(group)
    }

    /// The other names that requests have for objects, each with the name that policies use.
    pub(super) fn second_names(&self) -> &Arc<HashMap<EntityRef, EntityRef>> {
        &self.same
    }

    /// What the entity is in by the inventory alone.
    pub(super) fn ancestors(&self, entity: &EntityRef) -> &[EntityRef] {
        self.items.get(entity).map_or(&[], |item| &item.ancestors)
    }

    /// `None` where the inventory does not have the entity.
    pub(super) fn tags(&self, entity: &EntityRef) -> Option<&BTreeMap<String, String>> {
        self.items.get(entity).map(|item| &item.tags)
    }

    /// As whom Databricks knows the principal of `caller`, where the inventory says.
    pub(super) fn known_as(&self, caller: &Caller) -> Option<&Arc<str>> {
        // Most inventories say nothing, and names are made at some cost.
        if self.known.is_empty() {
            return None;
        }
        self.known.get(&caller.principal()?.entity())
    }

    pub(super) fn has(&self, entity: &EntityRef) -> bool {
        self.items.contains_key(entity)
    }

    /// Whether the entity's groups are known: a group file has it, or it is listed with `parents`, be they none. One that is listed for its tags alone is not.
    pub(super) fn knows_groups_of(&self, entity: &EntityRef) -> bool {
        self.items.get(entity).is_some_and(|item| item.placed)
    }
}

/// Entities with all their ancestors. What is in itself is a fault.
fn flatten(listed: &Listed, memberships: &[Membership<'_>], faults: &mut Faults) -> HashMap<EntityRef, Item> {
    let mut parents: HashMap<&EntityRef, Vec<&EntityRef>> =
        listed.entries.iter().map(|entry| (&entry.entity, entry.parents.iter().collect())).collect();
    let mut told: HashMap<&EntityRef, &Membership<'_>> = HashMap::new();
    for membership in memberships {
        parents.entry(&membership.member).or_default().push(&membership.group);
        told.entry(&membership.member).or_insert(membership);
    }
    let place = |entity: &EntityRef, message: &str, help| {
        listed.fault_of(entity, message, help).or_else(|| told.get(entity).map(|membership| membership.fault(message, help)))
    };
    let says_parents: HashSet<&EntityRef> = listed.entries.iter().filter(|entry| entry.says_parents).map(|entry| &entry.entity).collect();
    let tags: HashMap<&EntityRef, &BTreeMap<String, String>> = listed.entries.iter().map(|entry| (&entry.entity, &entry.tags)).collect();
    let mut items = HashMap::with_capacity(parents.len());
    // What stands in the same has the same ancestors, and most of a large inventory stands in few collections.
    let mut shared: HashMap<&[&EntityRef], Arc<[EntityRef]>> = HashMap::new();
    for entity in listed.entries.iter().map(|entry| &entry.entity).chain(memberships.iter().map(|membership| &membership.member)) {
        let direct = parents.get(entity).map_or(&[] as &[_], Vec::as_slice);
        let ancestors = shared.entry(direct).or_insert_with(|| ancestors_of(direct, &parents).into());
        if items.contains_key(entity) {
            continue;
        }
        if ancestors.len() > ANCESTORS {
            let message = format!("`{}` is in more than {ANCESTORS} others", shown_entity(entity));
            faults.extend(place(entity, &message, Some("nest less")));
            break;
        }
        if ancestors.contains(entity) {
            faults.extend(place(entity, &format!("`{}` is in itself, by way of its parents", shown_entity(entity)), None));
        }
        let tags = tags.get(entity).copied().cloned().unwrap_or_default();
        let placed = says_parents.contains(entity) || told.contains_key(entity);
        items.insert(entity.clone(), Item { ancestors: Arc::clone(ancestors), tags, placed });
    }
    faults.sort();
    items
}

fn ancestors_of<'e>(direct: &[&'e EntityRef], parents: &HashMap<&'e EntityRef, Vec<&'e EntityRef>>) -> Vec<EntityRef> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut open = direct.to_vec();
    while let Some(next) = open.pop().filter(|_| found.len() <= ANCESTORS) {
        if seen.insert(next) {
            found.push(next.clone());
            open.extend(parents.get(next).into_iter().flatten());
        }
    }
    found
}
