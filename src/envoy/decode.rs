//! `CheckRequest` → [`RawCall`]: spans of the one buffer, no maps and no copies.
//!
//! Where protobuf readers would choose (the last of several, or a merge), this one refuses: a field that stands once may stand once only. Envoy
//! writes every field once, so for all that Envoy sends the reading is that of the generated types, and the tests hold it to them.

use std::ops::Range;

use bytes::Bytes;

use super::wire::{Fields, Undecodable, Value};
use crate::model::{HeaderForm, RawCall, RawFields, Span};

/// How many headers one check may carry. Envoy's own default limit for a request is 100; without one, a message of two-byte entries would grow
/// eightfold in memory.
pub(super) const MAX_HEADERS: usize = 1024;

/// A singular field while it is being read.
#[derive(Debug, Default)]
struct Once(Option<Range<usize>>);

/// The fields of `AttributeContext.HttpRequest`, while they are being read.
#[derive(Debug, Default)]
struct Http {
    method: Once,
    path: Once,
    host: Once,
    protocol: Once,
    header_map: Once,
    body: Once,
    raw_body: Once,
    size: Option<u64>,
    headers: Vec<(Span, Span)>,
}

/// Reads one `envoy.service.auth.v3.CheckRequest`. Texts are not checked to be UTF-8; `normalize` believes none of them.
///
/// # Errors
/// [`Undecodable`] where `wire` is not protobuf, says one thing in two ways, or is larger than a check can be.
pub fn decode(wire: Bytes) -> Result<RawCall, Undecodable> {
    let fields = read(&wire)?;
    Ok(RawCall::new(wire, fields))
}

fn read(wire: &[u8]) -> Result<RawFields, Undecodable> {
    let root = Fields::new(wire);
    let [attributes] = singular(root.clone(), [1])?;
    let mut out = RawFields::default();
    let Some(attributes) = attributes.0 else { return Ok(out) };
    let [source, request] = singular(root.within(attributes), [1, 4])?;
    if let Some(source) = source.0 {
        let [address, principal, certificate] = singular(root.within(source), [1, 4, 5])?;
        out.principal = principal.span()?;
        out.certificate = certificate.span()?;
        if let Some(address) = address.0 {
            out.source_address = socket_address(&root, address)?;
        }
    }
    if let Some(request) = request.0 {
        let [http] = singular(root.within(request), [2])?;
        if let Some(http) = http.0 {
            Http::read(root.within(http))?.finish(&root, &mut out)?;
        }
    }
    Ok(out)
}

/// `config.core.v3.Address`: its `socket_address.address`, or nothing where it is a pipe or an internal listener.
fn socket_address(root: &Fields<'_>, address: Range<usize>) -> Result<Span, Undecodable> {
    let [socket] = singular(root.within(address), [1])?;
    let Some(socket) = socket.0 else { return Ok(Span::default()) };
    let [text] = singular(root.within(socket), [2])?;
    text.span()
}

/// The fields of `message` with these numbers, each at most once; all others are skipped.
fn singular<const N: usize>(mut message: Fields<'_>, numbers: [u32; N]) -> Result<[Once; N], Undecodable> {
    let mut found = [const { Once(None) }; N];
    while let Some((number, value)) = message.next()? {
        if let Some((_, once)) = numbers.iter().zip(&mut found).find(|(wanted, _)| **wanted == number) {
            once.set(value)?;
        }
    }
    Ok(found)
}

// === impl Once ===

impl Once {
    fn set(&mut self, value: Value) -> Result<(), Undecodable> {
        if self.0.replace(value.bytes()?).is_some() { Err(Undecodable::Repeated) } else { Ok(()) }
    }

    /// An absent field reads as an empty one, as proto3 has it.
    fn span(&self) -> Result<Span, Undecodable> {
        self.0.as_ref().map_or(Ok(Span::default()), |range| span(range.clone()))
    }

    fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(Range::is_empty)
    }
}

fn span(range: Range<usize>) -> Result<Span, Undecodable> {
    Span::new(range).ok_or(Undecodable::TooLong)
}

// === impl Http ===

impl Http {
    fn read(mut message: Fields<'_>) -> Result<Self, Undecodable> {
        let mut http = Self { headers: Vec::with_capacity(32), ..Self::default() };
        while let Some((number, value)) = message.next()? {
            match number {
                2 => http.method.set(value)?,
                3 => {
                    let [name, value] = singular(message.within(value.bytes()?), [1, 2])?;
                    http.push(&name, &value)?;
                }
                4 => http.path.set(value)?,
                5 => http.host.set(value)?,
                // Envoy leaves `query` and `fragment` empty and the query in the path; were they filled, the path would not be the whole.
                7 | 8 if !value.clone().bytes()?.is_empty() => return Err(Undecodable::SplitPath),
                9 if http.size.is_some() => return Err(Undecodable::Repeated),
                9 => http.size = Some(value.varint()?),
                10 => http.protocol.set(value)?,
                11 => http.body.set(value)?,
                12 => http.raw_body.set(value)?,
                13 => http.header_map.set(value)?,
                _ => {}
            }
        }
        Ok(http)
    }

    fn push(&mut self, name: &Once, value: &Once) -> Result<(), Undecodable> {
        if self.headers.len() >= MAX_HEADERS {
            return Err(Undecodable::TooManyHeaders);
        }
        self.headers.push((name.span()?, value.span()?));
        Ok(())
    }

    fn finish(mut self, root: &Fields<'_>, out: &mut RawFields) -> Result<(), Undecodable> {
        let joined = self.headers.len();
        if let Some(map) = self.header_map.0.take() {
            self.read_header_map(root, map)?;
            out.header_form = if joined == 0 {
                HeaderForm::Raw
            } else if self.headers.len() == joined {
                HeaderForm::Joined
            } else {
                HeaderForm::Both
            };
        }
        out.body = match (self.body.is_empty(), self.raw_body.is_empty()) {
            (false, false) => return Err(Undecodable::Contradiction),
            (_, true) if self.body.0.is_some() => Some(self.body.span()?),
            _ if self.raw_body.0.is_some() => Some(self.raw_body.span()?),
            _ => None,
        };
        out.method = self.method.span()?;
        out.path = self.path.span()?;
        out.host = self.host.span()?;
        out.protocol = self.protocol.span()?;
        // A protobuf `int64` is two's complement in a 64-bit varint.
        out.size = self.size.unwrap_or_default().cast_signed();
        out.headers = self.headers;
        Ok(())
    }

    /// `config.core.v3.HeaderMap`: what `encode_raw_headers` sends, each value in `raw_value`.
    fn read_header_map(&mut self, root: &Fields<'_>, map: Range<usize>) -> Result<(), Undecodable> {
        let mut entries = root.within(map);
        while let Some((number, entry)) = entries.next()? {
            if number == 1 {
                let [name, text, raw] = singular(root.within(entry.bytes()?), [1, 2, 3])?;
                match (text.is_empty(), raw.is_empty()) {
                    (false, false) => return Err(Undecodable::Contradiction),
                    (false, true) => self.push(&name, &text)?,
                    (true, _) => self.push(&name, &raw)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
