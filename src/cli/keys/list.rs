use std::{fmt::Write as _, path::PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::{Row, Which, faults, file::Stored};
use crate::{
    cli::{Exit, output::Output},
    clock::Clock,
    signer::KeySet,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Serialize)]
pub(super) struct List {
    pub keys: Vec<Row>,
    /// Of all of them: what `/.well-known/jwks.json` says, and a federation policy takes as `jwks_json`.
    pub jwks: Value,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let listed = args.which.named().and_then(|named| list(&named.files).map_err(faults));
    match listed {
        Ok(list) => {
            output.result(&list, || list.text());
            Exit::Yes
        }
        Err(faults) => output.faults(&faults),
    }
}

/// The keys of `files`, all of them good; each file that is not, with what is wrong with it.
pub(super) fn list(files: &[PathBuf]) -> Result<List, Vec<(PathBuf, String)>> {
    let set = KeySet::read(files)?;
    let now = Clock::default().now();
    let row = |(place, file): (usize, &PathBuf)| {
        let stored = Stored::read(file).map_err(|error| vec![(file.clone(), error)]);
        stored.map(|stored| Row::new(file, &stored, place, now))
    };
    Ok(List { keys: files.iter().enumerate().map(row).collect::<Result<_, _>>()?, jwks: set.document() })
}

// === impl List ===

impl List {
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (place, row) in self.keys.iter().enumerate() {
            let again = if self.keys.iter().take(place).any(|earlier| earlier.id == row.id) { " (the key of an earlier file)" } else { "" };
            let _ = writeln!(text, "{}{again}", row.line());
        }
        let _ = write!(text, "{} key{}", self.keys.len(), if self.keys.len() == 1 { "" } else { "s" });
        text
    }
}
