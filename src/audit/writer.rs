//! The one thread that writes: takes what has gathered, writes it, waits a little.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::sync::{mpsc, oneshot};

use super::{AuditStatus, entry::Entry, sink::Output};
use crate::clock::Clock;

/// How long records gather. While the writer sleeps, sending to it wakes nobody.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// How long it waits after an error before it tries the same lines again.
const RETRY: Duration = Duration::from_millis(500);

const BATCH: usize = 4096;

/// A finished record, and who waits for it to be on disk.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) entry: Box<Entry>,
    pub(super) done: Option<oneshot::Sender<()>>,
}

/// Whether records reach their sink.
#[derive(Debug, Default)]
pub(super) struct Health {
    broken: AtomicBool,
    fault: Mutex<Option<(i64, String)>>,
    written: Counter,
    clock: Clock,
}

/// What the writer works with.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) inbox: mpsc::Receiver<Closed>,
    pub(super) sink: Output,
    pub(super) health: std::sync::Arc<Health>,
    pub(super) written: Counter,
    pub(super) batch: Gauge<i64>,
    pub(super) pause: Duration,
    pub(super) sync: bool,
}

// === impl Health ===

impl Health {
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
    /// Writes until every sender is gone and the queue is empty.
    pub(super) fn run(mut self) {
        let (mut batch, mut lines) = (Vec::with_capacity(BATCH), Vec::new());
        while self.inbox.blocking_recv_many(&mut batch, BATCH) > 0 {
            lines.clear();
            for closed in &batch {
                append(&closed.entry, &mut lines);
            }
            if !self.write(&lines) {
                return;
            }
            let count = batch.len();
            self.written.inc_by(u64::try_from(count).unwrap_or_default());
            self.health.written.inc_by(u64::try_from(count).unwrap_or_default());
            self.batch.set(i64::try_from(count).unwrap_or_default());
            for closed in batch.drain(..) {
                if let Some(done) = closed.done {
                    // Whoever waited may have given up.
                    let _ = done.send(());
                }
            }
            std::thread::sleep(self.pause);
        }
    }

    /// Tries until the lines are written; gives up only when nobody is left to be told.
    fn write(&mut self, lines: &[u8]) -> bool {
        let mut cut = false;
        loop {
            let result = self.sink.follow().and_then(|()| if cut { self.sink.mend() } else { Ok(()) });
            match result.and_then(|()| self.sink.write(lines)).and_then(|()| if self.sync { self.sink.sync() } else { Ok(()) }) {
                Ok(()) => {
                    self.health.recover();
                    return true;
                }
                Err(error) => {
                    self.health.fail(&error);
                    cut = true;
                    if self.inbox.is_closed() {
                        tracing::error!(%error, "audit records were lost at shutdown");
                        return false;
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
    }
}

fn append(entry: &Entry, lines: &mut Vec<u8>) {
    let start = lines.len();
    if let Err(error) = serde_json::to_writer(&mut *lines, entry) {
        // No entry has a value that JSON lacks; should one appear, the line must still be one.
        tracing::error!(%error, "an audit record cannot be written as JSON");
        lines.truncate(start);
    }
    lines.push(b'\n');
}
