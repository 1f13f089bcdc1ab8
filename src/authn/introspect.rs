//! Asking an issuer whether a token is active (RFC 7662), as often as the configured window says and no more.
//!
//! One question at a time for each token; it is a task of its own with a deadline of its own, on which requests only wait, so that its answer serves the
//! retry of a caller that could not. How many questions are under way is bounded, tokens that were active go before those never seen, and a workload
//! whose tokens turn out to be nothing is asked for less and less. Where the issuer cannot be asked, nobody passes.

mod allowance;
mod answer;
mod breaker;
mod client_auth;
mod config;
mod place;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync;
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

pub(super) use self::client_auth::Credentials;
pub use self::config::{AssertionAudience, ClientAuth, IntrospectWhen, IntrospectionConfig, SecretSource};
use self::{
    allowance::{Account, Allowance},
    answer::Rejected,
    breaker::Breaker,
    client_auth::Asking,
    place::Place,
};
use super::{
    cache::{Cache, Verified},
    issuer::Issuer,
    metrics::IntrospectionCounters,
};
use crate::{
    clock::{Clock, apart},
    model::{Reason, Refusal, Secret, SpiffeId},
    net::{Client, NetError},
};

/// The questions to one issuer's endpoint.
#[derive(Debug)]
pub(super) struct Introspector {
    pub config: IntrospectionConfig,
    pub credentials: Credentials,
    client: Client,
    clock: Clock,
    counters: IntrospectionCounters,
    place: Arc<Place>,
    /// Those under way, by the SHA-256 of the token.
    flights: Mutex<HashMap<[u8; 32], watch::Receiver<Landed>>>,
    breaker: Mutex<Breaker>,
    allowance: Allowance,
    /// Places for tokens that were active when last asked about; and for others, which cannot take those places.
    known: Semaphore,
    unknown: Semaphore,
    /// What is known of tokens that are not good, for a short time.
    refused: sync::Cache<[u8; 32], Arc<Refused>>,
}

/// How a question ended; `None` while it has not.
type Landed = Option<Result<Arc<Verified>, Refusal>>;

#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    /// In milliseconds since the epoch.
    at: i64,
}

/// A token that is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'q> {
    pub token: &'q str,
    /// The SHA-256 of the token.
    pub digest: [u8; 32],
    /// Who presents it, whose questions these are.
    pub peer: Option<&'q SpiffeId>,
    /// Where a good answer is kept.
    pub cache: &'q Cache,
    /// Whether it was active before.
    pub known: bool,
}

/// What is known of a token before it is asked about.
#[derive(Clone, Debug)]
pub(super) enum About {
    Opaque,
    /// Its signature has been verified.
    Signed(Arc<Verified>),
}

/// How asking is going. Times are in seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IntrospectionStatus {
    /// `None` until the discovery document has named it.
    pub endpoint: Option<String>,
    pub failing_since: Option<i64>,
    /// Why it could not be asked last; `None` once it can.
    pub last_error: Option<String>,
    /// Whether it is left alone for the time being, so that every token it would have to be asked about is refused at once.
    pub open: bool,
}

/// How long a request waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time of one question with all it needs, its place in the queue too.
const FLIGHT: Duration = Duration::from_secs(8);
/// Questions under way to one endpoint, of each of both kinds.
const AT_ONCE: usize = 64;
/// Questions under way or waiting for a place.
const MAX_FLIGHTS: usize = 2048;
/// How many there may be for one more to set out about a token that was never seen: the rest is for those that were active.
const MAX_UNKNOWN_FLIGHTS: usize = MAX_FLIGHTS / 2;
/// The longest time that a refused token is not asked about again, in milliseconds.
const REFUSED_FOR: i64 = 5_000;
/// Bytes of refused tokens that are remembered, and what each takes.
const REFUSED_BYTES: u64 = 8 << 20;
const REFUSED_WEIGHT: u32 = 512;

// === impl Introspector ===

impl Introspector {
    pub(super) fn new(config: IntrospectionConfig, credentials: Credentials, client: Client, clock: Clock, counters: IntrospectionCounters) -> Self {
        let place = Arc::new(Place::new(config.endpoint.clone(), client.clone(), clock.clone()));
        Self {
            config,
            credentials,
            client,
            clock,
            counters,
            place,
            flights: Mutex::default(),
            breaker: Mutex::default(),
            allowance: Allowance::new(),
            known: Semaphore::new(AT_ONCE),
            unknown: Semaphore::new(AT_ONCE),
            refused: sync::Cache::builder().max_capacity(REFUSED_BYTES).weigher(|_, _| REFUSED_WEIGHT).build(),
        }
    }

    /// Whether what was answered at `asked_ms` still counts.
    pub(super) fn is_fresh(&self, asked_ms: Option<i64>) -> bool {
        asked_ms.is_some_and(|asked| apart(asked, self.clock.now_ms()) < self.config.window_s.saturating_mul(1000))
    }

    /// What `issuer` says of the token now; waits for it no longer than a request can.
    ///
    /// # Errors
    /// `TokenInactive`, what is wrong with the facts in the answer, or `IntrospectionUnavailable`.
    pub(super) async fn ask(self: &Arc<Self>, issuer: &Arc<Issuer>, question: Question<'_>, about: About) -> Result<Arc<Verified>, Refusal> {
        let now = self.clock.now_ms();
        let remembered = REFUSED_FOR.min(self.config.window_s.saturating_mul(1000));
        if let Some(refused) = self.refused.get(&question.digest).filter(|refused| apart(refused.at, now) < remembered) {
            return Err(refused.refusal.clone());
        }
        let mut landed = self.flight(issuer, question, about, now)?;
        match timeout(PATIENCE, landed.wait_for(Option::is_some)).await {
            // One that was long under way when this request came may be older than an answer may be.
            Ok(Ok(result)) if matches!(&*result, Some(Ok(verified)) if verified.asked_ms < Some(now) && !self.is_fresh(verified.asked_ms)) => None,
            Ok(Ok(result)) => result.clone(),
            // The task died, or goes on behind the caller.
            Ok(Err(_)) | Err(_) => None,
        }
        .unwrap_or_else(|| Err(self.unavailable(issuer, "has not answered yet")))
    }

    /// The question about this token that is under way, or a new one.
    fn flight(self: &Arc<Self>, issuer: &Arc<Issuer>, question: Question<'_>, about: About, now: i64) -> Result<watch::Receiver<Landed>, Refusal> {
        let mut flights = self.flights();
        // One of which the task died is none.
        if let Some(landed) = flights.get(&question.digest).filter(|landed| landed.has_changed().is_ok()) {
            return Ok(landed.clone());
        }
        if flights.len() >= if question.known { MAX_FLIGHTS } else { MAX_UNKNOWN_FLIGHTS } {
            self.counters.shed.inc();
            return Err(Refusal::new(
                Reason::IntrospectionUnavailable,
                format!("issuer `{}` is being asked about too many tokens", issuer.config.name),
            ));
        }
        let account = if question.known {
            None
        } else {
            let peer = question.peer.map_or("", SpiffeId::as_str);
            let account = self.allowance.charge(peer, now).ok_or_else(|| {
                self.counters.shed.inc();
                let detail = format!("issuer `{}` was asked about too many tokens of this workload that are not active", issuer.config.name);
                Refusal::new(Reason::IntrospectionUnavailable, detail)
            })?;
            Some(account)
        };
        if !self.breaker().allows(now) {
            give_back(account.as_deref());
            self.counters.shed.inc();
            return Err(self.unavailable(issuer, "cannot be asked"));
        }
        let (landing, landed) = watch::channel(None);
        flights.insert(question.digest, landed.clone());
        drop(flights);
        let flight = Flight {
            introspector: Arc::clone(self),
            issuer: Arc::clone(issuer),
            token: Secret::new(question.token),
            digest: question.digest,
            cache: question.cache.clone(),
            known: question.known,
            about,
            account,
        };
        tokio::spawn(flight.run(landing));
        Ok(landed)
    }

    fn unavailable(&self, issuer: &Issuer, why: &str) -> Refusal {
        let since = self.breaker().failing_since();
        let detail = format!("issuer `{}` {why} whether the token is active", issuer.config.name);
        Refusal { since, ..Refusal::new(Reason::IntrospectionUnavailable, detail) }
    }

    pub(super) fn status(&self) -> IntrospectionStatus {
        let breaker = self.breaker();
        IntrospectionStatus {
            endpoint: self.place.known().map(|endpoint| endpoint.to_string()),
            failing_since: breaker.failing_since().map(|since| since.div_euclid(1000)),
            last_error: breaker.last_error().map(str::to_owned),
            open: breaker.is_open(),
        }
    }

    /// A panic elsewhere leaves what is good enough to go on with, here and below.
    fn flights(&self) -> MutexGuard<'_, HashMap<[u8; 32], watch::Receiver<Landed>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One question with all it needs.
struct Flight {
    introspector: Arc<Introspector>,
    issuer: Arc<Issuer>,
    token: Secret,
    digest: [u8; 32],
    cache: Cache,
    known: bool,
    about: About,
    /// Who is charged for it.
    account: Option<Arc<Account>>,
}

/// Why there is no answer.
enum Unanswered {
    /// The endpoint is at fault, whatever it was asked.
    Endpoint(String),
    /// What was asked may be at fault: it must not close the endpoint for others.
    Question(String),
}

// === impl Flight ===

impl Flight {
    async fn run(self, landing: watch::Sender<Landed>) {
        let answer = timeout(FLIGHT, self.exchange()).await.unwrap_or_else(|_| Err(Unanswered::Endpoint("it took too long".to_owned())));
        let result = self.land(answer);
        self.introspector.flights().remove(&self.digest);
        landing.send_replace(Some(result));
    }

    /// The answer, and when the question was put, in milliseconds since the epoch.
    async fn exchange(&self) -> Result<(bytes::Bytes, i64), Unanswered> {
        let (introspector, issuer) = (&self.introspector, &self.issuer.config.issuer);
        let places = if self.known { &introspector.known } else { &introspector.unknown };
        let _place = places.acquire().await.map_err(|_| Unanswered::Question("it cannot be asked any more".to_owned()))?;
        let endpoint = introspector.place.endpoint(issuer).await.map_err(Unanswered::Endpoint)?;
        let asking = Asking { client_id: &introspector.config.client_id, issuer, endpoint: endpoint.as_str(), now: introspector.clock.now() };
        let (header, form) = introspector.credentials.form(self.token.expose(), &asking).map_err(Unanswered::Question)?;
        let asked_ms = introspector.clock.now_ms();
        let answer = introspector.client.post_form(&endpoint, header.as_ref(), form).await;
        answer.map(|body| (body, asked_ms)).map_err(|error| match error {
            NetError::Status(401 | 403) => Unanswered::Endpoint("it does not take lakegate's own credentials".to_owned()),
            NetError::Status(status) if status == 429 || status >= 500 => Unanswered::Endpoint(error.to_string()),
            NetError::TimedOut | NetError::Unreachable(_) => Unanswered::Endpoint(error.to_string()),
            error => Unanswered::Question(error.to_string()),
        })
    }

    /// Keeps what an answer says, and says it to those who wait.
    fn land(&self, answer: Result<(bytes::Bytes, i64), Unanswered>) -> Result<Arc<Verified>, Refusal> {
        let introspector = &self.introspector;
        let now = introspector.clock.now_ms();
        let answered = match answer {
            Ok((body, asked_ms)) => {
                introspector.breaker().succeeded();
                answer::read(&body, &self.issuer, &self.about, asked_ms, now.div_euclid(1000))
            }
            Err(Unanswered::Question(error)) => Err(Rejected::Answer(error)),
            Err(Unanswered::Endpoint(error)) => {
                if introspector.breaker().failed(error.clone(), now) {
                    tracing::warn!(issuer = %self.issuer.config.name, error, "an issuer cannot be asked about tokens");
                }
                introspector.counters.failed.inc();
                give_back(self.account.as_deref());
                return Err(introspector.unavailable(&self.issuer, "cannot be asked"));
            }
        };
        match answered {
            Ok(verified) => {
                introspector.counters.active.inc();
                give_back(self.account.as_deref());
                self.cache.insert(self.digest, Arc::clone(&verified));
                Ok(verified)
            }
            Err(Rejected::Token(refusal)) => {
                introspector.counters.inactive.inc();
                self.cache.remove(&self.digest);
                introspector.refused.insert(self.digest, Arc::new(Refused { refusal: refusal.clone(), at: now }));
                Err(refusal)
            }
            Err(Rejected::Answer(error)) => {
                introspector.counters.failed.inc();
                tracing::warn!(issuer = %self.issuer.config.name, error, "the answer of an issuer about a token cannot be used");
                Err(introspector.unavailable(&self.issuer, "gives no answer that can be used"))
            }
        }
    }
}

fn give_back(account: Option<&Account>) {
    if let Some(account) = account {
        account.give_back();
    }
}
