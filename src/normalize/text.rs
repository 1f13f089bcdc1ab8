//! Which characters may stand in a decoded text.

/// Visible ASCII as a string, or `None` where any byte is a space, a control or above `~`.
pub(super) fn visible(bytes: &[u8]) -> Option<&str> {
    if bytes.iter().all(u8::is_ascii_graphic) { std::str::from_utf8(bytes).ok() } else { None }
}

/// The same with spaces inside, as header values have; none at either end, where readers differ on whether it counts.
pub(super) fn visible_with_spaces(bytes: &[u8]) -> Option<&str> {
    if bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ') || !bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// Whether `c` is a control (C0, DEL, C1), ends a line, or reorders the text around it, so that a person reads another name than the
/// machine (CVE-2021-42574). Marks that real names need (joiners, right-to-left marks) are let through: comparison is exact.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether `c` is a slash or backslash to a reader that folds lookalikes (Unicode NFKC, best-fit code pages).
pub(super) fn folds_to_slash(c: char) -> bool {
    matches!(
        c,
        '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' // fraction, division, big and full-width solidus
            | '\u{2216}' | '\u{29f5}' | '\u{29f9}' | '\u{fe68}' | '\u{ff3c}' // set minus, and the reverse solidi
    )
}

/// Whether `text` is `.` or `..`, also to a reader that folds the dots of other scripts (NFKC).
pub(super) fn is_dots(text: &str) -> bool {
    let mut dots = 0_usize;
    for c in text.chars() {
        dots += match c {
            '.' | '\u{2024}' | '\u{fe52}' | '\u{ff0e}' => 1,
            '\u{2025}' => 2,
            _ => return false,
        };
        if dots > 2 {
            return false;
        }
    }
    dots > 0
}
