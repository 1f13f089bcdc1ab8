//! The one way out: an HTTP client that asks only what the configuration names, and believes as little of the answer as it can.
//!
//! It follows no redirect, reads no proxy from the environment, takes no content encoding, holds no cookie and retries nothing. The time of a whole
//! exchange and the bytes of an answer are limited while it is being read. Addresses that only a trick leads to (link-local, cloud metadata,
//! unspecified, multicast, loopback behind an outside name) are refused after the name has been resolved, so that no answer of DNS opens them
//! (server-side request forgery, e.g. CVE-2026-41413). Certificates are checked against the roots of the system (`SSL_CERT_FILE` names others).

mod arrival;
mod backoff;
mod breaker;
mod client;
mod dial;
mod endpoint;
mod refusals;
mod secret;

#[cfg(test)]
mod tests;

pub use arrival::{Arrival, Landing};
pub use backoff::Backoff;
pub use breaker::Breaker;
pub use client::{Answer, Client, Config, NetError};
pub use endpoint::{Endpoint, EndpointError};
pub use refusals::Refusals;
pub use secret::{SecretSource, basic};
