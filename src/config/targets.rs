use std::{collections::BTreeSet, sync::Arc};

use super::{
    catalog::{self, Api},
    credentials::{self, Credentials, Means},
    forms,
    path::KeyPath,
    raw::{self, TrustWord},
    report::Report,
    words::{Mode, PersonalTokens, TrustHeader},
};
use crate::{
    model::{Environment, Target, TargetKind},
    text::quoted,
};

/// One guarded target and how calls to it are treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetEntry {
    pub target: Arc<Target>,
    /// In canonical form; never empty. A host that several workspaces share is followed by the workspace id of each.
    pub hosts: Vec<String>,
    pub api: Api,
    pub credentials: Credentials,
    /// `None`: as the policy has it.
    pub mode: Option<Mode>,
    pub trust: Trust,
}

/// Which trust headers may leave the mesh with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    All,
    None,
    /// Sorted, without duplicates; never empty.
    Only(Vec<TrustHeader>),
}

/// What two entries may not have in common, as it is written.
struct Claims<'r> {
    path: KeyPath,
    kind: TargetKind,
    name: Option<&'r str>,
    hosts: &'r [String],
    id: Option<&'r str>,
}

// === impl TargetEntry ===

impl TargetEntry {
    /// The audience of assertions for it: its first host, as a URL.
    #[must_use]
    pub fn known_as(&self) -> String {
        self.hosts.first().map(|host| format!("https://{host}")).unwrap_or_default()
    }
}

pub(super) fn targets(raw: &raw::Raw, report: &mut Report<'_>) -> Option<Vec<TargetEntry>> {
    let (workspaces, accounts) = (raw.workspaces.as_deref().unwrap_or_default(), raw.accounts.as_deref().unwrap_or_default());
    let services = raw.services.as_deref().unwrap_or_default();
    if workspaces.is_empty() && accounts.is_empty() && services.is_empty() && report.is_clean() {
        report.fault(&KeyPath::default(), "no host is guarded", "add `workspaces:` with at least one");
    }
    let means = Means {
        signs: raw.trust.as_ref().is_some_and(|trust| trust.assertion.is_some()),
        insecure: raw.listen.as_ref().is_some_and(|listen| listen.insecure == Some(true)),
    };
    let at = |key: &str, index: usize| KeyPath::default().key(key).item(index);
    let mut claims: Vec<_> = workspaces.iter().enumerate().map(|(index, raw)| Claims::of_workspace(raw, at("workspaces", index))).collect();
    claims.extend(accounts.iter().enumerate().map(|(index, raw)| Claims::of_account(raw, at("accounts", index))));
    claims.extend(services.iter().enumerate().map(|(index, raw)| Claims::of_service(raw, at("services", index))));
    unique(&claims, report);
    let mut entries: Vec<_> = workspaces.iter().enumerate().map(|(index, raw)| workspace(raw, means, &at("workspaces", index), report)).collect();
    entries.extend(accounts.iter().enumerate().map(|(index, raw)| account(raw, means, &at("accounts", index), report)));
    entries.extend(services.iter().enumerate().map(|(index, raw)| service(raw, means, &at("services", index), report)));
    let entries: Option<Vec<TargetEntry>> = entries.into_iter().collect();
    if let Some(entries) = &entries {
        personal_hosts(entries, report);
        apart(entries, workspaces.len(), report);
    }
    entries
}

/// Faults an audience of what is exchanged that is also one of the assertion for services: whoever is sent that could exchange it.
fn apart(entries: &[TargetEntry], workspaces: usize, report: &mut Report<'_>) {
    for (index, entry) in entries.iter().enumerate() {
        let Credentials::Minted(minted) = &entry.credentials else { continue };
        let Some(audience) = minted.audience() else { continue };
        let Some(other) = entries.iter().find(|other| other.hosts.iter().any(|host| audience.strip_prefix("https://") == Some(host.as_str()))) else {
            continue;
        };
        // Services mint nothing.
        let (key, index) = if index < workspaces { ("workspaces", index) } else { ("accounts", index.saturating_sub(workspaces)) };
        let path = KeyPath::default().key(key).item(index).key("credentials").key("audience");
        let message = format!(
            "{} is the audience of the assertion that calls to {} `{}` carry, and whoever sees that could exchange it",
            quoted(audience),
            other.target.kind.type_name().to_lowercase(),
            other.target.name
        );
        report.fault(&path, message, "write the account id, or another audience that only the federation policy has");
    }
}

/// Faults personal access tokens for a host of several workspaces: such a token is of one of them and says so to Databricks alone, so that the request may name
/// another.
fn personal_hosts(entries: &[TargetEntry], report: &mut Report<'_>) {
    let passing = |entry: &TargetEntry| entry.credentials == Credentials::Passthrough(PersonalTokens::Passthrough);
    // Workspaces stand first.
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| passing(entry)) {
        let shared = |host: &&String| entries.iter().enumerate().any(|(other, another)| other != index && another.hosts.contains(host));
        if let Some(host) = entry.hosts.iter().find(shared) {
            let path = KeyPath::default().key("workspaces").item(index).key("credentials").key("personal_access_tokens");
            let message =
                format!("the host {} is that of several workspaces, and which of them a personal access token is of is not known here", quoted(host));
            report.fault(&path, message, "remove it, or give the workspace a host of its own");
        }
    }
}

// === impl Claims ===

impl<'r> Claims<'r> {
    fn of_workspace(raw: &'r raw::Workspace, path: KeyPath) -> Self {
        let (name, hosts) = (raw.name.as_deref(), raw.hosts.as_deref().unwrap_or_default());
        Self { path, kind: TargetKind::Workspace, name, hosts, id: raw.workspace_id.as_deref() }
    }

    fn of_account(raw: &'r raw::Account, path: KeyPath) -> Self {
        let (name, hosts) = (raw.name.as_deref(), raw.hosts.as_deref().unwrap_or_default());
        Self { path, kind: TargetKind::Account, name, hosts, id: raw.account_id.as_deref() }
    }

    fn of_service(raw: &'r raw::Service, path: KeyPath) -> Self {
        let (name, hosts) = (raw.name.as_deref(), raw.hosts.as_deref().unwrap_or_default());
        Self { path, kind: TargetKind::Service, name, hosts, id: None }
    }

    /// Two targets may share a host only where a request can tell them apart: by the workspace id that both have.
    fn may_share_with(&self, other: &Self) -> bool {
        self.kind == TargetKind::Workspace && other.kind == TargetKind::Workspace && self.id.is_some() && other.id.is_some()
    }
}

fn unique(all: &[Claims<'_>], report: &mut Report<'_>) {
    for (index, one) in all.iter().enumerate() {
        for earlier in all.iter().take(index) {
            let same_kind = one.kind == earlier.kind;
            if let Some(name) = one.name.filter(|_| same_kind && one.name == earlier.name) {
                report.fault(&one.path.key("name"), format!("the name {} stands twice", quoted(name)), "give each its own");
            }
            if let Some(id) = one.id.filter(|_| same_kind && one.id == earlier.id) {
                let key = if one.kind == TargetKind::Workspace { "workspace_id" } else { "account_id" };
                report.fault(&one.path.key(key), format!("{key} {} stands twice", quoted(id)), "write one entry with all its hosts");
            }
            for (at, host) in one.hosts.iter().enumerate().filter(|(_, host)| earlier.hosts.contains(host) && !one.may_share_with(earlier)) {
                let help = "several workspaces may share a host if each says its `workspace_id`; nothing else may";
                report.fault(&one.path.key("hosts").item(at), format!("the host {} belongs to `{}` too", quoted(host), earlier.path), help);
            }
        }
    }
}

fn workspace(raw: &raw::Workspace, means: Means, path: &KeyPath, report: &mut Report<'_>) -> Option<TargetEntry> {
    let name = raw.name.as_deref().and_then(|text| forms::name(text, &path.key("name"), report));
    let hosts = raw.hosts.as_deref().and_then(|texts| forms::some(texts, &path.key("hosts"), report, forms::host));
    let environment = raw.environment.as_deref().and_then(|text| forms::name(text, &path.key("environment"), report));
    let workspace_id = raw.workspace_id.as_deref().and_then(|text| workspace_id(text, &path.key("workspace_id"), report));
    let account_id = raw.account_id.as_deref().and_then(|text| account_id(text, &path.key("account_id"), report));
    let trust = trust(raw.trust.as_ref(), &path.key("trust"), report);
    let target = Target { kind: TargetKind::Workspace, name: name?, workspace_id, account_id, environment: Some(Environment(environment?)) };
    let hosts = hosts?;
    let credentials = credentials::credentials(raw.credentials.as_ref(), &target, &hosts, means, &path.key("credentials"), report)?;
    Some(TargetEntry { target: Arc::new(target), hosts, api: Api::Workspace, credentials, mode: raw.mode, trust })
}

fn account(raw: &raw::Account, means: Means, path: &KeyPath, report: &mut Report<'_>) -> Option<TargetEntry> {
    let name = raw.name.as_deref().and_then(|text| forms::name(text, &path.key("name"), report));
    let hosts = raw.hosts.as_deref().and_then(|texts| forms::some(texts, &path.key("hosts"), report, forms::host));
    let account_id = raw.account_id.as_deref().and_then(|text| account_id(text, &path.key("account_id"), report));
    let trust = trust(raw.trust.as_ref(), &path.key("trust"), report);
    let target = Target { kind: TargetKind::Account, name: name?, workspace_id: None, account_id: Some(account_id?), environment: None };
    let hosts = hosts?;
    let credentials = credentials::credentials(raw.credentials.as_ref(), &target, &hosts, means, &path.key("credentials"), report)?;
    Some(TargetEntry { target: Arc::new(target), hosts, api: Api::Account, credentials, mode: raw.mode, trust })
}

fn service(raw: &raw::Service, means: Means, path: &KeyPath, report: &mut Report<'_>) -> Option<TargetEntry> {
    let name = raw.name.as_deref().and_then(|text| forms::name(text, &path.key("name"), report));
    let hosts = raw.hosts.as_deref().and_then(|texts| forms::some(texts, &path.key("hosts"), report, forms::host));
    let environment = raw.environment.as_deref().and_then(|text| forms::name(text, &path.key("environment"), report));
    let api = raw.catalog.as_deref().and_then(|text| catalog::of_service(text, &path.key("catalog"), report));
    let trust = trust(raw.trust.as_ref(), &path.key("trust"), report);
    let environment = Some(Environment(environment?));
    let target = Target { kind: TargetKind::Service, name: name?, workspace_id: None, account_id: None, environment };
    let hosts = hosts?;
    let credentials = credentials::credentials(raw.credentials.as_ref(), &target, &hosts, means, &path.key("credentials"), report)?;
    Some(TargetEntry { target: Arc::new(target), hosts, api: api?, credentials, mode: raw.mode, trust })
}

fn trust(raw: Option<&raw::Trust>, path: &KeyPath, report: &mut Report<'_>) -> Trust {
    match raw {
        None | Some(raw::Trust::Word(TrustWord::All)) => Trust::All,
        Some(raw::Trust::Word(TrustWord::None)) => Trust::None,
        Some(raw::Trust::Only(headers)) => {
            if headers.is_empty() {
                report.fault(path, "the list is empty", "write `none`");
            }
            Trust::Only(headers.iter().copied().collect::<BTreeSet<_>>().into_iter().collect())
        }
    }
}

/// A workspace id as Databricks writes it in `X-Databricks-Workspace-Id`: decimal, without sign and leading zero, within 64 bits.
fn workspace_id(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<Arc<str>> {
    let good = text.parse::<u64>().is_ok_and(|id| id != 0 && id.to_string() == text);
    if !good {
        report.fault(path, format!("{} is not a workspace id", quoted(text)), "write the plain decimal number, as `\"1234567890123456\"`");
    }
    good.then(|| text.into())
}

fn account_id(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<Arc<str>> {
    let good = uuid::Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text);
    if !good {
        report.fault(
            path,
            format!("{} is not an account id", quoted(text)),
            "write the UUID in lower case, as `0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9`",
        );
    }
    good.then(|| text.into())
}
