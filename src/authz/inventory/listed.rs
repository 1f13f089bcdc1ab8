//! What `entities.json` lists.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::entry::Entry;
use crate::{
    authz::{
        repeated::Mistakes,
        schema::COLLECTION,
        text::{Lines, shown_entity},
    },
    json,
    model::{EntityRef, Fault, Faults, Vocabulary},
    text::{nearest, shown},
};

/// The entries of the file, each entity once.
#[derive(Default)]
pub(super) struct Listed {
    path: PathBuf,
    pub(super) entries: Vec<Entry>,
    /// Line and column of each of them.
    places: HashMap<EntityRef, (usize, usize)>,
    /// Second names, each with the name that policies use.
    pub(super) same: HashMap<EntityRef, EntityRef>,
}

/// Bytes of the file; some hundred thousand entities have room in it.
const LONGEST: usize = 64 << 20;

/// Names that are held against all others, to tell which of them was likely meant.
const SUGGESTIONS: usize = 10;

// === impl Listed ===

impl Listed {
    /// # Errors
    /// Every fault of the file.
    pub(super) fn read(path: &Path, text: &str, vocabulary: &Vocabulary) -> Result<Self, Faults> {
        let whole = |message: String, help: Option<String>| Faults::from(Fault { file: path.to_owned(), line: None, column: None, message, help });
        if text.len() > LONGEST {
            let help = "list what has tags, collections, members or second names, and nothing else".to_owned();
            return Err(whole(format!("the inventory is longer than {}MiB", LONGEST >> 20), Some(help)));
        }
        if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('[') {
            let value = json::read(text.as_bytes()).map_err(|error| whole(error.to_string(), None))?;
            return Err(whole(format!("the inventory is {}, not an array of entities", value.kind()), None));
        }
        let mut listed = Self { path: path.to_owned(), ..Self::default() };
        let (mut names, mut lines, mut faults) = (Vec::new(), Lines::new(text), Faults::default());
        let read = json::read_items(text, |offset, value| {
            let place = lines.place(offset);
            match Entry::read(&value, place, vocabulary) {
                Ok(Entry { entity, same_as: Some(name), .. }) => names.push((entity, name, place)),
                Ok(entry) => listed.entries.push(entry),
                Err(wrong) => wrong.into_iter().for_each(|(message, help)| faults.add(|| listed.fault(place, message, help))),
            }
        });
        read.map_err(|error| whole(error.to_string(), None))?;
        listed.place(&mut faults);
        listed.second_names(&names, &mut faults);
        listed.dangling(&mut faults);
        faults.or(listed)
    }

    /// A fault where the entity is listed; `None` where it is not.
    pub(super) fn fault_of(&self, entity: &EntityRef, message: &str, help: Option<&str>) -> Option<Fault> {
        self.places.get(entity).map(|place| self.fault(*place, message.to_owned(), help.map(str::to_owned)))
    }

    fn fault(&self, (line, column): (usize, usize), message: String, help: Option<String>) -> Fault {
        Fault { file: self.path.clone(), line: Some(line), column: Some(column), message, help }
    }

    /// Notes where each entity is listed.
    fn place(&mut self, faults: &mut Faults) {
        let mut places = HashMap::with_capacity(self.entries.len());
        for entry in &self.entries {
            if places.insert(entry.entity.clone(), entry.place).is_some() {
                faults.add(|| self.fault(entry.place, twice(&entry.entity), None));
            }
        }
        self.places = places;
    }

    /// Takes second names. One that is listed twice, or leads to another second name, is a fault.
    fn second_names(&mut self, names: &[(EntityRef, EntityRef, (usize, usize))], faults: &mut Faults) {
        for (entity, name, place) in names {
            if self.same.insert(entity.clone(), name.clone()).is_some() || self.places.contains_key(entity) {
                faults.add(|| self.fault(*place, twice(entity), None));
            }
        }
        for (entity, name, place) in names {
            if self.same.contains_key(name) {
                let message = || format!("`{}` is the same as what is a second name itself", shown_entity(entity));
                faults.add(|| self.fault(*place, message(), Some("name the object as policies do".to_owned())));
            }
        }
    }

    /// Collections that nothing but a parent names: requests do not have them, so a slip in a name would go unseen.
    fn dangling(&self, faults: &mut Faults) {
        let is_collection = |entity: &&EntityRef| entity.kind.as_str() == COLLECTION;
        let mut missing = Mistakes::new();
        for entry in &self.entries {
            // One entry may name a collection twice.
            let mut seen = HashSet::new();
            for parent in entry.parents.iter().filter(is_collection).filter(|parent| !self.places.contains_key(*parent)) {
                if seen.insert(parent) {
                    missing.note(parent, (&self.path, entry.place.0), |others| self.unlisted(entry, parent, others < SUGGESTIONS));
                }
            }
        }
        faults.extend(missing.into_faults());
    }

    fn unlisted(&self, entry: &Entry, parent: &EntityRef, suggest: bool) -> Fault {
        let known = self.places.keys().filter(|known| suggest && known.kind == parent.kind).map(|known| &*known.id);
        let list = || format!("list it too: {{ \"type\": \"{COLLECTION}\", \"id\": \"{}\" }}", shown(&parent.id));
        let help = nearest(&parent.id, known).map_or_else(list, |near| format!("did you mean `{near}`?"));
        self.fault(entry.place, format!("`{}` is not listed", shown_entity(parent)), Some(help))
    }
}

fn twice(entity: &EntityRef) -> String {
    format!("`{}` is listed twice", shown_entity(entity))
}
