//! Keys of queries and bodies: one name, the spellings that proto3 JSON takes for it, and those that only look like it.

use smallvec::SmallVec;

/// A key that decides something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// As the catalog writes it.
    name: Box<str>,
    /// `job_id`.
    snake: Box<str>,
    /// `jobId`: proto3 JSON takes both.
    camel: Box<str>,
    /// `jobid`: without `_` and `-`, in lower case.
    folded: Box<str>,
}

/// How a text stands to a [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// It is the key.
    Good,
    /// It folds to the key, so another reader might take it for the key.
    Doubtful,
    /// It is another key.
    Other,
}

// === impl Key ===

impl Key {
    pub(super) fn new(name: &str) -> Self {
        let folded = folded(name).collect::<String>();
        Self { name: name.into(), snake: snake(name).into(), camel: camel(name).into(), folded: folded.into() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.name
    }

    pub(super) fn folded(&self) -> &str {
        &self.folded
    }

    pub(super) fn spelling(&self, text: &str) -> Spelling {
        if *text == *self.name || *text == *self.snake || *text == *self.camel {
            Spelling::Good
        } else if self.may_fold(text) && folded(text).eq(self.folded.chars()) {
            Spelling::Doubtful
        } else {
            Spelling::Other
        }
    }
}

/// Every reader that takes no notice of case comes to the same: some lower, some raise first, so that `ſ`, `ı` and `İ` are `s` and `i` to them.
impl Key {
    /// Whether an ASCII `text` could fold to the key: told by its length and first letter, since nearly every text is another key.
    fn may_fold(&self, text: &str) -> bool {
        let first = |text: &str| text.bytes().find(|byte| !matches!(byte, b'_' | b'-')).map(|byte| byte.to_ascii_lowercase());
        !text.is_ascii() || (text.len() >= self.folded.len() && first(text) == first(&self.folded))
    }
}

/// Adds to `into` what every reader that takes no notice of case, `_` and `-` could make of `text`.
pub(super) fn fold(text: &str, into: &mut SmallVec<[u8; 64]>) {
    if text.is_ascii() {
        into.extend(text.bytes().filter(|byte| !matches!(byte, b'_' | b'-')).map(|byte| byte.to_ascii_lowercase()));
    } else {
        folded(text).for_each(|c| into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()));
    }
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    let raised = text.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_uppercase);
    raised.flat_map(char::to_lowercase).filter(|c| *c != '\u{307}')
}

fn snake(name: &str) -> String {
    name.chars().flat_map(|c| c.is_ascii_uppercase().then_some('_').into_iter().chain([c.to_ascii_lowercase()])).collect()
}

fn camel(name: &str) -> String {
    let mut up = false;
    name.chars()
        .filter_map(|c| {
            let was = std::mem::replace(&mut up, c == '_');
            (c != '_').then(|| if was { c.to_ascii_uppercase() } else { c })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_proto3_are_the_key_and_nothing_else_is() {
        for name in ["job_id", "jobId"] {
            let key = Key::new(name);
            for (text, want) in [
                ("job_id", Spelling::Good),
                ("jobId", Spelling::Good),
                ("JobId", Spelling::Doubtful),
                ("job-id", Spelling::Doubtful),
                ("jobid", Spelling::Doubtful),
                ("JOB_ID", Spelling::Doubtful),
                ("_job_id", Spelling::Doubtful),
                ("\u{17f}job_id", Spelling::Other),
                ("job_\u{131}d", Spelling::Doubtful),
                ("job_\u{130}d", Spelling::Doubtful),
                ("job", Spelling::Other),
                ("job_ids", Spelling::Other),
            ] {
                assert_eq!(key.spelling(text), want, "{text} for {name}");
            }
        }
    }
}
