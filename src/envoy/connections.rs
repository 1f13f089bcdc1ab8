use hyper::rt::Executor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The open connections of a check port with the checks on them, for whoever cannot wait for them any longer. Clones speak of the same.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    cut: CancellationToken,
    tasks: TaskTracker,
}

// === impl Connections ===

impl Connections {
    /// Closes the port and every connection at once, and returns when all their tasks have ended: every check on them has then been answered or
    /// dropped, with what it held. A check that computes is waited for until it next yields, so whoever calls should have patience, and its end.
    pub async fn cut(&self) {
        self.cut.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Returns when they are cut.
    pub(super) async fn are_cut(&self) {
        self.cut.cancelled().await;
    }

    /// Returns when none is left, with no more to come.
    pub(super) async fn have_ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Runs `connection` until it ends or is cut. The tasks of its streams end when it is dropped, and are waited for.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = cut.cancelled() => {}
                () = connection => {}
            }
        });
    }
}

/// For the tasks that hyper makes of the streams of a connection.
impl<F> Executor<F> for Connections
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.tasks.spawn(stream);
    }
}
