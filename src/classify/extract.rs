//! The values that decide: looked for in path, header, query and body, and believed only where all places agree.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{
    body,
    entry::{Entry, Source},
    key::Spelling,
    keys::Keys,
    refuse,
    template::Param,
};
use crate::{
    json::Value,
    model::{Body, Call, Reason, Refusal},
    text::shown,
};

/// One matched call with its body read: where all values are taken from.
pub(super) struct Reading<'c, 'r> {
    call: &'c Call<'r>,
    params: &'c [Param],
    keys: &'c Keys,
    body: Option<body::Read<'c>>,
}

/// One value as the request has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found<'v> {
    pub(super) text: Cow<'v, str>,
    pub(super) wire: Wire,
}

/// What the value was on the wire; path, header and query know only texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Untyped,
    Text,
    Number,
    Bool,
}

/// The values found at one place.
struct Place<'v> {
    name: &'static str,
    /// Whether the catalog says that the key stands here.
    declared: bool,
    values: Vec<Found<'v>>,
}

// === impl Reading ===

impl<'c, 'r> Reading<'c, 'r> {
    /// `body` stands for that of the call: itself, or the same as JSON.
    ///
    /// # Errors
    /// What [`body::read`] refuses.
    pub(super) fn new(entry: &'c Entry, call: &'c Call<'r>, body: &Body<'c>, params: &'c [Param]) -> Result<Self, Refusal> {
        Ok(Self { call, params, keys: &entry.keys, body: body::read(entry, body)? })
    }

    /// The text of a parameter of the path.
    pub(super) fn param(&self, index: usize) -> Option<Cow<'c, str>> {
        self.params.get(index).map(|param| param.place.text(&self.call.path))
    }

    /// The values of `source` in canonical form, or `None` where the key is nowhere.
    ///
    /// # Errors
    /// A refusal where the key stands twice, in a doubtful spelling, at a place the call does not have it, or with values that disagree.
    pub(super) fn settle<T: PartialEq>(
        &self,
        source: &Source,
        canonical: impl Fn(&Found<'_>) -> Result<T, Refusal>,
    ) -> Result<Option<Vec<T>>, Refusal> {
        let mut settled: Option<(&'static str, Vec<T>)> = None;
        let mut declared = false;
        for place in self.places(source)? {
            declared |= place.declared;
            let values = place.values.iter().map(&canonical).collect::<Result<Vec<T>, _>>()?;
            match &settled {
                Some((name, before)) if *before != values => {
                    let detail = if *name == place.name {
                        format!("`{}` stands in the {name} in two spellings that disagree", source.as_str())
                    } else {
                        format!("`{}` in the {name} and in the {} disagree", source.as_str(), place.name)
                    };
                    return Err(refuse(Reason::ResourceAmbiguous, detail));
                }
                Some(_) => {}
                None => settled = Some((place.name, values)),
            }
        }
        match settled {
            Some((name, _)) if !declared => {
                Err(refuse(Reason::ResourceMissing, format!("`{}` stands in the {name}, where the call does not take it", source.as_str())))
            }
            settled => Ok(settled.map(|(_, values)| values)),
        }
    }

    /// For each object of the list that holds the last keys of `sources`, what each of them is there.
    ///
    /// # Errors
    /// A refusal where a key stands anywhere else, twice, or in a doubtful spelling.
    pub(super) fn rows(&self, sources: &[&Source]) -> Result<Vec<Vec<Option<Found<'_>>>>, Refusal> {
        for source in sources {
            if !self.query(source)?.is_empty() {
                return Err(refuse(Reason::ResourceMissing, format!("`{}` stands in the query, where the call does not take it", source.as_str())));
            }
        }
        let Some(body) = &self.body else { return Ok(Vec::new()) };
        let found = |(value, source): (Option<_>, &&Source)| value.map(|value| scalar(source, value)).transpose();
        body.rows(sources).into_iter().map(|row| row.into_iter().zip(sources).map(found).collect()).collect()
    }

    /// Whether the object that holds `source`'s last key is in the body, whatever it holds.
    pub(super) fn has_holder(&self, source: &Source) -> bool {
        self.body.as_ref().is_some_and(|body| body.has(source.within))
    }

    fn places<'v>(&'v self, source: &Source) -> Result<Vec<Place<'v>>, Refusal> {
        let mut places = Vec::new();
        if let Some(text) = source.param.and_then(|index| self.param(index)) {
            places.push(Place { name: "path", declared: true, values: vec![Found { text, wire: Wire::Untyped }] });
        }
        if let Some(name) = &source.header {
            return Ok(self.header(name)?.into_iter().chain(places).collect());
        }
        places.extend(self.query(source)?);
        if let Some(body) = &self.body {
            for values in body.values(self.keys, source.at) {
                let values = values.into_iter().map(|value| scalar(source, value)).collect::<Result<_, _>>()?;
                places.push(Place { name: "body", declared: source.body, values });
            }
        }
        Ok(places)
    }

    fn header<'v>(&'v self, name: &str) -> Result<Option<Place<'v>>, Refusal> {
        let mut values = self.call.headers.values(name);
        let Some(value) = values.next() else { return Ok(None) };
        let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b','));
        match (text, values.next()) {
            (Some(text), None) => {
                Ok(Some(Place { name: "header", declared: true, values: vec![Found { text: Cow::Borrowed(text), wire: Wire::Untyped }] }))
            }
            _ => Err(refuse(Reason::HeaderAmbiguous, format!("the header `{name}` names what the call acts on and must have one plain value"))),
        }
    }

    /// One place for each spelling; a list may repeat its key where the call takes it in the query.
    fn query<'v>(&'v self, source: &Source) -> Result<Vec<Place<'v>>, Refusal> {
        let list = source.many && source.query;
        let mut spellings: SmallVec<[(&str, Vec<Found<'v>>); 2]> = SmallVec::new();
        for (name, value) in &self.call.query.pairs {
            match source.query_key.spelling(name) {
                Spelling::Other => {}
                Spelling::Doubtful => {
                    let detail = format!("the query has `{}`, which could be read as `{}`", shown(name), source.as_str());
                    return Err(refuse(Reason::ResourceAmbiguous, detail));
                }
                Spelling::Good => {
                    let found = Found { text: Cow::Borrowed(value.as_ref()), wire: Wire::Untyped };
                    match spellings.iter_mut().find(|(have, _)| have == name) {
                        Some((_, values)) if list => values.push(found),
                        Some(_) => return Err(refuse(Reason::QueryAmbiguous, format!("`{}` stands in the query more than once", source.as_str()))),
                        None => spellings.push((name, vec![found])),
                    }
                }
            }
        }
        Ok(spellings.into_iter().map(|(_, values)| Place { name: "query", declared: source.query, values }).collect())
    }
}

fn scalar<'v>(source: &Source, value: &'v Value<'_>) -> Result<Found<'v>, Refusal> {
    match value {
        Value::Text(text) => Ok(Found { text: Cow::Borrowed(text.as_ref()), wire: Wire::Text }),
        Value::Int(number) => Ok(Found { text: Cow::Owned(number.to_string()), wire: Wire::Number }),
        Value::Bool(truth) => Ok(Found { text: Cow::Borrowed(if *truth { "true" } else { "false" }), wire: Wire::Bool }),
        Value::Float(_) => Err(body::unlike(source.as_str(), "a single value", "a number that is not whole, or beyond 64 bits")),
        other => Err(body::unlike(source.as_str(), "a single value", other.kind())),
    }
}
