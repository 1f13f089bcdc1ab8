//! From policy files to checked policies: every fault of every file at once, nothing done twice across reloads.

mod assigned;

use std::{collections::HashMap, path::Path, sync::Arc};

use cedar_policy::{Schema, Validator};

pub use self::assigned::Grant;
use self::assigned::{Assigned, Assigning};
use super::{
    Source,
    assign::{self, Assignment, Grants, Kind},
    environments::Environments,
    paced::paced,
    parallel,
    policy::{Checker, Compiled, Written},
    role::Role,
    schema::schema_json,
    text::{Lines, Mark, Piece, pieces},
    together,
    validate::Validation,
};
use crate::{
    digest::Fields,
    model::{Fault, Faults, FieldSpec, Vocabulary},
    text::deception,
};

/// What policies are checked against, kept across reloads while the catalog and the attributes of tokens are the same.
pub(super) struct Rules {
    vocabulary: Vocabulary,
    /// The claims of tokens that policies may read, in order of name.
    claims: Vec<FieldSpec>,
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

/// Whatever is known to be without fault, by the digest of its text and of the rules it was checked by.
#[derive(Clone, Default)]
pub(super) struct Kept {
    written: HashMap<[u8; 32], Written>,
    assignments: HashMap<[u8; 32], Arc<Vec<Assignment>>>,
}

/// What the files hold.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) policies: Vec<Placed>,
    pub(super) grants: Vec<Grant>,
    pub(super) kept: Kept,
    pub(super) warnings: Faults,
    faults: Faults,
    roles: HashMap<Arc<str>, Arc<Role>>,
    /// Where each id was first written.
    ids: HashMap<Arc<str>, (Arc<Path>, usize)>,
}

// === impl Rules ===

impl Rules {
    /// # Errors
    /// A fault of the catalog: its words make no Cedar schema.
    pub(super) fn new(vocabulary: &Vocabulary, claims: &[FieldSpec], previous: Option<&Arc<Self>>) -> Result<Arc<Self>, Fault> {
        if let Some(same) = previous.filter(|previous| previous.vocabulary == *vocabulary && previous.claims == claims) {
            return Ok(same.clone());
        }
        let json = schema_json(vocabulary, claims);
        // the forms of ids and the other names of actions are rules too, though Cedar does not know them
        let (types, aliases) = (format!("{:?}", vocabulary.types), format!("{:?}", vocabulary.aliases));
        let digest = sha256([json.to_string().as_bytes(), types.as_bytes(), aliases.as_bytes()]);
        let schema = Schema::from_json_value(json).map_err(|error| Fault {
            file: "lakegate.cedarschema".into(),
            line: None,
            column: None,
            message: format!("the catalog makes no schema: {error}"),
            help: None,
        })?;
        let environments = Environments::new(schema.as_ref());
        Ok(Arc::new(Self { vocabulary: vocabulary.clone(), claims: claims.to_vec(), validator: Validator::new(schema), environments, digest }))
    }

    pub(super) fn claims(&self) -> &[FieldSpec] {
        &self.claims
    }

    /// Of all that they were made of.
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Under which a text of a kind is known, as long as the rules are these.
    fn key(&self, kind: &str, text: &str) -> [u8; 32] {
        sha256([self.digest.as_slice(), kind.as_bytes(), text.as_bytes()])
    }
}

// === impl Kept ===

impl Kept {
    /// What either of two has.
    pub(super) fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.written.extend(other.written.iter().map(|(key, written)| (*key, written.clone())));
        both.assignments.extend(other.assignments.iter().map(|(key, assignments)| (*key, Arc::clone(assignments))));
        both
    }
}

// === impl Loaded ===

impl Loaded {
    /// What `previous` has is not checked again.
    ///
    /// # Errors
    /// Every fault of every file, in order.
    pub(super) fn read(vocabulary: &Vocabulary, source: &Source, rules: &Rules, previous: Option<&Kept>) -> Result<Self, Faults> {
        let checker = Checker { vocabulary, claims: rules.claims(), validation: Validation::new(&rules.validator, &rules.environments) };
        let mut loaded = Self::default();
        loaded.read_policies(&checker, source, rules, previous);
        let assigned = loaded.read_assignments(vocabulary, source, rules, previous);
        // Where a role is missing for a fault of its own, that is told and not what follows from it.
        if loaded.faults.is_empty() {
            Assigning::new(&checker, rules, previous, &mut loaded).all(&assigned);
        }
        std::mem::take(&mut loaded.faults).or(loaded)
    }

    fn read_policies(&mut self, checker: &Checker<'_>, source: &Source, rules: &Rules, previous: Option<&Kept>) {
        let key = |piece: &Piece<'_>| rules.key("policy", piece.text);
        let known = |key| previous.and_then(|previous| previous.written.get(key)).cloned();
        let pieces: Vec<Vec<_>> = source.files.iter().map(|(_, text)| paced(pieces(text)).map(|piece| (key(&piece), piece)).collect()).collect();
        let new: Vec<Piece<'_>> = pieces.iter().flatten().filter(|(key, _)| known(key).is_none()).map(|(_, piece)| *piece).collect();
        let mut new = parallel::map(&together::pages(&new), |page| checker.compile_page(page)).into_iter().flatten();
        for ((path, text), pieces) in source.files.iter().zip(&pieces) {
            let path: Arc<Path> = path.as_path().into();
            if pieces.is_empty() {
                self.faults.add(|| empty(&path));
            }
            if let Some((at, what)) = deception(text) {
                let hidden = || Mark::new(at, format!("{what} hides what is written"), Some("remove it".to_owned()));
                self.faults.add(|| hidden().fault(&path, text, 0));
            }
            let mut lines = Lines::new(text);
            for (key, piece) in paced(pieces) {
                let line = lines.of(piece.offset + piece.start);
                match known(key).map(Ok).or_else(|| new.next()).unwrap_or_else(|| checker.compile(piece)) {
                    Ok(written) => self.add((&path, line), text, piece, *key, written),
                    Err(marks) => marks.iter().for_each(|mark| self.faults.add(|| mark.fault(&path, text, piece.offset))),
                }
            }
        }
    }

    fn add(&mut self, (path, line): (&Arc<Path>, usize), text: &str, piece: &Piece<'_>, key: [u8; 32], written: Written) {
        let start = piece.offset + piece.start;
        let (id, warnings) = match &written {
            Written::Policy(compiled) => (&compiled.id, &compiled.warnings),
            Written::Role(role) => (&role.id, &role.warnings),
        };
        if let Err((message, help)) = self.take(id, path, line) {
            self.faults.add(|| Mark::new(start, message, help).fault(path, text, 0));
            return;
        }
        for mark in warnings {
            self.warnings.add(|| mark.fault(path, text, piece.offset));
        }
        self.kept.written.insert(key, written.clone());
        match written {
            Written::Policy(compiled) => self.policies.push(Placed { compiled, file: path.clone(), line }),
            Written::Role(role) => drop(self.roles.insert(role.id.clone(), role)),
        }
    }

    /// Every file of `access/` and `grants/`, each entry read.
    fn read_assignments<'s>(&mut self, vocabulary: &Vocabulary, source: &'s Source, rules: &Rules, previous: Option<&Kept>) -> Vec<Assigned<'s>> {
        let grants = Kind::Grant(Grants { longest: source.longest_grant });
        let files = source.access.iter().map(|file| (file, Kind::Access)).chain(source.grants.iter().map(|file| (file, grants)));
        let mut assigned = Vec::new();
        for ((path, text), kind) in files {
            let key = rules.key(&format!("{kind:?}"), text);
            let known = previous.and_then(|previous| previous.assignments.get(&key)).cloned();
            match known.map_or_else(|| assign::read(path, text, kind, vocabulary).map(Arc::new), Ok) {
                Ok(assignments) => {
                    self.kept.assignments.insert(key, Arc::clone(&assignments));
                    assigned.push(Assigned { path, assignments });
                }
                Err(faults) => self.faults.append(faults),
            }
        }
        assigned
    }

    /// Takes an id.
    ///
    /// # Errors
    /// It is taken; and where.
    fn take(&mut self, id: &Arc<str>, path: &Arc<Path>, line: usize) -> Result<(), (String, Option<String>)> {
        if let Some((file, line)) = self.ids.get(id) {
            return Err((format!("the policy id `{id}` is taken"), Some(format!("{}:{line} has it already", file.display()))));
        }
        self.ids.insert(Arc::clone(id), (Arc::clone(path), line));
        Ok(())
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

fn sha256(parts: [&[u8]; 3]) -> [u8; 32] {
    let mut fields = Fields::new();
    for part in parts {
        fields.bytes(part);
    }
    fields.finish()
}
