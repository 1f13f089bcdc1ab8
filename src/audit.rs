//! One record for every decision, opened before anything is known and closed with the answer.
//!
//! Opening reserves a place in a bounded queue, so closing cannot fail; a record that is dropped unclosed says *aborted*. The writer takes what has
//! gathered in one batch, so that no record wakes it (a wake-up costs more than the rest of the record).

mod entry;
mod facts;
mod recorded;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::sync::{mpsc, oneshot};

use writer::Message;

use crate::{
    clock::Clock,
    model::{Reason, Refusal},
    telemetry::Registry,
};

pub use entry::{Candidate, Credential, Decision, Entry, Identity, Param, RefusedToken, Response};
pub use facts::{Cut, Facts};
pub use recorded::{
    Recorded, RecordedClaims, RecordedEntity, RecordedFacts, RecordedField, RecordedIdentity, RecordedParam, RecordedResource, RecordedValue,
};

/// Where records go and what becomes of decisions that cannot be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub sink: Sink,
    pub on_failure: OnFailure,
    pub fsync: Fsync,
    /// Records that may wait for the writer.
    pub queue: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Appended to; reopened where it was moved away (logrotate).
    File(PathBuf),
    Stdout,
}

/// What happens to a call whose decision cannot be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    Deny,
    /// It is decided all the same; the lost records are counted.
    Allow,
}

/// When a record is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Some milliseconds after the answer.
    Batch,
    /// Before the answer.
    Always,
}

/// Opens records; its writer runs beside it.
#[derive(Clone, Debug)]
pub struct Auditor {
    queue: mpsc::Sender<Message>,
    on_failure: OnFailure,
    fsync: Fsync,
    health: Arc<writer::Health>,
    lost: Counter,
}

/// One open record. Dropped unclosed, it is written as *aborted*.
#[derive(Debug)]
pub struct Record {
    entry: Option<Box<Entry>>,
    place: Option<mpsc::OwnedPermit<Message>>,
    fsync: Fsync,
}

/// The running writer.
#[derive(Debug)]
pub struct Writer {
    thread: std::thread::JoinHandle<Result<(), u64>>,
    end: mpsc::Sender<Message>,
}

/// What `/status` says of the record.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AuditStatus {
    pub degraded: bool,
    pub last_error: Option<String>,
    pub written: u64,
    pub lost: u64,
}

// === impl Auditor ===

impl Auditor {
    /// Opens the sink and starts its writer.
    ///
    /// # Errors
    /// The system's, where the file cannot be opened for appending.
    pub fn start(config: &Config, clock: Clock, registry: &mut Registry) -> io::Result<(Self, Writer)> {
        let sink = sink::Output::open(&config.sink)?;
        let (queue, inbox) = mpsc::channel(config.queue);
        let end = queue.clone();
        let health = Arc::new(writer::Health::new(clock));
        let (lost, batch) = (Counter::default(), Gauge::<i64>::default());
        registry.register(
            "lakegate_audit_lost",
            "Decisions without a record: denied for it, or allowed all the same, as `on_failure` says",
            lost.clone(),
        );
        registry.register("lakegate_audit_written", "Audit records written", health.written.clone());
        registry.register("lakegate_audit_batch", "Records in the last batch", batch.clone());
        let pause = if config.fsync == Fsync::Always { Duration::ZERO } else { writer::PAUSE };
        let work = writer::Work { inbox, sink, health: Arc::clone(&health), batch, pause, sync: config.fsync == Fsync::Always };
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || work.run())?;
        Ok((Self { queue, on_failure: config.on_failure, fsync: config.fsync, health, lost }, Writer { thread, end }))
    }

    /// A record with a place of its own in the queue.
    ///
    /// # Errors
    /// [`Reason::AuditUnavailable`] where there is no place, or nothing can be written, and calls are to be denied then.
    pub fn open(&self) -> Result<Record, Refusal> {
        let place = if self.health.is_broken() { None } else { self.queue.clone().try_reserve_owned().ok() };
        if place.is_none() {
            self.lost.inc();
            if self.on_failure == OnFailure::Deny {
                let mut refusal = Refusal::new(Reason::AuditUnavailable, "the decision cannot be recorded");
                refusal.since = self.health.broken_since();
                return Err(refusal);
            }
        }
        Ok(Record { entry: Some(Box::default()), place, fsync: self.fsync })
    }

    #[must_use]
    pub fn status(&self) -> AuditStatus {
        self.health.status(self.lost.get())
    }
}

// === impl Record ===

impl Record {
    /// What is known so far; `None` only after closing.
    pub fn entry(&mut self) -> Option<&mut Entry> {
        self.entry.as_deref_mut()
    }

    /// Whether closing it waits until it is on disk.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.fsync == Fsync::Always
    }

    /// Closes the record with `decision`; returns at once, or after it is on disk where that was asked for.
    pub async fn close(self, decision: Decision, response: Response) {
        if self.waits() {
            let (done, written) = oneshot::channel();
            self.hand_over(decision, response, Some(done));
            // An error means that the writer ended, which it logs itself.
            let _ = written.await;
        } else {
            self.leave(decision, response);
        }
    }

    /// Closes the record with `decision`, and waits for nothing.
    pub fn leave(self, decision: Decision, response: Response) {
        self.hand_over(decision, response, None);
    }

    fn hand_over(mut self, decision: Decision, response: Response, done: Option<oneshot::Sender<()>>) {
        let (Some(mut entry), Some(place)) = (self.entry.take(), self.place.take()) else { return };
        entry.decision = decision;
        entry.response = response;
        place.send(Message::Closed { entry, done });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let (Some(entry), Some(place)) = (self.entry.take(), self.place.take()) {
            place.send(Message::Closed { entry, done: None });
        }
    }
}

// === impl Writer ===

impl Writer {
    /// Takes no more records, waits for those that are open, and returns when all are on disk. It blocks.
    ///
    /// # Errors
    /// How many records could not be written.
    pub fn finish(self) -> Result<(), u64> {
        // An error means that the writer has ended already, and its thread says why.
        let _ = self.end.blocking_send(Message::End);
        drop(self.end);
        self.thread.join().unwrap_or(Err(0))
    }
}
