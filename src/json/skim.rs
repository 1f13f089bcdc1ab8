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
    text: &'a str,
    /// In bytes; always between two characters.
    at: usize,
    place: Place<'p>,
    open: Vec<Open<'a>>,
    /// Whether a text that comes next is a key.
    key: bool,
}

impl<'de> DeserializeSeed<'de> for Checked<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        Skim { text, at: 0, place: self.place, open: Vec::new(), key: false }.run()
    }
}

// === impl Skim ===

impl Skim<'_, '_> {
    fn run<E: Error>(mut self) -> Result<(), E> {
        while let Some(&first) = self.text.as_bytes().get(self.at) {
            match first {
                b' ' | b'\t' | b'\n' | b'\r' | b':' => self.at += 1,
                b'[' | b'{' => self.begin(first == b'{')?,
                b']' | b'}' => self.end(),
                b',' => {
                    self.key = matches!(self.open.last(), Some(Open::Object(_)));
                    self.at += 1;
                }
                b'"' => self.string()?,
                _ => self.plain()?,
            }
        }
        Ok(())
    }

    fn begin<E: Error>(&mut self, object: bool) -> Result<(), E> {
        self.item()?;
        self.place = self.place.deeper()?;
        self.open.push(if object { Open::Object(Keys::default()) } else { Open::Array });
        self.key = object;
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) {
        self.open.pop();
        self.place.depth = self.place.depth.saturating_sub(1);
        self.key = false;
        self.at += 1;
    }

    fn string<E: Error>(&mut self) -> Result<(), E> {
        let (end, escaped) = string_end(self.text, self.at);
        let whole = self.text.get(self.at..end).unwrap_or_default();
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
        self.at = end;
        Ok(())
    }

    /// A number, `true`, `false` or `null`.
    fn plain<E: Error>(&mut self) -> Result<(), E> {
        self.item()?;
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let number = rest.first().is_some_and(|first| !first.is_ascii_alphabetic());
        let exponent = || rest.iter().take(length).any(|byte| matches!(byte, b'e' | b'E'));
        if number && (length >= SHORT || exponent()) {
            serde_json::from_slice::<f64>(rest.get(..length).unwrap_or_default()).map_err(E::custom)?;
        }
        self.at += length;
        Ok(())
    }

    /// An element of an array counts; the value of a key was counted with it.
    fn item<E: Error>(&self) -> Result<(), E> {
        if matches!(self.open.last(), Some(Open::Array)) { self.place.count() } else { Ok(()) }
    }
}

/// Where the string ends that begins at `at`, behind its quote, and whether it has an escape.
fn string_end(text: &str, at: usize) -> (usize, bool) {
    let (mut at, mut escaped) = (at + 1, false);
    loop {
        let tail = text.as_bytes().get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', tail) {
            Some(found) if tail.get(found) == Some(&b'"') => return (at + found + 1, escaped),
            Some(found) => {
                escaped = true;
                at += found + 2;
            }
            None => return (text.len(), escaped),
        }
    }
}
