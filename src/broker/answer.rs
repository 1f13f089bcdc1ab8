//! What a token endpoint answers (RFC 6749, sections 5.1 and 5.2; RFC 8693, section 2.2).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::config::Exchange;
use crate::{
    json::{self, Object, Value},
    model::Intent,
    text::shown,
};

/// A token that can be used, not yet held against anything but its own form.
#[derive(Debug)]
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

/// The longest token: what still fits into a header beside the others.
const LONGEST_TOKEN: usize = 16 * 1024;
/// The longest description that is told of.
const LONGEST_TOLD: usize = 300;
/// How long a token must live, in seconds, to be of use: Databricks on Azure rejects one that ends within 30 s, and its SDKs take 40 s for the end.
pub(super) const MARGIN: i64 = 40;

/// The token in the body of a 200.
///
/// # Errors
/// In words, without a byte of the token: what is wrong with the answer.
pub(super) fn issued<'a>(value: &'a Value<'_>, exchange: &Exchange, scope: &str, now: i64) -> Result<Issued<'a>, String> {
    let object = value.as_object().ok_or("its answer is not a JSON object")?;
    let token = object.get("access_token").and_then(Value::as_text).ok_or("its answer has no `access_token`")?;
    if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the `access_token` in its answer cannot stand in a header".to_owned());
    }
    let kind = object.get("token_type").and_then(Value::as_text).ok_or("its answer has no `token_type`")?;
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(format!("the `token_type` in its answer is `{}`, not `Bearer`", shown(kind)));
    }
    has(object, scope)?;
    let lifetime = object.get("expires_in").and_then(Value::as_int).ok_or("its answer has no whole number `expires_in`")?;
    let mut lifetime = i64::try_from(lifetime).map_err(|_| "the `expires_in` in its answer is not a time")?;
    if let Some(claims) = claims(token) {
        let claims = json::read(&claims).ok();
        if let Some(claims) = claims.as_ref().and_then(Value::as_object) {
            lifetime = lifetime.min(left(claims, now));
            is_for(claims, exchange)?;
        }
    }
    if lifetime <= MARGIN {
        return Err(format!("its token lives {lifetime} s, and {MARGIN} s before its end Databricks takes none"));
    }
    Ok(Issued { token, lifetime })
}

/// Whether the token has every scope of `asked` (RFC 6749, section 5.1: an answer without `scope` gives what was asked); one of all has each.
fn has(object: &Object<'_>, asked: &str) -> Result<(), String> {
    let Some(given) = object.get("scope") else { return Ok(()) };
    let given = given.as_text().ok_or("the `scope` in its answer is not a text")?;
    let has = |word: &str| given.split(' ').any(|given| given == word || given == Intent::ALL_APIS);
    match asked.split(' ').find(|word| !has(word)) {
        None => Ok(()),
        Some(word) => Err(format!("its token has the scope `{}`, without `{}`, which the call needs", shown(given), shown(word))),
    }
}

/// The claims of a token that is a JWT by its form. They are no proof of anything; they only keep a token from being sent that cannot be meant.
fn claims(token: &str) -> Option<Vec<u8>> {
    let mut parts = token.split('.');
    let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    URL_SAFE_NO_PAD.decode(claims).ok()
}

fn left(claims: &Object<'_>, now: i64) -> i64 {
    let ends = claims.get("exp").and_then(Value::as_int).and_then(|ends| i64::try_from(ends).ok());
    ends.map_or(i64::MAX, |ends| ends.saturating_sub(now))
}

fn is_for(claims: &Object<'_>, exchange: &Exchange) -> Result<(), String> {
    let named: Vec<&str> = match claims.get("aud") {
        None => return Ok(()),
        Some(Value::List(list)) => list.iter().filter_map(Value::as_text).collect(),
        Some(one) => one.as_text().into_iter().collect(),
    };
    if exchange.audiences.is_empty() || named.iter().any(|name| exchange.audiences.iter().any(|audience| audience == name)) {
        return Ok(());
    }
    Err(format!("its token is for `{}`, which is not this target; if it is, name it in `token_audiences`", shown(&named.join("`, `"))))
}

/// What the body of an error says.
pub(super) fn declined(body: &[u8]) -> Declined {
    let value = json::read(body).ok();
    let text = |key: &str| value.as_ref().and_then(Value::as_object).and_then(|object| object.get(key)).and_then(Value::as_text);
    // RFC 6749, section 5.2; and the form of Okta's and others' that the Databricks SDKs read too.
    let code = text("error").or_else(|| text("errorCode")).filter(|code| is_code(code)).map(str::to_owned);
    let description = text("error_description").or_else(|| text("errorSummary")).map(told);
    Declined { code, description }
}

fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// A description without what may be a token in it: some endpoints repeat what they were sent.
fn told(text: &str) -> String {
    let word = |word: &str| if word.len() > 100 || word.contains("eyJ") || word.contains("dapi") { "…".to_owned() } else { word.to_owned() };
    let words: Vec<String> = text.split_whitespace().map(word).collect();
    let text: String = words.join(" ").chars().take(LONGEST_TOLD).collect();
    shown(&text)
}
