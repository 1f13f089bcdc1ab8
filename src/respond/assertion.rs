//! What lakegate signs of a caller for services in the mesh: who it is, for whoever does not want to believe a header.

use std::{collections::HashMap, fmt, sync::Arc};

use bytes::Bytes;
use moka::sync::Cache;
use serde_json::{Map, Value, json};

use super::headers::{TrustHeader, Trusted};
use crate::{
    digest::Fields,
    model::{Caller, Name, SpiffeId, Target, TargetKind},
    signer::{Statement, TokenIssuer},
};

/// How assertions are made.
#[derive(Clone, Debug)]
pub struct AssertionConfig {
    pub issuer: Arc<TokenIssuer>,
    /// Seconds.
    pub lifetime_s: i64,
    /// The `aud` of those for each target.
    pub audiences: HashMap<(TargetKind, Name), String>,
}

/// Makes assertions, one for each caller and target at a time.
#[derive(Debug)]
pub(super) struct Assertions {
    config: AssertionConfig,
    made: Cache<[u8; 32], Arc<Made>>,
}

struct Made {
    token: Bytes,
    /// From when on another is made, in seconds since the epoch: half of its life, so that whoever reads it has the other half.
    renew: i64,
    at: i64,
}

/// Its header `typ`; that of an assertion which Databricks exchanges is another, so that neither passes for the other (RFC 8725, section 3.11).
const TYP: &str = "lakegate-assertion+jwt";
/// Bytes of assertions that are kept.
const CACHE: u64 = 8 << 20;
/// What an entry takes beside its text.
const OVERHEAD: usize = 512;
/// Bytes of names of groups, or of roles, beyond which they are left out: a header has to fit beside the others.
const LONGEST_LIST: usize = 4 * 1024;

// === impl Made ===

/// Says nothing of the token.
impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").field("renew", &self.renew).field("at", &self.at).finish_non_exhaustive()
    }
}

// === impl Assertions ===

impl Assertions {
    pub(super) fn new(config: AssertionConfig) -> Self {
        let weigher = |_: &[u8; 32], made: &Arc<Made>| u32::try_from(made.token.len().saturating_add(OVERHEAD)).unwrap_or(u32::MAX);
        Self { config, made: Cache::builder().max_capacity(CACHE).weigher(weigher).build() }
    }

    pub(super) fn issuer(&self) -> &TokenIssuer {
        &self.config.issuer
    }

    /// The assertion of `caller` for `target`, which holds no more than the other trust headers that may go there; `None` where it cannot be signed.
    pub(super) fn of(&self, caller: &Caller, target: &Target, trusted: &Trusted, now: i64) -> Option<Bytes> {
        let key = key(caller, target);
        if let Some(made) = self.made.get(&key).filter(|made| made.at <= now && now < made.renew) {
            return Some(made.token.clone());
        }
        let ends = now.saturating_add(self.config.lifetime_s);
        // A token that is still taken for a moment after its end has an assertion for that moment.
        let expires_at = caller.token.as_ref().map_or(ends, |token| token.expires_at.min(ends)).max(now.saturating_add(2));
        let audience = self.config.audiences.get(&(target.kind, target.name.clone()))?;
        let subject = subject(caller)?;
        let statement = Statement { typ: TYP, subject: &subject, audience, now, expires_at };
        let token = Bytes::from(self.config.issuer.mint(&statement, claims(caller, trusted))?);
        let renew = now.saturating_add(expires_at.saturating_sub(now) / 2);
        self.made.insert(key, Arc::new(Made { token: token.clone(), renew, at: now }));
        Some(token)
    }
}

fn subject(caller: &Caller) -> Option<String> {
    match (&caller.token, &caller.peer) {
        (Some(token), _) => Some(format!("{}/{}", token.issuer, token.subject)),
        (None, Some(peer)) => Some(peer.as_str().to_owned()),
        (None, None) => None,
    }
}

fn claims(caller: &Caller, trusted: &Trusted) -> Map<String, Value> {
    let mut claims = Map::new();
    if let Some(peer) = caller.peer.as_ref().filter(|_| trusted.allows(TrustHeader::Peer)) {
        claims.insert("peer".to_owned(), peer.as_str().into());
    }
    let Some(token) = &caller.token else { return claims };
    let short = |list: &[String]| list.iter().map(|name| name.len().saturating_add(3)).sum::<usize>() <= LONGEST_LIST;
    for (header, name, list) in [(TrustHeader::Groups, "groups", &token.groups), (TrustHeader::Roles, "roles", &token.roles)] {
        if trusted.allows(header) && short(list) {
            claims.insert(name.to_owned(), list.as_slice().into());
        }
    }
    // RFC 8693, section 4.1.
    if let Some(actor) = token.actors.first().filter(|_| trusted.allows(TrustHeader::Actor)) {
        claims.insert("act".to_owned(), json!({ "sub": format!("{}/{actor}", token.issuer) }));
    }
    claims
}

/// What an assertion is kept under: all that it says but its times.
fn key(caller: &Caller, target: &Target) -> [u8; 32] {
    let mut fields = Fields::new();
    fields.text("lakegate assertion 1").text(target.kind.type_name()).text(target.name.as_str());
    fields.option(caller.token.as_ref().map(|token| &token.digest)).option(caller.peer.as_ref().map(SpiffeId::as_str));
    fields.finish()
}
