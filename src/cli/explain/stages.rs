//! A call through every stage but the broker, with what each found.

use std::path::Path;

use serde::Serialize;

use super::{Args, Exit, Output, request::Request};
use crate::{
    authz::{Explained, Explanation},
    clock::Clock,
    model::{Call, Caller, Reason, Refusal, RequestFacts, SpiffeId},
    net,
    pipeline::Snapshot,
    reload::Compiler,
};

/// What `explain` says, in the words of the audit record.
#[derive(Debug, Default, Serialize)]
struct Report {
    decision: &'static str,
    reason: &'static str,
    detail: String,
    /// The stage that refused, or the last one.
    stage: &'static str,
    principal: Option<String>,
    peer: Option<String>,
    action: Option<String>,
    level: Option<&'static str>,
    resources: Vec<String>,
    workspace: Option<String>,
    policies: Vec<String>,
    /// `shadow` where the decision would be recorded without being enforced.
    mode: &'static str,
    explanation: Option<Explanation>,
}

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
    let mut report = Report { stage: "normalize", ..Report::default() };
    let result = runtime.block_on(stages(args, claims.as_deref(), &request, &compiled.snapshot, clock.now_ms(), &mut report));
    let exit = match result {
        Ok(()) if report.decision == "deny" => Exit::Denied,
        Ok(()) => Exit::Yes,
        Err(refusal) => {
            report.decision = "deny";
            report.reason = refusal.reason.code();
            report.detail = refusal.detail.into_owned();
            if refusal.reason.is_fault() { Exit::Failure } else { Exit::Denied }
        }
    };
    output.result(&report, || lines(&report));
    exit
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

async fn stages(args: &Args, claims: Option<&[u8]>, request: &Request, snapshot: &Snapshot, now_ms: i64, report: &mut Report) -> Result<(), Refusal> {
    let raw = request.raw(args.peer.as_deref()).ok_or_else(|| Refusal::new(Reason::RequestMalformed, "the call is longer than any check"))?;
    report.mode = if snapshot.shadow.covers(raw.host()) { "shadow" } else { "enforce" };
    let call = crate::normalize::normalize(&raw, &snapshot.normalize)?;
    report.stage = "authn";
    let peer = snapshot.authenticator.peer(&call)?;
    report.peer = peer.as_ref().map(ToString::to_string);
    if snapshot.observes_caller(&call, peer.as_ref()) {
        report.mode = "shadow";
    }
    if let Some(target) = snapshot.classifier.discovery(&call) {
        report.workspace = Some(target?.name.to_string());
        (report.decision, report.reason) = ("answer", "ALLOWED");
        return Ok(());
    }
    let caller = caller(claims, snapshot, &call, peer).await?;
    report.principal = caller.principal().map(|principal| principal.entity().to_string());
    report.stage = "classify";
    let intent = snapshot.classifier.classify(&call)?;
    report.action = Some(intent.action.name.to_string());
    report.level = Some(intent.action.level.as_str());
    report.resources = intent.resources.iter().map(|resource| resource.entity.to_string()).collect();
    report.workspace = Some(intent.target.name.to_string());
    report.stage = "authz";
    let facts = RequestFacts { method: call.method, path: call.path.raw, source_ip: call.source_ip, time_ms: now_ms };
    let explanation = snapshot.authorizer.explain(&caller, &intent, &facts);
    report.decision = if explanation.decision == Explained::Allow { "allow" } else { "deny" };
    report.policies = explanation.policies.iter().map(|note| note.id.clone()).collect();
    (report.reason, report.detail) = (explanation.reason.unwrap_or("ALLOWED"), explanation.detail.clone().unwrap_or_default());
    report.explanation = Some(explanation);
    Ok(())
}

async fn caller(claims: Option<&[u8]>, snapshot: &Snapshot, call: &Call<'_>, peer: Option<SpiffeId>) -> Result<Caller, Refusal> {
    match claims {
        Some(claims) => snapshot.authenticator.caller_from_claims(claims, peer),
        None => snapshot.authenticator.identify(call, peer).await,
    }
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
            line("  needs", missing);
        }
    }
    out.join("\n")
}
