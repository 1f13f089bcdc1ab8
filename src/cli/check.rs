use std::{fmt::Write as _, path::PathBuf};

use serde::Serialize;

use super::{Exit, output::Output};
use crate::{app, clock::Clock, model::Fault, net, reload::Compiler};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
}

/// What a good configuration holds.
#[derive(Debug, Serialize)]
struct Report {
    policies: usize,
    issuers: usize,
    targets: usize,
    actions: usize,
    /// What can be served and is likely not meant.
    warnings: Vec<Fault>,
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
    let report = Report {
        policies: compiled.snapshot.authorizer.policy_count(),
        issuers: compiled.config.issuers.len(),
        targets: compiled.config.targets.len(),
        actions: compiled.snapshot.classifier.catalog().vocabulary().actions.len(),
        warnings: compiled.warnings,
    };
    output.result(&report, || {
        let Report { policies, issuers, targets, actions, warnings } = &report;
        let mut text = String::new();
        for warning in warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        let _ = write!(text, "{}: good ({policies} policies, {issuers} issuers, {targets} targets, {actions} actions known)", args.config.display());
        text
    });
    Exit::Yes
}
