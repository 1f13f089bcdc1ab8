//! What lakegate signs of a caller for services in the mesh: who it is, for whoever does not want to believe a header.

use std::{collections::HashMap, sync::Arc};

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

#[derive(Debug)]
struct Made {
    token: Bytes,
    /// From when on another is made, in seconds since the epoch: half of its life, so that whoever reads it has the other half.
    renew: i64,
    at: i64,
    /// In seconds since the epoch.
    expires_at: i64,
}

/// Its header `typ`; that of an assertion which Databricks exchanges is another, so that neither passes for the other (RFC 8725, section 3.11).
const TYP: &str = "lakegate-assertion+jwt";
/// Bytes of assertions that are kept.
const CACHE: u64 = 8 << 20;
/// What an entry takes beside its text.
const OVERHEAD: usize = 512;
/// Bytes of names of groups, or of roles, beyond which they are left out: a header has to fit beside the others.
const LONGEST_LIST: usize = 4 * 1024;

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
        let ends = now.saturating_add(self.config.lifetime_s);
        // A token that is still taken for a moment after its end has an assertion for that moment.
        let expires_at = caller.token.as_ref().map_or(ends, |token| token.expires_at.min(ends)).max(now.saturating_add(2));
        // One that was made for another token of the caller's may last longer than this one.
        let fits = |made: &Arc<Made>| made.at <= now && now < made.renew && made.expires_at <= expires_at;
        if let Some(made) = self.made.get(&key).filter(fits) {
            return Some(made.token.clone());
        }
        let audience = self.config.audiences.get(&(target.kind, target.name.clone()))?;
        let subject = subject(caller)?;
        let statement = Statement { typ: TYP, subject: &subject, audience, now, expires_at };
        let token = Bytes::from(self.config.issuer.mint(&statement, claims(caller, trusted))?);
        let renew = now.saturating_add(expires_at.saturating_sub(now) / 2);
        self.made.insert(key, Arc::new(Made { token: token.clone(), renew, at: now, expires_at }));
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

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::{
        model::{PrincipalKind, Token},
        signer::{Algorithm, KeySet, generate},
    };

    const NOW: i64 = 1_767_225_600;

    /// The header and the claims.
    fn parts(token: &[u8]) -> [Value; 2] {
        let mut parts = std::str::from_utf8(token).unwrap().split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
        [parts.next().unwrap(), parts.next().unwrap()].map(|json| serde_json::from_slice(&json).unwrap())
    }

    fn caller(peer: &str, expires_at: i64) -> Caller {
        let token = Token {
            issuer: Name::parse("corp").unwrap(),
            kind: PrincipalKind::User,
            subject: "alice".to_owned(),
            groups: Vec::new(),
            groups_elsewhere: false,
            roles: Vec::new(),
            scopes: Vec::new(),
            client: None,
            expires_at,
            issued_at: None,
            auth_time: None,
            acr: None,
            id: None,
            session: None,
            email: None,
            actors: Vec::new(),
            claims: Vec::new(),
            purpose: None,
            digest: [7; 32],
        };
        Caller { peer: SpiffeId::parse(peer).ok(), token: Some(Arc::new(token)) }
    }

    fn made() -> (Assertions, Target) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("assertion.pem");
        std::fs::write(&file, generate(Algorithm::Es256).unwrap()).unwrap();
        let issuer = Arc::new(TokenIssuer::new("https://lakegate.example.com".to_owned(), KeySet::read(&[file]).unwrap()));
        let name = Name::parse("stage").unwrap();
        let target = Target { kind: TargetKind::Workspace, name: name.clone(), workspace_id: None, account_id: None, environment: None };
        let audiences = HashMap::from([((target.kind, name), "https://stage".to_owned())]);
        (Assertions::new(AssertionConfig { issuer, lifetime_s: 600, audiences }), target)
    }

    #[test]
    fn an_assertion_lasts_no_longer_than_the_token_it_comes_with_whoever_else_had_one() {
        let (assertions, target) = made();
        let trainer = "spiffe://cluster.local/ns/ml/sa/trainer";
        for (left, most) in [(3600, 600), (10, 10), (3600, 600), (300, 300)] {
            let token = assertions.of(&caller(trainer, NOW + left), &target, &Trusted::All, NOW).unwrap();
            let [_, claims] = parts(&token);
            assert!(claims["exp"].as_i64().unwrap() <= NOW + most, "{left} s: {claims}");
        }
        // One is used until half of its time is over.
        let notebook = caller("spiffe://cluster.local/ns/ml/sa/notebook", NOW + 300);
        let [first, same, next] = [0, 149, 150].map(|later| assertions.of(&notebook, &target, &Trusted::All, NOW + later).unwrap());
        assert!(same == first && next != first);
    }

    #[test]
    fn an_assertion_is_for_one_caller_and_passes_for_nothing_that_is_exchanged() {
        let (assertions, target) = made();
        let of = |peer: &str, now: i64| parts(&assertions.of(&caller(peer, NOW + 3600), &target, &Trusted::All, now).unwrap());
        for peer in ["spiffe://cluster.local/ns/ml/sa/trainer", "spiffe://cluster.local/ns/ml/sa/notebook"] {
            let [header, claims] = of(peer, NOW);
            assert_eq!((header["typ"].as_str(), claims["peer"].as_str()), (Some("lakegate-assertion+jwt"), Some(peer)));
            assert_eq!((claims["aud"].as_str(), claims["sub"].as_str()), (Some("https://stage"), Some("corp/alice")));
        }
        // A clock that was set back has none from the time to come.
        let [_, claims] = of("spiffe://cluster.local/ns/ml/sa/trainer", NOW - 3600);
        assert!(claims["iat"].as_i64().unwrap() <= NOW - 3600, "{claims}");
    }
}
