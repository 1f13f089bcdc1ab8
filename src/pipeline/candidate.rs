//! The candidate: policies that are held against those that decide, on the same calls, without a word in any answer.
//!
//! The answer leaves first. What the candidate says is found by a thread of its own, which takes the open record along and closes it; a panic there ends one
//! comparison, and a candidate that is slow is asked less often. Only where a record must be on disk before the answer does the answer wait, for
//! [`WAIT`] at most.

use std::{
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    Snapshot,
    found::redacted,
    metrics::{Comparisons, Outcome},
};
use crate::{
    audit::{self, Decision, Record, Response},
    authz::{Authorizer, Judgement},
    model::{Caller, Fault, Intent, Reason, RequestFacts},
};

/// The policies in `policy.candidate`, as far as they could be loaded.
pub enum Candidate {
    Loaded {
        authorizer: Box<Authorizer>,
        /// What can be loaded and is likely not meant.
        warnings: Vec<Fault>,
    },
    /// Nothing is compared: an earlier candidate would be told of under the name of this one.
    Faulty(Vec<Fault>),
}

/// What the policies that decide said, and all they knew.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) snapshot: Arc<Snapshot>,
    /// `None` where they permit.
    pub(super) live: Option<Reason>,
    pub(super) caller: Caller,
    pub(super) intent: Intent,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) source_ip: Option<IpAddr>,
    pub(super) time_ms: i64,
}

/// Compares, beside the calls.
#[derive(Debug)]
pub(super) struct Comparer {
    queue: mpsc::Sender<Job>,
    comparisons: Comparisons,
}

struct Job {
    question: Question,
    asked: Instant,
    then: Then,
}

/// What becomes of a comparison.
enum Then {
    /// It goes into the record, which ends with it.
    Close { record: Record, decision: Decision, response: Response },
    /// It is told to the call, which waits with its record.
    Tell(oneshot::Sender<Option<audit::Candidate>>),
}

/// The thread.
struct Worker {
    inbox: mpsc::Receiver<Job>,
    comparisons: Comparisons,
    budget: Budget,
}

/// How much of the machine the comparisons may take: as much as half a core, and what was saved up of that.
struct Budget {
    /// Microseconds; negative after a comparison that took more than there was.
    left: i64,
    counted: Instant,
}

/// Comparisons that may wait; each holds an open record.
const QUEUE: usize = 1024;

const BATCH: usize = 256;

/// How long questions gather. While the thread sleeps, asking it wakes nobody.
const PAUSE: Duration = Duration::from_millis(5);

/// After this long a record is closed without a comparison.
const PATIENCE: Duration = Duration::from_millis(250);

/// For how long an answer waits whose record must be on disk first.
const WAIT: Duration = Duration::from_millis(5);

/// How much time an answer must have left to wait at all: its record goes to a disk that may be slow, and what is late is refused.
const SPARE: Duration = Duration::from_millis(100);

/// How much time for comparisons can be saved up, in microseconds.
const SAVED: i64 = 2_000_000;

// === impl Comparer ===

impl Comparer {
    pub(super) fn start(comparisons: Comparisons) -> Self {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let worker = Worker { inbox, comparisons: comparisons.clone(), budget: Budget::new(Instant::now()) };
        // Without the thread the queue is closed, and every comparison is counted as skipped.
        if let Err(error) = thread::Builder::new().name("candidate".to_owned()).spawn(move || worker.run()) {
            tracing::error!(%error, "the candidate policies are not compared");
        }
        Self { queue, comparisons }
    }

    /// Closes `record` with `decision`, and with what the candidate says to `question`, `left` before the answer is late.
    pub(super) async fn close(&self, question: Question, mut record: Record, decision: Decision, response: Response, left: Duration) {
        if record.waits() {
            let said = if left < SPARE { self.skip() } else { self.ask(question).await };
            if let Some(entry) = record.entry() {
                entry.candidate = said;
            }
            return record.close(decision, response).await;
        }
        let job = Job { question, asked: Instant::now(), then: Then::Close { record, decision, response } };
        if let Err(unsent) = self.queue.try_send(job) {
            unsent.into_inner().then.end(self.skip());
        }
    }

    fn skip(&self) -> Option<audit::Candidate> {
        self.comparisons.count(Outcome::Skipped);
        None
    }

    async fn ask(&self, question: Question) -> Option<audit::Candidate> {
        let (tell, told) = oneshot::channel();
        if self.queue.try_send(Job { question, asked: Instant::now(), then: Then::Tell(tell) }).is_err() {
            return self.skip();
        }
        tokio::time::timeout(WAIT, told).await.ok()?.ok()?
    }
}

// === impl Worker ===

impl Worker {
    fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.inbox.blocking_recv_many(&mut batch, BATCH) > 0 {
            let mut someone_waits = false;
            for Job { question, asked, then } in batch.drain(..) {
                someone_waits |= matches!(then, Then::Tell(_));
                let now = Instant::now();
                if then.is_late(now.saturating_duration_since(asked)) || !self.budget.allows(now) {
                    self.comparisons.count(Outcome::Skipped);
                    then.end(None);
                    continue;
                }
                let (outcome, said) = question.compare();
                self.budget.spend(now.elapsed());
                self.comparisons.count(outcome);
                then.end(said);
            }
            if !someone_waits {
                thread::sleep(PAUSE);
            }
        }
    }
}

// === impl Then ===

impl Then {
    fn is_late(&self, age: Duration) -> bool {
        match self {
            Self::Close { .. } => age > PATIENCE,
            Self::Tell(tell) => tell.is_closed(),
        }
    }

    fn end(self, said: Option<audit::Candidate>) {
        match self {
            Self::Close { mut record, decision, response } => {
                if let Some(entry) = record.entry() {
                    entry.candidate = said;
                }
                record.leave(decision, response);
            }
            // Whoever asked may have given up.
            Self::Tell(tell) => drop(tell.send(said)),
        }
    }
}

// === impl Question ===

impl Question {
    /// How the candidate differs, and in which words where it does.
    fn compare(&self) -> (Outcome, Option<audit::Candidate>) {
        let Some(candidate) = self.snapshot.candidate() else { return (Outcome::Skipped, None) };
        let facts = RequestFacts { method: &self.method, path: &self.path, source_ip: self.source_ip, time_ms: self.time_ms };
        guarded(self.live, || candidate.judge(&self.caller, &self.intent, &facts))
    }
}

/// A panic of the candidate ends this comparison alone.
fn guarded(live: Option<Reason>, judge: impl FnOnce() -> Judgement) -> (Outcome, Option<audit::Candidate>) {
    match catch_unwind(AssertUnwindSafe(judge)) {
        Ok(judgement) => compared(live, &judgement),
        Err(_) => (Outcome::Failed, None),
    }
}

fn compared(live: Option<Reason>, candidate: &Judgement) -> (Outcome, Option<audit::Candidate>) {
    let outcome = match (live, candidate.reason) {
        (Some(_), None) => Outcome::WouldAllow,
        (None, Some(_)) => Outcome::WouldDeny,
        (Some(live), Some(reason)) if live != reason => Outcome::OtherReason,
        _ => return (Outcome::Same, None),
    };
    let said = audit::Candidate {
        decision: if candidate.is_allowed() { Decision::Allow } else { Decision::Deny },
        reason: candidate.code(),
        detail: redacted(&candidate.detail),
        policies: candidate.policies.clone(),
    };
    (outcome, Some(said))
}

// === impl Budget ===

impl Budget {
    fn new(now: Instant) -> Self {
        Self { left: SAVED, counted: now }
    }

    fn allows(&mut self, now: Instant) -> bool {
        let earned = micros(now.saturating_duration_since(self.counted)) / 2;
        self.left = self.left.saturating_add(earned).min(SAVED);
        self.counted = now;
        self.left > 0
    }

    fn spend(&mut self, took: Duration) {
        self.left = self.left.saturating_sub(micros(took));
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_decision_or_reason_is_told() {
        let forbids = Some(Reason::PolicyForbids);
        let cases = [
            (None, None, Outcome::Same),
            (forbids, forbids, Outcome::Same),
            (None, forbids, Outcome::WouldDeny),
            (forbids, None, Outcome::WouldAllow),
            (Some(Reason::PolicyNoPermit), forbids, Outcome::OtherReason),
        ];
        for (live, reason, want) in cases {
            let judgement = Judgement { reason, detail: "no".into(), policies: vec!["p".to_owned()], ordered: None };
            let (outcome, said) = compared(live, &judgement);
            assert_eq!((outcome, said.is_some()), (want, want != Outcome::Same), "{live:?} {reason:?}");
            if let Some(said) = said {
                assert_eq!((said.decision == Decision::Allow, said.reason), (reason.is_none(), judgement.code()));
                assert_eq!(said.policies, ["p"]);
            }
        }
    }

    #[test]
    fn a_panic_ends_one_comparison() {
        assert_eq!(guarded(None, || panic!("in the candidate")), (Outcome::Failed, None));
    }

    #[test]
    fn a_slow_candidate_is_asked_half_of_the_time() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let (mut now, mut busy, step) = (start, Duration::ZERO, Duration::from_millis(100));
        while now < start + Duration::from_mins(1) {
            if budget.allows(now) {
                budget.spend(step);
                busy += step;
            }
            now += step;
        }
        let (half, saved) = (Duration::from_secs(30), Duration::from_secs(2));
        assert!(busy >= half && busy <= half + saved + step, "{busy:?}");
    }
}
