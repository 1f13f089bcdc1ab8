//! Bodies: what of them is read, and the values that a key has in them.

use std::collections::BTreeMap;

use super::{
    entry::{BodyUse, Entry, Source},
    key::Spelling,
    keys::{KeyId, Keys, Members},
    refuse,
};
use crate::{
    json::{self, Keep, Value},
    model::{Body, BodyFault, MediaType, Reason, Refusal},
    text::shown,
};

/// A body that has been read: what stands in it at each place of the entry's keys.
pub(super) struct Read<'a> {
    places: Vec<Place<'a>>,
}

#[derive(Default)]
struct Place<'a> {
    /// In the order of the body.
    found: Vec<Found<'a>>,
    /// Objects that stood here so far.
    holders: usize,
    /// The last object in which the key is `null`.
    null: Option<usize>,
}

/// One key that is there, and is not `null`: that is an absent value (proto3 JSON).
struct Found<'a> {
    /// The how manieth object of its place holds it.
    holder: usize,
    /// The value, or those of an array; none where it is an object, whose members stand at places of their own.
    values: Vec<Value<'a>>,
}

/// The way through one body.
struct Walk<'k, 'a> {
    keys: &'k Keys,
    places: Vec<Place<'a>>,
}

/// The outermost object of the body with what may decide, `None` where there is no body or the entry never reads it.
///
/// # Errors
/// `BodyTooLarge` where it was cut, `BodyUnreadable` where it is encoded, no strict JSON object, or there though the call has none, and what the
/// walk through it refuses.
pub(super) fn read<'r>(entry: &Entry, body: &Body<'r>) -> Result<Option<Read<'r>>, Refusal> {
    let (bytes, media) = match body {
        Body::Absent => return Ok(None),
        _ if entry.body == BodyUse::Opaque => return Ok(None),
        Body::Whole { bytes: [], .. } => return Ok(None),
        // Some clients send an object without members with every call; nothing can stand in it that decides.
        Body::Whole { bytes, media: MediaType::Json } if entry.body == BodyUse::None && bytes.trim_ascii() == b"{}" => return Ok(None),
        _ if entry.body == BodyUse::None => return Err(refuse(Reason::BodyUnreadable, "the call takes no body, but one was sent")),
        _ if entry.sources().next().is_none() => return Ok(None),
        Body::Unusable(BodyFault::Cut) => {
            return Err(refuse(Reason::BodyTooLarge, "the body names what the call acts on, but it is longer than what can be read"));
        }
        Body::Unusable(BodyFault::Unmeasured) => {
            let detail = "the form names what the call acts on, but has no content-length, so that more could stand behind what is seen";
            return Err(refuse(Reason::BodyUnreadable, detail));
        }
        Body::Unusable(BodyFault::Encoded) => {
            return Err(refuse(Reason::BodyUnreadable, "the body names what the call acts on, but it has a content-encoding"));
        }
        Body::Whole { bytes, media } => (*bytes, *media),
    };
    if media != MediaType::Json && (media, entry.body) != (MediaType::Scim, BodyUse::Scim) {
        let detail = match entry.body {
            BodyUse::Form => "the body must be sent as `application/json`, or as `multipart/form-data` with no parameter but its boundary",
            BodyUse::Scim => "the body must be sent as `application/json` or `application/scim+json`",
            _ => "the body must be sent as `application/json`",
        };
        return Err(refuse(Reason::BodyUnreadable, detail));
    }
    let outermost = entry.keys.members(KeyId::OUTERMOST);
    let value = json::read_keeping(bytes, Keep::Members(outermost))
        .map_err(|error| refuse(Reason::BodyUnreadable, format!("the body cannot be read as JSON: {error}")))?;
    if value.as_object().is_none() {
        return Err(refuse(Reason::BodyUnreadable, format!("the body is {}, not an object", value.kind())));
    }
    let mut walk = Walk { keys: &entry.keys, places: std::iter::repeat_with(Place::default).take(entry.keys.len()).collect() };
    walk.object(value, outermost)?;
    Ok(Some(Read { places: walk.places }))
}

// === impl Read ===

impl<'a> Read<'a> {
    /// What stands at `id`, one list for each spelling of its key; below an array, one for all elements together.
    pub(super) fn values(&self, keys: &Keys, id: KeyId) -> Vec<Vec<&Value<'a>>> {
        let found = self.found(id);
        if keys.is_listed(id) && !found.is_empty() {
            return vec![found.iter().flat_map(|found| &found.values).collect()];
        }
        found.iter().map(|found| found.values.iter().collect()).collect()
    }

    /// For each object that holds the last keys of `sources`, the value of each of them.
    pub(super) fn rows(&self, sources: &[&Source]) -> Vec<Vec<Option<&Value<'a>>>> {
        let found = sources.iter().enumerate().flat_map(|(column, source)| self.found(source.at).iter().map(move |found| (column, found)));
        let mut rows: BTreeMap<usize, Vec<Option<&Value<'a>>>> = BTreeMap::new();
        for (column, found) in found {
            let row = rows.entry(found.holder).or_insert_with(|| vec![None; sources.len()]);
            if let Some(cell) = row.get_mut(column) {
                *cell = found.values.first();
            }
        }
        rows.into_values().collect()
    }

    /// Whether anything stands at `id`.
    pub(super) fn has(&self, id: KeyId) -> bool {
        !self.found(id).is_empty()
    }

    fn found(&self, id: KeyId) -> &[Found<'a>] {
        self.places.get(id.index()).map_or(&[], |place| &place.found)
    }
}

// === impl Walk ===

impl<'a> Walk<'_, 'a> {
    /// Takes what stands at `at` apart.
    ///
    /// # Errors
    /// `ResourceAmbiguous` for a spelling that only folds to a key, `BodyUnreadable` for a value of the wrong kind.
    fn object(&mut self, value: Value<'a>, at: Members<'_>) -> Result<(), Refusal> {
        let kind = value.kind();
        let Value::Object(object) = value else {
            let path = self.keys.path(at.id());
            let path = if self.keys.is_each(at.id()) { format!("{path}[]") } else { path.to_owned() };
            return Err(unlike(&path, "an object", kind));
        };
        let Some(place) = self.places.get_mut(at.id().index()) else { return Ok(()) };
        let holder = place.holders;
        place.holders += 1;
        for (name, value) in object.into_members() {
            match at.find(&name) {
                None => {}
                Some((id, Spelling::Good)) => self.member(id, holder, value)?,
                Some((id, _)) => {
                    let detail = format!("the body has `{}`, which could be read as `{}`", shown(&name), self.keys.path(id));
                    return Err(refuse(Reason::ResourceAmbiguous, detail));
                }
            }
        }
        Ok(())
    }

    /// Takes the value of the key `id`. A single one may stand there in both spellings of its key, so that they can be compared.
    fn member(&mut self, id: KeyId, holder: usize, value: Value<'a>) -> Result<(), Refusal> {
        let (keys, kind) = (self.keys, value.kind());
        let Some(place) = self.places.get_mut(id.index()) else { return Ok(()) };
        let again = place.found.last().is_some_and(|last| last.holder == holder) || place.null == Some(holder);
        // Of a value and an absent one either could be the last that a reader sees.
        let absent = value == Value::Null || place.null == Some(holder);
        if again && (absent || keys.is_listed(id) || keys.is_holder(id)) {
            let detail = format!("`{}` stands in the body twice, in two spellings", keys.path(id));
            return Err(refuse(Reason::ResourceAmbiguous, detail));
        }
        if absent {
            place.null = Some(holder);
            return Ok(());
        }
        let values = match value {
            Value::List(items) if keys.is_each(id) => items,
            _ if keys.is_each(id) => return Err(unlike(keys.path(id), "an array", kind)),
            value => vec![value],
        };
        if !keys.is_holder(id) {
            place.found.push(Found { holder, values });
            return Ok(());
        }
        place.found.push(Found { holder, values: Vec::new() });
        values.into_iter().try_for_each(|value| self.object(value, keys.members(id)))
    }
}

/// The refusal for a value of the wrong kind.
pub(super) fn unlike(path: &str, want: &str, kind: &str) -> Refusal {
    refuse(Reason::BodyUnreadable, format!("`{path}` in the body must be {want}, not {kind}"))
}
