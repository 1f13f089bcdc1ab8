use std::borrow::Cow;

use super::{
    escape::{self, Plus},
    text,
};
use crate::{
    model::{Query, Reason, Refusal},
    text::quoted_bytes,
};

/// Splits `raw` at `&`, each pair at its first `=`, and decodes both sides once. Empty pairs say nothing and are skipped.
///
/// A raw `;` is refused wherever it stands: some readers split at it, so that `o=1;scope=x` is one pair or two. Every Databricks client
/// writes it `%3B`.
pub(super) fn read(raw: &[u8]) -> Result<Query<'_>, Refusal> {
    if raw.is_empty() {
        return Ok(Query::default());
    }
    let Some(query) = text::visible(raw) else {
        return Err(refuse("it holds a byte that is not visible ASCII"));
    };
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let Some(mark) = pair.chars().find(|c| matches!(c, ';' | '#')) {
            return Err(refuse_pair(key, format_args!("holds a raw `{mark}`")));
        }
        pairs.push((name(key)?, part(key, value)?));
    }
    Ok(Query { pairs })
}

fn name(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    let key = part(raw, raw)?;
    if key.contains(';') {
        return Err(refuse_pair(raw, "holds a `;` in its name"));
    }
    // No key of Databricks holds a `%`, while a reader that decodes twice sees another key.
    if matches!(key, Cow::Owned(_)) && escape::decodes_again(&key) {
        return Err(refuse_pair(raw, "is percent-encoded twice"));
    }
    Ok(key)
}

fn part<'r>(key: &str, raw: &'r str) -> Result<Cow<'r, str>, Refusal> {
    let text = escape::decode(raw, Plus::Space).map_err(|fault| refuse_pair(key, fault.explain()))?;
    if matches!(text, Cow::Owned(_)) && text.chars().any(text::is_hidden) {
        return Err(refuse_pair(key, "holds a control character"));
    }
    Ok(text)
}

#[cold]
fn refuse(wrong: &str) -> Refusal {
    Refusal::new(Reason::QueryAmbiguous, format!("the query cannot be read in one way: {wrong}"))
}

/// Names the key alone: values can be secrets.
#[cold]
fn refuse_pair(key: &str, wrong: impl std::fmt::Display) -> Refusal {
    Refusal::new(Reason::QueryAmbiguous, format!("the query parameter {} {wrong}", quoted_bytes(key)))
}
