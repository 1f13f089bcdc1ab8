//! Decisions that were made before, and the candidate policies they were made from. Both belong to one set of policies and die with it.
//!
//! Beside them stands what sets share that were made of one another by reloads: decisions by all that they depend on, the very policies that could apply
//! and the inventory among that. Whatever a reload did not touch is not decided anew.

use std::sync::Arc;

use cedar_policy::PolicySet;

use super::{
    edges::{Edge, Span},
    footprint::Footprint,
    hits::Decision,
};
use crate::{
    digest::Fields,
    model::{Caller, EntityRef, Intent, RequestFacts},
};

/// The digest of facts. Colliding keys would share rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

/// The policies that could apply to a question, ready for the engine; shared by all questions with the same ones.
#[derive(Debug)]
pub(super) struct Candidates {
    pub(super) numbers: Box<[u32]>,
    /// `None` where the engine would not take them together; nothing is allowed then.
    pub(super) set: Option<PolicySet>,
    pub(super) footprint: Footprint,
    /// When a decision of theirs could change by the time alone.
    pub(super) edges: Vec<Edge>,
    /// What they name that the inventory has.
    pub(super) literals: Vec<EntityRef>,
    /// The digest of their texts, and of all else that decides with them.
    pub(super) digest: [u8; 32],
}

/// What is known under a key.
#[derive(Clone)]
pub(super) enum Entry {
    Decided(Arc<Decision>, Span),
    /// The decision depends on more: it stands, if anywhere, under the key extended by the candidates' footprint.
    Depends(Arc<Candidates>),
}

pub(super) struct Cache {
    entries: moka::sync::Cache<Key, Entry>,
    candidates: moka::sync::Cache<Box<[u32]>, Arc<Candidates>>,
    lasting: moka::sync::Cache<Lasting, (Arc<Decision>, Span)>,
}

/// The digest of all that a decision depends on but the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lasting([u8; 32]);

// === impl Key ===

impl Key {
    /// Of what every decision depends on: principal, peer, actor, action and all resources with their ancestors. The token's digest covers its
    /// issuer, subject, groups, roles, scopes, client, `auth_time`, `acr`, actors, attributes and purpose; what the inventory adds follows from the names.
    pub(super) fn new(caller: &Caller, intent: &Intent) -> Self {
        let mut fields = Fields::new();
        fields.option(caller.token.as_ref().map(|token| token.digest.as_slice()));
        fields.option(caller.peer.as_ref().map(|peer| peer.as_str().as_bytes()));
        fields.text(&intent.action.name);
        fields.text(&intent.action.service);
        fields.text(intent.action.level.as_str());
        fields.count(intent.resources.len());
        for resource in &intent.resources {
            entity(&mut fields, &resource.entity);
            fields.count(resource.ancestors.len());
            resource.ancestors.iter().for_each(|ancestor| entity(&mut fields, ancestor));
        }
        Self(fields.finish())
    }

    /// With the parts of the context that candidates read; `None` where that is the time in a way that does not say for how long an entry could be kept.
    pub(super) fn extended(self, footprint: Footprint, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Option<Self> {
        if footprint.time {
            return None;
        }
        let mut fields = Fields::new();
        fields.bytes(&self.0);
        fields.option(footprint.method.then_some(facts.method.as_bytes()));
        fields.option(footprint.path.then_some(facts.path.as_bytes()));
        let ip = facts.source_ip.filter(|_| footprint.source_ip).map(|ip| ip.to_string());
        fields.option(ip.as_ref().map(String::as_bytes));
        let expires = caller.token.as_ref().filter(|_| footprint.expires).map(|token| token.expires_at.to_be_bytes());
        fields.option(expires.as_ref().map(<[u8; 8]>::as_slice));
        for field in intent.fields.iter().filter(|_| footprint.fields) {
            fields.text(&field.name).value(&field.value);
        }
        Some(Self(fields.finish()))
    }

    /// An extended key with the policies that it was extended for.
    pub(super) fn lasting(self, candidates: &Candidates) -> Lasting {
        let mut fields = Fields::new();
        fields.bytes(&self.0).bytes(&candidates.digest);
        Lasting(fields.finish())
    }
}

fn entity(fields: &mut Fields, entity: &EntityRef) {
    fields.text(entity.kind.as_str()).text(&entity.id);
}

// === impl Cache ===

impl Cache {
    /// Holds at most `bytes`: half of them decisions of one set, a quarter its candidates, a quarter what it shares with the `previous` set.
    pub(super) fn new(bytes: u64, previous: Option<&Self>) -> Self {
        let entries = moka::sync::Cache::builder().max_capacity(bytes / 2).weigher(|_, entry: &Entry| entry.weight()).build();
        let candidates = moka::sync::Cache::builder().max_capacity(bytes / 4).weigher(|_, candidates: &Arc<Candidates>| candidates.weight()).build();
        let weigher = |_: &Lasting, (decision, _): &(Arc<Decision>, Span)| weight(decision.bytes());
        let lasting = || moka::sync::Cache::builder().max_capacity(bytes / 4).weigher(weigher).build();
        Self { entries, candidates, lasting: previous.map_or_else(lasting, |previous| previous.lasting.clone()) }
    }

    /// What this set or an earlier one decided, if that holds now.
    pub(super) fn lasted(&self, key: &Lasting, now_ms: i64) -> Option<(Arc<Decision>, Span)> {
        self.lasting.get(key).filter(|(_, span)| span.holds(now_ms))
    }

    pub(super) fn outlast(&self, key: Lasting, decision: Arc<Decision>, span: Span) {
        self.lasting.insert(key, (decision, span));
    }

    pub(super) fn get(&self, key: &Key) -> Option<Entry> {
        self.entries.get(key)
    }

    pub(super) fn insert(&self, key: Key, entry: Entry) {
        self.entries.insert(key, entry);
    }

    /// The candidates with these numbers, made once by `prepare`.
    pub(super) fn candidates(&self, numbers: Box<[u32]>, prepare: impl FnOnce(Box<[u32]>) -> Candidates) -> Arc<Candidates> {
        self.candidates.get(&numbers).unwrap_or_else(|| {
            let made = Arc::new(prepare(numbers.clone()));
            self.candidates.insert(numbers, made.clone());
            made
        })
    }
}

// === impl Entry ===

impl Entry {
    /// In bytes, with what the cache itself spends on an entry. Candidates are weighed where they are shared.
    fn weight(&self) -> u32 {
        weight(match self {
            Self::Decided(decision, _) => decision.bytes(),
            Self::Depends(candidates) => candidates.numbers.len() * size_of::<u32>(),
        })
    }
}

fn weight(own: usize) -> u32 {
    const OVERHEAD: usize = 256;
    u32::try_from(own.saturating_add(OVERHEAD)).unwrap_or(u32::MAX)
}

// === impl Candidates ===

impl Candidates {
    fn weight(&self) -> u32 {
        const OVERHEAD: usize = 512;
        const POLICY: usize = 512;
        let own = self.numbers.len().saturating_mul(POLICY).saturating_add(self.literals.len().saturating_mul(64));
        u32::try_from(own.saturating_add(OVERHEAD)).unwrap_or(u32::MAX)
    }
}
