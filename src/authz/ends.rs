//! How long what is permitted lasts, by what policies say of the time.

use super::{Authorizer, cache::Candidates, edges, engine::Answer};
use crate::model::Caller;

// === impl Authorizer ===

impl Authorizer {
    /// When the time could end what `answer` allows: one of its permits is enough, and any forbid that could apply ends it.
    pub(super) fn until(&self, answer: &Answer, candidates: &Candidates, caller: &Caller, now: i64) -> Option<i64> {
        let permits = answer.determining.iter().filter_map(|id| self.placed(id)).map(|placed| edges::next(now, &placed.compiled.edges, caller));
        // `None` is never.
        let permitted = permits.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other))).flatten();
        let forbids = candidates.numbers.iter().filter_map(|number| self.policy(*number)).filter(|policy| policy.is_forbid());
        let forbidden = edges::next(now, forbids.flat_map(|forbid| &forbid.edges), caller);
        [permitted, forbidden].into_iter().flatten().min()
    }
}
