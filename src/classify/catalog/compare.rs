//! What a catalog says otherwise than another one: what customers' policies must be looked at for before it is taken.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::Catalog;
use crate::classify::{entry::Entry, template::Template};
use crate::model::{Action, ActionSpec, TypeName};

/// One action that is not what it was.
#[derive(Clone, Debug)]
pub struct Change {
    pub kind: ChangeKind,
    /// As it is now, or was where it is gone.
    pub action: Arc<Action>,
    /// What differs, one clause.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It has another name; the old one is an alias or is gone.
    Renamed,
    /// No call is this action any more.
    Gone,
    /// It is in another level, or in other groups.
    Moved,
    /// It can act on more types, or more calls are this action.
    Widened,
    /// There was none of that name.
    New,
}

// === impl Catalog ===

impl Catalog {
    /// What is otherwise than in `before`, by kind and then by name.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        let actions = |catalog: &Self| -> BTreeMap<Arc<str>, ActionSpec> {
            catalog.vocabulary.actions.iter().map(|spec| (spec.action.name.clone(), spec.clone())).collect()
        };
        let (old, new) = (actions(before), actions(self));
        let mut changes = Vec::new();
        for (name, was) in &old {
            match new.get(name) {
                Some(is) => changes.extend(differences(was, is)),
                None => changes.push(self.gone(name, was, &new)),
            }
        }
        for (name, is) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
            // What another action was renamed to is told there.
            let renamed = old.keys().any(|was| self.vocabulary.aliases.get(was) == Some(name));
            if !renamed {
                changes.push(change(ChangeKind::New, is, format!("in `{}`, with {}", is.action.level.as_str(), named(&is.resources))));
            }
        }
        changes.extend(self.taken_over(before));
        changes.extend(self.more_calls(before, &old));
        changes.sort_by(|one, other| (one.kind, &one.action.name, &one.detail).cmp(&(other.kind, &other.action.name, &other.detail)));
        changes
    }

    fn gone(&self, name: &Arc<str>, was: &ActionSpec, new: &BTreeMap<Arc<str>, ActionSpec>) -> Change {
        match self.vocabulary.aliases.get(name).and_then(|now| new.get(now)) {
            Some(is) => change(ChangeKind::Renamed, is, format!("was `{name}`, which policies may still write")),
            None => change(ChangeKind::Gone, was, "no call is this action any more".to_owned()),
        }
    }

    /// Calls that an action did not have.
    fn more_calls<'c>(&'c self, before: &'c Self, old: &'c BTreeMap<Arc<str>, ActionSpec>) -> impl Iterator<Item = Change> + 'c {
        let shapes = |catalog: &'c Self| catalog.entries.iter().flat_map(|entry| shapes(entry).into_iter().map(move |shape| (shape, entry)));
        let known: BTreeSet<(String, &str)> = shapes(before).map(|(shape, entry)| (shape, &*entry.action.name)).collect();
        let fresh =
            shapes(self).filter(move |(shape, entry)| old.contains_key(&entry.action.name) && !known.contains(&(shape.clone(), &*entry.action.name)));
        fresh.map(|(shape, entry)| Change { kind: ChangeKind::Widened, action: entry.action.clone(), detail: format!("is `{shape}` too") })
    }

    /// Calls that were one action and are another.
    fn taken_over<'c>(&'c self, before: &'c Self) -> impl Iterator<Item = Change> + 'c {
        let calls = |catalog: &'c Self| catalog.entries.iter().map(|entry| ((&*entry.method, entry.upgrade.as_deref(), &*entry.path), entry));
        let old: BTreeMap<_, _> = calls(before).collect();
        calls(self).filter_map(move |(call, entry)| {
            let was = old.get(&call).filter(|was| was.action.name != entry.action.name)?;
            let renamed = entry.aliases.iter().any(|alias| **alias == *was.action.name);
            let detail = format!("`{} {}` was `{}`", entry.method, entry.path, was.action.name);
            (!renamed).then(|| Change { kind: ChangeKind::Widened, action: entry.action.clone(), detail })
        })
    }
}

fn differences(was: &ActionSpec, is: &ActionSpec) -> impl Iterator<Item = Change> {
    let level = (was.action.level != is.action.level)
        .then(|| change(ChangeKind::Moved, is, format!("from `{}` to `{}`", was.action.level.as_str(), is.action.level.as_str())));
    let groups = |spec: &ActionSpec| spec.action.groups().map(str::to_owned).collect::<Vec<_>>().join(", ");
    let (before, now) = (groups(was), groups(is));
    let moved = (before != now).then(|| change(ChangeKind::Moved, is, format!("its groups were [{before}] and are [{now}]")));
    let more: Vec<TypeName> = is.resources.iter().filter(|kind| !was.resources.contains(kind)).cloned().collect();
    let widened = (!more.is_empty()).then(|| change(ChangeKind::Widened, is, format!("acts on {} too", named(&more))));
    let lost: Vec<String> = was.fields.iter().filter(|field| !is.fields.contains(field)).map(|field| format!("`{}`", field.name)).collect();
    let lost = (!lost.is_empty()).then(|| change(ChangeKind::Moved, is, format!("does not carry {} any more", lost.join(", "))));
    let fewer: Vec<TypeName> = was.resources.iter().filter(|kind| !is.resources.contains(kind)).cloned().collect();
    let fewer = (!fewer.is_empty()).then(|| change(ChangeKind::Moved, is, format!("does not act on {} any more", named(&fewer))));
    let orphans = (was.orphans != is.orphans)
        .then(|| change(ChangeKind::Moved, is, format!("named [{}] by ids without a name, and names [{}]", named(&was.orphans), named(&is.orphans))));
    level.into_iter().chain(moved).chain(widened).chain(lost).chain(fewer).chain(orphans)
}

/// Method and path of each call that `entry` is, without the names of parameters.
fn shapes(entry: &Entry) -> Vec<String> {
    let templates = Template::parse(&entry.path).unwrap_or_default();
    let method = entry.upgrade.as_deref().unwrap_or(&entry.method);
    templates.iter().map(|template| format!("{method} /{}", template.shape())).collect()
}

fn change(kind: ChangeKind, spec: &ActionSpec, detail: String) -> Change {
    Change { kind, action: spec.action.clone(), detail }
}

fn named(types: &[TypeName]) -> String {
    types.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

// === impl ChangeKind ===

impl ChangeKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Renamed => "renamed",
            Self::Gone => "gone",
            Self::Moved => "moved",
            Self::Widened => "widened",
            Self::New => "new",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::classify::CatalogFile;

    fn catalog(calls: &str) -> Catalog {
        let text = format!("types: [{{ name: Job, form: decimal }}, {{ name: Run, form: decimal }}]\ncalls:\n{calls}");
        Catalog::load(&[CatalogFile::new(PathBuf::from("x.yaml"), text, CatalogFile::WORKSPACE)]).unwrap()
    }

    #[test]
    fn what_policies_must_be_looked_at_for_is_told() {
        let old = catalog(
            "  - { action: jobs.get, level: read, method: GET, path: \"/jobs/{id}\", resource: { type: Job, id: id } }
  - { action: jobs.start, level: use, method: POST, path: /start, resource: { type: Job, id: id } }
  - { action: jobs.drop, level: manage, method: POST, path: /drop }
  - { action: jobs.list, level: read, method: GET, path: /jobs }\n",
        );
        let new = catalog(
            "  - { action: jobs.get, level: credentials, method: GET, path: \"/jobs/{id}\", marks: [presigned], resources: [{ type: Job, id: id }, { type: Run, id: run }] }
  - { action: jobs.run_now, aliases: [jobs.start], level: use, method: POST, path: /start, resource: { type: Job, id: id } }
  - { action: jobs.search, level: read, method: GET, path: /jobs }\n",
        );
        let told = |changes: Vec<Change>| -> Vec<String> {
            changes.iter().map(|change| format!("{} {}: {}", change.kind.as_str(), change.action.name, change.detail)).collect()
        };
        assert_eq!(
            told(new.changes_since(&old)),
            [
                "renamed jobs.run_now: was `jobs.start`, which policies may still write",
                "gone jobs.drop: no call is this action any more",
                "gone jobs.list: no call is this action any more",
                "moved jobs.get: from `read` to `credentials`",
                "moved jobs.get: its groups were [] and are [presigned]",
                "widened jobs.get: acts on `Run` too",
                "widened jobs.search: `GET /jobs` was `jobs.list`",
                "new jobs.search: in `read`, with `Workspace`",
            ]
        );
        assert_eq!(told(new.changes_since(&new)), [""; 0]);
    }
}
