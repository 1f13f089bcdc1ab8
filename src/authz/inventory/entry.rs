//! One entry of the inventory, key by key.

use std::collections::BTreeMap;

use super::known;
use crate::{
    authz::{
        canonical,
        schema::{PARTIES, parents_of},
        text::shown_entity,
    },
    json::{Object, Value},
    model::{EntityRef, TypeName, Vocabulary},
    text::{nearest, shown},
};

/// One entry as it was written.
pub(super) struct Entry {
    pub(super) entity: EntityRef,
    pub(super) parents: Vec<EntityRef>,
    /// Whether it says in what it is, be it nothing.
    pub(super) says_parents: bool,
    pub(super) tags: BTreeMap<String, String>,
    /// The name that policies use for it.
    pub(super) same_as: Option<EntityRef>,
    /// Line and column.
    pub(super) place: (usize, usize),
}

const KEYS: [&str; 5] = ["type", "id", "parents", "tags", "same_as"];

// === impl Entry ===

impl Entry {
    pub(super) fn read(value: &Value<'_>, place: (usize, usize), vocabulary: &Vocabulary) -> Result<Self, Vec<(String, Option<String>)>> {
        let object = value.as_object().ok_or_else(|| vec![(format!("an entity is an object, not {}", value.kind()), None)])?;
        let mut faults = unknown_keys(object, &KEYS);
        let (entity, says_parents) = (reference(object, vocabulary), object.get("parents").is_some());
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
                faults.extend(known::faults_of(&entity, &tags));
                faults.extend(good.iter().filter_map(|parent| misplaced(&entity, parent, vocabulary)));
                let same_as = same_as(object, &entity, vocabulary).map_err(|fault| faults.push(fault)).ok().flatten();
                if same_as.is_some() && !(good.is_empty() && tags.is_empty()) {
                    faults.push((
                        "a second name has no `parents` and `tags` of its own".to_owned(),
                        Some("list them where the object is named".to_owned()),
                    ));
                }
                if faults.is_empty() {
                    return Ok(Self { entity, parents: good, says_parents, tags, same_as, place });
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
