//! One call has one meaning: whatever spelling a caller chooses, the call is classified as the same, or it is refused.

use std::{cell::Cell, fmt::Write as _, sync::Arc};

use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest,
    attribute_context::{HttpRequest, Request},
};
use lakegate::{
    classify::{Catalog, CatalogFile, Classifier, TargetConfig},
    envoy::decode,
    model::{Environment, Intent, Name, Reason, Target, TargetKind},
    normalize,
};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Map, Value, json};

const HOST: &str = "stage.cloud.databricks.com";

/// A call as it is usually written: path and query, the body where there is one.
struct Plain {
    method: &'static str,
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: Option<Value>,
}

/// How a caller may write it otherwise.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
struct Spelling {
    /// Percent-encodes the byte where the bit is set.
    encoded: Vec<bool>,
    upper_hex: bool,
    keys: Vec<Key>,
    /// An unknown key beside the others.
    extra: bool,
    /// The keys of an object in the other order.
    turned: bool,
    spaces: bool,
    /// Names that Databricks folds, in capitals.
    capitals: bool,
    escaped: bool,
}

#[derive(Clone, Copy, Debug)]
enum Key {
    AsItIs,
    Camel,
    Capital,
    Hyphens,
    Twice,
    /// `ı` for the first `i`: another letter, which folds to the same.
    Dotless,
}

fn plain() -> Vec<Plain> {
    let call = |method, path, query, body| Plain { method, path, query, body };
    vec![
        call("GET", "/api/2.0/serving-endpoints/sales", &[], None),
        call("POST", "/serving-endpoints/sales/invocations", &[], None),
        call("POST", "/serving-endpoints/chat/completions", &[], Some(json!({"model": "sales", "stream": true}))),
        call("POST", "/api/2.2/jobs/run-now", &[], Some(json!({"job_id": 42}))),
        call("GET", "/api/2.2/jobs/runs/get-output", &[("run_id", "7")], None),
        call("GET", "/api/2.0/secrets/get", &[("scope", "vault"), ("key", "k")], None),
        call("POST", "/api/2.0/mlflow/runs/search", &[], Some(json!({"experiment_ids": ["1", "2"]}))),
        call("GET", "/api/2.1/unity-catalog/tables/main.pii.people", &[], None),
        call("GET", "/api/2.1/unity-catalog/tables", &[("catalog_name", "main"), ("schema_name", "pii")], None),
        call("POST", "/api/2.0/unity-catalog/temporary-table-credentials", &[], Some(json!({"table_id": "0a1b", "operation": "READ"}))),
        call("PUT", "/api/2.0/fs/files/Volumes/main/pii/raw/a.csv", &[], None),
        call("GET", "/api/2.0/workspace/export", &[("path", "/Users/a/x")], None),
        call("POST", "/api/2.0/sql/statements", &[], Some(json!({"warehouse_id": "0a1b", "statement": "select 1"}))),
        call("PATCH", "/api/2.0/postgres/projects/p/branches/b", &[], Some(json!({"spec": {"is_protected": true}}))),
        call(
            "POST",
            "/api/2.0/mcp/functions/main/tools/search",
            &[],
            Some(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t"}})),
        ),
    ]
}

fn classifier() -> Classifier {
    let name = |text| Name::parse(text).unwrap();
    let target = Target {
        kind: TargetKind::Workspace,
        name: name("stage"),
        workspace_id: None,
        account_id: None,
        environment: Some(Environment(name("staging"))),
    };
    let config = TargetConfig { target: Arc::new(target), api: CatalogFile::WORKSPACE.into(), hosts: vec![HOST.to_owned()] };
    Classifier::new(Arc::new(Catalog::embedded().unwrap()), vec![config]).unwrap()
}

/// What lakegate makes of the check that Envoy would send.
fn understood(classifier: &Classifier, method: &str, target: &str, body: Option<&str>) -> Result<Intent, Reason> {
    let mut headers = vec![(":authority", HOST.to_owned()), (":method", method.to_owned()), (":path", target.to_owned())];
    if let Some(body) = body {
        headers.extend([("content-type", "application/json".to_owned()), ("content-length", body.len().to_string())]);
        headers.push(("x-envoy-auth-partial-body", "false".to_owned()));
    }
    let http = HttpRequest {
        method: method.to_owned(),
        path: target.to_owned(),
        host: HOST.to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        size: body.map_or(0, |body| i64::try_from(body.len()).unwrap()),
        body: body.unwrap_or_default().to_owned(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..HttpRequest::default()
    };
    let request = Request { http: Some(http), ..Request::default() };
    let check = CheckRequest { attributes: Some(AttributeContext { request: Some(request), ..AttributeContext::default() }) };
    let raw = decode(check.encode_to_vec().into()).unwrap();
    let call = normalize::normalize(&raw, &normalize::Config::default()).map_err(|refusal| refusal.reason)?;
    classifier.classify(&call).map_err(|refusal| refusal.reason)
}

// === impl Spelling ===

impl Spelling {
    /// What a caller may do to a text in a URL without changing what it says.
    fn encode(&self, text: &str, keep: &str) -> String {
        text.bytes().enumerate().fold(String::new(), |mut out, (at, byte)| {
            let chosen = self.encoded.get(at % self.encoded.len()).copied().unwrap_or_default() && !keep.as_bytes().contains(&byte);
            let written = match (chosen, self.upper_hex) {
                (false, _) => {
                    out.push(char::from(byte));
                    Ok(())
                }
                (true, true) => write!(out, "%{byte:02X}"),
                (true, false) => write!(out, "%{byte:02x}"),
            };
            written.unwrap();
            out
        })
    }

    fn key(&self, at: usize, name: &str) -> Vec<String> {
        let camel = || {
            let mut up = false;
            name.chars()
                .filter_map(|c| {
                    let was = std::mem::replace(&mut up, c == '_');
                    (c != '_').then(|| if was { c.to_ascii_uppercase() } else { c })
                })
                .collect::<String>()
        };
        match self.keys.get(at % self.keys.len()).copied().unwrap_or(Key::AsItIs) {
            Key::AsItIs => vec![name.to_owned()],
            Key::Camel => vec![camel()],
            Key::Capital => vec![name.to_uppercase()],
            Key::Hyphens => vec![name.replace('_', "-")],
            Key::Twice => vec![name.to_owned(), camel()],
            Key::Dotless => vec![name.replacen('i', "ı", 1)],
        }
    }

    /// Unity Catalog folds its names, and nothing else here.
    fn name(&self, text: &str) -> String {
        let folds = text.starts_with("main") || text == "pii";
        if self.capitals && folds { text.to_uppercase() } else { text.to_owned() }
    }

    fn target(&self, plain: &Plain) -> String {
        let segments = plain.path.split('/').map(|segment| self.encode(&self.name(segment), "/"));
        let mut target = segments.collect::<Vec<_>>().join("/");
        let mut pairs: Vec<String> = Vec::new();
        for (at, (key, value)) in plain.query.iter().enumerate() {
            for key in self.key(at, key) {
                pairs.push(format!("{}={}", self.encode(&key, "ı"), self.encode(&self.name(value), "")));
            }
        }
        if self.extra && !pairs.is_empty() {
            pairs.push("page_size=10".to_owned());
        }
        if self.turned {
            pairs.reverse();
        }
        if !pairs.is_empty() {
            target.push('?');
            target.push_str(&pairs.join("&"));
        }
        target
    }

    fn body(&self, body: &Value) -> String {
        let respelled = self.value(body, 0);
        let text = if self.spaces { serde_json::to_string_pretty(&respelled).unwrap() } else { respelled.to_string() };
        // The same letter, written as JSON allows.
        if self.escaped { text.replacen('_', "\\u005f", 1) } else { text }
    }

    fn value(&self, value: &Value, depth: usize) -> Value {
        let Value::Object(members) = value else { return value.clone() };
        let mut all: Vec<(String, Value)> = Vec::new();
        for (at, (key, value)) in members.iter().enumerate() {
            all.extend(self.key(at + depth, key).into_iter().map(|key| (key, self.value(value, depth + 1))));
        }
        if self.extra {
            all.push(("lakegate_does_not_know".to_owned(), json!([{"a": null}])));
        }
        if self.turned {
            all.reverse();
        }
        Value::Object(all.into_iter().collect::<Map<_, _>>())
    }
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let key = prop_oneof![
        6 => Just(Key::AsItIs), 2 => Just(Key::Camel), 1 => Just(Key::Capital), 1 => Just(Key::Hyphens), 1 => Just(Key::Twice), 1 => Just(Key::Dotless)
    ];
    let bits = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (prop::collection::vec(prop::bool::weighted(0.1), 1..24), prop::collection::vec(key, 1..4), bits).prop_map(
        |(encoded, keys, (upper_hex, extra, turned, spaces, capitals, escaped))| Spelling {
            encoded,
            upper_hex,
            keys,
            extra,
            turned,
            spaces,
            capitals,
            escaped,
        },
    )
}

#[test]
fn no_two_spellings_of_one_call_are_two_calls() {
    let classifier = classifier();
    let all = plain();
    let meant: Vec<Intent> = all
        .iter()
        .map(|plain| {
            let target = plain
                .query
                .iter()
                .fold(plain.path.to_owned(), |target, (key, value)| format!("{target}{}{key}={value}", if target.contains('?') { '&' } else { '?' }));
            let body = plain.body.as_ref().map(Value::to_string);
            understood(&classifier, plain.method, &target, body.as_deref()).unwrap_or_else(|reason| panic!("{} {target}: {reason:?}", plain.method))
        })
        .collect();
    let (same, refused) = (Cell::new(0), Cell::new(0));
    let mut runner = prop::test_runner::TestRunner::new(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() });
    runner
        .run(&(0..all.len(), spelling()), |(index, spelling)| {
            let (plain, meant) = (&all[index], &meant[index]);
            let (target, body) = (spelling.target(plain), plain.body.as_ref().map(|body| spelling.body(body)));
            match understood(&classifier, plain.method, &target, body.as_deref()) {
                Err(_) => refused.set(refused.get() + 1),
                Ok(intent) => {
                    same.set(same.get() + 1);
                    prop_assert_eq!(&intent.action.name, &meant.action.name, "{} {:?}", target, body);
                    prop_assert_eq!(&intent.resources, &meant.resources, "{} {:?}", target, body);
                    prop_assert_eq!(&intent.fields, &meant.fields, "{} {:?}", target, body);
                }
            }
            Ok(())
        })
        .unwrap();
    let (same, refused) = (same.get(), refused.get());
    assert!(same > 500 && refused > 500, "{same} the same, {refused} refused: the spellings prove little");
}
