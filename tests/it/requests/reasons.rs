//! What docs/reasons.md promises of each reason.

use std::{collections::BTreeMap, fs, path::Path};

/// Status and `error_code` by reason.
pub(super) struct Reasons(BTreeMap<String, (u16, String)>);

// === impl Reasons ===

impl Reasons {
    pub(super) fn documented() -> Self {
        let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reasons.md")).unwrap();
        let row = |line: &str| {
            let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            let [_, code, status, error_code, ..] = cells.as_slice() else { return None };
            Some(((*code).to_owned(), (status.split(',').next()?.parse().ok()?, (*error_code).to_owned())))
        };
        let rows: BTreeMap<_, _> = page.lines().filter_map(row).collect();
        assert!(rows.len() > 30, "docs/reasons.md is not a table of reasons any more");
        Self(rows)
    }

    pub(super) fn of(&self, reason: &str) -> (u16, &str) {
        let (status, error_code) = self.0.get(reason).unwrap_or_else(|| panic!("`{reason}` is not documented"));
        (*status, error_code)
    }
}
