//! One exchange, under way as a task of its own, on which requests only wait: it outlives the check that began it and serves the retry.

use std::{borrow::Cow, sync::Arc, time::Duration};

use tokio::{
    sync::SemaphorePermit,
    time::{Instant, sleep, timeout},
};

use super::{
    answer::{self, Declined, Unusable},
    config::Exchange,
    counter::{Counter, Turn},
    desk::Desk,
    manner::Manner,
    metrics::Counters,
    minted::{Bound, Minted},
    subject::{Holder, Order, SHORTEST, Whom},
    withheld::Withheld,
};
use crate::{
    json,
    model::{Intent, Reason, Refusal, Target},
    net::{Answer, Landing, NetError},
    text::{redacted, shown},
};

/// One exchange with all it needs. It is struck out at the desk when it is dropped, be that by a panic.
pub(super) struct Flight {
    pub desk: Arc<Desk>,
    pub counter: Arc<Counter>,
    pub counters: Counters,
    pub exchange: Arc<Exchange>,
    pub target: Arc<Target>,
    /// What the credential is kept under.
    pub key: [u8; 32],
    pub holder: Holder,
    /// The scopes that are asked for.
    pub scope: Box<str>,
    /// What may be told of the credential, but for its end.
    pub manner: Manner,
    /// When the caller's token ends, or what permits the call, in seconds since the epoch; `None` where neither does.
    pub caller_until: Option<i64>,
    /// As what it was let in.
    pub turn: Turn,
    /// Where its end is told; until then.
    pub landing: Option<Landing<Exchanged>>,
}

/// What came of an exchange.
#[derive(Clone, Debug)]
pub(super) struct Exchanged(pub Result<Arc<Minted>, Refusal>);

/// Why there is no credential.
enum Failed {
    /// The endpoint is at fault, whoever asks.
    Endpoint {
        error: String,
        /// How long it wants to be left alone, in seconds.
        retry_after_s: Option<u64>,
    },
    /// It answered, with what is of no use.
    Answer(String),
    /// It has refused this caller.
    Declined(Declined, u16),
    /// It was not asked.
    Unasked(&'static str),
    /// Nor was it, as too many wait, or as it is left alone by now; which is nobody's fault.
    Shed(Refusal),
}

/// How long an exchange waits for a place.
const QUEUE: Duration = Duration::from_secs(4);
/// The time of one exchange that has a place, with a second try.
const FLIGHT: Duration = Duration::from_secs(8);
/// Before the one other try, where the first did not reach the endpoint: a connection may have been closed on the other side.
const PAUSE: Duration = Duration::from_millis(50);
/// How long what an exchange came to is told again without another, in milliseconds: a refusal, which somebody has to mend, an answer of no use, and a fault of
/// the endpoint, which may be that of this question.
const REFUSED_FOR: i64 = 1_500;
const UNUSABLE_FOR: i64 = 1_000;
const FAULTY_FOR: i64 = 1_000;

// === impl Flight ===

impl Flight {
    pub(super) fn begin(mut self) {
        tokio::spawn(async move {
            let exchanged = Exchanged(self.fly().await);
            let landing = self.landing.take();
            drop(self);
            if let Some(landing) = landing {
                landing.arrive(exchanged);
            }
        });
    }

    async fn fly(&self) -> Result<Arc<Minted>, Refusal> {
        let late = || Failed::Endpoint { error: "it took too long".to_owned(), retry_after_s: None };
        // Who has the place next is to find what this has come to.
        let (_place, turn) = self.place().await.map_err(|failed| self.came_to_nothing(failed, self.turn))?;
        let begun = Instant::now();
        let exchanged = timeout(FLIGHT, self.exchange()).await.unwrap_or_else(|_| Err(late()));
        self.counters.seconds.observe(begun.elapsed().as_secs_f64());
        match exchanged {
            Ok(minted) => Ok(self.landed(minted)),
            Err(failed) => Err(self.came_to_nothing(failed, turn)),
        }
    }

    /// A place at the endpoint, where there is one in time and it may still be asked then, and as what it is asked.
    async fn place(&self) -> Result<(SemaphorePermit<'_>, Turn), Failed> {
        let crowded = || Failed::Shed(Refusal::new(Reason::CredentialUnavailable, "too many credentials are being asked for"));
        let place = timeout(QUEUE, self.counter.places.acquire()).await.map_err(|_| crowded())?;
        let place = place.map_err(|_| Failed::Unasked("it cannot be asked any more"))?;
        let now = self.desk.clock.now_ms();
        let turn = match self.turn {
            Turn::Usual => self.counter.admits(&self.key, now),
            Turn::Trial => Some(Turn::Trial).filter(|_| !self.counter.is_quiet(now)),
        };
        let left_alone = || Failed::Shed(self.counter.left_alone(&self.target, now));
        turn.map(|turn| (place, turn)).ok_or_else(left_alone)
    }

    async fn exchange(&self) -> Result<Minted, Failed> {
        let now = self.desk.clock.now();
        let caller_until = self.caller_until.map(|end| end.max(now.saturating_add(SHORTEST)));
        let order =
            self.holder.whom().order(&self.exchange, &self.scope, caller_until, now).ok_or(Failed::Unasked("an assertion cannot be signed"))?;
        let (answer, sent) = (self.ask(&order).await?, Withheld::of(&order));
        match answer.status {
            200 => {}
            429 | 500.. => {
                let error = format!("it answered with status {}", answer.status);
                return Err(Failed::Endpoint { error, retry_after_s: answer.retry_after_s });
            }
            400 | 401 | 403 if json::read(&answer.body).is_ok_and(|body| body.as_object().is_some()) => {
                return Err(Failed::Declined(answer::declined(&answer.body, &sent), answer.status));
            }
            // IP access lists, proxies and private links refuse so: whoever calls, and whatever federation policies say.
            status @ (400 | 401 | 403) => {
                return Err(Failed::Answer(format!("it answered with status {status} and no OAuth error, so that something before it refuses")));
            }
            status => return Err(Failed::Answer(format!("it answered with status {status}"))),
        }
        let value = json::read(&answer.body).map_err(|_| Unusable::NotJson)?;
        let issued = answer::issued(&value, &self.exchange, &sent, &self.scope, now)?;
        Ok(Minted::new(&issued, Bound { window_s: self.exchange.window_s, caller_until, now }, self.manner.clone()))
    }

    /// Asks once, and once more where the endpoint was not reached, as far as such tries are few among all.
    async fn ask(&self, order: &Order) -> Result<Answer, Failed> {
        let endpoint = &self.exchange.endpoint;
        let ask = || self.desk.client.exchange_form(endpoint, order.authorization.as_ref(), order.form.clone());
        match ask().await {
            Err(NetError::Unreachable(_)) if self.counter.may_retry() => sleep(PAUSE).await,
            answer => {
                self.counter.asked();
                return answer.map_err(Failed::from);
            }
        }
        ask().await.map_err(Failed::from)
    }

    fn landed(&self, minted: Minted) -> Arc<Minted> {
        let minted = Arc::new(minted);
        self.counters.ok.inc();
        let (now, target) = (self.desk.clock.now_ms(), &self.target.name);
        if let Some(since) = self.counter.succeeded(&self.key, now) {
            let failed_s = now.saturating_sub(since).div_euclid(1000);
            tracing::info!(of = %target, failed_s, "a token endpoint exchanges tokens again");
        }
        self.desk.shelf.put(self.key, Arc::clone(&minted));
        minted
    }

    /// Notes that there is no credential now, and says so.
    fn came_to_nothing(&self, failed: Failed, turn: Turn) -> Refusal {
        let (now, target) = (self.desk.clock.now_ms(), &self.target.name);
        match failed.redacted() {
            Failed::Endpoint { error, retry_after_s } => {
                self.counters.failed.inc();
                if let Some(seconds) = retry_after_s
                    && self.counter.leave_alone(now, seconds)
                {
                    tracing::warn!(of = %target, endpoint = %self.exchange.endpoint, error, seconds, "a token endpoint wants to be left alone");
                }
                if self.counter.failed(&self.key, turn, error.clone(), now) {
                    tracing::warn!(of = %target, endpoint = %self.exchange.endpoint, error, "a token endpoint cannot be asked");
                }
                let refusal = self.counter.unavailable(&self.target, "cannot be asked", now).with_aside(error);
                self.desk.refusals.insert(self.key, refusal.clone(), now, FAULTY_FOR);
                refusal
            }
            Failed::Unasked(error) => {
                self.counter.not_asked(turn);
                self.counters.failed.inc();
                tracing::error!(of = %target, error, "a credential cannot be asked for");
                self.counter.unavailable(&self.target, "cannot be asked", now).with_aside(error.to_owned())
            }
            Failed::Shed(refusal) => {
                self.counter.not_asked(turn);
                self.counters.shed.inc();
                refusal
            }
            Failed::Answer(error) => {
                self.counters.failed.inc();
                if self.counter.answered_badly(error.clone(), now) {
                    tracing::warn!(of = %target, endpoint = %self.exchange.endpoint, error, "the answer of a token endpoint cannot be used");
                }
                let refusal = self.counter.unavailable(&self.target, "gives no answer that can be used", now).with_aside(error);
                self.desk.refusals.insert(self.key, refusal.clone(), now, UNUSABLE_FOR);
                refusal
            }
            Failed::Declined(declined, status) => {
                self.counters.refused.inc();
                // It is there, and answers: what it says is of this caller alone.
                let refusal = self.refused(&declined, status);
                if let Some(count) = self.counter.refused(&self.key, now) {
                    tracing::warn!(of = %target, detail = %refusal.whole(), count, "a token endpoint refuses callers");
                }
                self.desk.refusals.insert(self.key, refusal.clone(), now, REFUSED_FOR);
                refusal
            }
        }
    }

    fn refused(&self, declined: &Declined, status: u16) -> Refusal {
        let code = declined.code.as_deref().map_or_else(|| format!("status {status}"), |code| format!("`{code}`"));
        let whom = match self.holder.whom() {
            Whom::Named(name) => format!("`{}`", shown(name)),
            Whom::Bearer(_) => "the caller's token".to_owned(),
            Whom::Principal(client_id) => format!("the service principal `{client_id}`"),
            Whom::Client => "the service principal of the target".to_owned(),
        };
        let detail = format!("Databricks gives no token for {whom} ({code}); {}", mend(declined.code.as_deref(), &self.scope));
        let refusal = Refusal::new(Reason::CredentialRefused, detail);
        let says = declined.description.as_ref().map(|description| format!("the token endpoint says: {description}"));
        let aside: Vec<String> = operators_mend(declined.code.as_deref(), &self.scope).map(str::to_owned).into_iter().chain(says).collect();
        if aside.is_empty() { refusal } else { refusal.with_aside(aside.join("; ")) }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.counters.in_flight.dec();
        self.desk.ended(&self.key, &self.counter);
    }
}

/// What to do about an `error` (RFC 6749, section 5.2; RFC 8693, section 2.2.2), for whoever reads the denial: whom to ask for what.
fn mend(code: Option<&str>, scope: &str) -> Cow<'static, str> {
    let text = match code {
        Some("invalid_scope") => return format!("the scope `{}` was asked for: ask whoever runs lakegate to look at it", shown(scope)).into(),
        Some("invalid_client" | "unauthorized_client") => "ask whoever runs lakegate to look at the client of the workspace's `credentials`",
        _ => {
            "ask an administrator of the workspace for a user or service principal of this name in it, and whoever runs lakegate for a federation policy that trusts the issuer"
        }
    };
    text.into()
}

/// What whoever runs lakegate can do about it, and nobody who calls.
fn operators_mend(code: Option<&str>, scope: &str) -> Option<&'static str> {
    let refused = code == Some("invalid_scope");
    refused.then_some(if scope == Intent::ALL_APIS {
        "write the scopes that the principal may have as `scope` in the workspace's `credentials`"
    } else {
        "write the scopes that the principal may have as `scope` in the workspace's `credentials`; `scope: all-apis` there would widen the token of every call"
    })
}

// === impl Failed ===

impl Failed {
    /// Without what looks like a credential, wherever it comes from: it is told in logs and in `/status`.
    fn redacted(self) -> Self {
        match self {
            Self::Endpoint { error, retry_after_s } => Self::Endpoint { error: redacted(&error).into_owned(), retry_after_s },
            Self::Answer(error) => Self::Answer(redacted(&error).into_owned()),
            told => told,
        }
    }
}

impl From<Unusable> for Failed {
    fn from(unusable: Unusable) -> Self {
        Self::Answer(unusable.to_string())
    }
}

impl From<NetError> for Failed {
    fn from(error: NetError) -> Self {
        match error {
            NetError::TimedOut | NetError::Unreachable(_) | NetError::Status(_) => Self::Endpoint { error: error.to_string(), retry_after_s: None },
            NetError::Encoded | NetError::TooLong(_) => Self::Answer(error.to_string()),
            NetError::Setup(_) => Self::Unasked("the form cannot be sent"),
        }
    }
}
