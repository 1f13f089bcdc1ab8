//! Every method of the official clients, called for real through Envoy and a lakegate that looks on: what the catalog makes of each call is held against the
//! method that made it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Stdio,
    time::Duration,
};

use lakegate::classify::Catalog;
use lakegate_testkit::{World, issuer::TokenSpec, world::STAGE};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    time::{Instant, sleep},
};

use crate::asking::{PATIENCE, options, world};

const ACCOUNT_HOST: &str = "accounts.cloud.databricks.com";
const ACCOUNT_ID: &str = "6f2e9c1a-0000-4000-8000-000000000001";

/// What a client needs for all its calls on a busy machine.
const LONG: Duration = Duration::from_mins(8);

/// Everything is allowed, so that each call comes as far as a call can.
const OPEN: &str = "@id(\"open\")\npermit (principal, action, resource);\n";

/// A line of the script: a request that it sent, or a method that it called.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Told {
    Sent(Sent),
    Called(Called),
}

#[derive(Debug, Deserialize)]
struct Sent {
    tag: String,
    client: String,
    /// The method called, `clusters.create_and_wait`.
    call: String,
    /// The method that made this request of it, `clusters.create`.
    made_by: Option<String>,
    method: String,
    path: String,
    /// The texts and numbers that `made_by` was called with.
    arguments: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Called {
    client: String,
    called: String,
    requests: usize,
    error: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_sdk_is_what_its_method_says() {
    let world = looking_on().await;
    let told = told(&world, "every_call.py").await;
    let (sent, called) = parted(told);
    let records = records(&world, &sent).await;
    let catalog = Catalog::embedded().unwrap();
    let mut wrong = Vec::new();
    for request in &sent {
        let record = &records[&request.tag];
        let action = request.made_by.as_deref().unwrap_or_default();
        let known = catalog.vocabulary().aliases.get(action).map_or(action, |name| name);
        if record["reason"] != "ALLOWED" || record["action"] != known {
            wrong.push(format!(
                "{} {} ({} of {} {}): {} {} {}",
                request.method, request.path, action, request.client, request.call, record["action"], record["reason"], record["detail"]
            ));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {} requests:\n{}", wrong.len(), sent.len(), wrong.join("\n"));
    drop((called, BTreeSet::<String>::new()));
}

/// A world with a workspace and an account, whose calls all pass and are recorded as enforcement would decide them.
async fn looking_on() -> World {
    let options = options().policies(&[("open.cedar", OPEN)]).configure(|config| {
        config["policy"]["mode"] = json!("shadow");
        config["accounts"] = json!([{ "name": "main", "hosts": [ACCOUNT_HOST], "account_id": ACCOUNT_ID, "credentials": { "mode": "strip" } }]);
    });
    let world = world(options).await;
    world.workspace.agree();
    world
}

/// What the script tells; it stays in the world's folder, beside the records.
async fn told(world: &World, script: &str) -> Vec<Told> {
    let workspace = world.sidecar(&world.workloads.trainer, STAGE.host).await.unwrap();
    let account = world.sidecar(&world.workloads.trainer, ACCOUNT_HOST).await.unwrap();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(checkout.join(".tools/venv/bin/python"))
        .arg(checkout.join("testkit/sdk").join(script))
        .args(["--workspace", &format!("http://127.0.0.1:{}", workspace.outbound().unwrap())])
        .args(["--account", &format!("http://127.0.0.1:{}", account.outbound().unwrap())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the clients are installed by `make tools`");
    child.stdin.take().unwrap().write_all(world.corp.token(&TokenSpec::new()).unwrap().as_bytes()).await.unwrap();
    let output = tokio::time::timeout(LONG, child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(world.folder().join("calls.jsonl"), &output.stdout).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn parted(told: Vec<Told>) -> (Vec<Sent>, Vec<Called>) {
    let (mut sent, mut called) = (Vec::new(), Vec::new());
    for line in told {
        match line {
            Told::Sent(line) => sent.push(line),
            Told::Called(line) => called.push(line),
        }
    }
    (sent, called)
}

/// The record of each request, by its tag.
async fn records(world: &World, sent: &[Sent]) -> BTreeMap<String, Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut found = BTreeMap::new();
        for record in world.audit.records().unwrap() {
            if let Some(tag) = record["user_agent"].as_str() {
                found.insert(tag.to_owned(), record);
            }
        }
        let missing: Vec<&str> = sent.iter().map(|request| request.tag.as_str()).filter(|tag| !found.contains_key(*tag)).collect();
        if missing.is_empty() {
            return found;
        }
        assert!(Instant::now() < deadline, "{} requests left no record: {missing:?}", missing.len());
        sleep(Duration::from_millis(200)).await;
    }
}
