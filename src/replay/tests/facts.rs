//! Every fact that policies can read is in the record, and each of them decides.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::world::{Sent, World};
use crate::{
    audit::Recorded,
    clock::Clock,
    replay::{Replay, Unreplayable},
};

/// One permit for a cluster, with a condition for whatever a policy can ask; and one for each kind of thing besides.
const POLICIES: &str = r#"
@id("all") permit (principal == ServicePrincipal::"corp/alice", action == Action::"clusters.edit", resource == Cluster::"stage/0101-abc")
when {
  principal in Group::"corp/eng" && principal in Role::"corp/lead" && principal in Issuer::"corp" && principal in Group::"corp/everybody" &&
  action in Action::"executes" && resource in Workspace::"stage" && resource in Environment::"staging" && resource in Collection::"guarded" &&
  resource.hasTag("owner") && resource.getTag("owner") == "risk" &&
  context.peer == Workload::"spiffe://cluster.local/ns/ml/sa/trainer" && context.peer in Namespace::"cluster.local/ml" &&
  context has actor && context.actor == "corp/agent" &&
  context has token && context.token.issuer == "corp" && context.token.scopes.contains("all") &&
  context.token has client && context.token.client == "app" && context.token has acr && context.token.acr == "gold" &&
  context.token.claims has branch && context.token.claims.branch == "main" && context.token.claims has checks && context.token.claims.checks > 2 &&
  context.token.claims has draft && !context.token.claims.draft && context.token.claims has labels && context.token.claims.labels.containsAll(["a", "b,c"]) &&
  context has purpose && context.purpose == "audit" &&
  context.token has auth_time && context.request.time.durationSince(context.token.auth_time) < duration("1h") &&
  context.token.expires.durationSince(datetime("1970-01-01")).toSeconds() == EXPIRES &&
  context.request.method == "POST" && context.request.path == "/api/2.1/clusters/edit" &&
  context.request has source_ip && context.request.source_ip == ip("10.1.2.3") &&
  context.request has num_workers && context.request.num_workers == 3 &&
  context.request has single_user_name && context.request.single_user_name == "alice" &&
  context.request has init_scripts && context.request.init_scripts.containsAll(["/a,b", "/c"])
};
@id("bool") permit (principal, action == Action::"global_init_scripts.create", resource) when { context.request has is_enabled && context.request.is_enabled };
@id("workload") permit (principal == Workload::"spiffe://cluster.local/ns/ml/sa/trainer", action, resource) when { !(context has token) && !(context has actor) };
@id("other") forbid (principal, action == Action::"clusters.list", resource);
"#;

/// When the token of the tests expires, in seconds since the epoch.
static EXPIRES: LazyLock<i64> = LazyLock::new(|| Clock::default().now() + 86_400);

fn world() -> World {
    World::new(
        &POLICIES.replace("EXPIRES", &EXPIRES.to_string()),
        &json!([
            { "type": "Cluster", "id": "stage/0101-abc", "parents": [{ "type": "Collection", "id": "guarded" }], "tags": { "owner": "risk" } },
            { "type": "Collection", "id": "guarded" },
            { "type": "Group", "id": "corp/eng", "parents": [{ "type": "Group", "id": "corp/everybody" }], "tags": {} },
        ]),
    )
}

fn claims(world: &World) -> Value {
    json!({
        "groups": ["eng", "b"], "roles": ["lead"], "scope": "all other", "azp": "app", "acr": "gold", "auth_time": world.clock.now() - 60,
        "exp": *EXPIRES, "act": { "sub": "agent" }, "sid": "s1", "gty": "client-credentials",
        "git": { "ref": "main" }, "checks": 3, "draft": false, "labels": ["b,c", "a"], "purpose": "audit",
    })
}

fn call(world: &World) -> Sent {
    Sent {
        method: "POST",
        host: "stage.example.com",
        path: "/api/2.1/clusters/edit".to_owned(),
        body: Some(json!({
            "cluster_id": "0101-abc", "num_workers": 3, "single_user_name": "alice",
            "init_scripts": [{ "workspace": { "destination": "/a,b" } }, { "volumes": { "destination": "/c" } }],
        })),
        peer: Some("spiffe://cluster.local/ns/ml/sa/trainer".to_owned()),
        source: Some("10.1.2.3"),
        claims: Some(claims(world)),
    }
}

fn decide(world: &World, record: &Value) -> Result<String, Unreplayable> {
    let snapshot = world.snapshot();
    let record: Recorded = serde_json::from_value(record.clone()).unwrap();
    let judgement = Replay::new(&snapshot.authorizer, snapshot.classifier.catalog().vocabulary()).decide(&record)?;
    Ok(format!("{} {}", judgement.code(), judgement.policies.join(",")))
}

#[test]
fn each_fact_of_the_record_decides() {
    let world = world();
    let record = world.records(&[call(&world)]).remove(0);
    assert_eq!((&record["decision"], &record["policies"]), (&json!("allow"), &json!(["all"])), "{record:#}");
    assert_eq!(decide(&world, &record), Ok("ALLOWED all".to_owned()));
    let cases: &[(&str, Value)] = &[
        ("/principal", json!("User::\"corp/alice\"")),
        ("/facts/token/groups", json!(["b"])),
        ("/facts/token/roles", json!([])),
        ("/facts/token/scopes", json!(["other"])),
        ("/facts/token/auth_time", json!(world.clock.now() - 86_400)),
        ("/facts/token/auth_time", Value::Null),
        ("/facts/token/acr", json!("tin")),
        ("/facts/token/expires_at", json!(*EXPIRES + 1)),
        ("/facts/token/claims", json!([])),
        ("/facts/token/claims/0/value", json!("dev")),
        ("/facts/token/claims/1/value", json!(2)),
        ("/facts/token/claims/1/name", json!("gone")),
        ("/facts/token/claims/2/value", json!(true)),
        ("/facts/token/claims/3/value", json!(["a", "b", "c"])),
        ("/purpose", json!("fraud")),
        ("/purpose", Value::Null),
        ("/user_identity/client", json!("other")),
        ("/actor/0", json!("other")),
        ("/actor", json!([])),
        ("/peer", json!("spiffe://cluster.local/ns/ml/sa/other")),
        ("/peer", json!("spiffe://other.org/ns/ml/sa/trainer")),
        ("/peer", Value::Null),
        ("/event_time", json!("2037-01-01T00:00:00.000Z")),
        ("/source_ip_address", json!("10.1.2.4")),
        ("/source_ip_address", Value::Null),
        ("/request_params/0/value", json!("PUT")),
        ("/request_params/2/value", json!("/api/2.0/clusters/edit")),
        ("/facts/fields/0/value", json!(4)),
        ("/facts/fields/1/value", json!("bob")),
        ("/facts/fields/2/value", json!(["/c"])),
        ("/facts/resources/0/id", json!("stage/0102-abc")),
        ("/facts/resources/0/ancestors/1/id", json!("prod")),
        ("/action", json!("clusters.start")),
    ];
    for (pointer, value) in cases {
        let mut changed = record.clone();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer} in {record:#}")) = value.clone();
        let got = decide(&world, &changed);
        // an action that does not have the fields is of another catalog
        assert!(matches!(got.as_deref(), Ok("POLICY_NO_PERMIT ") | Err(Unreplayable::OtherCatalog)), "{pointer}: {got:?}");
        assert!(got.is_ok() || *pointer == "/action", "{pointer}: {got:?}");
    }
}

/// A token that left its groups out did not have none.
#[test]
fn groups_that_were_elsewhere_are_so_again() {
    let world = world();
    let mut record = world.records(&[call(&world)]).remove(0);
    assert!(record["facts"]["token"].get("groups_elsewhere").is_none());
    record["facts"]["token"]["groups_elsewhere"] = json!(true);
    assert_eq!(decide(&world, &record), Ok("GROUPS_UNKNOWN ".to_owned()));
}

#[test]
fn a_record_that_is_not_whole_is_not_guessed_at() {
    let world = world();
    let mut long = call(&world);
    long.body = Some(json!({ "cluster_id": "0101-abc", "single_user_name": "x".repeat(2000) }));
    let mut secret = call(&world);
    secret.body = Some(json!({ "cluster_id": "0101-abc", "single_user_name": "dapi0123456789abcdef0123" }));
    let mut many = call(&world);
    let scripts: Vec<Value> = (0..2000).map(|number| json!({ "workspace": { "destination": format!("/{number}") } })).collect();
    many.body = Some(json!({ "cluster_id": "0101-abc", "init_scripts": scripts }));
    let deep = Sent { method: "GET", path: format!("/api/2.0/workspace/get-status?path=/{}", "a/".repeat(400) + "b"), body: None, ..call(&world) };
    let far = Sent { method: "PUT", path: format!("/api/2.0/fs/files/Volumes/a/b/c/{}", "x".repeat(1200)), body: None, ..call(&world) };
    let [mut secret_claim, mut long_claim, mut secret_purpose] = [call(&world), call(&world), call(&world)];
    let set = |sent: &mut Sent, name: &str, value: Value| sent.claims.as_mut().unwrap()[name] = value;
    set(&mut secret_claim, "git", json!({ "ref": "eyJhbGciOiJSUzI1NiJ9.e30.AAAA" }));
    set(&mut long_claim, "labels", (0..256).map(|number| format!("{number:0>36}")).collect());
    set(&mut secret_purpose, "purpose", json!("dapi0123456789abcdef0123"));
    let records = world.records(&[long, secret, many, deep, far, secret_claim, long_claim, secret_purpose]);
    let cuts = [&["fields"][..], &["fields"], &["fields"], &["resources"], &["resources", "path"], &["claims"], &["claims"], &["claims"]];
    for (record, cut) in records.iter().zip(cuts) {
        assert_eq!(record["facts"]["cut"], json!(cut), "{record:#}");
        assert_eq!(decide(&world, record), Err(Unreplayable::Cut));
        assert!(record.to_string().len() < 8192 && !record.to_string().contains("dapi0") && !record.to_string().contains("eyJhb"), "{record:#}");
    }
}

#[test]
fn a_record_that_is_broken_is_not_guessed_at() {
    let world = world();
    let record = world.records(&[call(&world)]).remove(0);
    let broken: &[(&str, Value, Unreplayable)] = &[
        ("/facts", Value::Null, Unreplayable::NoFacts),
        ("/facts/token", Value::Null, Unreplayable::Inconsistent),
        ("/user_identity", Value::Null, Unreplayable::Inconsistent),
        ("/user_identity/subject_name", json!("bob"), Unreplayable::Inconsistent),
        ("/user_identity/issuer", json!("not a name"), Unreplayable::Inconsistent),
        ("/principal", Value::Null, Unreplayable::Inconsistent),
        ("/peer", json!("trainer"), Unreplayable::Inconsistent),
        ("/event_time", json!("yesterday"), Unreplayable::Inconsistent),
        ("/source_ip_address", json!("here"), Unreplayable::Inconsistent),
        ("/request_params", json!([]), Unreplayable::Inconsistent),
        ("/workspace", json!("prod"), Unreplayable::Inconsistent),
        ("/facts/resources", json!([]), Unreplayable::Inconsistent),
        ("/facts/resources/0/type", json!("Nothing"), Unreplayable::OtherCatalog),
        ("/facts/fields/0/name", json!("nothing"), Unreplayable::OtherCatalog),
        ("/facts/fields/0/value", json!("3"), Unreplayable::OtherCatalog),
        ("/facts/token/claims/0/value", json!(["main"]), Unreplayable::OtherCatalog),
        ("/action", json!("clusters.nothing"), Unreplayable::OtherCatalog),
        ("/action", Value::Null, Unreplayable::OtherCatalog),
        ("/decision", json!("aborted"), Unreplayable::Aborted),
        ("/decision", json!("answer"), Unreplayable::Discovery),
        ("/decision", json!("perhaps"), Unreplayable::Inconsistent),
    ];
    for (pointer, value, want) in broken {
        let mut changed = record.clone();
        *changed.pointer_mut(pointer).unwrap() = value.clone();
        assert_eq!(decide(&world, &changed), Err(*want), "{pointer}");
    }
    let denied = world.records(&[Sent { path: "/api/2.1/clusters/list".to_owned(), method: "GET", body: None, ..call(&world) }]).remove(0);
    assert_eq!(decide(&world, &denied), Ok("POLICY_FORBIDS other".to_owned()));
    for (reason, stage, want) in [
        ("TOKEN_EXPIRED", "authn", Unreplayable::BeforePolicies),
        ("POLICY_FORBIDS", "classify", Unreplayable::BeforePolicies),
        ("CREDENTIAL_MISSING", "authz", Unreplayable::BeforePolicies),
        ("DEADLINE_EXCEEDED", "respond", Unreplayable::Fault),
        ("CREDENTIAL_UNAVAILABLE", "broker", Unreplayable::Fault),
        ("NO_SUCH_REASON", "authz", Unreplayable::Inconsistent),
    ] {
        let mut changed = denied.clone();
        (changed["reason"], changed["stage"]) = (json!(reason), json!(stage));
        assert_eq!(decide(&world, &changed), Err(want), "{reason}");
    }
}

/// The record holds what policies saw of a token, and nothing by which anybody could call.
#[test]
fn no_part_of_a_token_is_among_the_facts() {
    let world = world();
    let record = world.records(&[call(&world)]).remove(0);
    let token = record["facts"]["token"].as_object().unwrap();
    assert_eq!(token.keys().collect::<Vec<_>>(), ["groups", "roles", "scopes", "auth_time", "acr", "expires_at", "claims"]);
    assert!(!record.to_string().contains("eyJ"));
}
