//! Header names as careless readers see them: CGI and WSGI turn `-` into `_`, others every character but letters and digits (CVE-2025-64484,
//! CVE-2026-54763).

/// The characters of `name` in lower case, with all but letters and digits read as `-`.
fn folded(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes().map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' })
}

/// Whether `name` can be taken for one that begins with `prefix` (lower case, `-` only).
pub(super) fn begins(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len() && folded(name).zip(prefix.bytes()).all(|(have, want)| have == want)
}

/// Whether `name` can be taken for one that ends with `suffix` (lower case, `-` only).
pub(super) fn ends(name: &str, suffix: &str) -> bool {
    name.len() >= suffix.len() && folded(name).skip(name.len() - suffix.len()).eq(suffix.bytes())
}

/// Whether `name` can be taken for `other` (lower case, `-` only).
pub(super) fn same(name: &str, other: &str) -> bool {
    name.len() == other.len() && folded(name).eq(other.bytes())
}
