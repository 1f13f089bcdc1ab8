//! Refusals of the last hour, so that whoever was refused can ask why. Of this process alone, and bounded: an audit file has every decision.

use std::{iter::once, mem::size_of, sync::Arc};

use moka::{Entry, policy::EvictionPolicy, sync::Cache};

use super::found::{Found, Stage};
use crate::model::{Caller, DecisionId, EntityRef, Intent, Refusal, RequestFacts, SpiffeId};

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
    id: Box<str>,
    method: Box<str>,
    path: Box<str>,
    source_ip: Option<std::net::IpAddr>,
}

/// The newest refusals of each owner. Nobody but the owner looks at them, and whoever is refused often pushes out refusals of their own; of the owners, who
/// was refused the longest ago goes first.
#[derive(Debug)]
pub(super) struct Refusals(Cache<Owner, Arc<Share>>);

/// Whose a refusal is: who may ask about it, and in whose share of the room it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    /// The same principal from the same namespace: a person's notebook and job may ask about each other, a token that somebody took elsewhere tells
    /// nothing.
    Caller { principal: EntityRef, trust_domain: Box<str>, namespace: Box<str> },
    /// The workload, of calls whose token was not believed.
    Workload(SpiffeId),
}

/// The refusals of one owner, the newest first.
#[derive(Debug, Default)]
struct Share {
    refusals: Vec<(usize, Arc<Remembered>)>,
    bytes: usize,
}

/// Bytes of refusals that are remembered.
const BYTES: u64 = 8 << 20;

/// Bytes of one owner's, a 64th of all.
const SHARE: usize = 128 << 10;

/// Bytes of one refusal; a longer one is not remembered, so that no call takes the place of all others.
const LONGEST: usize = 64 << 10;

/// How long a refusal is remembered, in milliseconds.
const AGE_MS: i64 = 60 * 60 * 1000;

/// Bytes that a cache spends on an entry, or a list on an item, about.
const OVERHEAD: usize = 256;

// === impl Refusals ===

impl Refusals {
    pub(super) fn new() -> Self {
        let weight = |owner: &Owner, share: &Arc<Share>| u32::try_from(owner.bytes() + share.bytes).unwrap_or(u32::MAX);
        // the usual policy keeps what is asked for often, and would turn new owners away
        Self(Cache::builder().max_capacity(BYTES).weigher(weight).eviction_policy(EvictionPolicy::lru()).build())
    }

    /// Remembers that the call was refused, where there is somebody who may ask about it and who was told so; whether it did.
    pub(super) fn keep(&self, found: &Found<'_>, refusal: &Refusal) -> bool {
        let Some(call) = found.call.as_ref().filter(|_| !found.shadow && !found.own) else { return false };
        let Some(owner) = Owner::of(found.caller.as_ref(), found.peer.as_ref()) else { return false };
        let remembered = Remembered {
            decision: found.decision,
            now_ms: found.now_ms,
            generation: found.generation,
            stage: found.stage,
            peer: found.peer.clone(),
            caller: found.caller.clone(),
            intent: found.intent.clone(),
            refusal: refusal.clone(),
            id: found.id.as_str().into(),
            method: call.method.into(),
            path: call.path.raw.into(),
            source_ip: call.source_ip,
        };
        self.insert(owner, remembered)
    }

    fn insert(&self, owner: Owner, remembered: Remembered) -> bool {
        let bytes = remembered.bytes();
        if bytes > LONGEST {
            return false;
        }
        let newest = (bytes, Arc::new(remembered));
        // one at a time for each owner, so that none is lost
        self.0.entry(owner).and_upsert_with(|known| Arc::new(Share::new(newest, known.map(Entry::into_value).as_deref())));
        true
    }

    /// The refusal of this id, where it is one of `asker`'s own. That there is one of somebody else's is not even found out.
    pub(super) fn of(&self, id: &str, asker: &Caller, now_ms: i64) -> Option<Arc<Remembered>> {
        let owners = [Owner::of(Some(asker), None), Owner::of(None, asker.peer.as_ref())];
        owners.iter().flatten().find_map(|owner| {
            let share = self.0.get(owner)?;
            let (_, found) = share.refusals.iter().find(|(_, refusal)| id.eq_ignore_ascii_case(&refusal.id))?;
            (found.is_young(now_ms) && found.is_told_to(asker)).then(|| Arc::clone(found))
        })
    }
}

// === impl Owner ===

impl Owner {
    /// `None` where nobody is known who could ask.
    fn of(caller: Option<&Caller>, peer: Option<&SpiffeId>) -> Option<Self> {
        let Some(caller) = caller else { return peer.cloned().map(Self::Workload) };
        let place = caller.peer.as_ref().map(|peer| (peer.trust_domain(), peer.namespace().unwrap_or(peer.as_str())));
        let (trust_domain, namespace) = place.unwrap_or_default();
        Some(Self::Caller { principal: caller.principal()?.entity(), trust_domain: trust_domain.into(), namespace: namespace.into() })
    }

    fn bytes(&self) -> usize {
        let texts = match self {
            Self::Caller { principal, trust_domain, namespace } => principal.id.len() + trust_domain.len() + namespace.len(),
            Self::Workload(peer) => peer.as_str().len(),
        };
        size_of::<Self>() + size_of::<Share>() + OVERHEAD + texts
    }
}

// === impl Share ===

impl Share {
    /// `newest`, and of those that are `known` as many as find room beside it and are not forgotten by then.
    fn new(newest: (usize, Arc<Remembered>), known: Option<&Self>) -> Self {
        let now_ms = newest.1.now_ms;
        let mut share = Self::default();
        for (bytes, refusal) in once(newest).chain(known.into_iter().flat_map(|known| known.refusals.iter().cloned())) {
            if share.bytes + bytes > SHARE || !refusal.is_young(now_ms) {
                break;
            }
            share.bytes += bytes;
            share.refusals.push((bytes, refusal));
        }
        share
    }
}

// === impl Remembered ===

impl Remembered {
    fn is_young(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.now_ms) < AGE_MS
    }

    /// Of its owner's: people learn of what was done in their name, and who acts for somebody (RFC 8693 `act`) of what the same actors did.
    fn is_told_to(&self, asker: &Caller) -> bool {
        let actors = |caller: Option<&Caller>| caller.and_then(|caller| Some(caller.token.as_ref()?.actors.clone())).unwrap_or_default();
        let asking = actors(Some(asker));
        asking.is_empty() || self.caller.is_none() || asking == actors(self.caller.as_ref())
    }

    pub(super) fn facts(&self) -> RequestFacts<'_> {
        RequestFacts { method: &self.method, path: &self.path, source_ip: self.source_ip, time_ms: self.now_ms }
    }

    /// What it may keep alive, with what the list itself spends on it.
    fn bytes(&self) -> usize {
        let texts = |texts: &[String]| texts.iter().map(|text| text.len() + size_of::<String>()).sum::<usize>();
        let token = self.caller.as_ref().and_then(|caller| caller.token.as_deref());
        let token = token.map_or(0, |token| {
            let lists = [&token.groups, &token.roles, &token.scopes, &token.actors].into_iter().map(|list| texts(list)).sum::<usize>();
            let claims = token.claims.iter().map(|claim| size_of_val(claim) + texts(claim.value.texts())).sum::<usize>();
            let options =
                [&token.client, &token.acr, &token.id, &token.session, &token.purpose].into_iter().flatten().map(String::len).sum::<usize>();
            size_of_val(token) + token.subject.len() + lists + claims + options
        });
        let intent = self.intent.as_ref().map_or(0, |intent| {
            let entity = |entity: &EntityRef| size_of::<crate::model::Resource>() + entity.id.len();
            let resources = intent.resources.iter().map(|resource| entity(&resource.entity) + resource.ancestors.iter().map(entity).sum::<usize>());
            let fields = intent.fields.iter().map(|field| size_of_val(field) + texts(field.value.texts()));
            resources.sum::<usize>() + fields.sum::<usize>()
        });
        let peer = self.peer.as_ref().map_or(0, |peer| peer.as_str().len());
        let aside = self.refusal.aside.as_deref().map_or(0, str::len);
        let refusal = self.refusal.detail.len() + aside + texts(&self.refusal.policies);
        size_of::<Self>() + OVERHEAD + token + intent + peer + refusal + self.id.len() + self.method.len() + self.path.len()
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
                groups_elsewhere: false,
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
                claims: Vec::new(),
                purpose: None,
                email: None,
                digest: [0; 32],
            })
        });
        Caller { peer: peer.map(|peer| SpiffeId::parse(&format!("spiffe://{peer}")).unwrap()), token }
    }

    const JOB: &str = "td/ns/a/sa/job";

    fn refused(id: &str, caller: Option<Caller>, peer: Option<SpiffeId>, detail: &str) -> Remembered {
        Remembered {
            decision: DecisionId::new(0),
            now_ms: 0,
            generation: 1,
            stage: Stage::Authz,
            peer: caller.as_ref().map_or(peer, |caller| caller.peer.clone()),
            caller,
            intent: None,
            refusal: Refusal::new(Reason::PolicyNoPermit, detail.to_owned()),
            id: id.into(),
            method: "GET".into(),
            path: "/".into(),
            source_ip: None,
        }
    }

    fn keep(refusals: &Refusals, refused: Remembered) -> bool {
        let owner = Owner::of(refused.caller.as_ref(), refused.peer.as_ref());
        owner.is_some_and(|owner| refusals.insert(owner, refused))
    }

    fn acting(actors: &[&str]) -> Caller {
        let mut token = caller(Some("alice"), None).token.map(Arc::unwrap_or_clone).unwrap();
        token.actors = actors.iter().map(|actor| (*actor).to_owned()).collect();
        Caller { token: Some(Arc::new(token)), ..caller(None, Some(JOB)) }
    }

    #[test]
    fn a_refusal_is_told_to_its_own_caller_alone() {
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
            let refusals = Refusals::new();
            assert!(keep(&refusals, refused("1-a", Some(caller(subject, peer)), None, "")));
            assert_eq!(refusals.of("1-A", &caller(asker.0, asker.1), 0).is_some(), told, "{subject:?} {peer:?} {asker:?}");
        }
        // of a call whose token was not believed only the workload is known
        let refusals = Refusals::new();
        keep(&refusals, refused("1", None, caller(None, Some(JOB)).peer, ""));
        for (asker, told) in
            [((Some("bob"), Some(JOB)), true), ((None, Some(JOB)), true), ((Some("bob"), Some("td/ns/a/sa/x")), false), ((Some("bob"), None), false)]
        {
            assert_eq!(refusals.of("1", &caller(asker.0, asker.1), 0).is_some(), told, "{asker:?}");
        }
        assert!(!keep(&refusals, refused("2", None, None, "")), "nobody could ask");
    }

    #[test]
    fn another_kind_or_issuer_of_the_same_subject_is_somebody_else() {
        let refusals = Refusals::new();
        keep(&refusals, refused("1", Some(caller(Some("alice"), Some(JOB))), None, ""));
        let token = caller(Some("alice"), None).token.map(Arc::unwrap_or_clone).unwrap();
        let renewed = Token { id: Some("new".to_owned()), expires_at: 9, issued_at: Some(9), digest: [1; 32], ..token.clone() };
        let other = Token { issuer: Name::parse("other").unwrap(), ..token.clone() };
        let service = Token { kind: PrincipalKind::ServicePrincipal, ..token };
        for (token, told) in [(renewed, true), (other, false), (service, false)] {
            let asker = Caller { token: Some(Arc::new(token)), ..caller(None, Some(JOB)) };
            assert_eq!(refusals.of("1", &asker, 0).is_some(), told, "{asker:?}");
        }
    }

    #[test]
    fn an_actor_learns_of_what_it_did_itself() {
        for (did, asks, told) in [
            (&["agent"][..], &[][..], true),
            (&[], &["agent"], false),
            (&["agent"], &["agent"], true),
            (&["agent"], &["other"], false),
            (&["agent", "scheduler"], &["agent"], false),
        ] {
            let refusals = Refusals::new();
            keep(&refusals, refused("1", Some(acting(did)), None, ""));
            assert_eq!(refusals.of("1", &acting(asks), 0).is_some(), told, "{did:?} {asks:?}");
        }
        let refusals = Refusals::new();
        keep(&refusals, refused("1", None, caller(None, Some(JOB)).peer, ""));
        assert!(refusals.of("1", &acting(&["agent"]), 0).is_some(), "what nobody's token made is the workload's");
    }

    #[test]
    fn whoever_is_refused_often_pushes_out_their_own_refusals_alone() {
        let refusals = Refusals::new();
        let [alice, mallory] = ["alice", "mallory"].map(|subject| caller(Some(subject), Some(JOB)));
        keep(&refusals, refused("hers", Some(alice.clone()), None, ""));
        // as many bytes as there are in all, a few times
        let detail = "x".repeat(LONGEST / 2);
        let count = 4 * usize::try_from(BYTES).unwrap() / detail.len();
        for number in 0..count {
            assert!(keep(&refusals, refused(&number.to_string(), Some(mallory.clone()), None, &detail)));
        }
        refusals.0.run_pending_tasks();
        assert!(refusals.of("hers", &alice, 0).is_some());
        let kept: Vec<usize> = (0..count).filter(|number| refusals.of(&number.to_string(), &mallory, 0).is_some()).collect();
        assert_eq!(kept, (count - 3..count).collect::<Vec<_>>(), "the newest, as many as the share holds");
        assert!(refusals.0.weighted_size() <= 2 * SHARE as u64);
        let long = "x".repeat(LONGEST);
        assert!(!keep(&refusals, refused("long", Some(mallory.clone()), None, &long)) && refusals.of("long", &mallory, 0).is_none());
    }

    #[test]
    fn refusals_are_bounded_in_age_and_bytes_and_who_was_refused_last_stays() {
        let refusals = Refusals::new();
        let detail = "x".repeat(10_000);
        let owner = |number: usize| caller(Some(&number.to_string()), Some(JOB));
        let count = 2000;
        for number in 0..count {
            keep(&refusals, refused("1", Some(owner(number)), None, &detail));
        }
        refusals.0.run_pending_tasks();
        assert!(refusals.0.weighted_size() <= BYTES && refusals.0.entry_count() > 100, "{}", refusals.0.weighted_size());
        assert!(refusals.of("1", &owner(0), 0).is_none(), "who was refused first went");
        let newest = owner(count - 1);
        assert!(refusals.of("1", &newest, AGE_MS - 1).is_some());
        assert!(refusals.of("1", &newest, AGE_MS).is_none());
        assert!(refusals.of("2", &newest, 0).is_none());
        // what is forgotten takes no room of what comes after
        keep(&refusals, Remembered { now_ms: AGE_MS, ..refused("2", Some(newest.clone()), None, "") });
        let share = refusals.0.get(&Owner::of(Some(&newest), None).unwrap()).unwrap();
        assert_eq!((share.refusals.len(), share.bytes), (1, share.refusals[0].0));
    }

    #[test]
    fn refusals_at_once_are_all_kept() {
        let refusals = Refusals::new();
        let alice = caller(Some("alice"), Some(JOB));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (refusals, alice) = (&refusals, alice.clone());
                scope.spawn(move || {
                    for number in 0..10 {
                        assert!(keep(refusals, refused(&format!("{thread}-{number}"), Some(alice.clone()), None, "")));
                    }
                });
            }
        });
        for thread in 0..4 {
            for number in 0..10 {
                assert!(refusals.of(&format!("{thread}-{number}"), &alice, 0).is_some(), "{thread}-{number}");
            }
        }
    }
}
