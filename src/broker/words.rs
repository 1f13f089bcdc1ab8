//! The words of a token endpoint that may be told: those that are known, and those that have the form of a name that people gave.

use super::withheld::{MASK, Withheld};
use crate::text::shown;

/// The longest description that is told of, in characters.
const LONGEST_TOLD: usize = 300;
/// The longest `error` that is not a registered one, in bytes.
const LONGEST_CODE: usize = 40;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 100;
/// The longest part of a name: of letters or digits alone, and of both mixed, as in UUIDs and in the hosts of workspaces.
const LONGEST_PART: usize = 32;
const LONGEST_MIXED: usize = 12;

/// What a token endpoint says in `error`: RFC 6749, sections 4.1.2.1 and 5.2; RFC 8693, section 2.2.2.
const CODES: [&str; 11] = [
    "access_denied",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
];

/// Types of tokens: RFC 6750, RFC 8693 (`N_A`), RFC 9449 (`DPoP`) and drafts that some endpoints go by.
const TYPES: [&str; 5] = ["Bearer", "DPoP", "MAC", "N_A", "PoP"];

/// `text` where it is an error code: a registered one, or one of the same form, or Okta's (`E0000011`).
pub(super) fn code(text: &str, sent: &Withheld) -> Option<String> {
    let of_form = || {
        let plain = text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let numbered = text.strip_prefix('E').is_some_and(|digits| digits.len() == 7 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        text.len() <= LONGEST_CODE && (plain || numbered) && sent.may_tell(text)
    };
    (CODES.contains(&text) || of_form()).then(|| text.to_owned())
}

/// The type of a token, where it is a known one.
pub(super) fn token_type(text: &str) -> Option<&'static str> {
    TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(text))
}

/// `names`, such as scopes or audiences, each as it is where it can be nothing but a name.
pub(super) fn names<'n>(names: impl Iterator<Item = &'n str>, between: &str, sent: &Withheld) -> String {
    let told: Vec<&str> = names.map(|name| if is_name(name) && sent.may_tell(name) { name } else { MASK }).collect();
    shown(&told.join(between))
}

/// A description without what may be a credential in it: some endpoints repeat what they were sent.
pub(super) fn description(text: &str, sent: &Withheld) -> String {
    let text: String = sent.strike(text).chars().take(LONGEST_TOLD).collect();
    shown(&text)
}

/// Words in lower case and numbers, short enough to be no secret.
fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        let alike = part.bytes().all(|byte| byte.is_ascii_lowercase()) || part.bytes().all(|byte| byte.is_ascii_digit());
        let mixed = part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        mixed && part.len() <= if alike { LONGEST_PART } else { LONGEST_MIXED }
    };
    (1..=LONGEST_NAME).contains(&text.len()) && text.split(['-', '_', '.', ':', '/']).all(part)
}
