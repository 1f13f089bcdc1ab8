//! What lakegate answers itself to whoever calls: why a call was refused, whether one would be allowed, what the caller may do.
//!
//! Each is decided like any other call up to the point where it would go on, and none goes on: nothing is minted, nothing reaches what stands behind
//! the host. A caller learns of itself alone, and as much as `explain_to_caller` says.

use bytes::{BufMut as _, BytesMut};
use serde_json::{Value, json};

use super::{
    found::{Stage, redacted, time},
    remembered::Refusals,
    snapshot::Snapshot,
    telling::{Telling, Told},
};
use crate::{
    audit::Param,
    authn,
    authz::Ordered,
    broker::Wanted,
    classify::Asked,
    json::{self as strict, Object},
    model::{Body, Call, Caller, DecisionId, Intent, MediaType, RawCall, RawFields, Reason, Refusal, RequestFacts, Span, Target},
    normalize,
    respond::{Explain, Scene},
    text::quoted,
};

/// A question, and who asks it.
pub(super) struct Question<'a, 'r> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) raw: &'r RawCall,
    pub(super) call: &'a Call<'r>,
    pub(super) caller: &'a Caller,
    /// Where it is asked.
    pub(super) target: &'a Target,
    /// The id of the question itself.
    pub(super) decision: DecisionId,
    pub(super) now_ms: i64,
}

/// What is answered, and what the record says of it beyond who asked.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) body: Value,
    pub(super) params: Vec<Param>,
}

/// What a call that is only asked about came to.
struct Tried {
    stage: Stage,
    intent: Option<Intent>,
    /// The permits that hold, or why it would be refused.
    outcome: Result<Vec<String>, Refusal>,
    /// Whether it would pass all the same.
    shadow: bool,
}

/// The keys of a question about a call.
const KEYS: [&str; 4] = ["method", "path", "body", "content_type"];

// === impl Question ===

impl Question<'_, '_> {
    /// # Errors
    /// The refusal where there is no answer for this caller, or none at all.
    pub(super) fn answer(&self, asked: Asked<'_>, refusals: &Refusals) -> Result<Answered, Refusal> {
        match asked {
            Asked::Decision(id) => self.why(id, refusals),
            Asked::CanI => self.can_i(),
            Asked::Rights => self.rights(),
        }
    }

    fn why(&self, id: &str, refusals: &Refusals) -> Result<Answered, Refusal> {
        // one answer for what never was, what is forgotten, and what is another's
        let unknown = || Refusal::new(Reason::DecisionUnknown, "this replica remembers no refusal of yours with this id");
        let refused = refusals.of(id, self.caller, self.now_ms).ok_or_else(unknown)?;
        let scene = self.scene(refused.decision, refused.caller.as_ref(), refused.intent.as_ref());
        let telling = Telling { snapshot: self.snapshot, scene: Scene { peer: refused.peer.as_ref(), ..scene } };
        let mut body = telling.tell(&Told { stage: refused.stage, outcome: Err(&refused.refusal), facts: refused.facts() });
        body.insert("time".to_owned(), time(refused.now_ms).into());
        if refused.generation != self.snapshot.generation {
            body.insert("policies_changed".to_owned(), true.into());
        }
        Ok(Answered { body: Value::Object(body), params: Vec::new() })
    }

    fn can_i(&self) -> Result<Answered, Refusal> {
        let hypothetical = self.hypothetical()?;
        let (tried, facts) = self.try_call(&hypothetical);
        let telling = Telling { snapshot: self.snapshot, scene: self.scene(self.decision, Some(self.caller), tried.intent.as_ref()) };
        let told = Told { stage: tried.stage, outcome: tried.outcome.as_deref(), facts };
        let mut body = telling.tell(&told);
        body.insert("mode".to_owned(), if tried.shadow { "shadow" } else { "enforce" }.into());
        let param = |name: &str, value: &str| Param { name: name.to_owned(), value: redacted(value) };
        let mut params = vec![
            param("asked_method", &String::from_utf8_lossy(hypothetical.method())),
            param("asked_path", &String::from_utf8_lossy(hypothetical.path().split(|byte| *byte == b'?').next().unwrap_or_default())),
            param("answer", if tried.outcome.is_ok() { "allow" } else { "deny" }),
            param("answer_reason", tried.outcome.as_ref().err().map_or("ALLOWED", |refusal| refusal.reason.code())),
        ];
        params.extend(tried.intent.iter().map(|intent| param("asked_action", &intent.action.name)));
        Ok(Answered { body: Value::Object(body), params })
    }

    fn rights(&self) -> Result<Answered, Refusal> {
        if self.snapshot.responder.explains() == Explain::None {
            return Err(Refusal::new(Reason::CallUnknown, "what callers may do is not told here"));
        }
        let rights = self.snapshot.authorizer.rights(self.caller)?;
        Ok(Answered { body: json!(rights), params: Vec::new() })
    }

    fn scene<'s>(&'s self, decision: DecisionId, caller: Option<&'s Caller>, intent: Option<&'s Intent>) -> Scene<'s, 's> {
        Scene { decision, raw: self.raw, call: None, peer: self.caller.peer.as_ref(), caller, intent, now_ms: self.now_ms, remembered: false }
    }

    /// The call that is asked about, as this caller would send it to this host.
    fn hypothetical(&self) -> Result<RawCall, Refusal> {
        let unreadable = |detail: String| Refusal::new(Reason::BodyUnreadable, detail);
        let Body::Whole { bytes, media: MediaType::Json } = &self.call.body else {
            return Err(unreadable("the question is a JSON object, `{\"method\", \"path\", \"body\"}`, as application/json and whole".to_owned()));
        };
        let question = strict::read(bytes).map_err(|error| unreadable(error.to_string()))?;
        let question = question.as_object().ok_or_else(|| unreadable("the question is no JSON object".to_owned()))?;
        if let Some((key, _)) = question.iter().find(|(key, _)| !KEYS.contains(key)) {
            return Err(unreadable(format!("the question has an unknown key {}: there are {}", quoted(key), KEYS.join(", "))));
        }
        let text = |key: &str| text_of(question, key).map_err(unreadable);
        let needed = |key: &str| text(key)?.ok_or_else(|| unreadable(format!("the question has no `{key}`")));
        let (method, path, body, media) = (needed("method")?, needed("path")?, text("body")?, text("content_type")?);
        self.laid_out(method, path, body, media).ok_or_else(|| Refusal::new(Reason::RequestMalformed, "the call is longer than any check"))
    }

    /// The call as Envoy's check would hold it: from the same workload to the same host, and the same workspace of those that share it.
    fn laid_out(&self, method: &str, path: &str, body: Option<&str>, media: Option<&str>) -> Option<RawCall> {
        let mut wire = BytesMut::new();
        let mut put = |bytes: &[u8]| {
            let start = wire.len();
            wire.put_slice(bytes);
            Span::new(start..wire.len())
        };
        let mut headers: Vec<(&str, String)> = Vec::new();
        // in the query of the question it would stay behind
        let named = !self.call.headers.workspace_ids.is_empty() || !self.call.query.pairs.is_empty();
        headers.extend(self.target.workspace_id.iter().filter(|_| named).map(|id| ("x-databricks-workspace-id", id.to_string())));
        if let Some(body) = body {
            headers.push(("content-type", media.unwrap_or("application/json").to_owned()));
            headers.push(("content-length", body.len().to_string()));
            headers.push(("x-envoy-auth-partial-body", "false".to_owned()));
        }
        let fields = RawFields {
            principal: put(self.raw.principal())?,
            source_address: put(self.raw.source_address())?,
            method: put(method.as_bytes())?,
            path: put(path.as_bytes())?,
            host: put(self.raw.host())?,
            protocol: put(b"HTTP/1.1")?,
            size: i64::try_from(body.map_or(0, str::len)).ok()?,
            headers: headers.iter().map(|(name, value)| Some((put(name.as_bytes())?, put(value.as_bytes())?))).collect::<Option<_>>()?,
            body: match body {
                Some(body) => Some(put(body.as_bytes())?),
                None => None,
            },
            ..RawFields::default()
        };
        Some(RawCall::new(wire.freeze(), fields))
    }

    /// What the stages say of the call, in their order, up to where a permit would be made.
    fn try_call<'h>(&self, hypothetical: &'h RawCall) -> (Tried, RequestFacts<'h>) {
        let peer = self.caller.peer.as_ref();
        let shadow = |call: Result<&Call<'_>, Reason>| self.snapshot.is_shadow(hypothetical, call, peer);
        let mut facts = RequestFacts { method: "", path: "", source_ip: self.call.source_ip, time_ms: self.now_ms };
        let call = match normalize::normalize(hypothetical, &self.snapshot.normalize) {
            Ok(call) => call,
            Err(refusal) => {
                let shadow = shadow(Err(refusal.reason));
                return (Tried { stage: Stage::Normalize, intent: None, outcome: Err(refusal), shadow }, facts);
            }
        };
        (facts.method, facts.path) = (call.method, call.path.raw);
        let (classifier, shadow) = (&self.snapshot.classifier, shadow(Ok(&call)));
        let answered = |outcome: Result<(), Refusal>| Tried { stage: Stage::Classify, intent: None, outcome: outcome.map(|()| Vec::new()), shadow };
        // what lakegate answers itself is no call of anybody behind it
        let own = classifier.discovery(&call).map(|asked| asked.map(drop)).or_else(|| Some(classifier.asked(&call)?.map(drop)));
        if let Some(own) = own {
            return (answered(own), facts);
        }
        let intent = match classifier.classify(&call) {
            Ok(intent) => intent,
            Err(refusal) => return (answered(Err(refusal)), facts),
        };
        let judgement = self.snapshot.authorizer.judge(self.caller, &intent, &facts);
        let (stage, outcome) = match judgement.is_allowed().then(|| self.goes_on(&intent, judgement.ordered.as_ref())) {
            None => (Stage::Authz, judgement.outcome()),
            Some(Ok(())) => (Stage::Broker, judgement.outcome()),
            Some(Err(refusal)) => (Stage::Broker, Err(refusal)),
        };
        (Tried { stage, intent: Some(intent), outcome, shadow }, facts)
    }

    /// Whether a permitted call would have a credential to go on with, as far as that shows without asking for one.
    fn goes_on(&self, intent: &Intent, ordered: Option<&Ordered>) -> Result<(), Refusal> {
        let token = self.call.headers.authorization.map(authn::bare);
        let wanted = Wanted::new(self.caller, token, intent.scope.as_deref()).known_as(self.snapshot.authorizer.known_as(self.caller));
        self.snapshot.broker.foretell(&intent.target, ordered, &wanted, &mut None)
    }
}

/// The text under `key`, where there is one.
fn text_of<'o>(question: &'o Object<'_>, key: &str) -> Result<Option<&'o str>, String> {
    match question.get(key) {
        None | Some(strict::Value::Null) => Ok(None),
        Some(value) => value.as_text().map(Some).ok_or_else(|| format!("`{key}` of the question is {}, not a string", value.kind())),
    }
}
