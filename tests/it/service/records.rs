//! What it writes down and what it shows: audit records, metrics, status.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use lakegate_testkit::{
    envoy::Listener,
    issuer::{Signature, TokenSpec},
    raw::Request,
    world::{STAGE, WORKSPACES},
};
use serde_json::json;

use crate::asking::{CLOSED, PATIENCE, SALES, options, outcome, query, query_as, send, send_as, status_until, world};

/// How often each request of the test is sent.
const ROUNDS: usize = 10;

const TRAINER: &str = "spiffe://cluster.local/ns/ml-staging/sa/trainer";

#[tokio::test(flavor = "multi_thread")]
async fn each_decision_is_recorded_once() {
    let world = world(options()).await;
    let forged = world.corp.token(&TokenSpec::new().signed(Signature::Foreign)).unwrap();
    let requests = [
        query(&world, SALES),
        query(&world, CLOSED),
        query_as(SALES, &forged),
        query_as(SALES, "not.a.token"),
        query(&world, "//serving-endpoints/sales/invocations"),
        Request::new("GET", "nobody.example.com", "/"),
        Request::new("GET", STAGE.host, "/.well-known/databricks-config"),
        query(&world, SALES).header("Authorization", "Bearer second"),
        Request::new("GET", STAGE.host, "/no/such/call?scope=$secret"),
    ];
    let reasons = [
        "ALLOWED",
        "POLICY_FORBIDS",
        "TOKEN_BAD_SIGNATURE",
        "TOKEN_MALFORMED",
        "PATH_AMBIGUOUS",
        "HOST_UNKNOWN",
        "ALLOWED",
        "HEADER_AMBIGUOUS",
        "CALL_UNKNOWN",
    ];
    for _ in 0..ROUNDS {
        for request in &requests {
            send(&world, request).await;
        }
    }
    world.audit.wait_for(PATIENCE, |_| world.audit.records().is_ok_and(|records| records.len() >= ROUNDS * requests.len())).await.unwrap();
    let records = world.audit.records().unwrap();
    assert_eq!(records.len(), ROUNDS * requests.len());
    let ids: BTreeSet<&str> = records.iter().map(|record| record["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), records.len());
    let mut have = BTreeMap::new();
    for record in &records {
        let decision = record["decision"].as_str().unwrap();
        assert!(["allow", "deny", "answer"].contains(&decision), "{record}");
        // who called is known before anything about the token or the call is; only what cannot be read at all says nothing
        if record["stage"] != "normalize" {
            assert_eq!(record["peer"], TRAINER, "{record}");
        }
        *have.entry(record["reason"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    let mut want = BTreeMap::new();
    for reason in reasons {
        *want.entry(reason.to_owned()).or_insert(0) += ROUNDS;
    }
    assert_eq!(have, want);
    let text = fs::read_to_string(world.audit.path()).unwrap();
    assert!(!text.contains("eyJ") && !text.contains("not.a.token") && !text.contains("$secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_recorded_with_the_workload_that_showed_it() {
    let world = world(options()).await;
    let bad = world.corp.token(&TokenSpec::expired()).unwrap();
    let answer = send_as(&world, &world.workloads.notebook, &query_as(SALES, &bad)).await;
    let record = world.audit.decision(answer.header("x-lakegate-decision").unwrap(), PATIENCE).await.unwrap();
    assert_eq!(record["reason"], "TOKEN_EXPIRED");
    assert_eq!(record["peer"], "spiffe://cluster.local/ns/dev/sa/notebook");
    assert_eq!(record["response"]["status_code"], 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_named_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("introspection.secret"), "s3cret\n").unwrap();
    let made = tokio::process::Command::new(env!("CARGO_BIN_EXE_lakegate")).args(["keys", "new", "key.pem"]).current_dir(folder.path()).output();
    assert!(made.await.unwrap().status.success());
    let mut options = options().folder(folder.path().to_owned());
    options.policies.push(("dev.cedar".to_owned(), "@id(\"dev\") permit (principal, action, resource in Workspace::\"dev\");".to_owned()));
    let asking = json!({ "when": "opaque", "client_id": "lakegate", "secret_file": "introspection.secret" });
    let options = options.configure(move |config| {
        config["issuers"][0]["introspection"] = asking.clone();
        config["issuers"][0]["logout"] = json!({ "audience": "lakegate-client" });
        config["trust"]["assertion"] = json!({ "keys": ["key.pem"] });
        // nobody listens there
        config["workspaces"][2]["credentials"] = json!({ "mode": "exchange", "token_endpoint": "http://127.0.0.1:1/oidc/v1/token" });
    });
    let world = world(options).await;
    for listener in [Listener::Istio, Listener::Bare] {
        for target in [SALES, CLOSED, "/no/such/call"] {
            world.client(listener, &world.workloads.trainer).unwrap().send(&query(&world, target)).await.unwrap();
        }
    }
    let exchanged =
        Request::new("POST", WORKSPACES[2].host, SALES).bearer(&world.corp.token(&TokenSpec::new()).unwrap()).json(&json!({ "inputs": [1] }));
    assert_eq!(outcome(&send(&world, &exchanged).await), (503, "CREDENTIAL_UNAVAILABLE".to_owned()));
    let (code, text) = world.admin("/metrics").await.unwrap();
    assert_eq!(code, 200);
    let mut families = BTreeSet::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        let name = line.strip_prefix("# ").map_or(line, |rest| rest.split_once(' ').unwrap().1);
        let name = name.split(['{', ' ']).next().unwrap();
        let bare = name.strip_prefix("lakegate_").unwrap_or_else(|| panic!("`{name}` is not ours"));
        assert!(!bare.starts_with("lakegate") && !bare.ends_with("_total_total"), "`{name}`");
        if line.starts_with("# TYPE ") {
            assert!(families.insert(name.to_owned()), "`{name}` stands twice");
        }
    }
    let sum = |decision: &str, reason: &str| -> f64 {
        let labels = [format!("decision=\"{decision}\""), format!("reason=\"{reason}\"")];
        let lines = text.lines().filter(|line| line.starts_with("lakegate_decisions_total{") && labels.iter().all(|label| line.contains(label)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert!((sum("deny", "POLICY_FORBIDS") - 2.0).abs() < 0.1 && (sum("allow", "ALLOWED") - 2.0).abs() < 0.1, "{text}");
    // what docs/operations.md has people alert on is there
    let page = fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let documented: BTreeSet<&str> =
        page.split('`').filter(|span| span.starts_with("lakegate_") && !span.ends_with('_')).map(|span| span.split('{').next().unwrap()).collect();
    assert!(documented.len() > 5);
    for name in documented {
        assert!(families.contains(name.trim_end_matches("_total")), "`{name}` is documented and not there: {families:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_of_a_broken_file_and_of_its_mending() {
    let world = world(options()).await;
    let status = status_until(&world, |status| status["issuers"][0]["keys"].as_array().is_some_and(|keys| !keys.is_empty())).await;
    assert_eq!((&status["ready"], &status["degraded"], &status["policies"]), (&true.into(), &false.into(), &4.into()));
    world.write_policy("broken.cedar", "@id(\"broken\")\npermit (principal, action, resource").unwrap();
    let status = status_until(&world, |status| status["degraded"] == true).await;
    assert!(status["configuration"]["faults"][0]["file"].as_str().unwrap().ends_with("broken.cedar"), "{status}");
    assert!(status["configuration"]["faults"][0]["line"].is_u64(), "{status}");
    let degraded = async || world.admin("/metrics").await.unwrap().1.lines().any(|line| line == "lakegate_config_degraded 1");
    assert!(degraded().await);
    fs::remove_file(world.folder().join("policies/broken.cedar")).unwrap();
    status_until(&world, |status| status["degraded"] == false).await;
    assert!(!degraded().await);
    for secret in ["eyJ", "\"n\":", "PRIVATE"] {
        assert!(!world.admin("/status").await.unwrap().1.contains(secret));
    }
    assert_eq!(world.admin("/nothing").await.unwrap().0, 404);
}
