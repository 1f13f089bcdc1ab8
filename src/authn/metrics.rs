use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::IssuerStatus;

/// What `authn` counts; one for the life of the process, handed on when the stage is made anew.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    tokens: Family<TokenLabels, Counter>,
    fetches: Family<FetchLabels, Counter>,
    introspections: Family<IntrospectionLabels, Counter>,
    logouts: Family<LogoutLabels, Counter>,
    keys_fetched: Family<IssuerLabels, Gauge>,
    failing: Family<IssuerLabels, Gauge>,
    /// The issuers that the gauges show.
    shown: Arc<Mutex<BTreeSet<String>>>,
    cached: Counter,
    verified: Counter,
    refused: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    result: TokenResult,
}

/// What became of a token that came with a call; each counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TokenResult {
    /// Accepted, and known from before: neither was its signature verified nor its issuer asked. All that is asked of each request held.
    Cached,
    /// Accepted, and its signature was verified or its issuer asked.
    Verified,
    /// It or the way in which it was presented, or it could not be told whether it is good.
    Refused,
}

/// The issuers are those configured, so that there are few.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchLabels {
    issuer: String,
    result: FetchResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum FetchResult {
    Ok,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IssuerLabels {
    issuer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IntrospectionLabels {
    issuer: String,
    result: IntrospectionResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum IntrospectionResult {
    Active,
    /// Not active, or not what a token of this issuer must be.
    Inactive,
    /// No answer, or none that can be used.
    Failed,
    /// Lakegate's own credentials were refused.
    Unauthorized,
    /// Not asked: too many were, or the endpoint is left alone.
    Shed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LogoutLabels {
    issuer: String,
    result: LogoutResult,
}

/// What became of a logout token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LogoutResult {
    /// What it ended counts no more.
    Ended,
    /// It is none that counts.
    Refused,
    /// It may be good, and could not be verified or kept.
    Unavailable,
}

/// The counters of the questions to one issuer.
#[derive(Clone, Debug)]
pub(super) struct IntrospectionCounters {
    pub active: Counter,
    pub inactive: Counter,
    pub failed: Counter,
    pub unauthorized: Counter,
    pub shed: Counter,
}

/// The counters of one issuer's key fetches.
#[derive(Clone, Debug)]
pub(super) struct FetchCounters {
    ok: Counter,
    pub failed: Counter,
    fetched: Family<IssuerLabels, Gauge>,
    labels: IssuerLabels,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn new() -> Self {
        let tokens = Family::<TokenLabels, Counter>::default();
        let counter = |result| tokens.get_or_create_owned(&TokenLabels { result });
        Self {
            cached: counter(TokenResult::Cached),
            verified: counter(TokenResult::Verified),
            refused: counter(TokenResult::Refused),
            fetches: Family::default(),
            introspections: Family::default(),
            logouts: Family::default(),
            keys_fetched: Family::default(),
            failing: Family::default(),
            shown: Arc::default(),
            tokens,
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("lakegate_authn_tokens", "Tokens that came with calls, bearer tokens and bound ones, each once: accepted as known from before, accepted as just verified or asked about, refused", self.tokens.clone());
        registry.register("lakegate_authn_key_fetches", "Fetches of an issuer's key set", self.fetches.clone());
        registry.register("lakegate_authn_introspections", "Questions to an issuer whether a token is active", self.introspections.clone());
        registry.register(
            "lakegate_authn_logouts",
            "Logout tokens that came in the name of an issuer: followed, refused, or not to be kept or verified now",
            self.logouts.clone(),
        );
        registry.register(
            "lakegate_authn_keys_fetched_timestamp_seconds",
            "When the key set in use was fetched from its issuer, in seconds since the epoch",
            self.keys_fetched.clone(),
        );
        registry.register(
            "lakegate_authn_issuer_failing",
            "1 where an issuer's keys cannot be renewed, or it cannot be asked about tokens",
            self.failing.clone(),
        );
    }

    /// Shows how these issuers are doing, and no others.
    pub(super) fn show(&self, issuers: &[IssuerStatus]) {
        let labels = |issuer: &str| IssuerLabels { issuer: issuer.to_owned() };
        let now: BTreeSet<String> = issuers.iter().map(|issuer| issuer.name.clone()).collect();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.difference(&now) {
            self.keys_fetched.remove(&labels(gone));
            self.failing.remove(&labels(gone));
        }
        for issuer in issuers {
            self.failing.get_or_create(&labels(&issuer.name)).set(i64::from(issuer.degraded));
            if let Some(at) = issuer.fetched_at {
                self.keys_fetched.get_or_create(&labels(&issuer.name)).set(at);
            }
        }
        *shown = now;
    }

    pub(super) fn count_token(&self, result: TokenResult) {
        let counter = match result {
            TokenResult::Cached => &self.cached,
            TokenResult::Verified => &self.verified,
            TokenResult::Refused => &self.refused,
        };
        counter.inc();
    }

    /// Has the counters of the logout tokens of an issuer there before the first comes.
    pub(super) fn expect_logouts(&self, issuer: &str) {
        for result in [LogoutResult::Ended, LogoutResult::Refused, LogoutResult::Unavailable] {
            drop(self.logouts.get_or_create(&LogoutLabels { issuer: issuer.to_owned(), result }));
        }
    }

    pub(super) fn count_logout(&self, issuer: &str, result: LogoutResult) {
        self.logouts.get_or_create(&LogoutLabels { issuer: issuer.to_owned(), result }).inc();
    }

    pub(super) fn introspections_of(&self, issuer: &str) -> IntrospectionCounters {
        let counter = |result| self.introspections.get_or_create_owned(&IntrospectionLabels { issuer: issuer.to_owned(), result });
        IntrospectionCounters {
            active: counter(IntrospectionResult::Active),
            inactive: counter(IntrospectionResult::Inactive),
            failed: counter(IntrospectionResult::Failed),
            unauthorized: counter(IntrospectionResult::Unauthorized),
            shed: counter(IntrospectionResult::Shed),
        }
    }

    pub(super) fn fetches_of(&self, issuer: &str) -> FetchCounters {
        let counter = |result| self.fetches.get_or_create_owned(&FetchLabels { issuer: issuer.to_owned(), result });
        FetchCounters {
            ok: counter(FetchResult::Ok),
            failed: counter(FetchResult::Failed),
            fetched: self.keys_fetched.clone(),
            labels: IssuerLabels { issuer: issuer.to_owned() },
        }
    }
}

// === impl FetchCounters ===

impl FetchCounters {
    /// Counts a fetch that began at this time, in seconds since the epoch, and brought the keys that are in use now.
    pub(super) fn succeeded(&self, at: i64) {
        self.ok.inc();
        self.fetched.get_or_create(&self.labels).set(at);
    }
}

// === impl TokenResult ===

impl EncodeLabelValue for TokenResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let name = match self {
            Self::Cached => "cached",
            Self::Verified => "verified",
            Self::Refused => "refused",
        };
        name.encode(encoder)
    }
}

// === impl FetchResult ===

impl EncodeLabelValue for FetchResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let name = match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
        };
        name.encode(encoder)
    }
}

// === impl LogoutResult ===

impl EncodeLabelValue for LogoutResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let name = match self {
            Self::Ended => "ended",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        };
        name.encode(encoder)
    }
}

// === impl IntrospectionResult ===

impl EncodeLabelValue for IntrospectionResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let name = match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Unauthorized => "unauthorized",
            Self::Shed => "shed",
        };
        name.encode(encoder)
    }
}
