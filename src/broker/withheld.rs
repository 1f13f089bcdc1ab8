//! What was sent to a token endpoint and is told to nobody, also where the endpoint repeats it.

use std::{collections::HashSet, ops::Range};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use form_urlencoded::parse;
use zeroize::Zeroizing;

use super::subject::Order;
use crate::text::redacted;

/// The secrets of one order: the token that is exchanged, and that of a client, in each form in which it was sent.
pub(super) struct Withheld(Vec<Zeroizing<String>>);

/// What stands where something is withheld.
pub(super) const MASK: &str = "…";
/// So many bytes of a secret in a row, in whatever case, are a part of it.
const RUN: usize = 8;
/// The longest word that is told, in bytes: what is longer is none.
const LONGEST_WORD: usize = 100;
/// The longest text that is looked through, in characters: more than is ever told of one.
const LONGEST_TEXT: usize = 4096;

// === impl Withheld ===

impl Withheld {
    pub(super) fn of(order: &Order) -> Self {
        let field = |name: &str| parse(order.form.as_bytes()).find(|(have, _)| have == name).map(|(_, value)| Zeroizing::new(value.into_owned()));
        let mut secrets: Vec<Zeroizing<String>> = field("subject_token").into_iter().collect();
        if let Some(value) = &order.authorization {
            let basic = value.expose().strip_prefix("Basic ").unwrap_or(value.expose());
            secrets.push(Zeroizing::new(basic.to_owned()));
            let pair = STANDARD.decode(basic).ok().map(Zeroizing::new);
            // Id and secret are form-encoded in it (RFC 6749, section 2.3.1).
            if let Some((_, secret)) = pair.as_ref().and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|pair| pair.split_once(':')) {
                secrets.push(Zeroizing::new(secret.to_owned()));
                secrets.extend(parse(secret.as_bytes()).map(|(secret, _)| Zeroizing::new(secret.into_owned())));
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        Self(secrets)
    }

    /// Of what nothing was sent for.
    pub(super) fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Whether `text` is a secret that was sent.
    pub(super) fn is(&self, text: &str) -> bool {
        self.0.iter().any(|secret| secret.as_str() == text)
    }

    /// Whether nothing in `text` is a part of a secret, nor looks like a credential.
    pub(super) fn may_tell(&self, text: &str) -> bool {
        text.len() <= LONGEST_TEXT && redacted(text) == text && self.parts(text).is_empty()
    }

    /// `text` with one space between each of its words, without those that are, or may be, a part of a credential.
    pub(super) fn strike(&self, text: &str) -> String {
        let text = text.char_indices().nth(LONGEST_TEXT).and_then(|(end, _)| text.get(..end)).unwrap_or(text);
        let parts = self.parts(text);
        let withheld = |at: usize, word: &str| {
            let touched = parts.iter().any(|part| part.start < at.saturating_add(word.len()) && at < part.end);
            touched || word.len() > LONGEST_WORD || word.contains("eyJ") || word.contains("dapi")
        };
        let words = words(text).map(|(at, word)| if withheld(at, word) { MASK } else { word });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Where in `text` parts of secrets stand.
    fn parts(&self, text: &str) -> Vec<Range<usize>> {
        let text = text.to_ascii_lowercase();
        let mut found = Vec::new();
        for secret in &self.0 {
            let secret = Zeroizing::new(secret.to_ascii_lowercase());
            let run = secret.len().min(RUN);
            let runs: HashSet<&[u8]> = secret.as_bytes().windows(run).collect();
            let places = text.as_bytes().windows(run).enumerate().filter(|(_, window)| runs.contains(window));
            found.extend(places.map(|(at, window)| at..at.saturating_add(window.len())));
        }
        found
    }
}

/// Each word of `text` with the byte at which it begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split(char::is_whitespace)
        .map(move |word| {
            let begins = text.get(at..).and_then(|rest| rest.find(word)).map_or(at, |skipped| at.saturating_add(skipped));
            at = begins.saturating_add(word.len());
            (begins, word)
        })
        .filter(|(_, word)| !word.is_empty())
}
