//! `lakegate doctor credentials` against a token endpoint that is right, and wrong in each of the ways that an operator meets.

use std::{fs, path::Path, time::Duration};

use lakegate::signer::{Algorithm, SigningKey, generate};
use lakegate_testkit::{
    issuer::{Fault, Issuer, TokenSpec},
    lakegate::{Lakegate, Serve, run},
    ports,
    workspace::{FederationPolicy, TokenFault, Workspace},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_lakegate");
const ACCOUNT: &str = "6f2e9c1a-0000-4000-8000-000000000001";
const PRINCIPAL: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
const WORKSPACE_ID: &str = "1111111111111111";

/// A configuration with one workspace, its token endpoint, and a token of alice.
struct Bench {
    folder: TempDir,
    workspace: Workspace,
    corp: Issuer,
    jwks: Value,
    kid: String,
}

// === impl Bench ===

impl Bench {
    /// One in which the workspace trusts `lakegate` for the account.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pem = generate(Algorithm::Es256).unwrap();
        fs::write(folder.path().join("key.pem"), &pem).unwrap();
        fs::write(folder.path().join("ed.pem"), generate(Algorithm::EdDsa).unwrap()).unwrap();
        fs::write(folder.path().join("client.secret"), "secret of the client\n").unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        fs::write(folder.path().join("policies/all.cedar"), "@id(\"all\") permit (principal, action, resource);\n").unwrap();
        let key = SigningKey::parse(pem.as_bytes()).unwrap();
        let jwks = json!({ "keys": [key.jwk().unwrap()] });
        let bench =
            Self { workspace: Workspace::start().await.unwrap(), corp: Issuer::start("corp").await.unwrap(), kid: key.id().to_owned(), jwks, folder };
        bench.write("alice.jwt", &bench.corp.token(&TokenSpec::new()).unwrap());
        bench.workspace.federate(bench.policy());
        bench.configure();
        bench
    }

    fn policy(&self) -> FederationPolicy {
        FederationPolicy::new("lakegate", ACCOUNT, self.jwks.clone())
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn configure(&self) {
        self.configure_as("lakegate", &["key.pem"], &json!({}));
    }

    /// Writes the configuration with `credentials` beside the mode and the endpoint.
    fn configure_as(&self, issuer: &str, keys: &[&str], credentials: &Value) {
        let mut config = self.config(issuer, keys);
        config["workspaces"][0]["credentials"].as_object_mut().unwrap().extend(credentials.as_object().unwrap().clone());
        self.write("lakegate.yaml", &lakegate_testkit::yaml::write(&config));
    }

    /// The same with a workspace for each of these, called `case-<number>`, in place of the one.
    fn configure_many(&self, credentials: &[Value]) {
        let mut config = self.config("lakegate", &["key.pem"]);
        let workspace = |(number, credentials): (usize, &Value)| {
            let mut workspace = config["workspaces"][0].clone();
            workspace["name"] = json!(format!("case-{number}"));
            workspace["hosts"] = json!([format!("case-{number}.cloud.databricks.com")]);
            // no two may have one id, and all of the stand-ins make tokens for theirs
            workspace["workspace_id"] = json!(format!("40{number}"));
            workspace["credentials"]["token_audiences"] = json!([WORKSPACE_ID]);
            workspace["credentials"].as_object_mut().unwrap().extend(credentials.as_object().unwrap().clone());
            workspace
        };
        config["workspaces"] = credentials.iter().enumerate().map(workspace).collect();
        self.write("lakegate.yaml", &lakegate_testkit::yaml::write(&config));
    }

    fn config(&self, issuer: &str, keys: &[&str]) -> Value {
        // the name that it has where none is said cannot be said
        let assertion = if issuer == "lakegate" { json!({ "keys": keys }) } else { json!({ "keys": keys, "issuer": issuer }) };
        json!({
            "version": 1,
            "listen": { "check": "127.0.0.1:9191", "admin": "127.0.0.1:9192" },
            "peers": { "trust_domains": ["cluster.local"], "source": "principal", "required": false },
            "issuers": [{ "name": "corp", "issuer": self.corp.url(), "provider": "generic", "audiences": ["lakegate"], "bindings": "none" }],
            "workspaces": [
                {
                    "name": "stage", "hosts": ["stage.cloud.databricks.com"], "workspace_id": WORKSPACE_ID, "account_id": ACCOUNT, "environment": "dev",
                    "credentials": { "mode": "exchange", "token_endpoint": self.workspace.token_endpoint() },
                },
                {
                    "name": "plain", "hosts": ["plain.cloud.databricks.com"], "workspace_id": "2222222222222222", "environment": "dev",
                    "credentials": { "mode": "passthrough" },
                },
            ],
            "policy": { "dir": "policies" },
            "trust": { "assertion": assertion },
            "audit": { "file": "audit.jsonl" },
        })
    }

    /// Exit code and report; nothing of a token is ever in what is printed.
    async fn doctor(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let all = [&["doctor", "credentials", "--config", "lakegate.yaml", "--output", "json"], arguments].concat();
        let output = run(Path::new(BINARY), self.path(), &all).await.unwrap();
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let exchanges = self.workspace.exchanges();
        let sent = exchanges.iter().filter_map(|exchange| exchange.field("subject_token"));
        for secret in exchanges.iter().filter_map(|exchange| exchange.token.as_deref()).chain(sent).chain(["eyJ", "secret of the client"]) {
            assert!(!out.contains(secret) && !error.contains(secret), "a secret is told: {out}{error}");
        }
        (output.status.code(), serde_json::from_str(&out).unwrap_or_else(|_| json!(error)))
    }

    async fn as_alice(&self) -> (Option<i32>, Value) {
        self.doctor(&["--token-file", "alice.jwt"]).await
    }
}

/// The steps of this name, of the workspace or of all.
fn steps<'r>(report: &'r Value, name: &str) -> Vec<&'r Value> {
    report["steps"].as_array().unwrap_or_else(|| panic!("no report: {report}")).iter().filter(|step| step["step"] == name).collect()
}

fn step<'r>(report: &'r Value, name: &str) -> &'r Value {
    let [step] = steps(report, name).try_into().unwrap_or_else(|steps| panic!("`{name}` is there {steps:?} in {report}"));
    step
}

/// The report with the steps of one of several workspaces alone.
fn case(report: &Value, number: usize) -> Value {
    let all = report["steps"].as_array().unwrap_or_else(|| panic!("no report: {report}"));
    json!({ "steps": all.iter().filter(|step| step["target"] == format!("case-{number}")).collect::<Vec<_>>() })
}

/// Whether a step is so, and says and advises this.
#[track_caller]
fn holds(report: &Value, name: &str, state: &str, says: &str, mend: &str) {
    let step = step(report, name);
    assert_eq!(step["state"], state, "{name}: {step}");
    assert!(step["says"].as_str().unwrap().contains(says), "{name}: `{says}` is not said: {step}");
    assert!(step["mend"].as_str().unwrap_or_default().contains(mend), "{name}: `{mend}` is not advised: {step}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_a_token_and_every_step_is_well() {
    let bench = Bench::new().await;
    let (exit, report) = bench.as_alice().await;
    assert_eq!((exit, &report["well"]), (Some(0), &json!(true)), "{report}");
    for name in ["configuration", "keys", "caller", "endpoint", "clock", "exchange"] {
        assert_eq!(step(&report, name)["state"], "well", "{report}");
    }
    let exchange = step(&report, "exchange");
    assert_eq!(exchange["target"], "stage");
    for (name, value) in [
        ("iss", json!("lakegate")),
        ("aud", json!([ACCOUNT])),
        ("sub", json!("alice")),
        ("kid", json!(bench.kid)),
        ("alg", json!("ES256")),
        ("scope", json!("all-apis")),
    ] {
        assert_eq!(exchange["sent"][name], value, "{exchange}");
    }
    for (name, value) in [("jwt", json!(true)), ("token_type", json!("Bearer")), ("aud", json!([WORKSPACE_ID])), ("sub", json!("alice"))] {
        assert_eq!(exchange["token"][name], value, "{exchange}");
    }
    assert!(exchange["token"]["expires_in"].as_i64().unwrap() > 0);
    // for people, the same
    let output =
        run(Path::new(BINARY), bench.path(), &["doctor", "credentials", "--config", "lakegate.yaml", "--token-file", "alice.jwt"]).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !text.contains("eyJ"), "{text}");
    for line in ["\nstage\n", "well       exchange", "sub            alice", &format!("kid            {}", bench.kid)] {
        assert!(text.contains(line), "`{line}` is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_caller_a_subject_that_nobody_is_is_refused_and_that_is_no_failure() {
    let bench = Bench::new().await;
    bench.workspace.admit(&["alice"]);
    let (exit, report) = bench.doctor(&[]).await;
    assert_eq!(exit, Some(0), "{report}");
    holds(&report, "exchange", "not-known", "`access_denied`", "--token-file");
    assert_eq!(step(&report, "exchange")["sent"]["sub"], "lakegate-doctor");
    bench.write("claims.json", &json!({ "iss": bench.corp.url(), "aud": "lakegate", "sub": "alice" }).to_string());
    let (exit, report) = bench.doctor(&["--claims", "claims.json"]).await;
    assert_eq!((exit, &step(&report, "exchange")["state"]), (Some(0), &json!("well")), "{report}");
    // by its workload alone
    bench.workspace.admit(&["spiffe://cluster.local/ns/ml/sa/trainer"]);
    let (exit, report) = bench.doctor(&["--peer", "spiffe://cluster.local/ns/ml/sa/trainer"]).await;
    assert_eq!((exit, &step(&report, "exchange")["state"]), (Some(0), &json!("well")), "{report}");
    // one that is given a token is remarkable
    bench.workspace.admit(&["lakegate-doctor"]);
    let (_, report) = bench.doctor(&[]).await;
    holds(&report, "exchange", "not-known", "made up", "believes everybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_federation_policy_does_not_hold_for_is_told_with_what_was_sent() {
    let bench = Bench::new().await;
    let policy = bench.policy();
    let cases = [
        (
            "issuer",
            FederationPolicy { issuer: "https://other.example".to_owned(), ..policy.clone() },
            "access_denied",
            "no federation policy for issuer",
        ),
        ("audience", FederationPolicy { audiences: vec!["other".to_owned()], ..policy.clone() }, "access_denied", ACCOUNT),
        ("subject", FederationPolicy { subject_claim: "email".to_owned(), ..policy.clone() }, "access_denied", "no subject"),
        ("keys", FederationPolicy { jwks: bench.corp.jwks(), ..policy }, "invalid_grant", "key is not one"),
    ];
    let mut workspaces = Vec::new();
    for (_, policy, _, _) in &cases {
        let workspace = Workspace::start().await.unwrap();
        workspace.federate(policy.clone());
        workspaces.push(workspace);
    }
    bench.configure_many(&workspaces.iter().map(|workspace| json!({ "token_endpoint": workspace.token_endpoint() })).collect::<Vec<_>>());
    let (exit, report) = bench.as_alice().await;
    assert_eq!(exit, Some(1), "{report}");
    for (number, (name, _, error, words)) in cases.into_iter().enumerate() {
        let report = case(&report, number);
        holds(&report, "exchange", "not-well", words, "`subject_claim`");
        let exchange = step(&report, "exchange");
        assert_eq!((&exchange["error"], &exchange["sent"]["kid"]), (&json!(error), &json!(bench.kid)), "{name}");
        for (field, value) in [("iss", json!("lakegate")), ("aud", json!([ACCOUNT])), ("sub", json!("alice")), ("alg", json!("ES256"))] {
            assert_eq!(exchange["sent"][field], value, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_of_an_endpoint_is_explained() {
    let bench = Bench::new().await;
    let cases = [
        (TokenFault::Error(400, "invalid_scope", "no"), "`invalid_scope`", "`all-apis` was asked for"),
        (TokenFault::Error(403, "access_denied", "Scopes 'all-apis' are not assigned"), "the scope is not given", "`credentials.scope`"),
        (TokenFault::Error(401, "invalid_client", "no"), "`invalid_client`", "federation policy of the whole account"),
        (TokenFault::Error(400, "unauthorized_client", "no"), "`unauthorized_client`", "in the workspace"),
        (TokenFault::Error(400, "invalid_request", "no"), "`invalid_request`", "/oidc/accounts/<account id>/v1/token"),
        (TokenFault::Error(400, "unsupported_grant_type", "no"), "this grant is not known", "token federation"),
        (TokenFault::Error(400, "temporarily_sulking", "no"), "`temporarily_sulking`: it refuses", "compare"),
        (TokenFault::Status(404, None), "it is no token endpoint", "https://<workspace host>/oidc/v1/token"),
        (TokenFault::Status(403, None), "does not speak OAuth", "IP access list"),
        (TokenFault::Status(429, Some(17)), "too many", "17 s"),
        (TokenFault::Status(429, None), "too many", "a while"),
        (TokenFault::Status(503, None), "the other side is at fault", "status page"),
        (TokenFault::Redirect, "it redirects", "sign-in page"),
        (TokenFault::Html, "a page for people", "sign-in page"),
        (TokenFault::Garbage, "not strict JSON", "no token endpoint"),
        (TokenFault::WrongAudience, "9999999999999999", "`credentials.token_audiences`"),
        (TokenFault::Expired, "its token lives -60 s", "fresh token"),
        (TokenFault::ShortLived(20), "its token lives 20 s", "fresh token"),
    ];
    let mut workspaces = Vec::new();
    for (fault, _, _) in &cases {
        let workspace = Workspace::start().await.unwrap();
        workspace.federate(bench.policy());
        workspace.set_token_fault(Some(fault.clone()));
        workspaces.push(workspace);
    }
    bench.configure_many(&workspaces.iter().map(|workspace| json!({ "token_endpoint": workspace.token_endpoint() })).collect::<Vec<_>>());
    let (exit, report) = bench.as_alice().await;
    assert_eq!((exit, &report["well"]), (Some(1), &json!(false)), "{report}");
    for (number, (fault, says, mend)) in cases.into_iter().enumerate() {
        let report = case(&report, number);
        holds(&report, "endpoint", "well", "answers, with status", "");
        holds(&report, "exchange", "not-well", says, mend);
        let [seen] = workspaces[number].exchanges().try_into().unwrap();
        assert_eq!(step(&report, "exchange")["answered"]["status"], seen.status, "{fault:?}");
        workspaces[number].set_token_fault(None);
    }
    let (exit, report) = bench.as_alice().await;
    assert_eq!(exit, Some(0), "nothing is remembered: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_answer_is_told_from_one_that_answers() {
    let bench = Bench::new().await;
    let endpoint = bench.workspace.token_endpoint();
    let [closed, _] = ports::free().unwrap();
    let slow = Workspace::start().await.unwrap();
    slow.set_token_fault(Some(TokenFault::Slow(Duration::from_secs(30))));
    bench.workspace.set_token_fault(Some(TokenFault::Down));
    let cases = [
        (slow.token_endpoint(), "took too long", "NetworkPolicy"),
        (endpoint.clone(), "cannot be reached", "closed without an answer"),
        (format!("http://127.0.0.1:{closed}/oidc/v1/token"), "cannot be reached", "nobody listens there"),
        (endpoint.replace("http:", "https:"), "cannot be reached", "does not speak TLS"),
    ];
    bench.configure_many(&cases.iter().map(|(endpoint, _, _)| json!({ "token_endpoint": endpoint })).collect::<Vec<_>>());
    let (exit, report) = bench.as_alice().await;
    assert_eq!(exit, Some(1), "{report}");
    for (number, (_, says, mend)) in cases.into_iter().enumerate() {
        let report = case(&report, number);
        holds(&report, "endpoint", "not-well", says, mend);
        holds(&report, "exchange", "not-known", "cannot be tried", "");
        assert!(steps(&report, "clock").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_apart_are_the_cause() {
    let bench = Bench::new().await;
    for (seconds, state, says) in
        [(3600, "not-well", "behind that"), (-3600, "not-well", "ahead of that"), (10, "well", "apart"), (-10, "well", "apart")]
    {
        bench.workspace.move_token_clock(seconds);
        let (exit, report) = bench.as_alice().await;
        assert_eq!(exit, Some(i32::from(state != "well")), "{seconds}: {report}");
        holds(&report, "clock", state, says, if state == "well" { "" } else { "NTP" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_is_tried_as_it_would_be_used() {
    let bench = Bench::new().await;
    bench.workspace.federate(bench.policy().of_service_principal(PRINCIPAL, PRINCIPAL));
    bench.workspace.register_client(PRINCIPAL, "secret of the client");
    let role = json!({ "mode": "service-principal", "principals": [{ "client_id": PRINCIPAL, "role": "corp/trainers" }] });
    let everyone = json!({ "mode": "service-principal", "principals": [{ "client_id": PRINCIPAL }] });
    let stranger = json!({ "mode": "service-principal", "principals": [{ "client_id": ACCOUNT }] });
    let client = |id: &str| json!({ "mode": "client-credentials", "client_id": id, "secret_file": "client.secret" });
    let as_alice = [
        (everyone.clone(), "well", "", ""),
        (role.clone(), "not-well", "IDENTITY_UNKNOWN", "`principals`"),
        (stranger, "not-well", "no federation policy", "its `subject` is `sub`"),
        (client(ACCOUNT), "not-well", "`invalid_client`", "new secret"),
        (json!({ "subject": "caller" }), "not-well", "no federation policy", "the caller's token says"),
        (json!({ "identity": "application_id" }), "not-well", "IDENTITY_UNKNOWN", "`identity`"),
        (json!({ "audience": bench.workspace.token_endpoint() }), "not-well", "audience", "a target that says no `account_id`"),
        (json!({ "issuers": ["corp"] }), "well", "", ""),
    ];
    // each principal is somebody, so that nothing has to be made up
    let as_nobody = [
        (everyone, "well", "", ""),
        (role, "well", "", ""),
        (client(PRINCIPAL), "well", "", ""),
        (json!({ "subject": "caller" }), "not-known", "the caller's own token", "--token-file"),
    ];
    let (alice, nobody): (&[&str], &[&str]) = (&["--token-file", "alice.jwt"], &[]);
    for (cases, arguments, code) in [(as_alice.as_slice(), alice, 1), (as_nobody.as_slice(), nobody, 0)] {
        bench.configure_many(&cases.iter().map(|(credentials, _, _, _)| credentials.clone()).collect::<Vec<_>>());
        let (exit, report) = bench.doctor(arguments).await;
        assert_eq!(exit, Some(code), "{report}");
        for (number, (_, state, says, mend)) in cases.iter().enumerate() {
            let report = case(&report, number);
            holds(&report, "exchange", state, says, mend);
            assert_eq!(step(&report, "endpoint")["state"], "well", "it is looked at in any case: {report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_of_the_keys_is_held_against_the_keys() {
    let bench = Bench::new().await;
    // nothing of Databricks trusts any of these issuers, so that the exchange does not make up for what is published
    let elsewhere = bench.corp.url();
    bench.configure_as(elsewhere, &["key.pem"], &json!({}));
    for (fault, issuer, keys, says, mend) in [
        (None, "well", "not-well", "lacks the key", "other key files"),
        (Some(Fault::NoKeys), "well", "not-well", "lacks the key", "other key files"),
        (Some(Fault::WrongIssuer), "not-well", "not-well", "lacks the key", ""),
        // keys that were uploaded are nowhere else, and without a caller nothing shows that
        (Some(Fault::Garbage), "not-known", "not-known", "404", "unless the keys were uploaded"),
        (Some(Fault::Unavailable), "not-known", "not-known", "404", "unless the keys were uploaded"),
    ] {
        bench.corp.set_fault(fault);
        let (exit, report) = bench.doctor(&[]).await;
        let code = i32::from(keys == "not-well");
        assert_eq!((exit, &step(&report, "issuer")["state"]), (Some(code), &json!(issuer)), "{fault:?}: {report}");
        holds(&report, "issuer-keys", keys, says, mend);
    }
    bench.corp.set_fault(None);
    // keys that were uploaded
    bench.workspace.federate(FederationPolicy { issuer: elsewhere.to_owned(), ..bench.policy() });
    let (exit, report) = bench.as_alice().await;
    assert_eq!((exit, &step(&report, "exchange")["state"]), (Some(0), &json!("well")), "{report}");
    holds(&report, "issuer-keys", "not-known", "has the keys in another way", "");

    // what lakegate itself publishes
    let [check, admin] = ports::free().unwrap();
    let issuer = format!("http://127.0.0.1:{admin}");
    let mut config = bench.config(&issuer, &["key.pem"]);
    config["listen"] = json!({ "check": format!("127.0.0.1:{check}"), "admin": format!("127.0.0.1:{admin}") });
    bench.write("lakegate.yaml", &lakegate_testkit::yaml::write(&config));
    let file = bench.path().join("lakegate.yaml");
    let serve = Serve { binary: Path::new(BINARY), folder: bench.path(), config: &file, admin, test_clock: None };
    let running = Lakegate::start(&serve).await.unwrap();
    let (_, report) = bench.doctor(&[]).await;
    for name in ["issuer", "issuer-keys"] {
        assert_eq!(step(&report, name)["state"], "well", "{report}");
    }
    running.stop().await.unwrap();
    let (exit, report) = bench.as_alice().await;
    assert_eq!(exit, Some(1));
    holds(&report, "issuer", "not-well", "cannot be reached", "Databricks could not fetch it either");

    // a target that exchanges nothing of lakegate's is well without
    bench.workspace.register_client(PRINCIPAL, "secret of the client");
    config["workspaces"][1]["credentials"] = json!({
        "mode": "client-credentials", "client_id": PRINCIPAL, "secret_file": "client.secret", "token_endpoint": bench.workspace.token_endpoint(),
    });
    config["workspaces"][1]["credentials"]["token_audiences"] = json!([WORKSPACE_ID]);
    bench.write("lakegate.yaml", &lakegate_testkit::yaml::write(&config));
    for arguments in [vec!["--target", "plain"], vec!["--target", "plain", "--token-file", "alice.jwt"]] {
        let (exit, report) = bench.doctor(&arguments).await;
        assert_eq!((exit, &step(&report, "exchange")["state"]), (Some(0), &json!("well")), "{arguments:?}: {report}");
        assert!(steps(&report, "issuer").is_empty() && steps(&report, "issuer-keys").is_empty(), "{arguments:?}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_tried_is_invalid_input() {
    let bench = Bench::new().await;
    for (arguments, says) in [
        (vec!["--target", "stag"], "did you mean `stage`"),
        (vec!["--target", "plain"], "no credential of Databricks"),
        (vec!["--token-file", "none.jwt"], "none.jwt"),
        (vec!["--peer", "trainer"], "--peer"),
    ] {
        let (exit, told) = bench.doctor(&arguments).await;
        assert!(exit == Some(3) && told.to_string().contains(says), "{arguments:?}: {told}");
    }
    let (exit, report) = bench.doctor(&["--target", "stage", "--token-file", "alice.jwt"]).await;
    assert_eq!(exit, Some(0), "{report}");
    bench.write("old.jwt", &bench.corp.token(&TokenSpec::expired()).unwrap());
    let (exit, report) = bench.doctor(&["--token-file", "old.jwt"]).await;
    assert_eq!(exit, Some(1));
    holds(&report, "caller", "not-well", "TOKEN_EXPIRED", "lakegate token");
    // the keys
    for (keys, says) in [
        (vec!["ed.pem"], "takes no token that is not signed with ES256"),
        (vec!["ed.pem", "key.pem"], "takes no token that is not signed with ES256"),
        (vec!["none.pem"], "cannot be read"),
    ] {
        bench.configure_as("lakegate", &keys, &json!({}));
        let (exit, told) = bench.doctor(&[]).await;
        assert!(exit == Some(3) && told["faults"].to_string().contains(says), "{keys:?}: {told}");
        assert!(told["faults"].to_string().contains(keys[0]), "{keys:?}: the file is not named: {told}");
    }
    bench.configure_as("lakegate", &["key.pem", "ed.pem"], &json!({}));
    assert_eq!(bench.as_alice().await.0, Some(0), "one that only verifies may be of another kind");
    bench.configure_as("lakegate", &["ed.pem"], &json!({ "subject": "caller" }));
    assert_eq!(bench.doctor(&[]).await.0, Some(0), "nothing is signed for Databricks here");
}
