use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Chosen,
    file::{Beside, Stored, beside},
};
use crate::{
    cli::{Exit, output::Output},
    clock::Clock,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to make; never one that is there
    file: PathBuf,
    /// How the key signs. Databricks takes ES256 and no `EdDSA`
    #[arg(long, value_enum, default_value_t = Chosen::Es256)]
    algorithm: Chosen,
}

/// What is to be known of a new key.
#[derive(Debug, Serialize)]
struct Made<'m> {
    file: &'m Path,
    id: &'m str,
    algorithm: &'static str,
    /// Its public half, as a key set.
    jwks: Value,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let made = match Stored::make(args.algorithm.algorithm(), Clock::default().now()) {
        Ok(made) => made,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let file = &args.file;
    if let Err(error) = Beside::write(file, &made.text, None).map_err(|error| in_the_way(file, &error)).and_then(|new| put(file, new)) {
        return Output::error(Exit::Failure, error);
    }
    let told = Made { file, id: made.key.id(), algorithm: made.key.algorithm().as_str(), jwks: json!({ "keys": [made.key.jwk()] }) };
    output.result(&told, || format!("{}: {} {}", file.display(), told.algorithm, told.id));
    Exit::Yes
}

fn put(file: &Path, new: Beside) -> Result<(), String> {
    new.put().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{} is there already, and a key that is in use must not be lost: name another file", file.display()),
        _ => format!("{} cannot be made: {error}", file.display()),
    })
}

fn in_the_way(file: &Path, error: &io::Error) -> String {
    match (error.kind(), beside(file)) {
        (io::ErrorKind::AlreadyExists, Ok(new)) => {
            format!("{} is there: another `lakegate keys` is at work, or was killed; then remove it", new.display())
        }
        _ => format!("{} cannot be made: {error}", file.display()),
    }
}
