//! Credentials that were had, and how long each may be used.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use moka::{Expiry, sync};
use zeroize::Zeroizing;

use crate::clock::Clock;

use super::{
    answer::{Issued, MARGIN},
    manner::Manner,
};

/// A credential as it travels. Its memory is overwritten when nothing holds it any more.
pub(super) struct Minted {
    /// The whole value of `authorization`.
    value: Bytes,
    /// When it is used no more, in milliseconds since the epoch.
    until: i64,
    /// From when on another is fetched while this one is used.
    renew: i64,
    /// When the caller's token, or what permitted the call, ends for which it was made, in seconds since the epoch; `None` where neither does.
    caller_until: Option<i64>,
    /// Whether it ends because of that, so that another for the same would end no later.
    ends_with_caller: bool,
    /// What may be told of it.
    manner: Manner,
}

/// What may end a credential before its own time. In seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub window_s: i64,
    /// When the caller's token ends, or what permits the call, since the epoch; `None` where neither does.
    pub caller_until: Option<i64>,
    /// Since the epoch.
    pub now: i64,
}

/// The bytes of a value, overwritten at the end.
struct Value(Zeroizing<Vec<u8>>);

/// Credentials by whose they are, bounded in bytes.
#[derive(Clone, Debug)]
pub(super) struct Shelf(sync::Cache<[u8; 32], Arc<Minted>>);

/// Frees memory; whether a credential still counts is never decided here.
#[derive(Debug)]
struct Release(Clock);

/// What an entry takes beside the credential: the key, counters and links of the cache.
const OVERHEAD: usize = 512;
/// How far apart two ends are, in seconds, that are one: endpoints round.
const SLACK: i64 = 5;
/// The longest time ahead of its end that a credential is renewed, in milliseconds: 20 minutes, as the Databricks SDKs do.
const LONGEST_AHEAD: i64 = 20 * 60 * 1000;

// === impl Minted ===

impl Minted {
    /// Of what was asked for at `bound.now`.
    pub(super) fn new(issued: &Issued<'_>, bound: Bound, manner: Manner) -> Self {
        let mut value = Zeroizing::new(Vec::with_capacity("Bearer ".len() + issued.token.len()));
        value.extend_from_slice(b"Bearer ");
        value.extend_from_slice(issued.token.as_bytes());
        let own = bound.now.saturating_add(issued.lifetime).saturating_sub(MARGIN).min(bound.now.saturating_add(bound.window_s));
        let until = bound.caller_until.map_or(own, |end| own.min(end)).saturating_mul(1000);
        let begun = bound.now.saturating_mul(1000);
        let ahead = (until.saturating_sub(begun) / 2).clamp(0, LONGEST_AHEAD);
        let ends = bound.now.saturating_add(issued.lifetime.min(bound.window_s)).saturating_add(SLACK);
        let ends_with_caller = bound.caller_until.is_some_and(|end| ends >= end);
        let renew = until.saturating_sub(ahead);
        let manner = Manner { until: Some(until.div_euclid(1000)), ..manner };
        Self { value: Bytes::from_owner(Value(value)), until, renew, caller_until: bound.caller_until, ends_with_caller, manner }
    }

    /// The whole value of `authorization`.
    pub(super) fn value(&self) -> Bytes {
        self.value.clone()
    }

    pub(super) fn manner(&self) -> &Manner {
        &self.manner
    }

    /// Whether it may be used at `now`, in milliseconds since the epoch.
    pub(super) fn counts(&self, now: i64) -> bool {
        now < self.until
    }

    /// Whether another should be fetched by now, for a call that may last until then: only where that would last longer.
    pub(super) fn is_due(&self, now: i64, caller_until: Option<i64>) -> bool {
        now >= self.renew && (caller_until > self.caller_until || !self.ends_with_caller)
    }

    fn bytes(&self) -> usize {
        let told = [&self.manner.principal, &self.manner.scope].into_iter().flatten().map(|text| text.len()).sum();
        OVERHEAD.saturating_add(size_of::<Self>()).saturating_add(self.value.len()).saturating_add(told)
    }
}

/// Says nothing of the credential itself.
impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("until", &self.until).field("renew", &self.renew).field("manner", &self.manner).finish_non_exhaustive()
    }
}

// === impl Value ===

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn new(bytes: u64, clock: Clock) -> Self {
        let entries = sync::Cache::builder()
            .max_capacity(bytes)
            .weigher(|_: &[u8; 32], minted: &Arc<Minted>| u32::try_from(minted.bytes()).unwrap_or(u32::MAX))
            .expire_after(Release(clock));
        Self(entries.build())
    }

    pub(super) fn get(&self, key: &[u8; 32], now: i64) -> Option<Arc<Minted>> {
        self.0.get(key).filter(|minted| minted.counts(now))
    }

    pub(super) fn put(&self, key: [u8; 32], minted: Arc<Minted>) {
        self.0.insert(key, minted);
    }

    /// How many are held; for metrics, since what waits to be counted is counted first.
    pub(super) fn len(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }
}

// === impl Release ===

impl Release {
    fn left(&self, minted: &Minted) -> Duration {
        Duration::from_millis(u64::try_from(minted.until.saturating_sub(self.0.now_ms())).unwrap_or(0))
    }
}

impl Expiry<[u8; 32], Arc<Minted>> for Release {
    fn expire_after_create(&self, _: &[u8; 32], minted: &Arc<Minted>, _: Instant) -> Option<Duration> {
        Some(self.left(minted))
    }

    fn expire_after_update(&self, _: &[u8; 32], minted: &Arc<Minted>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(self.left(minted))
    }
}
