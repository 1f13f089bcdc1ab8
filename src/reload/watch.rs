mod scope;

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    sync::Notify,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until},
};

use self::scope::Scope;
use super::listing::{self, Stamp};
use crate::model::Fault;

/// A watch over files and policy folders, which says when something about them has changed and has held still since.
///
/// The system's own notices wake it, and a look each second besides: inotify is silent on some volumes and forgets a folder that was replaced.
/// What counts as a change is told from the files themselves, so that a neighbour's writing (an audit log in the same folder) is none; most of it does
/// not even cause a look, and no flood of notices causes more than one look in 100 ms.
#[derive(Debug)]
pub struct Watcher {
    paths: Arc<[PathBuf]>,
    /// What the files looked like when a change was last reported.
    seen: Vec<Look>,
    notices: Arc<Notify>,
    /// What notices may be about; shared with the thread that takes them.
    scope: Arc<ArcSwap<Scope>>,
    /// `None` where the system gives no notices; then only the look each second is left.
    system: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    poll: Interval,
    /// When it looked last.
    looked: Option<Instant>,
    #[cfg(test)]
    looks: usize,
}

/// What one watched path looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Look {
    File {
        stamp: Stamp,
        real: Option<PathBuf>,
    },
    /// What is in the way of reading the folder is a part of its look, so that another hindrance is a change.
    Folder {
        real: Option<PathBuf>,
        policies: Result<Vec<Stamp>, Option<Fault>>,
    },
    Absent,
    /// Nobody has looked yet; like nothing that can be seen.
    Unknown,
}

// === impl Watcher ===

impl Watcher {
    /// Begins to watch. A path may be a file, or a folder whose `*.cedar` files are meant; it need not be there yet.
    ///
    /// Changes from here on are reported, so make the watcher before reading what it watches. It must be made within a tokio runtime.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let notices = Arc::new(Notify::new());
        let folders = folders(&paths);
        let scope = Arc::new(ArcSwap::from_pointee(Scope::new(&paths, &folders)));
        let (waker, matters) = (Arc::clone(&notices), Arc::clone(&scope));
        let system = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // An error may stand for notices that were lost.
            if event.map_or(true, |event| matters.load().covers(&event)) {
                waker.notify_one();
            }
        });
        let system =
            system.inspect_err(|error| tracing::warn!(%error, "the system gives no notice of changed files; looking each second instead")).ok();
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watcher = Self {
            seen: looks(&paths),
            paths: paths.into(),
            notices,
            scope,
            system,
            watched: BTreeSet::new(),
            poll,
            looked: None,
            #[cfg(test)]
            looks: 0,
        };
        watcher.watch(folders);
        watcher
    }

    /// Watches `paths` from here on. One that was not watched before counts as changed, since it may have been read before it was watched.
    pub fn retarget(&mut self, paths: Vec<PathBuf>) {
        if *paths == *self.paths {
            return;
        }
        let mut known: HashMap<PathBuf, Look> = self.paths.iter().cloned().zip(self.seen.drain(..)).collect();
        self.seen = paths.iter().map(|path| known.remove(path).unwrap_or(Look::Unknown)).collect();
        self.paths = paths.into();
        let folders = folders(&self.paths);
        self.watch(folders);
        self.notices.notify_one();
    }

    /// Waits until something has changed and then held still for half a second (or gone on changing for ten).
    ///
    /// A change made while the caller is busy is reported by the next call. The future may be dropped: nothing is lost.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                () = self.notices.notified() => {}
                _ = self.poll.tick() => {}
            }
            if let Some(looked) = self.looked {
                // Notices that come meanwhile are answered by the same look.
                sleep_until(looked + DEBOUNCE).await;
            }
            if let Some(now) = self.settled().await {
                let paths = Arc::clone(&self.paths);
                let folders = in_background(move || folders(&paths)).await.unwrap_or_default();
                self.watch(folders);
                self.seen = now;
                return;
            }
        }
    }

    /// Looks now, without waiting that anything holds still. What it sees counts as reported; returns whether that is otherwise than before.
    pub async fn catch_up(&mut self) -> bool {
        let Some(now) = self.look().await else { return true };
        let changed = now != self.seen;
        if changed {
            let paths = Arc::clone(&self.paths);
            let folders = in_background(move || folders(&paths)).await.unwrap_or_default();
            self.watch(folders);
            self.seen = now;
        }
        changed
    }

    /// How everything looks once it holds still; `None` where that is as it was.
    async fn settled(&mut self) -> Option<Vec<Look>> {
        let mut last = self.look().await?;
        if last == self.seen {
            return None;
        }
        for _ in 0..SETTLE_ROUNDS {
            sleep(DEBOUNCE).await;
            let now = self.look().await?;
            if now == last {
                break;
            }
            last = now;
        }
        (last != self.seen).then_some(last)
    }

    async fn look(&mut self) -> Option<Vec<Look>> {
        self.looked = Some(Instant::now());
        #[cfg(test)]
        {
            self.looks += 1;
        }
        let paths = Arc::clone(&self.paths);
        in_background(move || looks(&paths)).await
    }

    /// Asks the system for notices of `folders`, anew for those that may have been replaced under their name.
    fn watch(&mut self, folders: BTreeSet<PathBuf>) {
        self.scope.store(Arc::new(Scope::new(&self.paths, &folders)));
        let Some(system) = &mut self.system else { return };
        for folder in &self.watched {
            // A folder that is gone has taken its watch with it.
            drop(system.unwatch(folder));
        }
        for folder in &folders {
            if let Err(error) = system.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %folder.display(), %error, "no notice of changes in a folder; looking each second");
            }
        }
        self.watched = folders;
    }
}

// === impl Look ===

impl Look {
    fn at(path: &Path) -> Self {
        let real = fs::canonicalize(path).ok();
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Self::Folder { real, policies: listing::stamps_now(path) },
            Ok(meta) => Self::File { stamp: Stamp::new(path, &meta), real },
            Err(_) => Self::Absent,
        }
    }
}

fn looks(paths: &[PathBuf]) -> Vec<Look> {
    paths.iter().map(|path| Look::at(path)).collect()
}

/// The folders in which a change of `paths` shows: those that hold their names, those that their links lead into, and policy folders with all below.
fn folders(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for path in paths {
        let real = fs::canonicalize(path).ok();
        for name in [Some(path.as_path()), real.as_deref()].into_iter().flatten() {
            let parent = name.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
            folders.extend(parent.filter(|parent| parent.is_dir()).map(Path::to_owned));
        }
        if path.is_dir() {
            folders.extend(listing::folders(path));
        }
    }
    folders
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

const POLL: Duration = Duration::from_secs(1);
const DEBOUNCE: Duration = Duration::from_millis(500);
const SETTLE_ROUNDS: usize = 20;

#[cfg(test)]
mod tests;
