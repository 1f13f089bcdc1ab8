//! Claims of a token beyond who it is: what policies read of them, what is required, who may act, and why, through a real Envoy and by every command.

use std::fs;

use lakegate_testkit::{World, issuer::TokenSpec, raw::Request, world::STAGE};
use serde_json::{Value, json};

use crate::asking::{CHURN, PATIENCE, SALES, options, outcome, query_as, send, until, world};

const POLICIES: &str = r#"
@id("main-branch")
permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource == ServingEndpoint::"stage/churn")
when { context has token && context.token.claims has branch && context.token.claims.branch == "main" };

@id("audits")
permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource == ServingEndpoint::"stage/sales")
when { context has purpose && context.purpose == "audit" };
"#;

/// By another claim, which the configuration does not declare at first.
const TIERS: &str = r#"
@id("high-tiers")
permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource == ServingEndpoint::"stage/churn")
when { context has token.claims.tier && context.token.claims.tier > 2 };
"#;

async fn start() -> World {
    let options = options().policies(&[("claims.cedar", POLICIES)]);
    world(options.configure(|config| {
        config["listen"]["control"] = json!("lakegate.sock");
        config["issuers"][0]["actors"] = json!(["copilot"]);
        config["issuers"][0]["require"] = json!({ "tenant": ["acme", "acme-labs"] });
        config["issuers"][0]["attributes"] = json!({ "branch": { "claim": "git.ref", "type": "string" } });
        config["issuers"][0]["purpose_claim"] = json!("purpose");
    }))
    .await
}

/// Exit code and report of a command.
async fn run(world: &World, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = world.run(arguments).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))))
}

fn spec(claims: &Value) -> TokenSpec {
    let spec = TokenSpec::new().claim("tenant", "acme");
    claims.as_object().unwrap().iter().fold(spec, |spec, (name, value)| spec.claim(name, value.clone()))
}

fn asking(world: &World, target: &str, claims: &Value) -> Request {
    query_as(target, &world.corp.token(&spec(claims)).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_says_decides() {
    let world = start().await;
    let main = json!({ "git": { "ref": "main" } });
    let delegated = |act: Value| json!({ "git": { "ref": "main" }, "act": act });
    let cases = [
        (CHURN, main.clone(), 200, "OK"),
        (CHURN, json!({ "git": { "ref": "dev" } }), 403, "POLICY_NO_PERMIT"),
        (CHURN, json!({}), 403, "POLICY_NO_PERMIT"),
        (CHURN, json!({ "git": { "ref": 1 } }), 401, "TOKEN_BAD_CLAIMS"),
        (CHURN, json!({ "git": "main" }), 401, "TOKEN_BAD_CLAIMS"),
        (CHURN, json!({ "git": { "ref": "main" }, "tenant": "acme-labs" }), 200, "OK"),
        (CHURN, json!({ "git": { "ref": "main" }, "tenant": "evil" }), 401, "TOKEN_NOT_ACCEPTED"),
        (CHURN, json!({ "git": { "ref": "main" }, "tenant": { "acme": true } }), 401, "TOKEN_BAD_CLAIMS"),
        (CHURN, delegated(json!({ "sub": "copilot", "act": { "sub": "planner" } })), 200, "OK"),
        (CHURN, delegated(json!({ "sub": "planner", "act": { "sub": "copilot" } })), 401, "ACTOR_NOT_ALLOWED"),
        (SALES, json!({ "purpose": "audit" }), 200, "OK"),
        (SALES, json!({ "purpose": "fraud" }), 403, "POLICY_NO_PERMIT"),
        (SALES, json!({ "purpose": ["audit"] }), 401, "TOKEN_BAD_CLAIMS"),
        (SALES, main, 403, "POLICY_NO_PERMIT"),
    ];
    // twice: from caches as at first sight, and each token for itself alone
    for _ in 0..2 {
        for (target, claims, status, want) in &cases {
            assert_eq!(outcome(&send(&world, &asking(&world, target, claims)).await), (*status, (*want).to_owned()), "{target} {claims}");
        }
    }
    let without = query_as(CHURN, &world.corp.token(&TokenSpec::new()).unwrap());
    let refused = send(&world, &without).await;
    assert_eq!(outcome(&refused), (401, "TOKEN_NOT_ACCEPTED".to_owned()));
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the token has no claim `tenant`"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_says_on_whose_behalf_and_why_and_is_decided_again_from_itself() {
    let world = start().await;
    let claims = json!({ "git": { "ref": "main" }, "purpose": "audit", "act": { "sub": "copilot", "act": { "sub": "planner" } } });
    let answer = send(&world, &asking(&world, SALES, &claims)).await;
    assert_eq!(outcome(&answer), (200, "OK".to_owned()));
    send(&world, &asking(&world, CHURN, &claims)).await;
    let of = |policy: &'static str| move |record: &Value| record["policies"] == json!([policy]);
    let record = world.audit.wait_for(PATIENCE, of("audits")).await.unwrap();
    assert_eq!((&record["purpose"], &record["actor"]), (&json!("audit"), &json!(["copilot", "planner"])), "{record:#}");
    assert_eq!(record["facts"]["token"]["claims"], json!([{ "name": "branch", "value": "main" }]));
    world.audit.wait_for(PATIENCE, of("main-branch")).await.unwrap();
    let replay = async |policies: &str| {
        fs::create_dir_all(world.folder().join("next")).unwrap();
        fs::write(world.folder().join("next/p.cedar"), policies).unwrap();
        let output = world.run(&["replay", "--config", "lakegate.yaml", "--policies", "next", "-o", "json", "audit.jsonl"]).await.unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), report["replayed"].clone(), report["newly_denied"].clone())
    };
    assert_eq!(replay(POLICIES).await, (Some(0), json!(2), json!(0)));
    assert_eq!(replay(&POLICIES.replace("\"main\"", "\"release\"")).await, (Some(2), json!(2), json!(1)));
    assert_eq!(replay(&POLICIES.replace("\"audit\"", "\"fraud\"")).await, (Some(2), json!(2), json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_reads_the_claims_as_a_call_would() {
    let world = start().await;
    let url = format!("https://{}{CHURN}", STAGE.host);
    let claims = |further: &Value| {
        let mut claims =
            json!({ "iss": world.corp.url(), "aud": "lakegate", "sub": "alice", "groups": ["ml-engineers"], "tenant": "acme", "purpose": "audit" });
        claims.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        fs::write(world.folder().join("claims.json"), claims.to_string()).unwrap();
    };
    let cases = [
        (json!({ "git": { "ref": "main" } }), 0, "ALLOWED", ""),
        (json!({ "git": { "ref": "dev" } }), 2, "POLICY_NO_PERMIT", r#""what":"context.token.claims.branch","value":"\"dev\"""#),
        (json!({}), 2, "POLICY_NO_PERMIT", r#""what":"context.token.claims.branch","value":"missing""#),
        (json!({ "git": { "ref": true } }), 2, "TOKEN_BAD_CLAIMS", "the claim `git.ref` is a boolean, and is declared as `string`"),
        (json!({ "tenant": "evil" }), 2, "TOKEN_NOT_ACCEPTED", "trusted only for tokens in which it is `acme` or `acme-labs`"),
        (json!({ "act": { "sub": "helper" } }), 2, "ACTOR_NOT_ALLOWED", "`helper` acts for the token's subject"),
    ];
    for (further, exit, reason, told) in cases {
        claims(&further);
        let call = ["--method", "POST", "--url", &url, "--body", "{\"inputs\":[1]}", "--claims", "claims.json"];
        let peer = ["--peer", "spiffe://cluster.local/ns/ml-staging/sa/trainer", "-o", "json"];
        for asked in [["--config", "lakegate.yaml"], ["--control", "lakegate.sock"]] {
            let (code, report) = run(&world, &[&["explain"][..], &asked, &call, &peer].concat()).await;
            assert_eq!((code, &report["reason"]), (Some(exit), &json!(reason)), "{asked:?} {further}: {report:#}");
            assert!(report.to_string().contains(told), "{told}: {report}");
        }
    }
}

const CASES: &str = r#"
callers:
  alice: { User: corp/alice, groups: [ml-engineers], attributes: { branch: main }, purpose: audit, peer: spiffe://cluster.local/ns/ml-staging/sa/trainer }
requests:
  churn: { call: "POST stage:/serving-endpoints/churn/invocations", body: {} }
  sales: { call: "POST stage:/serving-endpoints/sales/invocations", body: {} }
cases:
  - { name: the main branch, caller: alice, request: churn, decision: allow, policies: [main-branch] }
  - { name: another, caller: { like: alice, attributes: { branch: dev } }, request: churn, decision: deny }
  - { name: none, caller: { like: alice, attributes: {} }, request: churn, decision: deny }
  - { name: an audit, caller: alice, request: sales, decision: allow, policies: [audits] }
  - { name: something else, caller: { like: alice, purpose: fraud }, request: sales, decision: deny }
  - { name: the copilot, caller: { like: alice, actor: [copilot, planner] }, request: churn, decision: allow }
  - { name: another agent, caller: { like: alice, actor: planner }, request: churn, decision: deny, reason: ACTOR_NOT_ALLOWED }
  - name: the claims themselves
    caller: { claims: { iss: $iss, aud: lakegate, sub: alice, groups: [ml-engineers], tenant: acme, git: { ref: main } }, peer: spiffe://cluster.local/ns/ml-staging/sa/trainer }
    request: churn
    decision: allow
  - name: of a stranger
    caller: { claims: { iss: $iss, aud: lakegate, sub: alice, groups: [ml-engineers], git: { ref: main } }, peer: spiffe://cluster.local/ns/ml-staging/sa/trainer }
    request: churn
    decision: deny
    reason: TOKEN_NOT_ACCEPTED
"#;

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_tests_of_policies_have_claims_too() {
    let world = start().await;
    fs::write(world.folder().join("t.jwt"), world.corp.token(&spec(&json!({ "git": { "ref": "main" }, "purpose": "audit" }))).unwrap()).unwrap();
    let (code, report) = run(&world, &["token", "--config", "lakegate.yaml", "--token-file", "t.jwt", "-o", "json"]).await;
    assert_eq!((code, &report["claims"], &report["purpose"]), (Some(0), &json!({ "branch": "main" }), &json!("audit")));

    fs::write(world.folder().join("cases.yaml"), CASES.replace("$iss", world.corp.url())).unwrap();
    let (code, report) = run(&world, &["test", "--config", "lakegate.yaml", "cases.yaml", "-o", "json"]).await;
    assert_eq!(code, Some(0), "{report:#}");
    for (attributes, told) in [
        ("{ branhc: main }", "issuer `corp` has no attribute `branhc`; did you mean `branch`?"),
        ("{ branch: 1 }", "the attribute `branch` is a number, and is declared as `string`"),
    ] {
        fs::write(world.folder().join("bad.yaml"), format!("callers: {{ a: {{ User: corp/a, attributes: {attributes} }} }}\n")).unwrap();
        let output = world.run(&["test", "--config", "lakegate.yaml", "bad.yaml"]).await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(3) && error.contains(told), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_is_added_and_taken_away_while_calls_come() {
    let mut world = start().await;
    let high = world.corp.token(&spec(&json!({ "tier": 3 }))).unwrap();
    let named = world.corp.token(&spec(&json!({ "tier": "gold", "git": { "ref": "main" } }))).unwrap();
    let (high, named) = (|| query_as(CHURN, &high), || query_as(CHURN, &named));
    assert_eq!(outcome(&send(&world, &high()).await), (403, "POLICY_NO_PERMIT".to_owned()));
    assert_eq!(outcome(&send(&world, &named()).await), (200, "OK".to_owned()), "what is not declared is not read");
    // a policy alone, which asks for what nobody declares, is not served
    world.write_policy("tiers.cedar", TIERS).unwrap();
    let status = crate::asking::status_until(&world, |status| status["degraded"] == true).await;
    let faults = status["configuration"]["faults"].to_string();
    assert!(faults.contains("no issuer declares the attribute `tier`"), "{faults}");
    // the tokens are known, and so are decisions about them: neither may outlast the change
    let mut config = world.config().clone();
    let before = config.clone();
    config["issuers"][0]["attributes"]["tier"] = json!({ "claim": "tier", "type": "long" });
    world.write_config(config.clone()).unwrap();
    until(&world, (200, "OK"), high).await;
    let refused = until(&world, (401, "TOKEN_BAD_CLAIMS"), named).await;
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the claim `tier` is a string, and is declared as `long`"), "{message}");
    // with another type neither the policy nor the reload is good, and what was stays
    config["issuers"][0]["attributes"]["tier"]["type"] = json!("strings");
    world.write_config(config).unwrap();
    crate::asking::status_until(&world, |status| status["degraded"] == true).await;
    assert_eq!(outcome(&send(&world, &high()).await), (200, "OK".to_owned()));
    fs::remove_file(world.folder().join("policies/tiers.cedar")).unwrap();
    world.write_config(before).unwrap();
    until(&world, (403, "POLICY_NO_PERMIT"), high).await;
    until(&world, (200, "OK"), named).await;
}
