//! Callers that are told of, not proven, at a time that is told too: for tests of policies, never for a call.
//! What of a token they leave out is its text, header, key and signature; every other rule is that of [`Authenticator::authenticate`].

use std::sync::Arc;

use super::{
    Authenticator, KindRule, Trail,
    admit::Presented,
    attributes, binding,
    cache::Verified,
    claims::{Claims, is_name},
    delegation, digest,
    facts::{Facts, Form, Window, sorted},
    shown, standing,
};
use crate::model::{Caller, Field, Name, PrincipalKind, Reason, Refusal, SpiffeId, Token};

/// `caller`, unless it is nobody.
pub(super) fn somebody(caller: Caller) -> Result<Caller, Refusal> {
    if caller.principal().is_none() {
        return Err(Refusal::new(Reason::CredentialMissing, "the call carries neither a token nor a mesh identity"));
    }
    Ok(caller)
}

// === impl Authenticator ===

impl Authenticator {
    /// The caller that a verified token with these claims would make: everything but the signature, the header and the key.
    ///
    /// # Errors
    /// A [`Refusal`] as for [`authenticate`](Self::authenticate).
    pub fn caller_from_claims(&self, claims_json: &[u8], peer: Option<SpiffeId>) -> Result<Caller, Refusal> {
        self.follow_claims(claims_json, peer, &mut Trail::default())
    }

    /// The same; what is known of the token is on the `trail`, if it is refused too.
    ///
    /// # Errors
    /// As above.
    pub fn follow_claims(&self, claims_json: &[u8], peer: Option<SpiffeId>, trail: &mut Trail) -> Result<Caller, Refusal> {
        let now = self.clock.now();
        let caller = self.told(claims_json, peer, now, trail)?;
        let Some(verified) = trail.verified() else { return Ok(caller) };
        let standing = &verified.held.standing;
        if let Err(refusal) = self.stands_unused(standing, now) {
            let revocation = self.revocation_of(standing, &refusal, now);
            trail.revoked_by(revocation);
            return Err(refusal);
        }
        Ok(caller)
    }

    /// The caller that a verified token with these claims would make at the time `now`, in seconds since the epoch.
    ///
    /// # Errors
    /// A [`Refusal`] as for [`authenticate`](Self::authenticate).
    pub fn caller_from_claims_at(&self, claims_json: &[u8], peer: Option<SpiffeId>, now: i64) -> Result<Caller, Refusal> {
        self.told(claims_json, peer, now, &mut Trail::default())
    }

    /// The same. What of the token would have to be looked up is not; the age of its session is.
    fn told(&self, claims_json: &[u8], peer: Option<SpiffeId>, now: i64, trail: &mut Trail) -> Result<Caller, Refusal> {
        let claims = Claims::read(claims_json)?;
        let issuer = self.issuer(&claims)?;
        let facts = Facts::read(&claims, &issuer.config, now, Form::Told).inspect_err(|_| trail.read(&claims, &issuer.config))?;
        let verified = trail.keep(Arc::new(Verified::new(issuer, None, facts, None)));
        verified.held.by(&Presented { call: None, peer: peer.as_ref(), peers: &self.peers })?;
        standing::told(&verified.token, &issuer.config, now)?;
        Ok(Caller { peer, token: Some(Arc::clone(&verified.token)) })
    }

    /// The caller that a verified token with the facts of `told` would make at the time `now`, in seconds since the epoch. The order of its lists and
    /// its digest need not be those of a token; its attributes are those of [`attributes_of`](Self::attributes_of). Where a binding asks for a claim that facts
    /// do not tell, it may say anything.
    ///
    /// # Errors
    /// `TokenExpired`, `TokenNotYetValid`, `ActorNotAllowed`, what the issuer's limits of sessions refuse, or `TokenNotForPeer` where no token with these facts
    /// may be presented by `peer`. What the issuer requires of claims that are no facts is not asked.
    pub fn caller_from_facts_at(&self, told: Token, peer: Option<SpiffeId>, now: i64) -> Result<Caller, Refusal> {
        let issuer = self.issuers.iter().map(|issuer| &issuer.config).find(|issuer| issuer.name == told.issuer);
        Window::new(told.issued_at, told.expires_at, issuer.map_or(0, |issuer| issuer.leeway_s)).check(now)?;
        if let Some(issuer) = issuer {
            delegation::allowed(&told.actors, issuer)?;
            standing::told(&told, issuer, now)?;
            if let Some(patterns) = binding::of_facts(issuer.bindings.as_deref(), &told, &issuer.subject_claim, issuer.groups_claim.as_ref())? {
                binding::admit(&patterns, peer.as_ref())?;
            }
        }
        let mut token = Token { groups: sorted(told.groups), roles: sorted(told.roles), scopes: sorted(told.scopes), ..told };
        token.digest = digest::of_facts(&token);
        Ok(Caller { peer, token: Some(Arc::new(token)) })
    }

    /// The attributes that `text`, a JSON object, has by their names, read as those of a token of `issuer`.
    ///
    /// # Errors
    /// What of it no such token could have, in words.
    pub fn attributes_of(&self, issuer: &Name, text: &[u8]) -> Result<Vec<Field>, String> {
        let issuer = self.issuers.iter().find(|known| known.config.name == *issuer).ok_or_else(|| format!("no issuer is called `{issuer}`"))?;
        attributes::told(text, &issuer.config)
    }

    /// The caller of a call without a token.
    ///
    /// # Errors
    /// `CredentialMissing` where there is no workload either.
    pub fn caller_without_token(&self, peer: Option<SpiffeId>) -> Result<Caller, Refusal> {
        somebody(Caller { peer, token: None })
    }

    /// What no token of a configured issuer could say of those facts, where there is any such thing.
    #[must_use]
    pub fn impossible(&self, told: &Token) -> Option<String> {
        let Some(issuer) = self.issuers.iter().find(|issuer| issuer.config.name == told.issuer) else {
            return Some(format!("no issuer is called `{}`", told.issuer));
        };
        let only = |kind: PrincipalKind| (told.kind != kind).then(|| format!("each subject of issuer `{}` is a `{}`", told.issuer, kind.type_name()));
        let names = [&told.groups, &told.roles, &told.actors]
            .into_iter()
            .flatten()
            .chain([&told.subject])
            .chain(&told.client)
            .chain(&told.acr)
            .chain(&told.purpose);
        let bad = names
            .into_iter()
            .find(|name| !is_name(name))
            .map(|name| format!("a token cannot say `{}`: 1 to 255 bytes, no control characters", shown(name)));
        let kind = match issuer.config.kind {
            KindRule::User => only(PrincipalKind::User),
            KindRule::ServicePrincipal => only(PrincipalKind::ServicePrincipal),
            KindRule::Detect => None,
        };
        kind.or(bad)
    }

    /// The names of the configured issuers.
    pub fn issuers(&self) -> impl Iterator<Item = &Name> {
        self.issuers.iter().map(|issuer| &issuer.config.name)
    }
}
