//! The commands, by their exit codes and by what they print: 0 yes, 2 denied, 3 invalid input, in the words of the audit record.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
};

use lakegate_testkit::{
    World,
    issuer::{Signature, TokenSpec},
};
use serde_json::{Value, json};

use crate::asking::{CLOSED, PATIENCE, SALES, options, query, send, world};

const TRAINER: &str = "spiffe://cluster.local/ns/ml-staging/sa/trainer";
const CONFIG: [&str; 2] = ["--config", "lakegate.yaml"];

/// The words that the record and every command share.
const SHARED: [&str; 11] =
    ["decision", "reason", "stage", "principal", "peer", "action", "level", "resources", "workspace", "policies", "credential"];

/// Exit code and standard output as JSON, with what went to standard error if it is none.
async fn json(world: &World, command: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let all: Vec<&str> = [command].into_iter().chain(CONFIG).chain(["--output", "json"]).chain(arguments.iter().copied()).collect();
    let output = world.run(&all).await.unwrap();
    let error = || Value::from(String::from_utf8_lossy(&output.stderr).into_owned());
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| error()))
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_what_the_service_would_record() {
    let world = world(options()).await;
    let file = world.folder().join("token.jwt");
    fs::write(&file, world.corp.token(&TokenSpec::new()).unwrap() + "\n").unwrap();
    for (target, code) in [(SALES, 0), (CLOSED, 2), ("/serving-endpoints//x", 2), ("/no/such/call", 2)] {
        send(&world, &query(&world, target)).await;
        let url = format!("https://stage.cloud.databricks.com{target}");
        let arguments = ["--method", "POST", "--url", &url, "--body", "{\"inputs\": [1]}", "--peer", TRAINER, "--token-file", "token.jwt"];
        let (exit, report) = json(&world, "explain", &arguments).await;
        assert_eq!(exit, Some(code), "{report}");
        let path =
            |record: &Value| record["request_params"].as_array().unwrap().iter().any(|param| param["name"] == "path" && param["value"] == target);
        let record = world.audit.wait_for(PATIENCE, path).await.unwrap();
        // the record of an allowed call goes on to the stage that `explain` leaves out; a call that cannot be read has no caller yet
        for word in SHARED.into_iter().filter(|word| *word != "stage" && !(record["stage"] == "normalize" && *word == "peer")) {
            assert_eq!(report[word], record[word], "{target}: `{word}` of {report}");
        }
    }
    let url = "https://stage.cloud.databricks.com/serving-endpoints/sales/invocations";
    let (exit, report) = json(&world, "explain", &["--method", "POST", "--url", url, "--peer", TRAINER]).await;
    assert_eq!((exit, &report["reason"]), (Some(2), &json!("POLICY_NO_PERMIT")));
    fs::write(
        world.folder().join("claims.json"),
        json!({ "iss": world.corp.url(), "aud": "lakegate", "sub": "alice", "exp": 4_102_444_800_u64, "groups": ["ml-engineers"] }).to_string(),
    )
    .unwrap();
    let (exit, report) = json(&world, "explain", &["--method", "POST", "--url", url, "--peer", TRAINER, "--claims", "claims.json"]).await;
    assert_eq!((exit, &report["principal"]), (Some(0), &json!("User::\"corp/alice\"")), "{report}");
    for bad in
        [vec!["--method", "POST", "--url", "stage/x"], vec!["--method", "POST"], vec!["--method", "POST", "--url", url, "--token-file", "none.jwt"]]
    {
        assert_eq!(json(&world, "explain", &bad).await.0, Some(3), "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_token_say_yes_no_or_invalid() {
    let world = world(options()).await;
    let (exit, report) = json(&world, "check", &[]).await;
    assert_eq!((exit, &report["policies"], &report["issuers"], &report["targets"]), (Some(0), &json!(4), &json!(2), &json!(3)));
    let token = |spec: &TokenSpec| fs::write(world.folder().join("t.jwt"), world.corp.token(spec).unwrap()).unwrap();
    token(&TokenSpec::new());
    let (exit, report) = json(&world, "token", &["--token-file", "t.jwt"]).await;
    assert_eq!((exit, &report["principal"], &report["groups"]), (Some(0), &json!("User::\"corp/alice\""), &json!(["ml-engineers"])));
    for (spec, reason) in [(TokenSpec::expired(), "TOKEN_EXPIRED"), (TokenSpec::new().signed(Signature::Foreign), "TOKEN_BAD_SIGNATURE")] {
        token(&spec);
        let (exit, report) = json(&world, "token", &["--token-file", "t.jwt"]).await;
        assert_eq!((exit, &report["decision"], &report["reason"]), (Some(2), &json!("deny"), &json!(reason)));
    }
    assert_eq!(json(&world, "token", &["--token-file", "none.jwt"]).await.0, Some(3));
    for bad in [vec!["serve"], vec!["chek"], vec![], vec!["check", "--config", "none.yaml"], vec!["check", "--config", "lakegate.yaml", "--loud"]] {
        assert_eq!(world.run(&bad).await.unwrap().status.code(), Some(3), "{bad:?}");
    }
    for good in ["--help", "--version"] {
        assert_eq!(world.run(&[good]).await.unwrap().status.code(), Some(0), "{good}");
    }
}

#[test]
fn the_catalog_is_asked_for_one_call_or_for_many_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let lakegate = |arguments: &[&str], input: Stdio| {
        let output = Command::new(env!("CARGO_BIN_EXE_lakegate")).args(arguments).current_dir(folder.path()).stdin(input).output().unwrap();
        let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (output.status.code(), lines)
    };
    let run = "https://stage.cloud.databricks.com/api/2.2/jobs/run-now";
    let (code, lines) = lakegate(&["explain", "--output", "json", "--catalog", "POST", run, "{\"job_id\":42}"], Stdio::null());
    assert_eq!((code, &lines[0]["action"], &lines[0]["level"]), (Some(0), &json!("jobs.run_now"), &json!("use")));
    assert!(lines[0]["resources"][0].as_str().unwrap().contains("42"));
    let (code, lines) = lakegate(&["explain", "--output", "json", "--catalog", "POST", run], Stdio::null());
    assert_eq!((code, &lines[0]["reason"]), (Some(2), &json!("RESOURCE_MISSING")));

    let input = folder.path().join("calls.jsonl");
    let call = |number: usize| match number % 3 {
        0 => json!({ "method": "POST", "url": run, "headers": { "Content-Type": "application/json" }, "body": format!("{{\"job_id\":{number}}}") }),
        1 => json!({ "method": "GET", "url": "https://stage.cloud.databricks.com/no/such/call" }),
        _ => json!({ "method": "POST", "url": run, "body": { "job_id": number } }),
    };
    fs::write(&input, (0..60).map(|number| call(number).to_string() + "\n").collect::<String>()).unwrap();
    let (code, lines) = lakegate(&["explain", "--catalog", "--batch"], File::open(&input).unwrap().into());
    assert_eq!((code, lines.len()), (Some(0), 60));
    for (number, line) in lines.iter().enumerate() {
        if number % 3 == 1 {
            assert_eq!(line["reason"], "CALL_UNKNOWN");
        } else {
            assert!(line["resources"][0].as_str().unwrap().ends_with(&format!("/{number}\"")), "{number}: {line}");
        }
    }
    fs::write(&input, "{\"method\":\"GET\"}\n").unwrap();
    assert_eq!(lakegate(&["explain", "--catalog", "--batch"], File::open(&input).unwrap().into()).0, Some(3));
}
