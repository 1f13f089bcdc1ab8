//! One question to an issuer, under way as a task of its own, on which requests only wait.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use super::{
    About, Introspector,
    allowance::Account,
    answer::{self, Rejected},
    client_auth::Asking,
};
use crate::{
    authn::{
        cache::{Cache, Verified},
        issuer::Issuer,
    },
    model::{Refusal, Secret},
    net::{Arrival, Landing, NetError},
};

/// One question with all it needs.
#[derive(Debug)]
pub(super) struct Flight {
    pub introspector: Arc<Introspector>,
    pub issuer: Arc<Issuer>,
    pub token: Secret,
    /// The SHA-256 of the token.
    pub digest: [u8; 32],
    /// Where a good answer is kept.
    pub cache: Cache,
    pub known: bool,
    pub about: About,
    /// Who is charged for it.
    pub account: Option<Arc<Account>>,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub(super) struct Asked(pub Result<Arc<Verified>, Refusal>);

/// Why there is no answer about the token.
enum Unanswered {
    /// The endpoint is at fault, whatever it was asked.
    Endpoint(String),
    /// The endpoint does not take lakegate's own credentials.
    Denied,
    /// It answered, with what is of no use and not owed to the token.
    Answer(String),
    /// It answered that the question is wrong, which the token may be the cause of.
    Question(String),
    /// It was not asked.
    Unasked(String),
}

/// How long a request waits for the end.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// The time of one question with all it needs, its place in the queue too.
const FLIGHT: Duration = Duration::from_secs(8);
/// How long a token is not asked about again after an answer that cannot be used, in milliseconds.
const UNUSABLE_FOR: i64 = 1_000;
/// What is said of an endpoint that takes lakegate for somebody else.
const DENIED: &str = "it does not take lakegate's own credentials";

// === impl Flight ===

impl Flight {
    pub(super) fn begin(self) -> Arrival<Asked> {
        let (landing, arrival) = Landing::new();
        tokio::spawn(async move {
            let answer = timeout(FLIGHT, self.exchange()).await.unwrap_or_else(|_| Err(Unanswered::Endpoint("it took too long".to_owned())));
            let result = self.land(answer);
            self.introspector.flights().remove(&self.digest);
            landing.arrive(Asked(result));
        });
        arrival
    }

    /// The answer, and when the question was put, in milliseconds since the epoch.
    async fn exchange(&self) -> Result<(Bytes, i64), Unanswered> {
        let (introspector, issuer) = (&self.introspector, &self.issuer.config.issuer);
        let places = if self.known { &introspector.known } else { &introspector.unknown };
        let _place = places.acquire().await.map_err(|_| Unanswered::Unasked("it cannot be asked any more".to_owned()))?;
        let endpoint = introspector.place.endpoint(issuer).await.map_err(Unanswered::Endpoint)?;
        let asking = Asking { client_id: &introspector.config.client_id, issuer, endpoint: endpoint.as_str(), now: introspector.clock.now() };
        let (header, form) = introspector.credentials.form(self.token.expose(), &asking).map_err(Unanswered::Unasked)?;
        let asked_ms = introspector.clock.now_ms();
        let body = introspector.client.post_form(&endpoint, header.as_ref(), form).await?;
        Ok((body, asked_ms))
    }

    /// Keeps what an answer says, and says it to those who wait.
    fn land(&self, answer: Result<(Bytes, i64), Unanswered>) -> Result<Arc<Verified>, Refusal> {
        let introspector = &self.introspector;
        let now = introspector.clock.now_ms();
        let unanswered = match answer.map(|(body, asked_ms)| answer::read(&body, &self.issuer, &self.about, asked_ms, now.div_euclid(1000))) {
            Ok(Ok(verified)) => {
                self.answered(now);
                introspector.counters.active.inc();
                self.give_back();
                self.cache.insert(self.digest, Arc::clone(&verified));
                return Ok(verified);
            }
            Ok(Err(Rejected::Token(refusal))) => {
                self.answered(now);
                introspector.counters.inactive.inc();
                self.cache.remove(&self.digest);
                introspector.refusals.insert(self.digest, refusal.clone(), now, introspector.window_ms());
                return Err(refusal);
            }
            Ok(Err(Rejected::Answer(error))) => Unanswered::Answer(error),
            Err(unanswered) => unanswered,
        };
        if !matches!(unanswered, Unanswered::Question(_)) {
            self.give_back();
        }
        Err(self.came_to_nothing(unanswered, now))
    }

    /// Notes that the issuer answers, and says so where it was said that it does not.
    fn answered(&self, now: i64) {
        let since = self.introspector.health().succeeded();
        if let Some(since) = since {
            let (issuer, failed_s) = (&self.issuer.config.name, now.saturating_sub(since).div_euclid(1000));
            tracing::info!(%issuer, failed_s, "an issuer can be asked about tokens again");
        }
    }

    /// Notes that nothing is known of the token now, and says so.
    fn came_to_nothing(&self, unanswered: Unanswered, now: i64) -> Refusal {
        let (introspector, issuer) = (&self.introspector, &self.issuer.config.name);
        let unusable = match unanswered {
            Unanswered::Endpoint(error) => {
                introspector.counters.failed.inc();
                if introspector.health().failed(error.clone(), now) {
                    tracing::warn!(%issuer, error, "an issuer cannot be asked about tokens");
                }
                return introspector.unavailable(&self.issuer, "cannot be asked");
            }
            Unanswered::Denied => {
                introspector.counters.unauthorized.inc();
                if introspector.denied(DENIED, now) {
                    let mend = "set right `client_id`, `auth` and the secret or key in the issuer's `introspection`, or the client at the issuer";
                    tracing::error!(%issuer, mend, "an issuer refuses lakegate's own credentials when it is asked about tokens");
                }
                return introspector.unavailable(&self.issuer, "does not let lakegate ask");
            }
            Unanswered::Unasked(error) => {
                introspector.health().not_asked();
                tracing::warn!(%issuer, error, "a question to an issuer about a token cannot be made");
                introspector.unavailable(&self.issuer, "cannot be asked")
            }
            Unanswered::Answer(error) | Unanswered::Question(error) => {
                if introspector.health().answered_badly(error.clone(), now) {
                    tracing::warn!(%issuer, error, "the answer of an issuer about a token cannot be used");
                }
                introspector.unavailable(&self.issuer, "gives no answer that can be used")
            }
        };
        introspector.counters.failed.inc();
        introspector.refusals.insert(self.digest, unusable.clone(), now, UNUSABLE_FOR);
        unusable
    }

    fn give_back(&self) {
        if let Some(account) = &self.account {
            account.give_back();
        }
    }
}

// === impl Unanswered ===

impl From<NetError> for Unanswered {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Status(401 | 403) => Self::Denied,
            NetError::TimedOut | NetError::Unreachable(_) | NetError::Status(429 | 500..) => Self::Endpoint(error.to_string()),
            // Bad request, and parts of it too large: whoever chose the token may have chosen it for this.
            NetError::Status(400 | 413 | 414 | 422 | 431) => Self::Question(error.to_string()),
            NetError::Status(_) | NetError::Encoded | NetError::TooLong(_) => Self::Answer(error.to_string()),
            NetError::Setup(_) => Self::Unasked(error.to_string()),
        }
    }
}
