//! Every method of the official clients, called for real through Envoy and a lakegate that looks on: what the catalog makes of each call is held against the
//! method that made it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Stdio,
    time::Duration,
};

use lakegate::{classify::Catalog, model::Vocabulary};
use lakegate_testkit::{World, issuer::TokenSpec, world::STAGE};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    time::{Instant, sleep},
};

use crate::asking::{PATIENCE, options, world};

mod exceptions;
use exceptions::{DELEGATED, ELSEWHERE, EMPTY, MISSING, NEVER, REFUSED, RENAMED, UNSENT, WHOLE};

const ACCOUNT_HOST: &str = "accounts.cloud.databricks.com";
const SERVICE_HOST: &str = "mlflow.ml.svc.cluster.local";
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
    /// Whether everything was given that the method takes, or only what it requires.
    full: bool,
    /// The method that made this request of it, `clusters.create`.
    made_by: Option<String>,
    method: String,
    path: String,
    /// The texts and numbers that `made_by` was called with.
    arguments: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Called {
    called: String,
    requests: usize,
}

/// What a request must be recorded as.
struct Expected<'c> {
    vocabulary: &'c Vocabulary,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_sdk_is_what_its_method_says() {
    let world = looking_on().await;
    let (sent, called) = parted(told(&world, "every_call.py").await);
    let records = records(&world, &sent).await;
    let catalog = Catalog::embedded().unwrap();
    let expected = Expected { vocabulary: catalog.vocabulary() };
    let listed = listed();
    let (mut wrong, mut excepted, mut right, mut templates) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for request in &sent {
        let record = &records[&request.tag];
        let action = request.made_by.as_deref().unwrap_or_default();
        let reason = record["reason"].as_str().unwrap_or_default();
        if let Some((name, _, _)) =
            REFUSED.iter().find(|(name, refused, _)| *name == action && *refused == reason && (!request.full || reason != MISSING))
        {
            excepted.insert(*name);
        } else if let Some(fault) = expected.fault(request, record).or_else(|| whole(request, record)) {
            wrong.insert(format!("{} {} ({} of {} {}): {fault}", request.method, request.path, action, request.client, request.call));
        } else if let Some(template) = listed.get(&(request.client.as_str(), action, request.method.as_str())) {
            right.insert((request.client.as_str(), action, request.method.as_str()));
            templates.insert((request.method.as_str(), *template));
        }
    }
    let unsent = called.iter().filter(|line| line.requests == 0).map(|line| line.called.as_str());
    let unsent: BTreeSet<&str> = unsent.filter(|name| !called.iter().any(|line| line.called == *name && line.requests > 0)).collect();
    let silent: BTreeSet<&str> = UNSENT.iter().map(|(name, _)| *name).collect();
    let missing: Vec<_> = listed.keys().filter(|key| !right.contains(*key) && !NEVER.iter().any(|(name, _)| *name == key.1)).collect();
    println!(
        "{} methods called, {} requests compared; {} of {} calls of the SDK as they should be, {} distinct methods and paths; {} exceptions",
        called.len(),
        sent.len(),
        right.len(),
        listed.len(),
        templates.len(),
        REFUSED.len() + UNSENT.len() + NEVER.len()
    );
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), Vec::from_iter(wrong).join("\n"));
    assert_eq!(missing, Vec::<&(&str, &str, &str)>::new(), "no request of these was as it should be");
    assert_eq!(unsent, silent, "which methods send nothing");
    assert_eq!(excepted, REFUSED.iter().map(|(name, _, _)| *name).collect(), "an exception that is none any more");
    assert!(templates.len() >= 1240, "only {} methods and paths", templates.len());
}

/// MLflow names its methods otherwise than the SDK does: what each is, is the last part of the action unless `RENAMED` says so.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_mlflow_is_what_its_method_says() {
    let world = looking_on().await;
    let (sent, called) = parted(told(&world, "every_mlflow_call.py").await);
    let records = records(&world, &sent).await;
    let mut wrong = BTreeSet::new();
    for request in &sent {
        let record = &records[&request.tag];
        let made_by = request.made_by.as_deref().unwrap_or_default();
        let method = made_by.rsplit('.').next().unwrap_or_default();
        let action = record["action"].as_str().unwrap_or_default();
        let same = action.rsplit('.').next() == Some(method) || RENAMED.contains(&(method, action));
        let elsewhere =
            request.client == "workspace" && record["reason"] == "CALL_UNKNOWN" && ELSEWHERE.iter().any(|path| request.path.starts_with(path));
        let excepted = elsewhere || EMPTY.iter().any(|(call, reason, _)| *call == request.call && record["reason"] == *reason);
        if record["reason"] != "ALLOWED" && !excepted {
            wrong.insert(format!("{} {} ({made_by}): {} {}", request.method, request.path, record["reason"], record["detail"]));
        } else if record["reason"] == "ALLOWED" && !same {
            wrong.insert(format!("(\"{method}\", \"{action}\"), // {} {} of {}", request.method, request.path, request.call));
        }
    }
    let asking: BTreeSet<&str> = sent.iter().map(|request| request.call.as_str()).collect();
    println!("{} methods called, {} of them sent {} requests", called.len(), asking.len(), sent.len());
    assert!(wrong.is_empty(), "{} of {} requests:\n{}", wrong.len(), sent.len(), Vec::from_iter(wrong).join("\n"));
    assert!(asking.len() >= 200, "only {} methods sent anything", asking.len());
}

// === impl Expected ===

impl Expected<'_> {
    /// Why the record is not of the method that made the request.
    fn fault(&self, request: &Sent, record: &Value) -> Option<String> {
        let action = record["action"].as_str().unwrap_or_default();
        if record["reason"] != "ALLOWED" {
            return Some(format!("{} {}", record["reason"], record["detail"]));
        }
        let made_by = request.made_by.as_deref().unwrap_or_default();
        let name = self.vocabulary.aliases.get(made_by).map_or(made_by, |name| name);
        let within =
            || self.vocabulary.actions.iter().any(|spec| &*spec.action.name == action && spec.action.within.iter().any(|wider| &**wider == name));
        let delegated = || DELEGATED.iter().any(|(call, actions)| *call == request.call && actions.contains(&action));
        (action != name && !within() && !delegated()).then(|| format!("taken for {action}"))
    }
}

/// Whether a call that names an object by an id acts on nothing but its workspace or account.
fn whole(request: &Sent, record: &Value) -> Option<String> {
    let about = |resource: &Value| resource.as_str().is_some_and(|text| !text.starts_with("Workspace::") && !text.starts_with("Account::"));
    if record["resources"].as_array().is_some_and(|resources| resources.iter().any(about)) {
        return None;
    }
    let action = request.made_by.as_deref().unwrap_or_default();
    let own = |value: &str| value.ends_with(ACCOUNT_ID) || value.ends_with(STAGE.workspace_id);
    let ids: Vec<&String> = request.arguments.iter().filter(|(name, value)| is_id(name) && !own(value)).map(|(name, _)| name).collect();
    let listed = WHOLE.iter().any(|(_, actions)| actions.contains(&action));
    (!ids.is_empty() && !listed).then(|| format!("{ids:?} given, and yet it acts on {}", record["resources"]))
}

fn is_id(name: &str) -> bool {
    let word = ["id", "ids", "name", "fullname", "path", "uuid", "parent", "key", "scope"];
    name != "request_id" && name.rsplit('_').next().is_some_and(|last| word.contains(&last))
}

/// The SDK's calls, as read from its source: by client, action and HTTP method, the template of the path.
fn listed() -> BTreeMap<(&'static str, &'static str, &'static str), &'static str> {
    let rows = include_str!("../../catalog/sdk.tsv").lines().skip(1);
    let row = |line: &'static str| {
        let [client, method, path, action, ..] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        ((client, action, method), path)
    };
    rows.map(row).filter(|((client, _, _), _)| *client != "client").collect()
}

/// A world with workspaces, an account and an MLflow of one's own, whose calls all pass and are recorded as enforcement would decide them.
async fn looking_on() -> World {
    let options = options().policies(&[("open.cedar", OPEN)]).configure(|config| {
        config["policy"]["mode"] = json!("shadow");
        config["accounts"] = json!([{ "name": "main", "hosts": [ACCOUNT_HOST], "account_id": ACCOUNT_ID, "credentials": { "mode": "strip" } }]);
        config["services"] =
            json!([{ "name": "tracking", "hosts": [SERVICE_HOST], "environment": "dev", "catalog": "mlflow", "credentials": { "mode": "strip" } }]);
    });
    let world = world(options).await;
    world.workspace.agree();
    world
}

/// What the script tells; it stays in the world's folder, beside the records.
async fn told(world: &World, script: &str) -> Vec<Told> {
    let workspace = world.sidecar(&world.workloads.trainer, STAGE.host).await.unwrap();
    let account = world.sidecar(&world.workloads.trainer, ACCOUNT_HOST).await.unwrap();
    let service = world.sidecar(&world.workloads.trainer, SERVICE_HOST).await.unwrap();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(checkout.join(".tools/venv/bin/python"))
        .arg(checkout.join("testkit/sdk").join(script))
        .args(["--workspace", &format!("http://127.0.0.1:{}", workspace.outbound().unwrap())])
        .args(["--account", &format!("http://127.0.0.1:{}", account.outbound().unwrap())])
        .args(["--mlflow", &format!("http://127.0.0.1:{}", service.outbound().unwrap())])
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
