//! The audit file, line by line: never more of it in memory than one.

use std::{
    io::{BufRead, Read as _},
    path::Path,
};

use super::{Replay, Tally, question::time_ms};
use crate::{audit::Recorded, model::Fault, text::shown};

/// Which records count, in milliseconds since the epoch: from `since` up to, but not at, `until`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    pub since: Option<i64>,
    pub until: Option<i64>,
}

/// What a line is.
enum Line {
    Record(Box<Recorded>),
    /// JSON without a decision, such as a line of the log.
    Other,
}

/// Bytes of one line; no record is as long.
const LONGEST: u64 = 4 << 20;

/// Decides every record of `input` again and counts what comes of it.
///
/// # Errors
/// The place of the first line that is neither a record nor another JSON object, or of what cannot be read. One that ends too early is none: a writer was
/// broken off there, or is still at it.
pub fn read(input: &mut dyn BufRead, name: &Path, window: Window, replay: &Replay<'_>, tally: &mut Tally) -> Result<(), Fault> {
    let fault = |line, column, message: String| Fault {
        file: name.to_owned(),
        line: Some(line),
        column,
        message,
        help: Some("name an audit file".to_owned()),
    };
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let length = input.take(LONGEST).read_until(b'\n', &mut text).map_err(|error| fault(number, None, format!("it cannot be read: {error}")))?;
        let whole = text.last() == Some(&b'\n');
        if length == 0 {
            break;
        }
        if !whole && length as u64 == LONGEST {
            return Err(fault(number, None, format!("the line is longer than {} MiB", LONGEST >> 20)));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        match line(text.trim_ascii_end()) {
            Ok(Line::Record(record)) if window.has(&record) => tally.add(&record, replay.decide(&record)),
            Ok(Line::Record(_)) => tally.leave_out(),
            Ok(Line::Other) => tally.pass_over(),
            Err(error) if !whole || error.is_eof() => tally.cut(),
            Err(error) => {
                // The place that JSON gives is one within the line.
                let message = error.to_string();
                let what = message.rsplit_once(" at line ").map_or(&*message, |(what, _)| what);
                return Err(fault(number, Some(error.column()), format!("it is no record: {}", shown(what))));
            }
        }
    }
    Ok(())
}

fn line(text: &[u8]) -> Result<Line, serde_json::Error> {
    match serde_json::from_slice::<Box<Recorded>>(text) {
        // A list would be taken for the members in their order.
        Ok(_) if !text.trim_ascii_start().starts_with(b"{") => Err(serde::de::Error::custom("it is no JSON object")),
        Ok(record) if record.decision.is_some() => Ok(Line::Record(record)),
        Ok(_) => Ok(Line::Other),
        Err(error) => match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(text) {
            Ok(object) if !object.contains_key("decision") => Ok(Line::Other),
            _ => Err(error),
        },
    }
}

// === impl Window ===

impl Window {
    /// A record without a time counts: it is told of as not replayable.
    fn has(&self, record: &Recorded) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let Some(time) = time_ms(&record.event_time) else { return true };
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time < until)
    }
}
