//! The `authorization` header: which bytes of it are a token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::shown;
use crate::model::{Reason, Refusal};

/// How tokens of Databricks' own making begin: personal access tokens and what is like them.
const PERSONAL: &str = "dapi";

/// A token and how it is sent.
#[derive(Clone, Copy)]
pub(super) struct Credential<'v> {
    pub scheme: Scheme,
    pub token: &'v str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// RFC 6750, section 2.1.
    Bearer,
    /// RFC 9449, section 7.1: with a proof beside it.
    DPoP,
}

/// The token in `value`, a whole `authorization` header (the scheme in any case, RFC 9110, section 11.1).
pub(super) fn read(value: &str) -> Result<Credential<'_>, Refusal> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Err(Refusal::new(
            Reason::CredentialUnsupported,
            "basic authentication is not accepted; send a token of your identity provider as `Authorization: Bearer`",
        ));
    }
    let known = [("bearer", Scheme::Bearer), ("dpop", Scheme::DPoP)].into_iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
    let Some((_, scheme)) = known else {
        return Err(Refusal::new(
            Reason::CredentialUnsupported,
            if !token.is_empty() && plain_scheme(scheme) {
                format!("the authorization scheme `{}` is not accepted, only `Bearer` and `DPoP` are", shown(scheme))
            } else {
                "the authorization header does not begin with `Bearer`".to_owned()
            },
        ));
    };
    if token.starts_with(PERSONAL) {
        return Err(Refusal::new(
            Reason::CredentialUnsupported,
            "Databricks personal access tokens are not accepted; send a token of your identity provider",
        ));
    }
    if token.is_empty() || token.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err(Refusal::new(Reason::TokenMalformed, "the authorization header is not `Bearer`, one space and a token"));
    }
    Ok(Credential { scheme, token })
}

/// Whether it can be shown, where something follows: a token sent without a scheme stands in its place, and must not come back in a message.
fn plain_scheme(scheme: &str) -> bool {
    (1..=24).contains(&scheme.len()) && scheme.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-')
}

/// Whether `token` says nothing by itself, so that only its issuer knows what it is: neither a signed nor an encrypted JWT (RFC 7515 and 7516, section 7.1),
/// whose first part is a JSON object.
///
/// # Errors
/// Where nobody may be asked: a personal access token of Databricks, or what is no token (RFC 6750, section 2.1).
pub(super) fn is_opaque(token: &str) -> Result<bool, Refusal> {
    let dots = token.bytes().filter(|&b| b == b'.').count();
    if matches!(dots, 2 | 4) && (token.starts_with("eyJ") || begins_as_object(token)) {
        return Ok(false);
    }
    if token.starts_with(PERSONAL) {
        return Err(Refusal::new(Reason::CredentialUnsupported, "Databricks personal access tokens are not accepted"));
    }
    let text = token.trim_end_matches('=');
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b)) {
        return Err(Refusal::new(Reason::TokenMalformed, "the token holds what no token holds"));
    }
    Ok(true)
}

/// Whether the first part is one of a JSON object, which may have space before it: some write headers over several lines.
fn begins_as_object(token: &str) -> bool {
    let part = token.split('.').next().unwrap_or_default();
    // Whole groups alone, so that how the end is written does not matter.
    let groups = part.get(..part.len() / 4 * 4).unwrap_or_default();
    URL_SAFE_NO_PAD.decode(groups).is_ok_and(|text| text.trim_ascii_start().starts_with(b"{"))
}
