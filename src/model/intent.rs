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
}

/// One action of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// `service.method`, as `databricks-sdk` for Python names it: `serving_endpoints.query`.
    pub name: Arc<str>,
    /// The part before the last dot: `serving_endpoints`.
    pub service: Arc<str>,
    pub level: Level,
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

/// One body field worth a policy's attention.
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
