//! Logout tokens (OpenID Connect Back-Channel Logout 1.0): an issuer's signed word that a session, or all sessions of a subject, have ended.

use std::sync::Arc;

use super::{
    Authenticator, IssuerConfig,
    claims::Claims,
    issuer::Issuer,
    jws::Jws,
    revoked::{By, Revocation, RevokeError, Seen, Whose, fresh_id},
};
use crate::{
    json::Value,
    model::{Reason, Refusal},
};
/// Why a logout token is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoutError {
    /// No such issuer, or none that sends logout tokens.
    #[error("no issuer of this name sends logout tokens")]
    UnknownIssuer,
    /// Section 2.6: the token is not one that counts.
    #[error("{0}")]
    Invalid(String),
    /// It may be good, and it cannot be known or kept now.
    #[error("{0}")]
    Unavailable(String),
}

/// The member of `events` that makes a token a logout token (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The `typ` headers of logout tokens: as registered, or as issuers wrote that do not set it (Keycloak before 25).
const TYPES: [&str; 2] = ["logout+jwt", "jwt"];

/// How old a logout token may be, in seconds: it is sent when it is made, so that a captured one is worth nothing later.
const WINDOW: i64 = 300;

// === impl Authenticator ===

impl Authenticator {
    /// Ends what `token` says has ended, of the issuer with this name. When this returns the next request is refused, and a restart does not forget it.
    ///
    /// Takes the time of a key fetch where the key is new. What it returns is to be given to [`end`](Self::end), which waits for the disk.
    ///
    /// # Errors
    /// A [`LogoutError`].
    pub async fn logout(&self, issuer: &str, token: &str) -> Result<Revocation, LogoutError> {
        let found = self.issuers.iter().find(|known| known.config.name.as_str() == issuer);
        let (issuer, audience) =
            found.and_then(|issuer| Some((issuer, issuer.config.logout_audience.as_deref()?))).ok_or(LogoutError::UnknownIssuer)?;
        if token.len() > self.token_limit {
            return Err(invalid("the logout token is too long"));
        }
        let now_ms = self.clock.now_ms();
        let checked = self.logged_out(issuer, audience, token, now_ms).await;
        checked.map_err(|refusal| match refusal.reason {
            reason if reason.is_fault() => LogoutError::Unavailable(refusal.detail.into_owned()),
            _ => LogoutError::Invalid(refusal.detail.into_owned()),
        })
    }

    async fn logged_out(&self, issuer: &Arc<Issuer>, audience: &str, token: &str, now_ms: i64) -> Result<Revocation, Refusal> {
        let jws = Jws::read(token, self.token_limit)?;
        if !TYPES.contains(&jws.header.kind.as_str()) {
            return Err(Refusal::new(Reason::TokenWrongType, "the header `typ` is not `logout+jwt`"));
        }
        let claims = Claims::read(&jws.claims)?;
        if claims.get("iss").and_then(Value::as_text) != Some(issuer.config.issuer.as_str()) {
            return Err(wrong("the claim `iss` is not that of the issuer"));
        }
        issuer.verify(&jws).await?;
        revocation(&claims, &issuer.config, audience, now_ms)
    }

    /// Makes the revocation that a logout token asks for; waits for the disk.
    ///
    /// # Errors
    /// A [`LogoutError`].
    pub fn end(&self, revocation: Revocation) -> Result<(), LogoutError> {
        self.revocations.add(revocation, self.clock.now()).map(drop).map_err(|error| match error {
            RevokeError::Replayed => LogoutError::Invalid(error.to_string()),
            error => LogoutError::Unavailable(error.to_string()),
        })
    }
}

/// What verified `claims` ask for (section 2.6), with the issuer and signature already known to be good.
fn revocation(claims: &Claims<'_>, config: &IssuerConfig, audience: &str, now_ms: i64) -> Result<Revocation, Refusal> {
    let (now, leeway) = (now_ms.div_euclid(1000), config.leeway_s);
    if !claims.one_or_many("aud")?.contains(&audience) {
        return Err(wrong("the claim `aud` does not name the client of `logout.audience`"));
    }
    let issued = claims.time("iat")?.ok_or_else(|| wrong("there is no `iat`"))?;
    if issued > now.saturating_add(leeway) || issued < now.saturating_sub(WINDOW).saturating_sub(leeway) {
        return Err(wrong("the claim `iat` is not of now: the token is too old, or the clocks differ"));
    }
    if claims.time("exp")?.is_some_and(|expires| now >= expires.saturating_add(leeway)) {
        return Err(wrong("the token has expired"));
    }
    let event = claims.get("events").and_then(Value::as_object).and_then(|events| events.get(EVENT));
    if event.and_then(Value::as_object).is_none() {
        return Err(wrong("the claim `events` does not say that it is a logout token"));
    }
    if claims.has("nonce") {
        return Err(wrong("it has a `nonce`, which a logout token never has"));
    }
    let jti = claims.name("jti")?.ok_or_else(|| wrong("there is no `jti`"))?.to_owned();
    let (subject, session) = (claims.name("sub")?.map(str::to_owned), claims.name("sid")?.map(str::to_owned));
    let whose = match (session, subject) {
        (Some(id), subject) => Whose::Session { id, subject },
        (None, Some(subject)) => Whose::Subject(subject),
        (None, None) => return Err(wrong("there is neither a `sub` nor a `sid`")),
    };
    let seen = Seen { jti, until: issued.saturating_add(WINDOW).saturating_add(leeway).saturating_add(1) };
    Ok(Revocation {
        id: fresh_id(now_ms),
        issuer: config.issuer.clone(),
        // By the issuer's own clock, like `iat` of its tokens: nothing that was issued before the logout is left, and nothing after it is lost.
        before: Some(issued.saturating_add(1)),
        // No sooner than the token is too old to come again, since it is known to have come as long as the revocation is.
        until: config.life().end(now.max(issued)).max(seen.until),
        whose,
        made_at: now,
        by: By::Issuer,
        note: None,
        logout: Some(seen),
    })
}

fn wrong(detail: &'static str) -> Refusal {
    Refusal::new(Reason::TokenBadClaims, detail)
}

fn invalid(detail: &str) -> LogoutError {
    LogoutError::Invalid(detail.to_owned())
}
