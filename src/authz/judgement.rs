//! What policies say of a call, in words and without its force: for whoever compares, counts or reports.

use std::borrow::Cow;

use super::{Authorizer, Ordered, permit::Outcome};
use crate::model::{Caller, Intent, Reason, Refusal, RequestFacts};

/// What [`Authorizer::authorize`] would answer. Never a permit: nothing can be granted by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// `None` where the call is permitted.
    pub reason: Option<Reason>,
    /// What a denied caller would read.
    pub detail: Cow<'static, str>,
    /// The ids of the policies that decided, sorted.
    pub policies: Vec<String>,
    /// With which credential the permits say that it goes on; `None` where they say nothing, or there are none.
    pub ordered: Option<Ordered>,
}

// === impl Authorizer ===

impl Authorizer {
    /// What is said of a call that nobody makes here: it counts for no policy.
    #[must_use]
    pub fn judge(&self, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Judgement {
        let outcome = self.decision(caller, intent, facts).map_or_else(Outcome::Refused, |decision| decision.outcome.clone());
        match outcome {
            Outcome::Permitted { policies, ordered, .. } => {
                Judgement { reason: None, detail: Cow::Borrowed(""), policies: policies.to_vec(), ordered }
            }
            Outcome::Refused(refusal) => {
                Judgement { reason: Some(refusal.reason), detail: refusal.detail, policies: refusal.policies, ordered: None }
            }
        }
    }
}

// === impl Judgement ===

impl Judgement {
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.reason.is_none()
    }

    /// The ids of the permits that hold.
    ///
    /// # Errors
    /// The refusal that a caller would meet.
    pub fn outcome(self) -> Result<Vec<String>, Refusal> {
        match self.reason {
            None => Ok(self.policies),
            Some(reason) => Err(Refusal { policies: self.policies, ..Refusal::new(reason, self.detail) }),
        }
    }

    /// The code of the reason, `ALLOWED` where nothing refuses.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.reason.map_or("ALLOWED", Reason::code)
    }
}
