//! The official databricks-sdk for Python, as an application uses it: plain HTTP to its sidecar, no knowledge of lakegate.

use std::{path::Path, process::Stdio};

use lakegate_testkit::{issuer::TokenSpec, world::STAGE};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::asking::{PATIENCE, options, world};

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_shows_what_was_decided() {
    let world = world(options()).await;
    let sidecar = world.sidecar(&world.workloads.trainer, STAGE.host).await.unwrap();
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let told = calls("calls.py", &format!("http://127.0.0.1:{}", sidecar.outbound().unwrap()), &token).await;
    let [ran, refused] = told.as_slice() else { panic!("{told:?}") };

    assert_eq!(ran["error"], Value::Null, "{ran}");
    let reached = world.workspace.reached();
    let arrived = reached.iter().find(|reached| reached.target == "/api/2.2/jobs/run-now").unwrap();
    assert_eq!(arrived.header("x-lakegate-subject").as_deref(), Some("corp/alice"));
    assert_eq!(arrived.header("x-lakegate-peer").as_deref(), Some("spiffe://cluster.local/ns/ml-staging/sa/trainer"));
    assert_eq!(serde_json::from_slice::<Value>(&arrived.body).unwrap()["job_id"], 42);

    let error = &refused["error"];
    assert_eq!(
        (error["kind"].as_str(), error["reason"].as_str(), error["domain"].as_str()),
        (Some("PermissionDenied"), Some("POLICY_FORBIDS"), Some("lakegate"))
    );
    assert!(error["message"].as_str().unwrap().contains("the endpoint closed is under audit"), "{error}");
    assert!(reached.iter().all(|reached| !reached.target.contains("closed")));
    // one attempt: a retried denial would make its caller wait for minutes
    assert!(refused["milliseconds"].as_f64().unwrap() < 10_000.0, "{refused}");
    let details = error["details"].as_str().unwrap();
    let record = world.audit.wait_for(PATIENCE, |record| record["reason"] == "POLICY_FORBIDS").await.unwrap();
    assert!(details.contains(record["event_id"].as_str().unwrap()), "{details}");
    assert_eq!(world.audit.records().unwrap().iter().filter(|record| record["reason"] == "POLICY_FORBIDS").count(), 1);
}

/// Uploads are `multipart/form-data`, and what they act on stands in a part.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_the_sdk_goes_only_where_it_may() {
    let policy = r#"@id("own-folder") permit (principal in Group::"corp/ml-engineers", action == Action::"workspace.upload", resource in WorkspacePath::"stage//Users/alice");"#;
    let world = world(options().policies(&[("uploads.cedar", policy)])).await;
    world.workspace.agree();
    let sidecar = world.sidecar(&world.workloads.trainer, STAGE.host).await.unwrap();
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let told = calls("uploads.py", &format!("http://127.0.0.1:{}", sidecar.outbound().unwrap()), &token).await;
    let [bytes, file, elsewhere] = told.as_slice() else { panic!("{told:?}") };

    assert_eq!((&bytes["error"], &file["error"]), (&Value::Null, &Value::Null));
    assert_eq!((&elsewhere["error"]["kind"], &elsewhere["error"]["reason"]), (&"PermissionDenied".into(), &"POLICY_NO_PERMIT".into()));
    let reached = world.workspace.reached();
    let bodies: Vec<_> = reached.iter().filter(|reached| reached.method == "POST").map(|reached| String::from_utf8_lossy(&reached.body)).collect();
    let [first, second] = bodies.as_slice() else { panic!("{bodies:?}") };
    assert!(first.contains("\r\n/Users/alice/a.py\r\n") && first.contains("print(1)\r\n--\r\n"), "{first}");
    assert!(second.contains("; filename=\"uploads.py\"\r\n"), "{second}");
    world.audit.wait_for(PATIENCE, |record| record["reason"] == "POLICY_NO_PERMIT").await.unwrap();
    let records = world.audit.records().unwrap();
    let uploads: Vec<_> = records.iter().filter(|record| record["action"] == "workspace.import_").map(|record| &record["resources"][0]).collect();
    let path = |path: &str| format!("WorkspacePath::\"stage//Users/{path}\"");
    assert_eq!(uploads, [&path("alice/a.py"), &path("alice/b.txt"), &path("bob/a.py")]);
}

/// What the script tells of each of its calls.
pub(crate) async fn calls(script: &str, host: &str, token: &str) -> Vec<Value> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(checkout.join(".tools/venv/bin/python"))
        .arg(checkout.join("testkit/sdk").join(script))
        .args(["--host", host])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the Databricks SDK is installed by `make tools`");
    child.stdin.take().unwrap().write_all(token.as_bytes()).await.unwrap();
    let output = tokio::time::timeout(2 * PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
