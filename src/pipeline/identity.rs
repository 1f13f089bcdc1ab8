//! Whose a token is, and with which credential a call goes on, as records and commands say it.

use super::found::redacted;
use crate::{
    audit::{Credential, Identity, RefusedToken},
    authn::Trail,
    broker::Manner,
    model::Token,
};

/// Of a token that was admitted.
#[must_use]
pub fn identity(token: &Token, trail: &Trail) -> Identity {
    Identity {
        issuer: token.issuer.to_string(),
        subject_name: token.subject.clone(),
        token_id: token.id.clone(),
        token_digest: trail.digest(),
        client: token.client.clone(),
    }
}

/// Of a token that was verified and refused; `None` where there is none of which anything could be believed.
#[must_use]
pub fn refused_token(trail: &Trail) -> Option<RefusedToken> {
    let whose = trail.whose()?;
    let text = |text: Option<&str>| text.map(redacted);
    Some(RefusedToken {
        issuer: whose.issuer.to_owned(),
        subject_name: text(whose.subject),
        token_id: text(whose.id),
        token_digest: trail.digest(),
        client: text(whose.client),
        session_id: text(whose.session),
        actor: whose.actors.iter().map(|actor| redacted(actor)).collect(),
        purpose: text(whose.purpose),
        expires_at: whose.expires_at,
        revocation_id: trail.revocation().map(|id| id.to_string()),
    })
}

/// Of a call that policies permit.
#[must_use]
pub fn credential(manner: &Manner) -> Credential {
    let Manner { mode, principal, scope, until } = manner.clone();
    Credential { mode, principal, scope, expires_at: until }
}
