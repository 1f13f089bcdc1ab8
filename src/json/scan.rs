//! Tokens of JSON: where a string or a number ends (RFC 8259 §6, §7).

/// A number as it is written.
pub(super) struct Number {
    /// In bytes.
    pub(super) length: usize,
    /// It has neither fraction nor exponent.
    pub(super) whole: bool,
    pub(super) exponent: bool,
}

/// Length of the string that `text` begins with, both quotes included, and whether it has an escape, which is not looked at; `None` where it does
/// not end, or has a control character.
#[inline]
pub(super) fn string(text: &[u8]) -> Option<(usize, bool)> {
    let (mut at, mut escaped) = (1, false);
    loop {
        at += plain(text.get(at..)?);
        match text.get(at)? {
            b'"' => return Some((at + 1, escaped)),
            b'\\' => (at, escaped) = (at + 2, true),
            _ => return None,
        }
    }
}

/// How many bytes `text` begins with that are neither quote nor backslash nor control character.
fn plain(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let mut words = text.chunks_exact(8);
    let mut length = 0;
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        // In each byte the high bit is set where the byte is what is looked for; above the first such byte it may be set without need.
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let found = (control | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')))) & HIGHS;
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    length + words.remainder().iter().position(special).unwrap_or(words.remainder().len())
}

/// The number that `text` begins with, `None` where it has none.
#[inline]
pub(super) fn number(text: &[u8]) -> Option<Number> {
    let digits =
        |from: usize| text.get(from..).unwrap_or_default().iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len().saturating_sub(from));
    let one = |from: usize| Some(digits(from)).filter(|count| *count > 0);
    let start = usize::from(text.first() == Some(&b'-'));
    let mut length = if text.get(start) == Some(&b'0') { start + 1 } else { start + one(start)? };
    let whole_length = length;
    if text.get(length) == Some(&b'.') {
        length += 1 + one(length + 1)?;
    }
    let exponent = matches!(text.get(length), Some(b'e' | b'E'));
    if exponent {
        length += 1 + usize::from(matches!(text.get(length + 1), Some(b'+' | b'-')));
        length += one(length)?;
    }
    Some(Number { length, whole: length == whole_length, exponent })
}
