//! From an entry's bindings to the resources of one call.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::{
    entry::{Binding, Choice, Entry, KindRule, Source},
    extract::{Found, Reading, Wire},
    kinds::{self, KindId, Kinds},
    refuse,
};
use crate::{
    model::{EntityRef, IdForm, Reason, Refusal, Resource, Target},
    text::shown,
};

/// More than this many resources in one call are not decided.
const MOST: usize = 100;

/// An id, and what it stands for: each of several types, where the word for them is one.
struct Named {
    id: String,
    which: SmallVec<[Which; 1]>,
}

/// One type that an id may be of.
#[derive(Clone, Copy)]
struct Which {
    kind: KindId,
    /// What an object of that name will be in.
    parent: bool,
    orphan: bool,
}

/// Everything the call acts on: never empty, each once, in the order of the request.
///
/// # Errors
/// `ResourceMissing` where nothing names a resource, `ResourceAmbiguous` where it is named in two ways or by no canonical id,
/// `CallUnknown` where the path names a kind of object the catalog does not know.
pub(super) fn of_call(kinds: &Kinds, target: &Target, entry: &Entry, reading: &Reading<'_, '_>) -> Result<SmallVec<[Resource; 1]>, Refusal> {
    let mut all: SmallVec<[Resource; 1]> = SmallVec::new();
    all.extend(entry.also_target.then(|| kinds::target_resource(target)));
    for binding in &entry.bindings {
        let ids = match &binding.kind {
            KindRule::Chosen { by, kinds } if by.many => typed(binding, by, kinds, reading)?,
            _ => few(ids(kinds, binding, reading)?)?.into_iter().map(|id| alike(binding, id, reading)).collect::<Result<_, _>>()?,
        };
        if ids.is_empty() && !binding.optional {
            return Err(refuse(Reason::ResourceMissing, format!("`{}` is missing, which names what the call acts on", label(binding))));
        }
        let target_itself = (ids.is_empty() && binding.or_target).then(|| kinds::target_resource(target));
        all.extend(target_itself.filter(|resource| !all.contains(resource)));
        for Named { id, which } in ids {
            for resource in which.iter().map(|which| named(kinds, target, binding, *which, &id)) {
                let resource = resource?;
                if !all.contains(&resource) {
                    all.push(resource);
                }
            }
            if all.len() > MOST {
                return Err(too_many());
            }
        }
    }
    match (all.is_empty(), entry.otherwise_target) {
        (false, _) => Ok(all),
        (true, true) => Ok(SmallVec::from_iter([kinds::target_resource(target)])),
        (true, false) => Err(refuse(Reason::ResourceMissing, "nothing in the request names what the call acts on")),
    }
}

/// Puts the name that policies use for an object in the place of another that the request has, with all that the name says it is in.
///
/// # Errors
/// `ResourceAmbiguous` where the name is no id of the type, which the inventory does not let happen.
pub(super) fn rename(
    kinds: &Kinds,
    target: &Target,
    names: &HashMap<EntityRef, EntityRef>,
    resources: &mut SmallVec<[Resource; 1]>,
) -> Result<(), Refusal> {
    for at in 0..resources.len() {
        let known = resources.get(at).and_then(|resource| names.get(&resource.entity));
        let Some((name, kind)) = known.and_then(|name| Some((name, kinds.named(name.kind.as_str())?))) else { continue };
        let native = name.id.split_once('/').map_or("", |(_, native)| native);
        let object = kinds
            .resource(target, kind, native, false)
            .map_err(|why| refuse(Reason::ResourceAmbiguous, format!("the inventory's name for what the call acts on is none: {why}")))?;
        if resources.contains(&object) {
            resources.remove(at);
            return rename(kinds, target, names, resources);
        }
        if let Some(resource) = resources.get_mut(at) {
            *resource = object;
        }
    }
    Ok(())
}

/// The ids that `binding` finds: none where its keys are absent.
fn ids(kinds: &Kinds, binding: &Binding, reading: &Reading<'_, '_>) -> Result<Vec<String>, Refusal> {
    let form = form(kinds, binding);
    let settle = |source: &Source| reading.settle(source, |found| plain(binding, source, &form, found));
    if binding.id.iter().any(|source| source.many) && binding.id.len() > 1 {
        return rows(binding, &form, reading);
    }
    if binding.id.len() > 1 {
        let parts = binding.id.iter().map(settle).collect::<Result<Vec<_>, _>>()?;
        let parts: Vec<String> = parts.into_iter().flatten().flatten().collect();
        return match parts.len() == binding.id.len() {
            true => joined(&form, &parts)
                .map(|id| vec![id])
                .ok_or_else(|| refuse(Reason::ResourceAmbiguous, format!("a part of `{}` has a separator", label(binding)))),
            // What a resource name begins with is in the path; the rest of it may be left to Databricks.
            false if parts.is_empty() || (binding.optional && matches!(form, IdForm::Pattern { .. })) => Ok(Vec::new()),
            false => Err(refuse(Reason::ResourceMissing, format!("`{}` is not complete", label(binding)))),
        };
    }
    let mut settled: Option<Vec<String>> = None;
    for source in binding.id.iter().chain(&binding.also) {
        let Some(ids) = settle(source)? else { continue };
        if ids.is_empty() && !binding.optional {
            return Err(refuse(Reason::ResourceMissing, format!("`{}` is empty, and it names what the call acts on", source.as_str())));
        }
        match &settled {
            Some(before) if *before != ids => {
                return Err(refuse(Reason::ResourceAmbiguous, format!("`{}` and `{}` disagree", label(binding), source.as_str())));
            }
            _ => settled = Some(ids),
        }
    }
    Ok(settled.unwrap_or_default())
}

/// The ids joined of several keys, one for each element of the list that they stand in.
fn rows(binding: &Binding, form: &IdForm, reading: &Reading<'_, '_>) -> Result<Vec<String>, Refusal> {
    let mut ids = Vec::new();
    for row in reading.rows(&binding.id.iter().collect::<Vec<_>>())? {
        let parts = row.iter().zip(&binding.id).filter_map(|(found, source)| Some(plain(binding, source, form, found.as_ref()?)));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        match (parts.len() == binding.id.len(), joined(form, &parts)) {
            _ if parts.is_empty() => {}
            (true, Some(id)) => ids.push(id),
            (true, None) => return Err(refuse(Reason::ResourceAmbiguous, format!("a part of `{}` has a separator", label(binding)))),
            (false, _) => return Err(refuse(Reason::ResourceMissing, format!("`{}` is not complete", label(binding)))),
        }
    }
    Ok(ids)
}

/// One id of several parts: a dotted name, or a resource name whose pattern says what stands between them.
fn joined(form: &IdForm, parts: &[String]) -> Option<String> {
    let IdForm::Pattern { pattern, .. } = form else {
        return parts.iter().all(|part| !part.contains('.')).then(|| parts.join("."));
    };
    let (first, rest) = parts.split_first()?;
    let mut rest = rest.iter();
    let mut name = first.clone();
    for literal in pattern.split('/').skip(first.split('/').count()) {
        let part = if literal == "*" { rest.next().filter(|part| !part.contains('/'))? } else { literal };
        name.push('/');
        name.push_str(part);
    }
    rest.next().is_none().then_some(name)
}

/// The id as it is compared between places: in the canonical form of its type, as far as that does not depend on the whole.
fn plain(binding: &Binding, source: &Source, form: &IdForm, found: &Found<'_>) -> Result<String, Refusal> {
    match (form, found.wire) {
        (IdForm::Decimal, Wire::Number) | (_, Wire::Text | Wire::Untyped) => {}
        (IdForm::Decimal, _) => {
            return Err(refuse(Reason::BodyUnreadable, format!("`{}` in the body must be a number or a string", source.as_str())));
        }
        _ => return Err(refuse(Reason::BodyUnreadable, format!("`{}` in the body must be a string", source.as_str()))),
    }
    if found.text.is_empty() {
        return Err(refuse(Reason::ResourceMissing, format!("`{}` is empty, and it names what the call acts on", source.as_str())));
    }
    let Some(text) = after(binding.prefix.as_deref(), &found.text) else {
        return Err(refuse(
            Reason::ResourceAmbiguous,
            format!("`{}` must begin with `{}`", source.as_str(), binding.prefix.as_deref().unwrap_or_default()),
        ));
    };
    Ok(form.fold(text).into_owned())
}

/// `text` without the prefix that it must begin with.
pub(super) fn after<'t>(prefix: Option<&str>, text: &'t str) -> Option<&'t str> {
    prefix.map_or(Some(text), |prefix| text.strip_prefix(prefix).filter(|rest| !rest.is_empty()))
}

fn form(kinds: &Kinds, binding: &Binding) -> IdForm {
    let kind = match &binding.kind {
        KindRule::One(kind) | KindRule::ParentOf(kind) => Some(*kind),
        KindRule::Shaped { .. } | KindRule::Chosen { .. } => None,
    };
    kind.and_then(|kind| kinds.get(kind)).map_or(IdForm::Exact, |kind| kind.spec.form.clone())
}

/// `ids`, unless they are too many to be decided.
fn few(ids: Vec<String>) -> Result<Vec<String>, Refusal> {
    if ids.len() > MOST { Err(too_many()) } else { Ok(ids) }
}

fn too_many() -> Refusal {
    refuse(Reason::BodyTooLarge, format!("the call names more than {MOST} resources"))
}

/// What `id` stands for, where one choice holds for all ids of `binding`, or the id tells.
fn alike(binding: &Binding, id: String, reading: &Reading<'_, '_>) -> Result<Named, Refusal> {
    let one = |kind: KindId, parent: bool, orphan: bool| SmallVec::from_iter([Which { kind, parent, orphan }]);
    let which = match &binding.kind {
        KindRule::One(kind) => one(*kind, false, binding.orphan),
        KindRule::ParentOf(kind) => one(*kind, true, false),
        KindRule::Shaped { shape, plain, shaped } => one(if shape.is_of(&id) { *shaped } else { *plain }, false, false),
        KindRule::Chosen { by, kinds } => {
            let value = reading.settle(by, |found| Ok(found.text.clone().into_owned()))?.and_then(|values| values.into_iter().next());
            chosen(by, kinds, value.as_deref())?
        }
    };
    Ok(Named { id, which })
}

/// The ids of a list whose elements each say of which type they are.
fn typed(binding: &Binding, by: &Source, choices: &[(Box<str>, Vec<Choice>)], reading: &Reading<'_, '_>) -> Result<Vec<Named>, Refusal> {
    let Some(id) = binding.id.first() else { return Ok(Vec::new()) };
    let mut ids = Vec::new();
    for row in reading.rows(&[id, by])? {
        let [Some(found), value] = row.as_slice() else {
            return Err(refuse(Reason::ResourceMissing, format!("`{}` is missing beside `{}`", id.as_str(), by.as_str())));
        };
        let Some(value) = value else {
            return Err(refuse(Reason::ResourceMissing, format!("`{}` is missing beside `{}`", by.as_str(), id.as_str())));
        };
        let which = chosen(by, choices, Some(&value.text))?;
        ids.push(Named { id: plain(binding, id, &IdForm::Exact, found)?, which });
    }
    Ok(ids)
}

/// # Errors
/// `CallUnknown` for a value that the catalog does not list.
fn chosen(by: &Source, choices: &[(Box<str>, Vec<Choice>)], value: Option<&str>) -> Result<SmallVec<[Which; 1]>, Refusal> {
    let choice = value.and_then(|value| choices.iter().find(|(name, _)| **name == *value));
    let which = |choice: &Choice| Which { kind: choice.kind, parent: false, orphan: choice.orphan };
    choice
        .map(|(_, choice)| choice.iter().map(which).collect())
        .ok_or_else(|| refuse(Reason::CallUnknown, format!("the catalog knows no `{}` of `{}`", by.as_str(), shown(value.unwrap_or_default()))))
}

fn named(kinds: &Kinds, target: &Target, binding: &Binding, which: Which, id: &str) -> Result<Resource, Refusal> {
    let made = if which.orphan { kinds::orphan(kinds, target, which.kind, id) } else { kinds.resource(target, which.kind, id, which.parent) };
    made.map_err(|why| refuse(Reason::ResourceAmbiguous, format!("`{}` is not the one way to write what the call acts on: {why}", label(binding))))
}

fn label(binding: &Binding) -> String {
    binding.id.iter().map(Source::as_str).collect::<Vec<_>>().join(".")
}
