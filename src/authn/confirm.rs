//! What a token is bound to (RFC 7800): without the proof of it the token is nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::claims::{Claims, bad};
use crate::{
    json::Value,
    model::{Reason, Refusal},
};

/// The certificate or the key of whoever may present the token; both, where it names both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Confirmation {
    /// SHA-256 of the client certificate in DER (`x5t#S256`, RFC 8705, section 3.1).
    pub certificate: Option<[u8; 32]>,
    /// SHA-256 thumbprint (RFC 7638) of the key that signs the proofs (`jkt`, RFC 9449, section 6.1).
    pub key: Option<[u8; 32]>,
}

// === impl Confirmation ===

impl Confirmation {
    /// Of the claim `cnf`; `None` where the token is a bearer token. A member that is not known binds to what could not be checked, so it is refused.
    pub(super) fn read(claims: &Claims<'_>) -> Result<Option<Self>, Refusal> {
        let Some(value) = claims.get("cnf") else { return Ok(None) };
        let members = value.as_object().ok_or_else(|| bad(format!("the claim `cnf` is {}, not an object", value.kind())))?;
        let mut found = Self::default();
        for (name, value) in members.iter() {
            match name {
                "x5t#S256" => found.certificate = Some(digest(value, name)?),
                "jkt" => found.key = Some(digest(value, name)?),
                _ => return Err(bad("the token is bound to a key (`cnf`) in a way of which the proof cannot be checked")),
            }
        }
        if found == Self::default() { Err(bad("the claim `cnf` is empty")) } else { Ok(Some(found)) }
    }
}

impl Confirmation {
    /// Whether the caller has the certificate that the token is bound to, if it is bound to one; `certificate` is asked only then.
    pub(super) fn holds_for(&self, certificate: impl FnOnce() -> Result<Option<[u8; 32]>, Refusal>) -> Result<(), Refusal> {
        let Some(bound) = self.certificate else { return Ok(()) };
        let refused = |reason, detail: &'static str| Err(unproven(reason, detail));
        match certificate()? {
            Some(have) if have == bound => Ok(()),
            Some(_) => refused(
                Reason::ProofInvalid,
                "the token is bound to another client certificate than the workload that presents it has; get a token with the certificate of this workload",
            ),
            None => refused(
                Reason::ProofMissing,
                "the token is bound to a client certificate, and the proxy that asks does not pass on which one the caller has; use a bearer token, or see `writes_xfcc`",
            ),
        }
    }
}

/// A refusal of a token without the certificate that it is bound to: to the protocol the token is a bearer token that is no good here (RFC 8705, section 3).
pub(super) fn unproven(reason: Reason, detail: &'static str) -> Refusal {
    Refusal { challenge: Some("Bearer error=\"invalid_token\""), ..Refusal::new(reason, detail) }
}

fn digest(value: &Value<'_>, name: &str) -> Result<[u8; 32], Refusal> {
    let bytes = value.as_text().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| bad(format!("the claim `cnf.{name}` is not a SHA-256 in base64url")))
}
