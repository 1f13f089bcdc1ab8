//! Reading the files now, when somebody asks for it, rather than when they have changed and held still.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::{Published, ReloadStatus};
use crate::{authz::Difference, pipeline::Snapshot};

/// Asks whoever follows the files to read them now.
#[derive(Clone, Debug)]
pub struct Trigger(mpsc::Sender<oneshot::Sender<Arc<Reloaded>>>);

/// Where those requests arrive. One task takes them and the notices of changed files alike, so that two reloads never run at once.
#[derive(Debug)]
pub struct Requests(mpsc::Receiver<oneshot::Sender<Arc<Reloaded>>>);

/// Those who wait for one reload.
#[derive(Debug)]
pub struct Waiting(Vec<oneshot::Sender<Arc<Reloaded>>>);

/// What a reload came to.
#[derive(Debug, Serialize)]
pub struct Reloaded {
    /// Whether any of the files looks otherwise than when they were last read, whoever had that done.
    pub changed: bool,
    #[serde(flatten)]
    pub status: ReloadStatus,
    /// How many policies are served now.
    pub policies: usize,
    /// Which of them are not what they were before this reload.
    pub difference: Difference,
}

/// How many may wait for reloads; one reload answers all that have come before it begins.
const WAITING_MOST: usize = 64;

/// A way to ask, and where requests arrive.
#[must_use]
pub fn requests() -> (Trigger, Requests) {
    let (sender, receiver) = mpsc::channel(WAITING_MOST);
    (Trigger(sender), Requests(receiver))
}

// === impl Trigger ===

impl Trigger {
    /// Returns when the files have been read after this call began. The reload goes on when nobody waits for it any more.
    ///
    /// `None` where the process ends, or too many wait already.
    pub async fn reload(&self) -> Option<Arc<Reloaded>> {
        let (sender, receiver) = oneshot::channel();
        self.0.try_send(sender).ok()?;
        receiver.await.ok()
    }
}

// === impl Requests ===

impl Requests {
    /// Waits until somebody asks; all that have asked by then wait for the same reload. Dropped before it returns, it has taken nothing.
    pub async fn next(&mut self) -> Waiting {
        let Some(first) = self.0.recv().await else { return std::future::pending().await };
        let mut waiting = vec![first];
        while let Ok(next) = self.0.try_recv() {
            waiting.push(next);
        }
        Waiting(waiting)
    }
}

// === impl Waiting ===

impl Waiting {
    pub fn answer(self, reloaded: Reloaded) {
        let reloaded = Arc::new(reloaded);
        for waiting in self.0 {
            // one that has gone away is not told
            let _ = waiting.send(Arc::clone(&reloaded));
        }
    }
}

// === impl Reloaded ===

impl Reloaded {
    /// What became of `before`, now that the files have been read.
    #[must_use]
    pub fn new(changed: bool, before: &Snapshot, published: &Published) -> Self {
        let now = published.snapshot();
        Self {
            changed,
            status: published.status(),
            policies: now.authorizer.policy_count(),
            difference: now.authorizer.difference(&before.authorizer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(trigger: &Trigger) -> tokio::task::JoinHandle<Option<Arc<Reloaded>>> {
        let trigger = trigger.clone();
        tokio::spawn(async move { trigger.reload().await })
    }

    async fn until_waiting(trigger: &Trigger, count: usize) {
        while trigger.0.max_capacity() - trigger.0.capacity() < count {
            tokio::task::yield_now().await;
        }
    }

    fn reloaded(generation: u64) -> Reloaded {
        let status = ReloadStatus { generation, age_s: 0, degraded: false, faults: Vec::new(), warnings: Vec::new(), restart_needed_for: Vec::new() };
        Reloaded { changed: false, status, policies: 0, difference: Difference::default() }
    }

    #[tokio::test]
    async fn one_reload_answers_all_that_asked_before_it_began() {
        let (trigger, mut requests) = requests();
        let asked: Vec<_> = (0..3).map(|_| waiting(&trigger)).collect();
        until_waiting(&trigger, 3).await;
        let first = requests.next().await;
        let late = waiting(&trigger);
        until_waiting(&trigger, 1).await;
        first.answer(reloaded(2));
        for asked in asked {
            assert_eq!(asked.await.unwrap().unwrap().status.generation, 2);
        }
        requests.next().await.answer(reloaded(3));
        assert_eq!(late.await.unwrap().unwrap().status.generation, 3);
    }

    #[tokio::test]
    async fn nobody_waits_for_what_never_comes() {
        let (trigger, requests) = requests();
        let all: Vec<_> = (0..=WAITING_MOST).map(|_| waiting(&trigger)).collect();
        until_waiting(&trigger, WAITING_MOST).await;
        drop(requests);
        for waiting in all {
            assert!(waiting.await.unwrap().is_none());
        }
        assert!(trigger.reload().await.is_none());
    }

    #[tokio::test]
    async fn too_many_are_turned_away() {
        let (trigger, _requests) = requests();
        let all: Vec<_> = (0..WAITING_MOST).map(|_| waiting(&trigger)).collect();
        until_waiting(&trigger, WAITING_MOST).await;
        assert!(trigger.reload().await.is_none());
        assert!(all.iter().all(|waiting| !waiting.is_finished()));
    }
}
