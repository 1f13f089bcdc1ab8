use std::{io::Read as _, path::PathBuf};

use serde_json::{Value, json};

use super::{Exit, output::Output};
use crate::{
    authn::{self, Trail},
    clock::Clock,
    inquiry::Terms,
    model::{FieldValue, Refusal},
    net, pipeline,
    reload::Compiler,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// The file that holds the token; standard input where it is left out
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// The SPIFFE ID of a workload: may it present the token?
    #[arg(long)]
    peer: Option<String>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let token = match read(args) {
        Ok(token) => token,
        Err(error) => return Output::error(Exit::Invalid, format_args!("the token cannot be read: {error}")),
    };
    let compiled = net::Client::new(&net::Config::default())
        .map_err(|error| error.to_string())
        .map(|client| Compiler::new(&args.config, client, Clock::default()).and_then(|compiler| compiler.compile(None)));
    let compiled = match compiled {
        Ok(Ok(compiled)) => compiled,
        Ok(Err(faults)) => return output.faults(&faults),
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let authenticator = &compiled.snapshot.authenticator;
    let mut trail = Trail::default();
    let examined = runtime.block_on(authenticator.examine(authn::bare(&token), &mut trail)).and_then(|examined| {
        if let Some(peer) = &args.peer {
            examined.admit(authenticator.peer_told(peer.as_bytes())?.as_ref())?;
        }
        Ok(examined)
    });
    if let Err(refusal) = &examined {
        return refused(refusal, &trail, output);
    }
    let facts = facts(&trail);
    output.result(&facts, || lines(&facts));
    Exit::Yes
}

fn read(args: &Args) -> std::io::Result<String> {
    if let Some(file) = &args.token_file {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().take(1 << 20).read_to_string(&mut text)?;
    Ok(text)
}

/// What policies will see of the token, and what it asks of whoever presents it, by the names of the record.
fn facts(trail: &Trail) -> Value {
    let (Some(token), Some(terms)) = (trail.token(), Terms::of(trail)) else { return Value::Null };
    let claims: serde_json::Map<String, Value> = token.claims.iter().map(|claim| (claim.name.to_string(), plain(&claim.value))).collect();
    json!({
        "decision": "allow",
        "reason": "ALLOWED",
        "principal": format!("{}::\"{}/{}\"", token.kind.type_name(), token.issuer, token.subject),
        "issuer": token.issuer.as_str(),
        "subject_name": token.subject,
        "token_id": token.id,
        "token_digest": trail.digest(),
        "session_id": token.session,
        "aud": terms.aud,
        "groups": token.groups,
        "groups_elsewhere": token.groups_elsewhere.then_some(true),
        "roles": token.roles,
        "scopes": token.scopes,
        "client": token.client,
        "actor": token.actors,
        "purpose": token.purpose,
        "claims": claims,
        "auth_time": token.auth_time,
        "acr": token.acr,
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
        "peers": terms.peers,
        "bound_to": terms.bound_to,
    })
}

fn plain(value: &FieldValue) -> Value {
    match value {
        FieldValue::Text(text) => json!(text),
        FieldValue::Long(number) => json!(number),
        FieldValue::Bool(truth) => json!(truth),
        FieldValue::Texts(texts) => json!(texts),
    }
}

fn lines(facts: &Value) -> String {
    let lines = facts.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    lines.map(|(name, value)| format!("{name:<13}{}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect::<Vec<_>>().join("\n")
}

/// Prints why a token is refused, and whose it is where that is known.
pub(super) fn refused(refusal: &Refusal, trail: &Trail, output: &mut Output) -> Exit {
    let (reason, detail) = (refusal.reason.code(), refusal.whole());
    let report = json!({"decision": "deny", "reason": reason, "detail": detail, "refused_token": pipeline::refused_token(trail)});
    output.result(&report, || {
        let whose = report.get("refused_token").filter(|whose| whose.is_object()).map(|whose| format!("\n{}", lines(whose)));
        format!("refused: {reason}: {detail}{}", whose.unwrap_or_default())
    });
    if refusal.reason.is_fault() { Exit::Failure } else { Exit::Denied }
}
