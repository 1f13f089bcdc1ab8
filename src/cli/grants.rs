use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;

use super::{Exit, control::Client, output::Output};
use crate::{
    authz::{GrantNote, GrantState},
    clock::Clock,
    net,
    reload::Compiler,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file whose grants are listed, served or not
    #[arg(long, required_unless_present = "control")]
    config: Option<PathBuf>,
    /// The control socket of the lakegate whose grants are listed (`listen.control`)
    #[arg(long, value_name = "SOCKET", conflicts_with = "config")]
    control: Option<PathBuf>,
    /// Also those that have ended
    #[arg(long)]
    all: bool,
}

/// As the control listener lists them.
#[derive(Debug, Deserialize)]
struct Granted {
    grants: Vec<GrantNote>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let listed = match (&args.control, &args.config) {
        (Some(socket), _) => served(socket, args.all),
        (None, Some(config)) => written(config, args.all, output),
        (None, None) => Err(Output::error(Exit::Invalid, "name the configuration: --config <file>")),
    };
    match listed {
        Ok(grants) => {
            let none = "no grants".to_owned();
            output.result(&grants, || if grants.is_empty() { none } else { grants.iter().map(lines).collect::<Vec<_>>().join("\n") });
            Exit::Yes
        }
        Err(exit) => exit,
    }
}

fn served(socket: &Path, all: bool) -> Result<Vec<GrantNote>, Exit> {
    let target = if all { "/v1/grants?all" } else { "/v1/grants" };
    let answer = Client::connect(socket).and_then(|mut client| client.ask(Method::GET, target, Bytes::new()));
    let granted: Granted = answer.map_err(|error| Output::error(Exit::Failure, error))?.read(&[StatusCode::OK])?;
    Ok(granted.grants)
}

fn written(config: &Path, all: bool, output: &mut Output) -> Result<Vec<GrantNote>, Exit> {
    let client = net::Client::new(&net::Config::default()).map_err(|error| Output::error(Exit::Failure, error))?;
    let clock = Clock::default();
    let compiled =
        Compiler::new(config, client, clock.clone()).and_then(|compiler| compiler.compile(None)).map_err(|faults| output.faults(&faults))?;
    Ok(compiled.snapshot.authorizer.granted(clock.now_ms(), all))
}

fn lines(grant: &GrantNote) -> String {
    let state = match grant.state {
        GrantState::Active => "active",
        GrantState::Pending => "pending",
        GrantState::Ended => "ended",
    };
    let on = grant.on.as_ref().map_or_else(String::new, |on| format!(" on {on}"));
    let GrantNote { id, to, from, until, why, approved_by, line, .. } = grant;
    let (gives, file) = (grant.gives.join(", "), grant.file.display());
    format!("{state:<8} {id}  {gives} to {to}{on}\n         {from} to {until}, approved by {approved_by}: {why} ({file}:{line})")
}
