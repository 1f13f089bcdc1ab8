//! Group files: who is in which group.
//!
//! ```yaml
//! - group: corp/recommender
//!   members: { User: [corp/alice, corp/dan], Group: corp/interns }
//!   source: both
//! ```

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use super::listed::Listed;
use crate::{
    authz::{
        canonical,
        text::{look_alike, shown_entity},
    },
    model::{EntityRef, Fault, Faults, TypeName, Vocabulary},
    text::{nearest, quoted, shown},
    yaml::{self, Key, Node, Place, Value},
};

/// Somebody is in a group.
pub(super) struct Membership<'r> {
    pub(super) member: EntityRef,
    pub(super) group: EntityRef,
    file: &'r Path,
    place: Place,
}

/// Reads entries and gathers what they say, good or not.
struct Reader<'r> {
    vocabulary: &'r Vocabulary,
    file: &'r Path,
    faults: Faults,
    memberships: Vec<Membership<'r>>,
    /// Groups whose members are those alone that are listed.
    closed: HashSet<EntityRef>,
    groups: HashSet<EntityRef>,
    seen: HashSet<(EntityRef, EntityRef)>,
}

const KEYS: [&str; 5] = ["group", "members", "source", "owner", "why"];
const MEMBERS: [&str; 3] = ["User", "ServicePrincipal", "Group"];

/// The memberships of all files, and the groups whose members are those alone.
///
/// # Errors
/// Every fault of every file.
pub(super) fn read<'r>(files: &'r [(PathBuf, String)], vocabulary: &'r Vocabulary) -> Result<(Vec<Membership<'r>>, HashSet<EntityRef>), Faults> {
    let mut reader = Reader {
        vocabulary,
        file: Path::new(""),
        faults: Faults::default(),
        memberships: Vec::new(),
        closed: HashSet::new(),
        groups: HashSet::new(),
        seen: HashSet::new(),
    };
    for (path, text) in files {
        reader.file = path;
        reader.text(text);
    }
    reader.faults.or((reader.memberships, reader.closed))
}

/// Ways into a group of which its file alone says who is in it, that are open to others: a group in it that tokens may name, and the inventory.
pub(super) fn ways_in(listed: &Listed, memberships: &[Membership<'_>], closed: &HashSet<EntityRef>, faults: &mut Faults) {
    let open = |membership: &&Membership<'_>| {
        let Membership { member, group, .. } = membership;
        closed.contains(group) && member.kind.as_str() == "Group" && !closed.contains(member)
    };
    faults.extend(memberships.iter().filter(open).map(|membership| {
        let [group, member] = [&membership.group, &membership.member].map(shown_entity);
        let message = format!("`{group}` is filled by its file alone, and tokens may name `{member}`, which is in it");
        membership.fault(&message, Some("write `source: file` there too, or list its members here"))
    }));
    faults.extend(listed.entries.iter().filter_map(|entry| {
        let group = entry.parents.iter().find(|parent| closed.contains(*parent))?;
        listed.fault_of(&entry.entity, &format!("`{}` is filled by its file alone", shown_entity(group)), Some("list its members there"))
    }));
}

/// Names in letters of several scripts, each where it first stands.
pub(super) fn look_alikes(memberships: &[Membership<'_>]) -> Faults {
    let (mut found, mut seen) = (Faults::default(), HashSet::new());
    for membership in memberships {
        for name in [&membership.group, &membership.member].into_iter().filter(|name| !name.id.is_ascii()) {
            if let Some((message, help)) = look_alike(name).filter(|_| seen.insert(name)) {
                found.add(|| membership.fault(&message, Some(help)));
            }
        }
    }
    found
}

// === impl Membership ===

impl Membership<'_> {
    /// A fault where it is said.
    pub(super) fn fault(&self, message: &str, help: Option<&str>) -> Fault {
        let (line, column) = (Some(self.place.line), Some(self.place.column));
        Fault { file: self.file.to_owned(), line, column, message: message.to_owned(), help: help.map(str::to_owned) }
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn text(&mut self, text: &str) {
        let (root, found) = yaml::read(text);
        let good = found.is_empty();
        self.faults.extend(found.into_iter().map(|found| found.fault(self.file)));
        match root {
            Some(Node { value: Value::List(items), .. }) if !items.is_empty() => items.iter().for_each(|item| self.entry(item)),
            Some(node) if good && node.value != Value::List(Vec::new()) => {
                self.wrong(node.place, format!("the file is {}, not a list of groups", node.kind()), "begin each with `- group:`");
            }
            _ if good => self.faults.add(|| Fault {
                file: self.file.to_owned(),
                line: None,
                column: None,
                message: "the file holds no group".to_owned(),
                help: Some("delete the file if its groups are to go".to_owned()),
            }),
            _ => {}
        }
    }

    fn entry(&mut self, node: &Node) {
        let Value::Map(entries) = &node.value else {
            return self.wrong(node.place, format!("an entry is a mapping, not {}", node.kind()), "begin it with `- group:`");
        };
        let before = self.faults.count();
        for (key, value) in entries {
            self.known(key, value);
        }
        let get = |key: &str| entries.iter().find(|(have, _)| have.text == key).map(|(_, node)| node);
        let (Some(named), Some(members)) = (get("group"), get("members")) else {
            let (key, example) = if get("group").is_none() { ("group", "corp/ml-engineers") } else { ("members", "{ User: [corp/alice] }") };
            // Where a key is misspelt, that is told and not what follows from it.
            if self.faults.count() == before {
                self.wrong(node.place, format!("the entry lacks `{key}`"), format!("add it, as in `{key}: {example}`"));
            }
            return;
        };
        let Some(group) = self.entity("Group", named) else { return };
        if !self.groups.insert(group.clone()) {
            return self.wrong(named.place, format!("`{}` is listed twice", shown_entity(&group)), "list all its members in one place");
        }
        if get("source").is_some_and(|node| self.is_file(node)) {
            self.closed.insert(group.clone());
        }
        let Value::Map(kinds) = &members.value else {
            return self.wrong(
                members.place,
                format!("`members` is {}, not types with ids", members.kind()),
                "write `members: { User: [corp/alice] }`",
            );
        };
        for (kind, ids) in kinds {
            self.members(kind, ids, &group);
        }
    }

    fn known(&mut self, key: &Key, value: &Node) {
        if !KEYS.contains(&key.text.as_str()) {
            let near = nearest(&key.text, KEYS).map(|near| format!("did you mean `{near}`?"));
            self.wrong(key.place, format!("unknown key {}", quoted(&key.text)), near.unwrap_or_else(|| format!("known here: {}", KEYS.join(", "))));
        } else if matches!(key.text.as_str(), "owner" | "why") && !matches!(value.value, Value::Text(_)) {
            self.wrong(value.place, format!("`{}` is {}, not a text", key.text, value.kind()), "put it in quotes");
        }
    }

    /// Whether the file alone says who is in the group, and tokens do not.
    fn is_file(&mut self, node: &Node) -> bool {
        let text = if let Value::Text(text) = &node.value { text.as_str() } else { "" };
        if !matches!(text, "both" | "file") {
            let help = "write `both` where tokens may say it too, `file` where they may not";
            self.wrong(node.place, "`source` is neither `both` nor `file`", help);
        }
        text == "file"
    }

    fn members(&mut self, kind: &Key, ids: &Node, group: &EntityRef) {
        if !MEMBERS.contains(&kind.text.as_str()) {
            let near = nearest(&kind.text, MEMBERS).map(|near| format!("did you mean `{near}`?"));
            let help = near.unwrap_or_else(|| format!("members of a group are {}", MEMBERS.join(", ")));
            return self.wrong(kind.place, format!("`{}` cannot be in a group", shown(&kind.text)), help);
        }
        let items = match &ids.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(ids),
        };
        for item in items {
            let Some(member) = self.entity(&kind.text, item) else { continue };
            if self.seen.insert((member.clone(), group.clone())) {
                self.memberships.push(Membership { member, group: group.clone(), file: self.file, place: item.place });
            } else {
                self.wrong(item.place, format!("`{}` is listed twice", shown_entity(&member)), "remove one");
            }
        }
    }

    fn entity(&mut self, kind: &str, node: &Node) -> Option<EntityRef> {
        let Value::Text(id) = &node.value else {
            self.wrong(node.place, format!("an id is a text, not {}", node.kind()), "put it in quotes");
            return None;
        };
        let entity = EntityRef::new(&TypeName::new(kind), id);
        let Some((message, _)) = canonical::fault_of(&entity, self.vocabulary) else { return Some(entity) };
        self.wrong(node.place, format!("`{}` can name nothing: {message}", shown_entity(&entity)), "write an id of that form");
        None
    }

    fn wrong(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        let (file, line, column) = (self.file, Some(place.line), Some(place.column));
        self.faults.add(|| Fault { file: file.to_owned(), line, column, message: message.into(), help: Some(help.into()) });
    }
}
