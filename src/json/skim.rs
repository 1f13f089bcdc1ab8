//! What is only checked: the rules of the strict reader over a value whose grammar `serde_json` has found to be good, without building any of it.

use std::borrow::Cow;

use serde::de::{Deserialize as _, DeserializeSeed, Deserializer, Error};
use serde_json::value::RawValue;

use super::{Keys, Place};

/// A value that is only checked.
#[derive(Clone, Copy)]
pub(super) struct Checked<'p> {
    pub(super) place: Place<'p>,
}

/// A number with fewer characters than this and no exponent is in the range of 64-bit floating point.
const SHORT: usize = 300;

/// An array or object that has begun and not ended.
enum Open<'a> {
    Array,
    Object(Keys<'a>),
}

/// The way through one value.
struct Skim<'a, 'p> {
    rest: &'a str,
    place: Place<'p>,
    open: Vec<Open<'a>>,
    /// Whether a text that comes next is a key.
    key: bool,
}

impl<'de> DeserializeSeed<'de> for Checked<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        Skim { rest: text, place: self.place, open: Vec::new(), key: false }.run()
    }
}

// === impl Skim ===

impl Skim<'_, '_> {
    fn run<E: Error>(mut self) -> Result<(), E> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', ':']);
            let Some(first) = self.rest.bytes().next() else { return Ok(()) };
            match first {
                b'[' | b'{' => self.begin(first == b'{')?,
                b']' | b'}' => self.end(),
                b',' => {
                    self.key = matches!(self.open.last(), Some(Open::Object(_)));
                    self.skip(1);
                }
                b'"' => self.text()?,
                _ => self.plain()?,
            }
        }
    }

    fn begin<E: Error>(&mut self, object: bool) -> Result<(), E> {
        self.item()?;
        self.place = self.place.deeper()?;
        self.open.push(if object { Open::Object(Keys::default()) } else { Open::Array });
        self.key = object;
        self.skip(1);
        Ok(())
    }

    fn end(&mut self) {
        self.open.pop();
        self.place.depth = self.place.depth.saturating_sub(1);
        self.key = false;
        self.skip(1);
    }

    fn text<E: Error>(&mut self) -> Result<(), E> {
        let (length, escaped) = text_length(self.rest);
        let (whole, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        let inner = whole.get(1..whole.len().saturating_sub(1)).unwrap_or_default();
        // An escape may stand for half a character, or for a letter of a key that stands there already.
        let text = if escaped { Cow::Owned(serde_json::from_str::<String>(whole).map_err(E::custom)?) } else { Cow::Borrowed(inner) };
        match self.open.last_mut() {
            Some(Open::Object(keys)) if self.key => {
                self.place.count()?;
                keys.add(text)?;
            }
            _ => self.item()?,
        }
        self.key = false;
        self.rest = rest;
        Ok(())
    }

    /// A number, `true`, `false` or `null`.
    fn plain<E: Error>(&mut self) -> Result<(), E> {
        self.item()?;
        let length = self.rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        let number = !matches!(word, "true" | "false" | "null");
        if number && (word.len() >= SHORT || word.contains(['e', 'E'])) {
            serde_json::from_str::<f64>(word).map_err(E::custom)?;
        }
        self.rest = rest;
        Ok(())
    }

    /// An element of an array counts; the value of a key was counted with it.
    fn item<E: Error>(&self) -> Result<(), E> {
        if matches!(self.open.last(), Some(Open::Array)) { self.place.count() } else { Ok(()) }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

/// How long the text is that `rest` begins with, quotes included, and whether it has an escape.
fn text_length(rest: &str) -> (usize, bool) {
    let (mut at, mut escaped) = (1, false);
    loop {
        let tail = rest.as_bytes().get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', tail) {
            Some(found) if tail.get(found) == Some(&b'"') => return (at + found + 1, escaped),
            Some(found) => {
                escaped = true;
                at += found + 2;
            }
            None => return (rest.len(), escaped),
        }
    }
}
