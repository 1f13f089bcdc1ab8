use crate::model::{Proxy, SpiffeError, SpiffeId, SpiffePattern};

/// Which mesh identities count, and who says which workload calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Compared as they are, so lower case.
    pub trust_domains: Vec<String>,
    /// Other names of those trust domains, each with the one that it counts as.
    pub aliases: Vec<(String, String)>,
    /// Whether a call without a mesh identity is refused.
    pub required: bool,
    /// What is believed of a proxy that none of `proxies` is about, and of whoever asks where connections prove nobody.
    pub others: Belief,
    /// No two of them match the same proxy. With trust domains as they count, not as they were written.
    pub proxies: Vec<ProxyConfig>,
}

/// What is believed of the proxies that one pattern names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyConfig {
    pub spiffe: SpiffePattern,
    pub belief: Belief,
}

/// How far a proxy is believed about who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belief {
    pub source: PeerSource,
    /// Whether it writes the last element of `x-forwarded-client-cert` itself, whatever the caller sent: then the `Hash` there is the certificate's.
    pub writes_xfcc: bool,
}

/// Who says which workload calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerSource {
    /// `source.principal` of the check.
    Principal,
    /// The last element of `x-forwarded-client-cert`.
    Xfcc,
    /// Nobody: the proxy that asks is the workload's own.
    Connection,
}

// === impl PeerConfig ===

impl PeerConfig {
    /// The workloads of these trust domains, as `source.principal` has them, and nobody without one.
    #[must_use]
    pub fn new(trust_domains: Vec<String>) -> Self {
        let others = Belief { source: PeerSource::Principal, writes_xfcc: false };
        Self { trust_domains, aliases: Vec::new(), required: true, others, proxies: Vec::new() }
    }

    /// The trust domain that `domain` counts as; itself where it is no alias.
    #[must_use]
    pub fn counted<'d>(&'d self, domain: &'d str) -> &'d str {
        self.aliases.iter().find(|(alias, _)| alias == domain).map_or(domain, |(_, counts_as)| counts_as)
    }

    /// `id` in the trust domain that it counts as.
    pub(super) fn canonical(&self, id: &SpiffeId) -> Result<SpiffeId, SpiffeError> {
        let domain = self.counted(id.trust_domain());
        if domain == id.trust_domain() { Ok(id.clone()) } else { id.in_domain(domain) }
    }

    /// What is believed of `proxy`.
    pub(super) fn belief(&self, proxy: Option<&Proxy>) -> Belief {
        let listed = proxy.filter(|_| !self.proxies.is_empty()).and_then(|proxy| self.listed(&self.canonical(&proxy.id).ok()?));
        listed.map_or(self.others, |listed| listed.belief)
    }

    /// Whether `id`, in the trust domain that it counts as, is a proxy of many workloads: one that asks on behalf of others.
    pub(super) fn is_shared(&self, id: &SpiffeId) -> bool {
        self.listed(id).is_some_and(|listed| listed.belief.source != PeerSource::Connection)
    }

    fn listed(&self, id: &SpiffeId) -> Option<&ProxyConfig> {
        self.proxies.iter().find(|listed| listed.spiffe.matches(id))
    }
}
