//! Why a call was refused, by its decision id: asked of the service by whoever made the call, or read from the audit file by whoever may.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Exit, asking::Asker, output::Output, told};
use crate::text::shown;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A refusal is remembered for an hour, by the replica that made it: where there are several, ask a few times, or look into the audit file."
)]
pub(super) struct Args {
    /// The decision id: in the answer's message, and in its header x-lakegate-decision
    #[arg(value_name = "DECISION-ID")]
    id: String,
    /// The host that refused the call: https://<workspace host>
    #[arg(long, required_unless_present = "audit", conflicts_with = "audit")]
    url: Option<String>,
    #[command(flatten)]
    asker: Asker,
    /// The audit file, for operators: it has every decision, of everybody
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token_file", "mesh", "workspace_id"])]
    audit: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    if !is_id(&args.id) {
        return Output::error(
            Exit::Invalid,
            format_args!("`{}` is no decision id, which looks like 019abc12-3456-7890-abcd-ef0123456789", shown(&args.id)),
        );
    }
    let id = args.id.to_ascii_lowercase();
    let answer = match (&args.audit, &args.url) {
        (Some(file), _) => recorded(file, &id),
        (None, Some(url)) => args.asker.ask(url, &format!("decisions/{id}"), None, output),
        (None, None) => return Output::error(Exit::Invalid, "say which host refused the call: --url https://<host>"),
    };
    match answer {
        Ok(answer) => {
            output.result(&answer, || [told::lines(&answer), told::conditions(&answer)].concat().join("\n"));
            Exit::Yes
        }
        Err(exit) => exit,
    }
}

/// A UUID, as `DecisionId` writes it.
fn is_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The record of the decision, of a file that may be longer than memory.
fn recorded(file: &Path, id: &str) -> Result<Value, Exit> {
    let failed = |exit, error: &dyn std::fmt::Display| Output::error(exit, format_args!("{}: {error}", file.display()));
    let opened = File::open(file).map_err(|error| failed(Exit::Invalid, &error))?;
    for line in BufReader::new(opened).split(b'\n') {
        let line = line.map_err(|error| failed(Exit::Failure, &error))?;
        if memchr::memmem::find(&line, id.as_bytes()).is_none() {
            continue;
        }
        let record: Value = serde_json::from_slice(&line).unwrap_or_default();
        if record.get("event_id").and_then(Value::as_str) == Some(id) {
            return Ok(record);
        }
    }
    Err(failed(Exit::Failure, &format_args!("no record of the decision `{id}`")))
}
