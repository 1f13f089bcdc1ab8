//! What a call would do: a Databricks action and its resources, from the catalog. What the catalog does not know is refused, never guessed.

mod asked;
mod body;
mod catalog;
mod entry;
mod extract;
mod fields;
mod form;
mod key;
mod keys;
mod kinds;
mod matcher;
mod resources;
mod target;
mod template;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::HashMap, fmt, sync::Arc};

pub use asked::Asked;
pub use catalog::{Catalog, CatalogFile, Change, ChangeKind};

use crate::model::{Action, Body, Call, EntityRef, Intent, MediaType, Reason, Refusal, Target, TargetKind};

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
    /// Second names of objects, each with the name that policies use.
    names: Arc<HashMap<EntityRef, EntityRef>>,
}

/// An entry of the catalog. Its `Display` is as docs/catalog.md has it: `POST /api/{2.0|2.1|2.2}/jobs/run-now`.
#[derive(Clone, Copy, Debug)]
pub struct Known<'c> {
    pub action: &'c Action,
    pub method: &'c str,
    /// The template.
    pub path: &'c str,
    /// The protocol that the call switches to.
    pub upgrade: Option<&'c str>,
}

// === impl Known ===

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        self.upgrade.map_or(Ok(()), |protocol| write!(f, " as {protocol}"))
    }
}

// === impl Classifier ===

impl Classifier {
    /// # Errors
    /// One message for each host that several targets share without a workspace id of their own, and for each API that the catalog does not have.
    pub fn new(catalog: Arc<Catalog>, targets: Vec<TargetConfig>) -> Result<Self, Vec<String>> {
        let targets = target::Targets::new(targets, &catalog)?;
        Ok(Self { catalog, targets, names: Arc::default() })
    }

    /// The same, for requests that may have other names for objects than policies: of each pair the first is taken for the second.
    #[must_use]
    pub fn naming(self, names: Arc<HashMap<EntityRef, EntityRef>>) -> Self {
        Self { names, ..self }
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

    /// As much of the path of `call` as the catalog knows letter by letter, with `/…` for the rest: of a closed set, whatever callers send.
    #[must_use]
    pub fn known_path(&self, call: &Call<'_>) -> String {
        self.targets.of_call(call).ok().map_or_else(|| "/…".to_owned(), |site| self.catalog.known_path(site.api, call))
    }

    /// The entry of the catalog that says what `call` is, by method and path alone; `None` where no entry does.
    #[must_use]
    pub fn entry(&self, call: &Call<'_>) -> Option<Known<'_>> {
        let (entry, _) = self.catalog.find(self.targets.of_call(call).ok()?.api, call).ok()?;
        Some(Known { action: &entry.action, method: &entry.method, path: &entry.path, upgrade: entry.upgrade.as_deref() })
    }

    /// What `call` would do, on which resources of which target.
    ///
    /// # Errors
    /// Every reason from `BodyUnreadable` to `WorkspaceAmbiguous`, and `HostUnknown`, `CallUnknown` and `UpgradeRefused`.
    pub fn classify(&self, call: &Call<'_>) -> Result<Intent, Refusal> {
        let site = self.targets.of_call(call)?;
        let target = Arc::clone(&site.target);
        if asked::own(call).is_some() {
            return Err(asked::unknown(call));
        }
        let (entry, params) = self.catalog.find(site.api, call)?;
        let form = form::as_json(entry, &call.body)?;
        let body = form.as_ref().map(|text| Body::Whole { bytes: text.as_bytes(), media: MediaType::Json });
        let reading = extract::Reading::new(entry, call, body.as_ref().unwrap_or(&call.body), params)?;
        let differs = |param: Option<usize>, id: Option<&str>| param.is_some_and(|index| id.is_none() || reading.param(index).as_deref() != id);
        if differs(entry.workspace_param, target.workspace_id.as_deref()) {
            return Err(refuse(Reason::WorkspaceAmbiguous, "the path names a workspace that is not the one of this host"));
        }
        // On hosts of several workspaces this key routes too; where the call has it for itself, it is the call's.
        let routes = |name: &str| name.eq_ignore_ascii_case("workspace_id") || name.eq_ignore_ascii_case("workspaceid");
        if target.kind == TargetKind::Workspace
            && entry.sources().all(|source| !routes(source.as_str()))
            && call.query.pairs.iter().any(|(name, id)| routes(name) && target.workspace_id.as_deref() != Some(&**id))
        {
            return Err(refuse(Reason::WorkspaceAmbiguous, "the query names a workspace that is not the one of this host"));
        }
        if differs(entry.account_param, target.account_id.as_deref()) {
            return Err(refuse(Reason::WorkspaceAmbiguous, "the path names an account that is not the one of this host"));
        }
        let mut resources = resources::of_call(self.catalog.kinds(), &target, entry, &reading)?;
        if !self.names.is_empty() {
            resources::rename(self.catalog.kinds(), &target, &self.names, &mut resources)?;
        }
        let fields = fields::of_call(entry, &reading)?;
        Ok(Intent { action: entry.action.clone(), resources, fields, scope: entry.scope.clone(), target })
    }
}

fn refuse(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(reason, detail)
}
