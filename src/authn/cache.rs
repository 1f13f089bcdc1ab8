//! Tokens that were verified before.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moka::{Expiry, sync};

use super::{
    admit::Held,
    facts::{Facts, Window},
    issuer::Issuer,
    keys::Fingerprint,
};
use crate::{clock::Clock, model::Token};

/// What is known of a token that was verified once: facts of the token alone, never a verdict about a request.
#[derive(Debug)]
pub(super) struct Verified {
    /// Who verified it. An issuer that is configured otherwise is another one.
    pub issuer: Arc<Issuer>,
    /// Good only while the issuer publishes this key; `None` where the issuer alone vouches for the token.
    pub key: Option<Fingerprint>,
    /// Good only within this time, which is asked each time.
    pub window: Window,
    /// What a request must have beside the token, which is asked each time.
    pub held: Held,
    pub token: Arc<Token>,
    /// Its `aud`, for whoever asks what a token is.
    pub audiences: Box<[String]>,
    /// When the question was put to which the issuer said that it is active, in milliseconds since the epoch; `None` where nobody asked.
    pub asked_ms: Option<i64>,
}

/// Verified tokens by the SHA-256 of the whole token, bounded in bytes. Shared by all snapshots.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    entries: sync::Cache<[u8; 32], Arc<Verified>>,
    bytes: u64,
}

/// Frees the memory of expired tokens; whether one still counts is never decided here.
#[derive(Debug)]
struct Release(Clock);

/// What an entry takes beside its texts: key, entry with what it is looked up by, counters and links of the cache.
const OVERHEAD: usize = 1024;
/// How long one is kept at most, whatever its token says of its end.
const LONGEST: Duration = Duration::from_hours(24);

// === impl Verified ===

impl Verified {
    pub(super) fn new(issuer: &Arc<Issuer>, key: Option<Fingerprint>, facts: Facts, asked_ms: Option<i64>) -> Self {
        let Facts { token, window, held, audiences } = facts;
        Self { issuer: Arc::clone(issuer), key, window, held, token: Arc::new(token), audiences, asked_ms }
    }
}

// === impl Cache ===

impl Cache {
    pub(super) fn new(bytes: u64, clock: Clock) -> Self {
        let entries = sync::Cache::builder()
            .max_capacity(bytes)
            .weigher(|_: &[u8; 32], verified: &Arc<Verified>| {
                u32::try_from(weight(&verified.token) + texts(&verified.audiences) + verified.held.bytes()).unwrap_or(u32::MAX)
            })
            .expire_after(Release(clock))
            .build();
        Self { entries, bytes }
    }

    /// The most it may hold, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn get(&self, key: &[u8; 32]) -> Option<Arc<Verified>> {
        self.entries.get(key)
    }

    pub(super) fn insert(&self, key: [u8; 32], verified: Arc<Verified>) {
        self.entries.insert(key, verified);
    }

    pub(super) fn remove(&self, key: &[u8; 32]) {
        self.entries.invalidate(key);
    }
}

fn weight(token: &Token) -> usize {
    let lists = [&token.groups, &token.roles, &token.scopes, &token.actors];
    let texts = [&token.client, &token.acr, &token.id, &token.session, &token.purpose, &token.email];
    let listed: usize = lists.into_iter().map(|list| self::texts(list)).sum();
    let claimed = token.claims.iter().map(|claim| size_of_val(claim).saturating_add(self::texts(claim.value.texts()))).sum();
    let single: usize = texts.into_iter().flatten().map(String::len).sum();
    OVERHEAD
        .saturating_add(size_of::<Token>())
        .saturating_add(token.subject.len())
        .saturating_add(listed)
        .saturating_add(claimed)
        .saturating_add(single)
}

fn texts(list: &[String]) -> usize {
    list.iter().map(|text| text.len().saturating_add(size_of::<String>())).sum()
}

// === impl Release ===

impl Expiry<[u8; 32], Arc<Verified>> for Release {
    fn expire_after_create(&self, _: &[u8; 32], verified: &Arc<Verified>, _: Instant) -> Option<Duration> {
        Some(left(verified.window.expires_at(), self.0.now()))
    }

    /// An answer that renews an entry renews its time too.
    fn expire_after_update(&self, _: &[u8; 32], verified: &Arc<Verified>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(left(verified.window.expires_at(), self.0.now()))
    }
}

/// How long an entry is of use that is made now, of a token that ends then.
fn left(expires_at: i64, now: i64) -> Duration {
    Duration::from_secs(u64::try_from(expires_at.saturating_sub(now)).unwrap_or(0)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_lives_as_long_as_its_token_may_be_asked_for() {
        for (expires_at, seconds) in [(1_060, 60), (1_000, 0), (900, 0), (i64::MAX, 86_400)] {
            assert_eq!(left(expires_at, 1_000).as_secs(), seconds, "{expires_at}");
        }
    }
}
