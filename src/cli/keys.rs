mod file;
mod list;
mod new;
mod rotate;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;
use serde::Serialize;

use self::file::Stored;
use super::{Exit, output::Output};
use crate::{
    admin::KEYS_MAX_AGE,
    config::{Config, Credentials, MintedFor},
    model::Fault,
    signer::{self, Algorithm},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a private key, in a file of its own
    New(new::Args),
    /// List the keys, with the key set that others verify by
    List(list::Args),
    /// Have the next key sign, and make one that is to follow it
    Rotate(rotate::Args),
}

/// Of which keys a command is.
#[derive(Debug, clap::Args)]
struct Which {
    /// The configuration file, whose `trust.assertion.keys` are meant
    #[arg(long, required_unless_present = "files", conflicts_with = "files")]
    config: Option<PathBuf>,
    /// The key files themselves, in the order that `trust.assertion.keys` has them in
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Key files, and how long what they sign may still be read.
#[derive(Debug)]
struct Named {
    files: Vec<PathBuf>,
    /// How long a key has to be known before it signs, and is still needed after it has signed last.
    wait: Duration,
    /// A target that has what they sign exchanged by Databricks, which takes ES256 alone of what signs here.
    exchanged: Option<String>,
}

/// How a new key is to sign. Databricks takes ES256 alone of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Chosen {
    Es256,
    Eddsa,
}

/// One key of a list.
#[derive(Debug, Serialize)]
struct Row {
    file: PathBuf,
    /// Its `kid`: the thumbprint of RFC 7638.
    id: String,
    algorithm: &'static str,
    role: &'static str,
    /// Whether others than its owner and their group may read the file, or write it.
    exposed: bool,
    /// When it was made, or else its file written, in RFC 3339.
    made_at: String,
    age_s: i64,
}

/// The longest that an assertion may be believed, for keys of which no configuration says how long theirs are.
const LONGEST_LIFETIME: Duration = Duration::from_mins(10);

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    match &args.command {
        Command::New(args) => new::run(args, output),
        Command::List(args) => list::run(args, output),
        Command::Rotate(args) => rotate::run(args, output),
    }
}

// === impl Which ===

impl Which {
    fn named(&self) -> Result<Named, Vec<Fault>> {
        let known = Duration::from_secs(KEYS_MAX_AGE.into());
        let Some(config) = &self.config else {
            return Ok(Named { files: self.files.clone(), wait: known.max(LONGEST_LIFETIME), exchanged: None });
        };
        let loaded = Config::load(config)?;
        let exchanged = loaded.targets.iter().find(|entry| is_exchanged(&entry.credentials)).map(|entry| entry.target.name.to_string());
        let assertion = loaded.assertion.ok_or_else(|| {
            let help = "name the files that `lakegate keys new` has made in `trust.assertion.keys`";
            vec![fault(config, "lakegate signs nothing: `trust.assertion` is not configured".to_owned(), help)]
        })?;
        Ok(Named { files: assertion.keys, wait: known.max(assertion.lifetime), exchanged })
    }
}

/// Whether lakegate's word is exchanged for them.
fn is_exchanged(credentials: &Credentials) -> bool {
    let Credentials::Minted(minted) = credentials else { return false };
    matches!(minted.grant, MintedFor::Assertion { .. } | MintedFor::ServicePrincipal { .. })
}

// === impl Chosen ===

impl Chosen {
    fn algorithm(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::Es256,
            Self::Eddsa => Algorithm::EdDsa,
        }
    }
}

// === impl Row ===

impl Row {
    /// Of the key that stands at `place` among all.
    fn new(file: &Path, key: &Stored, place: usize, now: i64) -> Self {
        Self {
            file: file.to_owned(),
            id: key.key.id().to_owned(),
            algorithm: key.key.algorithm().as_str(),
            role: if place == 0 { "signs" } else { "verifies" },
            exposed: signer::is_exposed(file),
            made_at: jiff::Timestamp::from_second(key.made_at).map(|time| time.to_string()).unwrap_or_default(),
            age_s: now.saturating_sub(key.made_at).max(0),
        }
    }

    fn line(&self) -> String {
        let Self { file, id, algorithm, role, exposed, age_s, .. } = self;
        let exposed = if *exposed { " (everybody may read or write it: chmod o=)" } else { "" };
        format!("{role:<8} {id}  {algorithm}  {:>8}  {}{exposed}", age(*age_s), file.display())
    }
}

/// How long ago something was: no longer than it was.
fn age(seconds: i64) -> String {
    let (size, unit) = unit(seconds);
    format!("{}{unit}", seconds / size)
}

/// How long something takes: no shorter than it does.
fn wait(seconds: i64) -> String {
    let (size, unit) = unit(seconds);
    format!("{}{unit}", seconds.saturating_add(size - 1) / size)
}

/// The largest unit of which there are two, in seconds.
fn unit(seconds: i64) -> (i64, &'static str) {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    units.into_iter().find(|(size, _)| seconds >= 2 * size).unwrap_or((1, "s"))
}

/// The faults of key files, each with what mends it.
fn faults(found: Vec<(PathBuf, String)>) -> Vec<Fault> {
    found
        .into_iter()
        .map(|(file, message)| fault(&file, message, "name a file that `lakegate keys new` has made, and that may be read here"))
        .collect()
}

fn fault(file: &Path, message: String, help: &str) -> Fault {
    Fault { file: file.to_owned(), line: None, column: None, message, help: Some(help.to_owned()) }
}
