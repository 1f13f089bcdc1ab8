use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, OnceLock},
};

use super::candidate::Candidate;
use crate::{
    authn::Authenticator,
    authz::Authorizer,
    broker::Broker,
    classify::Classifier,
    model::{Call, RawCall, Reason, SpiffeId},
    normalize,
    respond::Responder,
};

/// Everything one decision needs, of one generation; a call keeps the one it began with.
pub struct Snapshot {
    /// From 1, one more with every set that was published.
    pub generation: u64,
    pub normalize: normalize::Config,
    /// Shared between generations, since keys and verified tokens do not depend on policy.
    pub authenticator: Arc<Authenticator>,
    pub classifier: Classifier,
    pub authorizer: Authorizer,
    pub broker: Broker,
    pub responder: Responder,
    pub shadow: ShadowTargets,
    /// `None` where no candidate is configured; empty until it is loaded, for which no call waits.
    pub candidate: Option<OnceLock<Candidate>>,
}

/// For which calls decisions are recorded without being enforced: those to some hosts, and those of workloads in some namespaces.
#[derive(Clone, Debug, Default)]
pub struct ShadowTargets {
    everywhere: bool,
    hosts: HashMap<String, bool>,
    /// Kubernetes namespaces by their trust domain.
    namespaces: HashMap<String, HashSet<String>>,
    /// The hosts of what is enforced for callers in those namespaces too, since its own `mode` says so.
    enforced: HashSet<String>,
}

// === impl Snapshot ===

impl Snapshot {
    /// Whether a call to a host in shadow mode is really for a target in shadow mode: it may name another workspace than its host does.
    #[must_use]
    pub fn observes(&self, call: &Call<'_>) -> bool {
        self.shadow.everywhere || self.classifier.target(call).is_ok()
    }

    /// The same of a call that could not be read, for `reason`: enforced where anything in it may name another workspace.
    #[must_use]
    pub fn observes_unread(&self, raw: &RawCall, reason: Reason) -> bool {
        self.shadow.everywhere
            || !(matches!(reason, Reason::HostAmbiguous | Reason::HeaderAmbiguous | Reason::QueryAmbiguous) || names_workspace(raw))
    }

    /// Whether a call is only observed for the namespace of its workload. A call to a host of an enforced target is not, nor one that may name such a target.
    #[must_use]
    pub fn observes_caller(&self, call: &Call<'_>, peer: Option<&SpiffeId>) -> bool {
        let enforced = &self.shadow.enforced;
        peer.is_some_and(|peer| self.shadow.covers_caller(peer))
            && (enforced.is_empty() || !enforced.contains(call.host.as_str()) && self.classifier.target(call).is_ok())
    }

    /// Whether `raw` would be let pass whatever is decided of it; `call` is what was read of it, or why it could not be.
    #[must_use]
    pub fn is_shadow(&self, raw: &RawCall, call: Result<&Call<'_>, Reason>, peer: Option<&SpiffeId>) -> bool {
        let host = self.shadow.covers(raw.host());
        match call {
            Err(reason) => host && self.observes_unread(raw, reason),
            // what is asked of lakegate itself is never for anybody behind it
            Ok(call) => self.classifier.asked(call).is_none() && (host && self.observes(call) || self.observes_caller(call, peer)),
        }
    }

    /// The candidate policies, where they are there and without fault.
    #[must_use]
    pub fn candidate(&self) -> Option<&Authorizer> {
        if let Some(Candidate::Loaded { authorizer, .. }) = self.candidate.as_ref()?.get() { Some(authorizer) } else { None }
    }
}

/// Whether a header or the query of an unread call may choose a workspace, in any spelling.
fn names_workspace(raw: &RawCall) -> bool {
    let folded = |name: &[u8]| name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect::<Vec<_>>();
    let query = raw.path().iter().any(|byte| matches!(byte, b'?' | b'%' | b'#'));
    query || raw.headers().any(|(name, _)| matches!(folded(name).as_slice(), b"xdatabricksworkspaceid" | b"xdatabricksorgid" | b"host"))
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("generation", &self.generation).finish_non_exhaustive()
    }
}

// === impl ShadowTargets ===

impl ShadowTargets {
    /// `everywhere`, or for the hosts of which every target is in shadow mode: `hosts` has each host with the mode of one of its targets.
    #[must_use]
    pub fn new(everywhere: bool, hosts: impl IntoIterator<Item = (String, bool)>) -> Self {
        let mut all: HashMap<String, bool> = HashMap::new();
        for (host, shadow) in hosts {
            all.entry(host).and_modify(|every| *every &= shadow).or_insert(shadow);
        }
        Self { everywhere, hosts: all, ..Self::default() }
    }

    /// The same, and calls of workloads in `namespaces` (`<trust domain>/<namespace>`) to all hosts but `enforced`, those of targets with a mode of their own.
    #[must_use]
    pub fn with_namespaces(mut self, namespaces: impl IntoIterator<Item = String>, enforced: impl IntoIterator<Item = String>) -> Self {
        for namespace in namespaces {
            if let Some((domain, name)) = namespace.split_once('/') {
                self.namespaces.entry(domain.to_owned()).or_default().insert(name.to_owned());
            }
        }
        self.enforced = enforced.into_iter().collect();
        self
    }

    /// The hosts that are only observed, sorted; `*` where all are.
    #[must_use]
    pub fn observed(&self) -> Vec<String> {
        let mut hosts: Vec<String> = if self.everywhere { vec!["*".to_owned()] } else { Vec::new() };
        hosts.extend(self.hosts.iter().filter(|(_, shadow)| **shadow && !self.everywhere).map(|(host, _)| host.clone()));
        hosts.sort();
        hosts
    }

    /// The namespaces whose calls are only observed, as `<trust domain>/<namespace>`, sorted.
    #[must_use]
    pub fn observed_namespaces(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.namespaces.iter().flat_map(|(domain, names)| names.iter().map(move |name| format!("{domain}/{name}"))).collect();
        all.sort();
        all
    }

    fn covers_caller(&self, peer: &SpiffeId) -> bool {
        let names = self.namespaces.get(peer.trust_domain());
        names.is_some_and(|names| peer.namespace().is_some_and(|namespace| names.contains(namespace)))
    }

    /// Whether a call to `host`, as it stands in the request, is only observed. A host that is not plainly one of ours is enforced.
    #[must_use]
    pub fn covers(&self, host: &[u8]) -> bool {
        if self.everywhere {
            return true;
        }
        let Ok(host) = std::str::from_utf8(host) else { return false };
        let host = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host);
        let host = host.strip_suffix('.').unwrap_or(host);
        self.hosts.get(host).or_else(|| self.hosts.get(&host.to_ascii_lowercase())).is_some_and(|shadow| *shadow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_in_shadow_only_where_every_target_of_it_is() {
        let hosts = [("dev.example.com", true), ("shared.example.com", true), ("shared.example.com", false), ("prod.example.com", false)];
        let shadow = ShadowTargets::new(false, hosts.map(|(host, mode)| (host.to_owned(), mode)));
        for (host, covered) in [
            ("dev.example.com", true),
            ("DEV.example.com:443", true),
            ("dev.example.com.", true),
            ("shared.example.com", false),
            ("prod.example.com", false),
            ("dev.example.com,prod.example.com", false),
            ("x@dev.example.com", false),
            ("dev.example.com:8443", false),
            ("", false),
        ] {
            assert_eq!(shadow.covers(host.as_bytes()), covered, "{host}");
        }
        assert!(ShadowTargets::new(true, []).covers(b"anything"));
    }

    #[test]
    fn a_workload_is_in_shadow_by_its_namespace_alone() {
        let shadow = ShadowTargets::new(false, []).with_namespaces(["cluster.local/ml-dev".to_owned(), "other.org/dev".to_owned()], []);
        assert_eq!(shadow.observed_namespaces(), ["cluster.local/ml-dev", "other.org/dev"]);
        for (peer, covered) in [
            ("spiffe://cluster.local/ns/ml-dev/sa/trainer", true),
            ("spiffe://other.org/ns/dev/sa/x", true),
            ("spiffe://other.org/ns/ml-dev/sa/x", false),
            ("spiffe://cluster.local/ns/dev/sa/x", false),
            ("spiffe://cluster.local/ns/ml-dev-2/sa/x", false),
            ("spiffe://cluster.local/ns/ml-dev/sa/x/y", false),
            ("spiffe://cluster.local/ml-dev", false),
            ("spiffe://cluster.local/sa/ns/ns/ml-dev", false),
        ] {
            assert_eq!(shadow.covers_caller(&SpiffeId::parse(peer).unwrap()), covered, "{peer}");
        }
    }
}
