use std::{fmt::Write as _, path::PathBuf};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::{Exit, control::Client, output::Output};
use crate::model::Fault;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The control socket of the lakegate that is to read its files again (`listen.control`)
    #[arg(long, value_name = "SOCKET")]
    control: PathBuf,
}

/// What a reload came to, as the control listener says it.
#[derive(Debug, Serialize, Deserialize)]
struct Reloaded {
    changed: bool,
    generation: u64,
    degraded: bool,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
    restart_needed_for: Vec<String>,
    policies: usize,
    difference: Difference,
}

#[derive(Debug, Serialize, Deserialize)]
struct Difference {
    added: Names,
    removed: Names,
    changed: Names,
}

#[derive(Debug, Serialize, Deserialize)]
struct Names {
    count: usize,
    first: Vec<String>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let answer = Client::connect(&args.control).and_then(|mut client| client.ask(Method::POST, "/v1/reload", Bytes::new()));
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let reloaded: Reloaded = match answer.read(&[StatusCode::OK, StatusCode::UNPROCESSABLE_ENTITY]) {
        Ok(reloaded) => reloaded,
        Err(exit) => return exit,
    };
    output.result(&reloaded, || lines(&reloaded));
    if reloaded.degraded {
        output.complaints(&reloaded.faults);
        return Exit::Invalid;
    }
    Exit::Yes
}

fn lines(reloaded: &Reloaded) -> String {
    let Reloaded { changed, generation, degraded, warnings, restart_needed_for, policies, difference, .. } = reloaded;
    let mut text = String::new();
    for warning in warnings.iter().filter(|_| !degraded) {
        let _ = writeln!(text, "warning: {warning}");
    }
    for (what, names) in [("added", &difference.added), ("removed", &difference.removed), ("changed", &difference.changed)] {
        if names.count > 0 {
            let more = if names.count > names.first.len() { ", …" } else { "" };
            let _ = writeln!(text, "{what}: {} ({}{more})", names.count, names.first.join(", "));
        }
    }
    if !restart_needed_for.is_empty() {
        let _ = writeln!(text, "a restart is needed for: {}", restart_needed_for.join(", "));
    }
    let _ = match (degraded, changed) {
        (true, _) => write!(text, "not served; generation {generation} stays, with {policies} policies"),
        (false, true) => write!(text, "generation {generation} is served, with {policies} policies"),
        (false, false) => write!(text, "no file has changed since it was last read; generation {generation} is served, with {policies} policies"),
    };
    text
}
