//! From method and path to the catalog's entry: a trie of segments, whose cost depends on the path and not on how many entries there are. Nothing is
//! allocated for a match: where its parameters stand is known from the template.
//!
//! Among the templates that fit, the one wins that is most literal, read from the left: a literal before a custom verb before a
//! parameter before a tail.

use std::{borrow::Cow, collections::HashMap};

use super::template::{Param, Part, Place, Template};
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
    rests: Vec<End>,
}

/// A template that ends here: for one method, one entry.
#[derive(Debug)]
struct End {
    method: Box<str>,
    entry: usize,
    params: Vec<Param>,
}

/// The entry that fits, and where its parameters stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match<'m> {
    pub(super) entry: usize,
    pub(super) params: &'m [Param],
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

    /// Adds `template` under `method`: an HTTP method, or for upgrades the protocol that is asked for.
    ///
    /// # Errors
    /// [`Taken`] where another entry has the same shape and method: nothing could tell them apart.
    pub(super) fn add(&mut self, method: &str, template: Template, entry: usize) -> Result<(), Taken> {
        let mut at = 0;
        for part in &template.parts {
            at = self.child(at, part).unwrap_or(at);
        }
        let Some(node) = self.nodes.get_mut(at) else { return Ok(()) };
        let ends = match template.parts.last() {
            Some(Part::Tail) => &mut node.tails,
            Some(Part::Rest) => &mut node.rests,
            _ => &mut node.ends,
        };
        if let Some(end) = ends.iter().find(|end| *end.method == *method) {
            return Err(Taken(end.entry));
        }
        ends.push(End { method: method.into(), entry, params: template.params });
        Ok(())
    }

    /// # Errors
    /// [`Missed`] where no template fits under `method`.
    pub(super) fn find(&self, method: &str, path: &ApiPath<'_>) -> Result<Match<'_>, Missed> {
        let mut search = Search { nodes: &self.nodes, method, segments: &path.segments, missed: Missed::default() };
        search.walk(0, 0).ok_or(search.missed)
    }

    /// The beginning of `path` as the catalog knows it, `*` for what a parameter takes and `/…` where more follows: one of as many texts as there are
    /// nodes, whatever callers send.
    pub(super) fn known(&self, path: &ApiPath<'_>) -> String {
        let mut known = String::new();
        let mut node = self.nodes.first();
        for segment in &path.segments {
            let literal = node.and_then(|node| node.literals.get_key_value(segment.text.as_ref())).map(|(text, child)| (&**text, *child));
            let child = literal.or_else(|| node.and_then(|node| node.param).map(|child| ("*", child)));
            let Some((text, child)) = child.filter(|_| takes(segment)) else { return known + "/…" };
            known.push('/');
            known.push_str(text);
            node = self.nodes.get(child);
        }
        known
    }

    /// The node below `at` for `part`, made if need be; `None` for a tail, which has none.
    fn child(&mut self, at: usize, part: &Part) -> Option<usize> {
        let fresh = self.nodes.len();
        let node = self.nodes.get_mut(at)?;
        let child = match part {
            Part::Tail | Part::Rest => return None,
            Part::Literal(text) => *node.literals.entry(text.clone()).or_insert(fresh),
            Part::Any => *node.param.get_or_insert(fresh),
            Part::Verb(verb) => {
                if let Some((_, child)) = node.verbs.iter().find(|(other, _)| other == verb) {
                    *child
                } else {
                    node.verbs.push((verb.clone(), fresh));
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
struct Search<'s, 'm> {
    nodes: &'m [Node],
    method: &'s str,
    segments: &'s [Segment<'s>],
    missed: Missed,
}

impl<'m> Search<'_, 'm> {
    fn walk(&mut self, node: usize, at: usize) -> Option<Match<'m>> {
        let nodes = self.nodes;
        let node = nodes.get(node)?;
        let Some(segment) = self.segments.get(at) else { return self.end(&node.ends).or_else(|| self.end(&node.rests)) };
        if !segment.slashed
            && let Some(&child) = node.literals.get(segment.text.as_ref())
            && let Some(found) = self.walk(child, at + 1)
        {
            return Some(found);
        }
        if takes(segment) {
            for (verb, child) in &node.verbs {
                let fits = segment.text.strip_suffix(verb.as_ref()).is_some_and(|name| !name.is_empty() && !name.contains(':'));
                if fits && let Some(found) = self.walk(*child, at + 1) {
                    return Some(found);
                }
            }
            // A colon in the last segment is a custom verb to Databricks: it never passes for a part of the name.
            let verb = at + 1 == self.segments.len() && segment.text.contains(':');
            if !verb
                && let Some(child) = node.param
                && let Some(found) = self.walk(child, at + 1)
            {
                return Some(found);
            }
        }
        let rest = self.segments.get(at..).unwrap_or_default();
        let whole = rest.iter().all(|segment| !segment.text.is_empty());
        if whole && let Some(found) = self.end(&node.tails) {
            return Some(found);
        }
        // Only a path of names can be read in one way by a service that nobody described.
        let plain = rest.iter().all(|segment| !segment.slashed && !segment.text.contains(['\\', '%']));
        if plain { self.end(&node.rests) } else { None }
    }

    fn end(&mut self, ends: &'m [End]) -> Option<Match<'m>> {
        let found = ends.iter().find(|end| *end.method == *self.method).map(|end| Match { entry: end.entry, params: &end.params });
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

// === impl Place ===

impl Place {
    /// What a parameter that stands here is in `path`, which its template fits.
    pub(super) fn text<'p>(self, path: &'p ApiPath<'_>) -> Cow<'p, str> {
        match self {
            Self::Tail { from } => {
                let segments = path.segments.get(from..).unwrap_or_default();
                let named = segments.iter().filter(|segment| !segment.text.is_empty());
                let path: String = named.flat_map(|segment| ["/", segment.text.as_ref()]).collect();
                Cow::Owned(if path.is_empty() { "/".to_owned() } else { path })
            }
            Self::Segments { from, to, verb } => {
                let short = |text: &'p str| text.get(..text.len().saturating_sub(verb)).unwrap_or_default();
                match path.segments.get(from..to).unwrap_or_default() {
                    [one] => Cow::Borrowed(short(&one.text)),
                    [heads @ .., last] => Cow::Owned(heads.iter().flat_map(|head| [head.text.as_ref(), "/"]).chain([short(&last.text)]).collect()),
                    [] => Cow::Borrowed(""),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
