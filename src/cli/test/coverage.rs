//! Which policies the cases say something about.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{files::tidy, run::Outcome};
use crate::authz::Authorizer;

/// How much of the policies the cases reach. A role counts once, however often it is given, and not at all where nobody has it; grants do not count.
#[derive(Debug, Serialize)]
pub(super) struct Coverage {
    pub(super) policies: usize,
    /// Policies that decide a case and that another just misses.
    pub(super) covered: usize,
    /// Whole percent, rounded down.
    pub(super) percent: u64,
    /// The others, in the order of files and lines.
    pub(super) uncovered: Vec<Uncovered>,
}

/// A policy that could be otherwise, and no case would notice.
#[derive(Debug, Serialize)]
pub(super) struct Uncovered {
    policy: String,
    /// `permit` or `forbid`; `role` of one, wherever it is given.
    effect: &'static str,
    /// Of a role, where it is given first.
    file: PathBuf,
    line: usize,
    /// How many cases it decides.
    decides: usize,
    /// How many cases just miss it.
    misses: usize,
}

/// In how many cases something is so.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    decides: usize,
    misses: usize,
}

// === impl Coverage ===

impl Coverage {
    pub(super) fn new(authorizer: &Authorizer, outcomes: &[Outcome<'_>]) -> Self {
        let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
        for outcome in outcomes {
            for written in outcome.got.policies.iter().filter_map(|id| authorizer.written_as(id)) {
                counts.entry(written).or_default().decides += 1;
            }
            for written in outcome.missed.iter().filter_map(|id| authorizer.written_as(id)) {
                counts.entry(written).or_default().misses += 1;
            }
        }
        let (mut known, mut uncovered) = (BTreeSet::new(), Vec::new());
        for note in authorizer.policies() {
            let Some(written) = authorizer.written_as(&note.id).filter(|written| known.insert(*written)) else { continue };
            let Counts { decides, misses } = counts.get(written).copied().unwrap_or_default();
            if decides == 0 || misses == 0 {
                let effect = if written == note.id { note.effect } else { "role" };
                uncovered.push(Uncovered { policy: written.to_owned(), effect, file: tidy(&note.file), line: note.line, decides, misses });
            }
        }
        let policies = known.len();
        let covered = policies - uncovered.len();
        // An authorizer without policies is never loaded.
        let percent = (covered as u64 * 100).checked_div(policies as u64).unwrap_or(100);
        Self { policies, covered, percent, uncovered }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for policy in &self.uncovered {
            writeln!(f, "uncovered: {policy}")?;
        }
        write!(f, "coverage: {} of {} policies, {} %", self.covered, self.policies, self.percent)
    }
}

// === impl Uncovered ===

impl fmt::Display for Uncovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, effect, line, .. } = self;
        let why = match (self.decides, self.misses) {
            (0, 0) => "no case comes near it",
            (0, _) => "no case is decided by it",
            _ => "no case just misses it",
        };
        write!(f, "{}:{line}: {effect} `{policy}`: {why}", Path::display(&self.file))
    }
}
