//! A call through every stage, with what each found; the broker says what it would do, and does nothing.

use serde::Serialize;

use super::Request;
use crate::{
    audit::{Credential, Identity, RefusedToken},
    authn::{self, Trail},
    authz::{Explained, Explanation},
    broker::Wanted,
    model::{Call, Caller, Reason, Refusal, RequestFacts, SpiffeId},
    normalize,
    pipeline::{self, Snapshot},
};

/// Who asks: the mesh identity of the workload, and in place of a token the claims of one that nobody has, believed without a signature.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker<'a> {
    pub peer: Option<&'a str>,
    pub claims: Option<&'a [u8]>,
}

/// What `explain` says, in the words of the audit record.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub decision: &'static str,
    pub reason: &'static str,
    pub detail: String,
    /// The stage that refused, or the last one.
    pub stage: &'static str,
    pub principal: Option<String>,
    pub peer: Option<String>,
    pub actor: Vec<String>,
    pub purpose: Option<String>,
    pub session_id: Option<String>,
    pub user_identity: Option<Identity>,
    /// Whose the token is where it is refused.
    pub refused_token: Option<RefusedToken>,
    /// What the token asks of calls; `None` without one.
    pub token: Option<Terms>,
    pub action: Option<String>,
    pub level: Option<&'static str>,
    pub resources: Vec<String>,
    pub workspace: Option<String>,
    pub policies: Vec<String>,
    /// There where policies permit the call: with which credential it would go on. None is had for it.
    pub credential: Option<Credential>,
    /// `shadow` where the decision would be recorded without being enforced.
    pub mode: &'static str,
    pub explanation: Option<Explanation>,
}

/// For whom a token is, and who may present it how; `lakegate token` says it in the same words.
#[derive(Debug, Serialize)]
pub struct Terms {
    pub aud: Vec<String>,
    /// Patterns of workloads; `None` where any may present it.
    pub peers: Option<Vec<String>>,
    /// What has to be proven beside it: a `certificate`, a `key`, or both.
    pub bound_to: Vec<&'static str>,
}

/// What every stage of `snapshot` finds of `request` at `now_ms`. It ends in a report, never in a permit, and counts for nothing.
pub async fn inquire(snapshot: &Snapshot, request: &Request, asker: Asker<'_>, now_ms: i64) -> Report {
    let mut report = Report { stage: "normalize", ..Report::default() };
    if let Err(refusal) = stages(snapshot, request, asker, now_ms, &mut report).await {
        report.decision = "deny";
        report.reason = refusal.reason.code();
        report.detail = refusal.whole().into_owned();
    }
    report
}

async fn stages(snapshot: &Snapshot, request: &Request, asker: Asker<'_>, now_ms: i64, report: &mut Report) -> Result<(), Refusal> {
    let raw = request.raw(asker.peer).ok_or_else(|| Refusal::new(Reason::RequestMalformed, "the call is longer than any check"))?;
    let mode = |call: Result<&Call<'_>, Reason>, peer: Option<&SpiffeId>| if snapshot.is_shadow(&raw, call, peer) { "shadow" } else { "enforce" };
    let call = normalize::normalize(&raw, &snapshot.normalize).inspect_err(|refusal| report.mode = mode(Err(refusal.reason), None))?;
    report.mode = mode(Ok(&call), None);
    report.stage = "authn";
    let peer = snapshot.authenticator.peer_told(call.principal)?;
    report.peer = peer.as_ref().map(ToString::to_string);
    report.mode = mode(Ok(&call), peer.as_ref());
    if let Some(target) = snapshot.classifier.discovery(&call) {
        report.workspace = Some(target?.name.to_string());
        (report.decision, report.reason) = ("answer", "ALLOWED");
        return Ok(());
    }
    let mut trail = Trail::default();
    let caller = caller(asker.claims, snapshot, &call, peer, &mut trail).await;
    report.token = Terms::of(&trail);
    let caller = caller.inspect_err(|_| report.refused_token = pipeline::refused_token(&trail))?;
    report.describe(&caller, &trail);
    report.stage = "classify";
    if let Some(asked) = snapshot.classifier.asked(&call) {
        report.action = Some(asked?.action().to_owned());
        report.workspace = Some(snapshot.classifier.target(&call)?.name.to_string());
        (report.decision, report.reason) = ("answer", "ALLOWED");
        return Ok(());
    }
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
    let ordered = explanation.ordered.clone();
    let permitted = explanation.decision == Explained::Allow;
    report.explanation = Some(explanation);
    if !permitted {
        return Ok(());
    }
    report.stage = "broker";
    // Claims stand for a token: nothing of it is sent here.
    let token = call.headers.authorization.map(authn::bare).or(caller.token.as_ref().map(|_| ""));
    let wanted = Wanted::new(&caller, token, intent.scope.as_deref()).known_as(snapshot.authorizer.known_as(&caller));
    let mut manner = None;
    let foretold = snapshot.broker.foretell(&intent.target, ordered.as_ref(), &wanted, &mut manner);
    report.credential = manner.as_ref().map(pipeline::credential);
    foretold
}

async fn caller(claims: Option<&[u8]>, snapshot: &Snapshot, call: &Call<'_>, peer: Option<SpiffeId>, trail: &mut Trail) -> Result<Caller, Refusal> {
    match claims {
        Some(claims) => snapshot.authenticator.follow_claims(claims, peer, trail),
        None => snapshot.authenticator.identify(call, peer, trail).await,
    }
}

// === impl Terms ===

impl Terms {
    /// `None` where the token is not known to be good.
    #[must_use]
    pub fn of(trail: &Trail) -> Option<Self> {
        trail.token()?;
        let peers = trail.peers().map(|peers| peers.iter().map(ToString::to_string).collect());
        Some(Self { aud: trail.audiences().to_vec(), peers, bound_to: trail.bound_to() })
    }
}

// === impl Report ===

impl Report {
    fn describe(&mut self, caller: &Caller, trail: &Trail) {
        self.principal = caller.principal().map(|principal| principal.entity().to_string());
        let Some(token) = &caller.token else { return };
        self.actor.clone_from(&token.actors);
        self.purpose.clone_from(&token.purpose);
        self.session_id.clone_from(&token.session);
        self.user_identity = Some(pipeline::identity(token, trail));
    }
}
