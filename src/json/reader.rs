//! The reader: RFC 8259 by recursive descent, at most [`MAX_DEPTH`] levels deep, with the rules of [`crate::json`] on the way.

use std::borrow::Cow;

use super::{Keep, MAX_DEPTH, MAX_VALUES, Named, Object, Pick, Value, scan, seen::Seen};
use crate::text::quoted;

const NO_VALUE: &str = "a value was expected";

/// What is wrong, and at which byte.
pub(super) struct Fault {
    at: usize,
    what: Box<str>,
}

/// The way through one text.
struct Reader<'a> {
    text: &'a str,
    /// In bytes; between two values it is between two characters too.
    at: usize,
    /// How many values may still come.
    left: u32,
    /// The keys of objects that have ended, emptied: their memory serves the next.
    spare: Vec<Seen<'a>>,
}

pub(super) fn read<P: Pick>(text: &str, keep: Keep<P>) -> Result<Value<'_>, Fault> {
    let mut reader = Reader::new(text);
    let value = reader.value(keep, 0)?;
    reader.end().map(|()| value)
}

/// The same of an array, one item at a time.
pub(super) fn read_items<'a>(text: &'a str, mut take: impl FnMut(usize, Value<'a>)) -> Result<(), Fault> {
    let mut reader = Reader::new(text);
    reader.space();
    if reader.peek() != Some(b'[') {
        return reader.fault("an array was expected");
    }
    reader.items(0, |reader, depth| {
        reader.left = MAX_VALUES;
        reader.space();
        let at = reader.at;
        take(at, reader.value(Keep::<Named<'_>>::All, depth)?);
        Ok(())
    })?;
    reader.end()
}

// === impl Fault ===

impl Fault {
    /// The message, with line and column of the place in `text`, both from 1.
    pub(super) fn at_place_in(&self, text: &str) -> String {
        let before = text.as_bytes().get(..self.at).unwrap_or(text.as_bytes());
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!("{} at line {line} column {column}", self.what)
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, left: MAX_VALUES, spare: Vec::new() }
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.fault("something stands behind the value") }
    }

    /// The value that comes next, `depth` levels deep.
    fn value<P: Pick>(&mut self, keep: Keep<P>, depth: u8) -> Result<Value<'a>, Fault> {
        self.space();
        match self.peek() {
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'{') => {
                let mut members = Vec::new();
                self.members(depth, |reader, key, depth| {
                    let keep = match keep {
                        Keep::All => Some(Keep::All),
                        Keep::Members(pick) => pick.member(&key),
                    };
                    match keep {
                        Some(keep) => members.push((key, reader.value(keep, depth)?)),
                        None => reader.skip(depth)?,
                    }
                    Ok(())
                })?;
                Ok(Value::Object(Object { members }))
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.items(depth, |reader, depth| {
                    items.push(reader.value(keep, depth)?);
                    Ok(())
                })?;
                Ok(Value::List(items))
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true").map(|()| Value::Bool(true)),
            Some(b'f') => self.word("false").map(|()| Value::Bool(false)),
            Some(b'n') => self.word("null").map(|()| Value::Null),
            _ => self.fault(NO_VALUE),
        }
    }

    /// Checks the value that comes next as [`Self::value`] does, and keeps nothing of it.
    fn skip(&mut self, depth: u8) -> Result<(), Fault> {
        self.space();
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'{') => self.members(depth, |reader, _, depth| reader.skip(depth)),
            Some(b'[') => self.items(depth, Self::skip),
            Some(b'-' | b'0'..=b'9') => self.skip_number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.fault(NO_VALUE),
        }
    }

    /// The object that begins here; `value` reads the value of each key.
    fn members(&mut self, depth: u8, mut value: impl FnMut(&mut Self, Cow<'a, str>, u8) -> Result<(), Fault>) -> Result<(), Fault> {
        let depth = self.deeper(depth)?;
        let mut keys = self.spare.pop().unwrap_or_default();
        let mut more = self.begin(b'}');
        while more {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return self.fault("a key was expected");
            }
            let key = self.string()?;
            self.count()?;
            if !keys.add(key.clone()) {
                return Err(Fault { at: start, what: format!("a key stands twice in one object: {}", quoted(&key)).into() });
            }
            self.space();
            if !self.take(b':') {
                return self.fault("`:` was expected behind a key");
            }
            value(self, key, depth)?;
            more = self.more(b'}')?;
        }
        keys.clear();
        self.spare.push(keys);
        Ok(())
    }

    /// The array that begins here; `value` reads each element.
    fn items(&mut self, depth: u8, mut value: impl FnMut(&mut Self, u8) -> Result<(), Fault>) -> Result<(), Fault> {
        let depth = self.deeper(depth)?;
        let mut more = self.begin(b']');
        while more {
            self.count()?;
            value(self, depth)?;
            more = self.more(b']')?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let (start, escaped) = (self.at, self.quoted()?);
        let whole = self.text.get(start..self.at).unwrap_or_default();
        if escaped {
            return unescaped(whole).map(Cow::Owned).ok_or_else(|| half(start));
        }
        Ok(Cow::Borrowed(whole.get(1..whole.len().saturating_sub(1)).unwrap_or_default()))
    }

    /// Escapes are read here too, since one may stand for half a character.
    #[inline]
    fn skip_string(&mut self) -> Result<(), Fault> {
        let (start, escaped) = (self.at, self.quoted()?);
        let good = !escaped || self.text.get(start..self.at).and_then(unescaped).is_some();
        if good { Ok(()) } else { Err(half(start)) }
    }

    /// Goes to the end of the string that begins here, and says whether it has an escape.
    #[inline]
    fn quoted(&mut self) -> Result<bool, Fault> {
        let Some((length, escaped)) = scan::string(self.rest()) else {
            return self.fault("a string does not end, or has a control character");
        };
        self.at += length;
        Ok(escaped)
    }

    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let (start, number) = (self.at, self.digits()?);
        let text = self.text.get(start..self.at).unwrap_or_default();
        let whole = text.parse::<i128>().ok().filter(|whole| number.whole && text != "-0" && fits(*whole));
        whole.map_or_else(|| float(text).map(Value::Float).ok_or_else(|| out_of_range(start)), |whole| Ok(Value::Int(whole)))
    }

    #[inline]
    fn skip_number(&mut self) -> Result<(), Fault> {
        /// A number with fewer characters than this and no exponent is in the range of 64-bit floating point.
        const SHORT: usize = 300;
        let (start, number) = (self.at, self.digits()?);
        if number.length < SHORT && !number.exponent {
            return Ok(());
        }
        float(self.text.get(start..self.at).unwrap_or_default()).map(drop).ok_or_else(|| out_of_range(start))
    }

    #[inline]
    fn digits(&mut self) -> Result<scan::Number, Fault> {
        let Some(number) = scan::number(self.rest()) else { return self.fault("a number is not complete") };
        self.at += number.length;
        Ok(number)
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        if !self.rest().starts_with(word.as_bytes()) {
            return self.fault(NO_VALUE);
        }
        self.at += word.len();
        Ok(())
    }

    /// Whether anything stands before `end` in the object or array that begins here.
    fn begin(&mut self, end: u8) -> bool {
        self.at += 1;
        self.space();
        !self.take(end)
    }

    /// Whether another member or element follows, or `end` stands here.
    #[inline]
    fn more(&mut self, end: u8) -> Result<bool, Fault> {
        self.space();
        if self.take(b',') {
            return Ok(true);
        }
        if self.take(end) { Ok(false) } else { self.fault(&format!("`,` or `{}` was expected", char::from(end))) }
    }

    fn deeper(&self, depth: u8) -> Result<u8, Fault> {
        if depth < MAX_DEPTH { Ok(depth + 1) } else { self.fault(&format!("it nests deeper than {MAX_DEPTH} levels")) }
    }

    /// One more value.
    #[inline]
    fn count(&mut self) -> Result<(), Fault> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return self.fault(&format!("it holds more than {MAX_VALUES} values")),
        }
        Ok(())
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[cold]
    fn fault<T>(&self, what: &str) -> Result<T, Fault> {
        Err(Fault { at: self.at, what: what.into() })
    }
}

fn unescaped(quoted: &str) -> Option<String> {
    serde_json::from_str(quoted).ok()
}

#[cold]
fn half(at: usize) -> Fault {
    Fault { at, what: "a string has an escape that stands for no character".into() }
}

fn fits(whole: i128) -> bool {
    i64::try_from(whole).is_ok() || u64::try_from(whole).is_ok()
}

fn float(text: &str) -> Option<f64> {
    serde_json::from_str(text).ok()
}

#[cold]
fn out_of_range(at: usize) -> Fault {
    Fault { at, what: "a number is out of range".into() }
}
