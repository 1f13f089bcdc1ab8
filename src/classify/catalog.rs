//! The Databricks API as data: every call lakegate knows, from `catalog/*.yaml`.

mod compile;
mod raw;
mod reference;

use std::path::PathBuf;

use smallvec::SmallVec;

use super::{
    entry::Entry,
    kinds::Kinds,
    matcher::{Capture, Matcher},
    refuse,
};
use crate::{
    model::{Call, Fault, Reason, Refusal, Vocabulary},
    text::shown,
};

/// Every file of the shipped catalog.
const EMBEDDED: [(&str, &str); 10] = [
    ("catalog/types.yaml", include_str!("../../catalog/types.yaml")),
    ("catalog/serving.yaml", include_str!("../../catalog/serving.yaml")),
    ("catalog/mlflow.yaml", include_str!("../../catalog/mlflow.yaml")),
    ("catalog/jobs.yaml", include_str!("../../catalog/jobs.yaml")),
    ("catalog/compute.yaml", include_str!("../../catalog/compute.yaml")),
    ("catalog/sql.yaml", include_str!("../../catalog/sql.yaml")),
    ("catalog/unity-catalog.yaml", include_str!("../../catalog/unity-catalog.yaml")),
    ("catalog/files.yaml", include_str!("../../catalog/files.yaml")),
    ("catalog/identity.yaml", include_str!("../../catalog/identity.yaml")),
    ("catalog/agents.yaml", include_str!("../../catalog/agents.yaml")),
];

/// Every call that is known: what it does, how far it reaches, where it names what it acts on.
#[derive(Debug)]
pub struct Catalog {
    entries: Vec<Entry>,
    matcher: Matcher,
    kinds: Kinds,
    vocabulary: Vocabulary,
}

// === impl Catalog ===

impl Catalog {
    /// The catalog that is shipped.
    ///
    /// # Errors
    /// None where the tests pass; the same as [`load`](Self::load).
    pub fn embedded() -> Result<Self, Vec<Fault>> {
        Self::load(&EMBEDDED.map(|(path, text)| (PathBuf::from(path), text.to_owned())))
    }

    /// Reads `files` (path and text of each) as one catalog.
    ///
    /// # Errors
    /// Every fault in every file: YAML that cannot be read, unknown types, templates that cannot be told apart, …
    pub fn load(files: &[(PathBuf, String)]) -> Result<Self, Vec<Fault>> {
        compile::compile(files)
    }

    /// The words that policies may use.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The whole catalog as Markdown, for docs/catalog.md.
    #[must_use]
    pub fn reference(&self) -> String {
        reference::markdown(self)
    }

    pub(super) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The entry for `call`, with what its parameters stand for.
    ///
    /// # Errors
    /// `CallUnknown`, or `PathAmbiguous` where only an encoded slash stands in the way.
    pub(super) fn find(&self, call: &Call<'_>) -> Result<(&Entry, SmallVec<[Capture; 6]>), Refusal> {
        let missed = match self.matcher.find(call.method, &call.path) {
            Ok(found) => {
                let entry = self.entries.get(found.entry);
                return entry.map(|entry| (entry, found.captures)).ok_or_else(|| refuse(Reason::CallUnknown, "the catalog is not whole"));
            }
            Err(missed) => missed,
        };
        if call.path.segments.iter().any(|segment| segment.slashed) {
            return Err(refuse(Reason::PathAmbiguous, "the path has an encoded slash where the call takes a single name"));
        }
        let (method, path) = (shown(call.method), shown(call.path.raw));
        let mut others: Vec<&Entry> = missed.others.iter().filter_map(|index| self.entries.get(*index)).collect();
        others.sort_by_key(|entry| &entry.method);
        others.dedup_by_key(|entry| &entry.method);
        Err(refuse(
            Reason::CallUnknown,
            match others.first() {
                None => format!("the catalog knows no call `{method} {path}`"),
                Some(first) => {
                    let methods: Vec<&str> = others.iter().map(|entry| entry.method.as_ref()).collect();
                    format!("the catalog knows `{}` only with {}, not with `{method}`", first.path, methods.join(", "))
                }
            },
        ))
    }
}
