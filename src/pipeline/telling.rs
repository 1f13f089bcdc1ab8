//! One decision as its caller may know it: a little, what concerns the caller, or everything, as `explain_to_caller` says.

use serde_json::{Map, Value, json};

use super::{found::Stage, snapshot::Snapshot};
use crate::{
    authz::{Applied, Explanation, NearMiss, PolicyNote},
    model::{Reason, Refusal, RequestFacts},
    respond::{Explain, Scene},
    text::redacted,
};

/// Who is told, about which call.
#[derive(Clone, Copy)]
pub(super) struct Telling<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) scene: Scene<'a, 'a>,
}

/// How the call came out.
pub(super) struct Told<'a> {
    pub(super) stage: Stage,
    /// The permits that held, or why it was refused.
    pub(super) outcome: Result<&'a [String], &'a Refusal>,
    /// What policies read of it.
    pub(super) facts: RequestFacts<'a>,
}

/// How many applied policies and near misses are told.
const TOLD: usize = 9;

// === impl Telling ===

impl Telling<'_> {
    pub(super) fn tell(&self, told: &Told<'_>) -> Map<String, Value> {
        let responder = &self.snapshot.responder;
        let mut body = Map::new();
        let mut put = |key: &str, value: Value| {
            body.insert(key.to_owned(), value);
        };
        put("id", self.scene.decision.to_string().into());
        put("decision", if told.outcome.is_ok() { "allow" } else { "deny" }.into());
        match told.outcome {
            Ok(_) => put("reason", "ALLOWED".into()),
            Err(refusal) => {
                let (code, message) = responder.told(&self.scene, refusal);
                put("reason", code.into());
                put("message", message.into());
            }
        }
        // what is hidden is told like what is not there
        let hidden = told.outcome.is_err_and(|refusal| refusal.reason == Reason::PolicyHides);
        if hidden || responder.explains() == Explain::None {
            return body;
        }
        put("stage", told.stage.as_str().into());
        put("peer", json!(self.scene.peer.map(ToString::to_string)));
        put("principal", json!(self.scene.caller.and_then(|caller| Some(caller.principal()?.entity().to_string()))));
        if let Some(intent) = self.scene.intent {
            let resources: Vec<String> = intent.resources.iter().map(|resource| safe(&resource.entity.to_string())).collect();
            put("action", json!(&*intent.action.name));
            put("level", intent.action.level.as_str().into());
            put("resources", json!(resources));
            put("workspace", json!(intent.target.name.as_str()));
        }
        put("policies", json!(told.outcome.unwrap_or_else(|refusal| &refusal.policies)));
        if let Some(explanation) = told.outcome.err().and_then(|refusal| self.explanation(refusal, &told.facts)) {
            let full = responder.explains() == Explain::Full;
            let applied_here = explanation.applied.iter().filter(|policy| !policy.hidden);
            put("applied", applied_here.take(TOLD).map(applied).collect());
            let misses = explanation.near.iter().filter(|permit| !permit.hidden && (full || permit.own));
            put("near", misses.take(TOLD).map(near).collect());
            put("near_cut", explanation.near_cut.into());
        }
        body
    }

    /// Why policies refused it, by those that are served now; `None` where they did not, or would say something else by now.
    fn explanation(&self, refusal: &Refusal, facts: &RequestFacts<'_>) -> Option<Explanation> {
        let by_policy = matches!(refusal.reason, Reason::PolicyNoPermit | Reason::PolicyForbids | Reason::PolicyError);
        let (caller, intent) = (self.scene.caller.filter(|_| by_policy)?, self.scene.intent?);
        let explanation = self.snapshot.authorizer.explain_briefly(caller, intent, facts);
        (explanation.reason == Some(refusal.reason.code())).then_some(explanation)
    }
}

/// Without the place in the operator's files.
fn policy(note: &PolicyNote) -> Value {
    json!({"id": note.id, "effect": note.effect, "reason": note.reason, "owner": note.owner})
}

fn applied(applied: &Applied) -> Value {
    json!({"policy": policy(&applied.policy), "resource": safe(&applied.resource), "conditions": applied.conditions})
}

fn near(near: &NearMiss) -> Value {
    json!({"policy": policy(&near.policy), "resource": safe(&near.resource), "missing": near.missing})
}

/// A name from the request, in which a token may stand.
fn safe(text: &str) -> String {
    redacted(text).into_owned()
}
