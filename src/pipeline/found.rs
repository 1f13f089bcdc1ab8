//! What the stages found of one call, and how it is written into the record.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Outcome,
    facts::{self, LONGEST},
    identity::{credential, identity, refused_token},
};
use crate::{
    audit::{Entry, Param, Response},
    authn::Trail,
    broker::Manner,
    model::{Call, Caller, DecisionId, FieldValue, Intent, Level, RawCall, Reason, SpiffeId, Target, TargetKind, Verdict},
    telemetry::trace::TraceParent,
    text,
};

/// One call on its way: what is known so far.
#[derive(Debug)]
pub(super) struct Found<'r> {
    pub(super) decision: DecisionId,
    /// The decision id as text.
    pub(super) id: String,
    pub(super) now_ms: i64,
    pub(super) started: Instant,
    pub(super) generation: u64,
    pub(super) shadow: bool,
    pub(super) stage: Stage,
    pub(super) call: Option<Call<'r>>,
    /// The workload, known before its token is looked at, so that the record of a bad token names who sent it.
    pub(super) peer: Option<SpiffeId>,
    /// As its certificate names it, where its trust domain counts as another.
    pub(super) presented: Option<SpiffeId>,
    /// What is known of the token, admitted or not.
    pub(super) trail: Trail,
    pub(super) caller: Option<Caller>,
    pub(super) intent: Option<Intent>,
    /// What the policies said, where they were asked, whatever became of the call then.
    pub(super) judged: Option<Judged>,
    pub(super) policies: Vec<String>,
    /// What may be told of the credential, where the broker was asked.
    pub(super) manner: Option<Manner>,
    /// Whether it is a call to lakegate itself.
    pub(super) own: bool,
    /// What it is called then, where it is a question that lakegate knows.
    pub(super) asked: Option<&'static str>,
    /// Where it is asked.
    pub(super) target: Option<Arc<Target>>,
    /// Whether the caller can ask why it was refused.
    pub(super) remembered: bool,
}

/// What policies said of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Permitted,
    Refused(Reason),
}

/// The stage a call is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Normalize,
    Authn,
    Classify,
    Authz,
    Broker,
    Respond,
}

/// What records call a personal access token of Databricks that was let pass.
const PERSONAL: &str = "personal-access-token";

// === impl Stage ===

impl Stage {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Normalize => "normalize",
            Self::Authn => "authn",
            Self::Classify => "classify",
            Self::Authz => "authz",
            Self::Broker => "broker",
            Self::Respond => "respond",
        }
    }
}

// === impl Found ===

impl Found<'_> {
    pub(super) fn new(decision: DecisionId, now_ms: i64, generation: u64, shadow: bool) -> Self {
        Self {
            id: decision.to_string(),
            decision,
            now_ms,
            started: Instant::now(),
            generation,
            shadow,
            stage: Stage::Normalize,
            call: None,
            peer: None,
            presented: None,
            trail: Trail::default(),
            caller: None,
            intent: None,
            judged: None,
            policies: Vec::new(),
            manner: None,
            own: false,
            asked: None,
            target: None,
            remembered: false,
        }
    }

    fn mode(&self) -> &'static str {
        if self.shadow { "shadow" } else { "enforce" }
    }

    /// The trace that the call belongs to.
    pub(super) fn trace(&self) -> Option<TraceParent> {
        TraceParent::parse(self.call.as_ref()?.headers.traceparent?)
    }

    /// Writes what the stages found into `entry`.
    pub(super) fn describe(&self, outcome: &Outcome, took: Duration, entry: &mut Entry) {
        entry.stage = self.stage.as_str();
        entry.mode = self.mode();
        entry.reason = outcome.code();
        entry.duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        entry.policies.clone_from(&self.policies);
        if let Outcome::Refused(refusal) = outcome {
            entry.detail = redacted(&refusal.whole());
            entry.policies.clone_from(&refusal.policies);
        }
        entry.credential = self.manner.as_ref().map(credential);
        self.describe_call(entry);
        entry.presented = self.trail.is_personal().then_some(PERSONAL);
        entry.peer = self.peer.as_ref().map(ToString::to_string);
        entry.peer_presented = self.presented.as_ref().map(ToString::to_string);
        match &self.caller {
            Some(caller) => describe_caller(caller, &self.trail, entry),
            None => entry.refused_token = refused_token(&self.trail),
        }
        if let Some(intent) = &self.intent {
            describe_intent(intent, entry);
            if let (Some(_), Some(call), Some(caller)) = (self.judged, &self.call, &self.caller) {
                entry.facts = Some(facts::facts(call, caller, intent));
            }
        } else if let Outcome::Discovery(target) = outcome {
            describe_target(target, entry);
        }
        self.describe_asked(outcome, entry);
    }

    fn describe_asked(&self, outcome: &Outcome, entry: &mut Entry) {
        let Some((service, method)) = self.asked.and_then(|action| action.split_once('.')) else { return };
        entry.action = Some(format!("{service}.{method}"));
        entry.level = Some(Level::Read.as_str());
        (entry.service_name, entry.action_name) = (Some(service.to_owned()), Some(method.to_owned()));
        if let Some(target) = &self.target {
            describe_target(target, entry);
        }
        if let Outcome::Answered(answered) = outcome {
            entry.request_params.extend(answered.params.iter().cloned());
        }
    }

    /// Writes what is known from the first moment, so that an aborted record has it too.
    pub(super) fn begin(&self, raw: &RawCall, entry: &mut Entry) {
        entry.version = "1";
        entry.event_id.clone_from(&self.id);
        entry.event_time = time(self.now_ms);
        entry.stage = self.stage.as_str();
        entry.mode = self.mode();
        entry.generation = self.generation;
        let path = raw.path().split(|byte| *byte == b'?').next().unwrap_or_default();
        for (name, value) in [("method", raw.method()), ("host", raw.host()), ("path", path)] {
            entry.request_params.push(Param { name: name.to_owned(), value: redacted(&String::from_utf8_lossy(value)) });
        }
    }

    fn describe_call(&self, entry: &mut Entry) {
        let Some(call) = &self.call else { return };
        entry.request_id = call.headers.request_id.map(redacted);
        entry.user_agent = call.headers.user_agent.map(redacted);
        entry.source_ip_address = call.source_ip.map(|ip| ip.to_string());
        entry.trace_id = self.trace().map(|trace| trace.trace_id());
    }
}

fn describe_caller(caller: &Caller, trail: &Trail, entry: &mut Entry) {
    entry.principal = caller.principal().map(|principal| principal.entity().to_string());
    if let Some(token) = &caller.token {
        entry.actor.clone_from(&token.actors);
        entry.purpose = token.purpose.as_deref().map(redacted);
        entry.session_id.clone_from(&token.session);
        entry.user_identity = Some(identity(token, trail));
    }
}

fn describe_target(target: &Target, entry: &mut Entry) {
    entry.workspace = Some(target.name.to_string());
    entry.workspace_id = target.workspace_id.as_deref().map(str::to_owned);
}

fn describe_intent(intent: &Intent, entry: &mut Entry) {
    let action = &intent.action;
    entry.action = Some(action.name.to_string());
    entry.level = Some(action.level.as_str());
    entry.service_name = Some(action.service.to_string());
    entry.action_name = Some(action.name.rsplit('.').next().unwrap_or_default().to_owned());
    entry.resources = intent.resources.iter().map(|resource| redacted(&resource.entity.to_string())).collect();
    entry.workspace = Some(intent.target.name.to_string());
    entry.workspace_id = intent.target.workspace_id.as_deref().map(str::to_owned);
    entry.account_id = intent.target.account_id.as_deref().map(str::to_owned);
    entry.audit_level = Some(if intent.target.kind == TargetKind::Account { "ACCOUNT_LEVEL" } else { "WORKSPACE_LEVEL" });
    for field in &intent.fields {
        let value = match &field.value {
            FieldValue::Text(text) => redacted(text),
            FieldValue::Long(number) => number.to_string(),
            FieldValue::Bool(truth) => truth.to_string(),
            FieldValue::Texts(texts) => redacted(&texts.join(",")),
        };
        entry.request_params.push(Param { name: field.name.to_string(), value });
    }
}

/// What the caller got, for the record: the status of our answer, and the sentence that explains it.
pub(super) fn response(verdict: &Verdict) -> Response {
    match verdict {
        Verdict::Allow(_) => Response::default(),
        Verdict::Answer(_) => Response { status_code: 200, error_message: None },
        Verdict::Deny(deny) => {
            let phrase = deny.headers.iter().find(|edit| edit.name == "x-databricks-reason-phrase");
            let message = phrase.map(|edit| redacted(&String::from_utf8_lossy(&edit.value)));
            Response { status_code: deny.status.code(), error_message: message }
        }
    }
}

/// `2026-11-21T23:59:59.123Z`
pub(super) fn time(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// `text` without credentials, cut at 1 KiB.
pub(super) fn redacted(text: &str) -> String {
    let out = text::redacted(text);
    if out.len() <= LONGEST { out.into_owned() } else { out.chars().take(LONGEST).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_hold_no_credential() {
        assert_eq!(redacted("/x/eyJhbGciOiJSUzI1NiJ9.e30.AAAA/y"), "/x/[redacted]");
        assert_eq!(redacted(&"x".repeat(5000)).len(), LONGEST);
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(1_795_305_599_123), "2026-11-21T23:59:59.123Z");
    }
}
