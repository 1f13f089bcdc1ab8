//! Recorded decisions, made again with other policies: whom a change of policies would hit, before it is served.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader, stdin},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{Exit, output::Output};
use crate::{
    clock::Clock,
    config::units::Span,
    model::Fault,
    net,
    reload::{self, Compiler},
    replay::{Change, Changed, Replay, Summary, Tally, Unreplayable, Window, read},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Audit files; `-` is standard input
    #[arg(required = true, value_name = "AUDIT.jsonl")]
    files: Vec<PathBuf>,
    /// The folder of the policies to decide by; else the candidate of the configuration, or the policies that it serves
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Only records from then on: an RFC 3339 time, or how long ago, as `24h`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only records before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// End with 0 though something that was allowed becomes denied
    #[arg(long)]
    allow_losses: bool,
    /// End with 0 though something that was allowed cannot be decided again
    #[arg(long)]
    allow_unknown: bool,
}

/// What was replayed, and how fast.
#[derive(Debug, Serialize)]
struct Report {
    /// The folder that decided.
    policies_dir: PathBuf,
    policies: usize,
    #[serde(flatten)]
    summary: Summary,
    seconds: f64,
    records_per_second: u64,
}

/// Where records come from.
enum Input {
    File(File),
    Stdin,
}

/// Rows of each kind that the text shows; JSON has all.
const SHOWN: usize = 100;

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let clock = Clock::default();
    let window = match window(args, &clock) {
        Ok(window) => window,
        Err(error) => return Output::error(Exit::Invalid, error),
    };
    let inputs = match args.files.iter().map(|file| open(file)).collect::<Result<Vec<_>, _>>() {
        Ok(inputs) => inputs,
        Err(fault) => return output.faults(&[fault]),
    };
    let client = match net::Client::new(&net::Config::default()) {
        Ok(client) => client,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let compiled = match Compiler::new(&args.config, client, clock).and_then(|compiler| compiler.compile(None)) {
        Ok(compiled) => compiled,
        Err(faults) => return output.faults(&faults),
    };
    let (config, snapshot) = (&compiled.config, &compiled.snapshot);
    let dir = args.policies.as_ref().or(config.policy.candidate.as_ref());
    let beside = match dir.map(|dir| reload::beside(config, snapshot, dir, None)).transpose() {
        Ok(beside) => beside,
        Err(faults) => return output.faults(&faults),
    };
    let authorizer = beside.as_ref().map_or(&snapshot.authorizer, |(authorizer, _)| authorizer);
    let replay = Replay::new(authorizer, snapshot.classifier.catalog().vocabulary());
    let (started, mut tally) = (Instant::now(), Tally::default());
    for (file, input) in args.files.iter().zip(inputs) {
        if let Err(fault) = read(&mut *input.buffered(), file, window, &replay, &mut tally) {
            return output.faults(&[fault]);
        }
    }
    let report = Report::new(dir.unwrap_or(&config.policy.dir).clone(), authorizer.policy_count(), &tally, started.elapsed());
    output.result(&report, || lines(&report));
    let Summary { records, newly_denied, unknown, .. } = report.summary;
    match () {
        () if records == 0 => Output::error(Exit::Failure, "there is no record of a decision, so that nothing is known of what would change"),
        () if tally.is_blind() => {
            Output::error(Exit::Failure, "no decision of a policy could be made again, so that nothing is known of what would change")
        }
        () if newly_denied > 0 && !args.allow_losses => Exit::Denied,
        () if unknown > 0 && !args.allow_unknown => {
            let what = "cannot be made again, so that it is not known whether those calls would be denied; `--allow-unknown` leaves them out";
            Output::error(Exit::Failure, format_args!("{unknown} decisions to allow {what}"))
        }
        () => Exit::Yes,
    }
}

/// Opened before anything else is done, so that a slip in a name is told at once.
fn open(file: &Path) -> Result<Input, Fault> {
    if file == Path::new("-") {
        return Ok(Input::Stdin);
    }
    File::open(file).map(Input::File).map_err(|error| Fault {
        file: file.to_owned(),
        line: None,
        column: None,
        message: format!("it cannot be read: {}", error.kind()),
        help: Some("name an audit file".to_owned()),
    })
}

fn window(args: &Args, clock: &Clock) -> Result<Window, String> {
    let moment = |text: &Option<String>| text.as_deref().map(|text| moment(text, clock.now_ms())).transpose();
    let window = Window { since: moment(&args.since)?, until: moment(&args.until)? };
    match window {
        Window { since: Some(since), until: Some(until) } if since >= until => Err("`--since` is not before `--until`".to_owned()),
        window => Ok(window),
    }
}

/// Milliseconds since the epoch.
fn moment(text: &str, now_ms: i64) -> Result<i64, String> {
    if let Some(Span(ago)) = Span::parse(text) {
        return Ok(now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
    }
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|_| format!("`{}` is no time: write `2026-01-31T08:00:00Z`, or how long ago, as `24h`", text.escape_debug()))
}

// === impl Input ===

impl Input {
    fn buffered(self) -> Box<dyn BufRead> {
        match self {
            Self::File(file) => Box::new(BufReader::with_capacity(1 << 20, file)),
            Self::Stdin => Box::new(stdin().lock()),
        }
    }
}

// === impl Report ===

impl Report {
    fn new(policies_dir: PathBuf, policies: usize, tally: &Tally, took: Duration) -> Self {
        let took_ms = took.as_millis().max(1);
        let records_per_second = u64::try_from(u128::from(tally.lines()) * 1000 / took_ms).unwrap_or(u64::MAX);
        Self { policies_dir, policies, summary: tally.summary(), seconds: took.as_secs_f64(), records_per_second }
    }
}

fn lines(report: &Report) -> String {
    let summary = &report.summary;
    let mut out = String::new();
    for (change, title, count) in
        [(Change::NewlyDenied, "newly denied", summary.newly_denied), (Change::NewlyAllowed, "newly allowed", summary.newly_allowed)]
    {
        let rows: Vec<&Changed> = summary.changes.iter().filter(|row| row.change == change).collect();
        if count > 0 {
            let _ = writeln!(out, "{title}: {count}");
            table(&mut out, &rows);
        }
    }
    if summary.unlisted > 0 {
        let _ = writeln!(out, "{} more changed decisions are in no row: there are too many different ones", summary.unlisted);
    }
    let Summary { records, replayed, unchanged, other_reason, newly_denied, newly_allowed, .. } = summary;
    let other = if *other_reason > 0 { format!(" ({other_reason} for another reason)") } else { String::new() };
    let _ = writeln!(
        out,
        "replayed {replayed} of {records} records with the {} policies of {}: {unchanged} unchanged{other}, {newly_denied} newly denied, {newly_allowed} newly allowed",
        report.policies,
        report.policies_dir.display()
    );
    for why in Unreplayable::ALL {
        if let Some(count) = summary.not_replayable.get(why.code()) {
            let _ = writeln!(out, "not replayed: {count} {}", why.meaning());
        }
    }
    if summary.unknown > 0 {
        let _ = writeln!(out, "not known: {} of those not replayed were allowed", summary.unknown);
    }
    for (count, what) in [
        (summary.outside_window, "records of another time"),
        (summary.other_lines, "lines that are no record of a decision"),
        (summary.cut_lines, "lines that end too early"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "left out: {count} {what}");
        }
    }
    let _ = write!(out, "{:.1} s, {} records a second", report.seconds, report.records_per_second);
    out
}

/// One row of changed decisions a line, in columns.
fn table(out: &mut String, rows: &[&Changed]) {
    let cells: Vec<[String; 4]> = rows.iter().take(SHOWN).map(|row| cells(row)).collect();
    let width = |column: usize| cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2)];
    for (row, [principal, action, resources, why]) in rows.iter().zip(&cells) {
        let [first, second, third] = widths;
        let _ = writeln!(out, "{:>8}  {principal:<first$}  {action:<second$}  {resources:<third$}  {why}", row.count);
    }
    if rows.len() > SHOWN {
        let _ = writeln!(out, "          and {} rows more, which `--output json` has", rows.len() - SHOWN);
    }
}

fn cells(row: &Changed) -> [String; 4] {
    let by = |policies: &[String], code: &str| if policies.is_empty() { code.to_owned() } else { format!("{} ({code})", policies.join(", ")) };
    let why = format!("{}; was {}", by(&row.policies, row.reason), by(&row.policies_before, &row.reason_before));
    // What stands in a file may not move the cursor.
    [row.principal.clone(), row.action.clone(), row.resources.join(", "), why].map(|cell| cell.replace(char::is_control, "\u{fffd}"))
}
