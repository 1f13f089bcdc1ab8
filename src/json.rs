//! A strict reader of JSON (RFC 8259, I-JSON of RFC 7493) for text that decides something: token headers and claims, key sets, request bodies.
//!
//! Grammar and Unicode are `serde_json`'s; what it tolerates and another reader could see differently is refused here: a key that stands twice in
//! one object (compared after unescaping), more than [`MAX_DEPTH`] levels or [`MAX_VALUES`] values, text after the value, a byte-order mark, a lone surrogate.

mod skim;

use std::{borrow::Cow, cell::Cell, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use self::skim::Checked;
use crate::text::quoted;

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
    /// A value that was checked but not kept, since nobody asked for it.
    Skipped,
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
pub enum Keep<'k> {
    All,
    /// Only the members of the outermost object for which this says yes, whole.
    Members(&'k dyn Fn(&str) -> bool),
}

/// Reads `text` whole and keeps all of it.
///
/// # Errors
/// [`JsonError`] where `text` is not one strict JSON value.
pub fn read(text: &[u8]) -> Result<Value<'_>, JsonError> {
    read_keeping(text, Keep::All)
}

/// Reads `text` whole and keeps what `keep` says; memory grows with what is kept, not with the text.
///
/// # Errors
/// [`JsonError`] where `text` is not one strict JSON value.
pub fn read_keeping<'a>(text: &'a [u8], keep: Keep<'_>) -> Result<Value<'a>, JsonError> {
    let text = std::str::from_utf8(text).map_err(|_| JsonError("it is not UTF-8".to_owned()))?;
    let left = Cell::new(MAX_VALUES);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Node { keep, place: Place { depth: 0, left: &left } }.deserialize(&mut reader).map_err(|error| JsonError(error.to_string()))?;
    reader.end().map_err(|error| JsonError(error.to_string()))?;
    Ok(value)
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
            Self::Skipped => "a value",
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
}

// === impl Keep ===

impl Keep<'_> {
    fn member(self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Members(wanted) => wanted(key),
        }
    }
}

/// Where the reader stands: how deep it is, and how many values it may still meet.
#[derive(Clone, Copy)]
struct Place<'p> {
    depth: u8,
    left: &'p Cell<u32>,
}

/// A value of which `keep` says what is kept.
#[derive(Clone, Copy)]
struct Node<'k, 'p> {
    keep: Keep<'k>,
    place: Place<'p>,
}

// === impl Place ===

impl Place<'_> {
    /// The place of the members of a value that stands here.
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth < MAX_DEPTH {
            Ok(Self { depth: self.depth + 1, ..self })
        } else {
            Err(E::custom(format_args!("it nests deeper than {MAX_DEPTH} levels")))
        }
    }

    /// One more value.
    fn count<E: serde::de::Error>(self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| E::custom(format_args!("it holds more than {MAX_VALUES} values")))?;
        self.left.set(left);
        Ok(())
    }
}

/// The keys an object has had so far; a list while it is short, since most objects are.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    fn add<E: serde::de::Error>(&mut self, key: Cow<'a, str>) -> Result<(), E> {
        const FEW: usize = 12;
        if self.few.contains(&key) || self.many.contains(&key) {
            return Err(E::custom(format_args!("a key stands twice in one object: {}", quoted(&key))));
        }
        if self.few.len() < FEW {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
        Ok(())
    }
}

/// A key or text, borrowed where it can be.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let place = self.place.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Node { keep: Keep::All, place })? {
            place.count()?;
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let place = self.place.deeper()?;
        let (mut keys, mut members) = (Keys::default(), Vec::new());
        while let Some(key) = map.next_key_seed(Text)? {
            place.count()?;
            keys.add::<A::Error>(key.clone())?;
            if self.keep.member(&key) {
                let value = map.next_value_seed(Node { keep: Keep::All, place })?;
                members.push((key, value));
            } else {
                map.next_value_seed(Checked { place })?;
            }
        }
        Ok(Value::Object(Object { members }))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_another_reader_could_see_differently_is_refused() {
        let deep = "[".repeat(33) + &"]".repeat(33);
        let cases: [&[u8]; 16] = [
            br#"{"a":1,"a":2}"#,
            br#"{"job_id":42,"job\u005fid":43}"#,
            br#"{"x":{"a":1,"a":2}}"#,
            br#"[{"a":1,"a":1}]"#,
            b"\xef\xbb\xbf{}",
            br#"{"a":"\ud800"}"#,
            br#"{"\udc00":1}"#,
            br"{}{}",
            br"{} x",
            br"{a:1}",
            br"{'a':1}",
            br#"{"a":1,}"#,
            br#"{"a":NaN}"#,
            b"{\"a\":\"\xff\"}",
            b"",
            deep.as_bytes(),
        ];
        for text in cases {
            assert!(read(text).is_err(), "accepted {:?}", String::from_utf8_lossy(text));
            assert!(read_keeping(text, Keep::Members(&|_| false)).is_err(), "accepted unkept {:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn duplicates_are_found_among_many_keys() {
        let mut text = String::from("{");
        for i in 0..100 {
            let _ = write!(text, "\"k{i}\":{i},");
        }
        assert!(read(format!("{text}\"k99\":1}}").as_bytes()).is_err());
        assert!(read(format!("{text}\"k3\":1}}").as_bytes()).is_err());
        assert!(read(format!("{text}\"k100\":1}}").as_bytes()).is_ok());
    }

    #[test]
    fn a_document_of_too_many_values_is_refused_whether_they_are_kept_or_not() {
        let list = |count: u32| format!("[{}0]", "0,".repeat(count as usize - 1));
        let object = |count: u32| format!("{{{}\"z\":0}}", (1..count).fold(String::new(), |text, i| format!("{text}\"{i}\":0,")));
        assert!(read(list(MAX_VALUES).as_bytes()).is_ok());
        assert!(read(object(4096).as_bytes()).is_ok());
        for text in [list(MAX_VALUES + 1), format!("{{\"a\":{}}}", list(MAX_VALUES))] {
            assert!(read(text.as_bytes()).is_err());
            assert!(read_keeping(text.as_bytes(), Keep::Members(&|_| false)).is_err());
        }
    }

    #[test]
    fn only_what_was_asked_for_is_kept() {
        let value = read_keeping(br#"{"job_id":42,"pad":[1,2,{"x":"y"}],"n":1.5}"#, Keep::Members(&|key| key == "job_id")).unwrap();
        let object = value.as_object().unwrap();
        assert_eq!(object.iter().collect::<Vec<_>>(), [("job_id", &Value::Int(42))]);
    }

    #[test]
    fn numbers_keep_their_kind() {
        let value = read(br"[1, -1, 18446744073709551615, 18446744073709551616, 1.0, 1e2]").unwrap();
        let kinds: Vec<bool> = value.as_list().unwrap().iter().map(|item| item.as_int().is_some()).collect();
        assert_eq!(kinds, [true, true, true, false, false, false]);
    }

    /// What holds for every text: nothing panics, what is kept changes nothing about what is accepted, and nothing is accepted here that
    /// the tolerant reader refuses or reads as something else.
    fn hold(text: &[u8]) {
        let whole = read(text);
        let none = read_keeping(text, Keep::Members(&|_| false));
        let some = read_keeping(text, Keep::Members(&|key| key.len() % 2 == 0));
        assert!(whole.is_ok() == none.is_ok() && none.is_ok() == some.is_ok(), "acceptance depends on what is kept");
        if let Ok(value) = whole {
            let tolerant: serde_json::Value = serde_json::from_slice(text).expect("the tolerant reader refuses what the strict one accepts");
            assert!(agrees(&value, &tolerant), "{value:?} is not {tolerant:?}");
        }
    }

    fn agrees(strict: &Value<'_>, tolerant: &serde_json::Value) -> bool {
        match (strict, tolerant) {
            (Value::Null, serde_json::Value::Null) => true,
            (Value::Bool(strict), serde_json::Value::Bool(tolerant)) => strict == tolerant,
            (Value::Int(strict), serde_json::Value::Number(tolerant)) => tolerant.as_i128() == Some(*strict),
            (Value::Float(strict), serde_json::Value::Number(tolerant)) => tolerant.as_f64() == Some(*strict),
            (Value::Text(strict), serde_json::Value::String(tolerant)) => strict == tolerant,
            (Value::List(strict), serde_json::Value::Array(tolerant)) => {
                strict.len() == tolerant.len() && strict.iter().zip(tolerant).all(|(strict, tolerant)| agrees(strict, tolerant))
            }
            (Value::Object(strict), serde_json::Value::Object(tolerant)) => {
                strict.iter().count() == tolerant.len()
                    && strict.iter().all(|(key, value)| tolerant.get(key).is_some_and(|other| agrees(value, other)))
            }
            _ => false,
        }
    }

    #[test]
    fn no_text_panics_or_is_read_in_two_ways() {
        bolero::check!().for_each(|text: &[u8]| hold(text));
    }

    /// JSON, and what is nearly JSON: random bytes seldom get past the first one.
    fn nearly_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            20 => "null|true|-?[1-9][0-9]{0,20}|-?[1-9](\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?|\"[ab]{0,2}(\\\\u00[46][12])?\"",
            1 => "\"\\\\ud83d(\\\\ude00)?\"|.{0,3}"
        ];
        leaf.prop_recursive(5, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                proptest::collection::vec(("\"[a-d]{0,2}(\\\\u006[12])?\"", inner), 0..4).prop_map(|members| {
                    let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                    format!("{{{}}}", members.join(", "))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_near_json_panics_or_is_read_in_two_ways(text in nearly_json()) {
            hold(text.as_bytes());
        }
    }
}
