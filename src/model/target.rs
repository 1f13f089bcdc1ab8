use std::sync::Arc;

use super::{EntityRef, Name};

/// What a host belongs to: a Databricks workspace, a Databricks account, or a service that is not Databricks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub kind: TargetKind,
    pub name: Name,
    /// The Databricks workspace id, plain decimal; `None` for accounts and services.
    pub workspace_id: Option<Arc<str>>,
    /// The Databricks account id; `None` for services, and for workspaces that do not say it.
    pub account_id: Option<Arc<str>>,
    /// `None` for accounts, which are in no environment.
    pub environment: Option<Environment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    Workspace,
    Account,
    Service,
}

/// The environment of a target, e.g. `dev`, `staging` or `prod`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Environment(pub Name);

// === impl Target ===

impl Target {
    /// The entity that stands for the target: `Workspace::"stage"`, `Account::"main"` or `Service::"mlflow"`.
    #[must_use]
    pub fn entity(&self) -> EntityRef {
        EntityRef::new(&super::TypeName::new(self.kind.type_name()), self.name.as_str())
    }
}

// === impl TargetKind ===

impl TargetKind {
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Workspace => "Workspace",
            Self::Account => "Account",
            Self::Service => "Service",
        }
    }
}
