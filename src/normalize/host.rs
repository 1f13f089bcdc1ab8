use std::borrow::Cow;

use super::quote::Quoted;
use crate::model::{Host, Reason, Refusal};

const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The ports that go without saying. Any other is refused: hosts are compared whole, and no Databricks host has one.
const DEFAULT_PORTS: [&str; 2] = ["443", "80"];

/// The canonical form of `raw`: lower case, without default port and one trailing dot (CVE-2021-39155).
pub(super) fn read(raw: &[u8]) -> Result<Host<'_>, Refusal> {
    if raw.is_empty() {
        return Err(Refusal::new(Reason::RequestMalformed, "the request has no host"));
    }
    canonical(raw).map_err(|wrong| Refusal::new(Reason::HostAmbiguous, format!("the host {} {wrong}", Quoted(raw))))
}

fn canonical(raw: &[u8]) -> Result<Host<'_>, &'static str> {
    // Two `Host` lines arrive as one value, joined by a comma.
    if raw.contains(&b',') {
        return Err("names several hosts");
    }
    if raw.contains(&b'@') {
        return Err("holds user information");
    }
    if raw.first() == Some(&b'[') {
        return Err("is an IPv6 address");
    }
    let host = std::str::from_utf8(raw).map_err(|_| "is not ASCII")?;
    let host = match host.split_once(':') {
        Some((host, port)) if DEFAULT_PORTS.contains(&port) => host,
        Some(_) => return Err("has a port other than 443 and 80"),
        None => host,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.len() > LONGEST {
        return Err("is longer than 253 bytes");
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')) {
        return Err("holds more than letters, digits, `.` and `-`");
    }
    if !host.split('.').all(|label| (1..=LONGEST_LABEL).contains(&label.len())) {
        return Err("has a label that is empty or longer than 63 bytes");
    }
    let upper = host.bytes().any(|byte| byte.is_ascii_uppercase());
    Ok(Host(if upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) }))
}
