//! Runs an inquiry against the files of a configuration, and prints its report.

use std::path::Path;

use serde_json::{Value, json};

use super::{Args, Exit, Output};
use crate::{
    authn::{self, Trail},
    authz::Rights,
    cli::{token, told},
    clock::Clock,
    inquiry::{self, Asker, Report, Request},
    model::{Caller, Fault, Refusal, SpiffeId},
    net,
    pipeline::Snapshot,
    reload::{Compiled, Compiler},
};

/// Who asks, where nobody is asked: the workload, and a token or the claims of one.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Offline<'a> {
    pub(in crate::cli) peer: Option<&'a str>,
    pub(in crate::cli) token_file: Option<&'a Path>,
    pub(in crate::cli) claims: Option<&'a Path>,
}

/// Why there is no report.
#[derive(Debug)]
pub(in crate::cli) enum Failed {
    Faults(Vec<Fault>),
    Error(Exit, String),
    Refused(Refusal, Box<Trail>),
}

pub(super) fn run(args: &Args, request: Request, output: &mut Output) -> Exit {
    match report(args, request) {
        Ok(report) => {
            output.result(&report, || lines(&json!(report)));
            Exit::of(report.decision, report.reason)
        }
        Err(failed) => failed.tell(output),
    }
}

fn report(args: &Args, request: Request) -> Result<Report, Failed> {
    let Some(file) = &args.config else { return Err(Failed::Error(Exit::Invalid, "name the configuration: --config <file>".to_owned())) };
    let compiled = compiled(file)?;
    let request = match &args.token_file {
        Some(file) => request.with_header("authorization", format!("Bearer {}", read_token(file)?)),
        None => request,
    };
    let claims = args.claims.as_ref().map(|file| claims(file)).transpose()?;
    let asker = Asker { peer: args.peer.as_deref(), claims: claims.as_deref() };
    Ok(runtime()?.block_on(inquiry::inquire(&compiled.snapshot, &request, asker, Clock::default().now_ms())))
}

/// What the policies of `config` say of a caller, without a call.
///
/// # Errors
/// Why the configuration, or the caller, is no good.
pub(in crate::cli) fn rights(config: &Path, asker: Offline<'_>) -> Result<Rights, Failed> {
    let compiled = compiled(config)?;
    let snapshot = &compiled.snapshot;
    let mut trail = Box::<Trail>::default();
    let rights = caller(snapshot, asker, &mut trail)?.and_then(|caller| snapshot.authorizer.rights(&caller));
    rights.map_err(|refusal| Failed::Refused(refusal, trail))
}

/// Who asks, as the service would know them; or why it would not take them.
///
/// # Errors
/// Where what was given cannot be read.
pub(in crate::cli) fn caller(snapshot: &Snapshot, asker: Offline<'_>, trail: &mut Trail) -> Result<Result<Caller, Refusal>, Failed> {
    let peer = asker.peer.map(SpiffeId::parse).transpose().map_err(|error| Failed::Error(Exit::Invalid, format!("--peer: {error}")))?;
    let peer = peer.map_or(Ok(None), |peer| snapshot.authenticator.peer_told(peer.as_str().as_bytes()))?;
    Ok(match (asker.claims, asker.token_file) {
        (Some(file), _) => snapshot.authenticator.follow_claims(&claims(file)?, peer, trail),
        (None, Some(file)) => {
            let text = read_token(file)?;
            let examined = runtime()?.block_on(snapshot.authenticator.examine(&text, trail));
            let examined = examined.and_then(|examined| examined.admit(peer.as_ref()).map(|()| examined));
            examined.map(|examined| Caller { peer, token: Some(examined.token) })
        }
        (None, None) => Ok(Caller { peer, token: None }),
    })
}

/// What the file and all that it names hold.
///
/// # Errors
/// Every fault of it.
pub(in crate::cli) fn compiled(config: &Path) -> Result<Compiled, Failed> {
    let client = net::Client::new(&net::Config::default()).map_err(|error| Failed::Error(Exit::Failure, error.to_string()))?;
    Compiler::new(config, client, Clock::default()).and_then(|compiler| compiler.compile(None)).map_err(Failed::Faults)
}

pub(in crate::cli) fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| Failed::Error(Exit::Failure, error.to_string()))
}

fn claims(file: &Path) -> Result<Vec<u8>, Failed> {
    let wrong = |error: &dyn std::fmt::Display| Failed::Error(Exit::Invalid, format!("{}: {error}", file.display()));
    let text = std::fs::read(file).map_err(|error| wrong(&error))?;
    inquiry::claims(&text, Clock::default().now()).map_err(|error| wrong(&error))
}

/// The token in `file`, without its scheme.
///
/// # Errors
/// Where it cannot be read.
pub(in crate::cli) fn read_token(file: &Path) -> Result<String, Failed> {
    let text = std::fs::read_to_string(file).map_err(|error| Failed::Error(Exit::Invalid, format!("{}: {error}", file.display())))?;
    Ok(authn::bare(&text).to_owned())
}

/// A report in lines of text, whoever made it.
pub(super) fn lines(report: &Value) -> String {
    let mut out = told::lines(report);
    if let Some(explanation) = report.get("explanation").filter(|explanation| !explanation.is_null()) {
        let applicable: Vec<String> = told::items(explanation, "applicable").map(|policy| told::text(policy, "id")).collect();
        out.push(format!("{:<10} {}", "in scope", if applicable.is_empty() { "no policy".to_owned() } else { applicable.join(", ") }));
        out.extend(told::conditions(explanation));
    }
    out.join("\n")
}

// === impl Failed ===

impl Failed {
    pub(in crate::cli) fn tell(self, output: &mut Output) -> Exit {
        match self {
            Self::Faults(faults) => output.faults(&faults),
            Self::Error(exit, error) => Output::error(exit, error),
            Self::Refused(refusal, trail) => token::refused(&refusal, &trail, output),
        }
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal, Box::default())
    }
}
