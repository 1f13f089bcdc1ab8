//! Numbers for values, the same for those that are equal.

use std::{collections::HashMap, hash::Hash};

/// The numbers given so far, from 0 in order of first sight.
pub(super) struct Numbers<T>(HashMap<T, usize>);

// === impl Numbers ===

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash> Numbers<T> {
    pub(super) fn of(&mut self, value: T) -> usize {
        let next = self.0.len();
        *self.0.entry(value).or_insert(next)
    }

    /// The values, each at the place that is its number.
    pub(super) fn list(self) -> Vec<T> {
        let mut numbered: Vec<(T, usize)> = self.0.into_iter().collect();
        numbered.sort_unstable_by_key(|(_, number)| *number);
        numbered.into_iter().map(|(value, _)| value).collect()
    }
}
