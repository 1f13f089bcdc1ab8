//! The keys an object has had so far.

use std::{borrow::Cow, collections::HashSet};

/// A list while they are few, since they are in most objects.
#[derive(Default)]
pub(super) struct Seen<'a> {
    few: Vec<&'a str>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Seen<'a> {
    /// Whether `key` is new.
    #[inline]
    pub(super) fn add(&mut self, key: Cow<'a, str>) -> bool {
        const FEW: usize = 12;
        if self.few.iter().any(|other| *other == key) {
            return false;
        }
        match key {
            Cow::Borrowed(key) if self.many.is_empty() && self.few.len() < FEW => {
                self.few.push(key);
                true
            }
            key => self.many.insert(key),
        }
    }

    /// Memory that one large object took is not kept: emptying it again would cost every small one behind it.
    pub(super) fn clear(&mut self) {
        self.few.clear();
        if !self.many.is_empty() {
            self.many = HashSet::new();
        }
    }
}
