//! Which addresses may be dialed, and the resolver that holds every name to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names by the system and refuses a name of which any address is one that may not be dialed: a mixed answer is a trick as well.
#[derive(Debug)]
pub(super) struct Guard;

#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("the name has no address")]
    Nowhere,
    #[error("the name leads to `{0}`, which is never dialed")]
    Forbidden(IpAddr),
    #[error("the name leads to `{0}`, which is loopback")]
    Loopback(IpAddr),
    #[error("the name leads to `{0}`, which is not loopback")]
    NotLoopback(IpAddr),
}

/// Metadata and control addresses of clouds outside the link-local range: EC2 and Google over IPv6, Azure's wire server, Alibaba, Oracle.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// Whether no configuration may lead there: link-local, unspecified, multicast, broadcast or a cloud's metadata service, in any of its spellings.
pub(super) fn is_forbidden(address: IpAddr) -> bool {
    let address = canonical(address);
    let range = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets().first() == Some(&0) || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local(),
    };
    range || METADATA.contains(&address)
}

/// Whether it is the machine itself, in any spelling.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    canonical(address).is_loopback()
}

/// `localhost` and every name below it (RFC 6761, section 6.3).
pub(super) fn is_loopback_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// All or none: what `name` resolved to.
fn check(name: &str, found: &[SocketAddr]) -> Result<(), DialError> {
    if found.is_empty() {
        return Err(DialError::Nowhere);
    }
    let local = is_loopback_name(name);
    for address in found.iter().map(SocketAddr::ip) {
        match (local, is_loopback(address)) {
            _ if is_forbidden(address) => return Err(DialError::Forbidden(address)),
            (false, true) => return Err(DialError::Loopback(address)),
            (true, false) => return Err(DialError::NotLoopback(address)),
            _ => {}
        }
    }
    Ok(())
}

/// The IPv4 address inside an IPv4-mapped, IPv4-compatible or NAT64 (RFC 6052, `64:ff9b::/96`) address, else the address itself.
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let embedded = match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some((high, low)),
        _ => None,
    };
    embedded.map_or_else(|| address.to_canonical(), |(high, low)| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))))
}

// === impl Guard ===

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            check(name.as_str(), &found)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_dns_opens_no_forbidden_address() {
        let cases = [
            ("idp.example", vec!["203.0.113.7"], true),
            ("idp.example", vec!["10.0.0.7", "fd12::7"], true),
            ("idp.example", vec![], false),
            ("idp.example", vec!["127.0.0.1"], false),
            ("idp.example", vec!["::1"], false),
            ("idp.example", vec!["::ffff:127.0.0.1"], false),
            ("idp.example", vec!["169.254.169.254"], false),
            ("idp.example", vec!["203.0.113.7", "169.254.169.254"], false),
            ("idp.example", vec!["::ffff:169.254.169.254"], false),
            ("idp.example", vec!["64:ff9b::a9fe:a9fe"], false),
            ("idp.example", vec!["::169.254.169.254"], false),
            ("idp.example", vec!["fe80::1"], false),
            ("idp.example", vec!["febf::1"], false),
            ("idp.example", vec!["fd00:ec2::254"], false),
            ("idp.example", vec!["0.0.0.0"], false),
            ("idp.example", vec!["0.1.2.3"], false),
            ("idp.example", vec!["::"], false),
            ("idp.example", vec!["224.0.0.1"], false),
            ("idp.example", vec!["ff02::1"], false),
            ("idp.example", vec!["255.255.255.255"], false),
            ("idp.example", vec!["168.63.129.16"], false),
            ("localhost", vec!["127.0.0.1", "::1"], true),
            ("idp.localhost.", vec!["127.0.0.1"], true),
            ("localhost", vec!["203.0.113.7"], false),
            ("notlocalhost", vec!["127.0.0.1"], false),
        ];
        for (name, found, good) in cases {
            let sockets: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect();
            assert_eq!(check(name, &sockets).is_ok(), good, "{name} {found:?}");
        }
    }
}
