//! The inventory (`entities.json`): what the operator knows of entities beyond what requests say, their tags and the extra containers they are in.
//!
//! ```json
//! [{ "type": "Job", "id": "stage/42", "parents": [{ "type": "Collection", "id": "pii" }], "tags": { "owner": "risk" } },
//!  { "type": "Table", "id": "prod/0a1b-2c", "same_as": "prod/main.pii.people" }]
//! ```
//!
//! Group files say who is in which group, beside what tokens say or in its place.

mod groups;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use self::groups::Membership;
use super::{
    canonical,
    schema::{COLLECTION, PARTIES, parents_of},
    text::{Mark, shown_entity},
};
use crate::{
    json::{self, Object, Value},
    model::{EntityRef, Fault, TypeName, Vocabulary},
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

/// One entry as it was written.
struct Entry {
    entity: EntityRef,
    parents: Vec<EntityRef>,
    tags: BTreeMap<String, String>,
    /// The name that policies use for it.
    same_as: Option<EntityRef>,
    offset: usize,
}

/// What one entity may be in, by the inventory and group files.
const ANCESTORS: usize = 1000;

const KEYS: [&str; 5] = ["type", "id", "parents", "tags", "same_as"];

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

// === impl Entry ===

impl Entry {
    fn read(value: &Value<'_>, offset: usize, vocabulary: &Vocabulary) -> Result<Self, Vec<(String, Option<String>)>> {
        let object = value.as_object().ok_or_else(|| vec![(format!("an entity is an object, not {}", value.kind()), None)])?;
        let mut faults = unknown_keys(object, &KEYS);
        let entity = reference(object, vocabulary);
        let parents: Vec<_> = match object.get("parents") {
            None => Vec::new(),
            Some(Value::List(list)) => list.iter().map(|parent| parent_reference(parent, vocabulary)).collect(),
            Some(other) => vec![Err((format!("`parents` is an array, not {}", other.kind()), None))],
        };
        let tags = tags(object).map_err(|message| faults.push((message, None))).unwrap_or_default();
        let mut good = Vec::new();
        for parent in parents {
            match parent {
                Ok(parent) => good.push(parent),
                Err(fault) => faults.push(fault),
            }
        }
        match entity {
            Err(fault) => faults.push(fault),
            Ok(entity) => {
                faults.extend(good.iter().filter_map(|parent| misplaced(&entity, parent, vocabulary)));
                let same_as = same_as(object, &entity, vocabulary).map_err(|fault| faults.push(fault)).ok().flatten();
                if same_as.is_some() && !(good.is_empty() && tags.is_empty()) {
                    faults.push((
                        "a second name has no `parents` and `tags` of its own".to_owned(),
                        Some("list them where the object is named".to_owned()),
                    ));
                }
                if faults.is_empty() {
                    return Ok(Self { entity, parents: good, tags, same_as, offset });
                }
            }
        }
        Err(faults)
    }
}

fn unknown_keys(object: &Object<'_>, known: &[&'static str]) -> Vec<(String, Option<String>)> {
    let unknown = object.iter().filter(|(key, _)| !known.contains(key));
    unknown
        .map(|(key, _)| {
            let near = nearest(key, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            (format!("unknown key `{}`", shown(key)), near)
        })
        .collect()
}

fn parent_reference(value: &Value<'_>, vocabulary: &Vocabulary) -> Result<EntityRef, (String, Option<String>)> {
    let object = value.as_object().ok_or_else(|| (format!("a parent is an object with `type` and `id`, not {}", value.kind()), None))?;
    match unknown_keys(object, &["type", "id"]).pop() {
        Some(fault) => Err(fault),
        None => reference(object, vocabulary),
    }
}

fn reference(object: &Object<'_>, vocabulary: &Vocabulary) -> Result<EntityRef, (String, Option<String>)> {
    let text = |key: &str| object.get(key).and_then(Value::as_text).ok_or_else(|| (format!("an entity needs `{key}`, a string"), None));
    let (kind, id) = (text("type")?, text("id")?);
    if parent_types(kind, vocabulary).is_none() {
        let known = PARTIES.iter().map(|(name, _)| *name).chain(vocabulary.types.iter().map(|spec| spec.name.as_str()));
        return Err((format!("unknown type `{}`", shown(kind)), nearest(kind, known).map(|near| format!("did you mean `{near}`?"))));
    }
    let entity = EntityRef::new(&TypeName::new(kind), id);
    match canonical::fault_of(&entity, vocabulary) {
        None => Ok(entity),
        Some((message, right)) => {
            let help = right.map(|right| format!("did you mean `{}`?", shown(&right)));
            Err((format!("`{}` can name nothing: {message}", shown_entity(&entity)), help))
        }
    }
}

/// The name that policies use for `entity`: in the same target, and of the same type unless it says another.
fn same_as(object: &Object<'_>, entity: &EntityRef, vocabulary: &Vocabulary) -> Result<Option<EntityRef>, (String, Option<String>)> {
    let name = match object.get("same_as") {
        None => return Ok(None),
        Some(Value::Text(id)) => EntityRef::new(&entity.kind, id),
        Some(Value::Object(named)) => match unknown_keys(named, &["type", "id"]).pop() {
            Some(fault) => return Err(fault),
            None => reference(named, vocabulary)?,
        },
        Some(other) => return Err((format!("`same_as` is an id of the same type, or an object with `type` and `id`, not {}", other.kind()), None)),
    };
    let spec = vocabulary.type_named(name.kind.as_str());
    let native = name.id.split_once('/').map_or("", |(_, native)| native);
    if let Some((message, right)) = canonical::fault_of(&name, vocabulary) {
        let help = right.map(|right| format!("did you mean `{}`?", shown(&right)));
        return Err((format!("`{}` can name nothing: {message}", shown_entity(&name)), help));
    }
    if spec.is_some_and(|spec| spec.form.named().canonical(native).is_err()) {
        let help = Some("turn the two round: `id` is the other name, `same_as` the one that policies use".to_owned());
        return Err((format!("`{}` is an id of Databricks' own, not the name", shown_entity(&name)), help));
    }
    let target = |entity: &EntityRef| entity.id.split_once('/').map(|(target, _)| target.to_owned());
    if name == *entity || target(&name).is_none() || target(&name) != target(entity) {
        let help = Some("a second name is another id of an object in the same workspace, account or service".to_owned());
        return Err((format!("`{}` cannot be the same as `{}`", shown_entity(entity), shown_entity(&name)), help));
    }
    // Where the other is a name too, what stands in the object can be named by way of it, and would not be found.
    let other = entity.id.split_once('/').map_or("", |(_, native)| native);
    let names = spec.is_some_and(|spec| spec.form.is_nested() && name.kind == entity.kind && spec.form.named().canonical(other).is_ok());
    let inner = vocabulary.types.iter().find(|inner| names && inner.parents.contains(&entity.kind));
    if let Some(inner) = inner {
        let help = Some("list each object in it, or name it in policies by both names".to_owned());
        return Err((
            format!("`{}` cannot have a second name: objects in it, of type `{}`, would not be found by it", shown_entity(entity), inner.name),
            help,
        ));
    }
    Ok(Some(name))
}

/// The types an entity of `kind` may stand in; `None` where the type is not known.
fn parent_types<'v>(kind: &str, vocabulary: &'v Vocabulary) -> Option<Vec<&'v str>> {
    match PARTIES.iter().find(|(name, _)| *name == kind) {
        Some((_, parents)) => Some(parents.to_vec()),
        None => vocabulary.type_named(kind).map(parents_of),
    }
}

fn misplaced(entity: &EntityRef, parent: &EntityRef, vocabulary: &Vocabulary) -> Option<(String, Option<String>)> {
    let allowed = parent_types(entity.kind.as_str(), vocabulary)?;
    (!allowed.contains(&parent.kind.as_str())).then(|| {
        let help = if allowed.is_empty() { "it stands in nothing".to_owned() } else { format!("it may stand in {}", allowed.join(", ")) };
        (format!("`{}` cannot stand in `{}`", shown_entity(entity), shown_entity(parent)), Some(help))
    })
}

fn tags(object: &Object<'_>) -> Result<BTreeMap<String, String>, String> {
    match object.get("tags") {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(tags)) => tags
            .iter()
            .map(|(name, value)| match value.as_text() {
                Some(text) => Ok((name.to_owned(), text.to_owned())),
                None => Err(format!("the tag `{}` is {}, not a string", shown(name), value.kind())),
            })
            .collect(),
        Some(other) => Err(format!("`tags` is an object, not {}", other.kind())),
    }
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
