use crate::{
    model::{Reason, Refusal},
    text::quoted_bytes,
};

const LONGEST: usize = 32;

/// The method as it stands. Methods are case-sensitive (RFC 9110, section 9.1) but servers are not all so: `get` is refused, not folded.
pub(super) fn read(method: &[u8]) -> Result<&str, Refusal> {
    if method.is_empty() {
        return Err(Refusal::new(Reason::RequestMalformed, "the request has no method"));
    }
    let letter = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    match std::str::from_utf8(method) {
        Ok(text) if text.len() <= LONGEST && method.iter().all(letter) => Ok(text),
        _ => {
            let detail = format!("the method {} is not 1 to {LONGEST} of `A-Z`, `0-9`, `-` and `_`", quoted_bytes(method));
            Err(Refusal::new(Reason::RequestMalformed, detail))
        }
    }
}
