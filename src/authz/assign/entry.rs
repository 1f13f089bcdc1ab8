//! One entry of a file, key by key.

use std::collections::HashSet;

use super::{Assignment, Gives, Kind, Wrong, grant, link_id};
use crate::{
    authz::{
        canonical::{self, NO_PEER},
        policy::{LONGEST_ID, LONGEST_REASON, is_id, is_line},
        role::Holder,
        schema::{COLLECTION, PARTIES},
        text::shown_entity,
    },
    model::{EntityRef, TypeName, Vocabulary},
    text::{nearest, quoted, shown},
    yaml::{Node, Place, Value},
};

/// What an entry says, of which each part is good.
pub(super) struct Entry {
    place: Place,
    gives: Gives,
    to: Vec<EntityRef>,
    /// Empty where it says nothing of it.
    on: Vec<EntityRef>,
    id: Option<String>,
    owner: Option<String>,
    pub(super) why: Option<String>,
    pub(super) times: grant::Times,
}

/// The side of a call that an entity stands on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    To,
    On,
}

/// Policies that one entry may be, so that no line costs more than its reader sees.
const PAIRS: usize = 1000;

const ACCESS_KEYS: &[&str] = &["role", "to", "on", "id", "owner", "why"];
const GRANT_KEYS: &[&str] = &["role", "action", "to", "on", "id", "owner", "why", "from", "until", "requested_by", "approved_by"];

/// Reads the keys of one mapping and gathers what is wrong.
struct Reader<'n, 'v> {
    place: Place,
    entries: &'n [(crate::yaml::Key, Node)],
    vocabulary: &'v Vocabulary,
    wrong: Vec<Wrong>,
}

// === impl Entry ===

impl Entry {
    pub(super) fn read(node: &Node, kind: Kind, vocabulary: &Vocabulary) -> Result<Self, Vec<Wrong>> {
        if node.value == Value::Refused {
            return Err(Vec::new());
        }
        let Value::Map(entries) = &node.value else {
            return Err(vec![Wrong::new(node.place, format!("an entry is a mapping, not {}", node.kind()), "begin it with `- role:`")]);
        };
        let keys = if kind == Kind::Access { ACCESS_KEYS } else { GRANT_KEYS };
        let mut reader = Reader { place: node.place, entries, vocabulary, wrong: Vec::new() };
        reader.unknown_keys(keys, kind);
        let gives = reader.gives(kind);
        let to = reader.entities("to", Side::To);
        if to.as_ref().is_none_or(Vec::is_empty) && !reader.has("to") {
            reader.lacks("to", "{ Group: corp/ml-engineers }");
        }
        let on = reader.entities("on", Side::On);
        let id = reader.text("id", is_id, &format!("1 to {LONGEST_ID} letters, digits, `.`, `_` and `-`"));
        let line = format!("one line of 1 to {LONGEST_REASON} characters");
        let owner = reader.text("owner", is_line, &line);
        let why = reader.text("why", is_line, &line);
        let times = if kind == Kind::Access { grant::Times::default() } else { reader.times() };
        match (gives, to, reader.wrong.is_empty()) {
            (Some(gives), Some(to), true) => Ok(Self { place: node.place, gives, to, on: on.unwrap_or_default(), id, owner, why, times }),
            _ => Err(reader.wrong),
        }
    }

    /// # Errors
    /// What is wrong with its time or its approval.
    pub(super) fn assignment(self, kind: Kind) -> Result<Assignment, Vec<Wrong>> {
        let approved = match kind {
            Kind::Access => None,
            Kind::Grant(grants) => Some(grants.approve(&self.times, self.why.as_deref(), &self.to, self.place)?),
        };
        let pairs = self.to.iter().flat_map(|principal| {
            let none = self.on.is_empty().then_some(None);
            self.on.iter().map(Some).chain(none).map(|resource| Holder { principal: principal.clone(), resource: resource.cloned() })
        });
        let count = self.to.len().saturating_mul(self.on.len().max(1));
        if count > PAIRS {
            let message = format!("the entry would be {count} policies");
            return Err(vec![Wrong::new(
                self.place,
                message,
                format!("name at most {PAIRS} pairs of `to` and `on`, or groups and what holds the resources"),
            )]);
        }
        let pairs: Vec<Holder> = pairs.collect();
        let base = self.id.as_deref().unwrap_or_else(|| if let Gives::Role(role) = &self.gives { role } else { "grant" });
        let alone = self.id.is_some() && pairs.len() == 1;
        let holders = pairs
            .into_iter()
            .map(|holder| (if alone { base.into() } else { link_id(base, &self.gives, &holder, approved.as_ref()) }, holder))
            .collect();
        Ok(Assignment { place: self.place, gives: self.gives, holders, owner: self.owner, why: self.why, approved })
    }
}

// === impl Reader ===

impl<'n> Reader<'n, '_> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(have, _)| have.text == key).map(|(_, node)| node)
    }

    fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn wrong(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.wrong.push(Wrong::new(place, message, help));
    }

    /// Unless an unknown key was likely meant to be it.
    fn lacks(&mut self, key: &str, example: &str) {
        let meant = did_you_mean(key);
        if self.wrong.iter().any(|wrong| wrong.help.as_ref() == Some(&meant)) {
            return;
        }
        self.wrong(self.place, format!("the entry lacks `{key}`"), format!("add it, as in `{key}: {example}`"));
    }

    fn unknown_keys(&mut self, keys: &[&'static str], kind: Kind) {
        let entries = self.entries;
        for (key, _) in entries.iter().filter(|(key, _)| !keys.contains(&key.text.as_str())) {
            let free = keys.iter().copied().filter(|name| !self.has(name));
            let help = match nearest(&key.text, free) {
                _ if kind == Kind::Access && GRANT_KEYS.contains(&key.text.as_str()) => {
                    "access is for good; what ends stands among the grants".to_owned()
                }
                Some(near) => did_you_mean(near),
                None => format!("known here: {}", keys.join(", ")),
            };
            self.wrong(key.place, format!("unknown key {}", quoted(&key.text)), help);
        }
    }

    /// A text of a given form; `None` where it is not there or not good.
    fn text(&mut self, key: &str, good: impl Fn(&str) -> bool, form: &str) -> Option<String> {
        let node = self.get(key)?;
        match &node.value {
            Value::Text(text) if good(text) => return Some(text.clone()),
            Value::Text(text) => self.wrong(node.place, format!("`{key}` is {}, not {form}", quoted(text)), "write it so"),
            Value::Refused => {}
            _ => self.wrong(node.place, format!("`{key}` is {}, not a text", node.kind()), "put it in quotes"),
        }
        None
    }

    fn texts(&mut self, key: &str, node: &'n Node) -> Vec<(&'n str, Place)> {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        if items.is_empty() {
            self.wrong(node.place, format!("`{key}` is empty"), "name at least one");
        }
        let mut texts = Vec::new();
        for item in items {
            match &item.value {
                Value::Text(text) => texts.push((text.as_str(), item.place)),
                Value::Refused => {}
                _ => self.wrong(item.place, format!("`{key}` holds {}, not a text", item.kind()), "put it in quotes"),
            }
        }
        texts
    }

    fn gives(&mut self, kind: Kind) -> Option<Gives> {
        let (role, action) = (self.has("role"), self.get("action").filter(|_| kind != Kind::Access));
        match (role, action) {
            (true, None) => self.text("role", is_id, "the `@id` of a role").map(Gives::Role),
            (false, Some(node)) => {
                let names = self.texts("action", node);
                Some(Gives::Actions(names.into_iter().map(|(name, _)| EntityRef::new(&TypeName::new("Action"), name)).collect()))
            }
            (false, None) => {
                self.lacks("role", "endpoint-user");
                None
            }
            (true, Some(node)) => {
                self.wrong(node.place, "the entry has both `role` and `action`", "write it as two entries");
                None
            }
        }
    }

    /// `{ Group: corp/a }`, `{ Group: [corp/a, corp/b], User: corp/c }`, or a list of such. `None` where some of it is not good.
    fn entities(&mut self, key: &'static str, side: Side) -> Option<Vec<EntityRef>> {
        let node = self.get(key)?;
        let before = self.wrong.len();
        let maps = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for map in maps {
            let Value::Map(entries) = &map.value else {
                if map.value != Value::Refused {
                    let example = if side == Side::To { "{ Group: corp/ml-engineers }" } else { "{ Environment: staging }" };
                    self.wrong(map.place, format!("`{key}` is {}, not a type with an id", map.kind()), format!("write `{key}: {example}`"));
                }
                continue;
            };
            for (kind, ids) in entries {
                for (id, place) in self.texts(&kind.text, ids) {
                    match self.entity(&kind.text, id, side) {
                        Ok(entity) if !seen.insert(entity.clone()) => {
                            self.wrong(place, format!("`{}` stands twice", shown_entity(&entity)), "remove one");
                        }
                        Ok(entity) => found.push(entity),
                        Err((message, help)) => self.wrong(place, message, help),
                    }
                }
            }
        }
        if found.is_empty() && self.wrong.len() == before {
            self.wrong(node.place, format!("`{key}` is empty"), "name at least one");
        }
        (self.wrong.len() == before).then_some(found)
    }

    fn entity(&self, kind: &str, id: &str, side: Side) -> Result<EntityRef, (String, String)> {
        let parties = || PARTIES.iter().map(|(name, _)| *name).filter(|name| *name != COLLECTION);
        let types = || self.vocabulary.types.iter().map(|spec| spec.name.as_str()).chain([COLLECTION]);
        let known: Vec<&str> = if side == Side::To { parties().collect() } else { types().collect() };
        if !known.contains(&kind) {
            let help = nearest(kind, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let shapes = if side == Side::To { known.join(", ") } else { "`Environment`, `Workspace`, or a type of the catalog".to_owned() };
            return Err((format!("unknown type `{}`", shown(kind)), help.unwrap_or(format!("write one of {shapes}"))));
        }
        let entity = EntityRef::new(&TypeName::new(kind), id);
        if kind == "Workload" && id == NO_PEER {
            return Err((format!("`{entity}` stands for whoever has no mesh identity"), "name a workload".to_owned()));
        }
        match canonical::fault_of(&entity, self.vocabulary) {
            None => Ok(entity),
            Some((message, right)) => {
                let help = right.map_or_else(|| "write an id of that form".to_owned(), |right| format!("did you mean `{}`?", shown(&right)));
                Err((format!("`{}` can name nothing: {message}", shown_entity(&entity)), help))
            }
        }
    }

    fn times(&mut self) -> grant::Times {
        let mut moment = |key: &'static str| {
            let Some(node) = self.get(key) else {
                self.lacks(key, "2026-11-22T08:00:00Z");
                return None;
            };
            let text = if let Value::Text(text) = &node.value { text.as_str() } else { "" };
            let parsed = grant::moment(text).map(|ms| (ms, node.place));
            if parsed.is_none() && node.value != Value::Refused {
                let help = "write date, time and offset, as `2026-11-22T08:00:00Z` or `2026-11-22T09:00:00+01:00`";
                self.wrong(node.place, format!("`{key}` is no time of RFC 3339"), help);
            }
            parsed
        };
        let (from, until) = (moment("from"), moment("until"));
        let mut person = |key: &'static str| {
            let node = self.get(key)?;
            let id = self.text(key, |_| true, "a user")?;
            match self.entity("User", &id, Side::To) {
                Ok(user) => Some((user, node.place)),
                Err((message, help)) => {
                    self.wrong(node.place, message, help);
                    None
                }
            }
        };
        let (requested_by, approved_by) = (person("requested_by"), person("approved_by"));
        if !self.has("approved_by") {
            self.lacks("approved_by", "corp/alice");
        }
        grant::Times { from, until, requested_by, approved_by }
    }
}

fn did_you_mean(key: &str) -> String {
    format!("did you mean `{key}`?")
}
