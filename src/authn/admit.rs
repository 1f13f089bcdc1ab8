//! What a request must have beside a token that is good. Asked each time: nothing of it is ever cached with the token.

use std::sync::Arc;

use super::{Authenticator, PeerConfig, Trail, binding, cache::Verified, confirm::Confirmation, peer::certificate, standing::Standing};
use crate::model::{Call, Refusal, SpiffeId, SpiffePattern, Token};

/// How a token is presented.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presented<'p, 'r> {
    /// `None` where a token is told of and no call brings it.
    pub call: Option<&'p Call<'r>>,
    pub peer: Option<&'p SpiffeId>,
    /// Who is believed about the certificate of the caller.
    pub peers: &'p PeerConfig,
}

/// What a token asks of each request that presents it, as its verified claims say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// What it is bound to; `None` for a bearer token.
    pub confirmation: Option<Confirmation>,
    /// The workloads that may present it; `None` where any may.
    pub bindings: Option<Vec<SpiffePattern>>,
    /// By what it may have been revoked since, and of which session it is.
    pub standing: Standing,
}

/// A token that came and was found to be good, before it is held against the request.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub verified: Arc<Verified>,
    /// The SHA-256 of the token.
    pub digest: [u8; 32],
    /// Whether that was known before, and nobody had to be asked.
    pub cached: bool,
}

/// A token that was verified, and that nobody presents.
#[derive(Clone, Debug)]
pub struct Examined {
    pub token: Arc<Token>,
    held: Held,
}

// === impl Authenticator ===

impl Authenticator {
    /// The facts of `token` once it is verified, and what it asks of whoever presents it. What is known of one that is refused is on the `trail`.
    ///
    /// # Errors
    /// A [`Refusal`] as for [`authenticate`](Self::authenticate).
    pub async fn examine(&self, token: &str, trail: &mut Trail) -> Result<Examined, Refusal> {
        let verified = self.known(token, None, trail).await?.verified;
        trail.saw(&verified);
        let (standing, now) = (&verified.held.standing, self.clock.now());
        if let Err(refusal) = self.stands_unused(standing, now) {
            trail.revoked_by(self.revocation_of(standing, &refusal, now));
            return Err(refusal);
        }
        Ok(Examined { token: Arc::clone(&verified.token), held: verified.held.clone() })
    }
}

// === impl Examined ===

impl Examined {
    /// Whether `peer` may present it, as far as that is a matter of who that is.
    ///
    /// # Errors
    /// `TokenNotForPeer`.
    pub fn admit(&self, peer: Option<&SpiffeId>) -> Result<(), Refusal> {
        self.held.bindings.as_deref().map_or(Ok(()), |patterns| binding::admit(patterns, peer))
    }
}

// === impl Held ===

impl Held {
    /// The thumbprint of the key that it is bound to, if it is bound to one.
    pub(super) fn key(&self) -> Option<&[u8; 32]> {
        self.confirmation.as_ref().and_then(|confirmation| confirmation.key.as_ref())
    }

    /// What it takes in memory beside itself, about.
    pub(super) fn bytes(&self) -> usize {
        let pattern = |pattern: &SpiffePattern| size_of::<SpiffePattern>() + pattern.as_str().len();
        self.bindings.iter().flatten().map(pattern).sum::<usize>().saturating_add(self.standing.bytes())
    }

    /// Whether a request that is made so has all of it.
    ///
    /// # Errors
    /// A [`Refusal`] that says what it lacks.
    pub(super) fn by(&self, presented: &Presented<'_, '_>) -> Result<(), Refusal> {
        if let Some(patterns) = &self.bindings {
            binding::admit(patterns, presented.peer)?;
        }
        // Of a token that is told of, the proof is left out as the signature is.
        let (Some(confirmation), Some(call)) = (&self.confirmation, presented.call) else { return Ok(()) };
        // Of a key, it is checked by `Proofs`, which needs the token too.
        confirmation.holds_for(|| certificate::of(call, presented.peers))
    }
}
