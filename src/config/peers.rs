use std::collections::BTreeMap;

use super::{forms, path::KeyPath, raw, report::Report, words::PeerSource};
use crate::{model::SpiffePattern, text::quoted};

/// Which workloads of the mesh are known, and who is believed about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Never empty.
    pub trust_domains: Vec<String>,
    /// Trust domains that are none of `trust_domains`, each with the one of those that it counts as.
    pub aliases: BTreeMap<String, String>,
    pub source: PeerSource,
    pub writes_xfcc: bool,
    pub required: bool,
    /// Empty without mTLS on the check port; in the trust domains that they count as, no two of them match the same identity.
    pub proxies: Vec<PeerProxy>,
}

/// Who is believed about the workload, where one of these proxies asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerProxy {
    /// In the trust domain that it counts as.
    pub spiffe: SpiffePattern,
    pub source: PeerSource,
    pub writes_xfcc: bool,
}

/// `tls`: whether the proxies that ask prove who they are.
pub(super) fn peers(raw: &raw::Peers, tls: bool, path: &KeyPath, report: &mut Report<'_>) -> Option<Peers> {
    let trust_domains = forms::some(raw.trust_domains.as_deref()?, &path.key("trust_domains"), report, forms::trust_domain)?;
    let aliases = aliases(raw.aliases.as_ref(), &trust_domains, &path.key("aliases"), report);
    let source = raw.source.unwrap_or_default();
    if source == PeerSource::Connection && !tls {
        let help = "add `listen.tls`, or write `principal`";
        report.fault(&path.key("source"), "without `listen.tls` the connection of a proxy shows no certificate", help);
    }
    let writes_xfcc = writes_xfcc(raw.writes_xfcc, source, path, report);
    let mut peers = Peers { trust_domains, aliases: aliases?, source, writes_xfcc, required: raw.required.unwrap_or(true), proxies: Vec::new() };
    let entries = raw.proxies.as_deref().unwrap_or_default();
    let path = path.key("proxies");
    if !entries.is_empty() && !tls {
        let help = "add `listen.tls`, or remove this and write one `source` for all";
        report.fault(&path, "without `listen.tls` no proxy proves who it is, so that no entry could be about one", help);
    }
    let proxies: Vec<_> = entries.iter().enumerate().map(|(index, raw)| proxy(raw, &peers, &path.item(index), report)).collect();
    for (index, later) in proxies.iter().enumerate() {
        let earlier = proxies.iter().take(index).flatten().find(|earlier| later.as_ref().is_some_and(|later| later.spiffe.overlaps(&earlier.spiffe)));
        if let (Some(later), Some(earlier)) = (later, earlier) {
            let message = format!("a proxy may be of both {} and {}", quoted(later.spiffe.as_str()), quoted(earlier.spiffe.as_str()));
            report.fault(&path.item(index).key("spiffe"), message, "have no two entries match the same identity");
        }
    }
    peers.proxies = proxies.into_iter().collect::<Option<_>>()?;
    Some(peers)
}

fn aliases(raw: Option<&BTreeMap<String, String>>, known: &[String], path: &KeyPath, report: &mut Report<'_>) -> Option<BTreeMap<String, String>> {
    let aliases = raw.cloned().unwrap_or_default();
    let mut good = true;
    for (alias, counts_as) in &aliases {
        let path = path.key(alias);
        let domains = [alias, counts_as].map(|text| forms::trust_domain(text, &path, report));
        if domains.iter().any(Option::is_none) {
            good = false;
        } else if known.contains(alias) {
            good = false;
            let help = "remove it from one of the two: a trust domain is known by its own name, or as another";
            report.fault(&path, format!("{} is one of `peers.trust_domains` itself", quoted(alias)), help);
        } else if let Some(end) = aliases.get(counts_as) {
            good = false;
            report.fault(&path, format!("{} is an alias itself", quoted(counts_as)), format!("write what it counts as: {}", quoted(end)));
        } else if !known.contains(counts_as) {
            good = false;
            let help = format!("`peers.trust_domains` has `{}`", known.join("`, `"));
            report.fault(&path, format!("{} is none of the trust domains", quoted(counts_as)), help);
        }
    }
    good.then_some(aliases)
}

fn proxy(raw: &raw::PeerProxy, peers: &Peers, path: &KeyPath, report: &mut Report<'_>) -> Option<PeerProxy> {
    let text = forms::spiffe_pattern(raw.spiffe.as_deref()?, &path.key("spiffe"), report)?;
    let pattern = SpiffePattern::parse(&text).ok()?;
    let spiffe = pattern.in_domain(peers.counted(pattern.trust_domain())).ok()?;
    let source = raw.source?;
    Some(PeerProxy { spiffe, source, writes_xfcc: writes_xfcc(raw.writes_xfcc, source, path, report) })
}

fn writes_xfcc(written: Option<bool>, source: PeerSource, path: &KeyPath, report: &mut Report<'_>) -> bool {
    match (source, written) {
        (PeerSource::Xfcc, Some(false)) => {
            let help = "remove `writes_xfcc`, or use another source";
            report.fault(&path.key("writes_xfcc"), "`source: xfcc` believes what the proxy itself writes there", help);
        }
        (PeerSource::Connection, Some(true)) => {
            report.fault(&path.key("writes_xfcc"), "`source: connection` reads nothing that a proxy writes", "remove `writes_xfcc`");
        }
        _ => {}
    }
    source == PeerSource::Xfcc || written.unwrap_or_default()
}

// === impl Peers ===

impl Peers {
    /// The trust domain that `domain` counts as; itself where it is no alias.
    #[must_use]
    pub fn counted<'d>(&'d self, domain: &'d str) -> &'d str {
        self.aliases.get(domain).map_or(domain, String::as_str)
    }

    /// Whether workloads of `domain` are known, by this name or another.
    pub(super) fn knows(&self, domain: &str) -> bool {
        self.trust_domains.iter().any(|known| known == self.counted(domain))
    }
}
