//! One mistake that stands in many places: a role that is gone, and every line that names it.

use std::path::Path;

use crate::model::Fault;

/// A fault at the first of its places, which names the next and counts the rest.
pub(super) struct Repeated {
    fault: Fault,
    also: Vec<String>,
    count: usize,
}

/// Places in one message before the rest is counted.
const NAMED: usize = 3;

// === impl Repeated ===

impl Repeated {
    pub(super) fn new(first: Fault) -> Self {
        Self { fault: first, also: Vec::new(), count: 1 }
    }

    /// It stands here too.
    pub(super) fn again(&mut self, file: &Path, line: usize) {
        self.count += 1;
        if self.also.len() < NAMED {
            self.also.push(format!("{}:{line}", file.display()));
        }
    }

    pub(super) fn into_fault(self) -> Fault {
        let Self { fault, also, count } = self;
        if count == 1 {
            return fault;
        }
        let rest = match count - 1 - also.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Fault { message: format!("{}, which {count} entries name: this one, {}{rest}", fault.message, also.join(", ")), ..fault }
    }
}
