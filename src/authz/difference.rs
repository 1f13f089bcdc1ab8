//! What is otherwise between two sets of policies.

use std::sync::Arc;

use serde::Serialize;

use super::{Authorizer, policy::Compiled};

/// Which policies a set has, has no more, or has otherwise than another. A comment or a blank is no difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub added: Names,
    pub removed: Names,
    pub changed: Names,
}

/// Policies by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Names {
    pub count: usize,
    /// The first of them in the order of their ids, at most 20.
    pub first: Vec<String>,
}

const FIRST: usize = 20;

// === impl Authorizer ===

impl Authorizer {
    /// What this set has otherwise than `before`.
    #[must_use]
    pub fn difference(&self, before: &Self) -> Difference {
        let missing = |one: &Self, other: &Self| Names::new(one.by_id.keys().filter(|id| !other.by_id.contains_key(*id)).map(|id| &**id));
        let same = |one: &Arc<Compiled>, other: &Arc<Compiled>| Arc::ptr_eq(one, other) || one.policy == other.policy;
        let other = |id: &str| before.placed(id).zip(self.placed(id)).is_some_and(|(before, now)| !same(&before.compiled, &now.compiled));
        Difference {
            added: missing(self, before),
            removed: missing(before, self),
            changed: Names::new(self.by_id.keys().map(|id| &**id).filter(|id| other(id))),
        }
    }
}

// === impl Names ===

impl Names {
    fn new<'i>(ids: impl Iterator<Item = &'i str>) -> Self {
        let mut ids: Vec<&str> = ids.collect();
        ids.sort_unstable();
        Self { count: ids.len(), first: ids.into_iter().take(FIRST).map(str::to_owned).collect() }
    }
}
