//! What is faster must say the same: indexed as linear, cached as uncached.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use cedar_policy::PolicySet;
use cedar_policy_core::ast;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::world::{NOW_MS, alice, caller, claims, facts, intent, load, seal, source, summary, token, vocabulary, with_field};
use crate::{
    authz::{Authorizer, Source, cache::Candidates, covers, footprint::Footprint, node::Question},
    model::{Action, Caller, Field, FieldValue, Intent, Level, RequestFacts},
};

fn principal_scope() -> impl Strategy<Value = &'static str> {
    select(vec![
        "principal",
        "principal is User",
        "principal is Workload",
        r#"principal == User::"corp/alice""#,
        r#"principal in Group::"corp/a""#,
        r#"principal in Group::"corp/b""#,
        r#"principal in Role::"corp/r""#,
        r#"principal is User in Group::"corp/a""#,
        r#"principal in Namespace::"cluster.local/x""#,
        r#"principal in Issuer::"corp""#,
    ])
}

fn action_scope() -> impl Strategy<Value = &'static str> {
    select(vec![
        "action",
        r#"action == Action::"jobs.run_now""#,
        r#"action in Action::"read""#,
        r#"action in [Action::"use", Action::"jobs"]"#,
        r#"action in [Action::"manage", Action::"jobs.submit"]"#,
        r#"action in Action::"jobs""#,
    ])
}

fn resource_scope() -> impl Strategy<Value = &'static str> {
    select(vec![
        "resource",
        "resource is Job",
        r#"resource == Job::"stage/1""#,
        r#"resource == Job::"stage/2""#,
        r#"resource in Workspace::"stage""#,
        r#"resource in Environment::"staging""#,
        r#"resource in Environment::"prod""#,
        r#"resource is Job in Workspace::"stage""#,
        r#"resource in Collection::"pii""#,
    ])
}

fn condition() -> impl Strategy<Value = &'static str> {
    select(vec![
        "true",
        r#"context.peer in Namespace::"cluster.local/x""#,
        r#"context.request.method == "GET""#,
        r#"context.request.path == "/a""#,
        r#"context.request has source_ip && context.request.source_ip == ip("10.0.0.1")"#,
        r#"context.request.time > datetime("2026-01-01T00:00:05Z")"#,
        r#"context has token && context.token.expires.durationSince(context.request.time) > duration("1h")"#,
        r#"context has token && context.token.expires > datetime("2026-01-01T01:00:00Z")"#,
        r#"context has token && context.token.scopes.contains("s")"#,
        r#"context has actor && context.actor == "corp/agent""#,
        r#"context has purpose && context.purpose == "audit""#,
        r#"context has token && context.token.claims has repository && context.token.claims.repository == "acme/app""#,
        r#"context has token.claims.teams && context.token.claims.teams.containsAny(["blue", "red"])"#,
        "context has token && context.token.claims has tier && context.token.claims.tier > 2",
        "context has token.claims.trusted && context.token.claims.trusted",
        "context has token && context.token == context.token && context.token.claims has tier",
        // fails where the path is not the empty one, so that errors take part too
        r#"context.request.path == "" || 9223372036854775807 + 1 == 0"#,
    ])
}

prop_compose! {
    pub(super) fn policies()(parts in vec((any::<bool>(), principal_scope(), action_scope(), resource_scope(), condition(), any::<bool>()), 1..12)) -> String {
        parts.iter().enumerate().map(|(number, (permit, principal, action, resource, condition, hide))| {
            let effect = if *permit { "permit" } else { "forbid" };
            let hide = if *hide && !permit { "@hide " } else { "" };
            format!("@id(\"p{number}\") {hide}{effect} ({principal}, {action}, {resource}) when {{ {condition} }};\n")
        }).collect::<Vec<_>>().concat()
    }
}

/// Some of the attributes that the world declares.
fn attributes() -> impl Strategy<Value = Vec<Field>> {
    let texts = |texts: Vec<&str>| FieldValue::Texts(texts.into_iter().map(str::to_owned).collect());
    let fields = (
        option::of(select(vec!["acme/app", "acme/other", ""]).prop_map(|text| FieldValue::Text(text.to_owned()))),
        option::of(select(vec![vec![], vec!["red"], vec!["blue", "green"]]).prop_map(texts)),
        option::of(select(vec![1_i64, 3]).prop_map(FieldValue::Long)),
        option::of(any::<bool>().prop_map(FieldValue::Bool)),
    );
    fields.prop_map(|(repository, teams, tier, trusted)| {
        let named = [("repository", repository), ("teams", teams), ("tier", tier), ("trusted", trusted)];
        named.into_iter().filter_map(|(name, value)| Some(Field { name: name.into(), value: value? })).collect()
    })
}

prop_compose! {
    pub(super) fn callers()(
        subject in option::of(select(vec!["alice", "bob"])),
        groups in select(vec![vec![], vec!["a"], vec!["a", "b"], vec!["b"]]),
        role: bool, scope: bool, actor: bool,
        (claims, purpose) in (attributes(), option::of(select(vec!["audit", "fraud"]))),
        expires in select(vec![0_i64, 3600, 3601, 7200]),
        peer in select(vec![None, Some("x/one"), Some("y/two")]),
    ) -> Caller {
        let subject = subject.or(peer.is_none().then_some("carol"));
        caller(subject.map(|subject| {
            let mut token = token(subject, &groups);
            token.roles.extend(role.then(|| "r".to_owned()));
            token.scopes.extend(scope.then(|| "s".to_owned()));
            token.actors.extend(actor.then(|| "agent".to_owned()));
            token.claims = claims;
            token.purpose = purpose.map(str::to_owned);
            token.expires_at = NOW_MS / 1000 + expires;
            seal(&mut token);
            token
        }), peer)
    }
}

pub(super) fn intents() -> impl Strategy<Value = Intent> {
    prop_oneof![
        select(vec![vec!["stage/1"], vec!["stage/2"], vec!["stage/1", "stage/2"], vec!["stage/3"]]).prop_map(|ids| {
            let ids: Vec<(&str, &str)> = ids.into_iter().map(|id| ("Job", id)).collect();
            intent("jobs.run_now", &ids)
        }),
        Just(intent("jobs.get", &[("Job", "stage/1")])),
        select(vec!["", "me"]).prop_map(|who| with_field(
            intent("jobs.submit", &[("Workspace", "stage")]),
            "run_as",
            FieldValue::Text(who.to_owned())
        )),
    ]
}

pub(super) fn moments() -> impl Strategy<Value = RequestFacts<'static>> {
    (select(vec!["GET", "POST"]), select(vec!["", "/a", "/b"]), select(vec![None, Some(1_u8), Some(2)]), 0..10_000_i64).prop_map(
        |(method, path, ip, later)| RequestFacts {
            method,
            path,
            source_ip: ip.map(|last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))),
            time_ms: NOW_MS + later,
        },
    )
}

/// The decision over all policies, from scratch.
fn linear(authorizer: &Authorizer, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Result<Vec<String>, (&'static str, Vec<String>)> {
    let question = Question::new(caller, intent, &authorizer.engine.inventory).unwrap();
    let mut set = ast::PolicySet::new();
    authorizer.policies.iter().for_each(|placed| set.add(placed.compiled.policy.clone()).unwrap());
    let all = Candidates {
        numbers: (0..u32::try_from(authorizer.policy_count()).unwrap()).collect(),
        set: Some(PolicySet::from(set)),
        footprint: Footprint::default(),
        edges: Vec::new(),
        literals: Vec::new(),
        digest: [0; 32],
    };
    summary(authorizer.decide(&question, &all, caller, intent, facts).result(&intent.target))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn indexed_and_cached_as_linear(policies in policies(), asked in vec((callers(), intents(), moments()), 1..16)) {
        let authorizer = load(&policies);
        // forwards and backwards: the second time from the cache, at another time and from another place
        for (caller, intent, facts) in asked.iter().chain(asked.iter().rev()) {
            let got = summary(authorizer.authorize(caller, intent, facts));
            prop_assert_eq!(got, linear(&authorizer, caller, intent, facts), "{}", policies);
        }
        for ((caller, intent, _), (_, _, facts)) in asked.iter().zip(asked.iter().rev()) {
            let got = summary(authorizer.authorize(caller, intent, facts));
            prop_assert_eq!(got, linear(&authorizer, caller, intent, facts), "{}", policies);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_scope_covers_what_the_engine_says(
        principal in principal_scope(), action in action_scope(), resource in resource_scope(), caller in callers(), intent in intents()
    ) {
        let authorizer = load(&format!("@id(\"p\") permit ({principal}, {action}, {resource});"));
        let question = Question::new(&caller, &intent, &authorizer.engine.inventory).unwrap();
        let covered = question.resources.iter().all(|resource| covers(&authorizer.policies[0].compiled, &question, resource));
        prop_assert_eq!(covered, authorizer.authorize(&caller, &intent, &facts()).is_ok());
    }
}

prop_compose! {
    /// A set and others that have some of its policies, in any order, one of them given to somebody by a file of access.
    fn sets()(
        policies in policies(),
        kept in vec((vec(any::<bool>(), 12), any::<bool>(), select(vec!["[]", PII]), select(vec!["a", "b"])), 1..5),
    ) -> Vec<Source> {
        let lines: Vec<&str> = policies.lines().collect();
        let role = r#"@id("role") permit (principal in ?principal, action, resource);"#;
        kept.into_iter().map(|(kept, backwards, inventory, group)| {
            let mut lines: Vec<&str> = lines.iter().zip(kept).filter(|(_, kept)| *kept).map(|(line, _)| *line).collect();
            if backwards {
                lines.reverse();
            }
            let access = format!("- role: role\n  id: mine\n  to: {{ Group: corp/{group} }}\n");
            Source {
                claims: claims(),
                files: vec![("base.cedar".into(), format!("{role}\n{}", lines.join("\n")))],
                inventory: Some(("entities.json".into(), inventory.to_owned())),
                access: vec![("team.yaml".into(), access)],
                ..Source::default()
            }
        }).collect()
    }
}

const PII: &str = r#"[{"type": "Collection", "id": "pii"}, {"type": "Job", "id": "stage/1", "parents": [{"type": "Collection", "id": "pii"}]}]"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_outlasts_a_reload_is_what_the_new_set_decides(sets in sets(), asked in vec((callers(), intents(), moments()), 1..12)) {
        let vocabulary = vocabulary();
        let load = |source: &Source, previous: Option<&Authorizer>| {
            Authorizer::load(&vocabulary, source, 1 << 20, previous).unwrap_or_else(|faults| panic!("{faults:?}"))
        };
        let mut previous: Option<Authorizer> = None;
        for source in &sets {
            let authorizer = load(source, previous.as_ref());
            let fresh = load(source, None);
            for (caller, intent, facts) in &asked {
                prop_assert_eq!(summary(authorizer.authorize(caller, intent, facts)), summary(fresh.authorize(caller, intent, facts)), "{:?}", source);
            }
            previous = Some(authorizer);
        }
    }
}

#[test]
fn a_reload_decides_nothing_anew_that_it_did_not_touch() {
    let vocabulary = vocabulary();
    let other = |text: &str| format!("@id(\"p\") permit (principal, action, resource in Workspace::\"stage\");\n{text}");
    let load = |text: &str, inventory: &str, previous: Option<&Authorizer>| {
        let source = Source { inventory: Some(("entities.json".into(), inventory.to_owned())), ..source(text) };
        Authorizer::load(&vocabulary, &source, 1 << 20, previous).unwrap_or_else(|faults| panic!("{faults:?}"))
    };
    let first = load(&other(""), "[]", None);
    let decided = |authorizer: &Authorizer| {
        let before = authorizer.metrics.decided.get();
        assert!(authorizer.authorize(&alice(), &intent("jobs.get", &[("Job", "stage/1")]), &facts()).is_ok());
        authorizer.metrics.decided.get() - before
    };
    assert_eq!(decided(&first), 1);
    let elsewhere = "@id(\"q\") permit (principal, action, resource in Workspace::\"prod\");";
    let second = load(&other(elsewhere), "[]", Some(&first));
    assert_eq!(decided(&second), 0, "what was added has no part in it");
    second.serve_from(1);
    assert_eq!((decided(&second), second.hits[0].count(), second.hits[1].count()), (0, 1, 0), "it counts for the policy");
    assert_eq!(decided(&load(&other("@id(\"r\") permit (principal, action, resource is Job);"), "[]", Some(&second))), 1, "this could apply");
    assert_eq!(decided(&load(&other(elsewhere), PII, Some(&second))), 1, "another inventory");
    let gone = load(elsewhere, "[]", Some(&second));
    let back = load(&other(elsewhere), "[]", Some(&gone));
    back.serve_from(1);
    assert_eq!((decided(&back), back.hits[0].count()), (0, 1), "a policy that comes back begins to count anew");
    assert_eq!(second.hits[0].count(), 1);
}

#[test]
fn what_outlasts_a_reload_ends_when_time_changes_it() {
    let vocabulary = vocabulary();
    let text =
        r#"@id("p") permit (principal, action, resource in Workspace::"stage") when { context.request.time < datetime("2026-01-01T00:00:05Z") };"#;
    let elsewhere = format!("{text}\n@id(\"q\") permit (principal, action, resource in Workspace::\"prod\");");
    let load = |text: &str, previous: Option<&Authorizer>| {
        Authorizer::load(&vocabulary, &source(text), 1 << 20, previous).unwrap_or_else(|faults| panic!("{faults:?}"))
    };
    let allowed = |authorizer: &Authorizer, later: i64| {
        let facts = RequestFacts { time_ms: NOW_MS + later, ..facts() };
        authorizer.authorize(&alice(), &intent("jobs.get", &[("Job", "stage/1")]), &facts).is_ok()
    };
    let first = load(text, None);
    assert!(allowed(&first, 4_999));
    let second = load(&elsewhere, Some(&first));
    assert_eq!((allowed(&second, 5_000), allowed(&second, 4_999)), (false, true));
}

/// Every way to compare the time of the request that is understood, with edges about `NOW_MS`, and one that is not.
fn clock_condition() -> impl Strategy<Value = &'static str> {
    select(vec![
        r#"context.request.time < datetime("2026-01-01")"#,
        r#"context.request.time <= datetime("2026-01-01T00:00:05Z")"#,
        r#"context.request.time > datetime("2026-01-01T00:00:05.250Z")"#,
        r#"datetime("2026-01-01T01:00:05+0100") >= context.request.time"#,
        r#"context.request.time == datetime("2025-12-31T23:00:05-0100")"#,
        r#"context.request.time != datetime("2026-01-01T00:00:05Z")"#,
        r#"context.request.time.offset(duration("-1h5s")) < datetime("2025-12-31T23:00:00Z")"#,
        r#"context.request.time < datetime("2025-12-31").offset(duration("1d5s"))"#,
        r#"context has token && context.token has auth_time && context.request.time.durationSince(context.token.auth_time) < duration("8h")"#,
        r#"context has token && context.token has auth_time && duration("7h59m60s") <= context.request.time.durationSince(context.token.auth_time)"#,
        r#"context has token && context.token has auth_time && context.token.auth_time.offset(duration("8h5s")) > context.request.time"#,
        r#"context has token && context.token.expires.durationSince(context.request.time) > duration("1h")"#,
        "context has token && context.token.expires.durationSince(context.request.time).toHours() == 1",
        r#"context.request.time.durationSince(datetime("2026-01-01")).toSeconds() <= 4"#,
        r#"context.request.time.durationSince(datetime("2026-01-01T00:00:10Z")).toSeconds() > -5"#,
        r#"context.request.time.durationSince(datetime("2026-01-01")).toMinutes() == 0"#,
        r#"context.request.time.toTime() >= duration("5s")"#,
        r#"context.request.time.toTime() < duration("24h") && context.request.time.toTime() >= duration("23h59m55s")"#,
        r#"context.request.time.offset(duration("-8h")).toTime() < duration("16h5s")"#,
        r#"context.request.time.toDate() == datetime("2026-01-01")"#,
    ])
}

/// About the edges of those, and days away.
fn clocks() -> impl Strategy<Value = i64> {
    let about = select(vec![-86_400_000_i64, -65_000, -5_000, 0, 250, 4_000, 5_000, 5_250, 60_000, 3_600_000, 86_400_000]);
    (about, -2..=2_i64).prop_map(|(about, near)| NOW_MS + about + near)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_decision_is_kept_no_longer_than_until_it_could_change(
        one in clock_condition(), other in clock_condition(), authenticated in option::of(select(vec![-8 * 3600_i64, -3600, 0])), times in vec(clocks(), 2..24)
    ) {
        let authorizer = load(&format!(
            "@id(\"one\") permit (principal, action, resource) when {{ {one} }};\n@id(\"other\") forbid (principal, action, resource) when {{ {other} }};\n"
        ));
        let mut token = token("alice", &[]);
        token.auth_time = authenticated.map(|since| NOW_MS / 1000 + since);
        seal(&mut token);
        let caller = caller(Some(token), None);
        let intent = intent("jobs.get", &[("Job", "stage/1")]);
        for time_ms in times {
            let facts = RequestFacts { time_ms, ..facts() };
            let got = summary(authorizer.authorize(&caller, &intent, &facts));
            prop_assert_eq!(got, linear(&authorizer, &caller, &intent, &facts), "{} | {} at {}", one, other, time_ms - NOW_MS);
        }
    }
}

#[test]
fn what_a_key_leaves_out_would_be_served_to_others() {
    let authorizer = load(r#"@id("p") permit (principal, action in Action::"use", resource in Environment::"staging");"#);
    let allowed = intent("jobs.run_now", &[("Job", "stage/1")]);
    let mut moved = allowed.clone();
    moved.resources[0].ancestors.pop();
    let mut raised = allowed.clone();
    raised.action = Arc::new(Action { level: Level::Admin, ..(*allowed.action).clone() });
    let mut more = allowed.clone();
    more.resources.push(moved.resources[0].clone());
    let who = alice();
    assert!(authorizer.authorize(&who, &allowed, &facts()).is_ok());
    for denied in [moved, raised, more] {
        assert!(authorizer.authorize(&who, &denied, &facts()).is_err(), "{:?} {:?}", denied.action, denied.resources);
    }
}

#[test]
fn what_is_cached_is_counted() {
    let cases = [
        ("true", (1, 1, 0)),
        (r#"context.request.method == "POST""#, (1, 1, 0)),
        (r#"context.request.time > datetime("2026-01-01")"#, (1, 1, 0)),
        (r#"context.request.time.toDate() == datetime("2026-01-01")"#, (0, 0, 2)),
        (r#"context.request.time > datetime("2026-01-01") && context.request.time == context.request.time"#, (0, 0, 2)),
        (r#"[context.request].contains(context.request) && context.request.time > datetime("2026-01-01")"#, (0, 0, 2)),
        (r#"context.request.path == "" || 9223372036854775807 + 1 == 0"#, (0, 0, 2)),
    ];
    for (condition, want) in cases {
        let source = source(&format!("@id(\"p\") permit (principal, action, resource) when {{ {condition} }};"));
        let authorizer = Authorizer::load(&vocabulary(), &source, 1 << 20, None).unwrap_or_else(|faults| panic!("{faults:?}"));
        for _ in 0..2 {
            let _ = authorizer.authorize(&alice(), &intent("jobs.get", &[("Job", "stage/1")]), &facts());
        }
        let metrics = &authorizer.metrics;
        assert_eq!((metrics.cached.get(), metrics.decided.get(), metrics.uncacheable.get()), want, "{condition}");
    }
}

/// How many policies there are is told by whoever serves them: a set that was only loaded, and perhaps refused, is none.
#[test]
fn lookups_are_told_by_their_result() {
    let source = source(r#"@id("p") permit (principal, action, resource);"#);
    let authorizer = Authorizer::load(&vocabulary(), &source, 1 << 20, None).unwrap_or_else(|faults| panic!("{faults:?}"));
    for _ in 0..3 {
        let _ = authorizer.authorize(&alice(), &intent("jobs.get", &[("Job", "stage/1")]), &facts());
    }
    let mut registry = prometheus_client::registry::Registry::default();
    authorizer.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let lookups = |result: &str, count: u8| format!("lakegate_authz_cache_lookups_total{{result=\"{result}\"}} {count}");
    let unlisted = "lakegate_policy_hits_unlisted_total 0".to_owned();
    let want = [lookups("cached", 2), lookups("decided", 1), lookups("uncacheable", 0), unlisted];
    assert!(want.iter().all(|line| lines.contains(&line.as_str())) && lines.len() == want.len(), "{text}");
}
