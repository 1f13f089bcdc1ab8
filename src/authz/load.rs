//! From policy files to checked policies: every fault of every file at once, nothing done twice across reloads.

use std::{collections::HashMap, path::Path, sync::Arc};

use cedar_policy::{Schema, Validator};

use super::{
    Source,
    environments::Environments,
    parallel,
    policy::{Checker, Compiled},
    schema::schema_json,
    text::{Lines, Mark, Piece, pieces},
    validate::Validation,
};
use crate::{
    digest::Fields,
    model::{Fault, Vocabulary},
};

/// What policies are checked against, kept across reloads while the catalog is the same.
pub(super) struct Rules {
    validator: Validator,
    environments: Environments,
    digest: [u8; 32],
}

/// A policy and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) compiled: Arc<Compiled>,
    pub(super) file: Arc<Path>,
    pub(super) line: usize,
}

/// Every policy that is known to be without fault, by the digest of its text and of the rules it was checked by.
#[derive(Default)]
pub(super) struct Kept(HashMap<[u8; 32], Arc<Compiled>>);

/// What the files hold.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) policies: Vec<Placed>,
    pub(super) kept: Kept,
    pub(super) warnings: Vec<Fault>,
    faults: Vec<Fault>,
    /// Where each id was first written.
    ids: HashMap<Arc<str>, (Arc<Path>, usize)>,
}

// === impl Rules ===

impl Rules {
    /// # Errors
    /// A fault of the catalog: its words make no Cedar schema.
    pub(super) fn new(vocabulary: &Vocabulary, previous: Option<&Arc<Self>>) -> Result<Arc<Self>, Fault> {
        let json = schema_json(vocabulary);
        // the forms of ids are rules too, though Cedar does not know them
        let digest = sha256([json.to_string().as_bytes(), format!("{:?}", vocabulary.types).as_bytes()]);
        if let Some(same) = previous.filter(|previous| previous.digest == digest) {
            return Ok(same.clone());
        }
        let schema = Schema::from_json_value(json).map_err(|error| Fault {
            file: "lakegate.cedarschema".into(),
            line: None,
            column: None,
            message: format!("the catalog makes no schema: {error}"),
            help: None,
        })?;
        let environments = Environments::new(schema.as_ref());
        Ok(Arc::new(Self { validator: Validator::new(schema), environments, digest }))
    }
}

// === impl Loaded ===

impl Loaded {
    /// # Errors
    /// Every fault of every file, in order.
    pub(super) fn read(vocabulary: &Vocabulary, source: &Source, rules: &Rules, previous: Option<&Kept>) -> Result<Self, Vec<Fault>> {
        let checker = Checker { vocabulary, validation: Validation::new(&rules.validator, &rules.environments) };
        let key = |piece: &Piece<'_>| sha256([rules.digest.as_slice(), piece.text.as_bytes()]);
        let pieces: Vec<Vec<_>> = source.files.iter().map(|(_, text)| pieces(text).into_iter().map(|piece| (key(&piece), piece)).collect()).collect();
        let all: Vec<_> = pieces.iter().flatten().collect();
        let known = |key| previous.and_then(|previous| previous.0.get(key)).cloned();
        let mut compiled = parallel::map(&all, |(key, piece)| known(key).map_or_else(|| checker.compile(piece).map(Arc::new), Ok)).into_iter();
        let mut loaded = Self::default();
        for ((path, text), pieces) in source.files.iter().zip(&pieces) {
            let path: Arc<Path> = path.as_path().into();
            if pieces.is_empty() {
                loaded.faults.push(empty(&path));
            }
            let mut lines = Lines::new(text);
            for ((key, piece), compiled) in pieces.iter().zip(compiled.by_ref()) {
                let line = lines.of(piece.offset + piece.start);
                match compiled {
                    Ok(compiled) => loaded.add((&path, line), text, piece, *key, compiled),
                    Err(marks) => loaded.faults.extend(marks.iter().map(|mark| mark.fault(&path, text, piece.offset))),
                }
            }
        }
        if loaded.faults.is_empty() { Ok(loaded) } else { Err(loaded.faults) }
    }

    fn add(&mut self, (path, line): (&Arc<Path>, usize), text: &str, piece: &Piece<'_>, key: [u8; 32], compiled: Arc<Compiled>) {
        let start = piece.offset + piece.start;
        if let Some((file, line)) = self.ids.get(&compiled.id) {
            let help = Some(format!("{}:{line} has it already", file.display()));
            self.faults.push(Mark::new(start, format!("the policy id `{}` is taken", compiled.id), help).fault(path, text, 0));
            return;
        }
        self.ids.insert(compiled.id.clone(), (path.clone(), line));
        self.warnings.extend(compiled.warnings.iter().map(|mark| mark.fault(path, text, piece.offset)));
        self.kept.0.insert(key, compiled.clone());
        self.policies.push(Placed { compiled, file: path.clone(), line });
    }
}

/// An emptied file is more likely half-written than meant, and would silently drop its `forbid`s.
fn empty(path: &Path) -> Fault {
    Fault {
        file: path.to_owned(),
        line: None,
        column: None,
        message: "the file holds no policy".to_owned(),
        help: Some("delete the file if its policies are to go".to_owned()),
    }
}

fn sha256(parts: [&[u8]; 2]) -> [u8; 32] {
    let mut fields = Fields::new();
    for part in parts {
        fields.bytes(part);
    }
    fields.finish()
}
