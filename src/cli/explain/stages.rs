//! Runs an inquiry against the files of a configuration, and prints its report.

use std::path::Path;

use super::{Args, Exit, Output};
use crate::{
    clock::Clock,
    inquiry::{self, Asker, Report, Request},
    model::Reason,
    net,
    reload::Compiler,
};

pub(super) fn run(args: &Args, request: Request, output: &mut Output) -> Exit {
    let Some(file) = &args.config else { return Output::error(Exit::Invalid, "name the configuration: --config <file>") };
    let client = match net::Client::new(&net::Config::default()) {
        Ok(client) => client,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let clock = Clock::default();
    let compiled = Compiler::new(file, client, clock.clone()).and_then(|compiler| compiler.compile(None));
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(faults) => return output.faults(&faults),
    };
    let request = match with_token(args, request) {
        Ok(request) => request,
        Err(error) => return Output::error(Exit::Invalid, error),
    };
    let claims = match args.claims.as_ref().map(|file| claims(file)).transpose() {
        Ok(claims) => claims,
        Err(error) => return Output::error(Exit::Invalid, error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let asker = Asker { peer: args.peer.as_deref(), claims: claims.as_deref() };
    let report = runtime.block_on(inquiry::inquire(&compiled.snapshot, &request, asker, clock.now_ms()));
    let exit = exit(report.decision, report.reason);
    output.result(&report, || lines(&report));
    exit
}

/// A fault of ours, or of an issuer, says nothing about the call.
fn exit(decision: &str, reason: &str) -> Exit {
    let fault = Reason::ALL.into_iter().any(|known| known.code() == reason && known.is_fault());
    match decision {
        "deny" if fault => Exit::Failure,
        "deny" => Exit::Denied,
        _ => Exit::Yes,
    }
}

/// The claims of a token that nobody has: it is good for five more minutes where they do not say otherwise.
fn claims(file: &Path) -> Result<Vec<u8>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read(file).map_err(|error| wrong(&error))?;
    crate::json::read(&text).map_err(|error| wrong(&error))?;
    let mut claims: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
    claims.entry("exp").or_insert_with(|| (Clock::default().now() + 300).into());
    serde_json::to_vec(&claims).map_err(|error| wrong(&error))
}

fn with_token(args: &Args, request: Request) -> Result<Request, String> {
    let Some(file) = &args.token_file else { return Ok(request) };
    let token = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(request.with_header("authorization", format!("Bearer {}", token.trim())))
}

fn lines(report: &Report) -> String {
    let mut out = vec![format!("{:<10} {} ({})", "decision", report.decision, report.reason)];
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            out.push(format!("{name:<10} {value}"));
        }
    };
    line("why", &report.detail);
    line("stage", report.stage);
    line("mode", report.mode);
    line("principal", report.principal.as_deref().unwrap_or_default());
    line("peer", report.peer.as_deref().unwrap_or_default());
    line("action", [report.action.as_deref().unwrap_or_default(), report.level.unwrap_or_default()].join("  ").trim());
    line("resources", &report.resources.join(", "));
    line("policies", &report.policies.join(", "));
    for near in report.explanation.iter().flat_map(|explanation| &explanation.near) {
        line("nearest", &format!("{} ({}:{}) for {}", near.policy.id, near.policy.file.display(), near.policy.line, near.resource));
        for missing in &near.missing {
            line("  needs", &missing.text);
        }
    }
    out.join("\n")
}
