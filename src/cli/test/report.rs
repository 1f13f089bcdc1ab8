//! What is said of a run, for people.

use std::fmt::Write as _;

use serde::Serialize;

use super::{coverage::Coverage, files::tidy, run::Outcome};

/// What a run came to.
#[derive(Debug, Serialize)]
pub(super) struct Report<'r> {
    pub(super) cases: usize,
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) results: &'r [Outcome<'r>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) coverage: Option<&'r Coverage>,
}

/// The failures, the coverage where it was asked for, and the counts; with `all` also what passed.
pub(super) fn text(report: &Report<'_>, all: bool) -> String {
    let mut text = String::new();
    for outcome in report.results {
        if !outcome.passed {
            let _ = writeln!(text, "{}\n", failure(outcome));
        } else if all {
            let _ = writeln!(text, "passed: {}:{}: {} ({})", outcome.file.display(), outcome.line, outcome.name, outcome.got.decision);
        }
    }
    if let Some(coverage) = report.coverage {
        let _ = writeln!(text, "{coverage}");
    }
    let files = report.results.iter().map(|outcome| outcome.file).collect::<std::collections::BTreeSet<_>>().len();
    let (cases, files) = (counted(report.cases, "case"), counted(files, "file"));
    let end = if report.failed == 0 { "all passed".to_owned() } else { format!("{} failed", report.failed) };
    let _ = write!(text, "{cases} in {files}: {end}");
    text
}

/// What was expected of a case that failed, what came of it, and why.
pub(super) fn failure(outcome: &Outcome<'_>) -> String {
    let mut text = format!("failed: {}:{}: {}\n", outcome.file.display(), outcome.line, outcome.name);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<10} {value}");
        }
    };
    let (expected, got) = (&outcome.expected, &outcome.got);
    let by = |policies: &[String]| if policies.is_empty() { String::new() } else { format!(" by {}", policies.join(", ")) };
    let reason = |reason: &str| if reason.is_empty() || reason == "ALLOWED" { String::new() } else { format!(" ({reason})") };
    line("expected", &format!("{}{}{}", expected.decision, reason(expected.reason.unwrap_or_default()), by(expected.policies.unwrap_or_default())));
    line("got", &format!("{}{}{}", got.decision, reason(got.reason), by(&got.policies)));
    line("because", &outcome.differs.join("; "));
    line("detail", &got.detail);
    line("principal", got.principal.as_deref().unwrap_or_default());
    line("peer", got.peer.as_deref().unwrap_or_default());
    line("action", got.action.as_deref().unwrap_or_default());
    line("resources", &got.resources.join(", "));
    let explanation = outcome.explanation.iter();
    for policy in explanation.clone().flat_map(|explanation| &explanation.policies) {
        line("decided by", &format!("{} ({}:{})", policy.id, tidy(&policy.file).display(), policy.line));
    }
    for near in explanation.flat_map(|explanation| &explanation.near) {
        line("nearest", &format!("{} ({}:{}) for {}", near.policy.id, tidy(&near.policy.file).display(), near.policy.line, near.resource));
        for missing in &near.missing {
            line("  needs", &missing.text);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
