//! One entry of the catalog, ready for use: what a call is, where its resource is named, what of it policies may read.

use std::sync::Arc;

use super::{
    key::Key,
    keys::{KeyId, Keys},
    kinds::KindId,
};
use crate::model::{Action, FieldKind, IdForm};

/// One entry of the catalog.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) action: Arc<Action>,
    /// Other names of the same call, which policies may use in place of the action's.
    pub(super) aliases: Vec<Box<str>>,
    /// The HTTP method.
    pub(super) method: Box<str>,
    /// As the catalog writes it, alternatives and all.
    pub(super) path: Box<str>,
    /// The APIs that it belongs to: `workspace`, `account`, or one of services.
    pub(super) targets: Vec<Box<str>>,
    pub(super) body: BodyUse,
    /// Where the keys of bindings and fields stand in the body.
    pub(super) keys: Keys,
    pub(super) bindings: Vec<Binding>,
    /// Where no binding finds a resource, the call acts on its target.
    pub(super) otherwise_target: bool,
    /// Types whose objects it reaches without naming them.
    pub(super) reaches: Vec<KindId>,
    /// The call acts on its target as well.
    pub(super) also_target: bool,
    pub(super) fields: Vec<FieldRule>,
    /// The parameter that must equal the target's workspace id.
    pub(super) workspace_param: Option<usize>,
    /// The parameter that must equal the target's account id.
    pub(super) account_param: Option<usize>,
    /// The narrowest scopes that a token of Databricks' needs for it; `None` where only that of all will do.
    pub(super) scope: Option<Arc<str>>,
    /// The protocol that the call switches to; `None` for plain requests.
    pub(super) upgrade: Option<Box<str>>,
    /// Why it has its level, where that was judged.
    pub(super) why: Option<Box<str>>,
}

/// What a body is to the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BodyUse {
    /// It is read, since something in it may decide.
    Json,
    /// It is read, and may be sent as `application/scim+json` too (RFC 7644 §8.1).
    Scim,
    /// It is read, and may be sent as `multipart/form-data` too (RFC 7578).
    Form,
    /// It is never read and may be partial: model input, uploads, Thrift.
    Opaque,
    /// There is none; one that is there is refused.
    None,
}

/// How the request names one resource, or a list of them.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) kind: KindRule,
    /// What every value begins with, and is no part of the id: `schemas/` of `schemas/main.ml`.
    pub(super) prefix: Option<Box<str>>,
    /// Joined by dots where there are several: `catalog_name` and `schema_name`.
    pub(super) id: Vec<Source>,
    /// Other keys for the same id; whichever are there must agree.
    pub(super) also: Vec<Source>,
    pub(super) optional: bool,
    /// Absent, it stands for the target.
    pub(super) or_target: bool,
    /// The id says neither name nor parent.
    pub(super) orphan: bool,
}

/// Which type the id is of.
#[derive(Debug)]
pub(super) enum KindRule {
    One(KindId),
    /// The call creates such an object: it acts on what that will be in.
    ParentOf(KindId),
    /// An id of that shape is of one type, any other of the plain one.
    Shaped {
        shape: Shape,
        plain: KindId,
        shaped: KindId,
    },
    /// The value of another key says it; a value that is not listed makes the call unknown.
    Chosen {
        by: Source,
        kinds: Vec<(Box<str>, Vec<Choice>)>,
    },
}

/// What sets an id apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A name of three dotted parts.
    Dotted,
    /// A path below `/Volumes`.
    Volume,
}

/// One type that a chosen value stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) kind: KindId,
    pub(super) orphan: bool,
}

/// One key that decides, and where it can stand.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a set of named flags, each read by name")]
pub(super) struct Source {
    /// The keys from the outermost object inwards, joined by dots.
    pub(super) query_key: Key,
    /// Its place in a body; for a header, the outermost object, where no value stands.
    pub(super) at: KeyId,
    /// The place of the object that holds it.
    pub(super) within: KeyId,
    /// Whether it can stand for several values: it is an array, or stands in one.
    pub(super) many: bool,
    /// Its value is whether the object at `within` is there, whatever members that has.
    pub(super) object: bool,
    /// The parameter of the path that it is.
    pub(super) param: Option<usize>,
    /// The request header that holds it, in lower case.
    pub(super) header: Option<Box<str>>,
    /// Where it must stand (in one of these, unless it is in the path); elsewhere it may only agree.
    pub(super) query: bool,
    pub(super) body: bool,
}

/// A body field that policies may read.
#[derive(Debug)]
pub(super) struct FieldRule {
    pub(super) name: Arc<str>,
    pub(super) kind: FieldKind,
    /// What its texts are folded to, so that a policy compares one spelling.
    pub(super) form: IdForm,
    /// What every text begins with, and is no part of the value.
    pub(super) prefix: Option<Box<str>>,
    /// For a single value, at most one of these may be there; for a set, all that are there count.
    pub(super) from: Vec<Source>,
}

// === impl Entry ===

impl Entry {
    /// Every key that decides something.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        let ids = self.bindings.iter().flat_map(|binding| {
            let by = if let KindRule::Chosen { by, .. } = &binding.kind { Some(by) } else { None };
            binding.id.iter().chain(&binding.also).chain(by)
        });
        ids.chain(self.fields.iter().flat_map(|field| &field.from))
    }
}

// === impl Binding ===

impl Binding {
    /// The types that it can name by an id of Databricks' own.
    pub(super) fn orphans(&self) -> impl Iterator<Item = KindId> {
        let chosen = if let KindRule::Chosen { kinds, .. } = &self.kind { kinds.as_slice() } else { &[] };
        let one = if let KindRule::One(kind) = &self.kind { Some(*kind).filter(|_| self.orphan) } else { None };
        chosen.iter().flat_map(|(_, choices)| choices).filter(|choice| choice.orphan).map(|choice| choice.kind).chain(one)
    }

    /// Whether its ids can be such that a policy on a name or a parent does not reach them.
    pub(super) fn may_be_orphan(&self) -> bool {
        self.orphans().next().is_some()
    }
}

// === impl Shape ===

impl Shape {
    pub(super) fn is_of(self, id: &str) -> bool {
        match self {
            Self::Dotted => id.split('.').count() == 3,
            Self::Volume => id.split('/').nth(1).is_some_and(|first| first.eq_ignore_ascii_case("volumes")),
        }
    }
}

// === impl Source ===

impl Source {
    /// As the catalog writes it, for messages.
    pub(super) fn as_str(&self) -> &str {
        self.header.as_deref().unwrap_or_else(|| self.query_key.as_str())
    }
}
