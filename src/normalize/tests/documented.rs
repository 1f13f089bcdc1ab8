//! docs/requests.md is true: every row of its tables with an example is run.

use std::{fs, path::Path};

use super::{builder::Check, read};
use crate::model::{Body, BodyFault};

#[test]
fn every_example_in_the_document_is_answered_as_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/requests.md");
    let document = fs::read_to_string(path).unwrap();
    let rows: Vec<_> = document.lines().filter_map(row).collect();
    assert!(rows.len() > 50, "only {} examples were found", rows.len());
    for (example, says) in rows {
        let raw = check(example).raw();
        let is = match read(&raw) {
            Err(refusal) => format!("`{}`", refusal.reason.code()),
            Ok(call) if says != "accepted" => body(&call.body).to_owned(),
            Ok(_) => "accepted".to_owned(),
        };
        assert_eq!(is, says, "{example}");
    }
}

/// Example and answer of a row that has an example: one whose second cell begins with a request line.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").skip(1);
    let (example, says, None) = (cells.next()?, cells.next()?, cells.next()) else { return None };
    example.starts_with('`').then_some((example, says))
}

fn check(example: &str) -> Check {
    let mut spans = example.split('`').skip(1).step_by(2);
    let (method, path) = spans.next().and_then(|line| line.split_once(' ')).expect("an example begins with method and path");
    let mut check = Check { method: method.into(), ..Check::path(path) };
    for span in spans {
        if span.starts_with('{') {
            check.body = Some(span.into());
            check.size = i64::try_from(span.len()).unwrap();
            continue;
        }
        // The first colon of a pseudo-header is part of its name.
        let pseudo = if span.starts_with(':') { ":" } else { "" };
        let (name, value) = span.strip_prefix(':').unwrap_or(span).split_once(':').expect("a header has a colon");
        let (name, value) = (format!("{pseudo}{name}"), value.trim());
        if name == "host" {
            check.host = value.into();
        } else {
            check = check.header(name, value);
        }
    }
    check
}

fn body(body: &Body<'_>) -> &'static str {
    match body {
        Body::Absent => "none",
        Body::Whole { .. } => "whole",
        Body::Unusable(BodyFault::Cut) => "cut",
        Body::Unusable(BodyFault::Unmeasured) => "unmeasured",
        Body::Unusable(BodyFault::Encoded) => "encoded",
    }
}
