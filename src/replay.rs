//! Recorded decisions, made again with other policies: what would be otherwise, had those decided then.
//!
//! Everything that policies see of a call is in its record; the catalog and the inventory are those of today. What a record does not hold whole is counted as
//! not replayable, and never guessed.

mod lines;
mod question;
mod tally;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

pub use self::{
    lines::{Window, read},
    question::{Question, Unreplayable},
    tally::{Change, Changed, Changes, Summary, Tally},
};
use crate::{
    audit::Recorded,
    authz::{Authorizer, Judgement},
    model::{ActionSpec, Reason, Vocabulary},
};

/// Policies to decide by, and the words that records are written in.
pub struct Replay<'a> {
    authorizer: &'a Authorizer,
    /// By the name that requests have, and by every other.
    actions: HashMap<Arc<str>, &'a ActionSpec>,
}

// === impl Replay ===

impl<'a> Replay<'a> {
    #[must_use]
    pub fn new(authorizer: &'a Authorizer, vocabulary: &'a Vocabulary) -> Self {
        let mut actions: HashMap<Arc<str>, &ActionSpec> = vocabulary.actions.iter().map(|spec| (spec.action.name.clone(), spec)).collect();
        for (other, name) in &vocabulary.aliases {
            if let Some(spec) = actions.get(name).copied() {
                actions.entry(other.clone()).or_insert(spec);
            }
        }
        Self { authorizer, actions }
    }

    /// What the policies say of the call that `record` is of, at its time.
    ///
    /// # Errors
    /// [`Unreplayable`] where policies were not asked then, or cannot be asked the same now.
    pub fn decide(&self, record: &Recorded) -> Result<Judgement, Unreplayable> {
        let question = Question::of(record, |name| self.actions.get(name).copied(), self.authorizer.claims())?;
        let judgement = self.authorizer.judge(&question.caller, &question.intent, &question.facts());
        // The question cannot be put to these policies: a type that their catalog does not have.
        if judgement.reason.is_some_and(Reason::is_fault) { Err(Unreplayable::OtherCatalog) } else { Ok(judgement) }
    }
}
