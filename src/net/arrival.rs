use tokio::sync::watch;

/// What those who wait for the end of a task hold that one of them began; nothing is in it until then.
#[derive(Clone, Debug)]
pub struct Arrival<T>(watch::Receiver<Option<T>>);

/// The other end: what the task gives its result to. One that is dropped without one says that the task died.
#[derive(Debug)]
pub struct Landing<T>(watch::Sender<Option<T>>);

// === impl Landing ===

impl<T> Landing<T> {
    #[must_use]
    pub fn new() -> (Self, Arrival<T>) {
        let (landing, landed) = watch::channel(None);
        (Self(landing), Arrival(landed))
    }

    pub fn arrive(&self, result: T) {
        self.0.send_replace(Some(result));
    }
}

// === impl Arrival ===

impl<T: Clone> Arrival<T> {
    /// What has come already.
    #[must_use]
    pub fn landed(result: T) -> Self {
        Self(watch::channel(Some(result)).1)
    }

    /// Whether the end is still to come: it never does where the task died.
    #[must_use]
    pub fn is_to_come(&self) -> bool {
        self.0.has_changed().is_ok()
    }

    /// How the task ended, however long that takes; `None` where it died.
    pub async fn wait(mut self) -> Option<T> {
        let landed = self.0.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}
