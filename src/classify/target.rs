//! Which target a call is for: by exact host, and every workspace id in the request must be that target's.

use std::{collections::HashMap, sync::Arc};

use super::{
    TargetConfig,
    key::{Key, Spelling},
    refuse,
};
use crate::{
    model::{Call, Reason, Refusal, Target},
    text::shown,
};

/// The targets by host.
#[derive(Debug)]
pub(super) struct Targets {
    by_host: HashMap<Box<str>, Vec<Arc<Target>>>,
    /// Query keys that choose a workspace on hosts that several share: `o`, and the newer `w`.
    selectors: [Key; 2],
}

// === impl Targets ===

impl Targets {
    /// # Errors
    /// One message for each host that could not say which of its targets is meant.
    pub(super) fn new(configs: Vec<TargetConfig>) -> Result<Self, Vec<String>> {
        let mut by_host: HashMap<Box<str>, Vec<Arc<Target>>> = HashMap::new();
        for config in configs {
            for host in config.hosts {
                let targets = by_host.entry(host.into()).or_default();
                if !targets.contains(&config.target) {
                    targets.push(config.target.clone());
                }
            }
        }
        let mut faults: Vec<String> = by_host.iter().filter_map(|(host, targets)| shared(host, targets)).collect();
        faults.sort_unstable();
        if faults.is_empty() { Ok(Self { by_host, selectors: [Key::new("o"), Key::new("w")] }) } else { Err(faults) }
    }

    /// # Errors
    /// `HostUnknown`, or `WorkspaceAmbiguous` where an id in the request is not the target's, or chooses none of those that share the host.
    pub(super) fn of_call(&self, call: &Call<'_>) -> Result<&Arc<Target>, Refusal> {
        let host = call.host.as_str();
        let Some(targets) = self.by_host.get(host) else {
            return Err(refuse(Reason::HostUnknown, format!("no workspace, account or service is configured for the host `{}`", shown(host))));
        };
        let ids = self.named(call)?;
        let mut fitting = targets.iter().filter(|target| ids.iter().all(|id| target.workspace_id.as_deref() == Some(*id)));
        match (fitting.next(), fitting.next()) {
            (Some(target), None) => Ok(target),
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

/// What is wrong with `targets` sharing `host`.
fn shared(host: &str, targets: &[Arc<Target>]) -> Option<String> {
    if targets.len() < 2 {
        return None;
    }
    let mut ids: Vec<&str> = targets.iter().filter_map(|target| target.workspace_id.as_deref()).collect();
    ids.sort_unstable();
    ids.dedup();
    let names = targets.iter().map(|target| format!("`{}`", target.name)).collect::<Vec<_>>().join(", ");
    (ids.len() < targets.len())
        .then(|| format!("{names} share the host `{}`, so that each of them needs a `workspace_id` of its own", host.escape_debug()))
}
