use std::borrow::Cow;

/// A canonical host: lower case, no default port, no trailing dot; never empty, at most 253 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host<'r>(pub Cow<'r, str>);

/// Why bytes are no [`Host`]: the rest of a clause that begins with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostError(&'static str);

const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The ports that go without saying. Any other is refused: hosts are compared whole, and no Databricks host has one.
const DEFAULT_PORTS: [&str; 2] = ["443", "80"];

// === impl Host ===

impl<'r> Host<'r> {
    /// The canonical form of `raw`: lower case, without default port and one trailing dot (CVE-2021-39155).
    ///
    /// # Errors
    /// [`HostError`] where `raw` is no name and no IPv4 address, or has a port of its own.
    pub fn read(raw: &'r [u8]) -> Result<Self, HostError> {
        // Two `Host` lines arrive as one value, joined by a comma.
        if raw.contains(&b',') {
            return Err(HostError("names several hosts"));
        }
        if raw.contains(&b'@') {
            return Err(HostError("holds user information"));
        }
        if raw.first() == Some(&b'[') {
            return Err(HostError("is an IPv6 address"));
        }
        let host = std::str::from_utf8(raw).map_err(|_| HostError("is not ASCII"))?;
        let host = match host.split_once(':') {
            Some((host, port)) if DEFAULT_PORTS.contains(&port) => host,
            Some(_) => return Err(HostError("has a port other than 443 and 80")),
            None => host,
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.len() > LONGEST {
            return Err(HostError("is longer than 253 bytes"));
        }
        if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')) {
            return Err(HostError("holds more than letters, digits, `.` and `-`"));
        }
        if !host.split('.').all(|label| (1..=LONGEST_LABEL).contains(&label.len())) {
            return Err(HostError("has a label that is empty or longer than 63 bytes"));
        }
        let upper = host.bytes().any(|byte| byte.is_ascii_uppercase());
        Ok(Self(if upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) }))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
