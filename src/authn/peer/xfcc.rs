//! `x-forwarded-client-cert`: what proxies on the way wrote about the certificates they verified.
//!
//! Elements are joined by `,`, the pairs of one by `;`; a value with one of these or `=` in it stands in double quotes, and a double quote in it behind a
//! backslash (Envoy, *HTTP header manipulation*, x-forwarded-client-cert). A proxy that appends writes behind whatever its caller sent, so all of the
//! header is read from its beginning, and what is not of that form anywhere makes all of it unreadable: a quote left open before the last element would
//! otherwise swallow it.

use std::borrow::Cow;

/// The name of the header.
pub(super) const NAME: &str = "x-forwarded-client-cert";

/// The longest header that is read, in bytes of all its values.
const LONGEST: usize = 64 << 10;

/// What of one element matters here. Keys are the same in upper and lower case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'v> {
    /// `By`: the URIs of the proxy that wrote it.
    pub by: Vec<Cow<'v, [u8]>>,
    /// `URI`: those of the caller's certificate.
    pub uris: Vec<Cow<'v, [u8]>>,
    /// `Hash`: the SHA-256 of the caller's certificate, in hexadecimal digits.
    pub hashes: Vec<Cow<'v, [u8]>>,
}

/// Why no element can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
    #[error("it is not of the form `Key=value;Key=\"value\",…`")]
    Malformed,
}

/// The rest of a value that is being read.
struct Cursor<'v>(&'v [u8]);

/// The last element of all `values`, in their order: several headers of the name are one list (RFC 9110, section 5.3). `None` where they hold nothing.
pub(super) fn last<'v>(values: impl Iterator<Item = &'v [u8]>) -> Result<Option<Element<'v>>, Unreadable> {
    let (mut last, mut length) = (None, 0_usize);
    for value in values {
        length = length.saturating_add(value.len());
        if length > LONGEST {
            return Err(Unreadable::TooLong);
        }
        let mut cursor = Cursor(value);
        cursor.skip_space();
        if cursor.0.is_empty() {
            continue;
        }
        loop {
            last = Some(cursor.element()?);
            cursor.skip_space();
            if cursor.0.is_empty() {
                break;
            }
            cursor.expect(b',')?;
            cursor.skip_space();
        }
    }
    Ok(last)
}

// === impl Cursor ===

impl<'v> Cursor<'v> {
    fn skip_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unreadable> {
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                Ok(())
            }
            _ => Err(Unreadable::Malformed),
        }
    }

    fn element(&mut self) -> Result<Element<'v>, Unreadable> {
        let mut element = Element::default();
        loop {
            let key = self.while_is(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if key.is_empty() {
                return Err(Unreadable::Malformed);
            }
            self.expect(b'=')?;
            let value = if self.0.first() == Some(&b'"') { self.quoted()? } else { Cow::Borrowed(self.while_is(is_plain)) };
            match key {
                _ if key.eq_ignore_ascii_case(b"by") => element.by.push(value),
                _ if key.eq_ignore_ascii_case(b"uri") => element.uris.push(value),
                _ if key.eq_ignore_ascii_case(b"hash") => element.hashes.push(value),
                _ => {}
            }
            if self.0.first() != Some(&b';') {
                return Ok(element);
            }
            self.expect(b';')?;
        }
    }

    fn while_is(&mut self, wanted: impl Fn(u8) -> bool) -> &'v [u8] {
        let end = self.0.iter().position(|byte| !wanted(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at_checked(end).unwrap_or_default();
        self.0 = rest;
        taken
    }

    /// A value in quotes. A backslash keeps whatever stands behind it from meaning anything: subjects are written as in RFC 2253, where it may stand
    /// before any special character, itself among them.
    fn quoted(&mut self) -> Result<Cow<'v, [u8]>, Unreadable> {
        self.expect(b'"')?;
        let mut value = Cow::Borrowed(self.while_is(is_inside));
        loop {
            match self.0 {
                [b'"', rest @ ..] => {
                    self.0 = rest;
                    return Ok(value);
                }
                [b'\\', escaped, rest @ ..] if !escaped.is_ascii_control() => {
                    self.0 = rest;
                    value.to_mut().push(*escaped);
                }
                _ => return Err(Unreadable::Malformed),
            }
            let more = self.while_is(is_inside);
            if !more.is_empty() {
                value.to_mut().extend_from_slice(more);
            }
        }
    }
}

/// What may stand in a value without quotes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'=' | b'"' | b'\\')
}

/// What stands for itself in a value with quotes.
fn is_inside(byte: u8) -> bool {
    !byte.is_ascii_control() && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests;
