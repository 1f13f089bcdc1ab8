use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use super::{Exit, output::Output};
use crate::{
    app,
    classify::{Change, ChangeKind},
    clock::Clock,
    config::Config,
    model::Fault,
    net,
    pipeline::Snapshot,
    reload::{self, Compiler},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// The folder of another version of the catalog: tell what is otherwise since, and which policies it touches
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
}

/// What a good configuration holds.
#[derive(Debug, Serialize)]
struct Report {
    policies: usize,
    /// Policies of the candidate, where one is configured.
    candidate: Option<usize>,
    issuers: usize,
    targets: usize,
    actions: usize,
    /// What can be served and is likely not meant.
    warnings: Vec<Fault>,
    catalog: Arc<str>,
    /// What is otherwise than in the catalog it was held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<Touched>>,
}

/// An action that is not what it was, with the policies whose scope admits it.
#[derive(Debug, Serialize)]
struct Touched {
    change: ChangeKind,
    action: Arc<str>,
    detail: String,
    policies: Vec<String>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let client = match net::Client::new(&net::Config::default()) {
        Ok(client) => client,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let compiled = Compiler::new(&args.config, client, Clock::default()).and_then(|compiler| compiler.compile(None));
    let compiled = match compiled.and_then(|compiled| app::certificates(&compiled.config).map(|()| compiled)) {
        Ok(compiled) => compiled,
        Err(faults) => return output.faults(&faults),
    };
    let candidate = match candidate(&compiled.config, &compiled.snapshot) {
        Ok(candidate) => candidate,
        Err(faults) => return output.faults(&faults),
    };
    let changes = match args.against.as_deref().map(|dir| changes(dir, &compiled.config, &compiled.snapshot)).transpose() {
        Ok(changes) => changes,
        Err(faults) => return output.faults(&faults),
    };
    let mut warnings = compiled.ways_around();
    warnings.splice(0..0, compiled.warnings);
    let (candidate, more) = candidate.unzip();
    warnings.extend(more.into_iter().flatten());
    let report = Report {
        candidate,
        policies: compiled.snapshot.authorizer.policy_count(),
        issuers: compiled.config.issuers.len(),
        targets: compiled.config.targets.len(),
        actions: compiled.snapshot.classifier.catalog().vocabulary().actions.len(),
        warnings,
        catalog: Arc::clone(compiled.snapshot.classifier.catalog().version()),
        changes,
    };
    output.result(&report, || {
        let Report { policies, candidate, issuers, targets, actions, warnings, catalog, changes } = &report;
        let mut text = String::new();
        for warning in warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        // What nobody's policy speaks of is counted, not told.
        for touched in changes.iter().flatten().filter(|touched| !touched.policies.is_empty()) {
            let Touched { change, action, detail, policies } = touched;
            let _ = writeln!(text, "{}: `{action}` {detail}; policies: {}", change.as_str(), policies.join(", "));
        }
        if let Some(changes) = changes {
            let touching = changes.iter().filter(|touched| !touched.policies.is_empty()).count();
            let _ = writeln!(text, "{} actions are not what they were, {touching} of them in the scope of a policy", changes.len());
        }
        let candidate = candidate.map_or_else(String::new, |count| format!(" and {count} of the candidate"));
        let counts = format!("{policies} policies{candidate}, {issuers} issuers, {targets} targets, {actions} actions of catalog {catalog}");
        let _ = write!(text, "{}: good ({counts})", args.config.display());
        text
    });
    Exit::Yes
}

/// How many policies the configured candidate has, and what is likely not meant of them.
fn candidate(config: &Config, snapshot: &Snapshot) -> Result<Option<(usize, Vec<Fault>)>, Vec<Fault>> {
    let dir = config.policy.candidate.as_deref();
    let loaded = dir.map(|dir| reload::beside(config, snapshot, dir, None)).transpose()?;
    Ok(loaded.map(|(authorizer, warnings)| (authorizer.policy_count(), warnings)))
}

/// What is otherwise than in the catalog in `dir`.
fn changes(dir: &Path, config: &Config, snapshot: &Snapshot) -> Result<Vec<Touched>, Vec<Fault>> {
    let before = reload::earlier(config, dir)?;
    let changes = snapshot.classifier.catalog().changes_since(&before);
    let touched = |change: Change| Touched {
        policies: snapshot.authorizer.policies_on(&change.action).into_iter().map(str::to_owned).collect(),
        change: change.kind,
        action: change.action.name.clone(),
        detail: change.detail,
    };
    Ok(changes.into_iter().map(touched).collect())
}
