//! The certificate of the caller, where somebody who is believed says which it is: for tokens that are bound to one (RFC 8705).

use percent_encoding::percent_decode;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{PeerConfig, PeerSource, element, is_of};
use crate::{
    authn::confirm::unproven,
    digest,
    model::{Call, Reason, Refusal},
};

/// SHA-256 of the certificate that the caller has proven to have, in DER; `None` where nobody who is believed says it.
pub(in crate::authn) fn of(call: &Call<'_>, config: &PeerConfig) -> Result<Option<[u8; 32]>, Refusal> {
    let belief = config.belief(call.proxy);
    match belief.source {
        PeerSource::Connection => Ok(call.proxy.map(|proxy| proxy.certificate)),
        PeerSource::Xfcc => forwarded(call, None),
        PeerSource::Principal if !call.certificate.is_empty() => sent(call.certificate).map(Some),
        PeerSource::Principal if belief.writes_xfcc => forwarded(call, Some(call.principal)),
        PeerSource::Principal => Ok(None),
    }
}

/// By `source.certificate`: URL-encoded PEM of exactly one certificate.
fn sent(certificate: &[u8]) -> Result<[u8; 32], Refusal> {
    let pem: Vec<u8> = percent_decode(certificate).collect();
    let mut found = CertificateDer::pem_slice_iter(&pem);
    match (found.next(), found.next()) {
        (Some(Ok(certificate)), None) => Ok(digest::of(&certificate)),
        _ => Err(invalid("the certificate that the proxy sent of the caller cannot be read")),
    }
}

/// By the `Hash` of the last XFCC element, which must be about `principal` where one is given.
fn forwarded(call: &Call<'_>, principal: Option<&[u8]>) -> Result<Option<[u8; 32]>, Refusal> {
    let element = element(call).map_err(|refusal| Refusal { detail: refusal.detail, ..invalid("") })?;
    let Some(element) = element else { return Ok(None) };
    if principal.is_some_and(|principal| !is_of(&element, principal)) {
        return Err(invalid("the certificate in `x-forwarded-client-cert` is not that of the workload that calls"));
    }
    match element.hashes.as_slice() {
        [] => Ok(None),
        [hash] => read_hex(hash).map(Some).ok_or_else(|| invalid("the `Hash` in `x-forwarded-client-cert` is no SHA-256")),
        _ => Err(invalid("`x-forwarded-client-cert` has several `Hash`")),
    }
}

fn read_hex(text: &[u8]) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != out.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    }
    Some(out)
}

fn invalid(detail: &'static str) -> Refusal {
    unproven(Reason::ProofInvalid, detail)
}
