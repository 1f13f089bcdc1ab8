//! From what is written to what is used: all faults of all files at once.

mod call;
mod words;

use std::path::{Path, PathBuf};

use serde_saphyr::Spanned;

use super::{
    Catalog,
    raw::{RawFile, RawType},
};
use crate::{
    classify::{
        entry::{Binding, Entry},
        kinds::{Kind, Kinds, Nesting},
        matcher::{Matcher, Taken},
        template::Template,
    },
    model::{Fault, TypeName, TypeSpec},
};

pub(super) use words::reach;

/// Types of principals and of Cedar itself, which a policy must be able to tell from resources.
const TAKEN: [&str; 16] = [
    "Action",
    "Bool",
    "Boolean",
    "Entity",
    "Extension",
    "Group",
    "Issuer",
    "Long",
    "Namespace",
    "Record",
    "Role",
    "ServicePrincipal",
    "Set",
    "String",
    "User",
    "Workload",
];

/// What is being built, and everything found wrong with it.
struct Building {
    kinds: Kinds,
    entries: Vec<Entry>,
    matcher: Matcher,
    faults: Vec<Fault>,
}

pub(super) fn compile(files: &[(PathBuf, String)]) -> Result<Catalog, Vec<Fault>> {
    let mut building = Building { kinds: Kinds::default(), entries: Vec::new(), matcher: Matcher::new(), faults: Vec::new() };
    for kind in Kind::built_in() {
        building.kinds.add(kind);
    }
    let mut read = Vec::new();
    for (path, text) in files {
        match serde_saphyr::from_str::<RawFile>(text) {
            Ok(file) => read.push((path, file)),
            Err(error) => building.faults.push(unreadable(path, &error)),
        }
    }
    for (path, file) in &read {
        for raw in &file.types {
            building.kind(path, raw);
        }
    }
    for (path, file) in &read {
        building.parents(path, &file.types);
    }
    building.kinds.settle();
    for (path, file) in read {
        for raw in &file.calls {
            match call::entry(&building.kinds, &file.targets, raw) {
                Ok(entry) => building.entry(path, &raw.action, entry),
                Err(message) => building.fault(path, &raw.action, message),
            }
        }
    }
    let vocabulary = words::vocabulary(&building.kinds, &building.entries).map_err(|message| building.faults.push(whole(message))).ok();
    match vocabulary {
        Some(vocabulary) if building.faults.is_empty() => {
            Ok(Catalog { entries: building.entries, matcher: building.matcher, kinds: building.kinds, vocabulary })
        }
        _ => Err(building.faults),
    }
}

// === impl Building ===

impl Building {
    fn kind(&mut self, path: &Path, raw: &RawType) {
        let name = raw.name.value.as_str();
        if !call::identifier(name) || TAKEN.contains(&name) {
            return self.fault(path, &raw.name, format!("`{}` is not a name for a type", name.escape_debug()));
        }
        let parents = raw.parents.iter().map(|parent| TypeName::new(parent)).collect();
        let spec = TypeSpec { name: TypeName::new(name), parents, form: raw.form.into() };
        if !self.kinds.add(Kind { spec, nesting: raw.nesting }) {
            self.fault(path, &raw.name, format!("the type `{name}` is declared twice"));
        }
    }

    /// Faults of types that name each other.
    fn parents(&mut self, path: &Path, types: &[RawType]) {
        for raw in types {
            for parent in raw.parents.iter().filter(|parent| self.kinds.named(parent).is_none()).collect::<Vec<_>>() {
                self.fault(path, &raw.name, format!("the type `{}` is in `{}`, which is not declared", raw.name.value, parent.escape_debug()));
            }
            let endless = raw.nesting == Nesting::Dotted && self.kinds.named(&raw.name.value).is_some_and(|kind| self.kinds.is_endless(kind));
            if endless {
                self.fault(path, &raw.name, format!("the type `{}` is in itself", raw.name.value));
            }
            if raw.nesting == Nesting::Volume && ["Catalog", "File", "Schema", "Volume"].iter().any(|name| self.kinds.named(name).is_none()) {
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
        for template in templates {
            if let Err(Taken(other)) = self.matcher.add(&entry.method, &template, index) {
                let (name, place) = self.entries.get(other).map_or(("itself", entry.path.as_ref()), |other| (&other.action.name, &other.path));
                let message = format!("`{}` and `{name}` cannot be told apart: `{} {}` and `{place}`", entry.action.name, entry.method, entry.path);
                return self.fault(path, action, message);
            }
        }
        for kind in entry.bindings.iter().flat_map(Binding::orphans) {
            self.kinds.has_orphans(kind);
        }
        self.entries.push(entry);
    }

    fn fault<T>(&mut self, path: &Path, at: &Spanned<T>, message: String) {
        let place = |value: u64| usize::try_from(value).ok().filter(|value| *value > 0);
        let (line, column) = (place(at.referenced.line()), place(at.referenced.column()));
        self.faults.push(Fault { file: path.to_owned(), line, column, message, help: None });
    }
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

/// A fault of the files taken together.
fn whole(message: String) -> Fault {
    Fault { file: PathBuf::from("catalog"), line: None, column: None, message, help: None }
}
