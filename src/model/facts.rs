use std::net::IpAddr;

/// What policies may read about the request itself, as `context.request`, beside the fields of the [`Intent`](super::Intent).
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'c> {
    pub method: &'c str,
    /// The path as it was sent, without the query.
    pub path: &'c str,
    pub source_ip: Option<IpAddr>,
    /// Milliseconds since the epoch.
    pub time_ms: i64,
}
