//! What a call would do: a Databricks action and its resources, from the catalog. What the catalog does not know is refused, never guessed.

mod body;
mod catalog;
mod entry;
mod extract;
mod fields;
mod key;
mod kinds;
mod matcher;
mod resources;
mod target;
mod template;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc};

pub use catalog::{Catalog, CatalogFile};

use crate::model::{Body, Call, Intent, Reason, Refusal, Target};

/// The path where every Databricks SDK asks what a host is, before it has a token.
const DISCOVERY: &str = "/.well-known/databricks-config";

/// One target and the hosts it is reached by.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    pub target: Arc<Target>,
    /// The API of the catalog that it serves: `workspace`, `account`, or one of services.
    pub api: Arc<str>,
    /// In the canonical form of [`Host`](crate::model::Host).
    pub hosts: Vec<String>,
}

/// The stage: a catalog and the targets it is asked about.
#[derive(Debug)]
pub struct Classifier {
    catalog: Arc<Catalog>,
    targets: target::Targets,
}

// === impl Classifier ===

impl Classifier {
    /// # Errors
    /// One message for each host that several targets share without a workspace id of their own, and for each API that the catalog does not have.
    pub fn new(catalog: Arc<Catalog>, targets: Vec<TargetConfig>) -> Result<Self, Vec<String>> {
        let targets = target::Targets::new(targets, &catalog)?;
        Ok(Self { catalog, targets })
    }

    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Which target is asked about, where `call` is the SDKs' question what a host is; `None` for any other call.
    #[must_use]
    pub fn discovery(&self, call: &Call<'_>) -> Option<Result<Arc<Target>, Refusal>> {
        let asks = matches!(call.method, "GET" | "HEAD") && call.path.raw == DISCOVERY && call.upgrade.is_none();
        (asks && matches!(call.body, Body::Absent | Body::Whole { bytes: [], .. })).then(|| self.target(call))
    }

    /// The target by host; every workspace id in the request must be its own.
    ///
    /// # Errors
    /// `HostUnknown` or `WorkspaceAmbiguous`.
    pub fn target(&self, call: &Call<'_>) -> Result<Arc<Target>, Refusal> {
        self.targets.of_call(call).map(|site| Arc::clone(&site.target))
    }

    /// The entry of the catalog that says what `call` is, as method and path template; `None` where no entry does.
    #[must_use]
    pub fn entry(&self, call: &Call<'_>) -> Option<String> {
        let (entry, _) = self.catalog.find(self.targets.of_call(call).ok()?.api, call).ok()?;
        let upgrade = entry.upgrade.as_deref().map(|protocol| format!(" as {protocol}")).unwrap_or_default();
        Some(format!("{} {}{upgrade}", entry.method, entry.path))
    }

    /// What `call` would do, on which resources of which target.
    ///
    /// # Errors
    /// Every reason from `BodyUnreadable` to `WorkspaceAmbiguous`, and `HostUnknown`, `CallUnknown` and `UpgradeRefused`.
    pub fn classify(&self, call: &Call<'_>) -> Result<Intent, Refusal> {
        let site = self.targets.of_call(call)?;
        let target = Arc::clone(&site.target);
        let (entry, params) = self.catalog.find(site.api, call)?;
        let reading = extract::Reading::new(entry, call, params)?;
        let differs = |param: Option<usize>, id: Option<&str>| param.is_some_and(|index| id.is_none() || reading.param(index).as_deref() != id);
        if differs(entry.workspace_param, target.workspace_id.as_deref()) {
            return Err(refuse(Reason::WorkspaceAmbiguous, "the path names a workspace that is not the one of this host"));
        }
        if differs(entry.account_param, target.account_id.as_deref()) {
            return Err(refuse(Reason::WorkspaceAmbiguous, "the path names an account that is not the one of this host"));
        }
        let resources = resources::of_call(self.catalog.kinds(), &target, entry, &reading)?;
        let fields = fields::of_call(entry, &reading)?;
        Ok(Intent { action: entry.action.clone(), resources, fields, target })
    }
}

fn refuse(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(reason, detail)
}
