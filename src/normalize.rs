//! The first room: is this request unambiguous?
//!
//! What two readers of the same bytes could understand differently (Envoy, lakegate, Databricks, a person reading the record) is refused
//! here, so that no later stage ever decodes, folds or compares a byte of the request again. Nothing is repaired and nothing is guessed.

mod body;
mod connection;
mod escape;
mod found;
mod headers;
mod host;
mod method;
mod path;
mod query;
mod text;
mod value;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::model::{Call, RawCall, Reason, Refusal};

/// How much of a request is read, and which headers are our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of body beyond which it decides nothing.
    pub body_limit: usize,
    /// Bytes of path and query together.
    pub path_limit: usize,
    /// Bytes of all header names and values together.
    pub header_limit: usize,
    /// What the names of lakegate's trust headers begin with; lower case, ending in `-`.
    pub trust_prefix: String,
}

impl Default for Config {
    /// The limits of a configuration that says none.
    fn default() -> Self {
        Self { body_limit: 16 << 20, path_limit: 8192, header_limit: 96 << 10, trust_prefix: "x-lakegate-".to_owned() }
    }
}

/// Reads `raw` in the only way it can be read.
///
/// # Errors
/// A [`Refusal`] with one of `REQUEST_MALFORMED`, `PATH_AMBIGUOUS`, `QUERY_AMBIGUOUS`, `HOST_AMBIGUOUS` and `HEADER_AMBIGUOUS`, whose detail
/// names the place. A body that cannot be read is no refusal: many calls need none, so it is [`Body::Unusable`](crate::model::Body::Unusable).
pub fn normalize<'r>(raw: &'r RawCall, config: &Config) -> Result<Call<'r>, Refusal> {
    let method = method::read(raw.method())?;
    let (path, query) = target(raw, config)?;
    let host = host::read(raw.host())?;
    let (headers, found) = headers::read(raw, config)?;
    found.agree_with(raw, &host)?;
    Ok(Call {
        method,
        path: path::read(path)?,
        query: query::read(query)?,
        body: body::read(raw, &found, config.body_limit),
        upgrade: connection::upgrade(method, &found)?,
        host,
        headers,
        principal: raw.principal(),
        certificate: raw.certificate(),
        proxy: raw.proxy().map(AsRef::as_ref),
        source_ip: source_ip(raw.source_address()),
    })
}

/// Path and query, split by hand at the first `?`: a general URL parser sees an authority in `//x` (CVE-2026-26205).
fn target<'r>(raw: &'r RawCall, config: &Config) -> Result<(&'r [u8], &'r [u8]), Refusal> {
    let target = raw.path();
    if target.is_empty() {
        return Err(Refusal::new(Reason::RequestMalformed, "the request has no path"));
    }
    if target.len() > config.path_limit {
        let detail = format!("path and query are {} bytes long, over the limit of {}", target.len(), config.path_limit);
        return Err(Refusal::new(Reason::RequestMalformed, detail));
    }
    let mut halves = target.splitn(2, |byte| *byte == b'?');
    Ok((halves.next().unwrap_or_default(), halves.next().unwrap_or_default()))
}

/// The direct peer's address; one that arrives in IPv6 clothing (`::ffff:10.0.0.1`) is the IPv4 address that policies name.
fn source_ip(text: &[u8]) -> Option<IpAddr> {
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.to_canonical())
}
