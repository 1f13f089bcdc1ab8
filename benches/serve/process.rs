//! What the system says of another process: `/proc/<id>`, see proc(5).

use std::{fs, io, time::Duration};

/// Times are given in ticks of 10 ms: `USER_HZ` is 100 on every architecture that runs lakegate.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of all threads so far. The kernel scales both to what was really run, so that only the last tick is uncertain.
pub(crate) fn cpu(id: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The second field, the name, may hold anything but ends with the last parenthesis; `utime` and `stime` are fields 14 and 15.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().skip(11).take(2));
    let ticks: Option<Vec<u32>> = fields.map(|fields| fields.filter_map(|field| field.parse().ok()).collect());
    match ticks.as_deref() {
        Some([user, system]) => Ok(TICK.saturating_mul(user.saturating_add(*system))),
        _ => Err(unreadable(id)),
    }
}

/// Memory that is resident, in MiB.
#[expect(clippy::cast_precision_loss, reason = "kibibytes of memory are far below 2^52")]
pub(crate) fn resident_mib(id: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib as f64 / 1024.0).ok_or_else(|| unreadable(id))
}

fn unreadable(id: u32) -> io::Error {
    io::Error::other(format!("what the system says of process {id} cannot be read"))
}
