use std::borrow::Cow;

/// What a `+` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plus {
    /// Itself, as in a path.
    Plus,
    /// A space, as every Databricks client writes it in a query.
    Space,
}

/// Why a percent-encoded text has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EscapeFault {
    /// A `%` without two hexadecimal digits.
    Escape,
    /// The bytes that come out are not UTF-8; overlong forms (`%c0%af`) are among them.
    Utf8,
}

/// Decodes `text` exactly once, borrowing where there is nothing to decode (RFC 3986, section 2.1).
pub(super) fn decode(text: &str, plus: Plus) -> Result<Cow<'_, str>, EscapeFault> {
    let space = plus == Plus::Space;
    if !text.bytes().any(|byte| byte == b'%' || (space && byte == b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let (high, low) = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                high.zip(low).map(|(high, low)| high << 4 | low).ok_or(EscapeFault::Escape)?
            }
            b'+' if space => b' ',
            _ => byte,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| EscapeFault::Utf8)
}

/// Whether `text`, decoded already, could be decoded again: where one reader decodes once and another twice, they part here.
pub(super) fn decodes_again(text: &str) -> bool {
    text.as_bytes().windows(3).any(|window| matches!(window, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

// === impl EscapeFault ===

impl EscapeFault {
    pub(super) fn explain(self) -> &'static str {
        match self {
            Self::Escape => "has a `%` without two hexadecimal digits",
            Self::Utf8 => "does not decode to UTF-8",
        }
    }
}
