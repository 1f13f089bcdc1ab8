//! Trying whether what lakegate needs of others is there, step by step, with the cause and the mend of what is not.

mod credentials;
mod exchange;
mod mend;
mod published;
mod report;

use super::{Exit, output::Output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Try to have a token of Databricks for each target that wants one, and explain each failure
    Credentials(credentials::Args),
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    match &args.part {
        Part::Credentials(args) => credentials::run(args, output),
    }
}
