//! How long a check may take.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

/// How long before the caller's deadline our own fires: the answer still has to be written, sent and read, and an answer that comes late is to
/// Envoy a gRPC error, which is an allow under `failure_mode_allow`.
const AHEAD: Duration = Duration::from_millis(20);

/// What a check gets however little its caller allows; a cached decision needs less.
const LEAST: Duration = Duration::from_millis(1);

/// The time a check has from its arrival: what `grpc-timeout` allows, less [`AHEAD`], and never more than `longest`.
///
/// A value that is no `grpc-timeout` counts as absent; so does the time a caller allows beyond `longest` (Istio's default is ten minutes, for which
/// nobody should hold a hung check).
pub(super) fn budget(headers: &HeaderMap, longest: Duration) -> Duration {
    let asked = headers.get("grpc-timeout").and_then(parse).map_or(longest, |asked| asked.saturating_sub(AHEAD));
    asked.clamp(LEAST, longest.max(LEAST))
}

/// `TimeoutValue TimeoutUnit` of the gRPC HTTP/2 mapping: at most eight digits and one of `H M S m u n`.
fn parse(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_ends_before_the_callers() {
        let longest = Duration::from_secs(2);
        let cases = [
            (None, longest),
            (Some("500m"), Duration::from_millis(480)),
            (Some("1S"), Duration::from_millis(980)),
            (Some("500000u"), Duration::from_millis(480)),
            (Some("99999999n"), Duration::from_nanos(79_999_999)),
            (Some("20m"), LEAST),
            (Some("0n"), LEAST),
            (Some("600S"), longest),
            (Some("99999999H"), longest),
            (Some("1M"), longest),
            (Some("123456789m"), longest),
            (Some("m"), longest),
            (Some("-1m"), longest),
            (Some("+1m"), longest),
            (Some("1.5S"), longest),
            (Some("1s"), longest),
            (Some(""), longest),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert("grpc-timeout", HeaderValue::from_static(value));
            }
            assert_eq!(budget(&headers, longest), expected, "{value:?}");
        }
    }
}
