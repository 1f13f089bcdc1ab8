//! What concerns lakegate as a whole: policies, record, telemetry, limits, and the words it answers with.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    files, forms,
    path::KeyPath,
    peers::Peers,
    raw,
    report::Report,
    units::Size,
    words::{Fsync, LogFormat, LogLevel, Mode, OnFailure},
};
use crate::text::quoted;

/// The policies that decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub dir: PathBuf,
    pub entities: Option<PathBuf>,
    pub groups: Option<PathBuf>,
    pub access: Option<PathBuf>,
    pub grants: Option<Grants>,
    /// Need not be there: what is wrong with it must not keep `dir` from being served.
    pub candidate: Option<PathBuf>,
    pub mode: Mode,
    /// As `<trust domain>/<namespace>`.
    pub shadow_namespaces: Vec<String>,
}

/// Access for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    pub dir: PathBuf,
    /// From the beginning of one to its end, at most.
    pub longest: Duration,
}

/// Where every decision is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    pub sink: AuditSink,
    pub on_failure: OnFailure,
    pub fsync: Fsync,
}

/// What records are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditSink {
    File(PathBuf),
    Stdout,
}

/// Traces and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    pub otlp: Option<String>,
    pub log: LogLevel,
    pub log_format: LogFormat,
}

/// How much of anything is accepted; sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub body: usize,
    /// All bodies being decoded together; at least `body`.
    pub bodies: usize,
    pub token: usize,
    /// All names and values of one call together; at least `token`.
    pub headers: usize,
    /// In flight on one connection.
    pub streams: u32,
    pub connections: usize,
}

pub(super) fn policy(raw: &raw::Policy, peers: Option<&Peers>, path: &KeyPath, report: &mut Report<'_>) -> Option<Policy> {
    let dir = raw.dir.as_deref().and_then(|written| files::folder(written, &path.key("dir"), report));
    let entities = raw.entities.as_deref().and_then(|written| files::file(written, &path.key("entities"), report));
    let groups = raw.groups.as_deref().and_then(|written| files::folder(written, &path.key("groups"), report));
    let access = raw.access.as_deref().and_then(|written| files::folder(written, &path.key("access"), report));
    let grants = raw.grants.as_ref().and_then(|raw| grants(raw, &path.key("grants"), report));
    let candidate = raw.candidate.as_deref().map(|written| report.resolve(written));
    if let (Some(dir), Some(candidate)) = (&dir, &candidate)
        && files::overlap(dir, candidate)
    {
        let message = "the folders of `dir` and `candidate` are one, or one is in the other";
        report.fault(&path.key("candidate"), message, "every `*.cedar` file below `dir` decides: keep the candidate beside it");
    }
    let namespaces = raw.shadow.as_ref().and_then(|shadow| shadow.namespaces.as_deref()).unwrap_or_default();
    let shadow_namespaces = shadow_namespaces(namespaces, peers, &path.key("shadow").key("namespaces"), report);
    let (mode, shadow_namespaces) = (raw.mode.unwrap_or_default(), shadow_namespaces?);
    Some(Policy { dir: dir?, entities, groups, access, grants, candidate, mode, shadow_namespaces })
}

fn grants(raw: &raw::Grants, path: &KeyPath, report: &mut Report<'_>) -> Option<Grants> {
    let dir = raw.dir.as_deref().and_then(|written| files::folder(written, &path.key("dir"), report));
    let longest = raw.longest.map_or(LONGEST_GRANT, |span| span.0);
    if !LONGEST_GRANT_BOUNDS.contains(&longest) {
        report.fault(&path.key("longest"), "it is not between 1m and 366d", "write as long as access without a new review may last, as `7d`");
        return None;
    }
    Some(Grants { dir: dir?, longest })
}

/// Namespaces of known trust domains: of another nobody comes, and its shadow would be believed in.
fn shadow_namespaces(texts: &[String], peers: Option<&Peers>, path: &KeyPath, report: &mut Report<'_>) -> Option<Vec<String>> {
    let namespaces = forms::each(texts, path, report, forms::namespace)?;
    for (index, namespace) in namespaces.iter().enumerate() {
        let domain = namespace.split_once('/').map_or("", |(domain, _)| domain);
        if let Some(peers) = peers.filter(|peers| !peers.trust_domains.iter().any(|known| known == domain)) {
            let help = match peers.aliases.get(domain) {
                Some(counts_as) => format!("it counts as {}: write that", quoted(counts_as)),
                None => format!("`peers.trust_domains` has `{}`", peers.trust_domains.join("`, `")),
            };
            report.fault(&path.item(index), format!("no caller is of the trust domain {}", quoted(domain)), help);
        }
    }
    Some(namespaces)
}

pub(super) fn trust_prefix(raw: &raw::TrustHeaders, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    let text = raw.prefix.as_deref().unwrap_or(TRUST_PREFIX);
    let inner = text.strip_prefix("x-").and_then(|rest| rest.strip_suffix('-')).unwrap_or_default();
    let good = (1..=PREFIX_MAX).contains(&inner.len()) && inner.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let foreign = FOREIGN_PREFIXES.iter().find(|foreign| text.starts_with(**foreign) || foreign.starts_with(text));
    if let Some(foreign) = foreign.filter(|_| good) {
        report.fault(
            &path.key("prefix"),
            format!("{} claims headers of others, such as `{foreign}…`", quoted(text)),
            "choose one of your own, as `x-lakegate-`",
        );
    } else if !good {
        report.fault(
            &path.key("prefix"),
            format!("{} is not a prefix of trust headers", quoted(text)),
            "write `x-`, then `a-z`, `0-9` and `-`, ending in `-`, as `x-lakegate-`",
        );
    }
    (good && foreign.is_none()).then(|| text.to_owned())
}

pub(super) fn audit(raw: &raw::Audit, path: &KeyPath, report: &mut Report<'_>) -> Option<Audit> {
    let sink = match raw.file.as_deref() {
        Some(written) if written != Path::new("stdout") => AuditSink::File(files::to_be_made(written, &path.key("file"), report)?),
        _ => AuditSink::Stdout,
    };
    Some(Audit { sink, on_failure: raw.on_failure.unwrap_or_default(), fsync: raw.fsync.unwrap_or_default() })
}

/// A page for people; `{decision}` is the one placeholder.
pub(super) fn help_url(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    let filled = text.replace("{decision}", "0");
    if filled.contains(['{', '}']) {
        report.fault(path, format!("{} has an unknown placeholder", quoted(text)), "the only placeholder is `{decision}`");
        return None;
    }
    forms::plain_url(&filled, path, report).map(|_| text.to_owned())
}

pub(super) fn telemetry(raw: &raw::Telemetry, path: &KeyPath, report: &mut Report<'_>) -> Telemetry {
    let otlp = raw.otlp.as_deref().map(|text| forms::plain_url(text, &path.key("otlp"), report));
    Telemetry { otlp: otlp.flatten(), log: raw.log.unwrap_or_default(), log_format: raw.log_format.unwrap_or_default() }
}

pub(super) fn limits(raw: &raw::Limits, path: &KeyPath, report: &mut Report<'_>) -> Option<Limits> {
    let mut size = |key: &str, written: Option<Size>, default: u64, least: u64, most: u64| {
        bounded(written.map_or(default, |size| size.0), &path.key(key), (least, most), in_units, report)
    };
    let body = size("body", raw.body, 16 * MIB, KIB, 256 * MIB);
    let bodies = size("bodies", raw.bodies, 64 * MIB, body.unwrap_or(KIB), 16 * GIB);
    let token = size("token", raw.token, 16 * KIB, KIB, 64 * KIB);
    let headers = size("headers", raw.headers, 96 * KIB, token.unwrap_or(KIB), MIB);
    let streams = bounded(raw.streams.unwrap_or(200), &path.key("streams"), (1, 10_000), |count| count.to_string(), report);
    let connections = bounded(raw.connections.unwrap_or(1024), &path.key("connections"), (1, 65_536), |count| count.to_string(), report);
    Some(Limits {
        body: usize::try_from(body?).ok()?,
        bodies: usize::try_from(bodies?).ok()?,
        token: usize::try_from(token?).ok()?,
        headers: usize::try_from(headers?).ok()?,
        streams: u32::try_from(streams?).ok()?,
        connections: usize::try_from(connections?).ok()?,
    })
}

pub(super) fn visible_after(raw: &raw::Faults, path: &KeyPath, report: &mut Report<'_>) -> Option<Duration> {
    let after = raw.visible_after.map_or(VISIBLE_AFTER, |span| span.0);
    if after > VISIBLE_AFTER_MAX {
        report.fault(&path.key("visible_after"), "it is longer than 10m, so that SDKs would retry in silence", "write `10m` or less");
        return None;
    }
    Some(after)
}

fn bounded(value: u64, path: &KeyPath, (least, most): (u64, u64), shown: fn(u64) -> String, report: &mut Report<'_>) -> Option<u64> {
    if (least..=most).contains(&value) {
        return Some(value);
    }
    let message = format!("`{path}` is {}, out of bounds", shown(value));
    report.fault(path, message, format!("write {} to {}", shown(least), shown(most)));
    None
}

/// A number of bytes in the largest unit that divides it.
fn in_units(bytes: u64) -> String {
    let unit = [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")].into_iter().find(|(unit, _)| bytes != 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TRUST_PREFIX: &str = "x-lakegate-";
const PREFIX_MAX: usize = 61;
/// Headers that Envoy, proxies and Databricks themselves live by: everything below the prefix is removed from each request.
const FOREIGN_PREFIXES: [&str; 4] = ["x-envoy-", "x-forwarded-", "x-databricks-", "x-request-"];
const LONGEST_GRANT: Duration = Duration::from_hours(7 * 24);
const LONGEST_GRANT_BOUNDS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(366 * 24);
const VISIBLE_AFTER: Duration = Duration::from_secs(20);
const VISIBLE_AFTER_MAX: Duration = Duration::from_mins(10);
