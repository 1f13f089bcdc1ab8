use std::{borrow::Cow, path::PathBuf, sync::Arc};

use serde::Deserialize;

use super::{Catalog, CatalogFile, Classifier, TargetConfig};
use crate::model::{
    ApiPath, Body, BodyFault, Call, EntityRef, Environment, FieldValue, Headers, Host, Intent, MediaType, Name, Query, Reason, Refusal, Segment,
    Target, TargetKind, TypeName, Upgrade,
};

mod forms;
mod sdk;

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
    /// `all-apis` where the call has none.
    scope: Option<String>,
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
                let media = match media {
                    "json" => MediaType::Json,
                    "scim" => MediaType::Scim,
                    "form-data" => MediaType::FormData { boundary: "b" },
                    _ => MediaType::Other,
                };
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
            certificate: b"",
            proxy: None,
            source_ip: None,
        }
    }
}

fn target(kind: TargetKind, name: &str, id: Option<&str>, environment: Option<&str>, host: &str) -> TargetConfig {
    let target = Target {
        kind,
        name: Name::parse(name).unwrap(),
        workspace_id: id.map(Into::into),
        account_id: (kind == TargetKind::Account).then(|| "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9".into()),
        environment: environment.map(|name| Environment(Name::parse(name).unwrap())),
    };
    let api = match kind {
        TargetKind::Workspace => CatalogFile::WORKSPACE,
        TargetKind::Account => CatalogFile::ACCOUNT,
        TargetKind::Service => name,
    };
    TargetConfig { target: Arc::new(target), api: api.into(), hosts: vec![host.to_owned()] }
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
        && case.scope.as_deref().is_none_or(|want| want == intent.scope.as_deref().unwrap_or(Intent::ALL_APIS))
        && case.within.as_ref().is_none_or(|want| *want == within);
    (!same).then(|| format!("{} {} {resources:?} within {within:?} with {fields:?}", intent.action.name, intent.action.level.as_str()))
}

fn cases(file: &str) -> Vec<Case> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/classify").join(file);
    serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn run(file: &str) {
    run_with(&classifier(), file);
}

fn run_with(classifier: &Classifier, file: &str) {
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
    run("families.yaml");
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    run("refusals.yaml");
}

/// What a catalog can say that the shipped one does not need.
#[test]
fn a_catalog_of_ones_own_is_read_by_the_same_rules() {
    let files = ["types", "calls"].map(|name| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/classify/own/{name}.yaml"));
        CatalogFile::new(path.clone(), std::fs::read_to_string(path).unwrap(), CatalogFile::WORKSPACE)
    });
    let catalog = Catalog::load(&files).unwrap();
    let targets = targets().into_iter().filter(|config| config.target.kind != TargetKind::Service).collect();
    run_with(&Classifier::new(Arc::new(catalog), targets).unwrap(), "own.yaml");
}

#[test]
fn targets_are_found_by_host_and_workspace_id() {
    run("targets.yaml");
}

fn load(text: &str) -> Vec<String> {
    let types = "types: [{ name: Job, form: decimal }]";
    let file = |(path, text): (&str, &str)| CatalogFile::new(PathBuf::from(path), text.to_owned(), CatalogFile::WORKSPACE);
    let files = [("types.yaml", types), ("mine.yaml", text)].map(file);
    Catalog::load(&files).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn a_catalog_with_faults_names_all_of_them() {
    let call = |rest: &str| format!("calls:\n  - {{ action: jobs.get, level: read, method: GET, {rest} }}\n");
    for (text, want) in [
        (call("path: /a, resource: { type: Moon, id: x }"), "the type `Moon` is not declared"),
        (call("path: a"), "a path begins with `/`"),
        (call("path: /a, colour: red"), "colour"),
        (call("path: /a, resource: { type: Job, id: x, in: [body] }"), "a body that is not read"),
        (call("path: /a, body: form, resource: { type: Job, id: x.y, in: [body] }"), "which a form does not have"),
        (call("path: /a, body: form, resource: { type: Job, id: 'x[]', in: [body] }"), "which a form does not have"),
        (call("path: /a, workspace_param: w"), "no parameter `w`"),
        (call("path: /a, fields: [{ name: method }]"), "cannot be called `method`"),
        (call("path: /a, fields: [{ name: x, from: \"x[]\" }]"), "must be `texts`"),
        (call("path: /a, body: json, fields: [{ name: x, from: \"x{}\", in: [body] }]"), "must be `bool`"),
        (call("path: /a, body: json, fields: [{ name: x, kind: bool, from: [\"x{}\", z], in: [body] }]"), "must be `bool`"),
        (call("path: /a, fields: [{ name: x, kind: bool, from: \"x{}\" }]"), "stand in bodies alone"),
        (call("path: /a, body: json, fields: [{ name: x, kind: bool, from: \"x{}\", in: [body] }, { name: z, from: x }]"), "a value of its own"),
        (call("path: /a, body: json, resource: { type: Job, id: \"x{}\", in: [body] }"), "`x` is an object, and no id"),
        (call("path: /a, resource: { id: x }"), "a resource has one of"),
        (
            call("path: /a, body: json, resource: { id: \"x[].name\", in: [body], chosen: { by: \"y[].type\", types: { a: Workspace } } }"),
            "stands in one object with its id",
        ),
        (call("path: /a, fields: [{ name: a, kind: texts, from: [\"x[]\", \"x.y\"] }]"), "`x` is a list, and it is not"),
        (call("path: /a, fields: [{ name: a, from: [x, \"x.y\"] }]"), "`x` is an object"),
        (call("path: /a, fields: [{ name: a, from: [job_id, jobid] }]"), "differ in nothing"),
        ("calls: [{ action: get, level: read, method: GET, path: /a }]".to_owned(), "not an action"),
        ("calls: [{ action: a.b, level: read, method: FETCH, path: /a }]".to_owned(), "not a method"),
        ("types: [{ name: Job, form: exact }]".to_owned(), "declared twice"),
        ("types: [{ name: A, form: exact, in: [B] }]".to_owned(), "is not declared"),
        ("types: [{ name: A, form: exact, seen_as: [B] }]".to_owned(), "is seen as `B`, which is not declared"),
        ("types: [{ name: User, form: exact }]".to_owned(), "not a name for a type"),
        (
            "types: [{ name: A, form: lower, in: [B], nesting: dotted }, { name: B, form: lower, in: [A], nesting: dotted }]".to_owned(),
            "is in itself",
        ),
        ("types: [{ name: F, form: path, nesting: volume }]".to_owned(), "needs the types"),
        (call("path: '/{a}/{a}'"), "one parameter twice"),
        (call("path: /a, scope: 'a  b'"), "not a list of scopes"),
        (call("path: /a, scope: ''"), "not a list of scopes"),
        (format!("scopes: {{ jobs: 'A\"' }}\n{}", call("path: /a")), "not a list of scopes"),
        (format!("scopes: {{ job: jobs }}\n{}", call("path: /a")), "no call of `job`"),
        (call("path: /a, fields: [{ name: in }]"), "cannot be called `in`"),
        ("calls: [{ action: a.b, level: read, method: GET, path: /a }, { action: a.b, level: use, method: PUT, path: /a }]".to_owned(), "two levels"),
    ] {
        let faults = load(&text);
        assert!(faults.iter().any(|fault| fault.starts_with("mine.yaml:") && fault.contains(want)), "{text}\n{faults:?}");
    }
    let two = "calls:\n  - { action: a.b, level: read, method: GET, path: a }\n  - { action: a.c, level: read, method: GET, path: b }\n";
    assert_eq!(load(two).len(), 2);
}

#[test]
fn a_type_stands_in_what_its_file_is_about_unless_it_says() {
    let text = "types: [{ name: Thing, form: exact }]\ncalls: [{ action: a.b, level: read, method: GET, path: '/a/{id}', resource: { type: Thing, id: id } }]\n";
    for (api, head, want) in [
        (CatalogFile::WORKSPACE, "", "Workspace"),
        (CatalogFile::WORKSPACE, "targets: [account]\n", "Account"),
        (CatalogFile::WORKSPACE, "targets: [workspace, account]\n", "Workspace"),
        (CatalogFile::WORKSPACE, "targets: [mlflow]\n", "Service"),
        ("own-orders", "", "Service"),
    ] {
        let file = CatalogFile::new(PathBuf::from("mine.yaml"), format!("{head}{text}"), api);
        let catalog = Catalog::load(&[file]).unwrap();
        let parents: Vec<&str> = catalog.vocabulary().type_named("Thing").unwrap().parents.iter().map(TypeName::as_str).collect();
        assert_eq!(parents, [want], "{api} {head}");
    }
}

#[test]
fn templates_that_cannot_be_told_apart_are_a_fault_that_names_both() {
    let text =
        "calls:\n  - { action: a.one, level: read, method: GET, path: '/x/{y}' }\n  - { action: a.two, level: read, method: GET, path: '/x/{z}' }\n";
    let faults = load(text);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("mine.yaml:3:"), "{faults:?}");
    assert!(["`a.one`", "`a.two`", "`/x/{y}`", "`GET /x/{z}`"].iter().all(|part| faults[0].contains(part)), "{faults:?}");
}

#[test]
fn the_vocabulary_is_whole() {
    let catalog = Catalog::embedded().unwrap();
    let vocabulary = catalog.vocabulary();
    assert!(vocabulary.types.is_sorted_by_key(|spec| &spec.name));
    assert!(vocabulary.actions.is_sorted_by_key(|spec| &spec.action.name));
    for name in ["Workspace", "Account", "Service", "Environment", "Job", "Table", "File"] {
        assert!(vocabulary.type_named(name).is_some(), "{name}");
    }
    for parent in vocabulary.types.iter().flat_map(|spec| &spec.parents) {
        assert!(vocabulary.type_named(parent.as_str()).is_some(), "{parent}");
    }
    let by_path = vocabulary.actions.iter().find(|spec| spec.action.name.starts_with("temporary_path_credentials.")).unwrap();
    assert!(by_path.orphans.contains(&TypeName::new("Table")), "a path of storage reaches a table without its name");
    for spec in &vocabulary.actions {
        assert!(!spec.resources.is_empty(), "{} acts on nothing", spec.action.name);
        assert!(spec.resources.is_sorted());
    }
}

/// Policies are checked against the vocabulary, so that a resource outside of it could never be permitted.
#[test]
fn what_a_call_is_stands_in_the_vocabulary() {
    let classifier = classifier();
    for case in cases("calls.yaml").into_iter().chain(cases("families.yaml")) {
        let sent = Sent::read(&case.send);
        let Ok(intent) = classifier.classify(&sent.call(&case)) else { continue };
        let spec = classifier.catalog().vocabulary().actions.iter().find(|spec| spec.action == intent.action).unwrap();
        for resource in &intent.resources {
            assert!(spec.resources.contains(&resource.entity.kind), "{} on {}", spec.action.name, resource.entity);
            let mut below = &resource.entity;
            for above in &resource.ancestors {
                let parents = &classifier.catalog().vocabulary().type_named(below.kind.as_str()).unwrap().parents;
                // An orphan stands directly in its target, though its type has a parent.
                let target = ["Workspace", "Service", "Account"].contains(&above.kind.as_str());
                assert!(target || parents.contains(&above.kind), "{below} in {above}");
                below = above;
            }
        }
        for field in &intent.fields {
            assert!(spec.fields.iter().any(|word| word.name == field.name), "{} has no {}", spec.action.name, field.name);
        }
    }
}

#[test]
fn discovery_is_seen_and_nothing_else_is() {
    let classifier = classifier();
    let asked = |send: &str| {
        let case = Case { send: send.to_owned(), ..serde_saphyr::from_str("send: x").unwrap() };
        let sent = Sent::read(&case.send);
        classifier.discovery(&sent.call(&case)).map(|answer| answer.map(|target| target.name.to_string()).map_err(|refusal| refusal.reason))
    };
    assert_eq!(asked("GET /.well-known/databricks-config"), Some(Ok("stage".to_owned())));
    assert_eq!(asked("HEAD https://acme.databricks.com/.well-known/databricks-config?o=3333333333333333"), Some(Ok("left".to_owned())));
    assert_eq!(asked("GET https://else.where/.well-known/databricks-config"), Some(Err(Reason::HostUnknown)));
    assert_eq!(asked("POST /.well-known/databricks-config"), None);
    assert_eq!(asked("GET /.well-known/databricks-config/"), None);
    assert_eq!(asked("GET /api/2.0/serving-endpoints"), None);
}

#[test]
fn a_shared_host_needs_workspace_ids() {
    let catalog = Arc::new(Catalog::embedded().unwrap());
    let of = |name: &str, id| target(TargetKind::Workspace, name, id, None, "acme.databricks.com");
    for (left, right) in [(Some("1"), Some("1")), (Some("1"), None), (None, None)] {
        let faults = Classifier::new(catalog.clone(), vec![of("left", left), of("right", right)]).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].contains("`left`, `right` share the host `acme.databricks.com`"), "{faults:?}");
    }
}

#[test]
fn more_resources_than_can_be_decided_are_refused() {
    let ids = |count: usize| format!("{{\"experiment_ids\":[{}]}}", (0..count).map(|id| id.to_string()).collect::<Vec<_>>().join(","));
    for (count, refused) in [(100, false), (101, true)] {
        let case = Case { send: "POST /api/2.0/mlflow/runs/search".to_owned(), body: Some(ids(count)), ..serde_saphyr::from_str("send: x").unwrap() };
        let sent = Sent::read(&case.send);
        let got = classifier().classify(&sent.call(&case)).map_err(|refusal| refusal.reason).err();
        assert_eq!(got, refused.then_some(Reason::BodyTooLarge));
    }
}

#[test]
fn what_is_echoed_is_escaped_and_short() {
    let path = format!("/{}\u{1b}", "x".repeat(500));
    let case = Case { send: format!("GET {path}"), ..serde_saphyr::from_str("send: x").unwrap() };
    let sent = Sent::read(&case.send);
    let refusal = classifier().classify(&sent.call(&case)).unwrap_err();
    assert!(refusal.detail.len() < 200 && !refusal.detail.contains('\u{1b}'), "{}", refusal.detail);
}

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/catalog.md")
}

#[test]
fn the_documentation_shows_the_catalog() {
    let written = std::fs::read_to_string(page()).unwrap_or_default();
    assert!(written == Catalog::embedded().unwrap().reference(), "docs/catalog.md is not what the catalog says: run `make docs`");
}

#[test]
fn a_second_name_is_taken_for_the_first() {
    let entity = |kind: &str, id: &str| EntityRef::new(&TypeName::new(kind), id);
    let names = [
        (entity("Table", "stage/0a1b"), entity("Table", "stage/main.pii.people")),
        (entity("ServingEndpoint", "stage/0c2d"), entity("ServingEndpoint", "stage/sales")),
        (entity("WorkspacePath", "stage//Users/a/churn"), entity("Experiment", "stage/99")),
    ];
    let classifier = classifier().naming(Arc::new(names.into()));
    for (send, body, resource, within) in [
        (
            "POST /api/2.0/unity-catalog/temporary-table-credentials",
            r#"{"table_id":"0A1B","operation":"READ"}"#,
            r#"Table::"stage/main.pii.people""#,
            Some(r#"Schema::"stage/main.pii""#),
        ),
        ("POST /api/2.0/unity-catalog/temporary-table-credentials", r#"{"table_id":"ffff","operation":"READ"}"#, r#"Table::"stage/ffff""#, None),
        ("PATCH /api/2.0/permissions/serving-endpoints/0c2d", "{}", r#"ServingEndpoint::"stage/sales""#, None),
        ("GET /api/2.0/mlflow/experiments/get-by-name?experiment_name=/Workspace/Users/a/churn", "", r#"Experiment::"stage/99""#, None),
    ] {
        let case =
            Case { send: send.to_owned(), body: Some(body.to_owned()).filter(|body| !body.is_empty()), ..serde_saphyr::from_str("send: x").unwrap() };
        let sent = Sent::read(&case.send);
        let intent = classifier.classify(&sent.call(&case)).unwrap();
        assert_eq!(intent.resources[0].entity.to_string(), resource);
        let ancestors: Vec<String> = intent.resources[0].ancestors.iter().map(ToString::to_string).collect();
        assert!(within.is_none_or(|within| ancestors.contains(&within.to_owned())), "{ancestors:?}");
    }
}

/// What the official SDK calls, as catalog/derive.py found it: each call has an entry of its name.
#[test]
fn every_call_of_the_sdk_is_in_the_catalog() {
    let catalog = Catalog::embedded().unwrap();
    let calls = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("catalog/sdk.tsv")).unwrap();
    let aliases = &catalog.vocabulary().aliases;
    let known = |action: &str| aliases.contains_key(action) || catalog.vocabulary().actions.iter().any(|spec| *spec.action.name == *action);
    let actions: Vec<&str> = calls.lines().skip(1).filter_map(|line| line.split('\t').nth(3)).collect();
    let missing: Vec<&&str> = actions.iter().filter(|action| !known(action)).collect();
    assert!(missing.is_empty() && actions.len() > 1_400, "{} calls, without {missing:?}", actions.len());
}

/// Every key of the entry may stand in every task: they are found in one walk, and how many values that may meet is bounded.
#[test]
fn a_body_of_more_values_than_may_be_read_is_refused() {
    let task = r#"{"task_key":"a","for_each_task":{"task":{"new_cluster":{}}},"new_cluster":{}}"#;
    for (count, refused) in [(1_000, None), (10_000, None), (11_000, Some(Reason::BodyUnreadable))] {
        let body = Some(format!("{{\"tasks\":[{}]}}", vec![task; count].join(",")));
        let case = Case { send: "POST /api/2.2/jobs/create".to_owned(), body, ..serde_saphyr::from_str("send: x").unwrap() };
        let sent = Sent::read(&case.send);
        let got = classifier().classify(&sent.call(&case)).map_err(|refusal| refusal.reason).err();
        assert_eq!(got, refused, "{count}");
    }
}
