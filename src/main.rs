//! The `lakegate` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    lakegate::cli::run()
}
