//! With which credential an authorized call goes on.
//!
//! A [`Grant`] owns the [`Permit`] it was made for, so that no credential exists without a decision. Where a mode mints and cannot, the call ends: the caller's
//! token never goes on in place of what could not be had. A credential is kept in memory alone, for the caller whose it is, and each request that it travels with
//! has been authenticated and permitted anew.

mod answer;
mod claims;
mod config;
mod counter;
mod desk;
mod flight;
mod manner;
mod metrics;
mod minted;
mod ordered;
mod subject;
mod trial;
mod withheld;
mod words;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use prometheus_client::registry::Registry;

pub use self::{
    answer::Unusable,
    config::{Config, Exchange, Identity, Mode, PrincipalRule, Subject},
    counter::EndpointStatus,
    manner::Manner,
    trial::{Answered, NOBODY, Probe, Said, Sent, TokenFacts, Trial, TrialEnd},
};
use self::{
    desk::{Desk, Sought},
    subject::Whom,
};
use crate::{
    authz::{Ordered, Permit},
    clock::Clock,
    model::{Caller, Reason, Refusal, Target},
    net::Client,
};

/// What is known of the caller for whom a credential is wanted, and of the call.
#[derive(Clone, Copy)]
pub struct Wanted<'w> {
    caller: &'w Caller,
    token: Option<&'w str>,
    scope: Option<&'w str>,
    /// As whom Databricks knows the caller, by the operator's word.
    known_as: Option<&'w Arc<str>>,
    /// As whom its permit says that the call goes on.
    principal: Option<&'w Arc<str>>,
    /// When what permits the call could end, in seconds since the epoch.
    permitted_until: Option<i64>,
}

/// What stands in `authorization` when the call goes on.
pub enum Credential {
    /// What the caller sent.
    Passthrough,
    /// Nothing.
    Strip,
    /// This value in place of what the caller sent. It is a secret.
    Replace(Bytes),
}

/// An authorized call with its credential. Only the broker makes one; it cannot be copied.
#[derive(Debug)]
pub struct Grant {
    permit: Permit,
    credential: Credential,
}

/// The modes of all configured targets.
#[derive(Debug)]
pub struct Broker {
    config: Config,
    desk: Arc<Desk>,
}

// === impl Wanted ===

impl<'w> Wanted<'w> {
    /// `token` is the one that came with the call, as it was sent; `scope` the narrowest that the call needs, with one space between each, `None` where no
    /// narrower is known than that of all.
    #[must_use]
    pub fn new(caller: &'w Caller, token: Option<&'w str>, scope: Option<&'w str>) -> Self {
        Self { caller, token, scope, known_as: None, principal: None, permitted_until: None }
    }

    /// The same of a caller whom Databricks knows as `known_as`, by the operator's word.
    #[must_use]
    pub fn known_as(self, known_as: Option<&'w Arc<str>>) -> Self {
        Self { known_as, ..self }
    }
}

// === impl Broker ===

impl Broker {
    /// Makes the stage. Credentials, exchanges under way and what is known of token endpoints come from `previous`.
    #[must_use]
    pub fn new(config: Config, client: Client, clock: Clock, previous: Option<&Self>) -> Self {
        let kept = previous.filter(|previous| previous.config.cache_bytes == config.cache_bytes).map(|previous| Arc::clone(&previous.desk));
        let desk = kept.unwrap_or_else(|| Arc::new(Desk::new(client, clock, config.cache_bytes)));
        for ((_, name), _) in config.modes.iter().filter(|(_, mode)| matches!(mode, Mode::Exchange(_))) {
            // Each series begins at 0, so that what counts its increase does not miss the first.
            let _ = desk.metrics.exchanges_of(name);
        }
        Self { config, desk }
    }

    /// Enters the metrics. Once for the life of the process.
    pub fn register(&self, registry: &mut Registry) {
        self.desk.metrics.register(registry);
    }

    /// The credential for the call that `permit` is for. Awaits only where a mode mints and nothing is at hand. What may be told of it is in `manner` as soon
    /// as it is known, and stays there however this ends.
    ///
    /// # Errors
    /// `CredentialUnavailable` where the target has no mode, since nothing is guessed, or where its token endpoint is at fault; `CredentialConflict` where
    /// the permit wants what the target does not do; `IdentityUnknown` and `CredentialRefused` of this caller.
    pub async fn grant(&self, permit: Permit, wanted: &Wanted<'_>, manner: &mut Option<Manner>) -> Result<Grant, Refusal> {
        let (mode, wanted) = self.permitted(&permit, wanted, manner)?;
        let credential = match mode {
            Mode::Passthrough => Credential::Passthrough,
            Mode::Strip => Credential::Strip,
            Mode::Exchange(exchange) => {
                // Whoever cannot be told has no use of what is at hand.
                let whom = Whom::of(exchange, &wanted)?;
                let key = subject::key(exchange, &wanted, whom);
                let sought = Sought { exchange, target: permit.target(), wanted: &wanted, whom, key };
                let minted = if let Some(minted) = self.desk.at_hand(&sought) {
                    minted
                } else {
                    *manner = Some(Manner::minting(exchange, whom, &wanted));
                    self.desk.fetch(&sought).await?
                };
                *manner = Some(minted.manner().clone());
                Credential::Replace(minted.value())
            }
        };
        Ok(Grant { permit, credential })
    }

    /// Whether `grant` would have a mode to go by, and could say whose credential it is; shadow mode asks no more, since it mints nothing.
    ///
    /// # Errors
    /// As [`grant`](Self::grant).
    pub fn rehearse(&self, permit: &Permit, wanted: &Wanted<'_>, manner: &mut Option<Manner>) -> Result<(), Refusal> {
        let (mode, wanted) = self.permitted(permit, wanted, manner)?;
        told(mode, &wanted, manner)
    }

    /// The same of a call to `target` that policies would permit with what they have `ordered`: for whoever explains, and has no permit.
    ///
    /// # Errors
    /// As [`grant`](Self::grant).
    pub fn foretell(&self, target: &Target, ordered: Option<&Ordered>, wanted: &Wanted<'_>, manner: &mut Option<Manner>) -> Result<(), Refusal> {
        let (mode, wanted) = self.way(target, ordered, wanted, manner)?;
        told(mode, &wanted, manner)
    }

    fn mode(&self, target: &Target) -> Result<&Mode, Refusal> {
        let Target { kind, name, .. } = target;
        let missing = || Refusal::new(Reason::CredentialUnavailable, "no credential mode is configured for the target");
        self.config.modes.get(&(*kind, name.clone())).ok_or_else(missing)
    }

    /// What a call is told whose time is over while its credential is being fetched: the exchange goes on, and serves the next.
    #[must_use]
    pub fn late(&self, target: &Target) -> Refusal {
        let detail = format!("the token endpoint of {} `{}` has not answered yet", target.kind.type_name().to_lowercase(), target.name);
        Refusal::new(Reason::CredentialUnavailable, detail)
    }

    /// How each token endpoint is doing, by target.
    #[must_use]
    pub fn status(&self) -> Vec<EndpointStatus> {
        let exchanges = self.config.modes.iter().filter_map(|((_, name), mode)| match mode {
            Mode::Exchange(exchange) => Some(self.desk.status(name, exchange)),
            Mode::Passthrough | Mode::Strip => None,
        });
        let mut all: Vec<EndpointStatus> = exchanges.collect();
        all.sort_by(|one, other| one.target.cmp(&other.target));
        all
    }

    /// Brings the metrics up to date that say how things are, and not how often something was.
    pub fn gauge(&self) {
        self.desk.metrics.show(self.desk.shelf.len(), self.status().into_iter().map(|status| (status.target, status.degraded)));
    }
}

/// Says whose credential it would be.
fn told(mode: &Mode, wanted: &Wanted<'_>, manner: &mut Option<Manner>) -> Result<(), Refusal> {
    if let Mode::Exchange(exchange) = mode {
        *manner = Some(Manner::minting(exchange, Whom::of(exchange, wanted)?, wanted));
    }
    Ok(())
}

// === impl Credential ===

/// Says nothing of the value.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passthrough => "Passthrough",
            Self::Strip => "Strip",
            Self::Replace(_) => "Replace(…)",
        })
    }
}

// === impl Grant ===

impl Grant {
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}
