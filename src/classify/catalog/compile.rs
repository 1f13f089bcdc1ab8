//! From what is written to what is used: all faults of all files at once.

mod call;
mod scope;
mod words;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use serde_saphyr::Spanned;

use super::{
    Api, Catalog, CatalogFile,
    raw::{RawFile, RawType},
};
use crate::{
    classify::{
        entry::{Binding, Entry},
        kinds::{Kind, Kinds, Nesting},
        matcher::{Matcher, Taken},
        template::Template,
    },
    model::{Action, Fault, IdForm, TargetKind, TypeName, TypeSpec},
};

pub(super) use words::reach;

/// Types of principals and of Cedar itself, which a policy must be able to tell from resources.
const TAKEN: [&str; 23] = [
    "Action",
    "Bool",
    "Boolean",
    "Collection",
    "Entity",
    "Extension",
    "Group",
    "Issuer",
    "Long",
    "Namespace",
    "PlainContext",
    "Record",
    "Role",
    "ServicePrincipal",
    "Set",
    "String",
    "TokenFacts",
    "User",
    "Workload",
    "datetime",
    "decimal",
    "duration",
    "ipaddr",
];

/// What is being built, and everything found wrong with it.
struct Building {
    kinds: Kinds,
    entries: Vec<Entry>,
    /// Where each entry stands.
    places: Vec<Fault>,
    apis: BTreeMap<Box<str>, Api>,
    faults: Vec<Fault>,
}

pub(super) fn compile(files: &[CatalogFile]) -> Result<Catalog, Vec<Fault>> {
    let mut building = Building { kinds: Kinds::default(), entries: Vec::new(), places: Vec::new(), apis: BTreeMap::new(), faults: Vec::new() };
    for name in [CatalogFile::WORKSPACE, CatalogFile::ACCOUNT] {
        api(&mut building.apis, name);
    }
    for kind in Kind::built_in() {
        building.kinds.add(kind);
    }
    let mut read = Vec::new();
    for from in files {
        match serde_saphyr::from_str::<RawFile>(&from.text) {
            Ok(file) => read.push((from, file)),
            Err(error) => building.faults.push(unreadable(&from.path, &error)),
        }
    }
    // What a file would have said that cannot be read is not missing elsewhere.
    if !building.faults.is_empty() {
        return Err(building.faults);
    }
    for (from, file) in &read {
        for raw in &file.types {
            building.kind(&from.path, home(from, file), raw);
        }
    }
    for (from, file) in &read {
        building.parents(&from.path, &file.types);
    }
    building.kinds.settle();
    let mut version = None;
    for (from, file) in read {
        version = version.or_else(|| file.version.clone());
        let own = [from.api.to_string()];
        let targets = file.targets.as_deref().unwrap_or(&own);
        for raw in &file.calls {
            match call::entry(&building.kinds, raw.targets.as_deref().unwrap_or(targets), &file, raw) {
                Ok(entry) => building.entry(&from.path, &raw.action, entry),
                Err(message) => building.fault(&from.path, &raw.action, message),
            }
        }
        for (at, message) in scope::idle(&file) {
            building.fault(&from.path, at, message);
        }
    }
    building.share_actions();
    // What has faults may seem to be missing to the rest.
    if !building.faults.is_empty() {
        return Err(building.faults);
    }
    match words::vocabulary(&building.kinds, &building.entries) {
        Ok(vocabulary) => {
            let version = version.as_deref().unwrap_or("unversioned").into();
            Ok(Catalog {
                version,
                digest: CatalogFile::digest(files),
                entries: building.entries,
                apis: building.apis.into_values().collect(),
                kinds: building.kinds,
                vocabulary,
            })
        }
        Err((index, message)) => Err(building.places.get(index).map(|place| Fault { message, ..place.clone() }).into_iter().collect()),
    }
}

// === impl Building ===

impl Building {
    /// `home` is what its objects stand in where the type does not say.
    fn kind(&mut self, path: &Path, home: &str, raw: &RawType) {
        let name = raw.name.value.as_str();
        if !call::identifier(name) || TAKEN.contains(&name) {
            return self.fault(path, &raw.name, format!("`{}` is not a name for a type", name.escape_debug()));
        }
        let parents =
            raw.parents.as_ref().map_or_else(|| vec![TypeName::new(home)], |parents| parents.iter().map(|parent| TypeName::new(parent)).collect());
        let (form, nesting) = match (&raw.pattern, raw.form, raw.nesting) {
            (Some(pattern), None, None) => (IdForm::Pattern { pattern: pattern.as_str().into(), or_id: false }, Nesting::Name),
            (None, Some(form), nesting) => (form.into(), nesting.unwrap_or(Nesting::Flat)),
            _ => return self.fault(path, &raw.name, format!("the type `{name}` has one of `form` and `pattern`; a pattern is a nesting of its own")),
        };
        let part_of = raw.of.iter().map(|whole| TypeName::new(whole)).collect();
        let seen_as = raw.seen_as.iter().map(|other| TypeName::new(other)).collect();
        let spec = TypeSpec { name: TypeName::new(name), parents, part_of, seen_as, form };
        if !self.kinds.add(Kind { spec, nesting }) {
            self.fault(path, &raw.name, format!("the type `{name}` is declared twice"));
        }
    }

    /// Faults of types that name each other.
    fn parents(&mut self, path: &Path, types: &[RawType]) {
        for raw in types {
            for whole in raw.of.iter().filter(|whole| self.kinds.named(whole).is_none()).collect::<Vec<_>>() {
                self.fault(path, &raw.name, format!("the type `{}` is a part of `{}`, which is not declared", raw.name.value, whole.escape_debug()));
            }
            for other in raw.seen_as.iter().filter(|other| self.kinds.named(other).is_none()).collect::<Vec<_>>() {
                self.fault(path, &raw.name, format!("the type `{}` is seen as `{}`, which is not declared", raw.name.value, other.escape_debug()));
            }
            for parent in raw.parents.iter().flatten().filter(|parent| self.kinds.named(parent).is_none()).collect::<Vec<_>>() {
                self.fault(path, &raw.name, format!("the type `{}` is in `{}`, which is not declared", raw.name.value, parent.escape_debug()));
            }
            if self.kinds.named(&raw.name.value).is_some_and(|kind| !self.kinds.is_continued(kind)) {
                let message = format!("the pattern of `{}` does not continue that of the type it is in", raw.name.value);
                self.fault(path, &raw.name, message);
            }
            let endless = raw.nesting == Some(Nesting::Dotted) && self.kinds.named(&raw.name.value).is_some_and(|kind| self.kinds.is_endless(kind));
            if endless {
                self.fault(path, &raw.name, format!("the type `{}` is in itself", raw.name.value));
            }
            if raw.nesting == Some(Nesting::Volume) && ["Catalog", "File", "Schema", "Volume"].iter().any(|name| self.kinds.named(name).is_none()) {
                self.fault(path, &raw.name, format!("`{}` needs the types `Catalog`, `Schema`, `Volume` and `File`", raw.name.value));
            }
        }
    }

    fn entry(&mut self, path: &Path, action: &Spanned<String>, entry: Entry) {
        let index = self.entries.len();
        let templates = match Template::parse(&entry.path) {
            Ok(templates) => templates,
            Err(message) => return self.fault(path, action, format!("`{}`: {message}", entry.path)),
        };
        let method = entry.upgrade.as_deref().unwrap_or(&entry.method);
        for (target, template) in entry.targets.iter().flat_map(|target| templates.iter().map(move |template| (target, template))) {
            if let Err(Taken(other)) = api(&mut self.apis, target).matcher.add(method, template.clone(), index) {
                let (name, place) = self.entries.get(other).map_or(("itself", entry.path.as_ref()), |other| (&other.action.name, &other.path));
                let message = format!("`{}` and `{name}` cannot be told apart: `{} {}` and `{place}`", entry.action.name, entry.method, entry.path);
                return self.fault(path, action, message);
            }
        }
        for kind in entry.bindings.iter().flat_map(Binding::orphans) {
            self.kinds.has_orphans(kind);
        }
        self.entries.push(entry);
        self.places.push(fault(path, action, String::new()));
    }

    /// Lets all entries of one action share it, with the marks of all of them: the groups of an action do not depend on how it was called.
    fn share_actions(&mut self) {
        let mut actions: HashMap<Arc<str>, Action> = HashMap::new();
        for entry in &self.entries {
            let action = actions.entry(entry.action.name.clone()).or_insert_with(|| Action::clone(&entry.action));
            action.marks.extend(&entry.action.marks);
            action.marks.sort_unstable();
            action.marks.dedup();
            action.within.extend(entry.action.within.iter().cloned());
            action.within.sort_unstable();
            action.within.dedup();
        }
        let shared: HashMap<Arc<str>, Arc<Action>> = actions.into_iter().map(|(name, action)| (name, Arc::new(action))).collect();
        for entry in &mut self.entries {
            // A second level is a fault of the whole, which the vocabulary finds.
            if let Some(action) = shared.get(&entry.action.name).filter(|action| action.level == entry.action.level) {
                entry.action = Arc::clone(action);
            }
        }
    }

    fn fault<T>(&mut self, path: &Path, at: &Spanned<T>, message: String) {
        self.faults.push(fault(path, at, message));
    }
}

/// What the objects of a file's types stand in: the kind of target that its calls belong to.
fn home(from: &CatalogFile, file: &RawFile) -> &'static str {
    let own = [from.api.to_string()];
    let targets = file.targets.as_deref().unwrap_or(&own);
    let all = |known: &[&str], are: bool| targets.iter().all(|target| known.contains(&target.as_str()) == are);
    let kind = if all(&[CatalogFile::ACCOUNT], true) {
        TargetKind::Account
    } else if all(&[CatalogFile::WORKSPACE, CatalogFile::ACCOUNT], false) {
        TargetKind::Service
    } else {
        TargetKind::Workspace
    };
    kind.type_name()
}

/// The API `name`, made where it is the first time that it is named.
fn api<'a>(apis: &'a mut BTreeMap<Box<str>, Api>, name: &str) -> &'a mut Api {
    apis.entry(name.into()).or_insert_with(|| Api { name: name.into(), matcher: Matcher::new() })
}

fn unreadable(path: &Path, error: &serde_saphyr::Error) -> Fault {
    let location = error.location();
    let place = |value: u64| usize::try_from(value).ok().filter(|value| *value > 0);
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    // The place is told apart from the message.
    let place_first = line.starts_with("error: line ").then(|| line.splitn(3, ": ").nth(2)).flatten();
    let message = place_first.unwrap_or(line).to_owned();
    Fault {
        file: path.to_owned(),
        line: location.and_then(|location| place(location.line())),
        column: location.and_then(|location| place(location.column())),
        message,
        help: None,
    }
}

fn fault<T>(path: &Path, at: &Spanned<T>, message: String) -> Fault {
    let place = |value: u64| usize::try_from(value).ok().filter(|value| *value > 0);
    Fault { file: path.to_owned(), line: place(at.referenced.line()), column: place(at.referenced.column()), message, help: None }
}
