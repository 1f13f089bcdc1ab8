//! What a token in an answer says of itself (RFC 7519, section 4.1). It is no proof of anything; it only keeps a token from being sent that cannot be meant.

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

use super::{
    answer::Unusable,
    config::{Exchange, Subject},
    withheld::Withheld,
    words,
};
use crate::json::{self, Object, Value};

/// How far clocks may be apart, in seconds.
const SKEW: i64 = 60;

/// How long the token still lives by its own word, in seconds; `None` of one that does not say, as one that is no JWT.
///
/// # Errors
/// It cannot be read, or it cannot be meant: for another audience, of our own, or of a time to come.
pub(super) fn left(token: &str, exchange: &Exchange, sent: &Withheld, now: i64) -> Result<Option<i64>, Unusable> {
    let Some(claims) = claims(token)? else { return Ok(None) };
    let claims = json::read(&claims).map_err(|_| Unusable::Unreadable)?;
    let claims = claims.as_object().ok_or(Unusable::Unreadable)?;
    is_not_ours(claims, exchange)?;
    is_for(claims, exchange, sent)?;
    if let Some(begins) = time(claims, "nbf")?
        && begins > now.saturating_add(SKEW)
    {
        return Err(Unusable::Early(begins.saturating_sub(now)));
    }
    Ok(time(claims, "exp")?.map(|ends| ends.saturating_sub(now)))
}

/// The claims of a token that is a JWT by its form, `None` of any other: what is opaque may have dots too.
fn claims(token: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Unusable> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else { return Ok(None) };
    // Another reader may be more lenient (padding, the other alphabet), and take for claims what is none by RFC 7515, section 2.
    if !leniently(claims).is_some_and(|claims| begins_as_json(&claims)) {
        return Ok(None);
    }
    URL_SAFE_NO_PAD.decode(claims).map(|claims| Some(Zeroizing::new(claims))).map_err(|_| Unusable::Unreadable)
}

/// As far as the text goes that any reader could decode.
fn leniently(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
    let text = Zeroizing::new(text.replace('+', "-").replace('/', "_"));
    let good = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).count();
    // A single character at the end holds no byte.
    let whole = if good % 4 == 1 { good.saturating_sub(1) } else { good };
    GeneralPurpose::new(&URL_SAFE, config).decode(text.get(..whole)?).ok().map(Zeroizing::new)
}

fn begins_as_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().strip_prefix(b"{").is_some_and(|rest| matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}')))
}

fn time(claims: &Object<'_>, name: &'static str) -> Result<Option<i64>, Unusable> {
    let Some(time) = claims.get(name) else { return Ok(None) };
    time.as_int().and_then(|time| i64::try_from(time).ok()).map(Some).ok_or(Unusable::Claim(name))
}

/// What lakegate says of a caller is for the token endpoint alone.
fn is_not_ours(claims: &Object<'_>, exchange: &Exchange) -> Result<(), Unusable> {
    match &exchange.subject {
        Subject::Assertion { issuer, .. } | Subject::ServicePrincipal { issuer, .. }
            if claims.get("iss").and_then(Value::as_text) == Some(issuer.name()) =>
        {
            Err(Unusable::Returned)
        }
        _ => Ok(()),
    }
}

fn is_for(claims: &Object<'_>, exchange: &Exchange, sent: &Withheld) -> Result<(), Unusable> {
    let text = |name: &Value<'_>| name.as_text().map(str::to_owned).ok_or(Unusable::Claim("aud"));
    let named: Vec<String> = match claims.get("aud") {
        None => return Ok(()),
        Some(Value::List(list)) => list.iter().map(text).collect::<Result<_, _>>()?,
        Some(one) => vec![text(one)?],
    };
    if exchange.audiences.is_empty() || named.iter().any(|name| exchange.audiences.contains(name)) {
        return Ok(());
    }
    Err(Unusable::Audience(words::names(named.iter().map(String::as_str), "`, `", sent)))
}
