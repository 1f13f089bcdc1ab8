//! Texts of others in messages: escaped and cut short, and the word that was likely meant.

use std::{borrow::Cow, fmt::Display};

/// How many characters of such a text a message shows.
const SHOWN: usize = 80;

/// `text` as it may stand in a message: escaped, at most 80 characters and `…` where it is longer, never cut within an escape.
#[must_use]
pub fn shown(text: &str) -> String {
    short(text.chars().map(char::escape_debug), "…")
}

/// The same in backticks.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("`{}`", shown(text))
}

/// The same of bytes of a request that nobody has decoded yet, in visible ASCII: `st\xe4ge`.
#[must_use]
pub fn quoted_bytes(bytes: &(impl AsRef<[u8]> + ?Sized)) -> String {
    format!("`{}`", short(bytes.as_ref().iter().map(|byte| byte.escape_ascii()), "..."))
}

/// `text` up to the first thing that looks like a credential: a JWT (`eyJ…`) or a personal access token of Databricks (`dapi…`).
#[must_use]
pub fn redacted(text: &str) -> Cow<'_, str> {
    let credential = |from: &str| {
        let tail = |prefix: &str, good: fn(&u8) -> bool| from.strip_prefix(prefix).is_some_and(|rest| rest.bytes().take_while(good).count() >= 8);
        tail("eyJ", |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) || tail("dapi", u8::is_ascii_hexdigit)
    };
    let start = text.match_indices(['e', 'd']).map(|(at, _)| at).find(|at| text.get(*at..).is_some_and(credential));
    match start.and_then(|start| text.get(..start)) {
        Some(before) => Cow::Owned(format!("{before}[redacted]")),
        None => Cow::Borrowed(text),
    }
}

/// Where a reader of the text would see something else than there is: a carriage return that ends no line in most editors, and the characters that turn the
/// direction of writing (CVE-2021-42574). With what it is.
#[must_use]
pub fn deception(text: &str) -> Option<(usize, &'static str)> {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let lone = text.match_indices('\r').map(|(at, _)| at).find(|at| !text.get(at + 1..).unwrap_or_default().starts_with('\n'));
    let lone = lone.map(|at| (at, "a carriage return that ends no line"));
    let turned = text.find(turns).map(|at| (at, "a character that turns the direction of writing"));
    lone.into_iter().chain(turned).min()
}

/// Whether a terminal may obey `c` where it should show it: a control, or what turns the direction of writing.
#[must_use]
pub fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The one of `known` that `word` was likely meant to be: at most one typing error in four letters, and one more.
/// Capitals, and `_` for `-`, are no errors.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let folded = |word: &str| word.to_lowercase().replace('_', "-");
    let (tolerated, word) = (1 + word.chars().count() / 4, folded(word));
    let distances = known.into_iter().map(|name| (strsim::damerau_levenshtein(&word, &folded(name)), name));
    distances.filter(|(distance, _)| *distance <= tolerated).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// As many of the escaped characters as there is room for, and `more` where some are left.
fn short<E: Display + ExactSizeIterator>(escaped: impl Iterator<Item = E>, more: &str) -> String {
    let mut room = SHOWN;
    let mut text = String::new();
    for escape in escaped {
        let Some(left) = room.checked_sub(escape.len()) else { return text + more };
        room = left;
        text.push_str(&escape.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_cut_off() {
        let cases = [
            ("/serving-endpoints/adapi-model/x", "/serving-endpoints/adapi-model/x"),
            ("/x/eyJhbGciOiJSUzI1NiJ9.e30.AAAA/y", "/x/[redacted]"),
            ("agent dapi0123456789abcdef0123", "agent [redacted]"),
            ("héé eyJ", "héé eyJ"),
        ];
        for (text, expected) in cases {
            assert_eq!(redacted(text), expected);
        }
    }

    #[test]
    fn texts_are_escaped_and_cut_between_escapes() {
        let long = "x".repeat(80);
        for (text, want) in [
            ("a\n`b".to_owned(), "a\\n`b".to_owned()),
            (long.clone(), long.clone()),
            (format!("{long}x"), format!("{long}…")),
            ("\u{1b}".repeat(99), "\\u{1b}".repeat(13) + "…"),
            ("\u{202e}é".to_owned(), "\\u{202e}é".to_owned()),
        ] {
            assert_eq!(shown(&text), want);
        }
        assert_eq!(quoted("é"), "`é`");
        assert_eq!(quoted_bytes(b"st\xe4ge\0"), r"`st\xe4ge\x00`");
        assert_eq!(quoted_bytes(&[0xff; 99]), format!("`{}...`", r"\xff".repeat(20)));
    }

    #[test]
    fn a_word_is_near_to_what_it_was_meant_to_be() {
        let known = ["issuers", "audiences", "jwks-uri", "x"];
        for (word, want) in
            [("issuer", Some("issuers")), ("audiecnes", Some("audiences")), ("JWKS_URI", Some("jwks-uri")), ("something", None), ("", Some("x"))]
        {
            assert_eq!(nearest(word, known), want, "{word}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_shown_is_short_and_holds_no_control(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (text, ascii) = (shown(&String::from_utf8_lossy(&bytes)), quoted_bytes(&bytes));
            prop_assert!(text.chars().count() <= SHOWN + 1 && !text.chars().any(char::is_control), "{}", text);
            prop_assert!(ascii.len() <= SHOWN + 5 && ascii.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", ascii);
        }
    }
}
