//! Refusals of the last hour, so that whoever was refused can ask why. Of this process alone, and bounded: an audit file has every decision.

use std::{mem::size_of, sync::Arc};

use moka::{policy::EvictionPolicy, sync::Cache};

use super::found::{Found, Stage};
use crate::model::{Caller, DecisionId, FieldValue, Intent, Refusal, RequestFacts, SpiffeId};

/// One refusal, with what is needed to explain it.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) decision: DecisionId,
    pub(super) now_ms: i64,
    pub(super) generation: u64,
    pub(super) stage: Stage,
    pub(super) peer: Option<SpiffeId>,
    /// `None` where the token was not believed.
    pub(super) caller: Option<Caller>,
    pub(super) intent: Option<Intent>,
    pub(super) refusal: Refusal,
    method: Box<str>,
    path: Box<str>,
    source_ip: Option<std::net::IpAddr>,
}

/// The newest refusals; the oldest go first.
#[derive(Debug)]
pub(super) struct Refusals(Cache<Box<str>, Arc<Remembered>>);

/// Bytes of refusals that are remembered.
const BYTES: u64 = 8 << 20;

/// Bytes of one refusal; a longer one is not remembered, so that no caller's call takes the place of many others'.
const LONGEST: usize = 64 << 10;

/// How long a refusal is remembered, in milliseconds.
const AGE_MS: i64 = 60 * 60 * 1000;

// === impl Refusals ===

impl Refusals {
    pub(super) fn new() -> Self {
        let weight = |_: &_, refusal: &Arc<Remembered>| u32::try_from(refusal.bytes()).unwrap_or(u32::MAX);
        // the usual policy keeps what is asked for often, and would turn new refusals away
        Self(Cache::builder().max_capacity(BYTES).weigher(weight).eviction_policy(EvictionPolicy::lru()).build())
    }

    /// Remembers that the call was refused, where there is somebody who may ask about it and who was told so.
    pub(super) fn keep(&self, found: &Found<'_>, refusal: &Refusal) {
        let somebody = found.peer.is_some() || found.caller.is_some();
        let Some(call) = found.call.as_ref().filter(|_| somebody && !found.shadow && !found.own) else { return };
        let remembered = Remembered {
            decision: found.decision,
            now_ms: found.now_ms,
            generation: found.generation,
            stage: found.stage,
            peer: found.peer.clone(),
            caller: found.caller.clone(),
            intent: found.intent.clone(),
            refusal: refusal.clone(),
            method: call.method.into(),
            path: call.path.raw.into(),
            source_ip: call.source_ip,
        };
        if remembered.bytes() <= LONGEST {
            self.0.insert(found.id.as_str().into(), Arc::new(remembered));
        }
    }

    /// The refusal of this id, where it is one of `asker`'s own. That there is one of somebody else's is not told.
    pub(super) fn of(&self, id: &str, asker: &Caller, now_ms: i64) -> Option<Arc<Remembered>> {
        let remembered = self.0.get(id)?;
        (remembered.is_of(asker) && now_ms.saturating_sub(remembered.now_ms) < AGE_MS).then_some(remembered)
    }
}

// === impl Remembered ===

impl Remembered {
    /// The same principal from the same namespace: a person's notebook and job may ask about each other, a token that somebody took elsewhere tells
    /// nothing. What came without a token, or with one that was not believed, belongs to the workload alone.
    fn is_of(&self, asker: &Caller) -> bool {
        match &self.caller {
            None => self.peer.is_some() && self.peer == asker.peer,
            Some(caller) => {
                let entity = |caller: &Caller| caller.principal().map(|principal| principal.entity());
                let place = |caller: &Caller| {
                    let peer = caller.peer.as_ref();
                    peer.map(|peer| (peer.trust_domain().to_owned(), peer.namespace().unwrap_or_else(|| peer.as_str()).to_owned()))
                };
                entity(caller).is_some() && entity(caller) == entity(asker) && place(caller) == place(asker)
            }
        }
    }

    pub(super) fn facts(&self) -> RequestFacts<'_> {
        RequestFacts { method: &self.method, path: &self.path, source_ip: self.source_ip, time_ms: self.now_ms }
    }

    /// What it may keep alive, with what the cache itself spends on it.
    fn bytes(&self) -> usize {
        const OVERHEAD: usize = 512;
        let texts = |texts: &[String]| texts.iter().map(|text| text.len() + size_of::<String>()).sum::<usize>();
        let token = self.caller.as_ref().and_then(|caller| caller.token.as_deref());
        let token = token.map_or(0, |token| {
            let lists = [&token.groups, &token.roles, &token.scopes, &token.actors].into_iter().map(|list| texts(list)).sum::<usize>();
            let options = [&token.client, &token.acr, &token.id, &token.session].into_iter().flatten().map(String::len).sum::<usize>();
            size_of_val(token) + token.subject.len() + lists + options
        });
        let intent = self.intent.as_ref().map_or(0, |intent| {
            let entity = |entity: &crate::model::EntityRef| size_of::<crate::model::Resource>() + entity.id.len();
            let resources = intent.resources.iter().map(|resource| entity(&resource.entity) + resource.ancestors.iter().map(entity).sum::<usize>());
            let fields = intent.fields.iter().map(|field| {
                size_of_val(field)
                    + match &field.value {
                        FieldValue::Text(text) => text.len(),
                        FieldValue::Texts(list) => texts(list),
                        FieldValue::Long(_) | FieldValue::Bool(_) => 0,
                    }
            });
            resources.sum::<usize>() + fields.sum::<usize>()
        });
        let peer = self.peer.as_ref().map_or(0, |peer| peer.as_str().len());
        let refusal = self.refusal.detail.len() + texts(&self.refusal.policies);
        size_of::<Self>() + OVERHEAD + token + intent + peer + refusal + self.method.len() + self.path.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, PrincipalKind, Reason, Token};

    fn caller(subject: Option<&str>, peer: Option<&str>) -> Caller {
        let token = subject.map(|subject| {
            Arc::new(Token {
                issuer: Name::parse("corp").unwrap(),
                kind: PrincipalKind::User,
                subject: subject.to_owned(),
                groups: Vec::new(),
                roles: Vec::new(),
                scopes: Vec::new(),
                client: None,
                expires_at: 0,
                issued_at: None,
                auth_time: None,
                acr: None,
                id: None,
                session: None,
                actors: Vec::new(),
                digest: [0; 32],
            })
        });
        Caller { peer: peer.map(|peer| SpiffeId::parse(&format!("spiffe://{peer}")).unwrap()), token }
    }

    fn refused(caller: Option<Caller>, peer: Option<SpiffeId>, detail: &str) -> Arc<Remembered> {
        Arc::new(Remembered {
            decision: DecisionId::new(0),
            now_ms: 0,
            generation: 1,
            stage: Stage::Authz,
            peer: caller.as_ref().map_or(peer, |caller| caller.peer.clone()),
            caller,
            intent: None,
            refusal: Refusal::new(Reason::PolicyNoPermit, detail.to_owned()),
            method: "GET".into(),
            path: "/".into(),
            source_ip: None,
        })
    }

    #[test]
    fn a_refusal_is_told_to_its_own_caller_alone() {
        const JOB: &str = "td/ns/a/sa/job";
        let cases = [
            ((Some("alice"), Some(JOB)), (Some("alice"), Some(JOB)), true),
            ((Some("alice"), Some(JOB)), (Some("alice"), Some("td/ns/a/sa/notebook")), true),
            ((Some("alice"), Some(JOB)), (Some("alice"), Some("td/ns/b/sa/job")), false),
            ((Some("alice"), Some(JOB)), (Some("alice"), Some("other/ns/a/sa/job")), false),
            ((Some("alice"), Some(JOB)), (Some("alice"), None), false),
            ((Some("alice"), None), (Some("alice"), Some(JOB)), false),
            ((Some("alice"), None), (Some("alice"), None), true),
            ((Some("alice"), Some(JOB)), (Some("bob"), Some(JOB)), false),
            ((Some("alice"), Some(JOB)), (None, Some(JOB)), false),
            ((None, Some(JOB)), (Some("alice"), Some(JOB)), false),
            ((None, Some(JOB)), (None, Some(JOB)), true),
            ((None, Some(JOB)), (None, Some("td/ns/a/sa/notebook")), false),
            // what is not Kubernetes' has no namespace
            ((Some("alice"), Some("td/vm/a")), (Some("alice"), Some("td/vm/b")), false),
            ((Some("alice"), Some("td/vm/a")), (Some("alice"), Some("td/vm/a")), true),
        ];
        for ((subject, peer), asker, told) in cases {
            let remembered = refused(Some(caller(subject, peer)), None, "");
            assert_eq!(remembered.is_of(&caller(asker.0, asker.1)), told, "{subject:?} {peer:?} {asker:?}");
        }
        // of a call whose token was not believed only the workload is known
        let unbelieved = refused(None, caller(None, Some(JOB)).peer, "");
        for (asker, told) in
            [((Some("bob"), Some(JOB)), true), ((None, Some(JOB)), true), ((Some("bob"), Some("td/ns/a/sa/x")), false), ((Some("bob"), None), false)]
        {
            assert_eq!(unbelieved.is_of(&caller(asker.0, asker.1)), told, "{asker:?}");
        }
        assert!(!refused(None, None, "").is_of(&caller(Some("bob"), None)));
    }

    #[test]
    fn refusals_are_bounded_in_age_and_bytes_and_the_newest_stay() {
        let refusals = Refusals::new();
        let alice = caller(Some("alice"), Some("td/ns/a/sa/job"));
        let detail = "x".repeat(10_000);
        let count = 2000;
        for number in 0..count {
            refusals.0.insert(number.to_string().into(), refused(Some(alice.clone()), None, &detail));
        }
        refusals.0.run_pending_tasks();
        assert!(refusals.0.weighted_size() <= BYTES && refusals.0.entry_count() > 100, "{}", refusals.0.weighted_size());
        assert!(refusals.of("0", &alice, 0).is_none(), "the oldest went");
        let newest = (count - 1).to_string();
        assert!(refusals.of(&newest, &alice, AGE_MS - 1).is_some());
        assert!(refusals.of(&newest, &alice, AGE_MS).is_none());
        assert!(refusals.of("nothing", &alice, 0).is_none());
    }
}
