use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::{Exit, output::Output};
use crate::{authz::Grant, clock::Clock, net, reload::Compiler};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Also those that have ended
    #[arg(long)]
    all: bool,
}

/// Where a grant is in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Active,
    Pending,
    Ended,
}

/// One grant, for one holder.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    state: State,
    gives: Vec<String>,
    to: String,
    on: Option<String>,
    /// RFC 3339, UTC.
    from: String,
    until: String,
    why: String,
    requested_by: Option<String>,
    approved_by: String,
    file: PathBuf,
    line: usize,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let client = match net::Client::new(&net::Config::default()) {
        Ok(client) => client,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let clock = Clock::default();
    let compiled = match Compiler::new(&args.config, client, clock.clone()).and_then(|compiler| compiler.compile(None)) {
        Ok(compiled) => compiled,
        Err(faults) => return output.faults(&faults),
    };
    let now = clock.now_ms();
    let mut rows: Vec<Row> = compiled.snapshot.authorizer.grants().iter().map(|grant| row(grant, now)).collect();
    rows.retain(|row| args.all || row.state != State::Ended);
    rows.sort_by(|one, other| (one.state, &one.until, &one.id).cmp(&(other.state, &other.until, &other.id)));
    output.result(&rows, || rows.iter().map(lines).collect::<Vec<_>>().join("\n"));
    Exit::Yes
}

fn row(grant: &Grant, now: i64) -> Row {
    let time = |ms| Timestamp::from_millisecond(ms).unwrap_or_default().to_string();
    Row {
        id: grant.id.to_string(),
        state: match () {
            () if now < grant.from_ms => State::Pending,
            () if now < grant.until_ms => State::Active,
            () => State::Ended,
        },
        gives: grant.gives.clone(),
        to: grant.to.to_string(),
        on: grant.on.as_ref().map(ToString::to_string),
        from: time(grant.from_ms),
        until: time(grant.until_ms),
        why: grant.why.clone(),
        requested_by: grant.requested_by.as_ref().map(ToString::to_string),
        approved_by: grant.approved_by.to_string(),
        file: grant.file.clone(),
        line: grant.line,
    }
}

fn lines(row: &Row) -> String {
    let state = match row.state {
        State::Active => "active",
        State::Pending => "pending",
        State::Ended => "ended",
    };
    let on = row.on.as_ref().map_or_else(String::new, |on| format!(" on {on}"));
    let Row { id, to, from, until, why, approved_by, line, .. } = row;
    let (gives, file) = (row.gives.join(", "), row.file.display());
    format!("{state:<8} {id}  {gives} to {to}{on}\n         {from} to {until}, approved by {approved_by}: {why} ({file}:{line})")
}
