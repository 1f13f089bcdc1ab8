use std::fmt::{self, Write as _};

/// How many characters of a request a message may show.
const SHOWN: usize = 80;

/// Bytes of the request as they may stand in a message: in backticks, escaped to visible ASCII, cut short.
pub(super) struct Quoted<'r>(pub(super) &'r [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('`')?;
        let mut escaped = self.0.escape_ascii();
        for byte in escaped.by_ref().take(SHOWN) {
            f.write_char(char::from(byte))?;
        }
        f.write_str(if escaped.next().is_some() { "...`" } else { "`" })
    }
}
