//! Birth and death of the process: readiness by guards, the signal to stop, draining with a deadline.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// Whether the process may be asked. Ready once every guard handed out has been dropped, and until draining begins.
#[derive(Clone, Debug)]
pub struct Readiness {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    waiting: AtomicUsize,
    /// Set for good, under the lock of `ready`.
    draining: AtomicBool,
    started: Instant,
    ready: watch::Sender<bool>,
}

/// Holds readiness back until it is dropped.
#[derive(Debug)]
pub struct Guard {
    state: Arc<State>,
    what: &'static str,
}

/// Begins the end: dropped or fired, every [`Drain`] wakes.
#[derive(Debug)]
pub struct DrainTrigger(watch::Sender<bool>);

/// Waits for the end to begin.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

// === impl Readiness ===

impl Default for Readiness {
    fn default() -> Self {
        let state =
            State { waiting: AtomicUsize::new(0), draining: AtomicBool::new(false), started: Instant::now(), ready: watch::Sender::new(false) };
        Self { state: Arc::new(state) }
    }
}

impl Readiness {
    /// A guard for `what`; hold it until that part can serve.
    #[must_use]
    pub fn hold(&self, what: &'static str) -> Guard {
        self.state.waiting.fetch_add(1, Ordering::AcqRel);
        Guard { state: Arc::clone(&self.state), what }
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.state.ready.borrow()
    }

    /// Follows the state, for those who must tell others (gRPC health).
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<bool> {
        self.state.ready.subscribe()
    }

    /// Unready from now on, whatever guards still fall.
    pub fn drain(&self) {
        self.state.ready.send_if_modified(|ready| {
            self.state.draining.store(true, Ordering::Release);
            std::mem::replace(ready, false)
        });
    }
}

// === impl Guard ===

impl Drop for Guard {
    fn drop(&mut self) {
        let took_ms = u64::try_from(self.state.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(part = self.what, took_ms, "ready");
        // Decided under the lock that `drain` takes as well: decided before it, a guard that falls late could overtake the end.
        let became_ready = self.state.ready.send_if_modified(|ready| {
            let last = self.state.waiting.fetch_sub(1, Ordering::AcqRel) == 1;
            last && !self.state.draining.load(Ordering::Acquire) && !std::mem::replace(ready, true)
        });
        if became_ready {
            tracing::info!(took_ms, "lakegate is ready");
        }
    }
}

// === impl Drain ===

/// A trigger and what it wakes.
#[must_use]
pub fn drain() -> (DrainTrigger, Drain) {
    let (sender, receiver) = watch::channel(false);
    (DrainTrigger(sender), Drain(receiver))
}

impl DrainTrigger {
    /// Begins the end.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Drain {
    /// Returns when the end has begun.
    pub async fn begun(mut self) {
        // An error means that the trigger is gone: the end has begun as well.
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}

/// Returns at SIGTERM or SIGINT, with its name. SIGHUP, which would end the process otherwise, is ignored.
///
/// # Errors
/// The system's, where no handler can be installed.
pub async fn terminated() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut interrupt, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    loop {
        tokio::select! {
            _ = term.recv() => return Ok("SIGTERM"),
            _ = interrupt.recv() => return Ok("SIGINT"),
            _ = hangup.recv() => tracing::info!("SIGHUP changes nothing: files are reloaded when they change"),
        }
    }
}

/// How long an ending process keeps answering as if nothing were, so that Envoys learn that it is unready before its connections say so.
pub const LAME_DUCK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_when_the_last_guard_falls_and_never_while_draining() {
        let readiness = Readiness::default();
        assert!(!readiness.is_ready());
        let (policy, audit) = (readiness.hold("policy"), readiness.hold("audit"));
        drop(policy);
        assert!(!readiness.is_ready());
        drop(audit);
        assert!(readiness.is_ready());
        readiness.drain();
        assert!(!readiness.is_ready());
        drop(readiness.hold("late"));
        assert!(!readiness.is_ready());
    }

    /// The last guard falls while draining begins: whatever it saw before, it must not have the last word.
    #[test]
    fn a_guard_that_falls_during_the_beginning_of_draining_does_not_overtake_it() {
        let readiness = Readiness::default();
        let guard = readiness.hold("late");
        let mut falling = None;
        // Inside the lock, as `drain` does it; the guard falls as far as it can get meanwhile.
        readiness.state.ready.send_modify(|ready| {
            falling = Some(std::thread::spawn(move || drop(guard)));
            std::thread::sleep(Duration::from_millis(50));
            readiness.state.draining.store(true, Ordering::Release);
            *ready = false;
        });
        falling.unwrap().join().unwrap();
        assert!(!readiness.is_ready());
    }

    #[test]
    fn draining_wins_in_whatever_order_threads_run() {
        for _ in 0..500 {
            let readiness = Readiness::default();
            let (guard, drains) = (readiness.hold("last"), readiness.clone());
            let start = Arc::new(std::sync::Barrier::new(2));
            let other = Arc::clone(&start);
            let falling = std::thread::spawn(move || {
                other.wait();
                drop(guard);
            });
            start.wait();
            drains.drain();
            falling.join().unwrap();
            assert!(!readiness.is_ready());
        }
    }

    #[tokio::test]
    async fn a_dropped_trigger_also_ends() {
        let (trigger, drain) = drain();
        drop(trigger);
        drain.begun().await;
    }
}
