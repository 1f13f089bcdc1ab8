use std::{fmt, sync::Arc};

/// A Cedar entity type of the catalog or of the principals: `ServingEndpoint`, `Group`, …; a Cedar identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeName(Arc<str>);

/// A type and an id, as a policy names them: `ServingEndpoint::"stage/sales"`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityRef {
    pub kind: TypeName,
    pub id: Arc<str>,
}

// === impl TypeName ===

impl TypeName {
    /// `text` must be a Cedar identifier; the catalog and the schema test hold that it is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl EntityRef ===

impl EntityRef {
    #[must_use]
    pub fn new(kind: &TypeName, id: &str) -> Self {
        Self { kind: kind.clone(), id: id.into() }
    }
}

/// As it is written in a policy: `Job::"stage/42"`, the id escaped.
impl fmt::Display for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::\"{}\"", self.kind, self.id.escape_debug())
    }
}
