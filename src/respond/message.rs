//! The sentence that a refused caller reads: who, from where, what, why not, and where to ask.

use std::{borrow::Cow, fmt::Write as _};

use super::{Config, Explain, Scene, deny, text};
use crate::{
    model::{Intent, Reason, Refusal},
    text::redacted,
};

/// What an answer says of the decision, in words and as `ErrorInfo.metadata`.
pub(super) struct Told {
    pub(super) message: String,
    pub(super) metadata: Vec<(&'static str, String)>,
}

const MOST_RESOURCES: usize = 3;

/// What the caller may know of `refusal`, as far as the configuration allows.
pub(super) fn tell(config: &Config, scene: &Scene<'_, '_>, refusal: &Refusal) -> Told {
    let decision = scene.decision.to_string();
    let mut message = String::new();
    let mut metadata = vec![("decision", decision.clone())];
    if refusal.reason == Reason::PolicyHides {
        message.push_str(&hidden(scene.intent));
    } else if config.explain == Explain::None {
        message.push_str(deny::title(refusal.reason));
    } else {
        describe(scene, refusal.reason, &mut message, &mut metadata);
        message.push_str(&if config.explain == Explain::Full { refusal.whole() } else { Cow::Borrowed(&*refusal.detail) });
        message.push_str(&lasting(config, scene, refusal).unwrap_or_default());
        if scene.remembered {
            metadata.push(("why", format!("/.well-known/lakegate/decisions/{decision}")));
        }
        if config.explain == Explain::Full && !refusal.policies.is_empty() {
            metadata.push(("policies", refusal.policies.join(",")));
        }
    }
    // Details quote the request, and a token may stand in its path.
    message = redacted(&message).into_owned();
    let _ = write!(message, " [{}, decision {decision}]", deny::shown(refusal.reason));
    if let Some(url) = help(config, &decision) {
        let _ = write!(message, ", see {url}");
    }
    let shown = |value: &str| text::unretried(&redacted(value));
    Told { message: text::unretried(&message), metadata: metadata.into_iter().map(|(key, value)| (key, shown(&value))).collect() }
}

/// The configured help address for one decision.
pub(super) fn help(config: &Config, decision: &str) -> Option<String> {
    config.help_url.as_ref().map(|url| url.replace("{decision}", decision))
}

/// That a fault is no decision about the caller, where it is shown as one: whoever reads it would look for what they did wrong.
fn lasting(config: &Config, scene: &Scene<'_, '_>, refusal: &Refusal) -> Option<String> {
    let since = deny::visible_since(config, scene, refusal).filter(|_| refusal.reason.is_fault())?;
    let time = jiff::Timestamp::from_millisecond(since).ok()?;
    let whose = if refusal.reason == Reason::CredentialUnavailable { " of the token endpoint" } else { "" };
    Some(format!("; this is a fault{whose}, since {time:.0}, and nothing of the caller's is wrong: ask whoever runs lakegate"))
}

/// Whether policies permit the call, and it fails behind them.
fn is_permitted(reason: Reason) -> bool {
    matches!(reason, Reason::IdentityUnknown | Reason::CredentialRefused | Reason::CredentialConflict | Reason::CredentialUnavailable)
}

/// `User::"corp/alice" from spiffe://… may not call jobs.run_now on Job::"stage/43": `, or that it is permitted, but
fn describe(scene: &Scene<'_, '_>, reason: Reason, message: &mut String, metadata: &mut Vec<(&'static str, String)>) {
    if let Some(peer) = scene.peer {
        metadata.push(("peer", peer.to_string()));
    }
    let Some(caller) = scene.caller else {
        if let Some(peer) = scene.peer {
            let _ = write!(message, "a call from {peer}: ");
        }
        return;
    };
    let principal = caller.principal().map(|principal| principal.entity().to_string()).unwrap_or_default();
    message.push_str(&principal);
    metadata.push(("principal", principal));
    if let (Some(peer), Some(_)) = (scene.peer, &caller.token) {
        let _ = write!(message, " from {peer}");
    }
    if let Some(intent) = scene.intent {
        let resources = resources(intent);
        let may = if is_permitted(reason) { "is permitted to" } else { "may not" };
        let _ = write!(message, " {may} call {} on {resources}", intent.action.name);
        metadata.push(("action", intent.action.name.to_string()));
        metadata.push(("resources", resources));
        metadata.push(("workspace", intent.target.name.to_string()));
    }
    message.push_str(if scene.intent.is_some() && is_permitted(reason) { ", but " } else { ": " });
}

fn resources(intent: &Intent) -> String {
    let mut out = String::new();
    for (index, resource) in intent.resources.iter().take(MOST_RESOURCES).enumerate() {
        let _ = write!(out, "{}{}", if index > 0 { ", " } else { "" }, resource.entity);
    }
    if let Some(more) = intent.resources.len().checked_sub(MOST_RESOURCES).filter(|more| *more > 0) {
        let _ = write!(out, " and {more} more");
    }
    out
}

fn hidden(intent: Option<&Intent>) -> String {
    intent.map_or_else(|| "it does not exist".to_owned(), |intent| format!("{} does not exist", resources(intent)))
}
