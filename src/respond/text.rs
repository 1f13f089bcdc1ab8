//! Text that may be emitted: visible ASCII and spaces, bounded, free of the phrases that make clients retry.

/// What the official SDKs take for a passing fault, whatever the status (databricks-sdk for Python 0.162.0 and for Go 0.175.0), in lower case.
const RETRIED: [&str; 10] = [
    "unknownworkerenvironmentexception",
    "does not have any associated worker environments",
    "there is no worker environment with id",
    "unknown worker environment",
    "clusternotready",
    "unexpected error",
    "please try again later or try a faster operation.",
    "rpc token bucket limit has been exceeded",
    "deadline exceeded",
    "timed out after ",
];
const ALSO_RETRIED: &str = "request_limit_exceeded";

/// Bytes of a header value that is made of free text; more says nothing to a person.
const LONGEST: usize = 1024;

/// `text` without the phrases of [`RETRIED`].
pub(super) fn unretried(text: &str) -> String {
    let mut out = text.to_owned();
    for phrase in RETRIED.iter().chain(std::iter::once(&ALSO_RETRIED)) {
        while let Some(at) = find(&out, phrase) {
            out.replace_range(at..at + phrase.len(), "[...]");
        }
    }
    out
}

/// Where `phrase` (lower-case ASCII) stands in `text`, whatever its case.
fn find(text: &str, phrase: &str) -> Option<usize> {
    text.as_bytes().windows(phrase.len()).position(|window| window.eq_ignore_ascii_case(phrase.as_bytes()))
}

/// `text` as a header value: other than visible ASCII and space becomes `?`, cut at 1 KiB.
pub(super) fn phrase(text: &str) -> String {
    text.chars().take(LONGEST).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// One element of a list header: `%`, `,` and all that is not visible ASCII percent-encoded, so that the list splits at `,` in one way only.
pub(super) fn element(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if matches!(byte, b'!'..=b'~') && byte != b'%' && byte != b',' {
            out.push(byte);
        } else {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
