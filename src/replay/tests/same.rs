//! A decision made again by the policies that made it is the same decision.

use proptest::{prelude::*, sample::subsequence, test_runner::TestRunner};
use serde_json::{Value, json};

use super::world::{Sent, World};
use crate::{audit::Recorded, replay::Replay};

const POLICIES: &str = r#"
@id("engineers") permit (principal in Group::"corp/eng", action in Action::"read", resource in Environment::"staging");
@id("leads") permit (principal in Role::"corp/lead", action, resource in Workspace::"prod") when { context has token && context.token has acr && context.token.acr == "gold" };
@id("fresh") permit (principal in Issuer::"corp", action in Action::"use", resource)
when { context has token && context.token has auth_time && context.request.time.durationSince(context.token.auth_time) < duration("8h") };
@id("scoped") permit (principal is ServicePrincipal, action, resource) when { context has token && context.token.scopes.contains("sql") };
@id("workloads") permit (principal in Namespace::"cluster.local/ml", action in Action::"use", resource);
@id("peers") permit (principal is User, action in Action::"manage", resource) when { context.peer in Namespace::"cluster.local/ml" };
@id("tables") permit (principal, action, resource in Schema::"stage/main.ml");
@id("paths") permit (principal, action, resource in WorkspacePath::"stage//Users/a");
@id("account") permit (principal in Group::"corp/ops", action, resource in Account::"stage");
@id("service") permit (principal, action, resource in Service::"stage") when { context.request.method == "POST" };
@id("main") permit (principal, action in Action::"read", resource) when { context has token.claims.branch && context.token.claims.branch == "main" };
@id("labelled") forbid (principal, action, resource) when { context has token && context.token.claims has labels && context.token.claims.labels.isEmpty() };
@id("fraud") forbid (principal, action, resource) when { context has purpose && context.purpose == "fraud" };
@id("small") permit (principal, action == Action::"clusters.create", resource) when { context.request has num_workers && context.request.num_workers < 5 };
@id("scripts") forbid (principal, action == Action::"clusters.create", resource)
when { context.request has init_scripts && context.request.init_scripts.contains("/bad,script") };
@id("overflow") forbid (principal, action == Action::"clusters.create", resource) when { context.request has num_workers && context.request.num_workers * 4611686018427387904 > 0 };
@id("agents") @reason("agents may not") forbid (principal, action, resource) when { context has actor && context.actor == "corp/agent" };
@id("outside") @hide forbid (principal, action, resource) when { context.request has source_ip && !context.request.source_ip.isInRange(ip("10.0.0.0/8")) };
@id("app") forbid (principal, action, resource) when { context has token && context.token has client && context.token.client == "bad app" };
@id("ending") forbid (principal, action, resource) when { context has token && context.token.expires < context.request.time.offset(duration("1h")) };
@id("version") forbid (principal, action, resource) when { context.request.path like "/api/2.2/*" && context.request.method == "GET" };
@id("tagged") forbid (principal, action, resource) when { resource.hasTag("sealed") };
@id("night") forbid (principal is User, action in Action::"use", resource) when { context.request.time.toTime() > duration("22h") };
"#;

fn pick<T: Clone + std::fmt::Debug + 'static>(items: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(items)
}

fn maybe<T: std::fmt::Debug + Clone + 'static>(items: &'static [T]) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(pick(items))
}

fn rarely<T: std::fmt::Debug + Clone + 'static>(items: &'static [T]) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.15, pick(items))
}

/// Claims of a token; the moment at which its subject signed in is `ago` seconds away.
fn claims(now: i64) -> impl Strategy<Value = Value> {
    let names = (pick(&["alice", "b\"o'b", "zoë", "robot"]), maybe(&["app", "robot", "bad app"]), maybe(&["gold", "tin"]), rarely(&["agent", "a/b"]));
    let further = (maybe(&["main", "dev"]), proptest::option::of(subsequence(vec!["x", "y,z"], 0..=2)), maybe(&["audit", "fraud"]));
    let lists =
        (subsequence(vec!["eng", "ops", "/a/b", "x y", "é"], 0..=5), subsequence(vec!["lead", "dev"], 0..=2), subsequence(vec!["sql", "all"], 0..=2));
    (names, lists, maybe(&[60_i64, 20_000, 40_000]), rarely(&[1000_i64, 7200, 400_000]), maybe(&["s1"]), further).prop_map(
        move |((subject, client, acr, actor), (groups, roles, scopes), ago, left, session, (branch, labels, purpose))| {
            let mut claims =
                json!({ "sub": subject, "azp": client, "acr": acr, "groups": groups, "roles": roles, "scope": scopes.join(" "), "sid": session });
            claims["act"] = actor.map_or(Value::Null, |actor| json!({ "sub": actor, "act": { "sub": "first" } }));
            claims["auth_time"] = ago.map_or(Value::Null, |ago| json!(now - ago));
            claims["git"] = branch.map_or(Value::Null, |branch| json!({ "ref": branch }));
            claims["labels"] = labels.map_or(Value::Null, |labels| json!(labels));
            claims["purpose"] = json!(purpose);
            if let Some(left) = left {
                claims["exp"] = json!(now + 200_000 + left);
            }
            claims
        },
    )
}

fn call() -> impl Strategy<Value = (&'static str, &'static str, String, Option<Value>)> {
    let workspace = || pick(&["stage.example.com", "prod.example.com"]);
    let with = |method, path: &'static str| move |host| (method, host, path.to_owned(), None::<Value>);
    prop_oneof![
        workspace().prop_map(with("GET", "/api/2.2/jobs/list")),
        workspace().prop_map(with("GET", "/api/2.1/clusters/list?x=1")),
        (workspace(), pick(&["/no/such/call", "/.well-known/databricks-config"])).prop_map(|(host, path)| ("GET", host, path.to_owned(), None)),
        (workspace(), pick(&["main.ml.churn", "main.ml.sealed", "main.other.t", "Main.ML.Churn", "main..x"])).prop_map(|(host, table)| (
            "GET",
            host,
            format!("/api/2.1/unity-catalog/tables/{table}"),
            None
        )),
        (workspace(), pick(&["/Users/a/nb", "/Users/b/x%20y", "/Shared/%C3%A9", "relative"])).prop_map(|(host, path)| (
            "GET",
            host,
            format!("/api/2.0/workspace/get-status?path={path}"),
            None
        )),
        (workspace(), pick(&["sales", "s%20p", "q'\"q"])).prop_map(|(host, name)| (
            "POST",
            host,
            format!("/serving-endpoints/{}/invocations", name.replace('"', "%22")),
            Some(json!({}))
        )),
        (workspace(), 1..4_u32).prop_map(|(host, job)| ("POST", host, "/api/2.2/jobs/run-now".to_owned(), Some(json!({ "job_id": job })))),
        (workspace(), proptest::option::of(-3..9_i64), subsequence(vec!["/bad,script", "/bad", "script", "/é\n"], 0..=4)).prop_map(
            |(host, workers, scripts)| {
                let scripts: Vec<Value> = scripts.iter().map(|script| json!({ "workspace": { "destination": script } })).collect();
                let mut body = json!({ "init_scripts": scripts });
                if let Some(workers) = workers {
                    body["num_workers"] = json!(workers);
                }
                ("POST", host, "/api/2.1/clusters/create".to_owned(), Some(body))
            }
        ),
        Just(("GET", "accounts.example.com", "/api/2.0/accounts/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9/workspaces".to_owned(), None)),
        pick(&["GET", "POST"]).prop_map(|method| {
            let body = (method == "POST").then(|| json!({ "model": "m", "messages": [] }));
            (method, "models.example.com", if method == "POST" { "/v1/chat/completions" } else { "/v1/models" }.to_owned(), body)
        }),
        Just(("GET", "unknown.example.com", "/".to_owned(), None)),
    ]
}

fn sent(now: i64) -> impl Strategy<Value = (Sent, i64)> {
    let peer = maybe(&[
        "spiffe://cluster.local/ns/ml/sa/a",
        "spiffe://cluster.local/ns/ml/sa/b",
        "spiffe://cluster.local/ns/dev/sa/b",
        "spiffe://other.org/plain",
    ]);
    let source = maybe(&["10.1.2.3", "10.9.9.9", "10.255.0.1", "2001:db8::7", "::ffff:10.1.2.3"]);
    (call(), peer, source, proptest::option::weighted(0.9, claims(now)), prop_oneof![0..15_000_i64, 0..200_000_i64]).prop_map(
        |((method, host, path, body), peer, source, claims, later)| {
            (Sent { method, host, path, body, peer: peer.map(str::to_owned), source, claims }, later)
        },
    )
}

#[test]
fn the_same_policies_decide_the_same_again() {
    let world = World::new(
        POLICIES,
        &json!([
            { "type": "Table", "id": "stage/main.ml.sealed", "parents": [], "tags": { "sealed": "yes" } },
            { "type": "Group", "id": "corp/ops", "parents": [{ "type": "Group", "id": "corp/eng" }], "tags": {} },
        ]),
    );
    let snapshot = world.snapshot();
    let replay = Replay::new(&snapshot.authorizer, snapshot.classifier.catalog().vocabulary());
    let now = world.clock.now();
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    let mut runner = TestRunner::new(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() });
    let counts = std::cell::RefCell::new(&mut seen);
    let result = runner.run(&sent(now), |(sent, later)| {
        world.clock.shift(later * 1000);
        let record = world.records(std::slice::from_ref(&sent)).remove(0);
        let recorded: Recorded = serde_json::from_value(record.clone()).unwrap();
        match replay.decide(&recorded) {
            Ok(judgement) => {
                let decision = if judgement.is_allowed() { "allow" } else { "deny" };
                prop_assert_eq!(&record["decision"], decision, "{:#}", record);
                prop_assert_eq!(&record["reason"], judgement.code(), "{:#}", record);
                prop_assert_eq!(&record["policies"], &json!(judgement.policies), "{:#}", record);
                prop_assert_eq!(record["detail"].as_str().unwrap(), &*judgement.detail, "{:#}", record);
            }
            Err(why) => {
                prop_assert!(!why.was_decided(), "{:?} {:#}", why, record);
                prop_assert!(!["POLICY_NO_PERMIT", "POLICY_FORBIDS", "POLICY_ERROR", "POLICY_HIDES"].contains(&record["reason"].as_str().unwrap()));
                prop_assert!(record["decision"] != "allow", "{:#}", record);
            }
        }
        for word in [record["reason"].as_str().unwrap().to_owned()].into_iter().chain(recorded.policies) {
            *counts.borrow_mut().entry(word).or_default() += 1;
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    // generated calls meet every kind of decision
    for word in ["ALLOWED", "POLICY_NO_PERMIT", "POLICY_FORBIDS"] {
        assert!(seen.contains_key(word), "no `{word}` among {seen:?}");
    }
}
