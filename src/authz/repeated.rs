//! One mistake that stands in many places: a role that is gone, and every line that names it.

use std::{collections::HashMap, hash::Hash, path::Path};

use crate::model::Fault;

/// Mistakes by what they are about, in the order of their first places.
pub(super) struct Mistakes<K> {
    numbers: HashMap<K, usize>,
    found: Vec<Repeated>,
}

/// A fault at the first of its places, which names the next and counts the rest.
struct Repeated {
    fault: Fault,
    also: Vec<String>,
    count: usize,
}

/// Places in one message before the rest is counted.
const NAMED: usize = 3;

// === impl Mistakes ===

impl<K: Eq + Hash> Mistakes<K> {
    pub(super) fn new() -> Self {
        Self { numbers: HashMap::new(), found: Vec::new() }
    }

    /// Notes one in a line of `file`. What is wrong there `first` says of a new one, behind so many others.
    pub(super) fn note(&mut self, about: K, (file, line): (&Path, usize), first: impl FnOnce(usize) -> Fault) {
        let next = self.found.len();
        let number = *self.numbers.entry(about).or_insert(next);
        match self.found.get_mut(number) {
            Some(known) => known.again(file, line),
            None => self.found.push(Repeated { fault: first(next), also: Vec::new(), count: 1 }),
        }
    }

    pub(super) fn into_faults(self) -> impl Iterator<Item = Fault> {
        self.found.into_iter().map(Repeated::into_fault)
    }
}

// === impl Repeated ===

impl Repeated {
    fn again(&mut self, file: &Path, line: usize) {
        self.count += 1;
        if self.also.len() < NAMED {
            self.also.push(format!("{}:{line}", file.display()));
        }
    }

    fn into_fault(self) -> Fault {
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
