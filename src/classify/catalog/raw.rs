//! The catalog as it is written, before any of it was believed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::{
    classify::{entry::BodyUse, kinds::Nesting},
    model::{FieldKind, IdForm, Level, TargetKind},
};

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    /// Where its calls exist; Databricks workspaces unless given.
    #[serde(default = "workspaces")]
    pub(super) targets: Vec<RawTarget>,
    #[serde(default)]
    pub(super) types: Vec<RawType>,
    #[serde(default)]
    pub(super) calls: Vec<RawCall>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawType {
    pub(super) name: Spanned<String>,
    pub(super) form: RawForm,
    #[serde(rename = "in", default = "workspace")]
    pub(super) parents: Vec<String>,
    #[serde(default = "flat")]
    pub(super) nesting: Nesting,
    /// For the reader of the file.
    #[serde(default, rename = "about")]
    pub(super) _about: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCall {
    pub(super) action: Spanned<String>,
    pub(super) level: RawLevel,
    pub(super) method: String,
    pub(super) path: String,
    /// `json` for POST, PUT and PATCH and `none` for the rest, unless given.
    pub(super) body: Option<BodyUse>,
    pub(super) resource: Option<RawBinding>,
    #[serde(default)]
    pub(super) resources: Vec<RawBinding>,
    pub(super) otherwise: Option<RawOtherwise>,
    #[serde(default)]
    pub(super) fields: Vec<RawField>,
    pub(super) workspace_param: Option<String>,
    #[serde(default)]
    pub(super) upgrade: bool,
    #[serde(default)]
    pub(super) opaque: bool,
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
    pub(super) chosen: Option<RawChosen>,
    pub(super) id: Several,
    pub(super) also: Option<Several>,
    #[serde(rename = "in")]
    pub(super) places: Option<Vec<RawPlace>>,
    #[serde(default)]
    pub(super) optional: bool,
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
pub(super) enum RawTarget {
    Workspace,
    Account,
    Service,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawForm {
    Exact,
    Lower,
    Decimal,
    Path,
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

fn workspaces() -> Vec<RawTarget> {
    vec![RawTarget::Workspace]
}

fn workspace() -> Vec<String> {
    vec![TargetKind::Workspace.type_name().to_owned()]
}

fn flat() -> Nesting {
    Nesting::Flat
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

impl From<RawTarget> for TargetKind {
    fn from(raw: RawTarget) -> Self {
        match raw {
            RawTarget::Workspace => Self::Workspace,
            RawTarget::Account => Self::Account,
            RawTarget::Service => Self::Service,
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
