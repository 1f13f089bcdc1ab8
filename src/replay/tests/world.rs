//! A pipeline with everything real but the wire, whose records are read back.

use std::{fs, io::BufRead as _, path::Path, sync::Arc};

use bytes::{BufMut as _, BytesMut};
use lakegate_testkit::issuer::{Issuer, TokenSpec};
use serde_json::{Value, json};
use tokio::{
    runtime::Runtime,
    time::{Duration, Instant},
};

use crate::{
    audit::{self, Auditor},
    clock::Clock,
    config::Config,
    model::{RawCall, RawFields, Span},
    net,
    pipeline::{Pipeline, Snapshot},
    reload::{self, Compiler, Published},
    telemetry::trace::Tracer,
};

pub(super) struct World {
    pub(super) runtime: Runtime,
    pub(super) clock: Clock,
    issuer: Issuer,
    published: Arc<Published>,
    pipeline: Pipeline,
    folder: tempfile::TempDir,
    read: std::cell::Cell<usize>,
}

/// One call as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) method: &'static str,
    pub(super) host: &'static str,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) peer: Option<String>,
    pub(super) source: Option<&'static str>,
    /// The claims that differ from an honest token's; null leaves one out. `None` sends no token.
    pub(super) claims: Option<Value>,
}

// === impl World ===

impl World {
    pub(super) fn new(policies: &str, inventory: &Value) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let issuer = runtime.block_on(Issuer::start("corp")).unwrap();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        write("policies/all.cedar", policies.to_owned());
        write("entities.json", inventory.to_string());
        write("corp.jwks.json", issuer.jwks().to_string());
        let config = json!({
            "version": 1,
            "listen": { "check": "127.0.0.1:0", "admin": "127.0.0.1:0" },
            "peers": { "trust_domains": ["cluster.local", "other.org"], "required": false },
            "issuers": [{ "name": "corp", "issuer": issuer.url(), "provider": "generic", "audiences": ["lakegate"], "jwks_file": "corp.jwks.json",
                "roles_claim": "roles", "kind": "detect", "longest_token": "400d",
                "actors": ["agent", "a/b"], "purpose_claim": "purpose",
                "attributes": { "branch": { "claim": "git.ref", "type": "string" }, "checks": { "claim": "checks", "type": "long" },
                    "draft": { "claim": "draft", "type": "bool" }, "labels": { "claim": "labels", "type": "strings" } } }],
            "workspaces": [
                { "name": "stage", "hosts": ["stage.example.com"], "workspace_id": "1", "environment": "staging" },
                { "name": "prod", "hosts": ["prod.example.com"], "workspace_id": "2", "environment": "prod" },
            ],
            "accounts": [{ "name": "stage", "hosts": ["accounts.example.com"], "account_id": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9" }],
            "services": [{ "name": "stage", "hosts": ["models.example.com"], "environment": "dev", "catalog": "openai" }],
            "policy": { "dir": "policies", "entities": "entities.json", "candidate": "candidate" },
            "audit": { "file": "audit.jsonl" },
        });
        write("lakegate.yaml", lakegate_testkit::yaml::write(&config));
        let clock = Clock::default();
        let client = net::Client::new(&net::Config::default()).unwrap();
        let compiler = Compiler::new(&folder.path().join("lakegate.yaml"), client, clock.clone()).unwrap_or_else(|faults| panic!("{faults:?}"));
        let set = compiler.compile(None).unwrap_or_else(|faults| panic!("{faults:?}"));
        let mut registry = crate::telemetry::registry();
        let sink = audit::Sink::File(folder.path().join("audit.jsonl"));
        let config = audit::Config { sink, on_failure: audit::OnFailure::Deny, fsync: audit::Fsync::Always, queue: 100 };
        let (auditor, _writer) = Auditor::start(&config, clock.clone(), &mut registry).unwrap();
        let published = Arc::new(Published::new(set.snapshot, Vec::new(), clock.clone(), &mut registry));
        let pipeline = Pipeline::new(published.cell(), auditor, clock.clone(), Tracer::default(), &mut registry);
        Self { runtime, clock, issuer, published, pipeline, folder, read: std::cell::Cell::new(0) }
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.published.snapshot()
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Holds the policies in `text` against those that decide, from the next call on.
    pub(super) fn compare(&self, text: &str) {
        fs::create_dir(self.folder().join("candidate")).unwrap();
        fs::write(self.folder().join("candidate/all.cedar"), text).unwrap();
        let (config, snapshot) = (Config::load(&self.folder().join("lakegate.yaml")).unwrap(), self.snapshot());
        self.published.compare(&snapshot, reload::candidate(&config, &snapshot, None).unwrap());
        assert!(snapshot.candidate().is_some());
    }

    /// Sends `calls` through the pipeline; the records that they leave.
    pub(super) fn records(&self, calls: &[Sent]) -> Vec<Value> {
        self.send(calls, Duration::from_mins(1));
        let records = self.written();
        assert_eq!(records.len(), calls.len());
        records
    }

    /// Sends `calls` through the pipeline, with so much time for each answer.
    pub(super) fn send(&self, calls: &[Sent], time: Duration) {
        for sent in calls {
            let raw = self.raw(sent);
            drop(self.runtime.block_on(self.pipeline.decide(&raw, Instant::now() + time)));
        }
    }

    /// The records that were not looked at yet.
    pub(super) fn written(&self) -> Vec<Value> {
        let file = fs::File::open(self.folder().join("audit.jsonl")).unwrap();
        let lines: Vec<String> = std::io::BufReader::new(file).lines().skip(self.read.get()).map(Result::unwrap).collect();
        self.read.set(self.read.get() + lines.len());
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn token(&self, claims: &Value) -> String {
        // Good for longer than the clock is ever moved.
        let mut spec =
            TokenSpec::new().expires_in(20_000_000).claim("iat", self.clock.now() - 10_000_000).claim("nbf", self.clock.now() - 10_000_000);
        for (name, value) in claims.as_object().unwrap() {
            spec = if value.is_null() { spec.without(name) } else { spec.claim(name, value.clone()) };
        }
        self.issuer.token(&spec).unwrap()
    }

    fn raw(&self, sent: &Sent) -> RawCall {
        let mut wire = BytesMut::new();
        let mut put = |text: &str| {
            let start = wire.len();
            wire.put_slice(text.as_bytes());
            Span::new(start..wire.len()).unwrap()
        };
        let body = sent.body.as_ref().map(Value::to_string);
        let mut headers = Vec::new();
        if let Some(body) = &body {
            headers.extend([("content-type", "application/json".to_owned()), ("content-length", body.len().to_string())]);
            headers.push(("x-envoy-auth-partial-body", "false".to_owned()));
        }
        headers.extend(sent.claims.as_ref().map(|claims| ("authorization", format!("Bearer {}", self.token(claims)))));
        let fields = RawFields {
            principal: put(sent.peer.as_deref().unwrap_or_default()),
            source_address: put(sent.source.unwrap_or_default()),
            method: put(sent.method),
            path: put(&sent.path),
            host: put(sent.host),
            protocol: put("HTTP/1.1"),
            size: i64::try_from(body.as_deref().map_or(0, str::len)).unwrap(),
            headers: headers.iter().map(|(name, value)| (put(name), put(value))).collect(),
            body: body.as_deref().map(&mut put),
            ..RawFields::default()
        };
        RawCall::new(wire.freeze(), fields)
    }
}
