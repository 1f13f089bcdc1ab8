//! The policies of a set as people look through them: a page at a time, by id, with what each has decided.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::{
    Authorizer,
    explain::{PolicyNote, note},
    hits::Hits,
    load::Placed,
};

/// One policy of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedPolicy {
    #[serde(flatten)]
    pub note: PolicyNote,
    /// The three parts of its scope as Cedar writes them: `principal in Group::"corp/a"`.
    pub principal: String,
    pub action: String,
    pub resource: String,
    /// How many calls it determined since it is served; `None` in a set that is not.
    pub hits: Option<u64>,
    /// When it last did.
    pub last_hit: Option<String>,
    /// Since when it is served by this process.
    pub since: Option<String>,
}

/// Which policies are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What their ids begin with.
    pub prefix: String,
    pub effect: Option<Effect>,
    /// Only those that never determined a call.
    pub unused: bool,
    /// Only those that neither determined a call nor were first served since this time, in Unix milliseconds.
    pub idle_since_ms: Option<i64>,
}

/// What a policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Permit,
    Forbid,
}

/// Some of the policies, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    pub policies: Vec<ListedPolicy>,
    /// Behind which id the next page begins; `None` where there is none.
    pub next: Option<String>,
}

/// The numbers of the policies in the order of their ids, found out when first asked for.
pub(super) type Order = OnceLock<Box<[u32]>>;

// === impl Authorizer ===

impl Authorizer {
    /// At most `limit` of the policies that `filter` wants, with ids behind `after`.
    #[must_use]
    pub fn page(&self, filter: &Filter, after: Option<&str>, limit: usize) -> Page {
        let order = self.order.get_or_init(|| self.ordered());
        let id = |number: &u32| self.policy(*number).map_or("", |policy| &policy.id);
        let from = order.partition_point(|number| id(number) < filter.prefix.as_str() || after.is_some_and(|after| id(number) <= after));
        let behind = order.get(from..).unwrap_or_default().iter().take_while(|number| id(number).starts_with(&filter.prefix));
        let mut wanted = behind.filter_map(|number| self.numbered(*number)).filter(|(placed, hits)| filter.wants(placed, hits));
        let policies: Vec<ListedPolicy> = wanted.by_ref().take(limit).map(|(placed, hits)| self.listed(placed, hits)).collect();
        let next = wanted.next().and(policies.last()).map(|last| last.note.id.clone());
        Page { policies, next }
    }

    /// The policy with this id, and its text in Cedar, where it has one of its own: a link of a role has none.
    #[must_use]
    pub fn listed_policy(&self, id: &str) -> Option<(ListedPolicy, Option<String>)> {
        let (placed, hits) = self.numbered(*self.by_id.get(id)?)?;
        let policy = &placed.compiled.policy;
        let text = policy.is_static().then(|| policy.to_string().trim().to_owned());
        Some((self.listed(placed, hits), text))
    }

    fn ordered(&self) -> Box<[u32]> {
        let mut numbers: Vec<(&str, u32)> = self.by_id.iter().map(|(id, number)| (&**id, *number)).collect();
        numbers.sort_unstable();
        numbers.into_iter().map(|(_, number)| number).collect()
    }

    fn numbered(&self, number: u32) -> Option<(&Placed, &Arc<Hits>)> {
        self.policies.get(number as usize).zip(self.hits.get(number as usize))
    }

    fn listed(&self, placed: &Placed, hits: &Hits) -> ListedPolicy {
        let [principal, action, resource] = placed.compiled.scope();
        ListedPolicy {
            note: note(placed),
            principal: principal.behind("principal"),
            action: action.behind("action"),
            resource: resource.behind("resource"),
            hits: self.serves().then(|| hits.count()),
            last_hit: hits.last_ms().filter(|_| self.serves()).map(time),
            since: hits.since_ms().filter(|_| self.serves()).map(time),
        }
    }
}

// === impl Filter ===

impl Filter {
    fn wants(&self, placed: &Placed, hits: &Hits) -> bool {
        let effect = |effect: Effect| placed.compiled.is_forbid() == (effect == Effect::Forbid);
        let before = |since_ms: i64| [hits.last_ms(), hits.since_ms()].into_iter().flatten().all(|at| at < since_ms);
        self.effect.is_none_or(effect) && !(self.unused && hits.count() > 0) && self.idle_since_ms.is_none_or(before)
    }
}

/// `2026-11-21T23:59:59Z`
fn time(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map(|time| format!("{time:.0}")).unwrap_or_default()
}
