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

    /// The credential for a call to `target`.
    ///
    /// # Errors
    /// [`Reason::CredentialUnavailable`] where the target has no mode: nothing is guessed.
    pub fn grant(&self, permit: Permit, target: &Target) -> Result<Grant, Refusal> {
        let credential = match self.modes.get(&(target.kind, target.name.clone())) {
            Some(Mode::Passthrough) => Credential::Passthrough,
            Some(Mode::Strip) => Credential::Strip,
            None => return Err(Refusal::new(Reason::CredentialUnavailable, "no credential mode is configured for the target")),
        };
        Ok(Grant { permit, credential })
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
