//! What of a call goes into the record so that its decision can be made again.

use std::sync::Arc;

use crate::{
    audit::{Cut, Facts},
    model::{Call, Caller, EntityRef, Field, Intent, Token},
    text,
};

/// Bytes of one text from the request that the record keeps.
pub(super) const LONGEST: usize = 1024;

/// Bytes of all resources of one call with what they are in, and of all its fields. A path is in as many folders as it has segments, each as long as its own
/// way there, and a list may have as many items as the body is long: no caller makes records of megabytes.
const TOGETHER: usize = 16 * 1024;

/// Bytes that a record spends on an item beside its text.
const ITEM: usize = 32;

/// What policies saw of a call. A part that is too long, or holds what looks like a credential, is left out and named.
pub(super) fn facts(call: &Call<'_>, caller: &Caller, intent: &Intent) -> Facts {
    let mut facts = Facts { token: caller.token.clone(), ..Facts::default() };
    let entities = || intent.resources.iter().flat_map(|resource| resource.ancestors.iter().chain([&resource.entity]));
    let length: usize = entities().map(|EntityRef { kind, id }| kind.as_str().len() + id.len() + ITEM).sum();
    if length <= TOGETHER && entities().all(|entity| is_whole(&entity.id)) {
        facts.resources = intent.resources.to_vec();
    } else {
        facts.cut.push(Cut::Resources);
    }
    if are_whole(&intent.fields) {
        facts.fields.clone_from(&intent.fields);
    } else {
        facts.cut.push(Cut::Fields);
    }
    if let Some(token) = &caller.token
        && !(are_whole(&token.claims) && token.purpose.as_deref().is_none_or(is_whole))
    {
        facts.token = Some(Arc::new(Token { claims: Vec::new(), ..Token::clone(token) }));
        facts.cut.push(Cut::Claims);
    }
    if !is_whole(call.path.raw) {
        facts.cut.push(Cut::Path);
    }
    facts
}

/// Whether the record may hold all of `fields` as they are.
fn are_whole(fields: &[Field]) -> bool {
    let texts = || fields.iter().flat_map(|field| field.value.texts());
    texts().map(|text| text.len() + ITEM).sum::<usize>() <= TOGETHER && texts().all(|text| is_whole(text))
}

/// Whether the record may hold `text` as it is.
fn is_whole(text: &str) -> bool {
    text.len() <= LONGEST && matches!(text::redacted(text), std::borrow::Cow::Borrowed(_))
}
