//! A strict reader of JSON (RFC 8259, I-JSON of RFC 7493) for text that decides something: token headers and claims, key sets, request bodies.
//!
//! What another reader could see differently is refused: a key that stands twice in one object (compared after unescaping), more than [`MAX_DEPTH`]
//! levels or [`MAX_VALUES`] values, text after the value, a byte-order mark, a lone surrogate. All of it is checked in the one pass that picks what is
//! wanted, since a body of which one field decides may be long; tests hold the grammar against that of `serde_json`.

mod reader;
mod scan;
mod seen;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// How deeply arrays and objects may nest.
pub const MAX_DEPTH: u8 = 32;

/// How many values a document may hold: what it costs to read grows with them, and nothing that decides needs more.
pub const MAX_VALUES: u32 = 65_536;

/// A JSON value that borrows from its text where no escape stands in the way.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    /// A number written without fraction and exponent that fits 64 bits.
    Int(i128),
    /// Any other number.
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// The members of an object, in order; no key stands twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

/// Why a text was refused, with the place as line and column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Which parts of a document to keep. Everything is checked, whether it is kept or not.
#[derive(Clone, Copy)]
pub enum Keep<P> {
    All,
    /// Only the members of an object that this picks; of an array, those of every element.
    Members(P),
}

/// What says which members of an object to keep.
pub trait Pick: Copy {
    /// How much of the member `key` to keep, `None` for nothing.
    fn member(self, key: &str) -> Option<Keep<Self>>;
}

/// Keeps those members of the outermost object that have one of these keys, whole.
#[derive(Clone, Copy, Debug)]
pub struct Named<'n>(pub &'n [&'n str]);

/// Reads `text` whole and keeps all of it.
///
/// # Errors
/// [`JsonError`] where `text` is not one strict JSON value.
pub fn read(text: &[u8]) -> Result<Value<'_>, JsonError> {
    read_keeping(text, Keep::<Named<'_>>::All)
}

/// Reads `text`, an array, and gives `take` each of its items with the byte at which it begins. Each may hold [`MAX_VALUES`], and memory is taken for one at a
/// time: for files that an operator wrote, whose length somebody bounds.
///
/// # Errors
/// [`JsonError`] where `text` is not one strict JSON array; the items before the fault have been given then.
pub fn read_items<'a>(text: &'a str, take: impl FnMut(usize, Value<'a>)) -> Result<(), JsonError> {
    reader::read_items(text, take).map_err(|fault| JsonError(fault.at_place_in(text)))
}

/// Reads `text` whole and keeps what `keep` says; memory grows with what is kept, not with the text.
///
/// # Errors
/// [`JsonError`] where `text` is not one strict JSON value.
pub fn read_keeping<P: Pick>(text: &[u8], keep: Keep<P>) -> Result<Value<'_>, JsonError> {
    let text = std::str::from_utf8(text).map_err(|_| JsonError("it is not UTF-8".to_owned()))?;
    reader::read(text, keep).map_err(|fault| JsonError(fault.at_place_in(text)))
}

// === impl Value ===

impl<'a> Value<'a> {
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    #[must_use]
    pub fn as_int(&self) -> Option<i128> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    #[must_use]
    pub fn as_list(&self) -> Option<&[Value<'a>]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    #[must_use]
    pub fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// What kind of value it is, in the words of JSON, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

// === impl Object ===

impl<'a> Object<'a> {
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// How many members it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.members.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// The same, taken apart.
    pub fn into_members(self) -> impl Iterator<Item = (Cow<'a, str>, Value<'a>)> {
        self.members.into_iter()
    }
}

// === impl Keep ===

impl Pick for Named<'_> {
    fn member(self, key: &str) -> Option<Keep<Self>> {
        self.0.contains(&key).then_some(Keep::All)
    }
}
