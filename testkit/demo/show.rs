use std::io::{self, Write};

use lakegate_testkit::World;

use crate::check::{Row, name, names, text};

/// How many calls were shown, and how many of them were not as expected.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    shown: usize,
    wrong: usize,
}

// === impl Tally ===

impl Tally {
    pub(crate) fn all_as_expected(&self) -> bool {
        self.wrong == 0
    }
}

/// Writes one line at once; a reader who has gone away is no fault.
pub(crate) fn line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

pub(crate) fn header() {
    let heading = columns(["", "call", "who", "workload", "action", "resource", "decision", "reason or policy", "ms"]);
    line("");
    line(&heading);
    line(&"─".repeat(heading.chars().count()));
}

pub(crate) fn row(title: &str, row: &Row, tally: &mut Tally) {
    tally.shown += 1;
    let record = &row.record;
    let decision = format!("{} {}", text(record, "decision"), row.status);
    // an allow's reason is its policy
    let why = if text(record, "decision") == "allow" { names(record.get("policies")) } else { text(record, "reason").to_owned() };
    // what lakegate could not tell apart has no action: then the request itself is shown
    let action = or(name(record.get("action")), &row.method);
    let resource = or(names(record.get("resources")), &row.target);
    let who = or(name(record.get("principal")).rsplit("/sa/").next().unwrap_or_default().to_owned(), "-");
    let milliseconds = format!("{:.1}", row.took.as_secs_f64() * 1000.0);
    let mark = if row.wrong.is_empty() { "✓" } else { "✗" };
    line(&columns([mark, title, &who, &workload(&name(record.get("peer")), row.sender), &action, &resource, &decision, &why, &milliseconds]));
    for note in &row.notes {
        line(&format!("    {note}"));
    }
    if !row.wrong.is_empty() {
        tally.wrong += 1;
        for wrong in &row.wrong {
            line(&format!("    NOT AS EXPECTED: {wrong}"));
        }
    }
}

pub(crate) fn footer(world: &World, tally: &Tally) {
    let folder = world.folder().display();
    line("");
    match tally.wrong {
        0 => line(&format!("All {} calls were decided as they should be.", tally.shown)),
        wrong => line(&format!("{wrong} of {} calls were NOT decided as they should be; logs are in {folder}", tally.shown)),
    }
    line("The time is that of the whole call, its own connection and mTLS handshake included.");
    line("");
    line("Where to look next:");
    line(&format!("  {}   one record for each decision", world.audit.path().display()));
    line(&format!("  {folder}/lakegate.yaml and policies/   what was decided by"));
    line("  README.md and docs/   how to put lakegate into your mesh");
    line("  make demo ARGS=--stay   leaves all of this up, to send requests of your own");
}

fn columns(cells: [&str; 9]) -> String {
    let [mark, title, who, workload, action, resource, decision, why, milliseconds] = cells;
    format!("{mark:<1} {title:<36} {who:<10} {workload:<18} {action:<24} {:<26} {decision:<9} {why:<22} {milliseconds:>6}", shortened(resource, 26))
}

/// The namespace and account of an Istio workload's SPIFFE ID; who sent the call where lakegate did not get as far.
fn workload(peer: &str, sender: &str) -> String {
    match peer.split_once("/ns/").and_then(|(_, rest)| rest.split_once("/sa/")) {
        Some((namespace, account)) => format!("{namespace}/{account}"),
        None => or(peer.to_owned(), sender),
    }
}

fn or(text: String, instead: &str) -> String {
    if text.is_empty() { instead.to_owned() } else { text }
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width { text.to_owned() } else { text.chars().take(width - 1).chain(['…']).collect() }
}
