use std::{fs, path::Path};

use proptest::prelude::*;

use super::*;
use crate::{
    authn::{ClaimPath, Requirement},
    model::TargetKind,
};

mod claims;
mod credentials;
mod refused;

/// A folder that holds every file that the configurations of these tests name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    for file in ["tls.crt", "tls.key", "ca.crt", "corp.jwks.json", "entities.json"] {
        fs::write(folder.path().join(file), "x").unwrap();
    }
    folder
}

const FULL: &str = r#"version: 1
listen:
  check: 0.0.0.0:9191
  tls: { cert: tls.crt, key: tls.key, client_ca: ca.crt, allow: ["spiffe://cluster.local/ns/istio-egress/sa/*"] }
  admin: "[::1]:9192"
  control: lakegate.sock
peers:
  trust_domains: [cluster.local, b.example]
  aliases: { old.example: b.example }
  source: connection
  writes_xfcc: false
  required: false
  proxies: [{ spiffe: "spiffe://old.example/ns/a/sa/*", source: xfcc }, { spiffe: "spiffe://cluster.local/gw", source: principal, writes_xfcc: true }]
issuers:
  - { name: corp, issuer: "http://127.0.0.1:8080/realms/ml", provider: keycloak, audiences: [lakegate, other], jwks_file: corp.jwks.json, roles_claim: [a, b], bindings: none }
  - name: ci
    issuer: https://ci.example.com
    provider: generic
    audiences: [lakegate]
    algorithms: [ES256, EdDSA]
    jwks_uri: http://localhost:8081/keys
    subject_claim: oid
    groups_claim: teams
    roles_claim: roles
    kind: service-principal
    bindings: [{ when: { kind: service-principal, team: ml, a.b: [x, y] }, peers: ["spiffe://old.example/ns/{team}/sa/*"] }]
    leeway: 90s
    token_types: [at+jwt, jwt]
    longest_token: 24h
    session: { longest: 12h, idle: 30m }
    logout: { audience: lakegate-client }
    possession: required
    introspection:
      when: always
      endpoint: https://ci.example.com/introspect
      client_id: lakegate
      auth: private_key_jwt
      key: tls.key
      key_id: k1
      assertion_audience: endpoint
      window: 30s
      audience_optional: true
workspaces:
  - { name: one, hosts: [shared.example.com], workspace_id: "1", environment: dev, credentials: { mode: passthrough }, trust: none }
  - { name: two, hosts: [shared.example.com], workspace_id: "2", environment: dev, mode: shadow, trust: [peer, subject, peer] }
accounts: [{ name: one, hosts: [accounts.example.com], account_id: 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9 }]
policy: { dir: policies, entities: entities.json, groups: policies, access: policies, grants: { dir: policies, longest: 8h }, candidate: not/there/yet, mode: shadow, shadow: { namespaces: [cluster.local/ml-dev, b.example/x] } }
trust: { prefix: x-corp-gate- }
audit: { file: audit.jsonl, on_failure: allow, fsync: always }
explain_to_caller: none
help_url: https://wiki.example.com/lakegate?decision={decision}
telemetry: { otlp: "http://otel-collector:4317", log: debug, log_format: text }
limits: { body: 1MiB, bodies: 2MiB, token: 8KiB, headers: 64KiB, streams: 10, connections: 20 }
faults: { visible_after: 2m }
"#;

const GOOD: &str = r#"version: 1
listen:
  check: 127.0.0.1:9191
peers:
  trust_domains: [cluster.local]
issuers:
  - name: corp
    issuer: https://corp.example.com
    provider: generic
    audiences: [lakegate]
workspaces:
  - name: stage
    hosts: [stage.cloud.databricks.com]
    workspace_id: "1111111111111111"
    environment: staging
policy:
  dir: policies
"#;

fn parse(text: &str) -> Result<Config, Vec<Fault>> {
    let folder = folder();
    Config::parse(&folder.path().join("lakegate.yaml"), text)
}

/// What is wrong with `text`, a fault a line: `line:column message; help`.
fn faults(text: &str) -> String {
    let faults = parse(text).expect_err("it should be refused");
    let line = |fault: &Fault| {
        format!(
            "{}:{} {}; {}",
            fault.line.unwrap_or_default(),
            fault.column.unwrap_or_default(),
            fault.message,
            fault.help.as_deref().unwrap_or_default()
        )
    };
    faults.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The committed reference: its introduction, then what is generated.
fn documented() -> (String, String) {
    let text = fs::read_to_string(file("docs/configuration.md")).unwrap();
    let (introduction, generated) = text.split_once(MARK).expect("docs/configuration.md has its mark");
    (introduction.to_owned(), generated.to_owned())
}

const MARK: &str = "<!-- reference: generated from the JSON Schema; a test compares it -->\n\n";

#[test]
fn the_least_configuration_has_the_defaults_of_the_design() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.listen.admin, "127.0.0.1:9192".parse().unwrap());
    assert_eq!((config.listen.insecure, &config.listen.tls, &config.listen.control), (false, &None, &None));
    assert!(config.peers.required);
    assert_eq!((config.policy.mode, config.explain_to_caller), (Mode::Enforce, Explain::Own));
    assert_eq!(config.trust_prefix, "x-lakegate-");
    assert_eq!(config.audit, Audit { sink: AuditSink::Stdout, on_failure: OnFailure::Deny, fsync: Fsync::Batch });
    let limits = Limits { body: 16 << 20, bodies: 64 << 20, token: 16 << 10, headers: 96 << 10, streams: 200, connections: 1024 };
    assert_eq!(config.limits, limits);
    assert_eq!(config.faults_visible_after, Duration::from_secs(20));
    let [stage] = config.targets.as_slice() else { panic!("one target") };
    assert_eq!((&stage.credentials, stage.mode, &stage.trust), (&Credentials::Strip, None, &Trust::All));
    assert_eq!((stage.target.kind, stage.target.workspace_id.as_deref()), (TargetKind::Workspace, Some("1111111111111111")));
}

#[test]
fn every_key_is_read() {
    let folder = folder();
    let path = folder.path().join("lakegate.yaml");
    fs::write(&path, FULL).unwrap();
    let config = Config::load(&path).unwrap();
    let at = |name: &str| folder.path().join(name);
    let tls = Tls {
        cert: at("tls.crt"),
        key: at("tls.key"),
        client_ca: at("ca.crt"),
        allow: vec!["spiffe://cluster.local/ns/istio-egress/sa/*".to_owned()],
    };
    assert_eq!((&config.listen.tls, &config.listen.control), (&Some(tls), &Some(at("lakegate.sock"))));
    let spiffe = |text: &str| crate::model::SpiffePattern::parse(text).unwrap();
    let peers = Peers {
        trust_domains: vec!["cluster.local".to_owned(), "b.example".to_owned()],
        aliases: [("old.example".to_owned(), "b.example".to_owned())].into(),
        source: PeerSource::Connection,
        writes_xfcc: false,
        required: false,
        proxies: vec![
            PeerProxy { spiffe: spiffe("spiffe://b.example/ns/a/sa/*"), source: PeerSource::Xfcc, writes_xfcc: true },
            PeerProxy { spiffe: spiffe("spiffe://cluster.local/gw"), source: PeerSource::Principal, writes_xfcc: true },
        ],
    };
    assert_eq!(config.peers, peers);
    holds_every_key(&config.issuers, folder.path());
    let treated: Vec<_> = config.targets.iter().map(|entry| (entry.target.kind, &entry.credentials, entry.mode, &entry.trust)).collect();
    let only = Trust::Only(vec![TrustHeader::Subject, TrustHeader::Peer]);
    let expected = [
        (TargetKind::Workspace, &Credentials::Passthrough(PersonalTokens::Refuse), None, &Trust::None),
        (TargetKind::Workspace, &Credentials::Strip, Some(Mode::Shadow), &only),
        (TargetKind::Account, &Credentials::Strip, None, &Trust::All),
    ];
    assert_eq!(treated, expected);
    let policy = Policy {
        dir: at("policies"),
        entities: Some(at("entities.json")),
        groups: Some(at("policies")),
        access: Some(at("policies")),
        grants: Some(Grants { dir: at("policies"), longest: Duration::from_hours(8) }),
        candidate: Some(at("not/there/yet")),
        mode: Mode::Shadow,
        shadow_namespaces: vec!["cluster.local/ml-dev".to_owned(), "b.example/x".to_owned()],
    };
    assert_eq!(config.policy, policy);
    assert_eq!(config.audit, Audit { sink: AuditSink::File(at("audit.jsonl")), on_failure: OnFailure::Allow, fsync: Fsync::Always });
    assert_eq!((config.trust_prefix.as_str(), config.explain_to_caller), ("x-corp-gate-", Explain::None));
    assert_eq!(config.help_url.as_deref(), Some("https://wiki.example.com/lakegate?decision={decision}"));
    let telemetry = Telemetry { otlp: Some("http://otel-collector:4317".to_owned()), log: LogLevel::Debug, log_format: LogFormat::Text };
    assert_eq!(config.telemetry, telemetry);
    assert_eq!((config.limits.streams, config.limits.bodies, config.faults_visible_after), (10, 2 << 20, Duration::from_mins(2)));
    let watched = "lakegate.yaml policies entities.json policies policies policies not/there/yet corp.jwks.json tls.key tls.crt tls.key ca.crt"
        .split(' ')
        .map(at);
    assert_eq!(config.watched(), watched.collect::<Vec<_>>());
}

/// The issuers of `FULL`, in `folder`.
fn holds_every_key(issuers: &[Issuer], folder: &Path) {
    let at = |name: &str| folder.join(name);
    let [corp, ci] = issuers else { panic!("two issuers") };
    assert_eq!(
        (corp.provider, &corp.jwks_file, &corp.roles_claim),
        (Provider::Keycloak, &Some(at("corp.jwks.json")), &Some(["a", "b"].map(|claim| ClaimPath::parse(claim).unwrap()).to_vec()))
    );
    assert_eq!(ci.algorithms.as_deref(), Some(["ES256".to_owned(), "EdDSA".to_owned()].as_slice()));
    assert_eq!(
        (ci.subject_claim.as_deref(), ci.groups_claim.as_ref().map(ToString::to_string).as_deref(), ci.kind),
        (Some("oid"), Some("teams"), Some(Kind::ServicePrincipal))
    );
    let Bindings::Only(bindings) = &ci.bindings else { panic!("{:?}", ci.bindings) };
    let [binding] = bindings.as_slice() else { panic!("one binding") };
    let wanted = |path: &str, any_of: &[&str]| Requirement {
        claim: ClaimPath::parse(path).unwrap(),
        any_of: any_of.iter().map(ToString::to_string).collect(),
    };
    assert_eq!((&corp.bindings, binding.kind), (&Bindings::Any, Some(BoundKind::ServicePrincipal)));
    assert_eq!(binding.claims, [wanted("a.b", &["x", "y"]), wanted("team", &["ml"])]);
    assert_eq!(binding.peers.iter().map(crate::authn::PeerTemplate::trust_domain).collect::<Vec<_>>(), ["b.example"]);
    let hours = |hours| Some(Duration::from_hours(hours));
    assert_eq!((ci.longest_token, ci.longest_session, ci.idle_session), (hours(24), hours(12), Some(Duration::from_mins(30))));
    assert_eq!(ci.logout_audience.as_deref(), Some("lakegate-client"));
    assert_eq!((ci.leeway, ci.jwks_uri.as_deref()), (Some(Duration::from_secs(90)), Some("http://localhost:8081/keys")));
    assert_eq!((ci.possession, ci.introspection.as_ref()), (Possession::Required, Some(&introspection_of_ci(at("tls.key")))));
}

fn introspection_of_ci(key: PathBuf) -> Introspection {
    Introspection {
        when: IntrospectWhen::Always,
        endpoint: Some("https://ci.example.com/introspect".to_owned()),
        client_id: "lakegate".to_owned(),
        proof: ClientProof::PrivateKeyJwt { key, key_id: Some("k1".to_owned()), audience: AssertionAudience::Endpoint },
        window: Duration::from_secs(30),
        audience_optional: true,
    }
}

/// As a program writes it: lists not indented, quotes only where YAML 1.1 needs them, loopback issuers, three workspaces.
#[test]
fn what_other_programs_write_is_read() {
    let text = r"version: 1
listen:
  check: 127.0.0.1:40001
  admin: 127.0.0.1:40002
peers:
  trust_domains:
  - cluster.local
  source: principal
  required: true
issuers:
- name: corp
  issuer: http://127.0.0.1:40003/realms/corp
  provider: generic
  audiences:
  - lakegate
workspaces:
- name: stage
  hosts:
  - stage.cloud.databricks.com
  workspace_id: '1111111111111111'
  environment: staging
  credentials:
    mode: passthrough
- name: dev
  hosts:
  - dev.cloud.databricks.com
  workspace_id: '3333333333333333'
  environment: dev
  credentials:
    mode: strip
policy:
  dir: policies
trust:
  prefix: x-lakegate-
audit:
  file: audit.jsonl
";
    let config = parse(text).unwrap();
    assert_eq!(
        config.targets.iter().map(|entry| &entry.credentials).collect::<Vec<_>>(),
        [&Credentials::Passthrough(PersonalTokens::Refuse), &Credentials::Strip]
    );
    let report = faults(&text.replace("listen:", "listn:").replace("audiences:", "audiencs:"));
    assert!(
        report.contains("2:1 unknown key `listn`; did you mean `listen`?")
            && report.contains("14:3 unknown key `audiencs`; did you mean `audiences`?"),
        "{report}"
    );
}

#[test]
fn the_example_loads() {
    let config = Config::load(&file("examples/lakegate.yaml")).unwrap();
    assert!(config.listen.check.ip().is_loopback() && config.listen.admin.ip().is_loopback(), "it must start on a laptop");
    assert_eq!((config.issuers.len(), config.targets.len()), (2, 5));
}

/// Writing a default out changes nothing, so the schema, the reference and the code agree on it.
#[test]
fn a_written_default_is_the_default() {
    fn fill(value: &mut serde_json::Value, schema: &'static serde_json::Value, filled: &mut usize) {
        let schema = schema::resolved(schema::root(), schema);
        if let (Some(items), Some(item)) = (value.as_array_mut(), schema.get("items")) {
            for value in items {
                fill(value, item, filled);
            }
        }
        for (key, property) in schema.get("properties").and_then(serde_json::Value::as_object).into_iter().flatten() {
            if let Some(default) = property.get("default") {
                *filled += 1;
                value[key] = default.clone();
            }
            let inner = schema::resolved(schema::root(), property);
            let can_be_empty = inner.get("properties").is_some() && inner.get("required").is_none();
            if can_be_empty && value.get(key).is_none() {
                value[key] = serde_json::json!({});
            }
            if let Some(value) = value.get_mut(key) {
                fill(value, inner, filled);
            }
        }
    }
    let plain = serde_json::json!({
        "version": 1,
        "listen": { "check": "127.0.0.1:9191" },
        "peers": { "trust_domains": ["cluster.local"] },
        "issuers": [{
            "name": "corp", "issuer": "https://corp.example.com", "provider": "generic", "audiences": ["lakegate"],
            "session": { "longest": "12h" },
            "introspection": { "when": "opaque", "client_id": "lakegate", "secret_file": "ca.crt" },
        }],
        "workspaces": [{ "name": "stage", "hosts": ["stage.example.com"], "environment": "staging" }],
        "accounts": [{ "name": "main", "hosts": ["accounts.example.com"], "account_id": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9" }],
        "services": [{ "name": "mlflow", "hosts": ["mlflow.example.com"], "environment": "staging", "catalog": "mlflow" }],
        "policy": { "dir": "policies", "grants": { "dir": "policies" } },
        "trust": { "assertion": { "keys": ["ca.crt"] } },
    });
    let (mut written, mut filled) = (plain.clone(), 0);
    fill(&mut written, schema::root(), &mut filled);
    let folder = folder();
    let path = folder.path().join("lakegate.yaml");
    // JSON is YAML.
    let [plain, written] = [plain, written].map(|json| Config::parse(&path, &json.to_string()).unwrap_or_else(|faults| panic!("{json}\n{faults:?}")));
    assert_eq!(written, plain);
    assert_eq!(filled, json_schema().matches("\"default\":").count() + 2 * 6, "`credentials` stands in workspaces, in accounts and in services");
}

#[test]
fn the_committed_schema_and_reference_are_those_of_this_code() {
    let mend = "run `make docs`";
    assert_eq!(fs::read_to_string(file("docs/lakegate.schema.json")).unwrap(), json_schema(), "{mend}");
    assert_eq!(documented().1, reference(), "{mend}");
}

#[test]
fn every_key_of_the_schema_stands_in_the_reference_and_has_a_meaning() {
    fn keys(schema: &serde_json::Value, found: &mut Vec<String>) {
        for (name, key) in schema.get("properties").and_then(serde_json::Value::as_object).into_iter().flatten() {
            assert!(key.get("description").is_some(), "{name} has no description");
            found.push(name.clone());
        }
    }
    let mut found = Vec::new();
    keys(schema::root(), &mut found);
    schema::root()["$defs"].as_object().unwrap().values().for_each(|definition| keys(definition, &mut found));
    let reference = reference();
    for key in found {
        assert!(reference.contains(&format!("| `{key}` |")), "{key}");
    }
    assert!(!json_schema().contains("\"null\""), "a key without a value is a fault");
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in "(?s).{0,200}") {
        drop(parse_nowhere(&text));
    }

    #[test]
    fn no_yaml_like_text_is_a_panic(parts in proptest::collection::vec(prop::sample::select(PIECES), 0..40)) {
        drop(parse_nowhere(&parts.concat()));
    }

    /// A good configuration with one part of it replaced is read or refused with a place, and never half of each.
    #[test]
    fn a_spoiled_configuration_is_explained(start in 0..GOOD.len(), length in 0..40_usize, part in prop::sample::select(PIECES)) {
        let end = (start + length).min(GOOD.len());
        let text = [GOOD.get(..start), Some(part), GOOD.get(end..)].into_iter().flatten().collect::<String>();
        if let Err(faults) = parse_nowhere(&text) {
            prop_assert!(!faults.is_empty());
            for fault in faults {
                prop_assert!(!fault.message.is_empty() && !fault.message.ends_with('.') && fault.message.len() < 600, "{fault}");
            }
        }
    }
}

const PIECES: &[&str] = &[
    "version: 1\n",
    "listen:\n",
    "  check: ",
    "127.0.0.1:1",
    "- ",
    "? ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "|",
    ">",
    "\n",
    "\t",
    "  ",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "\"",
    "'",
    "\\",
    "~",
    "null",
    "true",
    "1e999",
    "-9999999999999999999999",
    "16MiB",
    "issuers:\n",
    "workspaces:\n",
    "hosts: ",
    "\u{feff}",
    "\u{0}",
    "é",
    "\u{202e}",
    "\r\n",
    "services: x\n",
    "peers: {trust_domains: [a]}\n",
];

/// Without files, so that a property test is quick: what names one is a fault.
fn parse_nowhere(text: &str) -> Result<Config, Vec<Fault>> {
    Config::parse(Path::new("/nowhere/lakegate.yaml"), text)
}
