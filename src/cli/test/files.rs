//! Which files are read, and what is known by name in each.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use serde_json::Value;

use super::raw;
use crate::{
    config::{Document, KeyPath, document_schema, raw::OneOrMany},
    model::Fault,
    text::quoted,
};

pub(super) static SCHEMA: LazyLock<Value> = LazyLock::new(document_schema::<raw::File>);

/// Where cases are looked for where none are named: this folder beside the policies.
pub(super) const FOLDER: &str = "tests";

/// How deep folders are looked into.
const DEEPEST: usize = 16;

/// A file of cases, and the files it uses, itself first.
pub(super) struct Source {
    pub(super) documents: Vec<Arc<Document<raw::File>>>,
}

/// Every file that has been read.
#[derive(Default)]
struct Library {
    documents: BTreeMap<PathBuf, Option<Arc<Document<raw::File>>>>,
    faults: Vec<Fault>,
}

/// Reads the files at `paths`: each itself, or every `*.yaml` and `*.yml` in it and below.
///
/// # Errors
/// Every fault of every file, and of every name that leads to none.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Vec<Fault>> {
    let mut library = Library::default();
    let mut files = BTreeSet::new();
    for path in paths {
        if let Err(error) = find(path, path.is_file(), 0, &mut files) {
            library.faults.push(unreadable(path, &error));
        }
    }
    let files: BTreeSet<PathBuf> = files.iter().map(|file| tidy(file)).collect();
    let sources: Vec<Source> = files.iter().filter_map(|file| library.source(file)).collect();
    if library.faults.is_empty() { Ok(sources) } else { Err(library.faults) }
}

/// `path` as a reader of this folder would write it: `policies/tests/x.yaml` for `examples/../policies/tests/x.yaml`.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let within = fs::canonicalize(path).and_then(|whole| Ok(whole.strip_prefix(fs::canonicalize(".")?).map(Path::to_owned)));
    within.ok().and_then(Result::ok).filter(|within| !within.as_os_str().is_empty()).unwrap_or_else(|| path.to_owned())
}

/// Whether `file` stands in `folder`, by whatever way they are named.
pub(super) fn is_below(file: &Path, folder: &Path) -> bool {
    let whole = |path| fs::canonicalize(path).unwrap_or_else(|_| Path::to_owned(path));
    whole(file).starts_with(whole(folder))
}

/// Names that begin with a dot are left out, since editors keep their drafts there.
fn find(path: &Path, named: bool, depth: usize, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        let mut entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
        entries.retain(|name| !name.as_encoded_bytes().starts_with(b".") && depth < DEEPEST);
        return entries.into_iter().try_for_each(|name| find(&path.join(name), false, depth + 1, files));
    }
    let yaml = path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| matches!(extension, "yaml" | "yml"));
    if named || yaml {
        files.insert(path.to_owned());
    }
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let help = (error.kind() == io::ErrorKind::NotFound).then(|| "name a file of cases, or a folder of them".to_owned());
    Fault { file: path.to_owned(), line: None, column: None, message: format!("it cannot be read: {}", error.kind()), help }
}

// === impl Library ===

impl Library {
    fn source(&mut self, file: &Path) -> Option<Source> {
        let mut documents: Vec<Arc<Document<raw::File>>> = vec![self.document(file)?];
        let mut at = 0;
        while let Some(document) = documents.get(at).cloned() {
            at += 1;
            let folder = document.file().parent().unwrap_or(Path::new(""));
            let names = match &document.content.uses {
                None => &[],
                Some(OneOrMany::One(name)) => std::slice::from_ref(name),
                Some(OneOrMany::Many(names)) => names.as_slice(),
            };
            for name in names {
                let path = folder.join(name);
                if !path.is_file() {
                    let message = format!("there is no file {}", quoted(&path.display().to_string()));
                    let help = "files are named relative to the one that names them".to_owned();
                    self.faults.push(document.fault(&KeyPath::default().key("use"), message, Some(help)));
                    return None;
                }
                let used = self.document(&tidy(&path))?;
                if !documents.iter().any(|known| Arc::ptr_eq(known, &used)) {
                    documents.push(used);
                }
            }
        }
        Some(Source { documents })
    }

    /// `None` where the file is faulty, of which a fault has been noted.
    fn document(&mut self, file: &Path) -> Option<Arc<Document<raw::File>>> {
        let key = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        if let Some(known) = self.documents.get(&key) {
            return known.clone();
        }
        let text = fs::read(file).map_err(|error| vec![unreadable(file, &error)]);
        let text = text.and_then(|bytes| {
            let fault = |_| Fault {
                help: Some("save it as UTF-8".to_owned()),
                message: "it is not UTF-8".to_owned(),
                ..unreadable(file, &io::ErrorKind::Other.into())
            };
            String::from_utf8(bytes).map_err(|error| vec![fault(error)])
        });
        let document = text.and_then(|text| Document::parse(file, &text, &SCHEMA)).map(Arc::new);
        let document = document.map_err(|faults| self.faults.extend(faults)).ok();
        self.documents.insert(key, document.clone());
        document
    }
}
