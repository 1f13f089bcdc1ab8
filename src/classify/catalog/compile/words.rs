//! The vocabulary of a catalog: each action once, with everything its entries let it act on and carry.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    classify::{
        catalog::CatalogFile,
        entry::{Binding, Entry, KindRule},
        kinds::{KindId, Kinds},
    },
    model::{ActionSpec, FieldKind, FieldSpec, TargetKind, TypeName, Vocabulary},
};

/// # Errors
/// The first entry, by its index, that does not go with those before it, and why: entries of one action have one level, fields of one name one kind,
/// and a name is one action's.
pub(super) fn vocabulary(kinds: &Kinds, entries: &[Entry]) -> Result<Vocabulary, (usize, String)> {
    let mut types: Vec<_> = kinds.iter().map(|kind| kind.spec.clone()).collect();
    types.sort_by(|a, b| a.name.cmp(&b.name));
    let names: BTreeSet<&str> = entries.iter().map(|entry| &*entry.action.name).collect();
    let mut actions: BTreeMap<&str, ActionSpec> = BTreeMap::new();
    let mut fields: BTreeMap<&str, FieldKind> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let fresh = || ActionSpec { action: entry.action.clone(), resources: Vec::new(), orphans: Vec::new(), fields: Vec::new() };
        let spec = actions.entry(&entry.action.name).or_insert_with(fresh);
        if spec.action.level != entry.action.level {
            return Err((index, format!("the action `{}` has two levels", entry.action.name)));
        }
        if let Some(wider) = entry.action.within.iter().find(|wider| !names.contains(&***wider)) {
            return Err((index, format!("`{}` is within `{wider}`, which is no action", entry.action.name)));
        }
        let resources: BTreeSet<TypeName> = spec.resources.drain(..).chain(reach(kinds, entry)).collect();
        spec.resources = resources.into_iter().collect();
        let own = entry
            .bindings
            .iter()
            .flat_map(Binding::orphans)
            .chain(entry.reaches.iter().copied())
            .filter_map(|kind| kinds.get(kind))
            .map(|kind| kind.spec.name.clone());
        let orphans: BTreeSet<TypeName> = spec.orphans.drain(..).chain(own).collect();
        spec.orphans = orphans.into_iter().collect();
        for field in &entry.fields {
            if *fields.entry(&field.name).or_insert(field.kind) != field.kind {
                return Err((index, format!("the field `{}` has two kinds", field.name)));
            }
            let word = FieldSpec { name: field.name.clone(), kind: field.kind };
            if !spec.fields.contains(&word) {
                spec.fields.push(word);
            }
        }
    }
    Ok(Vocabulary { types, aliases: aliases(entries)?, actions: actions.into_values().collect() })
}

/// Every other name of an action.
fn aliases(entries: &[Entry]) -> Result<BTreeMap<Arc<str>, Arc<str>>, (usize, String)> {
    let names: BTreeSet<&str> = entries.iter().map(|entry| &*entry.action.name).collect();
    let mut aliases: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    for ((index, entry), alias) in entries.iter().enumerate().flat_map(|at| at.1.aliases.iter().map(move |alias| (at, alias))) {
        if names.contains(&**alias) {
            return Err((index, format!("`{alias}` is an alias of `{}` and an action too", entry.action.name)));
        }
        let other = aliases.entry(Arc::from(&**alias)).or_insert_with(|| entry.action.name.clone());
        if *other != entry.action.name {
            return Err((index, format!("`{alias}` is an alias of `{}` and of `{other}`", entry.action.name)));
        }
    }
    Ok(aliases)
}

/// Every type that `entry` can act on.
pub(in crate::classify) fn reach(kinds: &Kinds, entry: &Entry) -> BTreeSet<TypeName> {
    let targets = || entry.targets.iter().map(|target| TypeName::new(kind(target).type_name()));
    let mut all: BTreeSet<TypeName> = BTreeSet::new();
    let mut add = |id: KindId, parent: bool| {
        all.extend(kinds.reach(id, parent));
        if kinds.reaches_target(id, parent) {
            all.extend(targets());
        }
    };
    for binding in &entry.bindings {
        match &binding.kind {
            KindRule::One(kind) => add(*kind, false),
            KindRule::ParentOf(kind) => add(*kind, true),
            KindRule::Shaped { plain, shaped, .. } => [*plain, *shaped].into_iter().for_each(|kind| add(kind, false)),
            KindRule::Chosen { kinds, .. } => kinds.iter().flat_map(|(_, choices)| choices).for_each(|choice| add(choice.kind, false)),
        }
    }
    if entry.otherwise_target || entry.also_target || entry.bindings.iter().any(|binding| binding.or_target) {
        all.extend(targets());
    }
    all
}

/// What serves the API `name`.
fn kind(name: &str) -> TargetKind {
    match name {
        CatalogFile::WORKSPACE => TargetKind::Workspace,
        CatalogFile::ACCOUNT => TargetKind::Account,
        _ => TargetKind::Service,
    }
}
