use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// What `authn` counts; one for the life of the process, handed on when the stage is made anew.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    tokens: Family<TokenLabels, Counter>,
    fetches: Family<FetchLabels, Counter>,
    pub tokens_cached: Counter,
    pub tokens_verified: Counter,
    pub tokens_refused: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    result: TokenResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum TokenResult {
    /// Verified before; only time and key were looked at.
    Cached,
    Verified,
    Refused,
}

/// The issuers are those configured, so that there are few.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchLabels {
    issuer: String,
    result: FetchResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum FetchResult {
    Ok,
    Failed,
}

/// The counters of one issuer's key fetches.
#[derive(Clone, Debug)]
pub(super) struct FetchCounters {
    pub ok: Counter,
    pub failed: Counter,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn new() -> Self {
        let tokens = Family::<TokenLabels, Counter>::default();
        let counter = |result| tokens.get_or_create_owned(&TokenLabels { result });
        Self {
            tokens_cached: counter(TokenResult::Cached),
            tokens_verified: counter(TokenResult::Verified),
            tokens_refused: counter(TokenResult::Refused),
            fetches: Family::default(),
            tokens,
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("lakegate_authn_tokens", "Bearer tokens that came with calls", self.tokens.clone());
        registry.register("lakegate_authn_key_fetches", "Fetches of an issuer's key set", self.fetches.clone());
    }

    pub(super) fn fetches_of(&self, issuer: &str) -> FetchCounters {
        let counter = |result| self.fetches.get_or_create_owned(&FetchLabels { issuer: issuer.to_owned(), result });
        FetchCounters { ok: counter(FetchResult::Ok), failed: counter(FetchResult::Failed) }
    }
}
