use crate::{
    model::{Host, Reason, Refusal},
    text::quoted_bytes,
};

/// The host in its canonical form.
pub(super) fn read(raw: &[u8]) -> Result<Host<'_>, Refusal> {
    if raw.is_empty() {
        return Err(Refusal::new(Reason::RequestMalformed, "the request has no host"));
    }
    Host::read(raw).map_err(|wrong| Refusal::new(Reason::HostAmbiguous, format!("the host {} {wrong}", quoted_bytes(raw))))
}
