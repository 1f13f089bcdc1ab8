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

pub use catalog::Catalog;

use crate::{
    model::{Body, Call, Intent, Reason, Refusal, Target},
    text::shown,
};

/// The path where every Databricks SDK asks what a host is, before it has a token.
const DISCOVERY: &str = "/.well-known/databricks-config";

/// One target and the hosts it is reached by.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    pub target: Arc<Target>,
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
    /// One message for each host that several targets share without a workspace id of their own.
    pub fn new(catalog: Arc<Catalog>, targets: Vec<TargetConfig>) -> Result<Self, Vec<String>> {
        Ok(Self { catalog, targets: target::Targets::new(targets)? })
    }

    #[must_use]
    pub fn catalog(&self) -> &Catalog {
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
        self.targets.of_call(call).cloned()
    }

    /// What `call` would do, on which resources of which target.
    ///
    /// # Errors
    /// Every reason from `BodyUnreadable` to `WorkspaceAmbiguous`, and `HostUnknown`, `CallUnknown` and `UpgradeRefused`.
    pub fn classify(&self, call: &Call<'_>) -> Result<Intent, Refusal> {
        let target = self.target(call)?;
        let found = self.catalog.find(call);
        let upgrade = call.upgrade.as_ref().filter(|_| !found.as_ref().is_ok_and(|(entry, _)| entry.upgrade));
        if let Some(upgrade) = upgrade {
            let detail = format!("the call asks to switch to `{}`, after which nothing more could be decided", shown(&upgrade.0));
            return Err(refuse(Reason::UpgradeRefused, detail));
        }
        let (entry, captures) = found?;
        if !entry.targets.contains(&target.kind) {
            let detail = format!("`{}` is not a call of {} `{}`", entry.action.name, target.kind.type_name().to_lowercase(), target.name);
            return Err(refuse(Reason::CallUnknown, detail));
        }
        let reading = extract::Reading::new(entry, call, captures)?;
        if let Some(index) = entry.workspace_param
            && (target.workspace_id.is_none() || reading.param(index).as_deref() != target.workspace_id.as_deref())
        {
            return Err(refuse(Reason::WorkspaceAmbiguous, "the path names a workspace that is not the one of this host"));
        }
        let resources = resources::of_call(self.catalog.kinds(), &target, entry, &reading)?;
        let fields = fields::of_call(entry, &reading)?;
        Ok(Intent { action: entry.action.clone(), resources, fields, target })
    }
}

fn refuse(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(reason, detail)
}
