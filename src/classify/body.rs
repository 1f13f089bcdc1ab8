//! Bodies: what of them is read, and the values that a key has in them.

use std::cell::Cell;

use super::{
    entry::{BodyUse, Entry, Source, Step},
    key::Spelling,
    refuse,
};
use crate::{
    json::{self, Keep, Object, Value},
    model::{Body, BodyFault, MediaType, Reason, Refusal},
    text::shown,
};

/// Members that are looked at in one call, all keys together: what it costs to find keys grows with them, and no call that decides needs more.
const MOST: usize = 2_000_000;

/// A body that has been read, and how much of it may still be looked at.
pub(super) struct Read<'a> {
    value: Value<'a>,
    left: Cell<usize>,
}

/// The outermost object of the body with what may decide, `None` where there is no body or the entry never reads it.
///
/// # Errors
/// `BodyTooLarge` where it was cut, `BodyUnreadable` where it is encoded, no strict JSON object, or there though the call has none.
pub(super) fn read<'r>(entry: &Entry, body: &Body<'r>) -> Result<Option<Read<'r>>, Refusal> {
    let (bytes, media) = match body {
        Body::Absent => return Ok(None),
        _ if entry.body == BodyUse::Opaque => return Ok(None),
        Body::Whole { bytes: [], .. } => return Ok(None),
        _ if entry.body == BodyUse::None => return Err(refuse(Reason::BodyUnreadable, "the call takes no body, but one was sent")),
        _ if entry.sources().next().is_none() => return Ok(None),
        Body::Unusable(BodyFault::Cut) => {
            return Err(refuse(Reason::BodyTooLarge, "the body names what the call acts on, but it is longer than what can be read"));
        }
        Body::Unusable(BodyFault::Encoded) => {
            return Err(refuse(Reason::BodyUnreadable, "the body names what the call acts on, but it has a content-encoding"));
        }
        Body::Whole { bytes, media } => (*bytes, *media),
    };
    if media != MediaType::Json && (media, entry.body) != (MediaType::Scim, BodyUse::Scim) {
        return Err(refuse(Reason::BodyUnreadable, "the body must be sent as `application/json`"));
    }
    let wanted = |name: &str| entry.sources().filter_map(|source| source.steps.first()).any(|step| step.key.spelling(name) != Spelling::Other);
    let value = json::read_keeping(bytes, Keep::Members(&wanted))
        .map_err(|error| refuse(Reason::BodyUnreadable, format!("the body cannot be read as JSON: {}", shown(&error.to_string()))))?;
    if value.as_object().is_none() {
        return Err(refuse(Reason::BodyUnreadable, format!("the body is {}, not an object", value.kind())));
    }
    Ok(Some(Read { value, left: Cell::new(MOST) }))
}

/// Every value that `steps` of `source` lead to in `body`, one list for each spelling of the last key. A `null` is an absent value (proto3 JSON).
///
/// # Errors
/// `ResourceAmbiguous` for a spelling that only folds to the key, `BodyUnreadable` for a value of the wrong kind.
pub(super) fn values<'v, 'a>(body: &'v Read<'a>, source: &Source, steps: &[Step]) -> Result<Vec<Vec<&'v Value<'a>>>, Refusal> {
    let Some((last, inner)) = steps.split_last() else { return Ok(Vec::new()) };
    let Some(at) = holders(body, source, inner)? else { return Ok(Vec::new()) };
    spelled(&at, last, source, !inner.iter().any(|step| step.each), &body.left)
}

/// For each object of the list that holds the last keys of `sources`, the value of each of them.
///
/// # Errors
/// As [`values`].
pub(super) fn rows<'v, 'a>(body: &'v Read<'a>, sources: &[Source]) -> Result<Vec<Vec<Option<&'v Value<'a>>>>, Refusal> {
    let Some((first, inner)) = sources.first().and_then(|source| Some((source, source.steps.split_last()?.1))) else { return Ok(Vec::new()) };
    let holders = holders(body, first, inner)?.unwrap_or_default();
    let value = |holder: &&'v Value<'a>, source: &Source| {
        let Some(key) = source.steps.last() else { return Ok(None) };
        match members(object(holder, source)?, key, source, &body.left)?.as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(*value)),
            _ => Err(refuse(Reason::ResourceAmbiguous, format!("`{}` stands in the body twice, in two spellings", source.as_str()))),
        }
    };
    holders.iter().map(|holder| sources.iter().map(|source| value(holder, source)).collect()).collect()
}

/// The objects that `inner` leads to, `None` where there is no such place.
fn holders<'v, 'a>(body: &'v Read<'a>, source: &Source, inner: &[Step]) -> Result<Option<Vec<&'v Value<'a>>>, Refusal> {
    let (mut at, mut there) = (vec![&body.value], true);
    for step in inner {
        let mut below = Vec::new();
        there = false;
        for value in at {
            let mut found = members(object(value, source)?, step, source, &body.left)?.into_iter();
            if let Some(value) = found.next() {
                there = true;
                descend(value, step, source, &mut below)?;
            }
            if found.next().is_some() {
                return Err(refuse(Reason::ResourceAmbiguous, format!("`{}` stands in the body twice, in two spellings", step.key.as_str())));
            }
        }
        at = below;
    }
    Ok(there.then_some(at))
}

/// The values of the last key. Below a list, one spelling for each element; at a single place, each spelling apart, so that they can be compared.
fn spelled<'v, 'a>(
    holders: &[&'v Value<'a>],
    key: &Step,
    source: &Source,
    single: bool,
    left: &Cell<usize>,
) -> Result<Vec<Vec<&'v Value<'a>>>, Refusal> {
    let (mut lists, mut all, mut any) = (Vec::new(), Vec::new(), false);
    for value in holders {
        let found = members(object(value, source)?, key, source, left)?;
        if !single && found.len() > 1 {
            return Err(refuse(Reason::ResourceAmbiguous, format!("`{}` stands in the body twice, in two spellings", source.as_str())));
        }
        for value in found {
            let mut list = Vec::new();
            descend(value, key, source, &mut list)?;
            any = true;
            if single {
                lists.push(list);
            } else {
                all.append(&mut list);
            }
        }
    }
    if any && !single {
        lists.push(all);
    }
    Ok(lists)
}

fn object<'v, 'a>(value: &'v Value<'a>, source: &Source) -> Result<&'v Object<'a>, Refusal> {
    value.as_object().ok_or_else(|| wrong(source, "an object", value))
}

/// The members of `object` that are `step`'s key, in either spelling.
fn members<'v, 'a>(object: &'v Object<'a>, step: &Step, source: &Source, left: &Cell<usize>) -> Result<Vec<&'v Value<'a>>, Refusal> {
    let Some(rest) = left.get().checked_sub(object.len() + 1) else {
        return Err(refuse(Reason::BodyTooLarge, format!("the body has more members than can be looked at for `{}`", source.as_str())));
    };
    left.set(rest);
    let mut found = Vec::new();
    for (name, value) in object.iter() {
        match step.key.spelling(name) {
            Spelling::Other => {}
            Spelling::Doubtful => {
                return Err(refuse(
                    Reason::ResourceAmbiguous,
                    format!("the body has `{}`, which could be read as `{}`", shown(name), source.as_str()),
                ));
            }
            Spelling::Good if *value == Value::Null => {}
            Spelling::Good => found.push(value),
        }
    }
    Ok(found)
}

fn descend<'v, 'a>(value: &'v Value<'a>, step: &Step, source: &Source, into: &mut Vec<&'v Value<'a>>) -> Result<(), Refusal> {
    if step.each {
        into.extend(value.as_list().ok_or_else(|| wrong(source, "an array", value))?);
    } else {
        into.push(value);
    }
    Ok(())
}

/// The refusal for a value of the wrong kind.
pub(super) fn wrong(source: &Source, want: &str, value: &Value<'_>) -> Refusal {
    refuse(Reason::BodyUnreadable, format!("`{}` in the body must be {want}, not {}", source.as_str(), value.kind()))
}
