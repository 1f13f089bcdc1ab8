//! The catalog as it is written, before any of it was believed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::{
    classify::{entry::BodyUse, kinds::Nesting},
    model::{FieldKind, IdForm, Level, Mark},
};

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    /// What the catalog calls itself.
    pub(super) version: Option<String>,
    /// The APIs that its calls belong to: `workspace` (unless given), `account`, or one of services.
    pub(super) targets: Option<Vec<String>>,
    /// The scopes of Databricks' tokens, by the part of an action before its last dot.
    #[serde(default)]
    pub(super) scopes: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) types: Vec<RawType>,
    #[serde(default)]
    pub(super) calls: Vec<RawCall>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawType {
    pub(super) name: Spanned<String>,
    pub(super) form: Option<RawForm>,
    /// The target of the file's calls, unless given.
    #[serde(rename = "in")]
    pub(super) parents: Option<Vec<String>>,
    pub(super) nesting: Option<Nesting>,
    /// In place of form and nesting: ids are resource names, `projects/*/branches/*`.
    pub(super) pattern: Option<String>,
    /// The types that it is a part of, though its id does not say of which object.
    #[serde(default)]
    pub(super) of: Vec<String>,
    /// Types by which other calls name its objects, with the same id.
    #[serde(default)]
    pub(super) seen_as: Vec<String>,
    /// For the reader of the file.
    #[serde(default, rename = "about")]
    pub(super) _about: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCall {
    pub(super) action: Spanned<String>,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    /// In place of those of the file.
    pub(super) targets: Option<Vec<String>>,
    pub(super) level: RawLevel,
    /// In place of that of the file.
    pub(super) scope: Option<String>,
    pub(super) method: String,
    pub(super) path: String,
    /// `json` for POST, PUT and PATCH and `none` for the rest, unless given.
    pub(super) body: Option<BodyUse>,
    pub(super) resource: Option<RawBinding>,
    #[serde(default)]
    pub(super) resources: Vec<RawBinding>,
    pub(super) otherwise: Option<RawOtherwise>,
    /// It acts on its target whatever else it names: a create that uses what is there.
    #[serde(default)]
    pub(super) also_target: bool,
    #[serde(default)]
    pub(super) fields: Vec<RawField>,
    pub(super) workspace_param: Option<String>,
    /// The protocol that the call switches to: `websocket`.
    pub(super) upgrade: Option<String>,
    #[serde(default)]
    pub(super) marks: Vec<RawMark>,
    /// Types whose objects it reaches by something else than their names: a path of the storage that a table lies in.
    #[serde(default)]
    pub(super) reaches: Vec<String>,
    /// Wider actions that hold this one.
    #[serde(default)]
    pub(super) within: Vec<String>,
    pub(super) why: Option<String>,
}

/// What a call acts on where no binding finds anything.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawOtherwise {
    Target,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBinding {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) parent_of: Option<String>,
    /// The type where the id is a name of three dotted parts.
    pub(super) dotted: Option<String>,
    /// The type where the id is a path below `/Volumes`.
    pub(super) volume: Option<String>,
    pub(super) chosen: Option<RawChosen>,
    pub(super) id: Several,
    pub(super) also: Option<Several>,
    #[serde(rename = "in")]
    pub(super) places: Option<Vec<RawPlace>>,
    pub(super) prefix: Option<String>,
    #[serde(default)]
    pub(super) optional: bool,
    /// Where it is absent, the call acts on its target: a create that may name a folder.
    #[serde(default)]
    pub(super) or_target: bool,
    #[serde(default)]
    pub(super) orphan: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChosen {
    pub(super) by: String,
    pub(super) types: BTreeMap<String, Several>,
    /// Values whose id is one of Databricks' own and says nothing about name or parent.
    #[serde(default)]
    pub(super) orphans: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawField {
    pub(super) name: String,
    #[serde(default = "text")]
    pub(super) kind: RawKind,
    pub(super) from: Option<Several>,
    #[serde(rename = "in")]
    pub(super) places: Option<Vec<RawPlace>>,
    #[serde(default = "exact")]
    pub(super) form: RawForm,
    pub(super) prefix: Option<String>,
}

/// One text or a list of them.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Several {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawPlace {
    Query,
    Body,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawMark {
    Executes,
    Egress,
    Presigned,
    Mints,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawForm {
    Exact,
    Lower,
    Decimal,
    Path,
    Url,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawLevel {
    Read,
    Use,
    Write,
    Manage,
    Admin,
    Credentials,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawKind {
    Text,
    Long,
    Bool,
    Texts,
}

fn exact() -> RawForm {
    RawForm::Exact
}

fn text() -> RawKind {
    RawKind::Text
}

// === impl Several ===

impl Several {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
        .iter()
        .map(String::as_str)
    }
}

// === impl From ===

impl From<RawMark> for Mark {
    fn from(raw: RawMark) -> Self {
        match raw {
            RawMark::Executes => Self::Executes,
            RawMark::Egress => Self::Egress,
            RawMark::Presigned => Self::Presigned,
            RawMark::Mints => Self::Mints,
        }
    }
}

impl From<RawForm> for IdForm {
    fn from(raw: RawForm) -> Self {
        match raw {
            RawForm::Exact => Self::Exact,
            RawForm::Lower => Self::Lower,
            RawForm::Decimal => Self::Decimal,
            RawForm::Path => Self::Path,
            RawForm::Url => Self::Url,
        }
    }
}

impl From<RawLevel> for Level {
    fn from(raw: RawLevel) -> Self {
        match raw {
            RawLevel::Read => Self::Read,
            RawLevel::Use => Self::Use,
            RawLevel::Write => Self::Write,
            RawLevel::Manage => Self::Manage,
            RawLevel::Admin => Self::Admin,
            RawLevel::Credentials => Self::Credentials,
        }
    }
}

impl From<RawKind> for FieldKind {
    fn from(raw: RawKind) -> Self {
        match raw {
            RawKind::Text => Self::Text,
            RawKind::Long => Self::Long,
            RawKind::Bool => Self::Bool,
            RawKind::Texts => Self::Texts,
        }
    }
}
