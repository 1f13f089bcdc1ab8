use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};

/// A number of bytes, written as a whole number of `B`, `KiB`, `MiB` or `GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A length of time, written as a whole number of `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// The `format` by which the JSON Schema names a [`Size`].
pub(super) const SIZE: &str = "size";
/// The `format` by which the JSON Schema names a [`Span`].
pub(super) const SPAN: &str = "duration-with-unit";

const SIZE_UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
const SPAN_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

// === impl Size ===

impl Size {
    /// `None` where `text` is not a whole number and a unit, or is beyond 64 bits. A missing unit is refused: 64 of what?
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        measure(text, &SIZE_UNITS).map(Self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("it is not a size"))
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": SIZE, "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)$" })
    }
}

// === impl Span ===

impl Span {
    /// `None` where `text` is not a whole number and a unit, or is beyond 64 bits of milliseconds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        measure(text, &SPAN_UNITS).map(|ms| Self(Duration::from_millis(ms)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("it is not a duration"))
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": SPAN, "pattern": "^[0-9]+ ?(ms|s|m|h|d)$" })
    }
}

fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(split)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_a_whole_number_and_a_unit() {
        let sizes = [("16MiB", Some(16 << 20)), ("96KiB", Some(96 << 10)), ("2 GiB", Some(2 << 30)), ("7B", Some(7)), ("0B", Some(0))];
        for (text, bytes) in sizes {
            assert_eq!(Size::parse(text).map(|size| size.0), bytes, "{text}");
        }
        for bad in
            ["", "16", "16MB", "16 mib", "MiB", "-1B", "1.5MiB", "16  MiB", "16MiB ", "18446744073709551615GiB", "99999999999999999999B", "１B"]
        {
            assert_eq!(Size::parse(bad), None, "{bad}");
        }
        let spans = [("250ms", 250), ("60s", 60_000), ("2m", 120_000), ("1h", 3_600_000), ("1d", 86_400_000)];
        for (text, ms) in spans {
            assert_eq!(Span::parse(text), Some(Span(Duration::from_millis(ms))), "{text}");
        }
        for bad in ["", "60", "1h30m", "s", "-1s", "1.5s", "60 sec", "18446744073709551615d"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }
}
