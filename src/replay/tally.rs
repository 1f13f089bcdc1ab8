//! What a replay comes to, in memory that grows with the number of different changes alone, and not without bound.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{Unreplayable, question::decided};
use crate::{audit::Recorded, authz::Judgement};

/// How a decision changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was allowed.
    NewlyDenied,
    /// It was denied.
    NewlyAllowed,
}

/// The counts so far.
#[derive(Debug, Default)]
pub struct Tally {
    records: u64,
    replayed: u64,
    unchanged: u64,
    other_reason: u64,
    left_out: u64,
    other_lines: u64,
    cut_lines: u64,
    denied: Changes,
    allowed: Changes,
    not_replayable: BTreeMap<Unreplayable, u64>,
    unknown: u64,
}

/// The decisions that change in one way, alike ones together.
#[derive(Debug, Default)]
pub struct Changes {
    count: u64,
    rows: HashMap<Alike, Seen>,
    unlisted: u64,
}

/// What makes two changed decisions alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Alike {
    principal: String,
    action: String,
    resources: Vec<String>,
    reason: &'static str,
    policies: Vec<String>,
    reason_before: String,
    policies_before: Vec<String>,
}

#[derive(Clone, Debug)]
struct Seen {
    count: u64,
    first: String,
    last: String,
    event_id: String,
}

/// Alike decisions that change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    pub change: Change,
    pub count: u64,
    pub principal: String,
    pub action: String,
    /// The first few, where a call acts on more.
    pub resources: Vec<String>,
    /// Why it would be denied; `ALLOWED`.
    pub reason: &'static str,
    /// The policies that would decide.
    pub policies: Vec<String>,
    pub reason_before: String,
    /// The policies that decided.
    pub policies_before: Vec<String>,
    /// The times of the first and the last of them.
    pub first: String,
    pub last: String,
    /// One of them.
    pub event_id: String,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Of the time asked about.
    pub records: u64,
    pub replayed: u64,
    pub unchanged: u64,
    /// Of those unchanged: denied for another reason than before.
    pub other_reason: u64,
    pub newly_denied: u64,
    pub newly_allowed: u64,
    /// By why.
    pub not_replayable: BTreeMap<&'static str, u64>,
    /// Of those not replayable: allowed then. Whether they would be denied is not known.
    pub unknown: u64,
    /// Records of another time.
    pub outside_window: u64,
    /// Lines that are no record of a decision.
    pub other_lines: u64,
    /// Lines that end too early.
    pub cut_lines: u64,
    /// Newly denied first, then by how many.
    pub changes: Vec<Changed>,
    /// Changed decisions that are counted above and, there being too many different ones, in no row.
    pub unlisted: u64,
}

/// Different changes that are listed of each kind.
const ROWS: usize = 10_000;

/// Resources of one call that are listed.
const LISTED: usize = 3;

// === impl Tally ===

impl Tally {
    /// Counts `record`, and what is decided of it now.
    pub fn add(&mut self, record: &Recorded, now: Result<Judgement, Unreplayable>) {
        self.records += 1;
        match (decided(record), now) {
            (before, Err(why)) | (before @ Err(why), _) => {
                *self.not_replayable.entry(why).or_default() += 1;
                self.unknown += u64::from(before == Ok(None));
            }
            (Ok(before), Ok(now)) => {
                self.replayed += 1;
                match (before, now.reason) {
                    (None, Some(_)) => self.denied.add(record, now),
                    (Some(_), None) => self.allowed.add(record, now),
                    (before, after) => {
                        self.unchanged += 1;
                        self.other_reason += u64::from(before != after);
                    }
                }
            }
        }
    }

    /// Counts a record of another time.
    pub(super) fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// Counts a line that is no record of a decision.
    pub(super) fn pass_over(&mut self) {
        self.other_lines += 1;
    }

    /// Counts a line that ends too early.
    pub(super) fn cut(&mut self) {
        self.cut_lines += 1;
    }

    /// How many lines were looked at.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.records + self.left_out + self.other_lines
    }

    /// Whether policies decided some of the records and none of those could be decided again.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.replayed == 0 && self.not_replayable.keys().any(|why| why.was_decided())
    }

    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut changes = self.denied.listed(Change::NewlyDenied);
        changes.extend(self.allowed.listed(Change::NewlyAllowed));
        Summary {
            records: self.records,
            replayed: self.replayed,
            unchanged: self.unchanged,
            other_reason: self.other_reason,
            newly_denied: self.denied.count,
            newly_allowed: self.allowed.count,
            not_replayable: self.not_replayable.iter().map(|(why, count)| (why.code(), *count)).collect(),
            outside_window: self.left_out,
            other_lines: self.other_lines,
            unknown: self.unknown,
            cut_lines: self.cut_lines,
            changes,
            unlisted: self.denied.unlisted + self.allowed.unlisted,
        }
    }
}

// === impl Changes ===

impl Changes {
    fn add(&mut self, record: &Recorded, now: Judgement) {
        self.count += 1;
        let alike = Alike {
            principal: record.principal.clone().unwrap_or_default(),
            action: record.action.clone().unwrap_or_default(),
            resources: listed(&record.resources),
            reason: now.code(),
            policies: now.policies,
            reason_before: record.reason.clone(),
            policies_before: record.policies.clone(),
        };
        if let Some(seen) = self.rows.get_mut(&alike) {
            seen.add(record);
        } else if self.rows.len() < ROWS {
            let time = &record.event_time;
            self.rows.insert(alike, Seen { count: 1, first: time.clone(), last: time.clone(), event_id: record.event_id.clone() });
        } else {
            self.unlisted += 1;
        }
    }

    fn listed(&self, change: Change) -> Vec<Changed> {
        let row = |(alike, seen): (&Alike, &Seen)| {
            let (Alike { principal, action, resources, reason, policies, reason_before, policies_before }, seen) = (alike.clone(), seen.clone());
            let Seen { count, first, last, event_id } = seen;
            Changed { change, count, principal, action, resources, reason, policies, reason_before, policies_before, first, last, event_id }
        };
        let mut rows: Vec<Changed> = self.rows.iter().map(row).collect();
        rows.sort_by(|one, other| {
            let order = other.count.cmp(&one.count);
            let names = |row: &'_ Changed| (row.principal.clone(), row.action.clone(), row.resources.clone(), row.policies.clone());
            order.then_with(|| names(one).cmp(&names(other)))
        });
        rows
    }
}

// === impl Seen ===

impl Seen {
    /// Files come in any order. Times are of one form, so that their texts stand in the order of time.
    fn add(&mut self, record: &Recorded) {
        self.count += 1;
        if record.event_time < self.first {
            self.first.clone_from(&record.event_time);
        }
        if record.event_time > self.last {
            self.last.clone_from(&record.event_time);
            self.event_id.clone_from(&record.event_id);
        }
    }
}

fn listed(resources: &[String]) -> Vec<String> {
    let mut listed: Vec<String> = resources.iter().take(LISTED).cloned().collect();
    let more = resources.len().saturating_sub(LISTED);
    listed.extend((more > 0).then(|| format!("and {more} more")));
    listed
}
