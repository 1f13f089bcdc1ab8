//! Asking the lakegate that guards a host, as whoever calls that host: through the same Envoy, with the same token.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;

use super::{Exit, output::Output};
use crate::{
    authn,
    model::Secret,
    net::{self, Endpoint, EndpointError},
    text::shown,
};

/// Who asks, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Asker {
    /// The file that holds your token; without it you ask as the workload alone
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Let the URL be plain http, for a sidecar that encrypts what leaves; the token travels as it is up to there
    #[arg(long)]
    mesh: bool,
    /// The workspace that is meant, where several share the host
    #[arg(long, value_name = "ID")]
    workspace_id: Option<String>,
}

/// Where lakegate answers itself, on every host that it guards.
const OWN: &str = "/.well-known/lakegate";

// === impl Asker ===

impl Asker {
    /// The answer of lakegate to `question` at `base`, `https://<host>`.
    ///
    /// # Errors
    /// The exit code, with everything printed: an answer that is none, or a refusal.
    pub(super) fn ask(&self, base: &str, question: &str, json: Option<Bytes>, output: &mut Output) -> Result<Value, Exit> {
        let invalid = |error: String| Output::error(Exit::Invalid, error);
        let mut url = format!("{}{OWN}/{question}", base.trim_end_matches('/'));
        if let Some(id) = &self.workspace_id {
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(invalid(format!("`{}` is no workspace id: a plain decimal number", shown(id))));
            }
            url.push_str("?o=");
            url.push_str(id);
        }
        let endpoint = if self.mesh { Endpoint::in_mesh(&url) } else { Endpoint::parse(&url) };
        let endpoint = endpoint.map_err(|error| {
            let hint = if error == EndpointError::Scheme { "; inside a mesh whose sidecar encrypts, say --mesh" } else { "" };
            invalid(format!("`{}` cannot be asked: {error}{hint}", shown(base)))
        })?;
        let token = self.token().map_err(invalid)?;
        let failed = |error: &dyn std::fmt::Display| Output::error(Exit::Failure, format_args!("{}: {error}", shown(base)));
        let client = net::Client::new(&net::Config::default()).map_err(|error| failed(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
        let (status, body) = runtime.block_on(client.ask(&endpoint, token.as_ref(), json)).map_err(|error| failed(&error))?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        match status {
            200 if is_decision(&answer) || answer.get("permits").is_some() => Ok(answer),
            _ => Err(refused(status, &answer, output)),
        }
    }

    pub(super) fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }

    fn token(&self) -> Result<Option<Secret>, String> {
        let Some(file) = &self.token_file else { return Ok(None) };
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Some(Secret::new(authn::bare(&text))))
    }
}

/// Prints a refusal of lakegate's, or says that the answer is not lakegate's at all.
fn refused(status: u16, answer: &Value, output: &mut Output) -> Exit {
    let reason = answer.pointer("/details/0/reason").and_then(Value::as_str);
    let ours = answer.pointer("/details/0/domain").and_then(Value::as_str) == Some("lakegate");
    let Some(reason) = reason.filter(|_| ours) else {
        return Output::error(
            Exit::Failure,
            format_args!("the answer (status {status}) is not lakegate's: is the host guarded, and is this the way to it?"),
        );
    };
    output.result(answer, || {
        let message = answer.get("message").and_then(Value::as_str).unwrap_or_default();
        let hint = if reason == "DECISION_UNKNOWN" {
            "\na refusal is remembered for an hour, by the replica that made it, and told to the same principal in the same namespace alone; \
             ask again, for another replica may have it, or ask an operator, who finds it in the audit file (lakegate why --audit)"
        } else {
            ""
        };
        format!("refused    {reason}\nwhy        {}{hint}", super::told::plain(message))
    });
    match status {
        // it is the question that cannot be read
        400 | 413 => Exit::Invalid,
        404 => Exit::Failure,
        _ => Exit::of("deny", reason),
    }
}

/// Whether it says how a call was, or would be, decided.
fn is_decision(answer: &Value) -> bool {
    answer.get("decision").and_then(Value::as_str).is_some_and(|decision| matches!(decision, "allow" | "deny"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;

    #[test]
    fn a_refused_question_is_no_denied_call_where_it_says_nothing_of_one() {
        let answer = |reason: &str, domain: &str| serde_json::json!({ "message": "no", "details": [{ "reason": reason, "domain": domain }] });
        for (status, reason, domain, exit) in [
            (401, "TOKEN_EXPIRED", "lakegate", Exit::Denied),
            (403, "HOST_UNKNOWN", "lakegate", Exit::Denied),
            (400, "BODY_UNREADABLE", "lakegate", Exit::Invalid),
            (413, "BODY_TOO_LARGE", "lakegate", Exit::Invalid),
            (404, "DECISION_UNKNOWN", "lakegate", Exit::Failure),
            (503, "KEYS_UNAVAILABLE", "lakegate", Exit::Failure),
            // a fault that is old enough to be shown
            (403, "KEYS_UNAVAILABLE", "lakegate", Exit::Failure),
            (403, "PERMISSION_DENIED", "elsewhere", Exit::Failure),
        ] {
            assert_eq!(refused(status, &answer(reason, domain), &mut Output::new(Format::Json)), exit, "{status} {reason}");
        }
    }

    #[test]
    fn an_answer_of_somebody_else_is_no_decision() {
        for (answer, good) in
            [(r#"{"decision":"allow"}"#, true), (r#"{"decision":"deny"}"#, true), (r#"{"id":"1"}"#, false), (r#"{"decision":"maybe"}"#, false)]
        {
            assert_eq!(is_decision(&serde_json::from_str(answer).unwrap()), good, "{answer}");
        }
    }
}
