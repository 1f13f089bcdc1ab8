//! What policies say of a call, in words and without its force: for whoever compares, counts or reports.

use std::borrow::Cow;

use super::Authorizer;
use crate::model::{Caller, Intent, Reason, RequestFacts};

/// What [`Authorizer::authorize`] would answer. Never a permit: nothing can be granted by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// `None` where the call is permitted.
    pub reason: Option<Reason>,
    /// What a denied caller would read.
    pub detail: Cow<'static, str>,
    /// The ids of the policies that decided, sorted.
    pub policies: Vec<String>,
}

// === impl Authorizer ===

impl Authorizer {
    #[must_use]
    pub fn judge(&self, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Judgement {
        match self.authorize(caller, intent, facts) {
            Ok(permit) => Judgement { reason: None, detail: Cow::Borrowed(""), policies: permit.policies().to_vec() },
            Err(refusal) => Judgement { reason: Some(refusal.reason), detail: refusal.detail, policies: refusal.policies },
        }
    }
}

// === impl Judgement ===

impl Judgement {
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.reason.is_none()
    }

    /// The code of the reason, `ALLOWED` where nothing refuses.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.reason.map_or("ALLOWED", Reason::code)
    }
}
