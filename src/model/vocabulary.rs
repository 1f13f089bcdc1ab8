use std::{collections::BTreeMap, sync::Arc};

use super::{Action, IdForm, TypeName};

/// Every word a policy may use about calls: what the catalog knows, as plain data for the schema, the documentation and the checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Resource types in order of name; `Workspace`, `Account`, `Service` and `Environment` are among them.
    pub types: Vec<TypeSpec>,
    /// Actions in order of name.
    pub actions: Vec<ActionSpec>,
    /// Other names of actions, each with the action's own: what it was called before, or what another client calls it.
    pub aliases: BTreeMap<Arc<str>, Arc<str>>,
}

/// One resource type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSpec {
    pub name: TypeName,
    /// The types it may stand directly in.
    pub parents: Vec<TypeName>,
    /// The types that it is a part of, though its id does not say of which object: a run of a job.
    pub part_of: Vec<TypeName>,
    /// Types by which other calls name its objects, with the same id.
    pub seen_as: Vec<TypeName>,
    /// How the part of an id after `<target>/` is written in its one canonical form.
    pub form: IdForm,
}

/// One action with what it applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionSpec {
    pub action: Arc<Action>,
    /// In order of name, never empty.
    pub resources: Vec<TypeName>,
    /// Types whose objects a request can reach by an id that says neither name nor parent, or by something else than their names, so that a policy on
    /// these does not hold for it.
    pub orphans: Vec<TypeName>,
    /// The body fields it may carry into `context.request`.
    pub fields: Vec<FieldSpec>,
}

/// One field of bodies, or one claim of tokens, that policies may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    pub name: Arc<str>,
    pub kind: FieldKind,
}

/// The type of a [`FieldValue`](super::FieldValue).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    Text,
    Long,
    Bool,
    Texts,
}

// === impl FieldKind ===

impl FieldKind {
    /// As `lakegate.yaml` names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Long => "long",
            Self::Bool => "bool",
            Self::Texts => "strings",
        }
    }
}

// === impl Vocabulary ===

impl Vocabulary {
    #[must_use]
    pub fn type_named(&self, name: &str) -> Option<&TypeSpec> {
        self.types.iter().find(|spec| spec.name.as_str() == name)
    }

    /// Whether an object of type `inner` is in one of type `outer`, is a part of one, or is one.
    #[must_use]
    pub fn belongs(&self, inner: &TypeName, outer: &TypeName) -> bool {
        let (mut seen, mut open) = (Vec::new(), vec![inner]);
        while let Some(name) = open.pop() {
            if name == outer {
                return true;
            }
            if let Some(spec) = self.type_named(name.as_str()).filter(|_| !seen.contains(&name)) {
                seen.push(name);
                open.extend(spec.parents.iter().chain(&spec.part_of));
            }
        }
        false
    }
}
