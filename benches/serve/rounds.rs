//! The order of things: every server has its turn in every round, so that what else the machine does meets all of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Outcome,
    arguments::Effort,
    calls,
    load::{Latencies, Load},
    process,
    report::{Figures, Results},
    servers::{Server, World},
};

/// A server with all that is measured of it.
struct Candidate<'w> {
    server: &'w Server,
    load: Load,
    sent: usize,
    figures: Figures,
}

/// What one turn of load cost its server.
struct Turn {
    latencies: Latencies,
    per_second: f64,
    cpu_us: f64,
}

/// For the last records of a turn to be written, so that their CPU time is counted where it belongs.
const SETTLE: Duration = Duration::from_millis(50);

pub(crate) async fn run(world: &World, effort: Effort) -> Outcome<Results> {
    let usual: Arc<[Bytes]> = calls::usual(&world.issuer)?.into();
    let call_bytes = usual.iter().map(Bytes::len).sum::<usize>() / usual.len().max(1);
    let mut candidates = Vec::new();
    for server in &world.servers {
        let load = Load::connect(server).await?;
        candidates.push(Candidate { server, load, sent: 0, figures: Figures::new(&server.name) });
    }
    for candidate in &mut candidates {
        candidate.full(&usual, effort.warm_up).await?;
    }
    for _ in 0..effort.rounds {
        for candidate in &mut candidates {
            let turn = candidate.full(&usual, effort.turn).await?;
            candidate.figures.full(turn.per_second, turn.cpu_us, &turn.latencies);
        }
    }
    let slowest = candidates.iter().map(|candidate| candidate.figures.per_second()).fold(f64::INFINITY, f64::min);
    let rate = (slowest / 2.0).floor();
    for _ in 0..effort.rounds {
        for candidate in &mut candidates {
            let turn = candidate.paced(&usual, rate, effort.turn).await?;
            candidate.figures.paced(turn.cpu_us, &turn.latencies);
        }
    }
    for candidate in candidates.iter_mut().filter(|candidate| candidate.server.vouches()) {
        candidate.singles(world, &usual, effort.singles).await?;
    }
    for candidate in &mut candidates {
        candidate.figures.resident_mib = process::resident_mib(candidate.server.id)?;
        candidate.compare_records().await?;
    }
    Ok(Results::new(candidates.into_iter().map(|candidate| candidate.figures).collect(), rate, call_bytes, effort))
}

// === impl Candidate ===

impl Candidate<'_> {
    async fn full(&mut self, calls: &Arc<[Bytes]>, duration: Duration) -> Outcome<Turn> {
        let load = self.load.clone();
        self.turn(async || load.full(calls, duration).await).await
    }

    async fn paced(&mut self, calls: &Arc<[Bytes]>, rate: f64, duration: Duration) -> Outcome<Turn> {
        let load = self.load.clone();
        self.turn(async || load.paced(calls, rate, duration).await).await
    }

    /// What it costs to meet a token, and to decide, for the first time: what the same number of usual calls costs is taken off.
    async fn singles(&mut self, world: &World, usual: &Arc<[Bytes]>, count: usize) -> Outcome<()> {
        let load = self.load.clone();
        let warm: Arc<[Bytes]> = usual.iter().cycle().take(count).cloned().collect();
        let tokens: Arc<[Bytes]> = calls::fresh_tokens(&world.issuer, count)?.into();
        let objects: Arc<[Bytes]> = calls::unseen_objects(&world.issuer, count)?.into();
        // The tokens of these callers are new, too; each is met once before it counts.
        load.once(&objects.iter().take(calls::CALLERS).cloned().collect()).await?;
        self.sent += calls::CALLERS;
        let warm = self.turn(async || load.once(&warm).await).await?.cpu_us;
        self.figures.first_sight_us = Some(self.turn(async || load.once(&tokens).await).await?.cpu_us - warm);
        let objects: Arc<[Bytes]> = objects.iter().skip(calls::CALLERS).cloned().collect();
        self.figures.uncached_us = Some(self.turn(async || load.once(&objects).await).await?.cpu_us - warm);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "checks of one turn are far below 2^52")]
    async fn turn(&mut self, send: impl AsyncFnOnce() -> Outcome<Latencies>) -> Outcome<Turn> {
        self.server.tidy()?;
        let before = process::cpu(self.server.id)?;
        let begun = Instant::now();
        let latencies = send().await?;
        let elapsed = begun.elapsed();
        tokio::time::sleep(SETTLE).await;
        let cpu = process::cpu(self.server.id)?.saturating_sub(before);
        self.sent += latencies.count();
        let count = latencies.count() as f64;
        Ok(Turn { latencies, per_second: count / elapsed.as_secs_f64(), cpu_us: cpu.as_secs_f64() * 1e6 / count })
    }

    /// Every answer must have its record: what leaves the record out is fast and worthless.
    async fn compare_records(&self) -> Outcome<()> {
        match self.server.recorded().await? {
            Some(recorded) if recorded != self.sent as u64 => {
                Err(format!("{} answered {} checks and recorded {recorded}", self.server.name, self.sent).into())
            }
            _ => Ok(()),
        }
    }
}
