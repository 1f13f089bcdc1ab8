//! A YAML file as a tree in which every key and every value knows its place.
//!
//! YAML is read narrowly: what stands in the file is what is meant. Anchors, aliases, merge keys and tags are refused, since they make a value mean
//! something that is not written where a reader looks (and small files grow large); so are a second document and a key that stands twice.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path,
};

use serde_json::Value as Json;
use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, ScanError, StrInput};

use crate::{
    model::Fault,
    text::{deception, quoted},
};

/// How deeply lists and mappings may nest; the deepest key of any file of ours stands at six.
const MAX_DEPTH: usize = 32;

/// Faults of content that are kept: a file of another kind could have millions.
const FAULTS: usize = 100;

/// One step down a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Item(usize),
}

/// A place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// A number with a fraction, or beyond 64 bits, as it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
    /// Something that is not read, of which a fault has been noted: it is there, and nothing more is known of it.
    Refused,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub place: Place,
    pub text: String,
}

/// What is wrong with the YAML itself.
#[derive(Clone, Debug, PartialEq)]
pub struct YamlFault {
    pub place: Option<Place>,
    pub message: String,
    pub help: Option<&'static str>,
}

/// Reads `text`; neither a tree nor a fault comes of a file without a value. A fault of the grammar ends the reading and no tree comes back; faults of content are gathered, and what they concern stands as refused in the tree.
#[must_use]
pub fn read(text: &str) -> (Option<Node>, Vec<YamlFault>) {
    let mut options = granit_parser::options! { disallow_directives: true, emit_unresolved_aliases: true, flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    options.set_emit_comments(false);
    if let Some((at, what)) = deception(text) {
        let before = text.get(..at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let place = Place { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 };
        let fault = YamlFault { place: Some(place), message: format!("{what} hides what is written"), help: Some("remove it") };
        return (None, vec![fault]);
    }
    let mut reader = Reader { events: Parser::new_from_str_with_options(text, options), faults: Vec::new(), more: 0 };
    let node = match reader.document() {
        Ok(node) => node,
        Err(stop) => {
            reader.faults.push(stop.into());
            None
        }
    };
    if reader.more > 0 {
        reader.faults.push(YamlFault { place: None, message: format!("and {} more", reader.more), help: None });
    }
    (node, reader.faults)
}

/// The events of one file on their way into a tree.
struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    faults: Vec<YamlFault>,
    /// How many were not kept.
    more: usize,
}

/// One event that is, or begins, a node.
struct Start<'t> {
    event: Event<'t>,
    place: Place,
}

// === impl Node ===

impl Node {
    /// What kind of value it is, in the words of YAML, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Refused => "refused",
        }
    }

    /// The value without its places; `None` where a part of it is not read.
    #[must_use]
    pub fn json(&self) -> Option<Json> {
        Some(match &self.value {
            Value::Null => Json::Null,
            Value::Bool(yes) => Json::Bool(*yes),
            Value::Int(number) => Json::from(*number),
            Value::Number(text) => text.parse::<u64>().map(Json::from).or_else(|_| text.parse::<f64>().map(Json::from)).ok()?,
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::json).collect::<Option<_>>()?),
            Value::Map(entries) => entries.iter().map(|(key, value)| Some((key.text.clone(), value.json()?))).collect::<Option<_>>()?,
            Value::Refused => return None,
        })
    }

    /// Where the value at `path` stands, or as much of the path as is there.
    #[must_use]
    pub fn place_of(&self, path: &[Step]) -> Place {
        let next = match (path.split_first(), &self.value) {
            (Some((Step::Key(key), rest)), Value::Map(entries)) => entries.iter().find(|(have, _)| have.text == *key).map(|(_, node)| (node, rest)),
            (Some((Step::Item(index), rest)), Value::List(items)) => items.get(*index).map(|node| (node, rest)),
            _ => None,
        };
        next.map_or(self.place, |(node, rest)| node.place_of(rest))
    }
}

// === impl Place ===

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col().saturating_add(1) }
    }
}

// === impl YamlFault ===

impl YamlFault {
    /// The fault it is in `file`.
    #[must_use]
    pub fn fault(self, file: &Path) -> Fault {
        Fault {
            file: file.to_owned(),
            line: self.place.map(|place| place.line),
            column: self.place.map(|place| place.column),
            message: self.message,
            help: self.help.map(str::to_owned),
        }
    }
}

impl From<ScanError> for YamlFault {
    fn from(error: ScanError) -> Self {
        let message = format!("the YAML cannot be read: {}", error.info().trim_end_matches('.'));
        let help = message.contains("tab").then_some("indent with spaces");
        Self { place: Some((*error.marker()).into()), message, help }
    }
}

// === impl Reader ===

impl<'t> Reader<'t> {
    /// `None` where there is nothing but space and comments.
    fn document(&mut self) -> Result<Option<Node>, ScanError> {
        let Some(start) = self.start()? else { return Ok(None) };
        let node = self.node(start)?;
        while let Some(next) = self.events.next_event() {
            let (event, span) = next?;
            if matches!(event, Event::DocumentStart(..)) {
                self.fault(span.start.into(), "a second document begins", Some("one file holds one document: remove what follows `---`"));
                return Ok(Some(node));
            }
        }
        Ok(Some(node).filter(|node| node.value != Value::Null))
    }

    /// The next event that is about content; `None` at the end of a mapping, list or document.
    fn start(&mut self) -> Result<Option<Start<'t>>, ScanError> {
        while let Some(next) = self.events.next_event() {
            let (event, span) = next?;
            if event.is_node() {
                return Ok(Some(Start { event, place: span.start.into() }));
            }
            if matches!(event, Event::MappingEnd | Event::SequenceEnd | Event::DocumentEnd | Event::StreamEnd) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn node(&mut self, start: Start<'t>) -> Result<Node, ScanError> {
        let Start { event, place } = start;
        let decorated = event.tag().is_some() || event.anchor_id().is_some();
        let value = match event {
            Event::Scalar(text, style, ..) => Some(scalar(&text, style)),
            Event::SequenceStart(..) => Some(Value::List(self.list()?)),
            Event::MappingStart(..) => Some(Value::Map(self.map()?)),
            // An alias: its value stands elsewhere.
            _ => None,
        };
        let value = value.filter(|_| !decorated).unwrap_or_else(|| {
            self.fault(place, "anchors, aliases and tags are not read", Some("write the value itself"));
            Value::Refused
        });
        Ok(Node { place, value })
    }

    fn list(&mut self) -> Result<Vec<Node>, ScanError> {
        let mut items = Vec::new();
        while let Some(start) = self.start()? {
            items.push(self.node(start)?);
        }
        Ok(items)
    }

    fn map(&mut self) -> Result<Vec<(Key, Node)>, ScanError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut lines = HashMap::new();
        while let Some(start) = self.start()? {
            let place = start.place;
            let text = if let Event::Scalar(text, ..) = &start.event { Some(text.to_string()) } else { None };
            let refused = self.node(start)?.value == Value::Refused;
            let Some(value) = self.start()? else { break };
            let node = self.node(value)?;
            match text {
                _ if refused => {}
                None => self.fault(place, "a key must be a word", Some("write `key: value`")),
                Some(text) if text == "<<" => self.fault(place, "merge keys are not read", Some("write the keys out")),
                Some(text) => match lines.entry(text.clone()) {
                    Entry::Occupied(first) => {
                        let message = format!("{} stands twice, first in line {}", quoted(&text), first.get());
                        self.fault(place, &message, Some("remove one of them"));
                    }
                    Entry::Vacant(free) => {
                        free.insert(place.line);
                        entries.push((Key { place, text }, node));
                    }
                },
            }
        }
        Ok(entries)
    }

    fn fault(&mut self, place: Place, message: &str, help: Option<&'static str>) {
        if self.faults.len() < FAULTS {
            self.faults.push(YamlFault { place: Some(place), message: message.to_owned(), help });
        } else {
            self.more += 1;
        }
    }
}

/// The value of a scalar by the core schema of YAML 1.2 (§10.3.2): only what is written plainly can be anything but a text.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => Value::Text(text.to_owned()),
        _ => text
            .parse()
            .map_or_else(|_| if text.parse::<f64>().is_ok() { Value::Number(text.to_owned()) } else { Value::Text(text.to_owned()) }, Value::Int),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Json::Bool),
            any::<i64>().prop_map(Json::from),
            (-1e12..1e12_f64).prop_map(Json::from),
            "\\PC{0,20}".prop_map(Json::String),
            prop::sample::select(&["", "~", "null", "true", "1", "<<", "a: b", "- a", "#", "\n", "\t\"\\"][..]).prop_map(Json::from)
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            let map = prop::collection::btree_map("[a-z]{1,6}", inner.clone(), 0..5).prop_map(|map| map.into_iter().collect());
            prop_oneof![prop::collection::vec(inner, 0..5).prop_map(Json::Array), map]
        })
    }

    proptest! {
        /// JSON is YAML 1.2, so a document of the one read as the other says the same.
        #[test]
        fn json_read_as_yaml_is_the_same(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let (node, faults) = read(&text);
            prop_assert_eq!(faults, []);
            prop_assert_eq!(node.unwrap().json(), Some(value));
        }
    }

    #[test]
    fn the_first_faults_of_many_are_kept() {
        let (node, faults) = read(&"- *x\n".repeat(5000));
        assert!(matches!(node.unwrap().value, Value::List(items) if items.len() == 5000));
        assert_eq!((faults.len(), faults.last().unwrap().message.as_str()), (101, "and 4900 more"));
        let (node, faults) =
            read(&(0..5000).map(|key| ["k", &key.to_string(), ": 1\nk", &(key / 2).to_string(), ": 2\n"].concat()).collect::<String>());
        assert!(matches!(node.unwrap().value, Value::Map(entries) if entries.len() == 5000));
        assert_eq!((faults[0].message.as_str(), faults.len()), ("`k0` stands twice, first in line 1", 101));
    }

    #[test]
    fn only_what_is_written_plainly_can_be_more_than_a_text() {
        let cases = [
            ("true", Value::Bool(true)),
            ("'true'", Value::Text("true".to_owned())),
            ("yes", Value::Text("yes".to_owned())),
            ("on", Value::Text("on".to_owned())),
            ("0123", Value::Int(123)),
            ("-7", Value::Int(-7)),
            ("1.5", Value::Number("1.5".to_owned())),
            ("99999999999999999999", Value::Number("99999999999999999999".to_owned())),
            ("127.0.0.1", Value::Text("127.0.0.1".to_owned())),
            ("0x10", Value::Text("0x10".to_owned())),
            ("16MiB", Value::Text("16MiB".to_owned())),
            ("1111-2222", Value::Text("1111-2222".to_owned())),
            ("|\n  1\n", Value::Text("1\n".to_owned())),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).0.map(|node| node.value), Some(expected), "{text}");
        }
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        for text in ["# ü\nä: [é, {b: 1}]\n", "# ü\r\nä: [é, {b: 1}]\r\n", "\u{feff}# ü\nä: [é, {b: 1}]\n"] {
            let node = read(text).0.unwrap();
            let place = |steps: &[Step]| node.place_of(steps);
            let (key, item) = (|key: &str| Step::Key(key.to_owned()), Step::Item);
            assert_eq!(place(&[key("ä"), item(0)]), Place { line: 2, column: 5 }, "{text:?}");
            assert_eq!(place(&[key("ä"), item(1), key("b")]), Place { line: 2, column: 12 }, "{text:?}");
            assert_eq!(place(&[key("ä"), item(1), key("none")]), Place { line: 2, column: 8 }, "as far as the path goes");
        }
    }
}
