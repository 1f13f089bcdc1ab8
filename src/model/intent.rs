use std::sync::Arc;

use smallvec::SmallVec;

use super::{EntityRef, Target};

/// What a call would do: an action of the catalog on one or more resources of one target.
#[derive(Clone, Debug)]
pub struct Intent {
    pub target: Arc<Target>,
    pub action: Arc<Action>,
    /// Never empty; a request for several needs every one of them permitted.
    pub resources: SmallVec<[Resource; 1]>,
    /// The body fields that policies may read as `context.request.<name>`, in the catalog's order; absent ones are left out.
    pub fields: Vec<Field>,
    /// The narrowest scopes that a token of Databricks' needs for it, with one space between each; `None` where the catalog knows of none.
    pub scope: Option<Arc<str>>,
}

/// One action of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// `service.method`, as `databricks-sdk` for Python names it: `serving_endpoints.query`.
    pub name: Arc<str>,
    /// The part before the last dot: `serving_endpoints`.
    pub service: Arc<str>,
    pub level: Level,
    /// What else it does that a policy may want to know; each is a group of actions: `Action::"executes"`.
    pub marks: Vec<Mark>,
    /// Wider actions that hold it: `permissions.update` holds `jobs.update_permissions`, which is the same call on one type.
    pub within: Vec<Arc<str>>,
}

/// What an action does beyond its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// Runs what the request does not show in full: code, SQL, an agent, a pipeline.
    Executes,
    /// Makes Databricks call out, or send data out of Databricks.
    Egress,
    /// Returns a URL that works without the mesh.
    Presigned,
    /// Returns a token, a secret, a password or another credential.
    Mints,
}

/// How far an action reaches, in Databricks' own steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    Read,
    Use,
    Write,
    Manage,
    Admin,
    /// Returns a secret, a token, a credential or a presigned URL; never implied by `Read`.
    Credentials,
}

/// One object that a call acts on, with everything it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `Job::"stage/42"`; for a call about no single object, the target's own entity.
    pub entity: EntityRef,
    /// All ancestors, nearest first: `Schema`, `Catalog`, `Workspace`, `Environment`.
    pub ancestors: Vec<EntityRef>,
}

/// One named value that policies may read: a field of a body, a claim of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: Arc<str>,
    pub value: FieldValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    Text(String),
    Long(i64),
    Bool(bool),
    /// A set of texts.
    Texts(Vec<String>),
}

// === impl Intent ===

impl Intent {
    /// The scope of a call of which the catalog knows no narrower (Databricks: *API scopes*).
    pub const ALL_APIS: &str = "all-apis";
}

// === impl Action ===

impl Action {
    /// The names of the groups that its entry gives it, beyond service and level.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.marks.iter().map(|mark| mark.as_str()).chain(self.within.iter().map(|wider| &**wider))
    }
}

// === impl FieldValue ===

impl FieldValue {
    /// Its texts; a number or a truth value has none.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::Texts(texts) => texts,
            Self::Long(_) | Self::Bool(_) => &[],
        }
    }
}

// === impl Mark ===

impl Mark {
    pub const ALL: [Self; 4] = [Self::Executes, Self::Egress, Self::Presigned, Self::Mints];

    /// As a policy writes it: `Action::"executes"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Executes => "executes",
            Self::Egress => "egress",
            Self::Presigned => "presigned",
            Self::Mints => "mints",
        }
    }
}

// === impl Level ===

impl Level {
    pub const ALL: [Self; 6] = [Self::Read, Self::Use, Self::Write, Self::Manage, Self::Admin, Self::Credentials];

    /// As a policy writes it: `Action::"read"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Use => "use",
            Self::Write => "write",
            Self::Manage => "manage",
            Self::Admin => "admin",
            Self::Credentials => "credentials",
        }
    }
}
