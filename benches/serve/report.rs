//! The figures: one table to read, one file to compare with.

use std::{fs, io, path::Path};

use serde::Serialize;

use super::{
    Outcome,
    arguments::Effort,
    load::{CONNECTIONS, IN_FLIGHT, Latencies},
};

/// All figures of a run; those of the allow-all server come first.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    cores: usize,
    connections: usize,
    in_flight: usize,
    rounds: usize,
    turn_s: f64,
    /// Bytes of a check, on average.
    check_bytes: usize,
    /// Checks a second in the paced rounds.
    paced_rate: f64,
    servers: Vec<Figures>,
}

/// What was measured of one server, round by round: every list has one value a round.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figures {
    name: String,
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
    full: Percentiles,
    paced_cpu_us: Vec<f64>,
    paced: Percentiles,
    pub(crate) resident_mib: f64,
    /// CPU time of a check with a token never seen, above that of a usual one.
    pub(crate) first_sight_us: Option<f64>,
    /// The same of one about an object never asked about, so that the decision is not cached.
    pub(crate) uncached_us: Option<f64>,
}

/// In milliseconds.
#[derive(Debug, Default, Serialize)]
struct Percentiles {
    p50: Vec<f64>,
    p99: Vec<f64>,
    p999: Vec<f64>,
}

// === impl Results ===

impl Results {
    pub(crate) fn new(servers: Vec<Figures>, paced_rate: f64, check_bytes: usize, effort: Effort) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let (connections, in_flight, rounds, turn_s) = (CONNECTIONS, IN_FLIGHT, effort.rounds, effort.turn.as_secs_f64());
        Self { cores, connections, in_flight, rounds, turn_s, check_bytes, paced_rate, servers }
    }

    pub(crate) fn print(&self, out: &mut impl io::Write) -> io::Result<()> {
        let Self { cores, connections, in_flight, rounds, turn_s, check_bytes, paced_rate, servers } = self;
        writeln!(out, "\nchecks of {check_bytes} bytes over {connections} connections, on {cores} cores that load and server share;")?;
        writeln!(out, "medians of {rounds} rounds of {turn_s} s; × is the median of the rounds' ratios to the allow-all server\n")?;
        writeln!(out, "{:<24} {:^58} {:^45}", "", format!("{in_flight} in flight"), format!("{paced_rate} checks/s"))?;
        let heads = ["checks/s", "CPU µs", "×", "p50 ms", "p99 ms", "×", "p99.9", "CPU µs", "p50 ms", "p99 ms", "×", "p99.9", "MiB"];
        write!(out, "{:<24}", "server")?;
        for head in heads {
            write!(out, " {head:>8}")?;
        }
        writeln!(out)?;
        let Some(base) = servers.first() else { return Ok(()) };
        for server in servers {
            server.print(base, out)?;
        }
        writeln!(out)?;
        for server in servers {
            if let (Some(token), Some(decision)) = (server.first_sight_us, server.uncached_us) {
                writeln!(out, "{}: CPU of a token's first sight {token:+.0} µs, of an uncached decision {decision:+.0} µs", server.name)?;
            }
        }
        Ok(())
    }

    /// Writes `target/bench/serve.json`.
    pub(crate) fn save(&self) -> Outcome<()> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join("serve.json"), serde_json::to_vec_pretty(self)?)?)
    }
}

// === impl Figures ===

impl Figures {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub(crate) fn full(&mut self, per_second: f64, cpu_us: f64, latencies: &Latencies) {
        self.per_second.push(per_second);
        self.cpu_us.push(cpu_us);
        self.full.push(latencies);
    }

    pub(crate) fn paced(&mut self, cpu_us: f64, latencies: &Latencies) {
        self.paced_cpu_us.push(cpu_us);
        self.paced.push(latencies);
    }

    pub(crate) fn per_second(&self) -> f64 {
        median(&self.per_second)
    }

    fn print(&self, base: &Self, out: &mut impl io::Write) -> io::Result<()> {
        write!(out, "{:<24} {:>8.0}", self.name, self.per_second())?;
        write!(out, " {:>8.1} {:>8.2}", median(&self.cpu_us), ratio(&self.cpu_us, &base.cpu_us))?;
        self.full.print(&base.full, out)?;
        write!(out, " {:>8.1}", median(&self.paced_cpu_us))?;
        self.paced.print(&base.paced, out)?;
        writeln!(out, " {:>8.0}", self.resident_mib)
    }
}

// === impl Percentiles ===

impl Percentiles {
    fn push(&mut self, latencies: &Latencies) {
        self.p50.push(latencies.within(500));
        self.p99.push(latencies.within(990));
        self.p999.push(latencies.within(999));
    }

    fn print(&self, base: &Self, out: &mut impl io::Write) -> io::Result<()> {
        let (p50, p99, p999) = (median(&self.p50), median(&self.p99), median(&self.p999));
        write!(out, " {p50:>8.2} {p99:>8.2} {:>8.2} {p999:>8.2}", ratio(&self.p99, &base.p99))
    }
}

/// The middle one, or the mean of the middle two.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let pair = [sorted.len().saturating_sub(1) / 2, middle].map(|index| sorted.get(index).copied().unwrap_or(f64::NAN));
    pair.iter().sum::<f64>() / 2.0
}

/// The median of the ratios within each round, in which both met the same machine.
fn ratio(values: &[f64], base: &[f64]) -> f64 {
    median(&values.iter().zip(base).map(|(value, base)| value / base).collect::<Vec<_>>())
}
