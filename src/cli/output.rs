//! Where commands print: results to standard output, what went wrong to standard error.

use std::{
    borrow::Cow,
    fmt::{Display, Write as _},
    io::{Write, stderr, stdout},
};

use serde::Serialize;

use super::Exit;
use crate::{
    model::{Fault, Faults},
    text::is_obeyed,
};

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
        let json = serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        Self::line(escaped(&json));
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
        let _ = writeln!(stdout().lock(), "{}", tame(&text.to_string()));
    }

    fn complain(text: impl Display) {
        // As above.
        let _ = writeln!(stderr().lock(), "{}", tame(&text.to_string()));
    }
}

/// `text` without what a terminal would obey. The only door to it: what is printed may hold what callers sent and others wrote, the name of a file as well.
fn tame(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| is_obeyed(c) && !matches!(c, '\n' | '\t');
    if text.contains(obeyed) { text.replace(obeyed, "?").into() } else { text.into() }
}

/// The same of JSON, where nothing is lost by it: such characters stand in strings alone.
fn escaped(json: &str) -> Cow<'_, str> {
    if !json.contains(is_obeyed) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_obeyed(c) {
            // all of them have four digits
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_printed_that_a_terminal_obeys() {
        for (text, want) in [
            ("a\n\tb é", "a\n\tb é"),
            ("\u{1b}[2J\u{9b}2J\r\u{7f}", "?[2J?2J??"),
            ("\u{1b}]0;x\u{7}", "?]0;x?"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a?b?c?"),
        ] {
            assert_eq!(tame(text), want);
            let json = serde_json::to_string(text).unwrap();
            let printed = escaped(&json);
            assert!(!printed.contains(is_obeyed), "{printed}");
            assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), text);
        }
    }
}
