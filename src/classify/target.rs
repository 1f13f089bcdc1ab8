//! Which target a call is for: by exact host, and every workspace id in the request must be that target's.

use std::{collections::HashMap, sync::Arc};

use super::{
    Catalog, TargetConfig,
    catalog::ApiId,
    key::{Key, Spelling},
    refuse,
};
use crate::{
    model::{Call, Reason, Refusal, Target, TargetKind},
    text::shown,
};

/// The targets by host.
#[derive(Debug)]
pub(super) struct Targets {
    by_host: HashMap<Box<str>, Vec<Site>>,
    /// Query keys that choose a workspace on hosts that several share: `o`, and the newer `w`.
    selectors: [Key; 2],
}

/// One target, and which calls are made to it.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) target: Arc<Target>,
    pub(super) api: ApiId,
}

// === impl Targets ===

impl Targets {
    /// # Errors
    /// One message for each host that could not say which of its targets is meant, and for each API that `catalog` does not have.
    pub(super) fn new(configs: Vec<TargetConfig>, catalog: &Catalog) -> Result<Self, Vec<String>> {
        let mut by_host: HashMap<Box<str>, Vec<Site>> = HashMap::new();
        let mut faults = Vec::new();
        for config in configs {
            let Some(api) = catalog.api(&config.api) else {
                let (api, name) = (config.api.escape_debug(), &config.target.name);
                faults.push(format!(
                    "the catalog has no call of the API `{api}`, which `{name}` serves; calls of a service's own file leave out `targets`"
                ));
                continue;
            };
            for host in config.hosts {
                let sites = by_host.entry(host.into()).or_default();
                if sites.iter().all(|site| site.target != config.target) {
                    sites.push(Site { target: config.target.clone(), api });
                }
            }
        }
        faults.extend(by_host.iter().filter_map(|(host, sites)| shared(host, sites)));
        faults.sort_unstable();
        if faults.is_empty() { Ok(Self { by_host, selectors: [Key::new("o"), Key::new("w")] }) } else { Err(faults) }
    }

    /// # Errors
    /// `HostUnknown`, or `WorkspaceAmbiguous` where an id in the request is not the target's, or chooses none of those that share the host.
    pub(super) fn of_call(&self, call: &Call<'_>) -> Result<&Site, Refusal> {
        let host = call.host.as_str();
        let Some(sites) = self.by_host.get(host) else {
            return Err(refuse(Reason::HostUnknown, format!("no workspace, account or service is configured for the host `{}`", shown(host))));
        };
        // A service that is not Databricks gives the query's keys a meaning of its own.
        if let [site] = sites.as_slice()
            && site.target.kind == TargetKind::Service
        {
            return Ok(site);
        }
        let ids = self.named(call)?;
        let mut fitting = sites.iter().filter(|site| ids.iter().all(|id| site.target.workspace_id.as_deref() == Some(*id)));
        match (fitting.next(), fitting.next()) {
            (Some(site), None) => Ok(site),
            (Some(_), Some(_)) => {
                Err(refuse(Reason::WorkspaceAmbiguous, "several workspaces share this host: name one in `X-Databricks-Workspace-Id`"))
            }
            (None, _) => Err(refuse(Reason::WorkspaceAmbiguous, "the request names a workspace that is not the one of this host")),
        }
    }

    /// Every workspace id that the request carries.
    fn named<'c>(&self, call: &'c Call<'_>) -> Result<Vec<&'c str>, Refusal> {
        let mut ids: Vec<&str> = call.headers.workspace_ids.to_vec();
        for (name, value) in &call.query.pairs {
            match self.selectors.iter().map(|key| key.spelling(name)).find(|spelling| *spelling != Spelling::Other) {
                None | Some(Spelling::Other) => {}
                Some(Spelling::Good) => ids.push(value),
                Some(Spelling::Doubtful) => {
                    return Err(refuse(Reason::WorkspaceAmbiguous, format!("the query has `{}`, which could name a workspace", shown(name))));
                }
            }
        }
        Ok(ids)
    }
}

/// What is wrong with `sites` sharing `host`.
fn shared(host: &str, sites: &[Site]) -> Option<String> {
    if sites.len() < 2 {
        return None;
    }
    let targets = || sites.iter().map(|site| &site.target);
    let mut ids: Vec<&str> = targets().filter_map(|target| target.workspace_id.as_deref()).collect();
    ids.sort_unstable();
    ids.dedup();
    let names = targets().map(|target| format!("`{}`", target.name)).collect::<Vec<_>>().join(", ");
    (ids.len() < sites.len())
        .then(|| format!("{names} share the host `{}`, so that each of them needs a `workspace_id` of its own", host.escape_debug()))
}
