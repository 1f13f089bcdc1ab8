use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    authn::Authenticator,
    authz::Authorizer,
    broker::Broker,
    classify::Classifier,
    model::{Call, RawCall, Reason},
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
}

/// For which hosts decisions are recorded without being enforced.
#[derive(Clone, Debug, Default)]
pub struct ShadowTargets {
    everywhere: bool,
    hosts: HashMap<String, bool>,
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
        Self { everywhere, hosts: all }
    }

    /// The hosts that are only observed, sorted; `*` where all are.
    #[must_use]
    pub fn observed(&self) -> Vec<String> {
        let mut hosts: Vec<String> = if self.everywhere { vec!["*".to_owned()] } else { Vec::new() };
        hosts.extend(self.hosts.iter().filter(|(_, shadow)| **shadow && !self.everywhere).map(|(host, _)| host.clone()));
        hosts.sort();
        hosts
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
}
