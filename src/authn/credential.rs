//! The `authorization` header: which bytes of it are a token.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

use super::shown;
use crate::model::{Reason, Refusal};

/// How tokens of Databricks' own making begin: personal access tokens and what is like them.
const PERSONAL: &str = "dapi";

/// What who sends one can do instead. It names no issuer, since anybody can be told it.
const INSTEAD: &str = "send a token of your identity provider as `Authorization: Bearer`, and where the workspace needs one of Databricks', lakegate gets that for \
     it by itself; the Databricks SDKs send the token in `DATABRICKS_TOKEN` (`auth_type` `pat`), while `env-oidc` is of no use here, since it exchanges the token itself";

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
        return Err(basic(token));
    }
    let Some(scheme) = Scheme::parse(scheme) else {
        return Err(Refusal::new(
            Reason::CredentialUnsupported,
            if !token.is_empty() && plain_scheme(scheme) {
                format!("the authorization scheme `{}` is not accepted, only `Bearer` and `DPoP` are", shown(scheme))
            } else {
                "the authorization header does not begin with `Bearer` or `DPoP`".to_owned()
            },
        ));
    };
    if token.starts_with(PERSONAL) {
        return Err(personal());
    }
    if token.is_empty() || token.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err(Refusal::new(Reason::TokenMalformed, "the authorization header is not `Bearer` or `DPoP`, one space and a token"));
    }
    Ok(Credential { scheme, token })
}

/// Whether `value`, a whole `authorization` header, is a personal access token of Databricks and nothing besides: as `Bearer`, or as the password of the user
/// `token` (Databricks: *AI Gateway*). What only begins like one is not.
pub(super) fn is_personal(value: &str) -> bool {
    let plain =
        |token: &[u8]| token.strip_prefix(PERSONAL.as_bytes()).is_some_and(|rest| !rest.is_empty() && rest.iter().copied().all(is_of_personal));
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => plain(token.as_bytes()),
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => {
            let decoded = STANDARD.decode(encoded).map(Zeroizing::new).unwrap_or_default();
            decoded.strip_prefix(b"token:").is_some_and(plain)
        }
        _ => false,
    }
}

fn is_of_personal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn personal() -> Refusal {
    Refusal::new(Reason::CredentialUnsupported, format!("Databricks personal access tokens are not accepted; {INSTEAD}"))
}

/// Of a user name and a password (RFC 7617, section 2), which some clients send a personal access token as.
fn basic(encoded: &str) -> Refusal {
    let decoded = STANDARD.decode(encoded.trim()).map(Zeroizing::new).unwrap_or_default();
    let colon = decoded.iter().position(|&byte| byte == b':');
    let password = colon.and_then(|at| decoded.get(at.saturating_add(1)..)).unwrap_or_default();
    let detail = if password.starts_with(PERSONAL.as_bytes()) {
        format!("the password is a personal access token of Databricks (as `curl --user token:…` sends it), which is not accepted; {INSTEAD}")
    } else {
        "basic authentication is not accepted; send a token of your identity provider as `Authorization: Bearer`".to_owned()
    };
    Refusal::new(Reason::CredentialUnsupported, detail)
}

/// The token in `text` as somebody pasted it: behind its scheme, or alone.
#[must_use]
pub fn bare(text: &str) -> &str {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((scheme, token)) if Scheme::parse(scheme).is_some() => token.trim_start(),
        _ => text,
    }
}

// === impl Scheme ===

impl Scheme {
    fn parse(name: &str) -> Option<Self> {
        [("bearer", Self::Bearer), ("dpop", Self::DPoP)].into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, scheme)| scheme)
    }
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
        return Err(personal());
    }
    let text = token.trim_end_matches('=');
    let odd = text.bytes().position(|b| !b.is_ascii_alphanumeric() && !b"-._~+/".contains(&b));
    match odd {
        None if !text.is_empty() => Ok(true),
        odd => {
            let place = odd.unwrap_or_default().saturating_add(1);
            let detail = format!(
                "the token has at byte {place} what can stand in none (letters, digits and `-._~+/` can, and `=` at its end); send it as its issuer gave it"
            );
            Err(Refusal::new(Reason::TokenMalformed, detail))
        }
    }
}

/// Whether the first part is one of a JSON object, which may have space before it: some write headers over several lines.
fn begins_as_object(token: &str) -> bool {
    let part = token.split('.').next().unwrap_or_default();
    // Whole groups alone, so that how the end is written does not matter.
    let groups = part.get(..part.len() / 4 * 4).unwrap_or_default();
    URL_SAFE_NO_PAD.decode(groups).is_ok_and(|text| text.trim_ascii_start().starts_with(b"{"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_token_loses_its_scheme_as_the_header_does() {
        for text in ["abc", " abc\n", "Bearer abc", "bearer  abc", "BEARER\tabc\n", "DPoP abc", "dpop abc ", "Bearer\nabc"] {
            assert_eq!(bare(text), "abc", "{text:?}");
        }
        for text in ["Basic abc", "Bearerabc", "Bearer", "a b c"] {
            assert_eq!(bare(text), text, "not one that is taken");
        }
    }

    #[test]
    fn what_is_told_of_a_bad_credential_says_what_is_taken() {
        for (header, says) in [
            ("Token abc", "only `Bearer` and `DPoP` are"),
            ("eyJh.eyJh.x", "does not begin with `Bearer` or `DPoP`"),
            ("DPoP ", "is not `Bearer` or `DPoP`, one space and a token"),
            ("DPoP a b", "is not `Bearer` or `DPoP`, one space and a token"),
        ] {
            let told = read(header).map(|_| ()).unwrap_err().detail;
            assert!(told.contains(says), "{header}: {told}");
        }
        for (token, place) in [("abc!d", "at byte 4"), ("==", "at byte 1"), ("a=b", "at byte 2")] {
            let told = is_opaque(token).unwrap_err().detail;
            assert!(told.contains(place) && told.contains("send it as its issuer gave it"), "{token}: {told}");
        }
    }
    #[test]
    fn a_personal_access_token_is_refused_with_what_to_do_instead_in_every_form_it_comes_in() {
        const TOKEN: &str = "dapi0123456789abcdef0123456789abcdef";
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let instead = ["DATABRICKS_TOKEN", "`Authorization: Bearer`"];
        for (header, says, personal) in [
            (format!("Bearer {TOKEN}"), "personal access tokens are not accepted", true),
            (format!("bearer {TOKEN}-2"), "personal access tokens are not accepted", true),
            (format!("DPoP {TOKEN}"), "personal access tokens are not accepted", true),
            (basic(&format!("token:{TOKEN}")), "the password is a personal access token", true),
            (basic(&format!(":{TOKEN}")), "the password is a personal access token", true),
            (basic(&format!("token:{TOKEN}")).replace("Basic", "bASIC"), "the password is a personal access token", true),
            (basic(&format!("{TOKEN}:")), "basic authentication is not accepted", false),
            (basic("alice:secret"), "basic authentication is not accepted", false),
            ("Basic ****".to_owned(), "basic authentication is not accepted", false),
            ("Basic".to_owned(), "basic authentication is not accepted", false),
        ] {
            let refusal = read(&header).map(|_| ()).unwrap_err();
            assert_eq!(refusal.reason, Reason::CredentialUnsupported, "{header}");
            assert!(refusal.detail.contains(says) && !refusal.detail.contains("dapi"), "{header}: {}", refusal.detail);
            assert_eq!(instead.iter().all(|word| refusal.detail.contains(word)), personal, "{header}: {}", refusal.detail);
        }
        assert!(is_opaque(TOKEN).unwrap_err().detail.contains("DATABRICKS_TOKEN"));
    }
}
