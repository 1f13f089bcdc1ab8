//! The commands: one file each, one meaning for each exit code, one vocabulary for what they print.

mod asking;
mod can_i;
mod check;
mod control;
mod doctor;
mod explain;
mod grants;
mod keys;
mod output;
mod policies;
mod reload;
mod replay;
mod revocations;
mod revoke;
mod serve;
mod test;
mod token;
mod told;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::model::Reason;
use output::{Format, Output};
pub use test::schema as test_schema;

/// Decides, for Envoy and Istio, which calls may leave the mesh for Databricks.
#[derive(Debug, Parser)]
#[command(name = "lakegate", version, about, after_help = "Exit codes: 0 yes, 1 failure, 2 denied, 3 invalid input.")]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// How results are printed
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer Envoy's checks until SIGTERM
    Serve(serve::Args),
    /// Load a configuration with everything it names, and report every fault
    Check(check::Args),
    /// Try whether what lakegate needs of others is there, and explain what is not
    Doctor(doctor::Args),
    /// Say why a call is allowed or denied, stage by stage, or what a call is
    Explain(explain::Args),
    /// List the access that ends by itself: what holds now and what is to come
    Grants(grants::Args),
    /// Run test cases against the policies
    Test(test::Args),
    /// Decide recorded decisions again with other policies, and tell which would change
    Replay(replay::Args),
    /// List policies, with how often each decided and when last
    Policies(policies::Args),
    /// Make, list and rotate the keys that lakegate signs with
    Keys(keys::Args),
    /// Have a running lakegate read its files again now
    Reload(reload::Args),
    /// Have a running lakegate refuse tokens that have not expired, from the next request on
    Revoke(revoke::Args),
    /// List what is revoked
    Revocations(revocations::Args),
    /// Say what lakegate makes of a token
    Token(token::Args),
    /// Say why a call of yours was refused, by its decision id
    Why(why::Args),
    /// Say whether a call of yours would be allowed, or what you may do, without making it
    CanI(can_i::Args),
}

/// What a command came to; the exit code is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Yes = 0,
    Failure = 1,
    Denied = 2,
    Invalid = 3,
}

/// Runs the command of the process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nothing is left to be told where even this cannot be printed.
            let _ = error.print();
            return if asked { Exit::Yes } else { Exit::Invalid }.into();
        }
    };
    let mut output = Output::new(args.output);
    let exit = match args.command {
        Command::Serve(args) => serve::run(&args, &mut output),
        Command::Check(args) => check::run(&args, &mut output),
        Command::Doctor(args) => doctor::run(&args, &mut output),
        Command::Explain(args) => explain::run(&args, &mut output),
        Command::Grants(args) => grants::run(&args, &mut output),
        Command::Test(args) => test::run(&args, &mut output),
        Command::Replay(args) => replay::run(&args, &mut output),
        Command::Policies(args) => policies::run(&args, &mut output),
        Command::Keys(args) => keys::run(&args, &mut output),
        Command::Reload(args) => reload::run(&args, &mut output),
        Command::Revoke(args) => revoke::run(&args, &mut output),
        Command::Revocations(args) => revocations::run(&args, &mut output),
        Command::Token(args) => token::run(&args, &mut output),
        Command::Why(args) => why::run(&args, &mut output),
        Command::CanI(args) => can_i::run(&args, &mut output),
    };
    exit.into()
}

// === impl Exit ===

impl Exit {
    /// Of a decision. A fault of ours, or of an issuer, says nothing about the call.
    fn of(decision: &str, reason: &str) -> Self {
        let fault = Reason::ALL.into_iter().any(|known| known.code() == reason && known.is_fault());
        match decision {
            "deny" if fault => Self::Failure,
            "deny" => Self::Denied,
            _ => Self::Yes,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
