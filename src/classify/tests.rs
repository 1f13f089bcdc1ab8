use std::{borrow::Cow, path::PathBuf, sync::Arc};

use serde::Deserialize;

use super::{Catalog, Classifier, TargetConfig};
use crate::model::{
    ApiPath, Body, BodyFault, Call, Environment, FieldValue, Headers, Host, Intent, MediaType, Name, Query, Reason, Refusal, Segment, Target,
    TargetKind, Upgrade,
};

/// One case of tests/cases/classify/*.yaml: a request, and what it is or why it is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// `POST https://host/path?query`; the host is `stage` unless given.
    send: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<String>,
    #[serde(default = "json")]
    media: String,
    upgrade: Option<String>,
    action: Option<String>,
    level: Option<String>,
    /// As a policy writes them, in order.
    #[serde(default)]
    resources: Vec<String>,
    /// `name=value`; checked where given.
    fields: Option<Vec<String>>,
    /// The ancestors of the first resource; checked where given.
    within: Option<Vec<String>>,
    reason: Option<String>,
    /// What the detail of the refusal must hold.
    says: Option<String>,
}

fn json() -> String {
    "json".to_owned()
}

/// The parts of one request, as `normalize` would leave them.
struct Sent {
    method: String,
    host: String,
    path: String,
    query: Vec<(String, String)>,
}

impl Sent {
    fn read(text: &str) -> Self {
        let (method, url) = text.split_once(' ').unwrap();
        let (host, rest) = match url.strip_prefix("https://") {
            Some(url) => url.split_once('/').map(|(host, rest)| (host, format!("/{rest}"))).unwrap(),
            None => ("stage.cloud.databricks.com", url.to_owned()),
        };
        let (path, query) = rest.split_once('?').unwrap_or((&rest, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = pairs.map(|(name, value)| (name.replace("%2F", "/"), value.replace("%2F", "/"))).collect();
        Self { method: method.to_owned(), host: host.to_owned(), path: path.to_owned(), query }
    }

    fn call<'r>(&'r self, case: &'r Case) -> Call<'r> {
        let segment = |text: &'r str| Segment { text: Cow::Owned(text.replace("%2F", "/").replace("%20", " ")), slashed: text.contains("%2F") };
        let body = match (case.body.as_deref(), case.media.as_str()) {
            (None, _) => Body::Absent,
            (Some(_), "cut") => Body::Unusable(BodyFault::Cut),
            (Some(_), "encoded") => Body::Unusable(BodyFault::Encoded),
            (Some(text), media) => {
                let media = if media == "json" { MediaType::Json } else { MediaType::Other };
                Body::Whole { bytes: text.as_bytes(), media }
            }
        };
        let mut headers = Headers::default();
        for (name, value) in &case.headers {
            headers.all.push((name, value.as_bytes()));
            if matches!(name.as_str(), "x-databricks-workspace-id" | "x-databricks-org-id") {
                headers.workspace_ids.push(value);
            }
        }
        Call {
            method: &self.method,
            host: Host(Cow::Borrowed(&self.host)),
            path: ApiPath { raw: &self.path, segments: self.path.split('/').skip(1).map(segment).collect() },
            query: Query { pairs: self.query.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(value.as_str()))).collect() },
            headers,
            body,
            upgrade: case.upgrade.as_deref().map(|name| Upgrade(Cow::Borrowed(name))),
            principal: b"",
            source_ip: None,
        }
    }
}

fn target(kind: TargetKind, name: &str, id: Option<&str>, environment: Option<&str>, host: &str) -> TargetConfig {
    let target = Target {
        kind,
        name: Name::parse(name).unwrap(),
        workspace_id: id.map(Into::into),
        account_id: None,
        environment: environment.map(|name| Environment(Name::parse(name).unwrap())),
    };
    TargetConfig { target: Arc::new(target), hosts: vec![host.to_owned()] }
}

fn targets() -> Vec<TargetConfig> {
    vec![
        target(TargetKind::Workspace, "stage", Some("1111111111111111"), Some("staging"), "stage.cloud.databricks.com"),
        target(TargetKind::Workspace, "left", Some("3333333333333333"), Some("dev"), "acme.databricks.com"),
        target(TargetKind::Workspace, "right", Some("4444444444444444"), Some("dev"), "acme.databricks.com"),
        target(TargetKind::Workspace, "blank", None, Some("dev"), "blank.databricks.com"),
        target(TargetKind::Account, "main", None, None, "accounts.cloud.databricks.com"),
        target(TargetKind::Service, "mlflow", None, Some("dev"), "mlflow.svc"),
    ]
}

fn classifier() -> Classifier {
    Classifier::new(Arc::new(Catalog::embedded().unwrap()), targets()).unwrap()
}

fn field(name: &str, value: &FieldValue) -> String {
    match value {
        FieldValue::Text(text) => format!("{name}={text}"),
        FieldValue::Long(number) => format!("{name}={number}"),
        FieldValue::Bool(truth) => format!("{name}={truth}"),
        FieldValue::Texts(texts) => format!("{name}={}", texts.join(",")),
    }
}

/// How `got` differs from what `case` expects.
fn difference(case: &Case, got: &Result<Intent, Refusal>) -> Option<String> {
    let intent = match (got, &case.reason) {
        (Err(refusal), Some(reason)) => {
            let says = case.says.as_ref().is_none_or(|says| refusal.detail.contains(says));
            return (refusal.reason.code() != reason || !says).then(|| format!("refused with {refusal:?}, not {reason} {:?}", case.says));
        }
        (Err(refusal), None) => return Some(format!("refused: {refusal:?}")),
        (Ok(intent), Some(reason)) => return Some(format!("not refused with {reason}: {intent:?}")),
        (Ok(intent), None) => intent,
    };
    let resources: Vec<String> = intent.resources.iter().map(|resource| resource.entity.to_string()).collect();
    let within: Vec<String> = intent.resources[0].ancestors.iter().map(ToString::to_string).collect();
    let fields: Vec<String> = intent.fields.iter().map(|found| field(&found.name, &found.value)).collect();
    let same = case.action.as_deref() == Some(&intent.action.name)
        && case.level.as_deref().is_none_or(|level| level == intent.action.level.as_str())
        && case.resources == resources
        && case.fields.as_ref().is_none_or(|want| *want == fields)
        && case.within.as_ref().is_none_or(|want| *want == within);
    (!same).then(|| format!("{} {} {resources:?} within {within:?} with {fields:?}", intent.action.name, intent.action.level.as_str()))
}

fn cases(file: &str) -> Vec<Case> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/classify").join(file);
    serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn run(file: &str) {
    let classifier = classifier();
    let wrong: Vec<String> = cases(file)
        .iter()
        .filter_map(|case| {
            let sent = Sent::read(&case.send);
            difference(case, &classifier.classify(&sent.call(case))).map(|why| format!("{} {:?}\n    {why}", case.send, case.body))
        })
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_known_call_is_what_it_is() {
    run("calls.yaml");
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    run("refusals.yaml");
}

#[test]
fn targets_are_found_by_host_and_workspace_id() {
    run("targets.yaml");
}
