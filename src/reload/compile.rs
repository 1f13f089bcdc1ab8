//! From one configuration file to a snapshot: everything it names is read and checked before any of it is served.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{
    catalog, compose, doubts,
    listing::{self, Meant},
};
use crate::{
    authn::{self, Authenticator},
    authz::{Authorizer, Source},
    broker::Broker,
    classify::{Catalog, Classifier},
    clock::Clock,
    config::{Bindings, Config},
    model::Fault,
    net,
    pipeline::Snapshot,
    respond::Responder,
};

/// What is needed to compile a set, and outlives it.
#[derive(Clone, Debug)]
pub struct Compiler {
    pub file: PathBuf,
    pub client: net::Client,
    pub clock: Clock,
    catalog: Arc<Catalog>,
}

/// A set that can be served, with the configuration it came from.
#[derive(Debug)]
pub struct Compiled {
    pub config: Config,
    pub snapshot: Snapshot,
    /// What can be served and is likely not meant.
    pub warnings: Vec<Fault>,
}

// === impl Compiled ===

impl Compiled {
    /// A warning for each `forbid` that some calls can go around; too long a look for a reload.
    #[must_use]
    pub fn ways_around(&self) -> Vec<Fault> {
        let vocabulary = self.snapshot.classifier.catalog().vocabulary();
        self.snapshot.authorizer.ways_around(vocabulary, &compose::scope(&self.config))
    }
}

// === impl Compiler ===

impl Compiler {
    /// # Errors
    /// What is wrong with the catalog that this binary carries.
    pub fn new(file: &Path, client: net::Client, clock: Clock) -> Result<Self, Vec<Fault>> {
        Ok(Self { file: file.to_owned(), client, clock, catalog: Arc::new(Catalog::embedded()?) })
    }

    /// Reads everything anew; keys, verified tokens and validated policies that did not change come from `previous`.
    ///
    /// # Errors
    /// Every fault of every file; nothing of the set is served then.
    pub fn compile(&self, previous: Option<&Snapshot>) -> Result<Compiled, Vec<Fault>> {
        let text = listing::read_stable_file(&self.file).map_err(|fault| vec![fault])?;
        let config = Config::parse(&self.file, &text)?;
        let authn = compose::authn(&config)?;
        let claims = authn::claims(&authn.issuers);
        let authenticator = Authenticator::new(authn, self.client.clone(), self.clock.clone(), previous.map(|set| &*set.authenticator));
        let catalog = catalog::load(&config, &self.catalog, previous.map(|set| set.classifier.catalog()))?;
        let classifier = Classifier::new(Arc::clone(&catalog), compose::targets(&config)).map_err(|messages| self.faults(messages));
        let authorizer = source(&config, &config.policy.dir)
            .map(|source| Source { claims, ..source })
            .and_then(|source| Authorizer::load(catalog.vocabulary(), &source, compose::DECISION_CACHE, previous.map(|set| &set.authorizer)));
        let mut faults = Vec::new();
        let issuer = keep(compose::token_issuer(&config), &mut faults).map(|issuer| issuer.map(Arc::new));
        // Of keys that cannot be read, those faults tell; not that there are none to sign with.
        let broker = issuer.as_ref().and_then(|issuer| keep(compose::broker(&config, issuer.as_ref()), &mut faults));
        let parts = (keep(authenticator, &mut faults), keep(classifier, &mut faults), keep(authorizer, &mut faults), issuer, broker);
        let (Some(authenticator), Some(classifier), Some(authorizer), Some(issuer), Some(broker)) = parts else { return Err(faults) };
        let classifier = classifier.naming(Arc::clone(authorizer.second_names()));
        let broker = Broker::new(broker, self.client.clone(), self.clock.clone(), previous.map(|set| &set.broker));
        let undeliverable = authorizer.undeliverable(&compose::scope(&config), |target, ordered| broker.takes(target, ordered));
        if !undeliverable.is_empty() {
            return Err(undeliverable);
        }
        let snapshot = Snapshot {
            generation: previous.map_or(1, |set| set.generation + 1),
            normalize: compose::normalize(&config),
            authenticator: Arc::new(authenticator),
            classifier,
            authorizer,
            broker,
            responder: Responder::new(compose::respond(&config, issuer.as_ref())),
            shadow: compose::shadow(&config),
            candidate: config.policy.candidate.is_some().then(OnceLock::new),
        };
        let mut warnings = unmeant(&config);
        warnings.extend(forgetful(&config));
        warnings.extend(compose::repeated_keys(issuer.as_ref()));
        warnings.extend(doubts::of_credentials(&config, issuer.as_deref()));
        warnings.extend(snapshot.authorizer.warnings().iter().cloned());
        warnings.extend(snapshot.authorizer.unknown_names(&compose::scope(&config)));
        Ok(Compiled { config, snapshot, warnings })
    }

    fn faults(&self, messages: Vec<String>) -> Vec<Fault> {
        let fault = |message| Fault { file: self.file.clone(), line: None, column: None, message, help: None };
        messages.into_iter().map(fault).collect()
    }
}

/// The value, or its faults added to `all`, so that one report has the faults of every part.
fn keep<T>(part: Result<T, Vec<Fault>>, all: &mut Vec<Fault>) -> Option<T> {
    part.map_err(|faults| all.extend(faults)).ok()
}

/// The policies in `dir`, who has them, and the inventory, as they once stood on disk together; without the claims of tokens, which stand in no file.
pub(super) fn source(config: &Config, dir: &Path) -> Result<Source, Vec<Fault>> {
    let policy = &config.policy;
    let grants = policy.grants.as_ref().map(|grants| grants.dir.as_path());
    let further = [policy.entities.as_deref(), policy.groups.as_deref(), policy.access.as_deref(), grants];
    let paths: Vec<&Path> = [Some(dir)].into_iter().chain(further).flatten().collect();
    listing::read_together(&paths, || parts(config, dir))
}

fn parts(config: &Config, dir: &Path) -> Result<Source, Vec<Fault>> {
    let policy = &config.policy;
    let read = |dir: &Path, meant| listing::read_stable(dir, meant).map(|listing| listing.files).map_err(|fault| vec![fault]);
    let yaml = |dir: Option<&Path>| dir.map_or_else(|| Ok(Vec::new()), |dir| read(dir, Meant::Yaml));
    let inventory = match &policy.entities {
        Some(file) => Some((file.clone(), listing::read_stable_file(file).map_err(|fault| vec![fault])?)),
        None => None,
    };
    let groups = yaml(policy.groups.as_deref())?;
    // Without its files, groups that only they may fill would be open to tokens.
    if let Some(dir) = policy.groups.as_ref().filter(|_| groups.is_empty()) {
        let help = Some("write at least one group, or remove `policy.groups`".to_owned());
        return Err(vec![Fault { file: dir.clone(), line: None, column: None, message: "there is no `*.yaml` file".to_owned(), help }]);
    }
    Ok(Source {
        claims: Vec::new(),
        files: read(dir, Meant::Policies)?,
        inventory,
        groups,
        access: yaml(policy.access.as_deref())?,
        grants: yaml(policy.grants.as_ref().map(|grants| grants.dir.as_path()))?,
        longest_grant: policy.grants.as_ref().map_or(Duration::ZERO, |grants| grants.longest),
    })
}

/// That issuers end sessions which a restart would bring back.
fn forgetful(config: &Config) -> Option<Fault> {
    let issuer = config.issuers.iter().find(|issuer| issuer.logout_audience.is_some()).filter(|_| config.state_dir.is_none())?;
    let message = format!("issuer `{}` ends sessions (`logout`), and a restart forgets it", issuer.name);
    let help = Some("name a folder for what must outlive a restart: `state_dir`".to_owned());
    Some(Fault { file: config.file.clone(), line: None, column: None, message, help })
}

/// What is said by nobody and should be; folders in which something is not read that may have been meant to be, or in which there is nothing to read.
fn unmeant(config: &Config) -> Vec<Fault> {
    let policy = &config.policy;
    let given = [policy.access.as_deref(), policy.grants.as_ref().map(|grants| grants.dir.as_path())].into_iter().flatten();
    let nothing = given.clone().filter(|dir| listing::is_empty(dir, Meant::Yaml)).map(|dir| Fault {
        file: dir.to_owned(),
        line: None,
        column: None,
        message: "there is no `*.yaml` file".to_owned(),
        help: Some("nobody has anything by this folder: is it the right one?".to_owned()),
    });
    let yaml = policy.groups.as_deref().into_iter().chain(given).filter_map(|dir| unread(dir, Meant::Yaml));
    unbound(config).chain(renamed(config)).chain(unread(&policy.dir, Meant::Policies)).chain(yaml).chain(nothing).collect()
}

/// Issuers of which nobody has said which workloads may present their tokens.
fn unbound(config: &Config) -> impl Iterator<Item = Fault> {
    config.issuers.iter().filter(|issuer| issuer.bindings == Bindings::Unsaid).map(|issuer| Fault {
        file: config.file.clone(),
        line: None,
        column: None,
        message: format!("issuer `{}` has no `bindings`: whoever steals one of its tokens can use it in any pod", issuer.name),
        help: Some("say which workloads may present them, or `bindings: none` where that is meant".to_owned()),
    })
}

/// Issuers whose subjects are names that their users can change, or that another user is given later.
fn renamed(config: &Config) -> impl Iterator<Item = Fault> {
    config.issuers.iter().filter_map(|issuer| {
        let claim = issuer.subject_claim.as_deref().filter(|claim| CHANGING.contains(claim))?;
        let stable = authn::Provider::from(issuer.provider).subject();
        Some(Fault {
            file: config.file.clone(),
            line: None,
            column: None,
            message: format!(
                "issuer `{}` takes `{claim}` for the subject, a name that can pass to another person, who then has all rights of the first",
                issuer.name
            ),
            help: Some(format!("write `subject_claim: {stable}`, or leave it out; policies can read `{claim}` as one of `attributes`")),
        })
    })
}

/// Claims that name a user for people to read: `OpenID` Connect Core 1.0, section 5.7, has no claim but `sub` be relied on to identify anybody; `upn`, `unique_name`
/// and `username` are those of Entra, AD FS and RFC 7662.
const CHANGING: [&str; 7] = ["name", "nickname", "preferred_username", "unique_name", "upn", "user_name", "username"];

/// That files of a folder are not read, once.
pub(super) fn unread(dir: &Path, meant: Meant) -> Option<Fault> {
    let (first, count) = listing::left_out(dir, meant);
    let inside = |path: &PathBuf| path.strip_prefix(dir).unwrap_or(path).display().to_string();
    let names: Vec<String> = first.iter().map(|path| format!("`{}`", inside(path).escape_debug())).collect();
    let more = if count > names.len() { format!(" and {} more", count - names.len()) } else { String::new() };
    let message = format!("not read: {}{more}", names.join(", "));
    let help = Some(format!("what is read here ends in {}; keep other files elsewhere", meant.ending()));
    (count > 0).then(|| Fault { file: dir.to_owned(), line: None, column: None, message, help })
}
