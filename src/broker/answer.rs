//! What a token endpoint answers (RFC 6749, sections 5.1 and 5.2; RFC 8693, section 2.2).

use std::fmt;

use super::{claims, config::Exchange, withheld::Withheld, words};
use crate::{
    json::{self, Object, Value},
    model::Intent,
    text::shown,
};

/// A token that can be used, not yet held against anything but its own form.
pub(super) struct Issued<'a> {
    pub token: &'a str,
    /// Seconds.
    pub lifetime: i64,
}

/// Why the endpoint made no token for this caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Declined {
    /// Its `error`, where that is one.
    pub code: Option<String>,
    /// Its `error_description`, made fit to be shown to operators.
    pub description: Option<String>,
}

/// Why an answer with status 200 is of no use; in words, without a byte of a token or secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("its answer is not strict JSON")]
    NotJson,
    /// It is not what a token endpoint answers.
    #[error("{0}")]
    Form(&'static str),
    #[error("the `token_type` in its answer is {0}, not `Bearer`")]
    Type(String),
    /// It lacks a scope that was asked for.
    #[error("its token has the scope `{given}`, without `{lacks}`, which the call needs")]
    Scope { given: String, lacks: String },
    /// It is none of Databricks' making.
    #[error("its token is what was sent to it, and is not for the target")]
    Returned,
    /// It has claims that some reader could read, and not this one.
    #[error("the claims of its token are not strict JSON")]
    Unreadable,
    #[error("`{0}` in its token is not what such a claim is")]
    Claim(&'static str),
    #[error("its token is for `{0}`, which is not this target; if it is, name it in `token_audiences`")]
    Audience(String),
    /// Seconds until it begins to count.
    #[error("its token counts only in {0} s")]
    Early(i64),
    /// Seconds that it lives.
    #[error("its token lives {0} s, and {MARGIN} s before its end Databricks takes none")]
    Short(i64),
}

/// The longest token: what still fits into a header beside the others.
const LONGEST_TOKEN: usize = 16 * 1024;
/// How long a token must live, in seconds, to be of use: Databricks on Azure rejects one that ends within 30 s, and its SDKs take 40 s for the end.
pub(super) const MARGIN: i64 = 40;

/// The token in the body of a 200, which answers what was `sent` with this scope.
///
/// # Errors
/// What is wrong with the answer.
pub(super) fn issued<'a>(value: &'a Value<'_>, exchange: &Exchange, sent: &Withheld, scope: &str, now: i64) -> Result<Issued<'a>, Unusable> {
    let object = value.as_object().ok_or(Unusable::Form("its answer is not a JSON object"))?;
    let token = object.get("access_token").and_then(Value::as_text).ok_or(Unusable::Form("its answer has no `access_token`"))?;
    if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Unusable::Form("the `access_token` in its answer cannot stand in a header"));
    }
    if sent.is(token) {
        return Err(Unusable::Returned);
    }
    let kind = object.get("token_type").and_then(Value::as_text).ok_or(Unusable::Form("its answer has no `token_type`"))?;
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(Unusable::Type(words::token_type(kind).map_or_else(|| "another".to_owned(), |kind| format!("`{kind}`"))));
    }
    has(object, scope, sent)?;
    let lifetime = object.get("expires_in").and_then(Value::as_int).ok_or(Unusable::Form("its answer has no whole number `expires_in`"))?;
    let lifetime = i64::try_from(lifetime).map_err(|_| Unusable::Form("the `expires_in` in its answer is not a time"))?;
    let left = claims::left(token, exchange, sent, now)?;
    let lifetime = left.map_or(lifetime, |left| left.min(lifetime));
    if lifetime <= MARGIN {
        return Err(Unusable::Short(lifetime));
    }
    Ok(Issued { token, lifetime })
}

/// Whether the token has every scope of `asked` (RFC 6749, section 5.1: an answer without `scope` gives what was asked); one of all has each.
fn has(object: &Object<'_>, asked: &str, sent: &Withheld) -> Result<(), Unusable> {
    let Some(given) = object.get("scope") else { return Ok(()) };
    let given = given.as_text().ok_or(Unusable::Form("the `scope` in its answer is not a text"))?;
    let has = |word: &str| given.split(' ').any(|given| given == word || given == Intent::ALL_APIS);
    match asked.split(' ').find(|word| !has(word)) {
        None => Ok(()),
        Some(lacks) => Err(Unusable::Scope { given: words::names(given.split(' '), " ", sent), lacks: shown(lacks) }),
    }
}

/// What the body of an error says that answers what was `sent`.
pub(super) fn declined(body: &[u8], sent: &Withheld) -> Declined {
    let value = json::read(body).ok();
    let text = |key: &str| value.as_ref().and_then(Value::as_object).and_then(|object| object.get(key)).and_then(Value::as_text);
    // RFC 6749, section 5.2; and the form of Okta's and others' that the Databricks SDKs read too.
    let code = text("error").or_else(|| text("errorCode")).and_then(|code| words::code(code, sent));
    let description = text("error_description").or_else(|| text("errorSummary")).map(|text| words::description(text, sent));
    Declined { code, description }
}

// === impl Issued ===

/// Says nothing of the token.
impl fmt::Debug for Issued<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}
