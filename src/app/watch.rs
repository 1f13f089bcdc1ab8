//! Follows the files: whatever changes is compiled beside the requests, and published whole or not at all.

use std::{path::PathBuf, sync::Arc, thread, time::Duration};

use super::background;
use crate::{
    config::Config,
    envoy::Tls,
    lifecycle::Drain,
    model::Fault,
    pipeline::Snapshot,
    reload::{self, Compiled, Compiler, Published, Reloaded, Requests, Watcher},
};

/// How often the key sets of idle issuers are looked at.
const KEYS: Duration = Duration::from_secs(10);

/// What tells that the files are to be read again.
#[derive(Debug)]
pub(super) struct Causes {
    /// Looked before the files were first read, so that no change goes unseen.
    pub(super) watcher: Watcher,
    pub(super) requests: Requests,
}

/// Reloads until `drain` begins, beginning with the configuration that was `started` with.
pub(super) async fn follow(compiler: Compiler, started: Config, published: Arc<Published>, causes: Causes, tls: Option<Tls>, drain: Drain) {
    let Causes { mut watcher, mut requests } = causes;
    let mut config = started.clone();
    // What a configuration that cannot be served names: the mend may be made there.
    let mut awaited = Vec::new();
    let ends = drain.begun();
    tokio::pin!(ends);
    let mut keys = tokio::time::interval(KEYS);
    loop {
        let mut paths = config.watched();
        paths.extend(awaited.iter().filter(|path| !config.watched().contains(path)).cloned());
        watcher.retarget(paths);
        tokio::select! {
            () = &mut ends => return,
            _ = keys.tick() => tend(&published),
            () = watcher.changed() => awaited = reload(&compiler, &started, &mut config, &published, tls.as_ref()).await,
            waiting = requests.next() => {
                let (before, changed) = (published.snapshot(), watcher.catch_up().await);
                awaited = reload(&compiler, &started, &mut config, &published, tls.as_ref()).await;
                let now = Arc::clone(&published);
                // where this fails, those who wait are told that there is no answer
                if let Ok(reloaded) = tokio::task::spawn_blocking(move || Reloaded::new(changed, &before, &now)).await {
                    waiting.answer(reloaded);
                }
            }
        }
    }
}

/// What is done from time to time, whoever calls: keys are fetched, revocations that have ended are forgotten.
fn tend(published: &Published) {
    let authenticator = Arc::clone(&published.snapshot().authenticator);
    authenticator.refresh();
    // It waits for the disk.
    drop(tokio::task::spawn_blocking(move || authenticator.tend_revocations()));
}

/// Returns what the files name that cannot be served; nothing where they are.
async fn reload(compiler: &Compiler, started: &Config, config: &mut Config, published: &Arc<Published>, tls: Option<&Tls>) -> Vec<PathBuf> {
    publish(compiler, started, config, published, tls).await;
    if published.status().degraded { named(config.file.clone()).await } else { Vec::new() }
}

async fn publish(compiler: &Compiler, started: &Config, config: &mut Config, published: &Arc<Published>, tls: Option<&Tls>) {
    if let Some(Err(error)) = tls.map(Tls::reload) {
        return published.keep(vec![Fault { file: error.file.clone(), line: None, column: None, message: error.message, help: None }]);
    }
    let (beside, previous) = (compiler.clone(), published.snapshot());
    let earlier = Arc::clone(&previous);
    match background::run(move || beside.compile(Some(&previous))).await {
        Ok(Ok(Compiled { config: next, snapshot, warnings })) => {
            snapshot.authenticator.refresh();
            retire(published.publish(snapshot, warnings, restart(started, &next)));
            load_candidate(&next, published, Some(earlier));
            *config = next;
        }
        Ok(Err(faults)) => published.keep(faults),
        Err(error) => {
            let message = format!("compiling failed, which is a defect of lakegate: {error}");
            published.keep(vec![Fault { file: config.file.clone(), line: None, column: None, message, help: None }]);
        }
    }
}

/// Frees a set that is served no more once no call holds it: tens of thousands of policies are not freed in an instant, and the last call that was
/// decided by them would be the one to do it.
fn retire(earlier: Arc<Snapshot>) {
    // At the priority of calls: what they allocated is freed here, and they wait for whoever frees beside them.
    drop(tokio::task::spawn_blocking(move || {
        while Arc::strong_count(&earlier) > 1 {
            thread::sleep(HELD);
        }
        drop(earlier);
    }));
}

/// How often it is looked at whether a set is still held.
const HELD: Duration = Duration::from_millis(50);

/// The files and folders that the configuration file names as it stands.
async fn named(file: PathBuf) -> Vec<PathBuf> {
    let read = tokio::task::spawn_blocking(move || Config::load(&file).map(|config| config.watched()));
    read.await.ok().and_then(Result::ok).unwrap_or_default()
}

/// Loads the candidate of the set that is served, if it has one, while calls are answered: no answer, and no reload, waits for a candidate.
pub(super) fn load_candidate(config: &Config, published: &Arc<Published>, previous: Option<Arc<Snapshot>>) {
    if config.policy.candidate.is_none() {
        return;
    }
    let (config, published, snapshot) = (config.clone(), Arc::clone(published), published.snapshot());
    let load = background::run(move || {
        if let Some(candidate) = reload::candidate(&config, &snapshot, previous.as_deref()) {
            published.compare(&snapshot, candidate);
        }
    });
    tokio::spawn(async move {
        if let Err(error) = load.await {
            tracing::error!(error, "the candidate was not loaded, which is a defect of lakegate");
        }
    });
}

/// The settings that are read at the start alone, where `next` has others.
fn restart(running: &Config, next: &Config) -> Vec<&'static str> {
    let parts = [
        ("listen", running.listen != next.listen),
        ("state_dir", running.state_dir != next.state_dir),
        ("audit", running.audit != next.audit),
        ("telemetry", running.telemetry != next.telemetry),
        ("limits.bodies", running.limits.bodies != next.limits.bodies),
        ("limits.streams", running.limits.streams != next.limits.streams),
        ("limits.connections", running.limits.connections != next.limits.connections),
    ];
    parts.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
