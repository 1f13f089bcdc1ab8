//! The headers of a call that goes on: what we vouch for is set, whatever could be taken for it is removed.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Config, Scene, assertion::Assertions, text};
use crate::{
    broker::Credential,
    model::{Allow, Caller, DecisionId, HeaderEdit, Intent, Verdict, header},
};

/// One of the trust headers, named by what follows the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrustHeader {
    Subject,
    Groups,
    Roles,
    Peer,
    Actor,
    Decision,
    Assertion,
}

/// Which trust headers may leave the mesh with a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trusted {
    #[default]
    All,
    None,
    Only(Vec<TrustHeader>),
}

/// The names of the trust headers under one prefix.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    full: Vec<(TrustHeader, Cow<'static, str>)>,
}

/// Bytes of a list header beyond which it is left out: Envoy refuses a request whose headers exceed its limit (60 KiB by default).
const LONGEST_LIST: usize = 16 * 1024;

/// Second places of a caller's credential, lower case.
const CREDENTIALS: [&str; 13] = [
    "proxy-authorization",
    "cookie",
    "cookie2",
    "x-api-key",
    "api-key",
    "apikey",
    "anthropic-api-key",
    "x-goog-api-key",
    "x-auth-token",
    "x-amz-security-token",
    "x-databricks-authorization",
    "x-forwarded-access-token",
    // The proof that goes with a token (RFC 9449): who takes it for its own would have both.
    "dpop",
];

/// Beginnings of headers that speak for another method, path or host than the one decided on, or that the mesh added for itself.
const OVERRIDES: [&str; 6] = ["x-http-method", "x-original-", "x-rewrite-", "x-envoy-", "x-forwarded-", "x-ms-original-"];

/// The same, as whole names.
const OVERRIDE_NAMES: [&str; 3] = ["x-method-override", "x-host", "forwarded"];

// === impl TrustHeader ===

impl TrustHeader {
    pub const ALL: [Self; 7] = [Self::Subject, Self::Groups, Self::Roles, Self::Peer, Self::Actor, Self::Decision, Self::Assertion];

    /// The part of the name after the prefix.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Groups => "groups",
            Self::Roles => "roles",
            Self::Peer => "peer",
            Self::Actor => "actor",
            Self::Decision => "decision",
            Self::Assertion => "assertion",
        }
    }
}

// === impl Trusted ===

impl Trusted {
    pub(super) fn allows(&self, header: TrustHeader) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(named) => named.contains(&header),
        }
    }
}

// === impl Names ===

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        let full = TrustHeader::ALL.map(|header| (header, Cow::Owned(format!("{prefix}{}", header.as_str()))));
        Self { prefix: prefix.to_owned(), full: full.into() }
    }

    pub(super) fn of(&self, header: TrustHeader) -> Cow<'static, str> {
        self.full.iter().find(|(have, _)| *have == header).map(|(_, name)| name.clone()).unwrap_or_default()
    }

    /// Removes every trust header that `set` lacks, and every header of the request that could be taken for one.
    fn remove_forged(&self, scene: &Scene<'_, '_>, set: &[HeaderEdit], remove: &mut Vec<Cow<'static, str>>) {
        let is_set = |name: &str| set.iter().any(|edit| edit.name == name);
        remove.extend(self.full.iter().map(|(_, name)| name.clone()).filter(|name| !is_set(name)));
        for name in names(scene) {
            if header::begins(name, &self.prefix) && !is_set(name) && !remove.iter().any(|have| have == name) {
                remove.push(Cow::Owned(name.to_owned()));
            }
        }
    }
}

/// What trust headers are made with.
#[derive(Clone, Copy)]
pub(super) struct Trust<'t> {
    pub config: &'t Config,
    pub names: &'t Names,
    pub assertions: Option<&'t Assertions>,
}

/// An allow with what the caller is known by; `credential` says what becomes of its token.
pub(super) fn allow(trust: &Trust<'_>, scene: &Scene<'_, '_>, caller: &Caller, intent: &Intent, credential: &Credential) -> Verdict {
    let Trust { config, names, assertions } = *trust;
    let trusted = config.trust.get(&(intent.target.kind, intent.target.name.clone())).unwrap_or(&Trusted::None);
    let mut set = Vec::with_capacity(8);
    for header in TrustHeader::ALL.into_iter().filter(|header| trusted.allows(*header)) {
        let value = match header {
            TrustHeader::Assertion => assertions.and_then(|made| made.of(caller, &intent.target, trusted, scene.now_ms.div_euclid(1000))),
            header => value(header, caller, scene.decision),
        };
        if let Some(value) = value {
            set.push(HeaderEdit { name: names.of(header), value });
        }
    }
    let mut remove = Vec::with_capacity(16);
    match credential {
        Credential::Passthrough => {}
        Credential::Strip => remove.push(Cow::Borrowed("authorization")),
        Credential::Replace(value) => set.push(HeaderEdit { name: Cow::Borrowed("authorization"), value: value.clone() }),
    }
    names.remove_forged(scene, &set, &mut remove);
    for name in self::names(scene) {
        if is_unwanted(name) && !remove.iter().any(|have| have == name) {
            remove.push(Cow::Owned(name.to_owned()));
        }
    }
    Verdict::Allow(Allow { decision: scene.decision, set, remove })
}

/// An allow that changes nothing but forged trust headers.
pub(super) fn shadow(names: &Names, scene: &Scene<'_, '_>) -> Verdict {
    let mut remove = Vec::new();
    names.remove_forged(scene, &[], &mut remove);
    Verdict::Allow(Allow { decision: scene.decision, set: Vec::new(), remove })
}

/// The names of the request's headers, as it spelled them.
fn names<'s>(scene: &Scene<'s, '_>) -> impl Iterator<Item = &'s str> {
    scene.raw.headers().filter_map(|(name, _)| std::str::from_utf8(name).ok()).filter(|name| !name.starts_with(':'))
}

fn is_unwanted(name: &str) -> bool {
    CREDENTIALS.iter().chain(&OVERRIDE_NAMES).any(|unwanted| header::same(name, unwanted))
        || OVERRIDES.iter().any(|unwanted| header::begins(name, unwanted))
        || (header::begins(name, "x-databricks-") && header::ends(name, "-token"))
}

/// The value of one trust header, or `None` where there is nothing to vouch for.
fn value(header: TrustHeader, caller: &Caller, decision: DecisionId) -> Option<Bytes> {
    let token = caller.token.as_deref();
    match header {
        TrustHeader::Subject => token.map(|token| list([format!("{}/{}", token.issuer, token.subject).as_str()])),
        TrustHeader::Groups => token.map(|token| list(token.groups.iter().map(String::as_str))),
        TrustHeader::Roles => token.map(|token| list(token.roles.iter().map(String::as_str))),
        TrustHeader::Peer => caller.peer.as_ref().map(|peer| Bytes::copy_from_slice(peer.as_str().as_bytes())),
        TrustHeader::Actor => token.and_then(|token| token.actors.first().map(|actor| list([format!("{}/{actor}", token.issuer).as_str()]))),
        TrustHeader::Decision => Some(Bytes::from(decision.to_string())),
        TrustHeader::Assertion => None,
    }
    .filter(|value| !value.is_empty() && value.len() <= LONGEST_LIST)
}

fn list<'t>(elements: impl IntoIterator<Item = &'t str>) -> Bytes {
    let mut out = Vec::new();
    for (index, one) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text::element(one, &mut out);
    }
    out.into()
}
