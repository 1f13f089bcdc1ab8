//! Asks the lakegate that runs, so that what is explained is what it serves.

use std::path::Path;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{Args, Exit, Output, stages};
use crate::cli::control::Client;

pub(super) fn run(args: &Args, socket: &Path, output: &mut Output) -> Exit {
    let inquiry = match inquiry(args) {
        Ok(inquiry) => inquiry,
        Err(error) => return Output::error(Exit::Invalid, error),
    };
    let answer = Client::connect(socket).and_then(|mut client| client.ask(Method::POST, "/v1/explain", Bytes::from(inquiry.to_string())));
    let report: Value = match answer.map(|answer| answer.read(&[StatusCode::OK])) {
        Ok(Ok(report)) => report,
        Ok(Err(exit)) => return exit,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    output.result(&report, || stages::lines(&report));
    let word = |key: &str| report.get(key).and_then(Value::as_str).unwrap_or_default();
    Exit::of(word("decision"), word("reason"))
}

fn inquiry(args: &Args) -> Result<Value, String> {
    let (method, url, body) = super::call(args);
    let mut headers: Map<String, Value> = Map::new();
    for text in &args.headers {
        let (name, value) = super::header(text)?;
        let values = headers.entry(name).or_insert_with(|| json!([]));
        if let Some(values) = values.as_array_mut() {
            values.push(value.into());
        }
    }
    let claims: Option<Value> = args.claims.as_deref().map(claims).transpose()?;
    Ok(json!({ "method": method, "url": url, "headers": headers, "body": body, "peer": args.peer, "claims": claims }))
}

fn claims(file: &Path) -> Result<Value, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read(file).map_err(|error| wrong(&error))?;
    crate::json::read(&text).map_err(|error| wrong(&error))?;
    serde_json::from_slice(&text).map_err(|error| wrong(&error))
}
