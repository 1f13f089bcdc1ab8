//! The configuration file as a tree in which every key and every value knows its place.
//!
//! YAML is read narrowly: what stands in the file is what is meant. Anchors, aliases, merge keys and tags are refused, since they make a value mean
//! something that is not written where a reader looks (and small files grow large); so are a second document and a key that stands twice.

use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, ScanError, StrInput};

use super::{path::Step, quote::quoted};

/// How deeply lists and mappings may nest. The deepest key of the configuration stands at five.
const MAX_DEPTH: usize = 32;

/// A place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// A number with a fraction, or beyond 64 bits, as it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) text: String,
}

/// What is wrong with the YAML itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct YamlFault {
    pub(super) place: Option<Place>,
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
}

/// Reads `text`. A fault of the grammar ends the reading and no tree comes back; faults of content are gathered, and the tree leaves out what they concern.
pub(super) fn read(text: &str) -> (Option<Node>, Vec<YamlFault>) {
    let mut options = granit_parser::options! { disallow_directives: true, emit_unresolved_aliases: true, flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    options.set_emit_comments(false);
    let mut reader = Reader { events: Parser::new_from_str_with_options(text, options), faults: Vec::new() };
    let node = match reader.document() {
        Ok(node) => node,
        Err(stop) => {
            reader.faults.push(stop.into());
            None
        }
    };
    if node.is_none() && reader.faults.is_empty() {
        reader.faults.push(YamlFault { place: None, message: "the file is empty".to_owned(), help: Some("begin with `version: 1`") });
    }
    (node, reader.faults)
}

/// The events of one file on their way into a tree.
struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    faults: Vec<YamlFault>,
}

/// One event that is, or begins, a node.
struct Start<'t> {
    event: Event<'t>,
    place: Place,
}

// === impl Node ===

impl Node {
    /// What kind of value it is, in the words of YAML, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Where the value at `path` stands, or as much of the path as is there.
    pub(super) fn place_of(&self, path: &[Step]) -> Place {
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

impl From<ScanError> for YamlFault {
    fn from(error: ScanError) -> Self {
        let message = format!("the YAML cannot be read: {}", error.info().trim_end_matches('.'));
        let help = message.contains("tab").then_some("indent with spaces");
        Self { place: Some((*error.marker()).into()), message, help }
    }
}

// === impl Reader ===

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Option<Node>, ScanError> {
        let node = match self.start()? {
            None => return Ok(None),
            Some(start) => self.node(start)?,
        };
        while let Some(next) = self.events.next_event() {
            let (event, span) = next?;
            if matches!(event, Event::DocumentStart(..)) {
                self.fault(span.start.into(), "a second document begins", Some("one file holds one configuration: remove what follows `---`"));
                return Ok(node);
            }
        }
        Ok(node.filter(|node| node.value != Value::Null))
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

    /// `None` where the node is refused; its faults are noted.
    fn node(&mut self, start: Start<'t>) -> Result<Option<Node>, ScanError> {
        let Start { event, place } = start;
        let decorated = event.tag().is_some() || event.anchor_id().is_some();
        let alias = matches!(event, Event::Alias(_) | Event::UnresolvedAlias(_));
        let value = match event {
            Event::Scalar(text, style, ..) => Some(scalar(&text, style)),
            Event::SequenceStart(..) => self.list()?.map(Value::List),
            Event::MappingStart(..) => Some(Value::Map(self.map()?)),
            _ => None,
        };
        if decorated || alias {
            self.fault(place, "anchors, aliases and tags are not read", Some("write the value itself"));
            return Ok(None);
        }
        Ok(value.map(|value| Node { place, value }))
    }

    /// `None` where an item is refused: the places of those after it would no longer be theirs.
    fn list(&mut self) -> Result<Option<Vec<Node>>, ScanError> {
        let mut items = Some(Vec::new());
        while let Some(start) = self.start()? {
            let node = self.node(start)?;
            items = items.zip(node).map(|(mut items, node)| {
                items.push(node);
                items
            });
        }
        Ok(items)
    }

    fn map(&mut self) -> Result<Vec<(Key, Node)>, ScanError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        while let Some(start) = self.start()? {
            let place = start.place;
            let key = match &start.event {
                Event::Scalar(text, ..) if !text.is_empty() => Some(text.to_string()),
                _ => None,
            };
            let usable = self.node(start)?.is_some();
            let Some(value) = self.start()? else { break };
            let node = self.node(value)?;
            match key {
                None if usable => self.fault(place, "a key must be a word", None),
                Some(text) if text == "<<" => self.fault(place, "merge keys are not read", Some("write the keys out")),
                Some(text) => self.enter(&mut entries, Key { place, text }, node),
                None => {}
            }
        }
        Ok(entries)
    }

    fn enter(&mut self, entries: &mut Vec<(Key, Node)>, key: Key, node: Option<Node>) {
        if let Some((first, _)) = entries.iter().find(|(have, _)| have.text == key.text) {
            let message = format!("{} stands twice, first in line {}", quoted(&key.text), first.place.line);
            self.fault(key.place, &message, Some("remove one of them"));
        } else if let Some(node) = node {
            entries.push((key, node));
        }
    }

    fn fault(&mut self, place: Place, message: &str, help: Option<&'static str>) {
        self.faults.push(YamlFault { place: Some(place), message: message.to_owned(), help });
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
