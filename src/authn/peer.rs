//! The mesh identity: which workload calls, as the proxy that asks is believed to know it.

pub(super) mod certificate;
mod config;
mod xfcc;

pub use self::config::{Belief, PeerConfig, PeerSource, ProxyConfig};
use self::xfcc::Element;
use super::shown;
use crate::model::{Call, Reason, Refusal, SpiffeId};

/// The workload that `call` comes from, in the trust domain that it counts as.
pub(super) fn read(call: &Call<'_>, config: &PeerConfig) -> Result<Option<SpiffeId>, Refusal> {
    match presented(call, config)? {
        Some(id) => canonical(&id, config).map(Some),
        None if config.required => Err(Refusal::new(Reason::PeerMissing, missing(call, config))),
        None => Ok(None),
    }
}

/// The workload of that name, in the trust domain that it counts as: one that is told of, and that no proxy vouches for.
pub(super) fn told(name: &[u8], config: &PeerConfig) -> Result<Option<SpiffeId>, Refusal> {
    match (name.is_empty(), config.required) {
        (true, true) => Err(Refusal::new(Reason::PeerMissing, "the call carries no mesh identity")),
        (true, false) => Ok(None),
        (false, _) => canonical(&spiffe_id(name)?, config).map(Some),
    }
}

/// The workload as its certificate names it; only a SPIFFE ID is one.
pub(super) fn presented(call: &Call<'_>, config: &PeerConfig) -> Result<Option<SpiffeId>, Refusal> {
    match config.belief(call.proxy).source {
        PeerSource::Principal if call.principal.is_empty() => Ok(None),
        // It may also be a DNS SAN or a certificate's subject.
        PeerSource::Principal => spiffe_id(call.principal).map(Some),
        PeerSource::Connection => Ok(call.proxy.map(|proxy| proxy.id.clone())),
        PeerSource::Xfcc => match element(call)? {
            None => Ok(None),
            Some(element) => match element.uris.as_slice() {
                [uri] if !uri.is_empty() => spiffe_id(uri).map(Some),
                _ => Err(invalid("the last element of `x-forwarded-client-cert` does not have exactly one `URI`")),
            },
        },
    }
}

/// The last XFCC element, written by the proxy that asks as far as can be seen.
fn element<'r>(call: &Call<'r>) -> Result<Option<Element<'r>>, Refusal> {
    let found = xfcc::last(call.headers.values(xfcc::NAME)).map_err(|error| invalid(format!("`{}` cannot be read: {error}", xfcc::NAME)))?;
    if let (Some(element), Some(proxy)) = (&found, call.proxy)
        && !element.by.is_empty()
        && !element.by.iter().any(|by| **by == *proxy.id.as_str().as_bytes())
    {
        let detail = "the last element of `x-forwarded-client-cert` is not by the proxy that asks; have it overwrite or append the header (SANITIZE_SET or APPEND_FORWARD)";
        return Err(invalid(detail));
    }
    Ok(found)
}

/// Whether `element` is about the workload `principal` and no other.
fn is_of(element: &Element<'_>, principal: &[u8]) -> bool {
    matches!(element.uris.as_slice(), [uri] if **uri == *principal)
}

fn spiffe_id(name: &[u8]) -> Result<SpiffeId, Refusal> {
    let text = std::str::from_utf8(name).map_err(|_| invalid("the mesh identity is not text"))?;
    SpiffeId::parse(text).map_err(|error| invalid(format!("the mesh identity `{}` is not a SPIFFE ID: {error}", shown(text))))
}

/// `id` in the trust domain that it counts as, where it is a workload of one that is configured.
fn canonical(id: &SpiffeId, config: &PeerConfig) -> Result<SpiffeId, Refusal> {
    let canonical =
        config.canonical(id).map_err(|error| invalid(format!("the mesh identity is no SPIFFE ID in the domain it counts as: {error}")))?;
    if !config.trust_domains.iter().any(|domain| domain == canonical.trust_domain()) {
        return Err(invalid(format!("the trust domain `{}` is not one of those configured", shown(id.trust_domain()))));
    }
    if config.is_shared(&canonical) {
        let detail = format!(
            "the mesh identity `{}` is that of a proxy, so which workload is behind it is not known; have that proxy ask lakegate, or go past it",
            shown(id.as_str())
        );
        return Err(invalid(detail));
    }
    Ok(canonical)
}

fn missing(call: &Call<'_>, config: &PeerConfig) -> &'static str {
    match config.belief(call.proxy).source {
        PeerSource::Principal => "the call carries no mesh identity",
        PeerSource::Xfcc => "the call carries no mesh identity: there is no `x-forwarded-client-cert`",
        PeerSource::Connection => "the call carries no mesh identity: the proxy that asks shows no certificate",
    }
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::PeerInvalid, detail)
}
