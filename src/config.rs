//! The configuration: from the text of `lakegate.yaml` to a [`Config`] in which everything has been checked.
//!
//! ```text
//! text ──yaml──► located tree ──walk (JSON Schema)──► Raw ──check──► Config
//!                     └────────────── every fault, with its line and its mend ──────────────┘
//! ```
//!
//! All faults of a file are reported at once. What the interface names and this version does not have is refused, never ignored.

mod bindings;
mod catalog;
mod claims;
mod credentials;
mod document;
mod files;
mod forms;
mod introspection;
mod issuers;
mod listen;
mod path;
mod peers;
mod quote;
pub mod raw;
mod reference;
mod report;
mod schema;
mod secrets;
mod service;
mod targets;
pub mod units;
mod walk;
mod words;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{
    bindings::{Binding, Bindings},
    catalog::{Api, CatalogFiles},
    claims::Claims,
    credentials::{Assertion, Credentials, Minted, MintedFor, PrincipalRule},
    document::{Document, document_schema},
    introspection::{ClientProof, Introspection},
    issuers::Issuer,
    listen::{Listen, Tls},
    path::KeyPath,
    peers::{PeerProxy, Peers},
    reference::reference,
    schema::json_schema,
    secrets::SecretPlace,
    service::{Audit, AuditSink, Grants, Limits, Policy, Telemetry},
    targets::{TargetEntry, Trust},
    words::{
        Algorithm, AssertionAudience, BoundKind, ClaimType, CredentialMode, Explain, Fsync, Identity, IntrospectWhen, Kind, LogFormat, LogLevel,
        Mode, OnFailure, Overage, PeerSource, PersonalTokens, Possession, Provider, TrustHeader,
    },
};
use self::{raw::Raw, report::Report};
use crate::{model::Fault, yaml};

/// A configuration that has been checked. Paths are resolved against the folder of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    pub listen: Listen,
    pub peers: Peers,
    /// Unique by name and by `iss`.
    pub issuers: Vec<Issuer>,
    /// Workspaces, then accounts, then services; never empty.
    pub targets: Vec<TargetEntry>,
    /// Where what must outlive a restart is kept.
    pub state_dir: Option<PathBuf>,
    pub catalog: CatalogFiles,
    pub policy: Policy,
    /// `x-`…`-`, in lower case.
    pub trust_prefix: String,
    /// `None` where nothing is signed.
    pub assertion: Option<Assertion>,
    pub audit: Audit,
    pub explain_to_caller: Explain,
    /// May hold `{decision}`.
    pub help_url: Option<String>,
    pub telemetry: Telemetry,
    pub limits: Limits,
    /// After this long a fault is answered with 403 in place of 503.
    pub faults_visible_after: Duration,
}

// === impl Config ===

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Every fault of the file, in its order.
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        let text = read(path).map_err(|fault| vec![fault])?;
        Self::parse(path, &text)
    }

    /// Checks `text` as if it stood in the file at `path`; the files that it names are looked for.
    ///
    /// # Errors
    /// Every fault of the text, in its order.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Vec<Fault>> {
        let (root, found) = yaml::read(text);
        let faults: Vec<Fault> = found.into_iter().map(|found| found.fault(path)).collect();
        let root = match root {
            Some(root) => root,
            None if faults.is_empty() => return Err(vec![report::file_fault(path, "the file is empty".to_owned(), "begin with `version: 1`")]),
            None => return Err(faults),
        };
        let mut report = Report::new(path, &root, faults);
        let good = walk::walk(&root, schema::root(), &mut report);
        let config = match serde_json::from_value::<Raw>(good) {
            Ok(raw) => check(&raw, path, &mut report),
            Err(error) if report.is_clean() => {
                return Err(vec![report::file_fault(path, format!("the file cannot be read: {error}"), "compare it with the JSON Schema")]);
            }
            Err(_) => None,
        };
        match config {
            Some(config) if report.is_clean() => Ok(config),
            None if report.is_clean() => Err(vec![report::file_fault(path, "the file cannot be used".to_owned(), "compare it with the JSON Schema")]),
            _ => Err(report.into_faults()),
        }
    }

    /// The files and folders whose change is a change of what lakegate decides by, this one first.
    #[must_use]
    pub fn watched(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.file.clone(), self.policy.dir.clone()];
        paths.extend(self.policy.entities.clone());
        paths.extend(self.policy.groups.clone());
        paths.extend(self.policy.access.clone());
        paths.extend(self.policy.grants.as_ref().map(|grants| grants.dir.clone()));
        paths.extend(self.policy.candidate.clone());
        paths.extend(self.catalog.dir.clone());
        paths.extend(self.catalog.extra.iter().cloned());
        paths.extend(self.targets.iter().filter_map(|entry| if let Api::Own(file) = &entry.api { Some(file.clone()) } else { None }));
        paths.extend(self.issuers.iter().filter_map(|issuer| issuer.jwks_file.clone()));
        paths.extend(self.issuers.iter().filter_map(|issuer| issuer.introspection.as_ref()?.file().cloned()));
        paths.extend(self.assertion.iter().flat_map(|assertion| assertion.keys.iter().cloned()));
        paths.extend(self.targets.iter().filter_map(|entry| entry.credentials.file().cloned()));
        paths.extend(self.listen.tls.iter().flat_map(|tls| [tls.cert.clone(), tls.key.clone(), tls.client_ca.clone()]));
        paths
    }
}

fn check(raw: &Raw, file: &Path, report: &mut Report<'_>) -> Option<Config> {
    let at = |key: &str| KeyPath::default().key(key);
    if let Some(version) = raw.version.filter(|version| *version != VERSION) {
        report.fault(&at("version"), format!("version `{version}` is not known"), format!("write `{VERSION}`"));
    }
    let listen = raw.listen.as_ref().and_then(|raw| listen::listen(raw, &at("listen"), report));
    let tls = raw.listen.as_ref().is_some_and(|listen| listen.tls.is_some());
    let peers = raw.peers.as_ref().and_then(|raw| peers::peers(raw, tls, &at("peers"), report));
    let issuers = issuers::issuers(raw.issuers.as_deref().unwrap_or_default(), peers.as_ref(), &at("issuers"), report);
    issuers::unknown_groups(raw.issuers.as_deref().unwrap_or_default(), raw.policy.as_ref(), &at("issuers"), report);
    let targets = targets::targets(raw, report);
    let state_dir = raw.state_dir.as_deref().map(|written| files::folder(written, &at("state_dir"), report));
    let catalog = catalog::files(raw.catalog.as_ref().unwrap_or(&raw::CatalogFiles::default()), &at("catalog"), report);
    let policy = raw.policy.as_ref().and_then(|raw| service::policy(raw, peers.as_ref(), &at("policy"), report));
    let trust_prefix = service::trust_prefix(raw.trust.as_ref().unwrap_or(&raw::TrustHeaders::default()), &at("trust"), report);
    let assertion = raw.trust.as_ref().and_then(|trust| trust.assertion.as_ref());
    let assertion = assertion.map(|raw| credentials::assertion(raw, &at("trust").key("assertion"), report));
    let audit = service::audit(raw.audit.as_ref().unwrap_or(&raw::Audit::default()), &at("audit"), report);
    let help_url = raw.help_url.as_deref().and_then(|text| service::help_url(text, &at("help_url"), report));
    let telemetry = service::telemetry(raw.telemetry.as_ref().unwrap_or(&raw::Telemetry::default()), &at("telemetry"), report);
    let limits = service::limits(raw.limits.as_ref().unwrap_or(&raw::Limits::default()), &at("limits"), report);
    let visible_after = service::visible_after(raw.faults.as_ref().unwrap_or(&raw::Faults::default()), &at("faults"), report);
    Some(Config {
        file: file.to_owned(),
        listen: listen?,
        peers: peers?,
        issuers: issuers?,
        targets: targets?,
        state_dir: state_dir.flatten(),
        catalog: catalog?,
        policy: policy?,
        trust_prefix: trust_prefix?,
        assertion: assertion.flatten(),
        audit: audit?,
        explain_to_caller: raw.explain_to_caller.unwrap_or_default(),
        help_url,
        telemetry,
        limits: limits?,
        faults_visible_after: visible_after?,
    })
}

/// The text of a file, refused where it is no file, too long or not UTF-8.
fn read(path: &Path) -> Result<String, Fault> {
    let unreadable =
        |error: &std::io::Error| report::file_fault(path, format!("it cannot be read: {}", files::reason(error)), "name the configuration file");
    let meta = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !meta.is_file() {
        return Err(report::file_fault(path, "it is not a file".to_owned(), "name the configuration file itself"));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes)).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(report::file_fault(path, "it is longer than 1MiB".to_owned(), "name the configuration file itself"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        Fault { line: Some(line), ..report::file_fault(path, "it is not UTF-8".to_owned(), "save it as UTF-8") }
    })
}

const VERSION: u64 = 1;
const FILE_MAX: u64 = 1 << 20;
