//! What Envoy is told, and through it the caller: trust headers, or a deny in the shape that Databricks clients show.
//!
//! The only stage that matches on [`Reason`]; whatever it emits is visible ASCII (CVE-2023-27493: a CR LF in a header of ours splits the answer).

mod assertion;
mod deny;
mod discovery;
mod headers;
mod message;
mod reasons;
mod text;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use self::assertion::Assertions;
use crate::{
    broker::Grant,
    model::{Call, Caller, DecisionId, Intent, Name, RawCall, Reason, Refusal, SpiffeId, Target, TargetKind, Verdict},
    signer::TokenIssuer,
};

pub use assertion::AssertionConfig;
pub use headers::{TrustHeader, Trusted};
pub use reasons::reference;

/// How answers look.
#[derive(Clone, Debug)]
pub struct Config {
    /// The common beginning of the trust headers, lower case, ending in `-`.
    pub prefix: String,
    /// Where people ask; `{decision}` stands for the decision id.
    pub help_url: Option<String>,
    pub explain: Explain,
    /// Milliseconds after which a fault is shown (403, not retried) instead of retried (503).
    pub faults_visible_after_ms: i64,
    /// Which trust headers may leave the mesh with a call to a target; none where it is not named.
    pub trust: HashMap<(TargetKind, Name), Trusted>,
    /// `None` where nothing is signed.
    pub assertion: Option<AssertionConfig>,
}

/// How much a deny tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explain {
    /// The reason code and the decision id.
    None,
    /// Also who the caller was taken for, what the call would have done and what is missing.
    Own,
    /// Also the ids of the policies that decided.
    Full,
}

/// What is known of the call when its answer is made; later parts are missing where an earlier stage refused.
#[derive(Clone, Copy)]
pub struct Scene<'s, 'r> {
    pub decision: DecisionId,
    pub raw: &'s RawCall,
    pub call: Option<&'s Call<'r>>,
    /// The workload, known before its token is believed.
    pub peer: Option<&'s SpiffeId>,
    pub caller: Option<&'s Caller>,
    pub intent: Option<&'s Intent>,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
    /// Whether the caller can ask why it was refused.
    pub remembered: bool,
}

/// Makes the answers of one configuration.
#[derive(Debug)]
pub struct Responder {
    config: Config,
    names: headers::Names,
    assertions: Option<Assertions>,
}

// === impl Responder ===

impl Responder {
    #[must_use]
    pub fn new(config: Config) -> Self {
        let names = headers::Names::new(&config.prefix);
        let assertions = config.assertion.clone().map(Assertions::new);
        Self { config, names, assertions }
    }

    /// lakegate as an issuer of tokens; `None` where it signs none.
    #[must_use]
    pub fn issuer(&self) -> Option<&TokenIssuer> {
        self.assertions.as_ref().map(Assertions::issuer)
    }

    /// The answer to a call that went through all stages, or was refused by one.
    #[must_use]
    pub fn respond(&self, scene: &Scene<'_, '_>, outcome: Result<Grant, Refusal>) -> Verdict {
        match (outcome, scene.caller, scene.intent) {
            (Ok(grant), Some(caller), Some(intent)) => {
                let trust = headers::Trust { config: &self.config, names: &self.names, assertions: self.assertions.as_ref() };
                headers::allow(&trust, scene, caller, intent, grant.credential())
            }
            (Ok(_), _, _) => self.deny(scene, &Refusal::new(Reason::Internal, "a call was granted without a caller or an intent")),
            (Err(refusal), _, _) => self.deny(scene, &refusal),
        }
    }

    /// The answer of shadow mode: as if lakegate were not there, but forged trust headers and their aliases do not pass.
    #[must_use]
    pub fn shadow(&self, scene: &Scene<'_, '_>) -> Verdict {
        headers::shadow(&self.names, scene)
    }

    /// The answer to `GET /.well-known/databricks-config`, which never reaches the workspace.
    #[must_use]
    pub fn discovery(&self, scene: &Scene<'_, '_>, target: &Target) -> Verdict {
        discovery::answer(&self.names, scene, target)
    }

    /// How much callers are told.
    #[must_use]
    pub fn explains(&self) -> Explain {
        self.config.explain
    }

    /// The code and the sentence that a refusal is answered with.
    #[must_use]
    pub fn told(&self, scene: &Scene<'_, '_>, refusal: &Refusal) -> (&'static str, String) {
        (deny::shown(refusal.reason), message::tell(&self.config, scene, refusal).message)
    }

    /// The answer to what is asked of lakegate itself.
    #[must_use]
    pub fn answer(&self, scene: &Scene<'_, '_>, body: &serde_json::Value) -> Verdict {
        discovery::own(&self.names, scene, body)
    }

    fn deny(&self, scene: &Scene<'_, '_>, refusal: &Refusal) -> Verdict {
        deny::deny(&self.config, &self.names, scene, refusal)
    }
}
