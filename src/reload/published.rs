//! The snapshot that is served, and what became of the last attempt to replace it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use arc_swap::ArcSwap;
use prometheus_client::{
    collector::Collector,
    encoding::DescriptorEncoder,
    metrics::{counter::Counter, gauge::Gauge},
};
use serde::Serialize;

use super::signing;
use crate::{
    clock::Clock,
    model::Fault,
    pipeline::{Candidate, Snapshot},
    telemetry::Registry,
};

/// The current snapshot and the news of its successors.
#[derive(Debug)]
pub struct Published {
    snapshot: Arc<ArcSwap<Snapshot>>,
    clock: Clock,
    loaded_ms: AtomicI64,
    news: Mutex<News>,
    metrics: Metrics,
}

/// What the last attempt came to.
#[derive(Debug, Default)]
struct News {
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
    restart: Vec<&'static str>,
}

/// What `/status` says of the configuration.
#[derive(Clone, Debug, Serialize)]
pub struct ReloadStatus {
    pub generation: u64,
    /// Seconds since the served set was published.
    pub age_s: i64,
    /// The files say something else than what is served.
    pub degraded: bool,
    /// Why the files cannot be served.
    pub faults: Vec<Fault>,
    /// What is served and is likely not meant.
    pub warnings: Vec<Fault>,
    /// Settings that changed but wait for a restart.
    pub restart_needed_for: Vec<&'static str>,
}

#[derive(Debug, Default)]
struct Metrics {
    generation: Gauge,
    degraded: Gauge,
    published: Counter,
    failed: Counter,
    policies: Gauge,
    candidate_policies: Gauge,
    candidate_degraded: Gauge,
}

/// Shows the hits of the policies that are served.
#[derive(Debug)]
struct PolicyHits(Arc<ArcSwap<Snapshot>>);

// === impl Published ===

impl Published {
    #[must_use]
    pub fn new(first: Snapshot, warnings: Vec<Fault>, clock: Clock, registry: &mut Registry) -> Self {
        let metrics = Metrics::default();
        registry.register("lakegate_config_generation", "The generation that is served", metrics.generation.clone());
        registry.register("lakegate_config_degraded", "1 where the files cannot be served and the last good set is", metrics.degraded.clone());
        registry.register("lakegate_config_reloads", "Sets published since the start", metrics.published.clone());
        registry.register("lakegate_config_reload_failures", "Sets that could not be published", metrics.failed.clone());
        registry.register("lakegate_policies", "Policies served", metrics.policies.clone());
        registry.register("lakegate_candidate_policies", "Policies of the candidate that are compared", metrics.candidate_policies.clone());
        registry.register(
            "lakegate_candidate_degraded",
            "1 where the candidate cannot be loaded, so that nothing is compared",
            metrics.candidate_degraded.clone(),
        );
        metrics.show(&first);
        warn_of_shadow(&first);
        warn(&warnings);
        let news = Mutex::new(News { warnings, ..News::default() });
        let loaded_ms = AtomicI64::new(clock.now_ms());
        first.authorizer.serve_from(clock.now_ms());
        let snapshot = Arc::new(ArcSwap::from_pointee(first));
        registry.register_collector(Box::new(PolicyHits(Arc::clone(&snapshot))));
        Self { snapshot, clock, loaded_ms, news, metrics }
    }

    /// The cell that the pipeline reads.
    #[must_use]
    pub fn cell(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshot)
    }

    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Serves `next` from the next call on; `restart` names the settings that only a restart applies. Returns what was served, which calls may still hold.
    pub fn publish(&self, next: Snapshot, warnings: Vec<Fault>, restart: Vec<&'static str>) -> Arc<Snapshot> {
        tracing::info!(generation = next.generation, policies = next.authorizer.policy_count(), "a new set is served");
        next.authorizer.serve_from(self.clock.now_ms());
        warn_of_shadow(&next);
        warn(&warnings);
        let mut news = self.lock();
        signing::tell(&self.snapshot.load(), &next);
        self.metrics.show(&next);
        self.metrics.published.inc();
        let earlier = self.snapshot.swap(Arc::new(next));
        self.loaded_ms.store(self.clock.now_ms(), Ordering::Relaxed);
        *news = News { faults: Vec::new(), warnings, restart };
        earlier
    }

    /// Holds `candidate` against the decisions of `of` from the next call on; of no effect where another set is served by now.
    pub fn compare(&self, of: &Snapshot, candidate: Candidate) {
        let news = self.lock();
        let Some(slot) = of.candidate.as_ref().filter(|_| self.snapshot.load().generation == of.generation) else { return };
        match &candidate {
            Candidate::Loaded { authorizer, warnings } => {
                tracing::info!(generation = of.generation, policies = authorizer.policy_count(), "a candidate is compared");
                for warning in warnings {
                    tracing::warn!(%warning, "in the candidate, and likely not meant");
                }
            }
            Candidate::Faulty(faults) => {
                for fault in faults {
                    tracing::warn!(%fault, "the candidate cannot be loaded; nothing is compared");
                }
            }
        }
        self.metrics.show_candidate(&candidate);
        // Whoever was first has loaded the same files.
        drop(slot.set(candidate));
        drop(news);
    }

    /// Keeps what is served, and says why.
    pub fn keep(&self, faults: Vec<Fault>) {
        for fault in &faults {
            tracing::error!(%fault, "the files cannot be served; the last good set stays");
        }
        self.metrics.failed.inc();
        self.metrics.degraded.set(1);
        self.lock().faults = faults;
    }

    #[must_use]
    pub fn status(&self) -> ReloadStatus {
        let news = self.lock();
        ReloadStatus {
            generation: self.snapshot.load().generation,
            age_s: (self.clock.now_ms() - self.loaded_ms.load(Ordering::Relaxed)).div_euclid(1000).max(0),
            degraded: !news.faults.is_empty(),
            faults: news.faults.clone(),
            warnings: news.warnings.clone(),
            restart_needed_for: news.restart.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warn_of_shadow(snapshot: &Snapshot) {
    let (hosts, namespaces) = (snapshot.shadow.observed(), snapshot.shadow.observed_namespaces());
    if !hosts.is_empty() || !namespaces.is_empty() {
        tracing::warn!(hosts = hosts.join(" "), namespaces = namespaces.join(" "), "shadow mode: decisions are recorded and not enforced");
    }
}

fn warn(warnings: &[Fault]) {
    for warning in warnings {
        tracing::warn!(%warning, "served, and likely not meant");
    }
}

// === impl PolicyHits ===

impl Collector for PolicyHits {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        self.0.load().authorizer.encode_hits(encoder)
    }
}

// === impl Metrics ===

impl Metrics {
    fn show(&self, snapshot: &Snapshot) {
        self.generation.set(i64::try_from(snapshot.generation).unwrap_or(i64::MAX));
        self.policies.set(i64::try_from(snapshot.authorizer.policy_count()).unwrap_or(i64::MAX));
        self.degraded.set(0);
        // Until its own is loaded.
        self.candidate_policies.set(0);
        self.candidate_degraded.set(0);
    }

    fn show_candidate(&self, candidate: &Candidate) {
        let loaded = if let Candidate::Loaded { authorizer, .. } = candidate { Some(authorizer.policy_count()) } else { None };
        self.candidate_policies.set(i64::try_from(loaded.unwrap_or_default()).unwrap_or(i64::MAX));
        self.candidate_degraded.set(i64::from(loaded.is_none()));
    }
}
