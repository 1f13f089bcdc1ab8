//! May they? Cedar policies decide, over an index of their scopes and behind a cache of decisions; the answer is a [`Permit`] or a refusal.
//!
//! Nothing is permitted by accident: no policy is a deny, an error in any applicable policy is a deny (the engine alone would skip a `forbid` that
//! fails), and a call on several resources needs every one of them permitted.

mod alias;
mod around;
mod assign;
mod beside;
mod cache;
mod canonical;
mod configured;
mod constraint;
mod coverage;
mod credentials;
mod difference;
mod edges;
mod ends;
mod engine;
mod environments;
mod explain;
mod footprint;
mod granted;
mod hits;
mod index;
mod inventory;
mod judgement;
mod listed;
mod load;
mod metrics;
mod node;
mod numbers;
mod paced;
mod parallel;
mod permit;
mod policy;
mod reading;
mod repeated;
mod rights;
mod role;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod together;
mod undeclared;
mod validate;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use cedar_policy::PolicySet;
use cedar_policy_core::ast;
use prometheus_client::registry::Registry;

use self::{
    cache::{Cache, Candidates, Entry, Key},
    constraint::Constraint,
    edges::{Edge, Span},
    engine::{Answer, Engine, Unposable},
    explain::Effort,
    footprint::Footprint,
    hits::{Decision, Hits},
    index::Index,
    inventory::Inventory,
    listed::Order,
    load::{Kept, Loaded, Placed, Rules},
    metrics::Metrics,
    node::{Node, Question},
    paced::paced,
    permit::Outcome,
    policy::Compiled,
};
pub use self::{
    configured::Scope,
    credentials::Ordered,
    difference::{Difference, Names},
    explain::{Applied, Condition, Explained, Explanation, NearMiss, PolicyNote, Seen},
    granted::{GrantNote, GrantState},
    judgement::Judgement,
    listed::{Effect, Filter, ListedPolicy, Page},
    load::Grant,
    permit::Permit,
    rights::{Right, Rights},
    schema::schema,
};
use crate::{
    digest::Fields,
    model::{Caller, EntityRef, Fault, Faults, FieldSpec, Intent, Reason, Refusal, RequestFacts, Vocabulary},
};

/// What an operator wrote, read from disk by whoever watches it.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The claims of tokens that policies may read as `context.token.claims.<name>`, of all issuers together, in order of name.
    pub claims: Vec<FieldSpec>,
    /// Every `*.cedar` file with its text, in order of name.
    pub files: Vec<(PathBuf, String)>,
    /// `entities.json`, where there is one.
    pub inventory: Option<(PathBuf, String)>,
    /// Who is in which group: every `*.yaml` of the folder, in order of name.
    pub groups: Vec<(PathBuf, String)>,
    /// Who has which role on what: every `*.yaml` of the folder, in order of name.
    pub access: Vec<(PathBuf, String)>,
    /// The same for a time, approved by somebody.
    pub grants: Vec<(PathBuf, String)>,
    /// From the beginning of a grant to its end.
    pub longest_grant: Duration,
}

/// One set of policies, ready to decide. Immutable; a reload makes another.
pub struct Authorizer {
    policies: Vec<Placed>,
    by_id: HashMap<Arc<str>, u32>,
    /// Of each policy, by its number.
    hits: Vec<Arc<Hits>>,
    /// Whether its decisions are those of calls, and count.
    serving: AtomicBool,
    order: Order,
    index: Index,
    /// The policies with `@hide`.
    hiding: Vec<u32>,
    engine: Arc<Engine>,
    cache: Cache,
    metrics: Metrics,
    warnings: Vec<Fault>,
    kept: Kept,
    rules: Arc<Rules>,
    grants: Vec<Grant>,
}

// === impl Authorizer ===

impl Authorizer {
    /// Decisions are cached in at most `cache_bytes`. From the `previous` authorizer only what cannot have changed is taken: policies already found
    /// to be without fault, the inventory where its files are the same, decisions in which nothing had a part that is not the same, and counters.
    ///
    /// # Errors
    /// Every fault of every file at once, counted where they are many; and where there is no file at all, since an empty set is never served.
    pub fn load(vocabulary: &Vocabulary, source: &Source, cache_bytes: u64, previous: Option<&Self>) -> Result<Self, Vec<Fault>> {
        if source.files.is_empty() {
            return Err(vec![no_files()]);
        }
        let rules = Rules::new(vocabulary, &source.claims, previous.map(|previous| &previous.rules)).map_err(|fault| vec![fault])?;
        let loaded = Loaded::read(vocabulary, source, &rules, previous.map(|previous| &previous.kept));
        let engine = Self::engine(vocabulary, source, &rules, previous);
        let (loaded, engine) = match (loaded, engine) {
            (Ok(mut loaded), Ok(engine)) => {
                loaded.warnings.append(engine.inventory.warnings().clone());
                (loaded, engine)
            }
            (loaded, engine) => {
                let mut faults = Faults::default();
                [loaded.err(), engine.err()].into_iter().flatten().for_each(|found| faults.append(found));
                return Err(faults.into_vec());
            }
        };
        let metrics = previous.map_or_else(Metrics::new, |previous| previous.metrics.clone());
        let cache = Cache::new(cache_bytes, previous.map(|previous| &previous.cache));
        Ok(Self::assembled(loaded, engine, rules, metrics, cache, previous))
    }

    /// With the inventory of `source`; the previous one where nothing of it has changed.
    fn engine(vocabulary: &Vocabulary, source: &Source, rules: &Rules, previous: Option<&Self>) -> Result<Arc<Engine>, Faults> {
        let mut fields = Fields::new();
        fields.bytes(rules.digest()).count(usize::from(source.inventory.is_some()));
        for (path, text) in source.inventory.iter().chain(&source.groups) {
            fields.bytes(path.as_os_str().as_encoded_bytes()).text(text);
        }
        let digest = fields.finish();
        if let Some(same) = previous.map(|previous| &previous.engine).filter(|engine| engine.digest == digest) {
            return Ok(Arc::clone(same));
        }
        let inventory = Inventory::load(source.inventory.as_ref(), &source.groups, vocabulary)?;
        Ok(Arc::new(Engine::new(vocabulary, inventory, digest)))
    }

    /// Hits are counted on for policies that `counted` has too.
    fn assembled(loaded: Loaded, engine: Arc<Engine>, rules: Arc<Rules>, metrics: Metrics, cache: Cache, counted: Option<&Self>) -> Self {
        let Loaded { policies, kept, warnings, grants, .. } = loaded;
        let hits = |policy: &Placed| counted.and_then(|counted| counted.hits_of(&policy.compiled)).unwrap_or_else(|| Hits::new(&metrics.board));
        Self {
            hits: paced(&policies).map(hits).collect(),
            serving: AtomicBool::new(false),
            order: Order::new(),
            by_id: paced(&policies).zip(0..).map(|(policy, number)| (policy.compiled.id.clone(), number)).collect(),
            index: Index::new(paced(&policies).map(|policy| policy.compiled.scope())),
            hiding: policies.iter().zip(0..).filter(|(policy, _)| policy.compiled.hide).map(|(_, number)| number).collect(),
            engine,
            cache,
            policies,
            metrics,
            warnings: warnings.into_vec(),
            kept,
            rules,
            grants,
        }
    }

    /// # Errors
    /// The refusal says which policies decided and why, or what no policy permits.
    pub fn authorize(&self, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Result<Permit, Refusal> {
        let decision = self.decision(caller, intent, facts)?;
        if self.serves() {
            decision.count(facts.time_ms);
        }
        decision.outcome.result(&intent.target)
    }

    /// The decision, known or made. It counts for no policy.
    fn decision(&self, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Result<Arc<Decision>, Refusal> {
        let key = Key::new(caller, intent);
        let known = match self.cache.get(&key) {
            Some(Entry::Decided(decision, span)) if span.holds(facts.time_ms) => return Ok(self.hit(decision)),
            Some(Entry::Depends(candidates)) => Some(candidates),
            _ => None,
        };
        if let Some(full) = known.as_ref().and_then(|known| key.extended(known.footprint, caller, intent, facts))
            && let Some(Entry::Decided(decision, span)) = self.cache.get(&full)
            && span.holds(facts.time_ms)
        {
            return Ok(self.hit(decision));
        }
        let question = Question::new(caller, intent, &self.engine.inventory)?;
        let candidates = known.unwrap_or_else(|| self.candidates(&question));
        let full = key.extended(candidates.footprint, caller, intent, facts);
        let lasting = full.map(|full| full.lasting(&candidates));
        if let Some((earlier, span)) = lasting.and_then(|lasting| self.cache.lasted(&lasting, facts.time_ms)) {
            let decision = self.counting(earlier.outcome.clone());
            self.keep((key, full), &candidates, &decision, span);
            return Ok(self.hit(decision));
        }
        let decision = self.counting(self.decide(&question, &candidates, caller, intent, facts));
        let span = Span::around(facts.time_ms, &candidates.edges, caller);
        if self.keep((key, full), &candidates, &decision, span) {
            self.metrics.decided.inc();
            if let Some(lasting) = lasting {
                self.cache.outlast(lasting, decision.clone(), span);
            }
        } else {
            self.metrics.uncacheable.inc();
        }
        Ok(decision)
    }

    /// Why [`authorize`](Self::authorize) would answer as it would. Never a permit.
    #[must_use]
    pub fn explain(&self, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Explanation {
        explain::explain(self, caller, intent, facts, Effort::Thorough)
    }

    /// The same within a time that any caller may ask for.
    #[must_use]
    pub fn explain_briefly(&self, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Explanation {
        explain::explain(self, caller, intent, facts, Effort::Brief)
    }

    /// The other names that requests have for objects, by the inventory: each with the name that policies use.
    #[must_use]
    pub fn second_names(&self) -> &Arc<HashMap<EntityRef, EntityRef>> {
        self.engine.inventory.second_names()
    }

    /// As whom Databricks knows whom policies judge, where the inventory says: the user name of a person, the application id of a program or a workload.
    #[must_use]
    pub fn known_as(&self, caller: &Caller) -> Option<&Arc<str>> {
        self.engine.inventory.known_as(caller)
    }

    /// Access for a time: what is yet to begin, what holds now, what has ended.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The claims of tokens that policies may read.
    #[must_use]
    pub fn claims(&self) -> &[FieldSpec] {
        self.rules.claims()
    }

    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.policies.len()
    }

    /// What is likely not meant, though it can be served: a policy that can never apply, names that look alike.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Authorizers that were loaded from this one, or it from them, share its metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    fn hit(&self, decision: Arc<Decision>) -> Arc<Decision> {
        self.metrics.cached.inc();
        decision
    }

    /// A decision that knows the hits of this set's policies.
    fn counting(&self, outcome: Outcome) -> Arc<Decision> {
        Arc::new(Decision::new(outcome, |id| self.by_id.get(id).and_then(|number| self.hits.get(*number as usize)).cloned()))
    }

    /// Whether the decision is kept; `full` is the key with all that the candidates read, where that can be told.
    fn keep(&self, (key, full): (Key, Option<Key>), candidates: &Arc<Candidates>, decision: &Arc<Decision>, span: Span) -> bool {
        let decided = || Entry::Decided(decision.clone(), span);
        if candidates.footprint == Footprint::default() && decision.outcome.keeps() {
            self.cache.insert(key, decided());
            return true;
        }
        self.cache.insert(key, Entry::Depends(candidates.clone()));
        let Some(full) = full.filter(|_| decision.outcome.keeps()) else { return false };
        self.cache.insert(full, decided());
        true
    }

    fn candidates(&self, question: &Question) -> Arc<Candidates> {
        self.cache.candidates(self.index.candidates(question), |numbers| self.prepare(numbers))
    }

    fn prepare(&self, numbers: Box<[u32]>) -> Candidates {
        let policies: Vec<&Compiled> = numbers.iter().filter_map(|number| self.policy(*number)).collect();
        let mut literals: Vec<_> =
            policies.iter().flat_map(|policy| &policy.literals).filter(|literal| self.engine.inventory.has(literal)).cloned().collect();
        literals.sort();
        literals.dedup();
        let footprint = policies.iter().fold(Footprint::default(), |sum, policy| sum.with(policy.footprint));
        let mut edges: Vec<Edge> = policies.iter().flat_map(|policy| &policy.edges).copied().collect();
        edges.sort_unstable();
        edges.dedup();
        let mut set = ast::PolicySet::new();
        let mut fields = Fields::new();
        fields.bytes(&self.engine.digest);
        for policy in &policies {
            fields.bytes(&policy.digest);
        }
        let added: Result<(), _> = policies.into_iter().try_for_each(|policy| set.add(policy.policy.clone()));
        let set = added.ok().map(|()| PolicySet::from(set));
        Candidates { numbers, set, footprint, edges, literals, digest: fields.finish() }
    }

    fn decide(&self, question: &Question, candidates: &Candidates, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Outcome {
        let posed = match self.engine.pose(question, &candidates.literals, caller, intent, facts) {
            Ok(posed) => posed,
            Err(error) => return cannot_be_asked(&error),
        };
        let answers = candidates.set.as_ref().map(|set| self.engine.ask(&posed, set)).unwrap_or_default();
        let find = |id: &str| self.placed(id).map(|placed| &*placed.compiled);
        let near = |resource: &Node| {
            let permits = candidates.numbers.iter().filter_map(|number| self.policy(*number)).filter(|policy| !policy.is_forbid());
            permits.filter(|permit| covers(permit, question, resource)).map(|permit| &*permit.id).collect()
        };
        let until = |answer: &Answer| self.until(answer, candidates, caller, facts.time_ms);
        Outcome::new(question, &answers, find, near, until)
    }

    fn placed(&self, id: &str) -> Option<&Placed> {
        self.policies.get(*self.by_id.get(id)? as usize)
    }

    fn policy(&self, number: u32) -> Option<&Compiled> {
        self.policies.get(number as usize).map(|placed| &*placed.compiled)
    }
}

/// Whether the policy's scope matches.
fn covers(policy: &Compiled, question: &Question, resource: &Node) -> bool {
    let pairs = policy.scope().into_iter().zip([&question.principal, &question.action, resource]);
    pairs.into_iter().all(|(constraint, node): (&Constraint, &Node)| constraint.matches(node))
}

fn cannot_be_asked(error: &Unposable) -> Outcome {
    tracing::error!(%error, "a question could not be put to the policies");
    Outcome::Refused(Refusal::new(Reason::Internal, "the request cannot be put to the policies"))
}

fn no_files() -> Fault {
    Fault {
        file: "policies".into(),
        line: None,
        column: None,
        message: "there is no `*.cedar` file".to_owned(),
        help: Some("an empty set of policies would deny everything; write at least one policy".to_owned()),
    }
}
