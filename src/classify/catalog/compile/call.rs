//! One written call as an [`Entry`].

use std::{cell::RefCell, sync::Arc};

use super::scope;
use crate::{
    classify::{
        catalog::{
            CatalogFile,
            raw::{RawBinding, RawCall, RawChosen, RawField, RawFile, RawPlace, Several},
        },
        entry::{Binding, BodyUse, Choice, Entry, FieldRule, KindRule, Shape, Source},
        key::Key,
        keys::{KeyId, Keys},
        kinds::{KindId, Kinds},
        template::Template,
    },
    model::{Action, FieldKind},
};

/// Names that `context.request` has anyway, and words of Cedar.
const RESERVED: [&str; 14] = ["method", "path", "source_ip", "time", "host", "true", "false", "if", "then", "else", "in", "is", "like", "has"];

/// What the sources of one call have in common.
struct Scope<'s> {
    kinds: &'s Kinds,
    params: Vec<&'s str>,
    body: BodyUse,
    keys: RefCell<Keys>,
    /// Whether keys stand in the query unless it is said where.
    query: bool,
}

/// # Errors
/// A message that says what is wrong with the call.
pub(super) fn entry(kinds: &Kinds, targets: &[String], file: &RawFile, raw: &RawCall) -> Result<Entry, String> {
    let name = raw.action.value.as_str();
    let (service, _) = name
        .rsplit_once('.')
        .filter(|_| name.split('.').all(identifier))
        .ok_or_else(|| format!("`{}` is not an action: `service.method`", name.escape_debug()))?;
    if let Some(alias) = raw.aliases.iter().find(|alias| !alias.contains('.') || !alias.split('.').all(identifier)) {
        return Err(format!("the alias `{}` is not an action: `service.method`", alias.escape_debug()));
    }
    if let Some(target) = targets.iter().find(|target| !api_name(target)) {
        return Err(format!("`{}` is not the name of an API", target.escape_debug()));
    }
    if raw.upgrade.as_ref().is_some_and(|protocol| raw.method != "GET" || !api_name(protocol)) {
        return Err("an upgrade is asked for with GET, and names its protocol in lower case".to_owned());
    }
    if !matches!(raw.method.as_str(), "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE") {
        return Err(format!("`{}` is not a method", raw.method.escape_debug()));
    }
    let templates = Template::parse(&raw.path).map_err(|message| format!("`{}`: {message}", raw.path.escape_debug()))?;
    let params: Vec<&str> = templates.first().into_iter().flat_map(|template| &template.params).map(|param| &*param.name).collect();
    if params.iter().enumerate().any(|(index, name)| params.iter().skip(index + 1).any(|other| other == name)) {
        return Err(format!("`{}` has one parameter twice", raw.path.escape_debug()));
    }
    let query = matches!(raw.method.as_str(), "GET" | "HEAD" | "DELETE");
    let body = raw.body.unwrap_or(if query { BodyUse::None } else { BodyUse::Json });
    let sources = Scope { kinds, params, body, keys: RefCell::new(Keys::new()), query };
    let account = targets.iter().any(|target| *target == CatalogFile::ACCOUNT);
    let bindings = raw.resource.iter().chain(&raw.resources).map(|raw| sources.binding(raw)).collect::<Result<Vec<_>, _>>()?;
    let param = |name: &String| sources.param(name).ok_or_else(|| format!("the path has no parameter `{}`", name.escape_debug()));
    let entry = Entry {
        action: Arc::new(Action {
            name: name.into(),
            service: service.into(),
            level: raw.level.into(),
            marks: raw.marks.iter().map(|mark| (*mark).into()).collect(),
            within: raw.within.iter().map(|wider| wider.as_str().into()).collect(),
        }),
        aliases: raw.aliases.iter().map(|alias| alias.as_str().into()).collect(),
        method: raw.method.as_str().into(),
        path: raw.path.as_str().into(),
        targets: targets.iter().map(|target| target.as_str().into()).collect(),
        body,
        also_target: raw.also_target,
        reaches: raw.reaches.iter().map(|kind| sources.kind(kind)).collect::<Result<_, _>>()?,
        otherwise_target: raw.otherwise.is_some() || bindings.is_empty(),
        bindings,
        fields: raw.fields.iter().map(|raw| sources.field(raw)).collect::<Result<_, _>>()?,
        workspace_param: raw.workspace_param.as_ref().map(param).transpose()?,
        account_param: sources.param("account_id").filter(|_| account),
        scope: scope::of(file, raw, service)?,
        upgrade: raw.upgrade.as_deref().map(Into::into),
        why: raw.why.as_deref().map(Into::into),
        keys: sources.keys.into_inner(),
    };
    match entry.keys.torn(entry.sources().map(|source| source.at)) {
        Some(path) => Err(format!("`{path}` is an object, since keys stand in it, and a value of its own")),
        None => Ok(entry),
    }
}

/// A prefix of resource names: `schemas/`.
fn prefix(text: Option<&str>) -> Result<Option<Box<str>>, String> {
    let good = |text: &&str| text.len() > 1 && text.ends_with('/') && !text.starts_with('/');
    text.map(|text| Some(text).filter(good).map(Into::into).ok_or_else(|| format!("`{}` is not a prefix: `schemas/`", text.escape_debug())))
        .transpose()
}

/// Whether `text` can name an API or a protocol: `mlflow`, `feature-store.yaml`, `websocket`.
fn api_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
}

/// Whether `text` can be a name in Cedar.
pub(super) fn identifier(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && text.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

// === impl Scope ===

impl Scope<'_> {
    fn binding(&self, raw: &RawBinding) -> Result<Binding, String> {
        let shaped =
            |shape, plain: &str, shaped: &str| Ok::<_, String>(KindRule::Shaped { shape, plain: self.kind(plain)?, shaped: self.kind(shaped)? });
        let kind = match (&raw.kind, &raw.parent_of, &raw.dotted, &raw.volume, &raw.chosen) {
            (Some(kind), None, None, None, None) => KindRule::One(self.kind(kind)?),
            (None, Some(kind), None, None, None) => KindRule::ParentOf(self.kind(kind)?),
            (Some(kind), None, Some(dotted), None, None) => shaped(Shape::Dotted, kind, dotted)?,
            (Some(kind), None, None, Some(volume), None) => shaped(Shape::Volume, kind, volume)?,
            (None, None, None, None, Some(chosen)) => self.chosen(chosen)?,
            _ => return Err("a resource has one of `type`, `type` with `dotted` or `volume`, `parent_of`, `chosen`".to_owned()),
        };
        let sources = |several: &Several| several.iter().map(|text| self.source(text, raw.places.as_deref())).collect::<Result<Vec<_>, _>>();
        let id = sources(&raw.id)?;
        let also = raw.also.as_ref().map(sources).transpose()?.unwrap_or_default();
        let by = if let KindRule::Chosen { by, .. } = &kind { Some(by) } else { None };
        if let Some(source) = id.iter().chain(&also).chain(by).find(|source| source.object) {
            return Err(format!("`{}` is an object, and no id", source.as_str()));
        }
        if id.is_empty() || (id.len() > 1 && !also.is_empty()) {
            return Err("an id is one key, or several that are joined".to_owned());
        }
        let aside = |source: &Source| source.param.is_some() || source.header.is_some() || source.query;
        if id.len() > 1 && id.iter().any(|source| source.many) {
            let together = id.iter().all(|source| id.first().is_some_and(|first| first.within == source.within) && !aside(source));
            if !together || id.iter().any(|source| self.keys.borrow().is_each(source.at)) {
                return Err("keys below a list are joined where they stand in one object of a body".to_owned());
            }
        }
        if let KindRule::Chosen { by, .. } = &kind
            && by.many
        {
            let beside = |source: &Source| source.within == by.within && !aside(source) && !self.keys.borrow().is_each(source.at);
            if !also.is_empty() || !id.iter().all(beside) || self.keys.borrow().is_each(by.at) {
                return Err("the type of each element of a list stands in one object with its id".to_owned());
            }
        }
        if id.len() > 1 && !matches!(&kind, KindRule::One(kind) | KindRule::ParentOf(kind) if self.kinds.joins(*kind)) {
            return Err("several keys are joined to a dotted name, or to a resource name".to_owned());
        }
        Ok(Binding {
            kind,
            prefix: prefix(raw.prefix.as_deref())?,
            id,
            also,
            optional: raw.optional || raw.or_target,
            or_target: raw.or_target,
            orphan: raw.orphan,
        })
    }

    fn chosen(&self, raw: &RawChosen) -> Result<KindRule, String> {
        let choices = |(value, kinds): (&String, &Several)| {
            let orphan = raw.orphans.contains(value);
            let kinds = kinds.iter().map(|kind| Ok(Choice { kind: self.kind(kind)?, orphan })).collect::<Result<Vec<_>, String>>()?;
            Ok((value.as_str().into(), kinds))
        };
        Ok(KindRule::Chosen { by: self.source(&raw.by, None)?, kinds: raw.types.iter().map(choices).collect::<Result<_, String>>()? })
    }

    fn field(&self, raw: &RawField) -> Result<FieldRule, String> {
        if !identifier(&raw.name) || RESERVED.contains(&raw.name.as_str()) {
            return Err(format!("a field cannot be called `{}`", raw.name.escape_debug()));
        }
        let own = Several::One(raw.name.clone());
        let from = raw.from.as_ref().unwrap_or(&own).iter().map(|text| self.source(text, raw.places.as_deref())).collect::<Result<Vec<_>, _>>()?;
        let kind = FieldKind::from(raw.kind);
        if kind != FieldKind::Texts && from.iter().any(|source| source.many) {
            return Err(format!("the field `{}` has many values, so that it must be `texts`", raw.name));
        }
        if from.iter().any(|source| source.object) && (kind != FieldKind::Bool || !from.iter().all(|source| source.object)) {
            return Err(format!("the field `{}` says whether an object is there, so that it must be `bool` and say nothing else", raw.name));
        }
        Ok(FieldRule { name: raw.name.as_str().into(), kind, form: raw.form.into(), prefix: prefix(raw.prefix.as_deref())?, from })
    }

    fn source(&self, text: &str, places: Option<&[RawPlace]>) -> Result<Source, String> {
        let header = text.strip_prefix("header:").map(Into::into);
        let param = self.param(text);
        let keys = text.strip_suffix("{}").unwrap_or(text);
        let steps = keys.split('.').map(|step| step.strip_suffix("[]").map_or((step, false), |name| (name, true)));
        let (mut within, mut at) = (KeyId::OUTERMOST, KeyId::OUTERMOST);
        for (name, each) in steps.filter(|_| header.is_none()) {
            if !identifier(name) {
                return Err(format!("`{}` is not a key", text.escape_debug()));
            }
            within = at;
            at = self.keys.borrow_mut().add(within, name, each)?;
        }
        let object = keys.len() < text.len();
        if object {
            // A place below makes it a holder of others, which is what is looked for; what stands there is not.
            (within, at) = (at, self.keys.borrow_mut().add(at, "*", false)?);
        }
        let many = !object && (self.keys.borrow().is_listed(at) || self.keys.borrow().is_each(at));
        let says = |place| places.map(|places| places.contains(&place));
        let free = header.is_none() && param.is_none();
        let (query, body) = (says(RawPlace::Query).unwrap_or(free && self.query), says(RawPlace::Body).unwrap_or(free && !self.query));
        if body && !matches!(self.body, BodyUse::Json | BodyUse::Scim | BodyUse::Form) {
            return Err(format!("`{}` stands in a body that is not read", text.escape_debug()));
        }
        if body && self.body == BodyUse::Form && (within != KeyId::OUTERMOST || many) {
            return Err(format!("`{}` stands below another key or is a list, which a form does not have", text.escape_debug()));
        }
        if object && !body {
            return Err(format!("`{}` is an object, and those stand in bodies alone", text.escape_debug()));
        }
        let query_key = Key::new(&keys.replace("[]", ""));
        Ok(Source { query_key, at, within, many, object, param, header, query, body })
    }

    fn kind(&self, name: &str) -> Result<KindId, String> {
        self.kinds.named(name).ok_or_else(|| format!("the type `{}` is not declared", name.escape_debug()))
    }

    fn param(&self, name: &str) -> Option<usize> {
        self.params.iter().position(|param| *param == name)
    }
}
