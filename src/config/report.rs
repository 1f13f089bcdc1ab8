use std::path::{Path, PathBuf};

use super::path::KeyPath;
use crate::{
    model::Fault,
    yaml::{Node, Place},
};

/// The faults found so far in one configuration file.
pub(super) struct Report<'t> {
    file: &'t Path,
    root: &'t Node,
    faults: Vec<Fault>,
}

// === impl Report ===

impl<'t> Report<'t> {
    pub(super) fn new(file: &'t Path, root: &'t Node, faults: Vec<Fault>) -> Self {
        Self { file, root, faults }
    }

    /// Notes a fault of the value at `path`, or of where it should be.
    pub(super) fn fault(&mut self, path: &KeyPath, message: impl Into<String>, help: impl Into<String>) {
        self.fault_at(self.root.place_of(path.steps()), message.into(), Some(help.into()));
    }

    pub(super) fn fault_at(&mut self, place: Place, message: String, help: Option<String>) {
        self.faults.push(fault(self.file, Some(place), message, help));
    }

    /// A path as the file means it: relative to the folder the file is in.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    pub(super) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// All faults, in the order of the file.
    pub(super) fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        self.faults
    }
}

/// A fault of the file as a whole.
pub(super) fn file_fault(file: &Path, message: String, help: &str) -> Fault {
    fault(file, None, message, Some(help.to_owned()))
}

fn fault(file: &Path, place: Option<Place>, message: String, help: Option<String>) -> Fault {
    Fault { file: file.to_owned(), line: place.map(|place| place.line), column: place.map(|place| place.column), message, help }
}
