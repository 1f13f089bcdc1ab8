//! The forms that texts of the configuration must have. Each says what is wrong as a fault and what would be right as its help.

use std::net::{IpAddr, SocketAddr};

use super::{path::KeyPath, report::Report};
use crate::{
    model::{Host, Name, SpiffeId, SpiffePattern},
    text::quoted,
};

/// A [`Name`] at `path`.
pub(super) fn name(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<Name> {
    let name = Name::parse(text).ok();
    if name.is_none() {
        report.fault(path, format!("{} is not a name", quoted(text)), "write 1 to 63 of `a-z`, `0-9` and `-`");
    }
    name
}

/// An address and a port, such as `0.0.0.0:9191` or `[::]:9191`. Host names are refused: which address is bound must not depend on a resolver.
pub(super) fn address(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<SocketAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        report.fault(
            path,
            format!("{} is not an address and a port", quoted(text)),
            "write an IP address and a port, as `127.0.0.1:9191` or `[::1]:9191`",
        );
    }
    address
}

/// A host as requests name it after normalization: lower case, without scheme, port or trailing dot.
pub(super) fn host(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    if is_host(text) {
        return Some(text.to_owned());
    }
    let canonical = canonical_host(text);
    let help = if is_host(&canonical) {
        format!("write {}", quoted(&canonical))
    } else {
        "write a host name in lower case, as `dbc-1a2b3c4d-5e6f.cloud.databricks.com`".to_owned()
    };
    report.fault(path, format!("{} is not a host in the form it is compared in", quoted(text)), help);
    None
}

/// A URL that is fetched or compared: `https:`, or `http:` on loopback, where nobody else can listen in.
pub(super) fn guarded_url(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    let Some(url) = parse_url(text) else { return not_a_url(text, path, report) };
    if url.scheme_str() == Some("https") || is_loopback(&url) {
        return Some(text.to_owned());
    }
    report.fault(path, format!("{} is not encrypted", quoted(text)), "write `https:`; `http:` is for loopback alone");
    None
}

/// A URL that is sent nothing secret, or only shown: `https:` or `http:`.
pub(super) fn plain_url(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    if parse_url(text).is_some() { Some(text.to_owned()) } else { not_a_url(text, path, report) }
}

/// A SPIFFE trust domain.
pub(super) fn trust_domain(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    if SpiffeId::is_trust_domain(text) {
        return Some(text.to_owned());
    }
    let help = match text.strip_prefix("spiffe://") {
        Some(rest) => format!("write {}", quoted(rest.split('/').next().unwrap_or_default())),
        None => "write 1 to 255 of `a-z`, `0-9`, `.`, `-` and `_`, as `cluster.local`".to_owned(),
    };
    report.fault(path, format!("{} is not a trust domain", quoted(text)), help);
    None
}

/// A Kubernetes namespace behind its trust domain, as the SPIFFE IDs of Istio and policies name it: `cluster.local/ml-dev`.
pub(super) fn namespace(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    let label = |name: &str| (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let good = text.split_once('/').is_some_and(|(domain, name)| SpiffeId::is_trust_domain(domain) && label(name));
    if !good {
        report.fault(
            path,
            format!("{} is not a namespace of a trust domain", quoted(text)),
            "write `<trust domain>/<namespace>`, as `cluster.local/ml-dev`",
        );
    }
    good.then(|| text.to_owned())
}

/// A SPIFFE ID in which `*` may stand for whole segments of the path.
pub(super) fn spiffe_pattern(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    match SpiffePattern::parse(text) {
        Ok(_) => Some(text.to_owned()),
        Err(error) => {
            let help = "write `spiffe://<trust domain>/<path>`; `*` stands for one whole segment of the path, as `spiffe://cluster.local/ns/istio-egress/sa/*`";
            report.fault(path, format!("{} is not a pattern of SPIFFE IDs: {error}", quoted(text)), help);
            None
        }
    }
}

/// A text that is compared with what a token says: not empty, at most 2048 bytes, without control characters or space around it.
pub(super) fn token_text(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    let good = (1..=2048).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control);
    if !good {
        report.fault(
            path,
            format!("{} can stand in no token", quoted(text)),
            "write 1 to 2048 bytes without control characters and without space around them",
        );
    }
    good.then(|| text.to_owned())
}

/// Each of a list by `form`, where every one is good.
pub(super) fn each<T>(
    texts: &[String],
    path: &KeyPath,
    report: &mut Report<'_>,
    form: fn(&str, &KeyPath, &mut Report<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = texts.iter().enumerate().map(|(index, text)| form(text, &path.item(index), report)).collect();
    for (index, text) in texts.iter().enumerate() {
        if texts.iter().take(index).any(|earlier| earlier == text) {
            report.fault(&path.item(index), format!("{} stands twice in the list", quoted(text)), "remove one of them");
            return None;
        }
    }
    read.into_iter().collect()
}

/// The same for a list that may not be empty.
pub(super) fn some<T>(
    texts: &[String],
    path: &KeyPath,
    report: &mut Report<'_>,
    form: fn(&str, &KeyPath, &mut Report<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    if texts.is_empty() {
        report.fault(path, format!("{} is empty", quoted(&path.to_string())), "name at least one");
        return None;
    }
    each(texts, path, report, form)
}

fn is_host(text: &str) -> bool {
    Host::read(text.as_bytes()).is_ok_and(|host| host.as_str() == text)
}

/// What was probably meant: without scheme, path, port, trailing dot and capitals.
fn canonical_host(text: &str) -> String {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// An absolute `http:` or `https:` URL of visible ASCII, without user information and fragment (`http::Uri` would drop the latter in silence).
fn parse_url(text: &str) -> Option<http::Uri> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains(['#', '\\']);
    let url: http::Uri = text.parse().ok().filter(|_| plain)?;
    let authority = url.authority()?;
    let port_is_good = authority.as_str().len() == authority.host().len() || authority.port_u16().is_some();
    (matches!(url.scheme_str(), Some("http" | "https")) && !authority.as_str().contains('@') && !authority.host().is_empty() && port_is_good)
        .then_some(url)
}

fn not_a_url<T>(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<T> {
    report.fault(
        path,
        format!("{} is not a URL that can be used here", quoted(text)),
        "write `https://<host>/<path>`, without user information and fragment",
    );
    None
}

fn is_loopback(url: &http::Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
