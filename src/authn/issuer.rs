//! One issuer at work: its keys, kept fresh, and the verification of its tokens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, time::timeout};

use super::{
    Algorithm, IssuerConfig, IssuerStatus,
    cache::Verified,
    fetch::{FetchError, Fetched, Origin},
    flight::{Boarding, Cause},
    introspect::{About, Credentials, Introspector, Question},
    jws::Jws,
    keyring::{Keyring, Published},
    keys::{Fingerprint, KeySet, Mismatch},
    metrics::FetchCounters,
    shown,
};
use crate::{
    clock::{Clock, apart},
    model::{Reason, Refusal},
    net::Client,
};

/// An issuer, shared by all snapshots in which its whole configuration (and its key file) is the same. What it has verified is its own.
#[derive(Debug)]
pub(super) struct Issuer {
    pub config: IssuerConfig,
    pub keyring: Arc<Keyring>,
    /// `None` where it is asked about no token.
    pub introspection: Option<Arc<Introspector>>,
    client: Client,
    clock: Clock,
    counters: FetchCounters,
    /// Whether it is of a service that runs, rather than of a command.
    serves: AtomicBool,
}

/// How long a request waits for keys that it cannot do without.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits for newer keys where the last ones are still good.
const IMPATIENCE: Duration = Duration::from_millis(300);
/// The time of one fetch, whatever the client allows for each of its exchanges.
const FLIGHT: Duration = Duration::from_secs(15);

// === impl Issuer ===

impl Issuer {
    pub(super) fn new(config: IssuerConfig, keyring: Arc<Keyring>, client: Client, clock: Clock, counters: FetchCounters) -> Self {
        Self { config, keyring, introspection: None, client, clock, counters, serves: AtomicBool::new(false) }
    }

    /// The same, which is asked about tokens too.
    pub(super) fn asked_with(self, introspection: Option<Arc<Introspector>>) -> Self {
        Self { introspection, ..self }
    }

    /// Whether it would be the same with this configuration, these keys, and these credentials to ask with.
    pub(super) fn is(&self, config: &IssuerConfig, origin: &Origin, credentials: Option<&Credentials>) -> bool {
        let asks_so = self.introspection.as_ref().map(|introspection| &introspection.credentials) == credentials;
        self.config == *config && self.keyring.is(&config.issuer, origin) && asks_so
    }

    /// Whether its answer about a token, of the time `asked_ms`, still counts; where none is needed, it does.
    pub(super) fn still_says(&self, asked_ms: Option<i64>, signed: bool) -> bool {
        let asks = self.introspection.as_ref().filter(|introspection| !signed || introspection.config.when.signed());
        asks.is_none_or(|introspection| introspection.is_fresh(asked_ms))
    }

    /// What it says of a token now, or what is known already where it is not asked about tokens.
    pub(super) async fn ask(self: &Arc<Self>, question: Question<'_>, about: About) -> Result<Arc<Verified>, Refusal> {
        match (&self.introspection, about) {
            (Some(introspection), about) => introspection.ask(self, question, about).await,
            (None, About::Signed(known)) => Ok(known),
            (None, About::Opaque) => Err(self.unavailable("are of no use for a token that is not signed")),
        }
    }

    /// Verifies that `jws` is signed by a key of this issuer, and returns which.
    pub(super) async fn verify(self: &Arc<Self>, jws: &Jws<'_>) -> Result<Fingerprint, Refusal> {
        let published = self.keys_for(jws).await?;
        self.signed_by(&published.keys, jws)
    }

    /// The keys that count now, fetched again where that of `jws` is not among them.
    pub(super) async fn keys_for(self: &Arc<Self>, jws: &Jws<'_>) -> Result<Arc<Published>, Refusal> {
        let published = self.keys().await?;
        if self.knows_key_of(jws, &published.keys)? { Ok(published) } else { Ok(self.newer_keys(published).await) }
    }

    /// Whether `keys` has the key that `jws` names.
    ///
    /// # Errors
    /// `TokenBadSignature` for an algorithm that it may not use.
    pub(super) fn knows_key_of(&self, jws: &Jws<'_>, keys: &KeySet) -> Result<bool, Refusal> {
        let algorithm = self.algorithm(&jws.header.algorithm)?;
        Ok(!matches!(keys.find(jws.header.key_id.as_deref(), algorithm), Err(Mismatch::Unknown)))
    }

    /// The one of `keys` that `jws` is signed with. Waits for nothing.
    pub(super) fn signed_by(&self, keys: &KeySet, jws: &Jws<'_>) -> Result<Fingerprint, Refusal> {
        let algorithm = self.algorithm(&jws.header.algorithm)?;
        let id = jws.header.key_id.as_deref();
        let key = keys.find(id, algorithm).map_err(|mismatch| self.no_key(mismatch, id, algorithm))?;
        if key.verifies(jws.signed, jws.signature, algorithm) {
            Ok(key.fingerprint())
        } else {
            Err(Refusal::new(Reason::TokenBadSignature, format!("the token's signature is not that of issuer `{}`", self.config.name)))
        }
    }

    /// The keys that count now. Does not wait where they are young enough.
    pub(super) async fn keys(self: &Arc<Self>) -> Result<Arc<Published>, Refusal> {
        let published = self.keyring.published.load_full();
        let Some(published) = published else {
            self.wait_for(Cause::Age, PATIENCE).await;
            return self.keyring.published.load_full().ok_or_else(|| self.unavailable("are not known yet"));
        };
        let age = self.age(&published);
        if age < self.renewal() {
            return Ok(published);
        }
        let too_old = seconds(self.config.max_stale_s);
        if age > too_old {
            self.wait_for(Cause::Age, PATIENCE).await;
        } else if age < seconds(self.config.refresh_s) || self.keyring.flights().is_failing() {
            // The fetch goes on behind the request.
            let _ = self.fetch(Cause::Age);
        } else {
            self.wait_for(Cause::Age, IMPATIENCE).await;
        }
        let published = self.keyring.published.load_full().unwrap_or(published);
        if self.age(&published) > too_old {
            return Err(self.unavailable("are too old"));
        }
        Ok(published)
    }

    /// The keys after a fetch for the sake of an unknown one, where that is not too soon; else `known`.
    async fn newer_keys(self: &Arc<Self>, known: Arc<Published>) -> Arc<Published> {
        self.wait_for(Cause::UnknownKey { apart: seconds(self.config.min_refetch_s) }, PATIENCE).await;
        self.keyring.published.load_full().unwrap_or(known)
    }

    /// Starts a fetch where the keys are absent or old, and keeps on disk what fetches bring from here on. Needs a Tokio runtime.
    pub(super) fn refresh(self: &Arc<Self>) {
        self.serves.store(true, Ordering::Relaxed);
        self.keyring.say();
        if self.keyring.published.load().as_ref().is_none_or(|published| self.age(published) >= self.renewal()) {
            let _ = self.fetch(Cause::Age);
        }
    }

    /// The age at which keys are fetched again, in milliseconds: well ahead of that at which a request would wait for it.
    fn renewal(&self) -> i64 {
        seconds(self.config.refresh_s) / 2
    }

    async fn wait_for(self: &Arc<Self>, cause: Cause, patience: Duration) {
        if let Some(mut landed) = self.fetch(cause) {
            // The sender never sends: the wait ends when it is dropped.
            let _ = timeout(patience, landed.changed()).await;
        }
    }

    /// The fetch under way, or a new one, or `None` where it is too soon for one.
    ///
    /// It is a task of its own: a caller that goes away must not end it for those who wait with it.
    fn fetch(self: &Arc<Self>, cause: Cause) -> Option<watch::Receiver<()>> {
        if matches!(self.keyring.origin, Origin::File(_)) {
            return None;
        }
        let now = self.clock.now_ms();
        let boarding = self.keyring.flights().board(cause, now);
        match boarding {
            Boarding::Wait => None,
            Boarding::Join(landed) => Some(landed),
            Boarding::Start(landing, landed) => {
                let issuer = Arc::clone(self);
                tokio::spawn(async move {
                    let fetched = timeout(FLIGHT, issuer.keyring.origin.fetch(&issuer.config.issuer, &issuer.client)).await;
                    let text = issuer.land(fetched.unwrap_or(Err(FetchError::Late)), now);
                    drop(landing);
                    if let Some(text) = text {
                        issuer.keep(text, now);
                    }
                });
                Some(landed)
            }
        }
    }

    /// Publishes what a fetch brought, and returns its text; a failure leaves what is there.
    fn land(&self, fetched: Result<Fetched, FetchError>, started_ms: i64) -> Option<Bytes> {
        match fetched {
            Ok(Fetched { keys, text }) => {
                let known = self.keyring.published.load();
                if known.as_ref().is_none_or(|known| known.keys != keys) {
                    tracing::info!(issuer = %self.config.name, keys = ?keys.ids(), "the keys of an issuer are new");
                }
                self.keyring.published.store(Some(Arc::new(Published { keys, fetched_ms: started_ms })));
                self.keyring.flights().succeeded();
                self.counters.succeeded(started_ms.div_euclid(1000));
                Some(text)
            }
            Err(error) => {
                self.counters.failed.inc();
                let first = self.keyring.flights().failed(error.to_string(), self.clock.now_ms());
                if first {
                    tracing::warn!(issuer = %self.config.name, %error, "the keys of an issuer cannot be fetched");
                }
                None
            }
        }
    }

    /// Keeps a key set for the next start; only of a service that runs, since a command may run as somebody else.
    fn keep(self: &Arc<Self>, text: Bytes, fetched_ms: i64) {
        if let Some(file) = self.config.keys_file.clone().filter(|_| self.serves.load(Ordering::Relaxed)) {
            let keyring = Arc::clone(&self.keyring);
            drop(tokio::task::spawn_blocking(move || keyring.keep(&file, &text, fetched_ms)));
        }
    }

    /// The algorithm that a token's header names, where this issuer may use it.
    fn algorithm(&self, name: &str) -> Result<Algorithm, Refusal> {
        let allowed = &self.config.algorithms;
        Algorithm::parse(name).filter(|algorithm| allowed.contains(algorithm)).ok_or_else(|| {
            let names: Vec<&str> = allowed.iter().map(|algorithm| algorithm.name()).collect();
            let detail = format!("the token's algorithm `{}` is not one of `{}`", shown(name), names.join("`, `"));
            Refusal::new(Reason::TokenBadSignature, detail)
        })
    }

    fn no_key(&self, mismatch: Mismatch, id: Option<&str>, algorithm: Algorithm) -> Refusal {
        let issuer = &self.config.name;
        match (mismatch, id) {
            (Mismatch::Unknown, Some(id)) => {
                Refusal::new(Reason::TokenUnknownKey, format!("issuer `{issuer}` publishes no key with the id `{}`", shown(id)))
            }
            (Mismatch::Unknown, None) => {
                Refusal::new(Reason::TokenUnknownKey, format!("the token names no key, and issuer `{issuer}` does not publish exactly one that fits"))
            }
            (Mismatch::Algorithm, _) => {
                let detail = format!("the token's key of issuer `{issuer}` is not for the algorithm `{}`", algorithm.name());
                Refusal::new(Reason::TokenBadSignature, detail)
            }
        }
    }

    fn unavailable(&self, why: &str) -> Refusal {
        let since = self.keyring.flights().since();
        Refusal { since, ..Refusal::new(Reason::KeysUnavailable, format!("the keys of issuer `{}` {why}", self.config.name)) }
    }

    /// In milliseconds; a file does not age. A clock that was set back makes keys old, not young for ever.
    fn age(&self, published: &Published) -> i64 {
        match self.keyring.origin {
            Origin::File(_) => 0,
            Origin::Discovery(_) | Origin::Uri(_) => apart(published.fetched_ms, self.clock.now_ms()),
        }
    }

    pub(super) fn status(&self) -> IssuerStatus {
        let published = self.keyring.published.load();
        let introspection = self.introspection.as_ref();
        let flights = self.keyring.flights();
        IssuerStatus {
            name: self.config.name.to_string(),
            issuer: self.config.issuer.clone(),
            keys: published.as_ref().map(|published| published.keys.ids()).unwrap_or_default(),
            fetched_at: published.as_ref().map(|published| published.fetched_ms.div_euclid(1000)),
            failing_since: flights.failing_since().map(|since| since.div_euclid(1000)),
            last_error: flights.last_error().map(str::to_owned),
            degraded: flights.is_failing() || introspection.is_some_and(|introspection| introspection.is_failing()),
            introspection: introspection.map(|introspection| introspection.status()),
        }
    }
}

/// In milliseconds.
fn seconds(count: i64) -> i64 {
    count.saturating_mul(1000)
}
