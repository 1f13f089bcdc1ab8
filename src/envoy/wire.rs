//! A reader of the protobuf wire format (encoding specification, "Message Structure") that copies nothing.

use std::ops::Range;

/// The fields of one message, in order: an iterator over a part of the buffer that knows its place in the whole.
#[derive(Clone, Debug)]
pub(super) struct Fields<'w> {
    wire: &'w [u8],
    at: usize,
    end: usize,
}

/// What one field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Varint(u64),
    /// A string, bytes or a message: where it stands in the buffer.
    Bytes(Range<usize>),
    /// A 32-bit or 64-bit number; lakegate reads none.
    Fixed,
}

/// Why bytes are no `CheckRequest` that lakegate reads. Each is answered with a deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error("the message ends within a field")]
    Truncated,
    #[error("a number is longer than 64 bits")]
    Varint,
    /// Field number 0, or one over 29 bits.
    #[error("a field has an impossible number")]
    FieldNumber,
    /// Groups, which proto3 does not have, and the two types that do not exist.
    #[error("a field has an unsupported wire type")]
    WireType,
    #[error("a known field has another type")]
    FieldType,
    /// Readers of protobuf take the last one, or merge; Envoy sends every field once.
    #[error("a field that stands once stands several times")]
    Repeated,
    #[error("a header or a body is given in two ways")]
    Contradiction,
    #[error("the query or the fragment is apart from the path")]
    SplitPath,
    #[error("it has more than {} headers", super::decode::MAX_HEADERS)]
    TooManyHeaders,
    #[error("it is longer than 4 GiB")]
    TooLong,
}

// === impl Fields ===

impl<'w> Fields<'w> {
    pub(super) fn new(wire: &'w [u8]) -> Self {
        Self { wire, at: 0, end: wire.len() }
    }

    /// The fields of the message that stands at `range` of the same buffer.
    pub(super) fn within(&self, range: Range<usize>) -> Self {
        Self { wire: self.wire, at: range.start, end: range.end.min(self.end) }
    }

    /// The next field's number and value; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value)>, Undecodable> {
        if self.at >= self.end {
            return Ok(None);
        }
        let tag = u32::try_from(self.varint()?).map_err(|_| Undecodable::FieldNumber)?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Undecodable::FieldNumber);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Undecodable::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Undecodable::WireType),
        };
        Ok(Some((number, value)))
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, Undecodable> {
        let start = self.at;
        let end = start.checked_add(length).filter(|end| *end <= self.end).ok_or(Undecodable::Truncated)?;
        self.at = end;
        Ok(start..end)
    }

    fn varint(&mut self) -> Result<u64, Undecodable> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            if self.at >= self.end {
                return Err(Undecodable::Truncated);
            }
            let byte = *self.wire.get(self.at).ok_or(Undecodable::Truncated)?;
            self.at += 1;
            let bits = u64::from(byte & 0x7f);
            // Only one bit of the tenth byte is left.
            if shift == 63 && bits > 1 {
                return Err(Undecodable::Varint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Undecodable::Varint)
    }
}

// === impl Value ===

impl Value {
    pub(super) fn bytes(self) -> Result<Range<usize>, Undecodable> {
        if let Self::Bytes(range) = self { Ok(range) } else { Err(Undecodable::FieldType) }
    }

    pub(super) fn varint(self) -> Result<u64, Undecodable> {
        if let Self::Varint(number) = self { Ok(number) } else { Err(Undecodable::FieldType) }
    }
}
