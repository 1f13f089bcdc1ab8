//! The mesh identity: what Envoy took from the certificate of the calling workload.

use super::{PeerConfig, shown};
use crate::model::{Reason, Refusal, SpiffeId};

/// The workload in `principal`, which may be a URI SAN, a DNS SAN or a certificate subject: only a SPIFFE ID of a configured trust domain counts.
pub(super) fn read(principal: &[u8], config: &PeerConfig) -> Result<Option<SpiffeId>, Refusal> {
    if principal.is_empty() {
        return if config.required { Err(Refusal::new(Reason::PeerMissing, "the call carries no mesh identity")) } else { Ok(None) };
    }
    let invalid = |detail: String| Refusal::new(Reason::PeerInvalid, detail);
    let text = std::str::from_utf8(principal).map_err(|_| invalid("the mesh identity is not text".to_owned()))?;
    let id = SpiffeId::parse(text).map_err(|error| invalid(format!("the mesh identity `{}` is not a SPIFFE ID: {error}", shown(text))))?;
    if !config.trust_domains.iter().any(|domain| domain == id.trust_domain()) {
        return Err(invalid(format!("the trust domain `{}` is not one of those configured", shown(id.trust_domain()))));
    }
    Ok(Some(id))
}
