//! Other YAML files that people write, read as the configuration is: narrowly, along the schema of their type, with all faults at once and the place of each.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    path::KeyPath,
    report::{self, Report},
    schema, walk,
};
use crate::{
    model::Fault,
    yaml::{self, Node},
};

/// A file that has been read as a `T`, and where each of its values stands.
#[derive(Clone, Debug)]
pub struct Document<T> {
    pub content: T,
    file: PathBuf,
    root: Node,
}

/// The JSON Schema of files that hold a `T`: what [`Document::parse`] walks them by, and what editors complete by.
#[must_use]
pub fn document_schema<T: JsonSchema>() -> Value {
    schema::of::<T>()
}

// === impl Document ===

impl<T: DeserializeOwned> Document<T> {
    /// Reads `text` as if it stood in `file`. `schema` is the [`document_schema`] of `T`.
    ///
    /// # Errors
    /// Every fault of the text, in its order.
    pub fn parse(file: &Path, text: &str, schema: &'static Value) -> Result<Self, Vec<Fault>> {
        let (root, found) = yaml::read(text);
        let faults: Vec<Fault> = found.into_iter().map(|found| found.fault(file)).collect();
        let root = match root {
            Some(root) => root,
            None if faults.is_empty() => return Err(vec![report::file_fault(file, "the file is empty".to_owned(), "fill it, or remove it")]),
            None => return Err(faults),
        };
        let mut report = Report::new(file, &root, faults);
        let good = walk::walk(&root, schema, &mut report);
        if !report.is_clean() {
            return Err(report.into_faults());
        }
        match serde_json::from_value(good) {
            Ok(content) => Ok(Self { content, file: file.to_owned(), root }),
            Err(error) => Err(vec![report::file_fault(file, format!("the file cannot be read: {error}"), "compare it with the JSON Schema")]),
        }
    }
}

impl<T> Document<T> {
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line of the value at `path`, or of as much of the path as is there.
    #[must_use]
    pub fn line(&self, path: &KeyPath) -> usize {
        self.root.place_of(path.steps()).line
    }

    /// A fault of the value at `path`, or of where it should be.
    pub fn fault(&self, path: &KeyPath, message: impl Into<String>, help: Option<String>) -> Fault {
        let place = self.root.place_of(path.steps());
        Fault { file: self.file.clone(), line: Some(place.line), column: Some(place.column), message: message.into(), help }
    }
}
