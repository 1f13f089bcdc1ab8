//! Logout tokens (OpenID Connect Back-Channel Logout 1.0): an issuer's signed word that a session, or all sessions of a subject, have ended.

use std::{borrow::Cow, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    Authenticator, IssuerConfig,
    claims::Claims,
    issuer::Issuer,
    jws::Jws,
    keyring::Published,
    metrics::LogoutResult,
    revoked::{By, Revocation, RevokeError, Seen, Whose, fresh_id},
};
use crate::{
    json::Value,
    model::{Reason, Refusal},
    text::shown,
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

/// The keys of an issuer, as a logout token is checked with them.
#[derive(Debug)]
pub struct LogoutKeys(Arc<Published>);

/// A logout token that is one by its claims. Nothing of it is verified yet.
#[derive(Debug)]
pub struct Logout<'t> {
    issuer: Arc<Issuer>,
    jws: Jws<'t>,
    asked: Revocation,
}

// === impl Authenticator ===

impl Authenticator {
    /// Reads `token`, which the issuer with this name is said to have sent. Costs no more than to read it: everything is checked but the signature.
    ///
    /// # Errors
    /// A [`LogoutError`].
    pub fn logout<'t>(&self, issuer: &str, token: &'t str) -> Result<Logout<'t>, LogoutError> {
        let found = self.issuers.iter().find(|known| known.config.name.as_str() == issuer);
        let (issuer, audience) =
            found.and_then(|issuer| Some((issuer, issuer.config.logout_audience.as_deref()?))).ok_or(LogoutError::UnknownIssuer)?;
        if token.len() > self.token_limit {
            return Err(LogoutError::Invalid("the logout token is too long".to_owned()));
        }
        let jws = Jws::read(token, self.token_limit)?;
        if !TYPES.contains(&jws.header.kind.as_str()) {
            return Err(wrong("the header `typ` is not `logout+jwt`").into());
        }
        let claims = Claims::read(&jws.claims)?;
        if claims.get("iss").and_then(Value::as_text) != Some(issuer.config.issuer.as_str()) {
            return Err(wrong("the claim `iss` is not that of the issuer").into());
        }
        let asked = revocation(&claims, &issuer.config, audience, self.clock.now_ms())?;
        drop(claims);
        Ok(Logout { issuer: Arc::clone(issuer), jws, asked })
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

    /// Counts what became of a logout token that came for the issuer with this name; one for no issuer that sends any counts nowhere.
    pub fn count_logout<T>(&self, issuer: &str, result: &Result<T, LogoutError>) {
        let result = match result {
            Ok(_) => LogoutResult::Ended,
            Err(LogoutError::Invalid(_)) => LogoutResult::Refused,
            Err(LogoutError::Unavailable(_)) => LogoutResult::Unavailable,
            Err(LogoutError::UnknownIssuer) => return,
        };
        self.metrics.count_logout(issuer, result);
    }
}

// === impl Logout ===

impl Logout<'_> {
    /// Whether the issuer is known to have the key that the token names: if not, its signature can be checked only after a fetch.
    #[must_use]
    pub fn names_known_key(&self) -> bool {
        let published = self.issuer.keyring.published.load();
        published.as_ref().is_some_and(|published| self.issuer.knows_key_of(&self.jws, &published.keys).unwrap_or(true))
    }

    /// The keys to check it with. Takes the time of fetches where its key is new: nobody may send the token again, so that it waits until one is allowed.
    ///
    /// # Errors
    /// A [`LogoutError`].
    pub async fn keys(&self) -> Result<LogoutKeys, LogoutError> {
        let mut keys = self.issuer.keys_for(&self.jws).await?;
        if !self.issuer.knows_key_of(&self.jws, &keys.keys)? {
            // Another token with an unknown key may have had the last fetch, before this one's key was published.
            let apart = u64::try_from(self.issuer.config.min_refetch_s).unwrap_or(0);
            sleep(Duration::from_secs(apart)).await;
            keys = self.issuer.keys_for(&self.jws).await?;
        }
        Ok(LogoutKeys(keys))
    }

    /// What it asks for, where one of `keys` signed it; to be given to [`end`](Authenticator::end). Waits for nothing.
    ///
    /// # Errors
    /// A [`LogoutError`].
    pub fn verified(self, keys: &LogoutKeys) -> Result<Revocation, LogoutError> {
        self.issuer.signed_by(&keys.0.keys, &self.jws)?;
        Ok(self.asked)
    }
}

// === impl LogoutError ===

impl From<Refusal> for LogoutError {
    fn from(refusal: Refusal) -> Self {
        let fault = refusal.reason.is_fault();
        let detail = refusal.detail.into_owned();
        if fault { Self::Unavailable(detail) } else { Self::Invalid(detail) }
    }
}

/// What `claims` ask for (section 2.6), with the issuer already known to be good.
fn revocation(claims: &Claims<'_>, config: &IssuerConfig, audience: &str, now_ms: i64) -> Result<Revocation, Refusal> {
    let (now, leeway) = (now_ms.div_euclid(1000), config.leeway_s);
    let audiences = claims.one_or_many("aud")?;
    if !audiences.contains(&audience) {
        let named = audiences.first().map_or_else(|| "nobody".to_owned(), |named| format!("`{}`", shown(named)));
        return Err(wrong(format!("the claim `aud` names {named}, not the client of `logout.audience`")));
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

fn wrong(detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::TokenBadClaims, detail)
}
