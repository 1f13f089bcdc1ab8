//! Grants as people read them: with where each is in its time.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Authorizer, Grant};

/// Where a grant is in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantState {
    Active,
    Pending,
    Ended,
}

/// One grant, for one holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantNote {
    /// Of the policy that it is.
    pub id: String,
    pub state: GrantState,
    /// The role, or the actions, that it gives.
    pub gives: Vec<String>,
    pub to: String,
    /// `None` where the role itself says on what.
    pub on: Option<String>,
    /// RFC 3339, UTC; so is `until`.
    pub from: String,
    pub until: String,
    pub why: String,
    pub requested_by: Option<String>,
    pub approved_by: String,
    pub file: PathBuf,
    pub line: usize,
}

// === impl Authorizer ===

impl Authorizer {
    /// What holds at `now_ms`, then what is to come, then, where `ended` is asked for too, what was; each in the order of their ends.
    #[must_use]
    pub fn granted(&self, now_ms: i64, ended: bool) -> Vec<GrantNote> {
        let mut notes: Vec<(i64, GrantNote)> = self.grants().iter().map(|grant| (grant.until_ms, note(grant, now_ms))).collect();
        notes.retain(|(_, note)| ended || note.state != GrantState::Ended);
        notes.sort_by(|(one_ends, one), (other_ends, other)| (one.state, one_ends, &one.id).cmp(&(other.state, other_ends, &other.id)));
        notes.into_iter().map(|(_, note)| note).collect()
    }
}

fn note(grant: &Grant, now_ms: i64) -> GrantNote {
    let time = |ms| Timestamp::from_millisecond(ms).unwrap_or_default().to_string();
    let state = if now_ms < grant.from_ms {
        GrantState::Pending
    } else if now_ms < grant.until_ms {
        GrantState::Active
    } else {
        GrantState::Ended
    };
    GrantNote {
        id: grant.id.to_string(),
        state,
        gives: grant.gives.clone(),
        to: grant.to.to_string(),
        on: grant.on.as_ref().map(ToString::to_string),
        from: time(grant.from_ms),
        until: time(grant.until_ms),
        why: grant.why.clone(),
        requested_by: grant.requested_by.as_ref().map(ToString::to_string),
        approved_by: grant.approved_by.to_string(),
        file: grant.file.clone(),
        line: grant.line,
    }
}
