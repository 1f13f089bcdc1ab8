//! Claims that policies read under names of their own, each by the type that the configuration declares.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{
    Attribute, IssuerConfig, Requirement,
    claims::{Claims, bad},
    facts::sorted,
    shown,
};
use crate::{
    json::{self, Value},
    model::{Field, FieldKind, FieldSpec, FieldValue, Reason, Refusal},
    text::nearest,
};

/// The longest text of an attribute, in bytes: what an audit record holds of one text.
const MAX_TEXT: usize = 1024;
/// How many texts a list may hold.
const MAX_TEXTS: usize = 256;

/// Every attribute that tokens of these issuers may have, in order of name.
#[must_use]
pub fn all(issuers: &[IssuerConfig]) -> Vec<FieldSpec> {
    let declared = issuers.iter().flat_map(|issuer| &issuer.attributes).map(|attribute| (attribute.name.clone(), attribute.kind));
    let named: BTreeMap<Arc<str>, FieldKind> = declared.collect();
    named.into_iter().map(|(name, kind)| FieldSpec { name, kind }).collect()
}

/// Policies read the attributes of all issuers in one record, so that a name has one type there.
///
/// # Errors
/// A message where it has another in `config` than in one of the others.
pub(super) fn agree<'o>(config: &IssuerConfig, others: impl Iterator<Item = &'o IssuerConfig>) -> Result<(), String> {
    for other in others {
        for theirs in &other.attributes {
            let Some(ours) = config.attributes.iter().find(|ours| ours.name == theirs.name && ours.kind != theirs.kind) else { continue };
            return Err(format!(
                "the attribute `{}` is `{}` of issuer `{}` and `{}` of issuer `{}`; give both one type, or one of them another name",
                ours.name,
                ours.kind.as_str(),
                config.name,
                theirs.kind.as_str(),
                other.name
            ));
        }
    }
    Ok(())
}

/// The attributes of a token, in order of name; those whose claims it does not have are left out.
///
/// # Errors
/// `TokenBadClaims` where a claim is of another type than is declared, or longer than is read.
pub(super) fn read(claims: &Claims<'_>, config: &IssuerConfig) -> Result<Vec<Field>, Refusal> {
    let mut fields = Vec::with_capacity(config.attributes.len());
    for attribute in &config.attributes {
        let claim = attribute.claim.to_string();
        let value = if attribute.claim.is_pattern() {
            let mut found = Vec::new();
            claims.collect(&attribute.claim, &mut found)?;
            (!found.is_empty()).then(|| bounded(found)).transpose()
        } else {
            claims.at(&attribute.claim)?.map(|value| typed(value, attribute.kind)).transpose()
        };
        let value = value.map_err(|what| bad(format!("the claim `{claim}` {what}")))?;
        fields.extend(value.map(|value| Field { name: attribute.name.clone(), value }));
    }
    Ok(fields)
}

/// The same where `text` has the attributes by their names.
///
/// # Errors
/// What of it no token could have, in words.
pub(super) fn told(text: &[u8], config: &IssuerConfig) -> Result<Vec<Field>, String> {
    let value = json::read(text).map_err(|error| error.to_string())?;
    let members = value.as_object().ok_or_else(|| format!("attributes are {}, not an object", value.kind()))?;
    let names = || config.attributes.iter().map(|attribute| &*attribute.name);
    let unknown = members.iter().map(|(name, _)| name).find(|name| !names().any(|known| known == *name));
    if let Some(name) = unknown {
        let meant = nearest(name, names()).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        return Err(format!("issuer `{}` has no attribute `{}`{meant}", config.name, shown(name)));
    }
    let present = config.attributes.iter().filter_map(|attribute| Some((attribute, members.get(&attribute.name)?)));
    let field = |(attribute, value): (&Attribute, &Value<'_>)| {
        let value = typed(value, attribute.kind).map_err(|what| format!("the attribute `{}` {what}", attribute.name))?;
        Ok(Field { name: attribute.name.clone(), value })
    };
    present.map(field).collect()
}

/// Why a value is none of its type; the sentence begins with what has the value.
fn typed(value: &Value<'_>, kind: FieldKind) -> Result<FieldValue, String> {
    match (kind, value) {
        (FieldKind::Text, Value::Text(text)) => one(text).map(FieldValue::Text),
        (FieldKind::Long, Value::Int(number)) => {
            i64::try_from(*number).map(FieldValue::Long).map_err(|_| "is a number that does not fit 64 bits, and is declared as `long`".to_owned())
        }
        (FieldKind::Bool, Value::Bool(truth)) => Ok(FieldValue::Bool(*truth)),
        (FieldKind::Texts, Value::Text(text)) => one(text).map(|text| FieldValue::Texts(vec![text])),
        (FieldKind::Texts, Value::List(items)) => {
            let text = |item: &Value<'_>| item.as_text().map(one).ok_or_else(|| format!("holds {}, and is declared as `strings`", item.kind()))?;
            items.iter().map(text).collect::<Result<Vec<_>, _>>().and_then(bounded)
        }
        (kind, value) => Err(format!("is {}, and is declared as `{}`", described(value), kind.as_str())),
    }
}

fn described(value: &Value<'_>) -> &'static str {
    if matches!(value, Value::Float(_)) { "a number that is not whole" } else { value.kind() }
}

fn one(text: &str) -> Result<String, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("has a text of more than {MAX_TEXT} bytes"));
    }
    if text.chars().any(char::is_control) { Err("holds a control character".to_owned()) } else { Ok(text.to_owned()) }
}

fn bounded(texts: Vec<String>) -> Result<FieldValue, String> {
    if texts.len() > MAX_TEXTS { Err(format!("has more than {MAX_TEXTS} texts")) } else { Ok(FieldValue::Texts(sorted(texts))) }
}

/// Whether a token has what the configuration requires of those of its issuer.
///
/// # Errors
/// `TokenNotAccepted` with the claim, what it is and what it must be; `TokenBadClaims` where the claim is of no type that could be compared.
pub(super) fn required(claims: &Claims<'_>, config: &IssuerConfig) -> Result<(), Refusal> {
    for requirement in &config.require {
        let claim = &requirement.claim;
        let wanted = || format!("issuer `{}` is trusted only for tokens in which it is `{}`", config.name, shown(&requirement.any_of.join("` or `")));
        let Some(value) = claims.at(claim)? else {
            return Err(Refusal::new(Reason::TokenNotAccepted, format!("the token has no claim `{claim}`, and {}", wanted())));
        };
        let has =
            texts(value).ok_or_else(|| bad(format!("the claim `{claim}` is or holds {}, which nothing can be required of", described(value))))?;
        if !requirement.is_met(&has) {
            let detail = format!("the claim `{claim}` is `{}`, and {}", shown(&has.join("`, `")), wanted());
            return Err(Refusal::new(Reason::TokenNotAccepted, detail));
        }
    }
    Ok(())
}

/// What a value is compared as, by `require` and by `when` of bindings alike: a text as it is, a truth value or a whole number as JSON writes it, a list of
/// texts as each of them.
pub(super) fn texts<'v>(value: &'v Value<'_>) -> Option<Vec<Cow<'v, str>>> {
    match value {
        Value::Text(text) => Some(vec![Cow::Borrowed(text)]),
        Value::Bool(truth) => Some(vec![Cow::Owned(truth.to_string())]),
        Value::Int(number) => Some(vec![Cow::Owned(number.to_string())]),
        Value::List(items) => items.iter().map(|item| item.as_text().map(Cow::Borrowed)).collect(),
        Value::Null | Value::Float(_) | Value::Object(_) => None,
    }
}

// === impl Requirement ===

impl Requirement {
    /// Whether one of what a claim is [compared as](texts) is one of those that are asked for.
    pub(super) fn is_met(&self, has: &[Cow<'_, str>]) -> bool {
        has.iter().any(|text| self.any_of.iter().any(|wanted| wanted == text))
    }
}
