//! Bodies that are forms (`multipart/form-data`, RFC 7578): the parts that may decide, as the JSON object that the same call takes.
//!
//! From here on there is one way for both, so that a form is never less than its JSON: keys in both spellings, places that must agree, fields.

mod parts;

use serde_json::{Map, Value};

use self::parts::{Content, Part};
use super::{
    entry::{BodyUse, Entry},
    key::Spelling,
    keys::KeyId,
    refuse,
};
use crate::{
    model::{Body, FieldKind, MediaType, Reason, Refusal},
    text::shown,
};

/// The JSON that says the same as the form in `body`, as far as `entry` decides by it; `None` where the body is no form, or the call takes none.
///
/// # Errors
/// `BodyUnreadable` where the form could be read in two ways, or a part that decides is a file or no value of its field.
pub(super) fn as_json(entry: &Entry, body: &Body<'_>) -> Result<Option<String>, Refusal> {
    let Body::Whole { bytes, media: MediaType::FormData { boundary } } = body else { return Ok(None) };
    if entry.body != BodyUse::Form || bytes.is_empty() || entry.sources().next().is_none() {
        return Ok(None);
    }
    let parts = parts::read(bytes, boundary)
        .map_err(|why| refuse(Reason::BodyUnreadable, format!("the body cannot be read as multipart/form-data: {why}")))?;
    let decides = |part: &&Part<'_>| entry.keys.members(KeyId::OUTERMOST).find(part.name).is_some();
    let members = parts.iter().filter(decides).map(|part| Ok((part.name.to_owned(), value(entry, part)?)));
    Ok(Some(Value::Object(members.collect::<Result<Map<_, _>, Refusal>>()?).to_string()))
}

/// What a JSON body would have in place of `part`: clients write the two truths as `true` and `false`, and every other value is a text in proto3 JSON too.
fn value(entry: &Entry, part: &Part<'_>) -> Result<Value, Refusal> {
    let Content::Text(text) = part.content else {
        return Err(refuse(Reason::BodyUnreadable, format!("`{}` decides, but the form has a file for it", shown(part.name))));
    };
    let mut truths = entry.fields.iter().filter(|field| field.kind == FieldKind::Bool).flat_map(|field| &field.from);
    let known = entry.keys.members(KeyId::OUTERMOST).find(part.name);
    if truths.any(|source| known == Some((source.at, Spelling::Good))) {
        return text.parse().map(Value::Bool).map_err(|_| {
            refuse(Reason::BodyUnreadable, format!("`{}` in the form must be `true` or `false`, not `{}`", shown(part.name), shown(text)))
        });
    }
    Ok(Value::String(text.to_owned()))
}
