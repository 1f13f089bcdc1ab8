//! Which policies the cases say something about.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{files::tidy, run::Outcome};
use crate::authz::Authorizer;

/// How much of the policies the cases reach.
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
    /// `permit` or `forbid`.
    effect: &'static str,
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
            for id in &outcome.got.policies {
                counts.entry(id).or_default().decides += 1;
            }
            for id in &outcome.missed {
                counts.entry(id).or_default().misses += 1;
            }
        }
        let policies = authorizer.policy_count();
        let uncovered: Vec<Uncovered> = authorizer
            .policies()
            .filter_map(|note| {
                let Counts { decides, misses } = counts.get(note.id.as_str()).copied().unwrap_or_default();
                let open = decides == 0 || misses == 0;
                open.then(|| Uncovered { policy: note.id, effect: note.effect, file: tidy(&note.file), line: note.line, decides, misses })
            })
            .collect();
        let covered = policies.saturating_sub(uncovered.len());
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
