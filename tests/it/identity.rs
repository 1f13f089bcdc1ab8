//! Tokens as each provider documents them, and what they become: `tests/cases/identity/`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use lakegate::{
    authn::Trail,
    clock::Clock,
    config::Config,
    model::{FieldValue, Refusal, Token},
    net,
    reload::Compiler,
};
use lakegate_testkit::issuer::{Issuer, TokenSpec};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// One provider's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    issuers: Vec<Value>,
    tokens: Vec<Case>,
    #[serde(default)]
    loadable: Vec<Value>,
    #[serde(default)]
    unloadable: Vec<Unloadable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// In place of RS256 and `typ: JWT`.
    header: Option<Map<String, Value>>,
    claims: Option<Map<String, Value>>,
    /// The name of the case whose claims these are, changed by `but`; null removes one.
    like: Option<String>,
    #[serde(default)]
    but: Map<String, Value>,
    becomes: Option<Becomes>,
    refused: Option<String>,
    /// A part of what is told.
    #[serde(default)]
    says: String,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Becomes {
    principal: String,
    client: Option<String>,
    scopes: Vec<String>,
    groups: Vec<String>,
    roles: Vec<String>,
    attributes: BTreeMap<String, Value>,
    id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unloadable {
    issuer: Value,
    said: String,
}

/// Every provider has a file of its name.
const PROVIDERS: [&str; 10] = ["aws", "databricks", "entra", "generic", "github-actions", "google", "keycloak", "kubernetes", "okta", "spiffe"];

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn cases(provider: &str) -> Cases {
    let path = checkout("tests/cases/identity").join(provider).with_extension("yaml");
    serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A folder with a policy and with these keys.
fn folder(jwks: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/all.cedar"), "@id(\"all\") permit (principal, action, resource);").unwrap();
    fs::write(folder.path().join("keys.json"), jwks.to_string()).unwrap();
    folder
}

/// A configuration with these issuers, whose keys are those of the folder.
fn configured(mut issuers: Vec<Value>) -> String {
    for issuer in &mut issuers {
        issuer["jwks_file"] = json!("keys.json");
    }
    let config = json!({
        "version": 1,
        "listen": {"check": "127.0.0.1:9191"},
        "peers": {"trust_domains": ["cluster.local"]},
        "issuers": issuers,
        "workspaces": [{"name": "stage", "hosts": ["stage.example.com"], "workspace_id": "1", "environment": "staging"}],
        "policy": {"dir": "policies"},
    });
    // JSON is YAML.
    config.to_string()
}

/// What is wrong with an issuer, a fault a line; each is said of a place.
fn faults_of(issuer: &Value, folder: &TempDir) -> String {
    let faults = Config::parse(&folder.path().join("lakegate.yaml"), &configured(vec![issuer.clone()])).err().unwrap_or_default();
    assert!(faults.iter().all(|fault| fault.line.is_some()), "{issuer}: {faults:?}");
    let told = faults.iter().map(|fault| format!("{}; {}", fault.message, fault.help.as_deref().unwrap_or_default()));
    told.collect::<Vec<_>>().join("\n")
}

/// `now`, `now+60` and `now-60` become times.
fn timed(value: &mut Value, now: i64) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| timed(item, now)),
        Value::Object(members) => members.values_mut().for_each(|member| timed(member, now)),
        Value::String(text) => {
            if let Some(rest) = text.strip_prefix("now")
                && let Ok(offset) = if rest.is_empty() { Ok(0) } else { rest.parse::<i64>() }
            {
                *value = json!(now + offset);
            }
        }
        _ => {}
    }
}

fn json_of(value: &FieldValue) -> Value {
    match value {
        FieldValue::Text(text) => json!(text),
        FieldValue::Long(number) => json!(number),
        FieldValue::Bool(truth) => json!(truth),
        FieldValue::Texts(texts) => json!(texts),
    }
}

// === impl Cases ===

impl Cases {
    /// The claims of a case, with times for now.
    fn claims(&self, case: &Case) -> Value {
        let mut claims = match (&case.claims, &case.like) {
            (Some(claims), None) => claims.clone(),
            (None, Some(like)) => {
                let model = self.tokens.iter().find(|other| other.name == *like).unwrap_or_else(|| panic!("no case is called `{like}`"));
                model.claims.clone().unwrap_or_else(|| panic!("`{like}` has no claims of its own"))
            }
            _ => panic!("`{}` has either `claims` or `like`", case.name),
        };
        for (name, value) in &case.but {
            claims.insert(name.clone(), value.clone());
        }
        claims.retain(|_, value| !value.is_null());
        let mut claims = Value::Object(claims);
        timed(&mut claims, Clock::default().now());
        claims
    }
}

// === impl Case ===

impl Case {
    /// Holds what was made of it against what should be.
    fn judge(&self, place: &str, got: Result<&Token, &Refusal>) {
        match (&self.becomes, &self.refused, got) {
            (Some(becomes), None, Ok(token)) => assert_eq!(Becomes::of(token), *becomes, "{place}"),
            (None, Some(code), Err(refusal)) => {
                assert_eq!(refusal.reason.code(), code, "{place}: {}", refusal.detail);
                assert!(refusal.detail.contains(&self.says), "{place} should say `{}`, and says: {}", self.says, refusal.detail);
                assert!(!refusal.detail.ends_with('.') && refusal.detail.len() < 400, "{place}: {}", refusal.detail);
            }
            (Some(_), None, Err(refusal)) => panic!("{place} is refused: {}: {}", refusal.reason.code(), refusal.detail),
            (None, Some(_), Ok(token)) => panic!("{place} is accepted: {token:?}"),
            _ => panic!("{place} has either `becomes` or `refused`"),
        }
    }
}

// === impl Becomes ===

impl Becomes {
    fn of(token: &Token) -> Self {
        Self {
            principal: format!("{}::\"{}/{}\"", token.kind.type_name(), token.issuer, token.subject),
            client: token.client.clone(),
            scopes: token.scopes.clone(),
            groups: token.groups.clone(),
            roles: token.roles.clone(),
            attributes: token.claims.iter().map(|claim| (claim.name.to_string(), json_of(&claim.value))).collect(),
            id: token.id.clone(),
        }
    }
}

#[tokio::test]
async fn tokens_become_what_their_provider_means() {
    let issuer = Issuer::start("any").await.unwrap();
    let all: Vec<(&str, Cases)> = PROVIDERS.iter().map(|provider| (*provider, cases(provider))).collect();
    let folder = folder(&issuer.jwks());
    let config = folder.path().join("lakegate.yaml");
    fs::write(&config, configured(all.iter().flat_map(|(_, cases)| cases.issuers.clone()).collect())).unwrap();
    let client = net::Client::new(&net::Config::default()).unwrap();
    let compiled = Compiler::new(&config, client, Clock::default()).and_then(|compiler| compiler.compile(None)).unwrap();
    for (provider, cases) in &all {
        for case in &cases.tokens {
            let place = format!("{provider}: {}", case.name);
            let claims = cases.claims(case).to_string();
            let mut spec = TokenSpec::new().raw_claims(&claims);
            for (name, value) in case.header.iter().flatten() {
                spec = spec.header(name, value.clone());
            }
            let authenticator = &compiled.snapshot.authenticator;
            let signed = authenticator.examine(&issuer.token(&spec).unwrap(), &mut Trail::default()).await.map(|examined| examined.token);
            case.judge(&place, signed.as_deref());
            if case.header.is_none() {
                let told = authenticator.caller_from_claims(claims.as_bytes(), None).map(|caller| caller.token.unwrap());
                assert_eq!(told, signed, "{place}: as claims alone, and signed");
            }
        }
    }
}

#[test]
fn what_does_not_fit_its_provider_does_not_load() {
    let folder = folder(&json!({}));
    for provider in PROVIDERS {
        let cases = cases(provider);
        for Unloadable { issuer, said } in &cases.unloadable {
            let told = faults_of(issuer, &folder);
            assert!(told.contains(said), "{issuer} should say `{said}`, and says: {told}");
        }
        for issuer in cases.loadable.iter().chain(&cases.issuers) {
            assert_eq!(faults_of(issuer, &folder), "", "{issuer}");
        }
    }
}

/// Each provider's documentation and cases stand where a reader looks for them.
#[test]
fn every_provider_of_the_configuration_has_its_cases() {
    let schema: Value = serde_json::from_str(&fs::read_to_string(checkout("docs/lakegate.schema.json")).unwrap()).unwrap();
    let words = schema["$defs"]["Issuer"]["properties"]["provider"]["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word["const"].as_str().unwrap().to_owned());
    let mut words: Vec<String> = words.collect();
    words.sort();
    assert_eq!(words, PROVIDERS);
}

/// A subject that a person can rename, or that another person is given later, is told of; one that is immutable is not.
#[test]
fn whose_subject_can_change_hands_is_told() {
    let folder = folder(&json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "a", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA" }] }));
    let check = |subject: &str, provider: &str, url: &str| {
        let mut issuer = json!({ "name": "corp", "issuer": url, "provider": provider, "audiences": ["lakegate"], "bindings": "none" });
        if !subject.is_empty() {
            issuer["subject_claim"] = json!(subject);
        }
        fs::write(folder.path().join("lakegate.yaml"), configured(vec![issuer])).unwrap();
        let output =
            Command::new(env!("CARGO_BIN_EXE_lakegate")).args(["check", "--config", "lakegate.yaml"]).current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{subject}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (keycloak, tenant) = ("https://kc.example.com/realms/ml", "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0");
    for subject in ["upn", "preferred_username", "username", "name", "nickname"] {
        let told = check(subject, "keycloak", keycloak);
        assert!(told.contains(&format!("issuer `corp` takes `{subject}` for the subject")) && told.contains("write `subject_claim: sub`"), "{told}");
    }
    assert!(check("upn", "entra", tenant).contains("write `subject_claim: oid`"));
    for subject in ["", "sub", "employee_id", "email"] {
        assert!(!check(subject, "keycloak", keycloak).contains("for the subject"), "{subject}");
    }
}

/// Every page's issuer, policies and cases together: what a page promises of a token is what is decided.
#[test]
fn the_pages_promise_what_is_decided() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("policies/tests")).unwrap();
    let mut config = "version: 1\nlisten: { check: 127.0.0.1:9191 }\npeers: { trust_domains: [cluster.local] }\npolicy: { dir: policies }\n\
        workspaces: [{ name: prod, hosts: [prod.example.com], workspace_id: \"1\", environment: prod }]\nissuers:\n"
        .to_owned();
    for provider in PROVIDERS {
        let page = fs::read_to_string(checkout("docs/identity").join(provider).with_extension("md")).unwrap();
        let block = |opening: &str| {
            let block = page.split(opening).nth(1).unwrap_or_else(|| panic!("{provider} has no {opening}"));
            block.split("```").next().unwrap().to_owned()
        };
        let issuers = block("```yaml\n# lakegate.yaml\n");
        assert!(issuers.contains("\n    bindings:"), "{provider} does not say in which workloads its tokens count");
        config.push_str(issuers.strip_prefix("issuers:\n").unwrap());
        fs::write(folder.path().join(format!("policies/{provider}.cedar")), block(&format!("```cedar\n// policies/{provider}.cedar\n"))).unwrap();
        let cases = block(&format!("```yaml\n# policies/tests/{provider}.yaml\n"));
        fs::write(folder.path().join(format!("policies/tests/{provider}.yaml")), cases).unwrap();
    }
    fs::write(folder.path().join("lakegate.yaml"), config).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_lakegate")).args(["test", "--config", "lakegate.yaml"]).current_dir(folder.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let overview = fs::read_to_string(checkout("docs/identity.md")).unwrap();
    for provider in PROVIDERS {
        assert!(overview.contains(&format!("| [`{provider}`](identity/{provider}.md) |")), "{provider} is not in the overview");
    }
}
