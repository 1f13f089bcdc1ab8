use super::found::{Found, Partial};
use crate::model::{Body, BodyFault, MediaType, RawCall};

/// What can be known from the body, by what Envoy says about it and by its length.
///
/// Both are looked at each time: with `allow_partial_message: false` Envoy still sent bodies cut at its limit (measured over HTTP/2). Its flag
/// says that we see all it has buffered, and it asks as soon as the buffer is full: of a body without an announced length, exactly as much as
/// the limit may be followed by more. JSON that is complete cannot go on; a form can, so a form without a length decides nothing.
pub(super) fn read<'r>(raw: &'r RawCall, found: &Found<'r>, limit: usize) -> Body<'r> {
    let bytes = raw.body().unwrap_or_default();
    if found.partial == Some(Partial::Cut) || !length_agrees(bytes, raw, found) || bytes.len() > limit {
        return Body::Unusable(BodyFault::Cut);
    }
    if bytes.is_empty() {
        return if is_unseen(raw, found) { Body::Unusable(BodyFault::Cut) } else { Body::Absent };
    }
    if found.encoded {
        return Body::Unusable(BodyFault::Encoded);
    }
    let media = media(found.content_type);
    if matches!(media, MediaType::Form | MediaType::FormData { .. }) && found.content_length.is_none() {
        return Body::Unusable(BodyFault::Unmeasured);
    }
    Body::Whole { bytes, media }
}

/// Whether no length that was announced or counted says anything else than `bytes`.
fn length_agrees(bytes: &[u8], raw: &RawCall, found: &Found<'_>) -> bool {
    let Ok(length) = u64::try_from(bytes.len()) else { return false };
    if found.content_length.is_some_and(|announced| announced != length) {
        return false;
    }
    match (u64::try_from(raw.size()), found.partial) {
        // Envoy counted more than it sent, whatever its flag says.
        (Ok(size), _) if size > length => false,
        // A filter before ours may have replaced the body by a longer one: the flag speaks of what was sent to us.
        (_, Some(Partial::Whole)) => true,
        (Ok(size), _) => size == length,
        // The size is unknown: then only an announced length, which agrees by now, vouches for the body.
        (Err(_), _) => bytes.is_empty() || found.content_length.is_some(),
    }
}

/// Whether there may be a body although none is here: Envoy was not told to send bodies, and the request does not say that it has none.
///
/// In HTTP/1 a request without a length and without chunks has no body (RFC 9112, section 6.3). Later versions need not announce one, but
/// every client that sends nothing with a POST, PUT or PATCH says `content-length: 0`.
fn is_unseen(raw: &RawCall, found: &Found<'_>) -> bool {
    if found.partial.is_some() || found.content_length == Some(0) {
        return false;
    }
    found.is_chunked() || (matches!(raw.protocol(), b"HTTP/2" | b"HTTP/3") && matches!(raw.method(), b"POST" | b"PUT" | b"PATCH"))
}

/// Only what every reader takes for the same is named; a parameter could change how the bytes are read.
fn media(content_type: Option<&str>) -> MediaType<'_> {
    let mut parts = content_type.unwrap_or_default().split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let (parameter, more) = (parts.next(), parts.next().is_some());
    if kind.eq_ignore_ascii_case("multipart/form-data") {
        let boundary = parameter.and_then(boundary).filter(|_| !more);
        return boundary.map_or(MediaType::Other, |boundary| MediaType::FormData { boundary });
    }
    let plain = !more && parameter.is_none_or(is_utf8);
    match kind {
        _ if !plain => MediaType::Other,
        _ if kind.eq_ignore_ascii_case("application/json") => MediaType::Json,
        _ if kind.eq_ignore_ascii_case("application/scim+json") => MediaType::Scim,
        _ if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") => MediaType::Form,
        _ => MediaType::Other,
    }
}

/// The boundary that `parameter` is: as it stands where it is a token, else in quotes, and never with an escape, a space or a comma in it.
fn boundary(parameter: &str) -> Option<&str> {
    let (name, value) = parameter.split_once('=')?;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let special: &[u8] = if quoted.is_some() { b"'()+_-./:=?" } else { b"'+_-." };
    let boundary = quoted.unwrap_or(value);
    let known = boundary.bytes().all(|byte| byte.is_ascii_alphanumeric() || special.contains(&byte));
    (name.eq_ignore_ascii_case("boundary") && (1..=70).contains(&boundary.len()) && known).then_some(boundary)
}

fn is_utf8(parameter: &str) -> bool {
    ["charset=utf-8", "charset=\"utf-8\""].iter().any(|known| parameter.eq_ignore_ascii_case(known))
}
