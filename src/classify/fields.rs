//! The body fields that policies may read as `context.request.<name>`.

use std::borrow::Cow;

use super::{
    entry::{Entry, FieldRule, Source},
    extract::{Found, Reading, Wire},
    refuse, resources,
};
use crate::{
    model::{Field, FieldKind, FieldValue, IdForm, Reason, Refusal},
    text::shown,
};

/// Every field of `entry` that the request has, in the catalog's order.
///
/// # Errors
/// `BodyUnreadable` where a field has another type than declared, `ResourceAmbiguous` where it stands there twice and disagrees.
pub(super) fn of_call(entry: &Entry, reading: &Reading<'_, '_>) -> Result<Vec<Field>, Refusal> {
    let value = |rule: &FieldRule| Ok(value(rule, reading)?.map(|value| Field { name: rule.name.clone(), value }));
    entry.fields.iter().filter_map(|rule| value(rule).transpose()).collect()
}

fn value(rule: &FieldRule, reading: &Reading<'_, '_>) -> Result<Option<FieldValue>, Refusal> {
    if rule.from.iter().any(|source| source.object) {
        let there = rule.from.iter().any(|source| reading.has_holder(source));
        return Ok(there.then_some(FieldValue::Bool(true)));
    }
    let mut all: Option<Vec<FieldValue>> = None;
    for source in &rule.from {
        let Some(mut values) = reading.settle(source, |found| typed(rule, source, found))? else { continue };
        match &mut all {
            Some(_) if rule.kind != FieldKind::Texts => {
                return Err(refuse(Reason::ResourceAmbiguous, format!("`{}` is said in two ways", rule.name)));
            }
            Some(all) => all.append(&mut values),
            None => all = Some(values),
        }
    }
    let Some(all) = all else { return absent(rule, reading) };
    if rule.kind != FieldKind::Texts {
        return Ok(all.into_iter().next());
    }
    let mut texts: Vec<String> = all.into_iter().filter_map(|value| if let FieldValue::Text(text) = value { Some(text) } else { None }).collect();
    texts.sort_unstable();
    texts.dedup();
    Ok(Some(FieldValue::Texts(texts)))
}

/// No field, unless the object that would hold it is there with members nobody here knows: a `run_as` of a new kind is not *no* `run_as`.
fn absent(rule: &FieldRule, reading: &Reading<'_, '_>) -> Result<Option<FieldValue>, Refusal> {
    for source in rule.from.iter().filter(|_| rule.kind == FieldKind::Text && rule.from.len() > 1) {
        if reading.has_holder(source) {
            return Err(refuse(Reason::BodyUnreadable, format!("`{}` is there, but says nothing that is known", rule.name)));
        }
    }
    Ok(None)
}

/// `found` as the type that the field is declared with; a set is read element by element, as texts.
fn typed(rule: &FieldRule, source: &Source, found: &Found<'_>) -> Result<FieldValue, Refusal> {
    let text = found.text.as_ref();
    let value = match (rule.kind, found.wire) {
        (FieldKind::Text | FieldKind::Texts, Wire::Untyped | Wire::Text) => return formed(rule, source, text).map(FieldValue::Text),
        // An id that is a number on the wire is the same text in a policy.
        (FieldKind::Text | FieldKind::Texts, Wire::Number) if rule.form == IdForm::Decimal => {
            return formed(rule, source, text).map(FieldValue::Text);
        }
        // proto3 JSON writes 64-bit numbers as strings too.
        (FieldKind::Long, Wire::Untyped | Wire::Text | Wire::Number) => text.parse().ok().map(FieldValue::Long),
        (FieldKind::Bool, Wire::Untyped | Wire::Bool) => text.parse().ok().map(FieldValue::Bool),
        _ => None,
    };
    let want = match rule.kind {
        FieldKind::Text => "a string",
        FieldKind::Texts => "an array of strings",
        FieldKind::Long => "a whole number",
        FieldKind::Bool => "true or false",
    };
    value.ok_or_else(|| refuse(Reason::BodyUnreadable, format!("`{}` must be {want}, not `{}`", source.as_str(), shown(text))))
}

/// `text` in the one spelling that policies compare.
fn formed(rule: &FieldRule, source: &Source, text: &str) -> Result<String, Refusal> {
    let text = resources::after(rule.prefix.as_deref(), text).ok_or_else(|| {
        refuse(Reason::ResourceAmbiguous, format!("`{}` must begin with `{}`", source.as_str(), rule.prefix.as_deref().unwrap_or_default()))
    })?;
    match &rule.form {
        form @ (IdForm::Exact | IdForm::Lower) => Ok(form.fold(text).into_owned()),
        form => form
            .canonical(text)
            .map(Cow::into_owned)
            .map_err(|why| refuse(Reason::ResourceAmbiguous, format!("`{}` is not the one way to write what it names: {why}", source.as_str()))),
    }
}
