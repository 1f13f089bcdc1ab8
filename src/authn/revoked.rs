//! Tokens that count no more although they have not expired: by their id, their session, their subject or their issuer.
//!
//! A revocation is keyed by the issuer's identifier, so that it outlives a new name for the issuer in the configuration. It counts from the next request
//! on, whether the token is known or not, and until a time after which no token that it refuses could count anyway. What was revoked leaves
//! only by that time or by being lifted; no list that came back shorter takes anything away.

mod book;
mod index;
mod journal;
mod metrics;
mod order;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

pub use self::order::Order;
use self::{
    book::{Book, Places},
    index::{Index, Kind},
    journal::{Broken, Journal, Line},
    metrics::Metrics,
};
pub(super) use self::{index::Marks, order::Life};
use crate::model::{Reason, Refusal};

/// What is revoked, by whom and for how long. Times are in seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    pub id: String,
    /// The exact `iss` of the tokens.
    pub issuer: String,
    pub whose: Whose,
    /// Tokens without an `iat` or with an earlier one are refused; `None` for all.
    pub before: Option<i64>,
    pub until: i64,
    pub made_at: i64,
    pub by: By,
    pub note: Option<String>,
    /// The logout token that it follows from.
    pub logout: Option<Seen>,
}

/// Which tokens of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The token with this `jti`.
    TokenId(String),
    /// Those with this `sid`; where the subject is known too, its tokens that name no session as well, which may be of this one.
    Session {
        id: String,
        subject: Option<String>,
    },
    /// Those of this subject, and those in whose chain of actors it stands.
    Subject(String),
    Everyone,
}

/// Who made or lifted a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Over the control socket, as the kernel says.
    Operator { uid: u32, pid: Option<i32> },
    /// The issuer itself, by a logout token.
    Issuer,
}

/// A logout token that must not count twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub jti: String,
    /// When it would be too old to count.
    pub until: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lifted {
    pub at: i64,
    pub by: By,
}

/// All revocations; one for the life of the process.
#[derive(Debug)]
pub(super) struct Revocations {
    dir: Option<PathBuf>,
    index: Index,
    book: Mutex<Book>,
    /// As the book was left: whoever changes it may hold it for as long as the disk takes, and nobody who only looks is to wait for that.
    state: ArcSwap<State>,
    metrics: Metrics,
}

/// What is told of all revocations together.
#[derive(Clone, Debug, Default)]
struct State {
    /// How many count, by kind.
    counts: HashMap<Kind, usize>,
    held: usize,
    places: Places,
    last_made: Option<i64>,
    broken: Option<Broken>,
}

/// One as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub revocation: Revocation,
    pub lifted: Option<Lifted>,
    /// Whether it is on disk.
    pub kept: bool,
}

/// Why a revocation is not made or lifted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    /// What is asked for is wrong.
    #[error("{0}")]
    Invalid(String),
    #[error("there is no revocation with the id `{0}`")]
    Unknown(String),
    #[error("a logout token with this `jti` was taken before")]
    Replayed,
    /// Of what this one may take, every place is taken.
    #[error(
        "there are as many revocations as there may be; wait until some have ended, or have them last less long (`longest_token` of their issuer)"
    )]
    Full,
    /// It counts, and would be forgotten by a restart.
    #[error("the revocation counts now, but could not be written, so that a restart would forget it: {0}")]
    NotKept(String),
    /// A lift that was not written does not count.
    #[error("it could not be written, so that the revocation still counts: {0}")]
    NotLifted(String),
}

/// How revocations are doing. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevocationStatus {
    pub tokens: usize,
    pub sessions: usize,
    pub subjects: usize,
    pub issuers: usize,
    /// Places that are taken, by lifted ones too until they would have ended.
    pub held: usize,
    /// Places that there are: for logout tokens, and for operators.
    pub limit_logouts: usize,
    pub limit: usize,
    /// How long ago the last was made.
    pub last_made_s: Option<i64>,
    /// Whether they outlive a restart.
    pub kept: bool,
    /// Some are not on disk although they should be.
    pub degraded: bool,
    pub failing_since: Option<i64>,
    pub last_error: Option<String>,
}

// === impl Revocations ===

impl Revocations {
    /// Those in `dir`, without a claim to it: to write any, [`keep`](Self::keep) it first.
    ///
    /// # Errors
    /// In words, where some may be there that cannot be read.
    pub(super) fn read(dir: Option<&Path>, now: i64) -> Result<Self, String> {
        let (book, state) = (Mutex::default(), ArcSwap::default());
        let new = Self { dir: dir.map(Path::to_owned), index: Index::new(), book, state, metrics: Metrics::new() };
        if let Some(dir) = dir {
            new.take(&mut new.book(), journal::read(dir)?.lines, now)?;
        }
        Ok(new)
    }

    /// Takes hold of the folder, so that what is revoked from now on outlives the process. Waits for a process that still holds it.
    ///
    /// # Errors
    /// In words.
    pub(super) fn keep(&self, now: i64) -> Result<(), String> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let mut book = self.book();
        if book.journal.is_none() {
            let (journal, lines) = Journal::open(dir)?;
            // The process before may have added some since.
            self.take(&mut book, lines, now)?;
            book.journal = Some(journal);
        }
        Ok(())
    }

    fn take(&self, book: &mut Book, lines: Vec<Line>, now: i64) -> Result<(), String> {
        book.replay(lines, &self.index)?;
        book.expire(now, &self.index);
        self.show(book);
        Ok(())
    }

    /// Where they are kept.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.dir.as_deref().map(journal::path)
    }

    /// Whether a token with these marks is refused.
    ///
    /// # Errors
    /// `TokenRevoked`.
    pub(super) fn check(&self, marks: &Marks, issued_at: Option<i64>, now: i64) -> Result<(), Refusal> {
        let Some((kind, _)) = self.index.revoked(marks, issued_at, now) else { return Ok(()) };
        Err(Refusal::new(Reason::TokenRevoked, told(kind)))
    }

    /// The id of the revocation that refuses a token with these marks.
    pub(super) fn refusing(&self, marks: &Marks, issued_at: Option<i64>, now: i64) -> Option<uuid::Uuid> {
        let (_, rule) = self.index.revoked(marks, issued_at, now)?;
        rule.id
    }

    /// Counts a call that was refused for it.
    pub(super) fn count_refusal(&self) {
        self.metrics.refused.inc();
    }

    /// Makes a revocation. It counts when this returns, even where it could not be written; waits for the disk.
    ///
    /// # Errors
    /// A [`RevokeError`].
    pub(super) fn add(&self, revocation: Revocation, now: i64) -> Result<Entry, RevokeError> {
        let mut book = self.book();
        if book.is_full(revocation.by) {
            book.forget(now, &self.index);
        }
        let entry = book.add(revocation, &self.index, now);
        self.show(&book);
        entry
    }

    /// Lifts the revocation with this id, and returns once that is on disk.
    ///
    /// # Errors
    /// A [`RevokeError`].
    pub(super) fn lift(&self, id: &str, by: By, now: i64) -> Result<Entry, RevokeError> {
        let mut book = self.book();
        let entry = book.lift(id, Lifted { at: now, by }, &self.index);
        self.show(&book);
        entry
    }

    /// At most `limit` of those that are held, in the order of their ids, from the one behind `after`; and whether there are more.
    pub(super) fn page(&self, after: Option<&str>, limit: usize, lifted: bool, now: i64) -> (Vec<Entry>, bool) {
        self.book().page(after, limit, lifted, now)
    }

    /// Forgets what has expired, writes what could not be written, and keeps the file short. From time to time; waits for the disk.
    pub(super) fn tend(&self, now: i64) {
        let mut book = self.book();
        book.expire(now, &self.index);
        book.tidy(now);
        self.show(&book);
    }

    /// Waits for nobody.
    pub(super) fn status(&self, now: i64) -> RevocationStatus {
        let state = self.state.load();
        let broken = state.broken.as_ref();
        let count = |kind| state.counts.get(&kind).copied().unwrap_or_default();
        RevocationStatus {
            tokens: count(Kind::Token),
            sessions: count(Kind::Session),
            subjects: count(Kind::Subject),
            issuers: count(Kind::Issuer),
            held: state.held,
            limit_logouts: state.places.logouts,
            limit: state.places.all,
            last_made_s: state.last_made.map(|made| now.saturating_sub(made).max(0)),
            kept: self.dir.is_some(),
            degraded: broken.is_some(),
            failing_since: broken.map(|broken| broken.since),
            last_error: broken.map(|broken| broken.error.clone()),
        }
    }

    fn show(&self, book: &Book) {
        let broken = book.journal.as_ref().and_then(|journal| journal.broken.clone());
        let state = State { counts: book.counts.clone(), held: book.held(), places: book.places, last_made: book.last_made, broken };
        self.metrics.show(&state);
        self.state.store(Arc::new(state));
    }

    pub(super) fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        self.metrics.register(registry);
    }

    /// A panic elsewhere leaves a book in which every entry is whole.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the caller reads; which revocation it is, and why, is for the operator.
fn told(kind: Kind) -> &'static str {
    match kind {
        Kind::Token => "the token was revoked; get a new one",
        Kind::Session => "the token's session was ended; sign in again",
        Kind::SubjectWithoutSession => "a session of the token's subject was ended, and the token does not say of which session it is; sign in again",
        Kind::Subject => "tokens of its subject, or of one who acts for it, are revoked; sign in again, or ask an operator",
        Kind::Issuer => "tokens that its issuer made until some time ago are revoked; sign in again",
    }
}

/// Ordered by the time at which it is made (RFC 9562, section 5.7).
pub(super) fn fresh_id(now_ms: i64) -> String {
    let seconds = u64::try_from(now_ms.div_euclid(1000)).unwrap_or_default();
    let nanos = u32::try_from(now_ms.rem_euclid(1000)).unwrap_or_default().saturating_mul(1_000_000);
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)).to_string()
}

// === impl Whose ===

impl Whose {
    /// As it is counted.
    fn kind(&self) -> Kind {
        match self {
            Self::TokenId(_) => Kind::Token,
            Self::Session { .. } => Kind::Session,
            Self::Subject(_) => Kind::Subject,
            Self::Everyone => Kind::Issuer,
        }
    }
}

#[cfg(test)]
mod tests;
