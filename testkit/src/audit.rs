//! Reading lakegate's audit file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

/// An audit file: one JSON record a line, written by lakegate in batches, so that a record may come a moment after its answer.
#[derive(Clone, Debug)]
pub struct Audit {
    path: PathBuf,
}

// === impl Audit ===

impl Audit {
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The decisions recorded so far; checkpoints and other records without a `decision` are left out, as is a last line not yet whole.
    ///
    /// # Errors
    /// When the file cannot be read or a whole line is not JSON; a file not yet there holds nothing.
    pub fn records(&self) -> io::Result<Vec<Value>> {
        let text = match fs::read_to_string(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut records = Vec::new();
        for line in whole.lines() {
            let record: Value = serde_json::from_str(line).map_err(|e| io::Error::other(format!("{}: not a record: {e}", self.path.display())))?;
            if record.get("decision").is_some() {
                records.push(record);
            }
        }
        Ok(records)
    }

    /// The first record that `wanted` accepts, once it is there.
    ///
    /// # Errors
    /// `TimedOut` when it does not come within `patience`.
    pub async fn wait_for(&self, patience: Duration, wanted: impl Fn(&Value) -> bool) -> io::Result<Value> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(record) = self.records()?.into_iter().find(|record| wanted(record)) {
                return Ok(record);
            }
            if Instant::now() >= deadline {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("{}: the record did not come within {} s", self.path.display(), patience.as_secs()),
                ));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The record of one decision, by the id that answers and allowed requests carry in `x-lakegate-decision`.
    ///
    /// # Errors
    /// As `wait_for`.
    pub async fn decision(&self, id: &str, patience: Duration) -> io::Result<Value> {
        self.wait_for(patience, |record| record.get("event_id").is_some_and(|have| have == id)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn records_are_found_and_half_lines_left() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::new(folder.path().join("audit.jsonl"));
        assert!(audit.records().unwrap().is_empty());
        fs::write(audit.path(), "{\"event_id\":\"d1\",\"decision\":\"allow\"}\n{\"checkpoint\":1}\n{\"event_id\":\"d2\",\"deci").unwrap();
        assert_eq!(audit.records().unwrap().len(), 1);
        assert_eq!(audit.decision("d1", Duration::ZERO).await.unwrap()["decision"], "allow");
        assert_eq!(audit.decision("d2", Duration::ZERO).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        fs::write(audit.path(), "nonsense\n").unwrap();
        assert!(audit.records().is_err());
    }
}
