//! Which decisions count for which policy, how long that is remembered, and how policies are listed by it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, registry::Registry};

use super::world::{NOW_MS, alice, facts, intent, load, source, vocabulary, with_field};
use crate::{
    authz::{
        Authorizer, Difference, Effect, Filter, ListedPolicy, Names, Page,
        hits::{Board, Hits, LISTED_MOST},
    },
    model::{FieldValue, Intent, RequestFacts},
};

const POLICIES: &str = r#"
    @id("query") @owner("ml-platform") permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource);
    @id("sales") permit (principal, action, resource == ServingEndpoint::"stage/sales");
    @id("closed") @reason("under audit") forbid (principal, action, resource == ServingEndpoint::"stage/closed");
    @id("vault") @hide forbid (principal, action, resource == ServingEndpoint::"stage/vault");
    @id("breaks") permit (principal, action == Action::"jobs.submit", resource) when { context.request has priority && context.request.priority + 9223372036854775807 > 0 };
    @id("late") permit (principal, action == Action::"jobs.get", resource) when { context.request.time.toTime() < duration("8h") };
"#;

fn query(endpoints: &[&str]) -> Intent {
    let ids: Vec<(&str, &str)> = endpoints.iter().map(|id| ("ServingEndpoint", *id)).collect();
    intent("serving_endpoints.query", &ids)
}

fn served(policies: &str) -> Authorizer {
    let authorizer = load(policies);
    authorizer.serve_from(NOW_MS - 1000);
    authorizer
}

fn reloaded(policies: &str, previous: &Authorizer) -> Authorizer {
    let authorizer = Authorizer::load(&vocabulary(), &source(policies), 1 << 20, Some(previous)).unwrap();
    authorizer.serve_from(NOW_MS + 1000);
    authorizer
}

fn at(time_ms: i64) -> RequestFacts<'static> {
    RequestFacts { time_ms, ..facts() }
}

fn decide(authorizer: &Authorizer, intent: &Intent, times: usize) {
    for _ in 0..times {
        let _ = authorizer.authorize(&alice(), intent, &facts());
    }
}

fn listed(authorizer: &Authorizer, id: &str) -> ListedPolicy {
    authorizer.listed_policy(id).unwrap().0
}

/// What was hit, and how often.
fn hit(authorizer: &Authorizer) -> Vec<(String, u64)> {
    let all = authorizer.page(&Filter::default(), None, usize::MAX).policies;
    all.into_iter().map(|policy| (policy.note.id, policy.hits.unwrap())).filter(|(_, hits)| *hits > 0).collect()
}

/// What is scraped of the hits.
fn scraped(authorizer: &Arc<Authorizer>) -> Vec<String> {
    struct Shown(Arc<Authorizer>);
    impl fmt::Debug for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Shown")
        }
    }
    impl Collector for Shown {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            self.0.encode_hits(encoder)
        }
    }
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Shown(Arc::clone(authorizer))));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn a_decision_counts_for_the_policies_that_determined_it_cached_or_not() {
    let priority = with_field(intent("jobs.submit", &[("Workspace", "stage")]), "priority", FieldValue::Long(1));
    let cases: [(Intent, &[&str]); 9] = [
        (query(&["stage/churn"]), &["query"]),
        (query(&["stage/sales"]), &["query", "sales"]),
        (query(&["stage/sales", "stage/churn"]), &["query", "sales"]),
        // the permits that held did not determine it
        (query(&["stage/closed"]), &["closed"]),
        (query(&["stage/sales", "stage/closed"]), &["closed"]),
        (query(&["stage/vault"]), &["vault"]),
        // no policy did
        (intent("jobs.run_now", &[("Job", "stage/1")]), &[]),
        // a policy that failed did not, and is asked anew each time
        (priority, &[]),
        // never kept
        (intent("jobs.get", &[("Job", "stage/1")]), &["late"]),
    ];
    for (intent, determining) in cases {
        let authorizer = served(POLICIES);
        decide(&authorizer, &intent, 3);
        let want: Vec<(String, u64)> = {
            let mut ids: Vec<_> = determining.iter().map(|id| ((*id).to_owned(), 3)).collect();
            ids.sort();
            ids
        };
        assert_eq!(hit(&authorizer), want, "{} {:?}", intent.action.name, intent.resources);
    }
}

#[test]
fn only_what_is_served_counts() {
    let tried = load(POLICIES);
    decide(&tried, &query(&["stage/sales"]), 2);
    assert_eq!(listed(&tried, "query").hits, None);
    let authorizer = served(POLICIES);
    for _ in 0..2 {
        let _ = authorizer.explain(&alice(), &query(&["stage/sales"]), &facts());
        // asked about, and not made; the second time the decision is known
        assert!(authorizer.judge(&alice(), &query(&["stage/sales"]), &facts()).is_allowed());
    }
    assert_eq!(hit(&authorizer), []);
    // a candidate that was loaded from what is served shares its counters, and must not move them
    let candidate = Authorizer::load(&vocabulary(), &source(POLICIES), 1 << 20, Some(&authorizer)).unwrap();
    decide(&candidate, &query(&["stage/sales"]), 2);
    assert_eq!(hit(&authorizer), []);
    decide(&authorizer, &query(&["stage/churn"]), 1);
    assert_eq!(hit(&authorizer), [("query".to_owned(), 1)]);
    // nor does it tell them as its own
    let tried = listed(&candidate, "query");
    assert_eq!((tried.hits, tried.last_hit, tried.since), (None, None, None));
}

#[test]
fn no_hit_is_lost_or_counted_twice_while_sets_are_published() {
    const CALLS: u64 = 1000;
    let current = ArcSwap::from_pointee(served(POLICIES));
    let deciding = AtomicUsize::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..CALLS {
                    let endpoint = ["stage/churn", "stage/closed"][usize::from(number % 4 == 0)];
                    let _ = current.load_full().authorize(&alice(), &query(&[endpoint]), &facts());
                }
                deciding.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while deciding.load(Ordering::Relaxed) > 0 {
            current.store(Arc::new(reloaded(POLICIES, &current.load_full())));
        }
    });
    assert_eq!(hit(&current.load()), [("closed".to_owned(), CALLS), ("query".to_owned(), 3 * CALLS)]);
}

#[test]
fn counts_go_on_with_the_id_and_effect_and_end_with_the_policy() {
    let first = served(POLICIES);
    decide(&first, &query(&["stage/sales"]), 2);
    decide(&first, &query(&["stage/closed"]), 1);
    let text = POLICIES.replace(r#"@owner("ml-platform") permit"#, "permit");
    let changed = text.replace(r#"@id("closed") @reason("under audit") forbid"#, r#"@id("closed") permit"#);
    let second = reloaded(&changed, &first);
    assert_eq!(hit(&second), [("query".to_owned(), 2), ("sales".to_owned(), 2)]);
    assert_eq!(listed(&second, "query").since.unwrap(), "2025-12-31T23:59:59Z", "it is served since the first set was");
    assert_eq!(listed(&second, "closed").since.unwrap(), "2026-01-01T00:00:01Z");
    // a call that began before the reload ends after it
    decide(&first, &query(&["stage/sales"]), 1);
    decide(&second, &query(&["stage/sales"]), 1);
    assert_eq!(hit(&second), [("query".to_owned(), 4), ("sales".to_owned(), 4)]);
    let without = reloaded(r#"@id("sales") permit (principal, action, resource);"#, &second);
    assert_eq!(hit(&without), [("sales".to_owned(), 4)]);
    let back = reloaded(POLICIES, &without);
    assert_eq!(hit(&back), [("sales".to_owned(), 4)]);
}

#[test]
fn the_last_hit_is_the_latest() {
    let authorizer = served(POLICIES);
    assert_eq!((listed(&authorizer, "query").last_hit, listed(&authorizer, "query").hits), (None, Some(0)));
    for time_ms in [NOW_MS + 5000, NOW_MS + 2000] {
        authorizer.authorize(&alice(), &query(&["stage/churn"]), &at(time_ms)).unwrap();
    }
    assert_eq!(listed(&authorizer, "query").last_hit.unwrap(), "2026-01-01T00:00:05Z");
}

#[test]
fn only_policies_that_were_hit_have_a_series() {
    let authorizer = Arc::new(served(POLICIES));
    assert_eq!(scraped(&authorizer), [""; 0]);
    decide(&authorizer, &query(&["stage/sales"]), 2);
    decide(&authorizer, &query(&["stage/closed"]), 1);
    let mut lines = scraped(&authorizer);
    lines.sort();
    let line = |policy: &str, effect: &str, hits: u64| format!("lakegate_policy_hits_total{{policy=\"{policy}\",effect=\"{effect}\"}} {hits}");
    assert_eq!(lines, [line("closed", "forbid", 1), line("query", "permit", 2), line("sales", "permit", 2)]);
}

#[test]
fn places_are_bounded_kept_and_given_back() {
    let board = Arc::new(Board::default());
    let mut listed: Vec<_> = (0..LISTED_MOST).map(|_| Hits::new(&board)).collect();
    let unlisted = Hits::new(&board);
    for hits in listed.iter().chain([&unlisted, &unlisted, &listed[0]]) {
        hits.add(NOW_MS);
    }
    assert_eq!(board.unlisted.get(), 2);
    assert_eq!((unlisted.count(), listed[0].count()), (2, 2));
    // one place is free again: it is for a policy that was not hit before, since a series that began with old hits would look like a jump
    listed.pop();
    let next = Hits::new(&board);
    next.add(NOW_MS);
    unlisted.add(NOW_MS);
    assert_eq!(board.unlisted.get(), 3);
    drop((next, unlisted));
    assert_eq!(listed.len(), LISTED_MOST - 1);
}

fn ids(page: &Page) -> Vec<&str> {
    page.policies.iter().map(|policy| policy.note.id.as_str()).collect()
}

#[test]
fn policies_are_listed_by_id_a_page_at_a_time() {
    let authorizer = served(POLICIES);
    decide(&authorizer, &query(&["stage/sales"]), 1);
    let page = |filter: Filter, after: Option<&str>, limit| authorizer.page(&filter, after, limit);
    let all = page(Filter::default(), None, 10);
    assert_eq!((ids(&all), &all.next), (vec!["breaks", "closed", "late", "query", "sales", "vault"], &None));
    let first = page(Filter::default(), None, 4);
    assert_eq!((ids(&first), first.next.as_deref()), (vec!["breaks", "closed", "late", "query"], Some("query")));
    let second = page(Filter::default(), Some("query"), 4);
    assert_eq!((ids(&second), &second.next), (vec!["sales", "vault"], &None));
    // the id after which a page begins may be gone by then
    assert_eq!(ids(&page(Filter::default(), Some("rest"), 4)), ["sales", "vault"]);
    assert_eq!(ids(&page(Filter { prefix: "s".to_owned(), ..Filter::default() }, None, 4)), ["sales"]);
    assert_eq!(ids(&page(Filter { prefix: "s".to_owned(), ..Filter::default() }, Some("sales"), 4)), [""; 0]);
    assert_eq!(ids(&page(Filter { effect: Some(Effect::Forbid), ..Filter::default() }, None, 4)), ["closed", "vault"]);
    let unused = page(Filter { unused: true, ..Filter::default() }, None, 3);
    assert_eq!((ids(&unused), unused.next.as_deref()), (vec!["breaks", "closed", "late"], Some("late")));
    assert_eq!(ids(&page(Filter { unused: true, ..Filter::default() }, unused.next.as_deref(), 3)), ["vault"]);
}

#[test]
fn what_became_of_policies_is_told() {
    let before = load(POLICIES);
    let after = POLICIES.replace(r#"@id("sales") permit"#, r#"@id("sold") permit"#).replace("under audit", "under review");
    // neither a comment nor where it stands is a change
    let after = reloaded(&format!("// all of it\n{}", after.replace("@id(\"query\")", "@id(\"query\") // whom it is for\n")), &before);
    let names = |count, first: &[&str]| Names { count, first: first.iter().map(|id| (*id).to_owned()).collect() };
    let difference = after.difference(&before);
    assert_eq!(difference, Difference { added: names(1, &["sold"]), removed: names(1, &["sales"]), changed: names(1, &["closed"]) });
    assert_eq!(after.difference(&after), Difference::default());
    let many: Vec<String> = (0..30).map(|number| format!("@id(\"p{number:02}\") permit (principal, action, resource);")).collect();
    let all = load(&many.join("\n")).difference(&before).added;
    assert_eq!((all.count, all.first.len(), all.first[19].as_str()), (30, 20, "p19"));
}

#[test]
fn a_policy_is_idle_where_it_was_served_and_not_hit() {
    let authorizer = served(POLICIES);
    let idle = |since_ms| {
        let page = authorizer.page(&Filter { idle_since_ms: Some(since_ms), ..Filter::default() }, None, 10);
        ids(&page).join(" ")
    };
    decide(&authorizer, &query(&["stage/churn"]), 1);
    // served since a second before the call
    assert_eq!(idle(NOW_MS - 1000), "", "too young to say");
    assert_eq!(idle(NOW_MS - 999), "breaks closed late sales vault");
    assert_eq!(idle(NOW_MS + 1), "breaks closed late query sales vault");
}

#[test]
fn a_listed_policy_says_what_it_is() {
    let (policy, text) = served(POLICIES).listed_policy("query").unwrap();
    assert_eq!(
        [policy.principal.as_str(), &policy.action, &policy.resource],
        [r#"principal in Group::"corp/ml-engineers""#, r#"action == Action::"serving_endpoints.query""#, "resource"]
    );
    assert_eq!((policy.note.effect, policy.note.owner.as_deref(), policy.note.line), ("permit", Some("ml-platform"), 2));
    assert!(text.unwrap().starts_with("@id(\"query\")"));
    assert!(load(POLICIES).listed_policy("quer").is_none());
}
