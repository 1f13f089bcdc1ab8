//! The one thread that writes: takes what has gathered, writes it, waits a little.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::sync::{mpsc, oneshot};

use super::{AuditStatus, entry::Entry, sink::Output};
use crate::clock::Clock;

/// How long records gather. While the writer sleeps, sending to it wakes nobody.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// How long it waits after an error before it tries the same lines again.
const RETRY: Duration = Duration::from_millis(500);

/// How long records may be written without being on disk, where nobody waits for that.
const SYNC: Duration = Duration::from_secs(1);

const BATCH: usize = 4096;

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A finished record, and who waits for it to be on disk.
    Closed { entry: Box<Entry>, done: Option<oneshot::Sender<()>> },
    /// There will be no more.
    End,
}

/// Whether records reach their sink.
#[derive(Debug)]
pub(super) struct Health {
    broken: AtomicBool,
    fault: Mutex<Option<(i64, String)>>,
    pub(super) written: Counter,
    clock: Clock,
}

/// What the writer works with.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) inbox: mpsc::Receiver<Message>,
    pub(super) sink: Output,
    pub(super) health: std::sync::Arc<Health>,
    pub(super) batch: Gauge<i64>,
    pub(super) pause: Duration,
    pub(super) sync: bool,
}

// === impl Health ===

impl Health {
    pub(super) fn new(clock: Clock) -> Self {
        Self { broken: AtomicBool::new(false), fault: Mutex::default(), written: Counter::default(), clock }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// When writing began to fail, in milliseconds since the epoch.
    pub(super) fn broken_since(&self) -> Option<i64> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(since, _)| *since)
    }

    pub(super) fn status(&self, lost: u64) -> AuditStatus {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        AuditStatus { degraded: fault.is_some(), last_error: fault.as_ref().map(|(_, text)| text.clone()), written: self.written.get(), lost }
    }

    fn fail(&self, error: &std::io::Error) {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.is_none() {
            tracing::error!(%error, "audit records cannot be written");
        }
        let since = fault.as_ref().map_or_else(|| self.clock.now_ms(), |(since, _)| *since);
        *fault = Some((since, error.to_string()));
        self.broken.store(true, Ordering::Relaxed);
    }

    fn recover(&self) {
        if self.broken.swap(false, Ordering::Relaxed) {
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = None;
            tracing::info!("audit records are written again");
        }
    }
}

// === impl Work ===

impl Work {
    /// Writes until told to end, and what is open then until it is closed.
    ///
    /// # Errors
    /// How many records could not be written in the end.
    pub(super) fn run(mut self) -> Result<(), u64> {
        let (mut batch, mut lines) = (Vec::with_capacity(BATCH), Vec::new());
        let (mut synced, mut dirty) = (Instant::now(), false);
        while self.inbox.blocking_recv_many(&mut batch, BATCH) > 0 {
            lines.clear();
            let (mut waiting, mut count) = (Vec::new(), 0);
            for message in batch.drain(..) {
                match message {
                    Message::Closed { entry, done } => {
                        count += u64::from(append(&entry, &mut lines));
                        waiting.extend(done);
                    }
                    Message::End => self.inbox.close(),
                }
            }
            self.write(&lines).map_err(|()| count)?;
            dirty = true;
            if self.sync || synced.elapsed() >= SYNC {
                self.retry(Output::sync).map_err(|()| count)?;
                (synced, dirty) = (Instant::now(), false);
            }
            self.count(count);
            for done in waiting {
                // Whoever waited may have given up.
                let _ = done.send(());
            }
            std::thread::sleep(self.pause);
            // A lull: nothing else would bring the last records to disk for as long as it lasts.
            if dirty && self.inbox.is_empty() {
                self.retry(Output::sync).map_err(|()| 0_u64)?;
                (synced, dirty) = (Instant::now(), false);
            }
        }
        if dirty { self.retry(Output::sync).map_err(|()| 0) } else { Ok(()) }
    }

    /// Writes all of `lines`, going on after an error where it stopped.
    fn write(&mut self, lines: &[u8]) -> Result<(), ()> {
        let mut done = 0;
        self.retry(|sink| {
            if sink.follow()? {
                // The line that was cut stands in the file that was moved away: it is written whole here.
                done = lines.get(..done).and_then(|written| written.iter().rposition(|byte| *byte == b'\n')).map_or(0, |end| end + 1);
            }
            while let Some(rest) = lines.get(done..).filter(|rest| !rest.is_empty()) {
                done += sink.write(rest)?;
            }
            sink.flush()
        })
    }

    /// Tries until it goes well; gives up only when the process ends.
    fn retry(&mut self, mut attempt: impl FnMut(&mut Output) -> std::io::Result<()>) -> Result<(), ()> {
        loop {
            match attempt(&mut self.sink) {
                Ok(()) => {
                    self.health.recover();
                    return Ok(());
                }
                Err(error) => {
                    self.health.fail(&error);
                    if self.inbox.is_closed() {
                        tracing::error!(%error, "audit records were lost at shutdown");
                        return Err(());
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    fn count(&self, records: u64) {
        self.health.written.inc_by(records);
        self.batch.set(i64::try_from(records).unwrap_or_default());
    }
}

/// Adds the line of `entry`; says whether there is one.
fn append(entry: &Entry, lines: &mut Vec<u8>) -> bool {
    let start = lines.len();
    let written = serde_json::to_writer(&mut *lines, entry);
    if let Err(error) = &written {
        tracing::error!(%error, "an audit record cannot be written as JSON");
        lines.truncate(start);
    } else {
        lines.push(b'\n');
    }
    written.is_ok()
}
