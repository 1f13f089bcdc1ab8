//! Whether a verified token still counts: asked on every request, since it may have been revoked, or its session have ended, after it was verified.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use moka::{policy::EvictionPolicy, sync};

use super::{Authenticator, IssuerConfig, claims::bad, config::SessionLimits, digest::Fields, revoked::Marks};
use crate::model::{PrincipalKind, Reason, Refusal, Token};

/// What of a token has to be looked up on every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    marks: Marks,
    issued_at: Option<i64>,
    /// `None` where the issuer's sessions have no limit.
    session: Option<Session>,
}

/// The session of a token of which something is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    limits: SessionLimits,
    /// How far the issuer's clock may be off, in seconds.
    leeway: i64,
    /// When the subject authenticated.
    started: Option<i64>,
    /// Of the issuer and the `sid`, else the subject and the client.
    key: [u8; 32],
}

/// When each session was last seen, in seconds since the epoch; bounded, and forgotten with the process.
#[derive(Clone, Debug)]
pub(super) struct Sessions(sync::Cache<[u8; 32], Arc<AtomicI64>>);

/// Sessions that are remembered; of more, those that were not seen for longest are forgotten, and live from the issue of their tokens again.
const SESSIONS: u64 = 200_000;

// === impl Standing ===

impl Standing {
    /// Of a token of the issuer that is configured so; `sub` is its claim of that name.
    pub(super) fn read(token: &Token, sub: Option<&str>, config: &IssuerConfig, now: i64) -> Result<Self, Refusal> {
        let marks = Marks::of(&config.issuer, token, sub);
        Ok(Self { marks, issued_at: token.issued_at, session: Session::read(token, config, now)? })
    }

    /// What it takes in memory beside itself.
    pub(super) fn bytes(&self) -> usize {
        self.marks.bytes()
    }
}

// === impl Session ===

impl Session {
    fn read(token: &Token, config: &IssuerConfig, now: i64) -> Result<Option<Self>, Refusal> {
        let (limits, leeway) = (config.session, config.leeway_s);
        if limits == SessionLimits::default() {
            return Ok(None);
        }
        // A person's tokens are renewed behind their back, so that `iat` says nothing of when they signed in.
        let started = token.auth_time.or(token.issued_at.filter(|_| token.kind == PrincipalKind::ServicePrincipal));
        if limits.longest_s.is_some() && started.is_none() {
            let claim = if token.kind == PrincipalKind::User { "`auth_time`" } else { "`auth_time` or `iat`" };
            return Err(bad(format!(
                "the token has no {claim}, by which the issuer's `session.longest` is held; have the issuer put it into tokens"
            )));
        }
        if limits.idle_s.is_some() && token.issued_at.is_none() {
            return Err(bad("the token has no `iat`, by which the issuer's `session.idle` is held"));
        }
        if started.is_some_and(|started| started > now.saturating_add(leeway)) {
            return Err(bad("the claim `auth_time` is a time to come"));
        }
        let mut key = Fields::new();
        key.text("lakegate session 1").text(&config.issuer).option(token.session.as_deref());
        if token.session.is_none() {
            key.text(&token.subject).option(token.client.as_deref());
        }
        Ok(Some(Self { limits, leeway, started, key: key.finish() }))
    }

    /// # Errors
    /// `SessionTooOld`.
    fn is_young(&self, now: i64) -> Result<(), Refusal> {
        let (Some(longest), Some(started)) = (self.limits.longest_s, self.started) else { return Ok(()) };
        let age = now.saturating_sub(started);
        if age <= longest.saturating_add(self.leeway) {
            return Ok(());
        }
        Err(Refusal::new(Reason::SessionTooOld, format!("the session began {age} s ago and may last {longest} s; sign in again")))
    }

    /// Whether a session that was `seen` then is in use still.
    ///
    /// # Errors
    /// `SessionIdle`.
    fn is_awake(&self, seen: Option<i64>, issued_at: Option<i64>, now: i64) -> Result<(), Refusal> {
        let Some(idle) = self.limits.idle_s else { return Ok(()) };
        let silent = now.saturating_sub(seen.max(issued_at).unwrap_or(0));
        if silent <= idle {
            return Ok(());
        }
        Err(Refusal::new(Reason::SessionIdle, format!("the session was not used for {silent} s, of at most {idle} s; sign in again")))
    }
}

/// The same of a token that is told of: only its age is known.
///
/// # Errors
/// As of a call.
pub(super) fn told(token: &Token, config: &IssuerConfig, now: i64) -> Result<(), Refusal> {
    Session::read(token, config, now)?.map_or(Ok(()), |session| session.is_young(now))
}

// === impl Sessions ===

impl Sessions {
    pub(super) fn new() -> Self {
        Self::holding(SESSIONS)
    }

    fn holding(most: u64) -> Self {
        Self(sync::Cache::builder().max_capacity(most).eviction_policy(EvictionPolicy::lru()).build())
    }

    /// Whether the session is in use still; being asked is a sign of life where it is.
    ///
    /// A session that was never seen lives since the issue of its token, so that what is forgotten is refused sooner, never later.
    fn wake(&self, session: &Session, issued_at: Option<i64>, now: i64) -> Result<(), Refusal> {
        if session.limits.idle_s.is_none() {
            return Ok(());
        }
        let known = self.0.get(&session.key);
        session.is_awake(known.as_ref().map(|last| last.load(Ordering::Relaxed)), issued_at, now)?;
        let seen = known.unwrap_or_else(|| self.0.get_with(session.key, || Arc::new(AtomicI64::new(now))));
        seen.fetch_max(now, Ordering::Relaxed);
        Ok(())
    }

    /// The same, where being asked is no sign of life.
    fn is_awake(&self, session: &Session, issued_at: Option<i64>, now: i64) -> Result<(), Refusal> {
        if session.limits.idle_s.is_none() {
            return Ok(());
        }
        let seen = self.0.get(&session.key).map(|last| last.load(Ordering::Relaxed));
        session.is_awake(seen, issued_at, now).map_err(|refusal| match seen {
            Some(_) => refusal,
            None => refusal.with_aside(
                "by the `iat` of the token, since nothing else is known of the session here; a lakegate that saw it since may let it pass".to_owned(),
            ),
        })
    }
}

// === impl Authenticator ===

impl Authenticator {
    /// Whether a token that is good and presented as it must be still counts; a sign of life of its session where it does.
    ///
    /// # Errors
    /// `TokenRevoked`, `SessionTooOld` or `SessionIdle`.
    pub(super) fn stands(&self, standing: &Standing, now: i64) -> Result<(), Refusal> {
        self.counts_still(standing, now).inspect_err(|refusal| {
            if refusal.reason == Reason::TokenRevoked {
                self.revocations.count_refusal();
            }
        })?;
        standing.session.as_ref().map_or(Ok(()), |session| self.sessions.wake(session, standing.issued_at, now))
    }

    /// The same of a token that is looked at, and not used. Of a session that was not seen here, the `iat` of the token counts, as after a restart.
    ///
    /// # Errors
    /// As above.
    pub(super) fn stands_unused(&self, standing: &Standing, now: i64) -> Result<(), Refusal> {
        self.counts_still(standing, now)?;
        standing.session.as_ref().map_or(Ok(()), |session| self.sessions.is_awake(session, standing.issued_at, now))
    }

    /// The id of the revocation that such a token was refused for.
    pub(super) fn revocation_of(&self, standing: &Standing, refusal: &Refusal, now: i64) -> Option<uuid::Uuid> {
        if refusal.reason != Reason::TokenRevoked {
            return None;
        }
        self.revocations.refusing(&standing.marks, standing.issued_at, now)
    }

    fn counts_still(&self, standing: &Standing, now: i64) -> Result<(), Refusal> {
        self.revocations.check(&standing.marks, standing.issued_at, now)?;
        standing.session.as_ref().map_or(Ok(()), |session| session.is_young(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_forgotten_lives_from_the_issue_of_its_token() {
        let sessions = Sessions::holding(100);
        let session =
            |number: u8| Session { limits: SessionLimits { longest_s: None, idle_s: Some(60) }, leeway: 0, started: None, key: [number; 32] };
        let reason = |number: u8, now: i64| sessions.wake(&session(number), Some(1000), now).err().map(|refusal| refusal.reason);
        for now in [1050, 1100, 1150] {
            assert_eq!(reason(0, now), None, "it is used");
        }
        for number in 1..=200 {
            assert_eq!(reason(number, 1050), None, "as young as its token");
            sessions.0.run_pending_tasks();
        }
        assert!(sessions.0.entry_count() <= 100);
        assert_eq!(reason(0, 1160), Some(Reason::SessionIdle), "sooner than it would be, never later");
        assert_eq!(reason(200, 1110), None, "the youngest are known");
    }
}
