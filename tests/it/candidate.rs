//! Policies on their way to be served: a candidate beside those that decide, shadow mode for single namespaces, and the replay of what was recorded.

use std::fs;

use lakegate_testkit::{World, envoy::Listener, issuer::TokenSpec, raw::Request, world::STAGE};
use serde_json::{Value, json};

use crate::asking::{CHURN, CLOSED, PATIENCE, SALES, metric, options, outcome, query, query_as, send, send_as, status_until, until, world};

/// Forbids what is permitted and permits what is forbidden, and of one endpoint says the same.
const CANDIDATE: &str = r#"
@id("new-all") permit (principal in Group::"corp/ml-engineers", action, resource);
@id("new-closed-sales") @reason("sales moves") forbid (principal, action == Action::"serving_endpoints.query", resource == ServingEndpoint::"stage/sales");
"#;

async fn world_with_candidate(text: &'static str) -> World {
    let world = world(options().configure(|config| config["policy"]["candidate"] = json!("candidate"))).await;
    write(&world, text);
    status_until(&world, |status| status["candidate"]["state"] == "compared").await;
    world
}

fn write(world: &World, text: &str) {
    let folder = world.folder().join("candidate");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("new.cedar.part"), text).unwrap();
    fs::rename(folder.join("new.cedar.part"), folder.join("new.cedar")).unwrap();
}

/// The record of a decision about `target` that comes after `known` others.
async fn record_of(world: &World, target: &str, decision: &str) -> Value {
    let of = |record: &Value| record["request_params"][2]["value"] == target && record["decision"] == decision && !record["facts"].is_null();
    let before = world.audit.records().unwrap().iter().filter(|record| of(record)).count();
    send(world, &query(world, target)).await;
    let enough = |_: &Value| world.audit.records().is_ok_and(|records| records.iter().filter(|record| of(record)).count() > before);
    world.audit.wait_for(PATIENCE, enough).await.unwrap();
    world.audit.records().unwrap().into_iter().rfind(of).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_compared_and_never_answers() {
    let world = world_with_candidate(CANDIDATE).await;
    assert_eq!(outcome(&send(&world, &query(&world, SALES)).await), (200, "OK".to_owned()));
    assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await), (403, "POLICY_FORBIDS".to_owned()));
    let denied = record_of(&world, SALES, "allow").await;
    assert_eq!(
        (&denied["reason"], &denied["policies"], &denied["response"]["status_code"]),
        (&json!("ALLOWED"), &json!(["ml-query-staging"]), &json!(0))
    );
    let said = json!({ "decision": "deny", "reason": "POLICY_FORBIDS", "detail": "sales moves (policy new-closed-sales)", "policies": ["new-closed-sales"] });
    assert_eq!(denied["candidate"], said);
    let allowed = record_of(&world, CLOSED, "deny").await;
    assert_eq!(allowed["candidate"], json!({ "decision": "allow", "reason": "ALLOWED", "detail": "", "policies": ["new-all"] }));
    assert_eq!(record_of(&world, CHURN, "allow").await["candidate"], Value::Null);
    // what policies were not asked about is not compared
    send(&world, &query(&world, "/no/such/call")).await;
    for (outcome, least) in [("would_deny", 2), ("would_allow", 2), ("same", 1)] {
        let count = metric(&world, &format!("lakegate_candidate_decisions_total{{outcome=\"{outcome}\"}}")).await.unwrap();
        assert_eq!(count, least, "{outcome}");
    }
    let status = status_until(&world, |_| true).await;
    assert_eq!((&status["candidate"]["policies"], &status["degraded"]), (&json!(2), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_cannot_be_loaded_changes_nothing() {
    let world = world_with_candidate(CANDIDATE).await;
    for (text, word) in [
        ("@id(\"x\") permit (principal, action, resource", "new.cedar"),
        ("@id(\"x\") permit (principal, action == Action::\"jobs.nothing\", resource);", "new.cedar"),
        ("", "new.cedar"),
    ] {
        write(&world, text);
        let status = status_until(&world, |status| status["candidate"]["state"] == "faulty").await;
        assert!(status["candidate"]["faults"].to_string().contains(word), "{status}");
        assert_eq!((&status["degraded"], &status["ready"], &status["policies"]), (&json!(false), &json!(true), &json!(4)), "{status}");
        assert_eq!(metric(&world, "lakegate_candidate_degraded").await, Some(1));
        assert_eq!(metric(&world, "lakegate_config_degraded").await, Some(0));
        assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await), (403, "POLICY_FORBIDS".to_owned()));
        assert_eq!(record_of(&world, SALES, "allow").await["candidate"], Value::Null);
        // and a change of the policies that decide is served all the same
        let generation = status["configuration"]["generation"].as_u64().unwrap();
        world.write_policy("more.cedar", "@id(\"more\") forbid (principal, action == Action::\"jobs.list\", resource);").unwrap();
        status_until(&world, |status| status["policies"] == 5 && status["configuration"]["generation"].as_u64().unwrap() > generation).await;
        fs::remove_file(world.folder().join("policies/more.cedar")).unwrap();
        status_until(&world, |status| status["policies"] == 4).await;
        write(&world, CANDIDATE);
        status_until(&world, |status| status["candidate"]["state"] == "compared").await;
    }
    fs::remove_dir_all(world.folder().join("candidate")).unwrap();
    status_until(&world, |status| status["candidate"]["state"] == "faulty").await;
    assert_eq!(outcome(&send(&world, &query(&world, SALES)).await), (200, "OK".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_compared_in_shadow_mode_and_before_records_are_on_disk() {
    for key in ["shadow", "fsync"] {
        let world = world(options().configure(move |config| {
            config["policy"]["candidate"] = json!("candidate");
            if key == "shadow" {
                config["workspaces"][0]["mode"] = json!("shadow");
            } else {
                config["audit"]["fsync"] = json!("always");
            }
        }))
        .await;
        write(&world, CANDIDATE);
        status_until(&world, |status| status["candidate"]["state"] == "compared").await;
        // with `always` an answer waits for the candidate a moment only, so that some go without
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let record = record_of(&world, CLOSED, "deny").await;
            assert_eq!(record["mode"], if key == "shadow" { "shadow" } else { "enforce" });
            if record["candidate"]["decision"] == "allow" {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{key}: {record}");
        }
        let wanted = if key == "shadow" { (200, "OK".to_owned()) } else { (403, "POLICY_FORBIDS".to_owned()) };
        assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await), wanted);
    }
}

/// The end comes while comparisons wait: every answer has its one record, and none is aborted.
#[tokio::test(flavor = "multi_thread")]
async fn no_record_is_lost_at_the_end() {
    let mut world = world_with_candidate(CANDIDATE).await;
    let client = world.client(Listener::Istio, &world.workloads.trainer).unwrap();
    let requests = [SALES, CLOSED, CHURN].map(|target| query(&world, target));
    for request in requests.iter().cycle().take(90) {
        client.send(request).await.unwrap();
    }
    assert!(world.restart_lakegate().await.unwrap().success());
    let records = world.audit.records().unwrap();
    assert_eq!((records.len(), records.iter().filter(|record| record["decision"] == "aborted").count()), (90, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_in_shadow_passes_though_nothing_can_be_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl").to_string_lossy().into_owned();
    let world = world(options().configure(move |config| {
        config["policy"]["shadow"] = json!({ "namespaces": ["cluster.local/dev"] });
        config["audit"]["file"] = json!(file);
    }))
    .await;
    fs::remove_dir_all(folder.path()).unwrap();
    until(&world, (503, "AUDIT_UNAVAILABLE"), || query(&world, SALES)).await;
    let forged = query(&world, CLOSED).header("x-lakegate-subject", "root");
    assert_eq!(outcome(&send_as(&world, &world.workloads.notebook, &forged).await), (200, "OK".to_owned()));
    assert_eq!(world.workspace.reached().pop().unwrap().header("x-lakegate-subject"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_in_shadow_leaves_all_others_enforced() {
    let world = world(options().configure(|config| {
        config["policy"]["shadow"] = json!({ "namespaces": ["cluster.local/dev"] });
        config["workspaces"][1]["mode"] = json!("enforce");
    }))
    .await;
    let (notebook, trainer) = (&world.workloads.notebook, &world.workloads.trainer);
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let forged = query_as(CLOSED, &token).header("x-lakegate-subject", "root").header("Cookie", "a=b");
    assert_eq!(outcome(&send_as(&world, notebook, &forged).await), (200, "OK".to_owned()));
    let arrived = world.workspace.reached().pop().unwrap();
    assert_eq!((arrived.header("cookie").as_deref(), arrived.header("x-lakegate-subject")), (Some("a=b"), None));
    let record = world.audit.wait_for(PATIENCE, |record| record["mode"] == "shadow").await.unwrap();
    assert_eq!((&record["decision"], &record["reason"]), (&json!("deny"), &json!("POLICY_FORBIDS")));
    assert_eq!(outcome(&send_as(&world, trainer, &forged).await), (403, "POLICY_FORBIDS".to_owned()));
    // after the workload is known every refusal is only recorded, a bad token's too
    let expired = query_as(SALES, &world.corp.token(&TokenSpec::expired()).unwrap());
    assert_eq!(outcome(&send_as(&world, notebook, &expired).await), (200, "OK".to_owned()));
    assert_eq!(outcome(&send_as(&world, trainer, &expired).await), (401, "TOKEN_EXPIRED".to_owned()));
    let status = status_until(&world, |_| true).await;
    assert_eq!((&status["shadow_namespaces"], &status["shadow"]), (&json!(["cluster.local/dev"]), &json!([])));

    let before = world.workspace.count();
    let prod = |request: Request| request.bearer(&token).json(&json!({}));
    // a workspace with a mode of its own keeps it, however it is named; what cannot be read has no workload yet, and so has a caller without an identity
    for (request, status) in [
        (prod(Request::new("POST", "prod.cloud.databricks.com", SALES)), 403),
        (prod(Request::new("POST", STAGE.host, SALES).header("X-Databricks-Workspace-Id", "2222222222222222")), 400),
        (prod(Request::new("POST", "unknown.cloud.databricks.com", SALES)), 403),
        (query_as("//serving-endpoints/sales/invocations", &token), 400),
    ] {
        assert_eq!(send_as(&world, notebook, &request).await.status, status, "{request:?}");
    }
    let plain = world.client(Listener::Plain, notebook).unwrap().send(&query_as(SALES, &token)).await.unwrap();
    assert_ne!(plain.header("x-reached"), Some("workspace"), "{plain:?}");
    assert_eq!(world.workspace.count(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_decided_again_by_other_policies() {
    let world = world_with_candidate(CANDIDATE).await;
    for target in [SALES, SALES, CLOSED, CHURN, "/no/such/call", "//"] {
        send(&world, &query(&world, target)).await;
    }
    world.audit.wait_for(PATIENCE, |_| world.audit.records().is_ok_and(|records| records.len() >= 6)).await.unwrap();
    let replay = async |arguments: &[&str]| {
        let all: Vec<&str> = ["replay", "--config", "lakegate.yaml"].into_iter().chain(arguments.iter().copied()).collect();
        let output = world.run(&all).await.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // the candidate is what is meant unless another folder is named
    let (code, text, _) = replay(&["audit.jsonl", "-o", "json"]).await;
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!((code, &report["newly_denied"], &report["newly_allowed"], &report["unchanged"]), (Some(2), &json!(2), &json!(1), &json!(1)), "{text}");
    assert_eq!((&report["changes"][0]["principal"], &report["changes"][0]["count"]), (&json!("User::\"corp/alice\""), &json!(2)));
    assert_eq!(report["changes"][0]["policies"], json!(["new-closed-sales"]));
    assert_eq!(report["not_replayable"], json!({ "before_policies": 2 }), "{text}");
    let (code, text, _) = replay(&["audit.jsonl", "--allow-losses"]).await;
    assert_eq!(code, Some(0));
    assert!(text.contains("newly denied: 2") && text.contains("new-closed-sales (POLICY_FORBIDS); was ml-query-staging (ALLOWED)"), "{text}");
    // the policies that decided change nothing
    let (code, text, _) = replay(&["audit.jsonl", "--policies", "policies", "-o", "json"]).await;
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["replayed"], &report["unchanged"], &report["changes"]), (Some(0), &json!(4), &json!(4), &json!([])), "{text}");
    let (code, text, _) = replay(&["audit.jsonl", "--since", "1h", "--until", "2000-01-01T00:00:00Z"]).await;
    assert_eq!(code, Some(3), "{text}");
    let (code, text, _) = replay(&["audit.jsonl", "--until", "2000-01-01T00:00:00Z"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("replayed 0 of 0 records"), "{text}");

    let records = fs::read_to_string(world.audit.path()).unwrap();
    fs::write(world.folder().join("bad.jsonl"), records.clone() + "nonsense\n").unwrap();
    let old: String = records.lines().map(|line| line.replace("\"facts\":", "\"other\":") + "\n").collect();
    fs::write(world.folder().join("old.jsonl"), &old).unwrap();
    fs::write(world.folder().join("mixed.jsonl"), records + &old).unwrap();
    fs::write(world.folder().join("log.jsonl"), "{\"level\":\"INFO\"}\n").unwrap();
    for (arguments, code, said) in [
        (&["bad.jsonl"][..], 3, "bad.jsonl:7:2: it is no record: expected ident"),
        (&["none.jsonl"], 3, "none.jsonl: it cannot be read"),
        (&["audit.jsonl", "--policies", "none"], 3, "none: it cannot be read"),
        (&["audit.jsonl", "--policies", "certificates"], 3, "there is no `*.cedar` file"),
        (&["audit.jsonl", "--since", "yesterday"], 3, "`yesterday` is no time"),
        (&["old.jsonl"], 1, "no decision of a policy could be made again"),
        (&["log.jsonl"], 1, "there is no record of a decision"),
        (&["mixed.jsonl"], 2, ""),
        (&["mixed.jsonl", "--policies", "policies"], 1, "3 decisions to allow cannot be made again"),
        (&["mixed.jsonl", "--policies", "policies", "--allow-unknown"], 0, ""),
        (&[], 3, "AUDIT.jsonl"),
    ] {
        let (have, _, error) = replay(arguments).await;
        assert_eq!(have, Some(code), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}
