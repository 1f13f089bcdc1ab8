//! Policy files as text: where one policy ends and the next begins, and which line an offset stands on.

use std::path::Path;

use cedar_policy_core::{parser::parse_policy_or_template, validator::confusable_string_checks};

use crate::{
    model::{EntityRef, Fault},
    text::shown,
};

/// The text of one policy, with the comments before it, and where it stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'t> {
    pub(super) text: &'t str,
    /// The byte offset of `text` in the file.
    pub(super) offset: usize,
    /// The byte offset in `text` of the first thing that is neither blank nor a comment.
    pub(super) start: usize,
    /// The byte offset of `text` in what the parser was given, which can be more.
    pub(super) base: usize,
}

/// Something wrong at a place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// A byte offset.
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Splits a file behind the `;` of each policy. Only blanks and comments are in no piece: nothing else escapes the parser.
pub(super) fn pieces(file: &str) -> Vec<Piece<'_>> {
    let (mut found, mut begin) = (Vec::new(), 0);
    while let Some(first) = first_token(file, begin) {
        let end = policy_end(file, first);
        found.push(Piece { text: file.get(begin..end).unwrap_or_default(), offset: begin, start: first - begin, base: 0 });
        begin = end;
    }
    found
}

/// Lines of a file, counted once from its beginning to its end.
pub(super) struct Lines<'t> {
    file: &'t str,
    at: usize,
    line: usize,
    /// In characters, from 1.
    column: usize,
}

/// The line and the column (in characters) of a byte offset, both from 1.
pub(super) fn place(file: &str, offset: usize) -> (usize, usize) {
    let before = file.get(..offset).unwrap_or(file);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

// === impl Lines ===

impl<'t> Lines<'t> {
    pub(super) fn new(file: &'t str) -> Self {
        Self { file, at: 0, line: 1, column: 1 }
    }

    /// The line of a byte offset, from 1; offsets come in order.
    pub(super) fn of(&mut self, offset: usize) -> usize {
        self.place(offset).0
    }

    /// The line and the column (in characters), both from 1; offsets come in order.
    pub(super) fn place(&mut self, offset: usize) -> (usize, usize) {
        let passed = self.file.get(self.at..offset).unwrap_or_default();
        if let Some(last) = passed.rfind('\n') {
            self.line += memchr::memchr_iter(b'\n', passed.as_bytes()).count();
            self.column = 1 + passed.get(last + 1..).unwrap_or_default().chars().count();
        } else {
            self.column += passed.chars().count();
        }
        self.at = offset;
        (self.line, self.column)
    }
}

/// What to think of a name that is written in letters of several scripts: one of them may look like another. Policies are held to the same by Cedar
/// ([UTS 39](https://www.unicode.org/reports/tr39/), §5.1), which here sees the parts of an id one by one.
pub(super) fn look_alike(entity: &EntityRef) -> Option<(String, &'static str)> {
    let mixed = |part: &str| {
        let quoted = part.replace('\\', "\\\\").replace('"', "\\\"");
        let policy = format!("permit (principal, action, resource) when {{ \"{quoted}\" == \"\" }};");
        parse_policy_or_template(None, &policy).is_ok_and(|policy| confusable_string_checks(std::iter::once(&policy)).next().is_some())
    };
    let found = !entity.id.is_ascii() && entity.id.split('/').any(|part| !part.is_ascii() && mixed(part));
    let message = || format!("`{}` mixes letters of several scripts, of which some look alike", shown_entity(entity));
    found.then(|| (message(), "names that look the same are not: write it in one script"))
}

/// An entity as a policy writes it, fit for a message.
pub(super) fn shown_entity(entity: &EntityRef) -> String {
    format!("{}::\"{}\"", shown(entity.kind.as_str()), shown(&entity.id))
}

/// Where Cedar's comments end, a carriage return is enough.
fn first_token(file: &str, from: usize) -> Option<usize> {
    let mut rest = file.get(from..)?;
    loop {
        rest = rest.trim_start();
        match rest.strip_prefix("//") {
            Some(comment) => rest = comment.get(comment.find(['\n', '\r'])?..)?,
            None => return (!rest.is_empty()).then(|| file.len() - rest.len()),
        }
    }
}

/// Behind the next `;` that stands in no string and no comment.
fn policy_end(file: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(rest) = file.get(at..).and_then(|rest| rest.get(rest.find([';', '"', '/'])?..)) {
        at = file.len() - rest.len();
        at += match rest.as_bytes() {
            [b';', ..] => return at + 1,
            [b'"', ..] => string_length(rest),
            [b'/', b'/', ..] => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            _ => 1,
        };
    }
    file.len()
}

/// Of the string literal that `text` begins with, quotes and all; of the whole text where it is not closed.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

// === impl Piece ===

impl Piece<'_> {
    /// Where in `text` something stands that the parser found at `offset` of what it was given.
    pub(super) fn within(&self, offset: usize) -> usize {
        offset.saturating_sub(self.base)
    }
}

// === impl Mark ===

impl Mark {
    pub(super) fn new(offset: usize, message: impl Into<String>, help: Option<String>) -> Self {
        Self { offset, message: message.into(), help }
    }

    /// The fault it is in `file`, in whose text the marked text begins at `base`.
    pub(super) fn fault(&self, path: &Path, file: &str, base: usize) -> Fault {
        let (line, column) = place(file, base + self.offset);
        Fault { file: path.to_owned(), line: Some(line), column: Some(column), message: self.message.clone(), help: self.help.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_split_behind_each_policy() {
        let cases: [(&str, &[&str]); 9] = [
            ("", &[]),
            (" // only; a comment\n//another", &[]),
            ("a;b;", &["a;", "b;"]),
            ("a; // b;\n c;", &["a;", "c;"]),
            (r#"a ";" b; c;"#, &[r#"a ";" b;"#, "c;"]),
            (r#"a "\";" b; c"#, &[r#"a "\";" b;"#, "c"]),
            (r#"a "\\"; b;"#, &[r#"a "\\";"#, "b;"]),
            ("// a\rb;", &["b;"]),
            ("a / b; \"open; c;", &["a / b;", "\"open; c;"]),
        ];
        for (file, want) in cases {
            let pieces = pieces(file);
            let got: Vec<&str> = pieces.iter().map(|piece| piece.text.get(piece.start..).unwrap()).collect();
            assert_eq!(got, want, "{file:?}");
            assert!(pieces.iter().all(|piece| file.get(piece.offset..).unwrap().starts_with(piece.text)), "{file:?}");
        }
    }

    #[test]
    fn places_count_characters_from_one() {
        for (offset, want) in [(0, (1, 1)), (3, (1, 3)), (4, (2, 1)), (6, (2, 3)), (99, (2, 3))] {
            assert_eq!(place("\u{e9}a\nbc", offset), want, "{offset}");
        }
        let file = "\u{e9}a\nb\u{e9}\n\nc";
        let mut lines = Lines::new(file);
        for (offset, _) in file.char_indices() {
            assert_eq!(lines.place(offset), place(file, offset), "{offset}");
        }
    }
}
