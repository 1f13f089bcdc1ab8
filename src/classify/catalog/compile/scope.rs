//! Which scope of Databricks' tokens a call needs at least.

use std::{collections::BTreeSet, sync::Arc};

use serde_saphyr::Spanned;

use crate::{
    classify::catalog::raw::{RawCall, RawFile},
    model::Intent,
};

/// Of a call: its own, else that which `file` says for the service of its action; `None` for the scope of all.
///
/// # Errors
/// What is written is no list of scopes.
pub(super) fn of(file: &RawFile, raw: &RawCall, service: &str) -> Result<Option<Arc<str>>, String> {
    let text = raw.scope.as_deref().or_else(|| file.scopes.get(service).map(|scope| scope.value.as_str()));
    match text {
        Some(text) if !is_scope(text) => {
            Err(format!("`{}` is not a list of scopes: `jobs`, or several with one space between each", text.escape_debug()))
        }
        text => Ok(text.filter(|text| *text != Intent::ALL_APIS).map(Into::into)),
    }
}

/// The services that `file` gives a scope to without a call of theirs, which nothing would come of.
pub(super) fn idle(file: &RawFile) -> Vec<(&Spanned<String>, String)> {
    let services: BTreeSet<&str> = file.calls.iter().filter_map(|raw| Some(raw.action.value.rsplit_once('.')?.0)).collect();
    let idle = file.scopes.iter().filter(|(service, _)| !services.contains(service.as_str()));
    idle.map(|(service, scope)| (scope, format!("the file has no call of `{}`, to which it gives a scope", service.escape_debug()))).collect()
}

/// Scopes as a token endpoint takes them (RFC 6749, section 3.3), narrower than that: Databricks has no other.
fn is_scope(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.:".contains(&b));
    text.len() <= 256 && text.split(' ').all(word)
}
