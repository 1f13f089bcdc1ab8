//! Where commands print: results to standard output, what went wrong to standard error.

use std::{
    fmt::Display,
    io::{Write, stderr, stdout},
};

use serde::Serialize;

use super::Exit;
use crate::model::{Fault, Faults};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON value
    Json,
}

/// The two streams, in one format.
#[derive(Debug)]
pub(super) struct Output {
    format: Format,
}

// === impl Output ===

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Prints `result`, as JSON or in the words of `text`.
    pub(super) fn result(&mut self, result: &impl Serialize, text: impl FnOnce() -> String) {
        match self.format {
            Format::Text => Self::line(text()),
            Format::Json => Self::json(result),
        }
    }

    /// Prints `value` as one line of JSON, whatever the format.
    pub(super) fn json(value: &impl Serialize) {
        Self::line(serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")));
    }

    /// Prints every fault, and says that the input is invalid.
    pub(super) fn faults(&mut self, faults: &[Fault]) -> Exit {
        #[derive(Serialize)]
        struct Report<'r> {
            faults: &'r [Fault],
        }
        match self.format {
            Format::Json => Self::json(&Report { faults }),
            Format::Text => self.complaints(faults),
        }
        Exit::Invalid
    }

    /// The same beside a result that has them: only people are told them again.
    pub(super) fn complaints(&mut self, faults: &[Fault]) {
        if self.format == Format::Json {
            return;
        }
        for fault in faults {
            Self::complain(fault);
        }
        let count = faults.len();
        // Of more, the last says how many there are.
        if count <= Faults::MOST {
            Self::complain(format_args!("{count} fault{}", if count == 1 { "" } else { "s" }));
        }
    }

    /// Prints what went wrong.
    pub(super) fn error(exit: Exit, error: impl Display) -> Exit {
        Self::complain(format_args!("lakegate: {error}"));
        exit
    }

    fn line(text: impl Display) {
        // A reader that went away (a closed pipe) is not told anything.
        let _ = writeln!(stdout().lock(), "{text}");
    }

    fn complain(text: impl Display) {
        // As above.
        let _ = writeln!(stderr().lock(), "{text}");
    }
}
