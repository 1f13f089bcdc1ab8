use std::{fmt::Write as _, path::PathBuf};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Exit, control::Client, output::Output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The control socket of the lakegate whose revocations are listed (`listen.control`)
    #[arg(long, value_name = "SOCKET")]
    control: PathBuf,
    /// Also those that were lifted, until they would have ended
    #[arg(long)]
    all: bool,
}

/// A revocation as the control listener gives it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    id: String,
    issuer: Option<String>,
    iss: String,
    kind: String,
    value: Option<String>,
    not_before: Option<String>,
    until: String,
    made_at: String,
    by: Value,
    note: Option<String>,
    lifted_at: Option<String>,
    lifted_by: Option<Value>,
    kept: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct List {
    status: Value,
    revocations: Vec<Row>,
    #[serde(skip_serializing)]
    next: Option<String>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    match list(args) {
        Ok(list) => {
            output.result(&list, || text(&list));
            Exit::Yes
        }
        Err(exit) => exit,
    }
}

/// Every page.
fn list(args: &Args) -> Result<List, Exit> {
    let unanswered = |error| Output::error(Exit::Failure, error);
    let mut client = Client::connect(&args.control).map_err(unanswered)?;
    let mut all: Option<List> = None;
    loop {
        let mut target = format!("/v1/revocations?all={}", args.all);
        if let Some(after) = all.as_ref().and_then(|list| list.next.as_deref()) {
            target.extend(["&after="].into_iter().chain(form_urlencoded::byte_serialize(after.as_bytes())));
        }
        let page: List = client.ask(Method::GET, &target, Bytes::new()).map_err(unanswered)?.read(&[StatusCode::OK])?;
        let more = page.next.is_some();
        match &mut all {
            None => all = Some(page),
            Some(all) => {
                all.revocations.extend(page.revocations);
                (all.status, all.next) = (page.status, page.next);
            }
        }
        if let Some(all) = all.take_if(|_| !more) {
            return Ok(all);
        }
    }
}

fn text(list: &List) -> String {
    let mut text = String::new();
    for row in &list.revocations {
        let _ = writeln!(text, "{}", lines(row));
    }
    if list.status.get("kept") == Some(&Value::Bool(false)) {
        let _ = writeln!(text, "warning: no `state_dir` is configured, so that a restart forgets all of them");
    }
    if let Some(error) = list.status.get("last_error").and_then(Value::as_str) {
        let _ = writeln!(text, "warning: some are not on disk: {error}");
    }
    let _ = write!(text, "{} revocations", list.revocations.len());
    text
}

pub(super) fn lines(row: &Row) -> String {
    let Row { id, issuer, iss, kind, value, not_before, until, made_at, by, note, lifted_at, warnings, kept, .. } = row;
    let of = issuer.as_ref().unwrap_or(iss);
    let state = if lifted_at.is_some() { "lifted " } else { "" };
    let what = value.as_ref().map_or_else(|| "all tokens".to_owned(), |value| format!("{} {value}", kind.replace('_', " ")));
    let before = not_before.as_ref().map_or_else(String::new, |time| format!(" issued before {time}"));
    let by = match (by.pointer("/operator/uid"), by.pointer("/operator/pid")) {
        (Some(uid), Some(pid)) => format!("user {uid} (process {pid})"),
        (Some(uid), None) => format!("user {uid}"),
        _ => "its issuer".to_owned(),
    };
    let kept = if *kept { "" } else { ", not kept over a restart" };
    let note = note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
    let mut text = format!("{state}{id}  {of}: {what}{before}\n         {made_at} to {until}{kept}, by {by}{note}");
    for warning in warnings {
        let _ = write!(text, "\nwarning: {warning}");
    }
    text
}
