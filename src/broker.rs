//! With which credential an authorized call goes on.
//!
//! A [`Grant`] owns the [`Permit`] it was made for, so that no credential exists without a decision. A mode that mints adds an arm to [`Mode`] and to
//! `grant`; what it may not do is fall back to the caller's token when minting fails.

use std::collections::HashMap;

use crate::{
    authz::Permit,
    model::{Name, Reason, Refusal, Secret, Target, TargetKind},
};

/// What becomes of the caller's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It travels on as it came.
    Passthrough,
    /// It is removed.
    Strip,
}

/// What stands in `authorization` when the call goes on.
#[derive(Debug)]
pub enum Credential {
    /// What the caller sent.
    Passthrough,
    /// Nothing.
    Strip,
    /// A bearer token in place of what the caller sent.
    Bearer(Secret),
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
    modes: HashMap<(TargetKind, Name), Mode>,
}

// === impl Broker ===

impl Broker {
    #[must_use]
    pub fn new(modes: HashMap<(TargetKind, Name), Mode>) -> Self {
        Self { modes }
    }

    /// The credential for the call that `permit` is for. Awaits only where a mode mints and nothing is at hand.
    ///
    /// # Errors
    /// [`Reason::CredentialUnavailable`] where the target has no mode: nothing is guessed.
    #[expect(clippy::unused_async, reason = "the seam of the modes that mint")]
    pub async fn grant(&self, permit: Permit) -> Result<Grant, Refusal> {
        let credential = match self.mode(&permit)? {
            Mode::Passthrough => Credential::Passthrough,
            Mode::Strip => Credential::Strip,
        };
        Ok(Grant { permit, credential })
    }

    /// Whether `grant` would have a mode to go by; shadow mode asks no more, since it mints nothing.
    ///
    /// # Errors
    /// As [`grant`](Self::grant).
    pub fn rehearse(&self, permit: &Permit) -> Result<(), Refusal> {
        self.mode(permit).map(|_| ())
    }

    fn mode(&self, permit: &Permit) -> Result<Mode, Refusal> {
        let Target { kind, name, .. } = permit.target();
        let missing = || Refusal::new(Reason::CredentialUnavailable, "no credential mode is configured for the target");
        self.modes.get(&(*kind, name.clone())).copied().ok_or_else(missing)
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
