//! From method and path to the catalog's entry: a trie of segments, whose cost depends on the path and not on how many entries there are.
//!
//! Among the templates that fit, the one wins that is most literal, read from the left: a literal before a custom verb before a
//! parameter before a tail.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::template::{Part, Template};
use crate::model::{ApiPath, Segment};

/// All templates of the catalog, ready to be matched.
#[derive(Debug)]
pub(super) struct Matcher {
    /// The root stands first.
    nodes: Vec<Node>,
}

/// Where the templates stand that share everything up to here.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    /// By the verb with its colon, longest first.
    verbs: Vec<(Box<str>, usize)>,
    param: Option<usize>,
    ends: Vec<End>,
    tails: Vec<End>,
}

/// A template that ends here: for one method, one entry.
#[derive(Debug)]
struct End {
    method: Box<str>,
    entry: usize,
}

/// The entry that fits, and what its parameters stand for, in their order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) entry: usize,
    pub(super) captures: SmallVec<[Capture; 6]>,
}

/// The segments that one parameter took, without the `verb` bytes at their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capture {
    from: usize,
    to: usize,
    verb: usize,
    tail: bool,
}

/// No entry fits; those at the same path under other methods are named.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) others: Vec<usize>,
}

/// Another entry already has this method and shape of path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken(pub(super) usize);

// === impl Matcher ===

impl Matcher {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    /// Adds `template` under `method`.
    ///
    /// # Errors
    /// [`Taken`] where another entry has the same shape and method: nothing could tell them apart.
    pub(super) fn add(&mut self, method: &str, template: &Template, entry: usize) -> Result<(), Taken> {
        let (mut at, mut tail) = (0, false);
        for part in &template.parts {
            match self.child(at, part) {
                Some(child) => at = child,
                None => tail = true,
            }
        }
        let Some(node) = self.nodes.get_mut(at) else { return Ok(()) };
        let ends = if tail { &mut node.tails } else { &mut node.ends };
        if let Some(end) = ends.iter().find(|end| *end.method == *method) {
            return Err(Taken(end.entry));
        }
        ends.push(End { method: method.into(), entry });
        Ok(())
    }

    /// # Errors
    /// [`Missed`] where no template fits under `method`.
    pub(super) fn find(&self, method: &str, path: &ApiPath<'_>) -> Result<Match, Missed> {
        let mut search = Search { nodes: &self.nodes, method, segments: &path.segments, captures: SmallVec::new(), missed: Missed::default() };
        match search.walk(0, 0) {
            Some(entry) => Ok(Match { entry, captures: search.captures }),
            None => Err(search.missed),
        }
    }

    /// The node below `at` for `part`, made if need be; `None` for a tail, which has none.
    fn child(&mut self, at: usize, part: &Part) -> Option<usize> {
        let fresh = self.nodes.len();
        let node = self.nodes.get_mut(at)?;
        let child = match part {
            Part::Tail { .. } => return None,
            Part::Literal(text) => *node.literals.entry(text.clone()).or_insert(fresh),
            Part::Param { suffix, .. } if suffix.is_empty() => *node.param.get_or_insert(fresh),
            Part::Param { suffix, .. } => {
                if let Some((_, child)) = node.verbs.iter().find(|(verb, _)| verb == suffix) {
                    *child
                } else {
                    node.verbs.push((suffix.clone(), fresh));
                    node.verbs.sort_by_key(|(verb, _)| std::cmp::Reverse(verb.len()));
                    fresh
                }
            }
        };
        if child == fresh {
            self.nodes.push(Node::default());
        }
        Some(child)
    }
}

/// One search, with what it has met so far.
struct Search<'s> {
    nodes: &'s [Node],
    method: &'s str,
    segments: &'s [Segment<'s>],
    captures: SmallVec<[Capture; 6]>,
    missed: Missed,
}

impl Search<'_> {
    fn walk(&mut self, node: usize, at: usize) -> Option<usize> {
        let nodes = self.nodes;
        let node = nodes.get(node)?;
        let Some(segment) = self.segments.get(at) else { return self.end(&node.ends) };
        if !segment.slashed
            && let Some(&child) = node.literals.get(segment.text.as_ref())
            && let Some(entry) = self.walk(child, at + 1)
        {
            return Some(entry);
        }
        if takes(segment) {
            for (verb, child) in &node.verbs {
                let fits = segment.text.strip_suffix(verb.as_ref()).is_some_and(|name| !name.is_empty() && !name.contains(':'));
                if fits && let Some(entry) = self.take(Capture { from: at, to: at + 1, verb: verb.len(), tail: false }, *child) {
                    return Some(entry);
                }
            }
            // A colon in the last segment is a custom verb to Databricks: it never passes for a part of the name.
            let verb = at + 1 == self.segments.len() && segment.text.contains(':');
            if !verb
                && let Some(child) = node.param
                && let Some(entry) = self.take(Capture { from: at, to: at + 1, verb: 0, tail: false }, child)
            {
                return Some(entry);
            }
        }
        let rest = self.segments.get(at..).unwrap_or_default();
        if node.tails.is_empty() || rest.iter().any(|segment| segment.text.is_empty()) {
            return None;
        }
        let entry = self.end(&node.tails)?;
        self.captures.push(Capture { from: at, to: self.segments.len(), verb: 0, tail: true });
        Some(entry)
    }

    fn take(&mut self, capture: Capture, child: usize) -> Option<usize> {
        self.captures.push(capture);
        let found = self.walk(child, capture.to);
        if found.is_none() {
            self.captures.pop();
        }
        found
    }

    fn end(&mut self, ends: &[End]) -> Option<usize> {
        let found = ends.iter().find(|end| *end.method == *self.method).map(|end| end.entry);
        if found.is_none() {
            self.missed.others.extend(ends.iter().map(|end| end.entry));
        }
        found
    }
}

/// Whether a parameter of one segment may stand for `segment`.
fn takes(segment: &Segment<'_>) -> bool {
    !segment.slashed && !segment.text.is_empty()
}

// === impl Capture ===

impl Capture {
    /// What the parameter stands for: its segment, or for a tail the path with a leading `/`.
    pub(super) fn text(self, path: &ApiPath<'_>) -> String {
        let segments = path.segments.get(self.from..self.to).unwrap_or_default();
        if self.tail {
            return segments.iter().flat_map(|segment| ["/", segment.text.as_ref()]).collect();
        }
        let text = segments.first().map_or("", |segment| segment.text.as_ref());
        text.get(..text.len().saturating_sub(self.verb)).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests;
