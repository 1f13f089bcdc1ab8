//! The grammar of single header values.

use super::{headers::refuse, text};
use crate::{
    model::{HeaderForm, Refusal},
    text::quoted_bytes,
};

const LONGEST_USER_AGENT: usize = 256;
const LONGEST_REQUEST_ID: usize = 128;

/// A deciding value: visible ASCII and spaces, and one value, not a list that Envoy joined.
pub(super) fn plain<'r>(form: HeaderForm, name: &str, value: &'r [u8]) -> Result<&'r str, Refusal> {
    let Some(text) = text::visible_with_spaces(value) else {
        return Err(refuse(name, "holds a byte that is not visible ASCII, or begins or ends with a space"));
    };
    if text.contains(',') {
        return Err(refuse(name, "has several values"));
    }
    // Envoy writes `!` for every byte that is not UTF-8: the upstream sees another value.
    if form == HeaderForm::Joined && text.contains('!') {
        return Err(refuse(name, "holds a `!`, which also stands for a byte that is not UTF-8"));
    }
    Ok(text)
}

/// The same, not empty: to some readers an empty value is none at all.
pub(super) fn filled<'r>(form: HeaderForm, name: &str, value: &'r [u8]) -> Result<&'r str, Refusal> {
    if value.is_empty() { Err(refuse(name, "is empty")) } else { plain(form, name, value) }
}

/// A `content-length`: digits alone, since `+5`, `5 ` and `5,5` are read in several ways.
pub(super) fn length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = if digits { std::str::from_utf8(value).ok() } else { None };
    text.and_then(|text| text.parse().ok()).ok_or_else(|| refuse("content-length", format_args!("{} is not one number", quoted_bytes(value))))
}

pub(super) fn request_id(value: &[u8]) -> Option<&str> {
    text::visible(value).filter(|id| (1..=LONGEST_REQUEST_ID).contains(&id.len()))
}

/// `value` if it is a W3C `traceparent` of version 00: lower-case hexadecimal, ids that are not all zero (Trace Context, section 3.2.2).
pub(super) fn traceparent(value: &[u8]) -> Option<&str> {
    let text = text::visible(value)?;
    let id = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let shaped = version == "00" && id(trace, 32) && id(span, 16) && id(flags, 2) && parts.next().is_none();
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    (shaped && !zero(trace) && !zero(span)).then_some(text)
}

/// The beginning of `value`, if that is visible ASCII and spaces.
pub(super) fn user_agent(value: &[u8]) -> Option<&str> {
    let start = value.get(..LONGEST_USER_AGENT).unwrap_or(value);
    if start.iter().all(|byte| matches!(byte, b' '..=b'~')) { std::str::from_utf8(start).ok() } else { None }
}
