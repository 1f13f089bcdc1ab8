//! Test cases for policies, as data: who calls what, and what is decided. Nothing is sent and nobody is asked; each case goes through the stages of a
//! real call, from the request as a client would send it to the decision.

mod caller;
mod cases;
mod coverage;
mod files;
mod junit;
mod names;
mod raw;
mod report;
mod request;
mod run;
#[cfg(test)]
mod tests;
mod when;

use std::path::PathBuf;

use super::{Exit, output::Output};
use crate::{clock::Clock, config::Config, model::Fault, net, pipeline::Snapshot, reload::Compiler};
use cases::Case;
use coverage::Coverage;
use names::Ground;
use report::Report;
use run::Outcome;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Files of cases, or folders of them; without any, the folder `tests` beside the policies
    paths: Vec<PathBuf>,
    /// Write the results to FILE as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Say which policies no case is decided by, and which no case just misses
    #[arg(long)]
    coverage: bool,
    /// Fail where less than this share of the policies is covered
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(0..=100))]
    min_coverage: Option<u64>,
    /// Print the cases that passed, too
    #[arg(long)]
    verbose: bool,
}

/// The JSON Schema of files of test cases (draft 2020-12), committed as `docs/policy-tests.schema.json`.
#[must_use]
pub fn schema() -> String {
    format!("{:#}\n", *files::SCHEMA)
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let client = match net::Client::new(&net::Config::default()) {
        Ok(client) => client,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let clock = Clock::default();
    let compiled = Compiler::new(&args.config, client, clock.clone()).and_then(|compiler| compiler.compile(None));
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(faults) => return output.faults(&faults),
    };
    let cases = match cases(args, &compiled.config, &compiled.snapshot, &clock) {
        Ok(cases) => cases,
        Err(faults) => return output.faults(&faults),
    };
    let results: Vec<Outcome<'_>> = cases.iter().map(|case| run::run(case, &compiled.snapshot)).collect();
    let coverage = (args.coverage || args.min_coverage.is_some()).then(|| Coverage::new(&compiled.snapshot.authorizer, &results));
    let passed = results.iter().filter(|outcome| outcome.passed).count();
    let report = Report { cases: cases.len(), passed, failed: cases.len() - passed, results: &results, coverage: coverage.as_ref() };
    output.result(&report, || report::text(&report, args.verbose));
    let covered = coverage.as_ref().zip(args.min_coverage);
    if let Some(file) = &args.junit {
        let written = junit::xml(&results, covered).and_then(|xml| std::fs::write(file, xml));
        if let Err(error) = written {
            return Output::error(Exit::Failure, format_args!("{} cannot be written: {error}", file.display()));
        }
    }
    match covered {
        Some((coverage, least)) if coverage.percent < least => {
            Output::error(Exit::Denied, format_args!("{} % of the policies are covered, {least} % are asked for", coverage.percent))
        }
        _ if report.failed > 0 => Exit::Denied,
        _ => Exit::Yes,
    }
}

/// Every case of the files that are asked for; there is at least one, and in each folder that was named.
fn cases(args: &Args, config: &Config, snapshot: &Snapshot, clock: &Clock) -> Result<Vec<Case>, Vec<Fault>> {
    let default = [config.policy.dir.join(files::FOLDER)];
    let paths = if args.paths.is_empty() { &default[..] } else { &args.paths };
    let sources = files::read(paths)?;
    let ground = Ground {
        config,
        authenticator: &snapshot.authenticator,
        policies: snapshot.authorizer.policies().map(|note| note.id).collect(),
        now_ms: clock.now_ms(),
    };
    let mut faults = Vec::new();
    let cases: Vec<Case> = sources.iter().flat_map(|source| cases::read(source, &ground, &mut faults)).collect();
    // A file that several use is read with each of them.
    let mut seen = std::collections::HashSet::new();
    faults.retain(|fault: &Fault| seen.insert(fault.to_string()));
    if faults.is_empty() {
        let folders = paths.iter().filter(|path| path.is_dir() && !cases.iter().any(|case| files::is_below(&case.file, path)));
        let all = paths.iter().take(usize::from(cases.is_empty()));
        let help = "write one under `cases`; a run without any would say that all is well";
        let fault = |file: &PathBuf| Fault {
            file: file.clone(),
            line: None,
            column: None,
            message: "there is no case".to_owned(),
            help: Some(help.to_owned()),
        };
        faults.extend(folders.chain(all).map(fault));
        faults.dedup();
    }
    if faults.is_empty() { Ok(cases) } else { Err(faults) }
}
