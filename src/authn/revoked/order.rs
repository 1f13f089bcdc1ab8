use jiff::Timestamp;
use serde::Deserialize;

use super::{By, Revocation, RevokeError, Whose};
use crate::{
    authn::claims::is_name,
    text::{is_obeyed, quoted},
};

/// What an operator asks to have revoked: a token id, a session, a subject, or, with none of them, all tokens of an issuer that were issued before a time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The issuer's name in the configuration.
    pub issuer: String,
    pub token_id: Option<String>,
    pub session: Option<String>,
    pub subject: Option<String>,
    /// `now`, or a time of RFC 3339: tokens that were issued earlier are refused.
    pub not_before: Option<String>,
    /// Refuse all tokens of the subject, whenever they were issued.
    #[serde(default)]
    pub block: bool,
    /// A time of RFC 3339.
    pub until: Option<String>,
    /// The same in seconds from now.
    pub for_s: Option<u64>,
    pub note: Option<String>,
}

/// How long tokens of an issuer may matter, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn) struct Life {
    /// After this, no token that could be presented now is good any more.
    pub longest: i64,
    /// How far clocks may differ.
    pub leeway: i64,
}

/// Bytes of a note.
const NOTE_MAX: usize = 500;
/// The longest that anything is revoked: ten years.
const LONGEST: i64 = 3660 * 86_400;
/// How far ahead a time for `not_before` may lie: every token is refused until then, so that a slip must not last.
const AHEAD: i64 = 86_400;

/// The subject in an entity id such as `User::"corp/alice"`; `None` for what is none.
fn subject_of_principal(text: &str) -> Option<&str> {
    let id = text.strip_prefix("User::\"").or_else(|| text.strip_prefix("ServicePrincipal::\""))?.strip_suffix('"')?;
    id.split_once('/').map(|(_, subject)| subject)
}

// === impl Order ===

impl Order {
    /// The revocation that is meant, of the issuer with this identifier.
    ///
    /// # Errors
    /// What is wrong with the order.
    pub(in crate::authn) fn revocation(self, issuer: &str, life: Life, by: By, now_ms: i64) -> Result<Revocation, RevokeError> {
        let now = now_ms.div_euclid(1000);
        let whose = self.whose()?;
        let before = self.before(&whose, life, now)?;
        let until = self.until(before, life, now)?;
        if self.note.as_deref().is_some_and(|note| note.len() > NOTE_MAX || note.chars().any(is_obeyed)) {
            return Err(invalid(format!("the note has more than {NOTE_MAX} bytes, or a control character")));
        }
        let id = super::fresh_id(now_ms);
        Ok(Revocation { id, issuer: issuer.to_owned(), whose, before, until, made_at: now, by, note: self.note, logout: None })
    }

    fn whose(&self) -> Result<Whose, RevokeError> {
        let whose = match (&self.token_id, &self.session, &self.subject) {
            (Some(id), None, None) => Whose::TokenId(id.clone()),
            (None, Some(id), None) => Whose::Session { id: id.clone(), subject: None },
            (None, None, Some(subject)) => Whose::Subject(subject.clone()),
            (None, None, None) if self.not_before.is_some() => Whose::Everyone,
            (None, None, None) => return Err(invalid("name a token id, a session or a subject, or say `not_before` for all tokens of the issuer")),
            _ => return Err(invalid("name one of a token id, a session and a subject")),
        };
        if let Some(name) = [&self.token_id, &self.session, &self.subject].into_iter().flatten().find(|name| !is_name(name)) {
            return Err(invalid(format!("no token says {}: 1 to 255 bytes, no control characters", quoted(name))));
        }
        if let Some(subject) = self.subject.as_deref().and_then(subject_of_principal) {
            return Err(invalid(format!("that is a principal of policies and records; its subject is {}", quoted(subject))));
        }
        Ok(whose)
    }

    fn before(&self, whose: &Whose, life: Life, now: i64) -> Result<Option<i64>, RevokeError> {
        if self.block && !matches!(whose, Whose::Subject(_)) {
            return Err(invalid("`block` is for a subject"));
        }
        match (self.not_before.as_deref(), whose) {
            (Some(_), Whose::TokenId(_) | Whose::Session { .. }) => Err(invalid("`not_before` is for a subject or for all tokens of an issuer")),
            (Some(_), _) if self.block => Err(invalid("`block` and `not_before` exclude each other")),
            (None, Whose::Subject(_)) if self.block => Ok(None),
            (None, Whose::TokenId(_) | Whose::Session { .. }) => Ok(None),
            // Of a token that was issued in this second nobody can say whether that was before, and the issuer's clock may be ahead.
            (None | Some("now"), _) => Ok(Some(now.saturating_add(life.leeway).saturating_add(1))),
            (Some(text), _) => {
                let time = time(text, "not_before")?;
                if time > now.saturating_add(AHEAD) {
                    return Err(invalid("`not_before` is more than a day ahead, and no token would count until then"));
                }
                Ok(Some(time))
            }
        }
    }

    fn until(&self, before: Option<i64>, life: Life, now: i64) -> Result<i64, RevokeError> {
        let until = match (self.until.as_deref(), self.for_s) {
            (Some(_), Some(_)) => return Err(invalid("`until` and `for` exclude each other")),
            (Some(text), None) => time(text, "until")?,
            (None, Some(seconds)) => now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX)),
            (None, None) if self.block => return Err(invalid("say how long the subject is blocked: `until` or `for`")),
            (None, None) => life.end(before.unwrap_or(now).max(now)),
        };
        if until <= now || until > now.saturating_add(LONGEST) {
            return Err(invalid("`until` or `for` must have it end in the future, and within ten years"));
        }
        Ok(until)
    }
}

// === impl Life ===

impl Life {
    /// When no token counts any more that was issued until then.
    pub(in crate::authn) fn end(self, issued: i64) -> i64 {
        issued.saturating_add(self.longest).saturating_add(self.leeway.saturating_mul(2)).saturating_add(1)
    }
}

/// Whole seconds; a part of one counts as one.
fn time(text: &str, name: &str) -> Result<i64, RevokeError> {
    let time: Result<Timestamp, _> = text.parse();
    let time = time.map_err(|_| invalid(format!("{} is no time for `{name}`; write it as 2026-01-31T12:00:00Z", quoted(text))))?;
    let ms = time.as_millisecond();
    Ok(ms.div_euclid(1000).saturating_add(i64::from(ms.rem_euclid(1000) > 0)))
}

fn invalid(message: impl Into<String>) -> RevokeError {
    RevokeError::Invalid(message.into())
}
