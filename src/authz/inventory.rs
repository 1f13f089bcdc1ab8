//! The inventory (`entities.json`): what the operator knows of entities beyond what requests say, their tags and the extra containers they are in.
//!
//! ```json
//! [{ "type": "Job", "id": "stage/42", "parents": [{ "type": "Collection", "id": "pii" }], "tags": { "owner": "risk" } },
//!  { "type": "Table", "id": "prod/0a1b-2c", "same_as": "prod/main.pii.people" }]
//! ```
//!
//! Group files say who is in which group, beside what tokens say or in its place.

mod entry;
mod groups;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{entry::Entry, groups::Membership};
use super::{
    schema::COLLECTION,
    text::{Mark, shown_entity},
};
use crate::{
    json,
    model::{EntityRef, Fault, Vocabulary},
    text::{nearest, shown},
};

/// Every listed entity by name, ancestors flattened once, so that a request takes only what it names.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory {
    items: HashMap<EntityRef, Item>,
    /// Second names, each with the name that policies use.
    same: Arc<HashMap<EntityRef, EntityRef>>,
    /// Groups whose members are those that are listed, whatever tokens say.
    closed: HashSet<EntityRef>,
}

#[derive(Clone, Debug, Default)]
struct Item {
    ancestors: Arc<[EntityRef]>,
    tags: BTreeMap<String, String>,
}

/// What one entity may be in, by the inventory and group files.
const ANCESTORS: usize = 1000;

// === impl Inventory ===

impl Inventory {
    /// Of `entities.json`, where there is one, and of group files.
    ///
    /// # Errors
    /// Every fault of every file.
    pub(super) fn load(entities: Option<&(PathBuf, String)>, groups: &[(PathBuf, String)], vocabulary: &Vocabulary) -> Result<Self, Vec<Fault>> {
        let listed = entities.map_or_else(|| Ok(Listed::default()), |(path, text)| Listed::read(path, text, vocabulary));
        let (listed, (memberships, closed)) = match (listed, groups::read(groups, vocabulary)) {
            (Ok(listed), Ok(read)) => (listed, read),
            (listed, read) => return Err([listed.err(), read.err()].into_iter().flatten().flatten().collect()),
        };
        let mut faults = groups::ways_in(&listed, &memberships, &closed);
        let items = flatten(&listed, &memberships, &mut faults);
        if faults.is_empty() { Ok(Self { items, same: Arc::new(listed.same), closed }) } else { Err(faults) }
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

    pub(super) fn has(&self, entity: &EntityRef) -> bool {
        self.items.contains_key(entity)
    }
}

/// Takes the second names out of `entries`. One that is listed twice, or leads to another second name, is marked.
fn second_names(entries: &mut Vec<Entry>, marks: &mut Vec<Mark>) -> HashMap<EntityRef, EntityRef> {
    let (names, others): (Vec<Entry>, Vec<Entry>) = std::mem::take(entries).into_iter().partition(|entry| entry.same_as.is_some());
    *entries = others;
    let mut same = HashMap::new();
    for Entry { entity, same_as, offset, .. } in &names {
        let Some(name) = same_as else { continue };
        let twice = entries.iter().any(|other| other.entity == *entity) || same.insert(entity.clone(), name.clone()).is_some();
        if twice {
            marks.push(Mark::new(*offset, format!("`{}` is listed twice", shown_entity(entity)), None));
        }
    }
    for Entry { entity, same_as, offset, .. } in &names {
        if same_as.as_ref().is_some_and(|name| same.contains_key(name)) {
            let message = format!("`{}` is the same as what is a second name itself", shown_entity(entity));
            marks.push(Mark::new(*offset, message, Some("name the object as policies do".to_owned())));
        }
    }
    same
}

/// What `entities.json` lists.
#[derive(Default)]
struct Listed {
    entries: Vec<Entry>,
    /// Where each of them stands, as a fault that says it stands there twice.
    places: HashMap<EntityRef, Fault>,
    same: HashMap<EntityRef, EntityRef>,
}

// === impl Listed ===

impl Listed {
    fn read(path: &Path, text: &str, vocabulary: &Vocabulary) -> Result<Self, Vec<Fault>> {
        let whole = |message: String| vec![Fault { file: path.to_owned(), line: None, column: None, message, help: None }];
        let value = json::read(text.as_bytes()).map_err(|error| whole(error.to_string()))?;
        let list = value.as_list().ok_or_else(|| whole(format!("the inventory is {}, not an array of entities", value.kind())))?;
        let (mut entries, mut marks) = (Vec::new(), Vec::new());
        for (value, offset) in list.iter().zip(item_offsets(text)) {
            match Entry::read(value, offset, vocabulary) {
                Ok(entry) => entries.push(entry),
                Err(found) => marks.extend(found.into_iter().map(|(message, help)| Mark::new(offset, message, help))),
            }
        }
        let same = second_names(&mut entries, &mut marks);
        let mut places = HashMap::new();
        for entry in &entries {
            let mark = Mark::new(entry.offset, format!("`{}` is listed twice", shown_entity(&entry.entity)), None);
            if places.insert(entry.entity.clone(), mark.fault(path, text, 0)).is_some() {
                marks.push(mark);
            }
        }
        marks.extend(dangling(&entries, &places));
        if marks.is_empty() { Ok(Self { entries, places, same }) } else { Err(marks.iter().map(|mark| mark.fault(path, text, 0)).collect()) }
    }
}

/// Collections that nothing but a parent names: requests do not have them, so a slip in a name would go unseen.
fn dangling(entries: &[Entry], places: &HashMap<EntityRef, Fault>) -> Vec<Mark> {
    let is_collection = |entity: &&EntityRef| entity.kind.as_str() == COLLECTION;
    let mut marks = Vec::new();
    for entry in entries {
        for parent in entry.parents.iter().filter(is_collection).filter(|parent| !places.contains_key(*parent)) {
            let near = nearest(&parent.id, places.keys().filter(is_collection).map(|known| &*known.id));
            let list = || format!("list it too: {{ \"type\": \"{COLLECTION}\", \"id\": \"{}\" }}", shown(&parent.id));
            let help = near.map_or_else(list, |near| format!("did you mean `{near}`?"));
            marks.push(Mark::new(entry.offset, format!("`{}` is not listed", shown_entity(parent)), Some(help)));
        }
    }
    marks
}

/// Entities with all their ancestors. What is in itself is a fault.
fn flatten(listed: &Listed, memberships: &[Membership], faults: &mut Vec<Fault>) -> HashMap<EntityRef, Item> {
    let mut parents: HashMap<EntityRef, Vec<EntityRef>> = listed.entries.iter().map(|entry| (entry.entity.clone(), entry.parents.clone())).collect();
    for Membership { member, group, .. } in memberships {
        let groups = parents.entry(member.clone()).or_default();
        if !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    let tags: HashMap<&EntityRef, &BTreeMap<String, String>> = listed.entries.iter().map(|entry| (&entry.entity, &entry.tags)).collect();
    let mut items = HashMap::with_capacity(parents.len());
    for entity in parents.keys() {
        let ancestors = ancestors_of(entity, &parents);
        if ancestors.len() > ANCESTORS {
            let told = memberships.iter().find(|membership| membership.member == *entity).map(|membership| &membership.place);
            let message = format!("`{}` is in more than {ANCESTORS} others", shown_entity(entity));
            faults.extend(listed.places.get(entity).or(told).cloned().map(|place| Fault { message, help: Some("nest less".to_owned()), ..place }));
            break;
        }
        if ancestors.contains(entity) {
            let told = memberships.iter().find(|membership| membership.member == *entity).map(|membership| &membership.place);
            let message = format!("`{}` is in itself, by way of its parents", shown_entity(entity));
            faults.extend(listed.places.get(entity).or(told).cloned().map(|place| Fault { message, help: None, ..place }));
        }
        let tags = tags.get(entity).copied().cloned().unwrap_or_default();
        items.insert(entity.clone(), Item { ancestors: ancestors.into(), tags });
    }
    faults.sort_by(|one, other| (&one.file, one.line, one.column).cmp(&(&other.file, other.line, other.column)));
    items
}

fn ancestors_of(entity: &EntityRef, parents: &HashMap<EntityRef, Vec<EntityRef>>) -> Vec<EntityRef> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut open: Vec<&EntityRef> = parents.get(entity).into_iter().flatten().collect();
    while let Some(next) = open.pop().filter(|_| found.len() <= ANCESTORS) {
        if seen.insert(next) {
            found.push(next.clone());
            open.extend(parents.get(next).into_iter().flatten());
        }
    }
    found
}

/// Where each item of the outermost array begins, in a text that is known to be JSON.
fn item_offsets(text: &str) -> Vec<usize> {
    let (mut offsets, mut depth, mut in_text, mut escaped, mut fresh) = (Vec::new(), 0_u32, false, false, true);
    for (at, byte) in text.bytes().enumerate() {
        if depth == 1 && fresh && !in_text && !byte.is_ascii_whitespace() && byte != b']' {
            offsets.push(at);
            fresh = false;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => fresh = true,
            _ => {}
        }
    }
    offsets
}
