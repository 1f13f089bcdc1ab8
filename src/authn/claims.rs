//! Claims by type: a claim that is absent is absent, and one of another type than its meaning has is a refusal, never a default.

use super::{ClaimPath, claim_path::EVERY, shown};
use crate::{
    json::{self, Object, Value},
    model::{Reason, Refusal},
};

/// The claims of one token, read strictly; whether they are verified is for the holder to know.
#[derive(Debug)]
pub(super) struct Claims<'c>(Object<'c>);

/// The longest text that a claim may hold where it names somebody or something, in bytes.
const MAX_TEXT: usize = 255;
/// The last day of the year 9999 but one, in seconds since the epoch: what lies beyond is no date that calendars share but a trick with numbers.
const END_OF_TIME: i64 = 253_402_207_199;

// === impl Claims ===

impl<'c> Claims<'c> {
    pub(super) fn read(text: &'c [u8]) -> Result<Self, Refusal> {
        let unreadable = |detail: String| Refusal::new(Reason::TokenMalformed, format!("the token's claims cannot be read: {detail}"));
        match json::read(text).map_err(|error| unreadable(shown(&error.to_string())))? {
            Value::Object(object) => Ok(Self(object)),
            other => Err(unreadable(format!("they are {}, not an object", other.kind()))),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value<'c>> {
        self.0.get(name)
    }

    /// A text that names somebody or something: 1 to 255 bytes without control characters.
    pub(super) fn name(&self, name: &str) -> Result<Option<&str>, Refusal> {
        self.0.get(name).map(|value| name_in(value, name)).transpose()
    }

    /// The same under the first of `names` that is there; those that are there must agree.
    pub(super) fn agreed(&self, names: &[&str]) -> Result<Option<&str>, Refusal> {
        let mut found: Option<&str> = None;
        for name in names {
            match (found, self.name(name)?) {
                (Some(one), Some(other)) if one != other => return Err(bad(format!("the claims `{}` do not agree", names.join("`, `")))),
                (None, value) => found = value,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Whole seconds since the epoch, within the years 1970 to 9999 (RFC 7519, section 2, `NumericDate`).
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_int().and_then(|seconds| i64::try_from(seconds).ok()).filter(|seconds| (0..=END_OF_TIME).contains(seconds));
        seconds.map(Some).ok_or_else(|| bad(format!("the claim `{name}` is not a time in whole seconds")))
    }

    /// A name, or a list of names.
    pub(super) fn one_or_many(&self, name: &str) -> Result<Vec<&str>, Refusal> {
        match self.0.get(name) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => items.iter().map(|item| name_in(item, name)).collect(),
            Some(value) => Ok(vec![name_in(value, name)?]),
        }
    }

    /// Names separated by single spaces, or a list of names (`scope` of RFC 8693, section 4.2; `scp` of Okta and Entra).
    pub(super) fn words(&self, name: &str) -> Result<Vec<String>, Refusal> {
        match self.0.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Text(text)) if text.chars().any(char::is_control) => Err(bad(format!("the claim `{name}` holds a control character"))),
            Some(Value::Text(text)) => Ok(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()),
            Some(Value::List(items)) => items.iter().map(|item| name_in(item, name).map(str::to_owned)).collect(),
            Some(value) => Err(bad(format!("the claim `{name}` is {}, neither a string nor a list of strings", value.kind()))),
        }
    }

    /// The claim at `path`, which names one.
    pub(super) fn at(&self, path: &ClaimPath) -> Result<Option<&Value<'c>>, Refusal> {
        let Some((first, rest)) = path.names().split_first() else { return Ok(None) };
        let mut found = self.0.get(first);
        for name in rest {
            let Some(value) = found else { return Ok(None) };
            let object = value.as_object().ok_or_else(|| bad(format!("the claim `{path}` passes through {}, not an object", value.kind())))?;
            found = object.get(name);
        }
        Ok(found)
    }

    /// The lists of names at `path`, added to `into`.
    pub(super) fn collect(&self, path: &ClaimPath, into: &mut Vec<String>) -> Result<(), Refusal> {
        let Some((first, rest)) = path.names().split_first() else { return Ok(()) };
        walk(&self.0, first, rest, "", path, into)
    }
}

/// One step of a path in `object`; `prefix` holds the members that `*` stood for.
fn walk(object: &Object<'_>, name: &str, rest: &[String], prefix: &str, path: &ClaimPath, into: &mut Vec<String>) -> Result<(), Refusal> {
    if name == EVERY {
        for (member, value) in object.iter() {
            step(value, rest, &format!("{prefix}{member}:"), path, into)?;
        }
        return Ok(());
    }
    object.get(name).map_or(Ok(()), |value| step(value, rest, prefix, path, into))
}

fn step(value: &Value<'_>, rest: &[String], prefix: &str, path: &ClaimPath, into: &mut Vec<String>) -> Result<(), Refusal> {
    if let Some((next, rest)) = rest.split_first() {
        let object = value.as_object().ok_or_else(|| bad(format!("the claim `{path}` passes through {}, not an object", value.kind())))?;
        return walk(object, next, rest, prefix, path, into);
    }
    let items = value.as_list().ok_or_else(|| bad(format!("the claim `{path}` is {}, not a list of strings", value.kind())))?;
    for item in items {
        let name = format!("{prefix}{}", name_in(item, &path.to_string())?);
        if !is_name(&name) {
            return Err(bad(format!("the claim `{path}` holds a name that is too long, or a control character")));
        }
        into.push(name);
    }
    Ok(())
}

/// `value` as a name.
pub(super) fn name_in<'v>(value: &'v Value<'_>, claim: &str) -> Result<&'v str, Refusal> {
    let text = value.as_text().ok_or_else(|| bad(format!("the claim `{claim}` is or holds {}, not a string", value.kind())))?;
    if is_name(text) {
        Ok(text)
    } else {
        Err(bad(format!("the claim `{claim}` is empty, longer than {MAX_TEXT} bytes, or holds a control character")))
    }
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(super) fn bad(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::TokenBadClaims, detail)
}
