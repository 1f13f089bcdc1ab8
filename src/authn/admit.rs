//! What a request must have beside a token that is good. Asked each time: nothing of it is ever cached with the token.

use super::{claims::bad, confirm::Confirmation};
use crate::model::{Call, Refusal, SpiffeId};

/// How a token is presented.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "no token asks anything of its request yet")]
pub(super) struct Presented<'p, 'r> {
    /// `None` where a token is told of and no call brings it.
    pub call: Option<&'p Call<'r>>,
    pub peer: Option<&'p SpiffeId>,
}

/// What a token asks of each request that presents it, as its verified claims say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// What it is bound to; `None` for a bearer token.
    pub confirmation: Option<Confirmation>,
}

// === impl Held ===

impl Held {
    /// Whether a request that is made so has all of it.
    ///
    /// # Errors
    /// A [`Refusal`] that says what it lacks.
    pub(super) fn by(&self, presented: &Presented<'_, '_>) -> Result<(), Refusal> {
        let _ = presented;
        if self.confirmation.is_some() {
            return Err(bad("the token is bound to a key or certificate (`cnf`), and the proof of it cannot be checked; use a bearer token"));
        }
        Ok(())
    }
}
