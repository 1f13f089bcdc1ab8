use super::{headers::refuse, host};
use crate::{
    model::{Host, RawCall, Reason, Refusal},
    text::quoted_bytes,
};

/// What Envoy says about the body it sent along, in `x-envoy-auth-partial-body`. It writes that header itself; a client's never arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Partial {
    Whole,
    /// `true`, or anything that is not `false`.
    Cut,
}

/// What the other parts of this room read from the headers.
#[derive(Clone, Debug, Default)]
pub(super) struct Found<'r> {
    pub(super) method: Option<&'r [u8]>,
    pub(super) path: Option<&'r [u8]>,
    pub(super) scheme: Option<&'r [u8]>,
    pub(super) authority: Option<&'r [u8]>,
    pub(super) host: Option<&'r [u8]>,
    pub(super) workspace_id: Option<&'r str>,
    pub(super) org_id: Option<&'r str>,
    pub(super) transfer_encoding: Option<&'r str>,
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub(super) protocol: Option<&'r str>,
    pub(super) upgrade: Option<&'r str>,
    /// `connection` nominates `upgrade`.
    pub(super) switches: bool,
    pub(super) content_type: Option<&'r str>,
    pub(super) content_length: Option<u64>,
    /// There is a `content-encoding` other than `identity`.
    pub(super) encoded: bool,
    pub(super) partial: Option<Partial>,
}

// === impl Found ===

impl Found<'_> {
    /// Holds the headers against each other and against the fields that Envoy copied from them.
    pub(super) fn agree_with(&self, raw: &RawCall, host: &Host<'_>) -> Result<(), Refusal> {
        if self.method.is_some_and(|method| method != raw.method()) {
            return Err(refuse(":method", "is not the method of the check"));
        }
        if self.path.is_some_and(|path| path != raw.path()) {
            return Err(refuse(":path", "is not the path of the check"));
        }
        for named in self.authority.into_iter().chain(self.host) {
            if named != raw.host() && host::read(named)? != *host {
                let detail = format!("the host is {} and {} at once", quoted_bytes(host.as_str()), quoted_bytes(named));
                return Err(Refusal::new(Reason::HostAmbiguous, detail));
            }
        }
        match self.transfer_encoding {
            // Request smuggling: which of the two ends the body is up to the reader (RFC 9112, section 6.1).
            Some(_) if self.content_length.is_some() => Err(refuse("transfer-encoding", "stands beside a `content-length`")),
            Some(coding) if !coding.eq_ignore_ascii_case("chunked") => Err(refuse("transfer-encoding", "is not `chunked`")),
            _ => Ok(()),
        }
    }

    /// A body may follow although no length was announced.
    pub(super) fn is_chunked(&self) -> bool {
        self.transfer_encoding.is_some()
    }
}
