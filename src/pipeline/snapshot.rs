use std::{collections::HashMap, fmt, sync::Arc};

use crate::{authn::Authenticator, authz::Authorizer, broker::Broker, classify::Classifier, normalize, respond::Responder};

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
