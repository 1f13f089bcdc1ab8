//! The `authorization` header: which bytes of it are a token.

use super::shown;
use crate::model::{Reason, Refusal};

/// How tokens of Databricks' own making begin: personal access tokens and what is like them.
const PERSONAL: &str = "dapi";

/// The bearer token in `value`, a whole `authorization` header (RFC 6750, section 2.1; the scheme in any case, RFC 9110, section 11.1).
pub(super) fn bearer(value: &str) -> Result<&str, Refusal> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Err(Refusal::new(
            Reason::CredentialUnsupported,
            "basic authentication is not accepted; send a token of your identity provider as `Authorization: Bearer`",
        ));
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::new(
            Reason::CredentialUnsupported,
            if plain_scheme(scheme) {
                format!("the authorization scheme `{}` is not accepted, only `Bearer` is", shown(scheme))
            } else {
                "the authorization header does not begin with `Bearer`".to_owned()
            },
        ));
    }
    if token.starts_with(PERSONAL) {
        return Err(Refusal::new(
            Reason::CredentialUnsupported,
            "Databricks personal access tokens are not accepted; send a token of your identity provider",
        ));
    }
    if token.is_empty() || token.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err(Refusal::new(Reason::TokenMalformed, "the authorization header is not `Bearer`, one space and a token"));
    }
    Ok(token)
}

/// Whether it can be shown: a token sent without a scheme stands in its place, and must not come back in a message.
fn plain_scheme(scheme: &str) -> bool {
    (1..=24).contains(&scheme.len()) && scheme.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-')
}
