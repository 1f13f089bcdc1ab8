//! One written call as an [`Entry`].

use std::sync::Arc;

use crate::{
    classify::{
        catalog::raw::{RawBinding, RawCall, RawChosen, RawField, RawPlace, RawTarget, Several},
        entry::{Binding, BodyUse, Choice, Entry, FieldRule, KindRule, Source, Step},
        key::Key,
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
    /// Whether keys stand in the query unless it is said where.
    query: bool,
}

/// # Errors
/// A message that says what is wrong with the call.
pub(super) fn entry(kinds: &Kinds, targets: &[RawTarget], raw: &RawCall) -> Result<Entry, String> {
    let name = raw.action.value.as_str();
    let (service, _) = name
        .rsplit_once('.')
        .filter(|_| name.split('.').all(identifier))
        .ok_or_else(|| format!("`{}` is not an action: `service.method`", name.escape_debug()))?;
    if !matches!(raw.method.as_str(), "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE") {
        return Err(format!("`{}` is not a method", raw.method.escape_debug()));
    }
    let templates = Template::parse(&raw.path).map_err(|message| format!("`{}`: {message}", raw.path.escape_debug()))?;
    let params = templates.first().map(|template| template.params().collect::<Vec<_>>()).unwrap_or_default();
    if params.iter().enumerate().any(|(index, name)| params.iter().skip(index + 1).any(|other| other == name)) {
        return Err(format!("`{}` has one parameter twice", raw.path.escape_debug()));
    }
    let query = matches!(raw.method.as_str(), "GET" | "HEAD" | "DELETE");
    let body = raw.body.unwrap_or(if query { BodyUse::None } else { BodyUse::Json });
    let scope = Scope { kinds, params, body, query };
    let bindings = raw.resource.iter().chain(&raw.resources).map(|raw| scope.binding(raw)).collect::<Result<Vec<_>, _>>()?;
    let param = |name: &String| scope.param(name).ok_or_else(|| format!("the path has no parameter `{}`", name.escape_debug()));
    Ok(Entry {
        action: Arc::new(Action { name: name.into(), service: service.into(), level: raw.level.into() }),
        method: raw.method.as_str().into(),
        path: raw.path.as_str().into(),
        targets: targets.iter().map(|target| (*target).into()).collect(),
        body,
        otherwise_target: raw.otherwise.is_some() || bindings.is_empty(),
        bindings,
        fields: raw.fields.iter().map(|raw| scope.field(raw)).collect::<Result<_, _>>()?,
        workspace_param: raw.workspace_param.as_ref().map(param).transpose()?,
        upgrade: raw.upgrade,
        opaque: raw.opaque,
        why: raw.why.as_deref().map(Into::into),
    })
}

/// Whether `text` can be a name in Cedar.
pub(super) fn identifier(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && text.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

// === impl Scope ===

impl Scope<'_> {
    fn binding(&self, raw: &RawBinding) -> Result<Binding, String> {
        let kind = match (&raw.kind, &raw.parent_of, &raw.dotted, &raw.chosen) {
            (Some(kind), None, None, None) => KindRule::One(self.kind(kind)?),
            (None, Some(kind), None, None) => KindRule::ParentOf(self.kind(kind)?),
            (Some(kind), None, Some(dotted), None) => KindRule::Shaped(self.kind(kind)?, self.kind(dotted)?),
            (None, None, None, Some(chosen)) => self.chosen(chosen)?,
            _ => return Err("a resource has one of `type`, `type` with `dotted`, `parent_of`, `chosen`".to_owned()),
        };
        let sources = |several: &Several| several.iter().map(|text| self.source(text, raw.places.as_deref())).collect::<Result<Vec<_>, _>>();
        let id = sources(&raw.id)?;
        let also = raw.also.as_ref().map(sources).transpose()?.unwrap_or_default();
        if id.is_empty() || (id.len() > 1 && (!also.is_empty() || id.iter().any(Source::many))) {
            return Err("an id is one key, or several single ones that are joined".to_owned());
        }
        Ok(Binding { kind, id, also, optional: raw.optional, orphan: raw.orphan })
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
        if kind != FieldKind::Texts && from.iter().any(Source::many) {
            return Err(format!("the field `{}` has many values, so that it must be `texts`", raw.name));
        }
        Ok(FieldRule { name: raw.name.as_str().into(), kind, from })
    }

    fn source(&self, text: &str, places: Option<&[RawPlace]>) -> Result<Source, String> {
        let header = text.strip_prefix("header:").map(Into::into);
        let param = self.param(text);
        let steps: Vec<Step> = if header.is_some() { Vec::new() } else { text.split('.').map(step).collect() };
        if steps.iter().any(|step| !identifier(step.key.as_str())) {
            return Err(format!("`{}` is not a key", text.escape_debug()));
        }
        let says = |place| places.map(|places| places.contains(&place));
        let free = header.is_none() && param.is_none();
        let (query, body) = (says(RawPlace::Query).unwrap_or(free && self.query), says(RawPlace::Body).unwrap_or(free && !self.query));
        if body && self.body != BodyUse::Json {
            return Err(format!("`{}` stands in a body that is not read", text.escape_debug()));
        }
        let query_key = Key::new(&text.replace("[]", ""));
        Ok(Source { steps, query_key, param, header, query, body })
    }

    fn kind(&self, name: &str) -> Result<KindId, String> {
        self.kinds.named(name).ok_or_else(|| format!("the type `{}` is not declared", name.escape_debug()))
    }

    fn param(&self, name: &str) -> Option<usize> {
        self.params.iter().position(|param| *param == name)
    }
}

fn step(text: &str) -> Step {
    let (name, each) = text.strip_suffix("[]").map_or((text, false), |name| (name, true));
    Step { key: Key::new(name), each }
}
