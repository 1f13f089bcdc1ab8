use std::borrow::Cow;

use smallvec::SmallVec;

use super::{
    escape::{self, Plus},
    text,
};
use crate::{
    model::{ApiPath, Reason, Refusal, Segment},
    text::quoted_bytes,
};

/// Splits `raw` at `/` and decodes each segment exactly once.
///
/// An encoded slash is kept, marked [`Segment::slashed`]: names of workspace objects, files and volumes hold slashes, and only the catalog
/// knows where Databricks takes one.
pub(super) fn read(raw: &[u8]) -> Result<ApiPath<'_>, Refusal> {
    let Some(path) = text::visible(raw) else {
        return Err(refuse(raw, "holds a byte that is not visible ASCII"));
    };
    let Some(rest) = path.strip_prefix('/') else {
        return Err(refuse(raw, "does not begin with `/`"));
    };
    let mut segments = SmallVec::new();
    let mut parts = rest.split('/').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() && parts.peek().is_some() {
            return Err(refuse(raw, "has an empty segment"));
        }
        segments.push(segment(part)?);
    }
    Ok(ApiPath { raw: path, segments })
}

fn segment(raw: &str) -> Result<Segment<'_>, Refusal> {
    let text = escape::decode(raw, Plus::Plus).map_err(|fault| refuse_segment(raw, fault.explain()))?;
    if let Some(wrong) = text.chars().find_map(forbidden) {
        return Err(refuse_segment(raw, wrong));
    }
    if matches!(text, Cow::Owned(_)) && escape::decodes_again(&text) {
        return Err(refuse_segment(raw, "is percent-encoded twice"));
    }
    let slashed = text.contains('/');
    if slashed && has_inner_gap(&text) {
        return Err(refuse_segment(raw, "has an empty part between encoded slashes"));
    }
    if text.split('/').any(text::is_dots) {
        return Err(refuse_segment(raw, "is a dot segment"));
    }
    Ok(Segment { text, slashed })
}

/// What is wrong with `c` in a decoded segment. Written raw or encoded makes no difference: one reader's encoded `;` is the next one's raw.
fn forbidden(c: char) -> Option<&'static str> {
    match c {
        ' '..='~' => match c {
            '\\' => Some("holds a backslash"),
            ';' => Some("holds a `;`, which begins a path parameter to some"),
            '#' => Some("holds a `#`, which begins a fragment to some"),
            '?' => Some("holds an encoded `?`, which begins a query to some"),
            _ => None,
        },
        _ if text::is_hidden(c) => Some("holds a control character"),
        _ if text::folds_to_slash(c) => Some("holds a lookalike of a slash"),
        _ => None,
    }
}

/// Whether two encoded slashes meet. One at either end is the absolute path or the directory that some calls name.
fn has_inner_gap(text: &str) -> bool {
    text.contains("//")
}

#[cold]
fn refuse(path: &[u8], wrong: &str) -> Refusal {
    Refusal::new(Reason::PathAmbiguous, format!("the path {} {wrong}", quoted_bytes(path)))
}

#[cold]
fn refuse_segment(segment: &str, wrong: &str) -> Refusal {
    Refusal::new(Reason::PathAmbiguous, format!("the path segment {} {wrong}", quoted_bytes(segment)))
}
