//! The caller's identity becomes a token of Databricks: behind a real Envoy, with the official SDK, before a token endpoint that believes lakegate's assertions alone.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};

use lakegate::signer::{Algorithm, generate};
use lakegate_testkit::{
    Options, World,
    envoy::Listener,
    issuer::TokenSpec,
    raw::Request,
    workspace::{FederationPolicy, TokenFault},
    world::STAGE,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    asking::{SALES, metric, options, outcome, query_as, send, status_until, until, world},
    sdk,
};

const ISSUER: &str = "https://lakegate.example.com";
const ACCOUNT: &str = "6f2e9c1a-0000-4000-8000-000000000001";
const POLICY: &str = r#"@id("all") permit (principal in Group::"corp/ml-engineers", action, resource in Environment::"staging");"#;

/// A world in which `stage` exchanges callers for tokens of Databricks, with this in `credentials` beside.
pub(crate) struct Exchanging {
    pub(crate) world: World,
    folder: TempDir,
}

impl Exchanging {
    pub(crate) async fn start(credentials: Value, options: Options) -> Self {
        Self::with(credentials, options, |_| {}).await
    }

    /// The same with something else in the configuration.
    pub(crate) async fn with(credentials: Value, options: Options, more: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("assertion.pem"), generate(Algorithm::Es256).unwrap()).unwrap();
        let signing = move |config: &mut Value| {
            config["trust"]["assertion"] = json!({ "keys": ["assertion.pem"], "issuer": ISSUER });
            config["workspaces"][0]["account_id"] = json!(ACCOUNT);
            config["workspaces"][0]["credentials"] = json!({ "mode": "strip" });
            config["listen"]["control"] = json!("lakegate.sock");
            more(config);
        };
        let options = options.folder(folder.path().to_owned()).policies(&[("all.cedar", POLICY)]).configure(signing);
        let mut world = world(options).await;
        let keys: Value = serde_json::from_str(&world.admin("/.well-known/jwks.json").await.unwrap().1).unwrap();
        world.workspace.federate(FederationPolicy::new(ISSUER, ACCOUNT, keys));
        let mut config = world.config().clone();
        config["workspaces"][0]["credentials"] = credentials;
        config["workspaces"][0]["credentials"]["token_endpoint"] = json!(world.workspace.token_endpoint());
        world.write_config(config).unwrap();
        status_until(&world, |status| status["credentials"].as_array().is_some_and(|all| all.len() == 1)).await;
        Self { world, folder }
    }

    pub(crate) fn token(&self, subject: &str) -> String {
        self.world.corp.token(&TokenSpec::person(subject, &["ml-engineers"])).unwrap()
    }

    /// The values of `authorization` that have reached the workspace.
    pub(crate) fn arrived(&self) -> BTreeSet<String> {
        self.world.workspace.reached().iter().flat_map(|reached| reached.values("authorization")).collect()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Neither records nor logs nor what lakegate tells of itself hold a credential, or what it was had with.
    pub(crate) async fn tells_nothing(&self, secrets: &[&str]) {
        let mut told = fs::read_to_string(self.world.audit.path()).unwrap();
        for path in ["/status", "/metrics", "/.well-known/jwks.json"] {
            told.push_str(&self.world.admin(path).await.unwrap().1);
        }
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log") {
                told.push_str(&fs::read_to_string(path).unwrap());
            }
        }
        let assertions = self.world.workspace.exchanges().into_iter().filter_map(|exchange| exchange.field("subject_token").map(str::to_owned));
        let key = fs::read_to_string(self.folder.path().join("assertion.pem")).unwrap();
        let assertions: Vec<String> = assertions.collect();
        let secrets = secrets.iter().copied().chain(assertions.iter().map(String::as_str)).chain(key.lines().nth(1));
        for secret in secrets {
            let part = secret.rsplit('.').next().unwrap();
            assert!(part.len() > 8 && !told.contains(secret) && !told.contains(part), "`{part}` is told");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_works_with_the_callers_token_and_the_workspace_sees_one_of_its_own() {
    let all = Exchanging::start(json!({ "mode": "exchange" }), options()).await;
    all.world.workspace.admit(&["alice"]);
    let token = all.token("alice");
    let sidecar = all.world.sidecar(&all.world.workloads.trainer, STAGE.host).await.unwrap();
    let told = sdk::calls("work.py", &format!("http://127.0.0.1:{}", sidecar.outbound().unwrap()), &token).await;
    assert_eq!(told.len(), 3);
    for call in &told {
        assert_eq!(call["error"], Value::Null, "{call}");
    }
    let arrived = all.arrived();
    let databricks: Vec<&str> = arrived.iter().map(|value| value.strip_prefix("Bearer ").unwrap()).collect();
    for given in &databricks {
        assert!(*given != token && all.world.workspace.principal_of(given).as_deref() == Some("alice"), "{given}");
    }
    // Each with the narrowest scope of what was called.
    let sent = all.world.workspace.exchanges();
    let scopes: BTreeSet<&str> = sent.iter().filter_map(|exchange| exchange.field("scope")).collect();
    assert_eq!(scopes, BTreeSet::from(["jobs", "model-serving model-serving-inference", "sql"]));
    assert_eq!((sent.len(), databricks.len()), (3, 3));
    for sent in &sent {
        assert!(sent.form.iter().all(|(_, value)| *value != token) && sent.authorization.is_none(), "the caller's token went nowhere");
    }
    // Somebody else is somebody else there too
    send(&all.world, &query_as(SALES, &all.token("bob"))).await;
    let refused = send(&all.world, &query_as(SALES, &all.token("bob"))).await;
    assert_eq!(outcome(&refused), (403, "CREDENTIAL_REFUSED".to_owned()));
    assert!(String::from_utf8_lossy(&refused.body).contains("`bob`"), "{}", String::from_utf8_lossy(&refused.body));
    all.tells_nothing(&[&[token.as_str()], &*databricks].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_first_requests_of_one_caller_make_one_exchange() {
    let all = Arc::new(Exchanging::start(json!({ "mode": "exchange" }), options()).await);
    // Slow enough for all of them to come while it is under way.
    all.world.workspace.set_token_fault(Some(TokenFault::Slow(Duration::from_millis(250))));
    let request = query_as(SALES, &all.token("alice"));
    let client = all.world.client(Listener::Istio, &all.world.workloads.trainer).unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..1_000 {
        let (client, request) = (client.clone(), request.clone());
        tasks.spawn(async move { client.send(&request).await });
    }
    let mut answers = std::collections::BTreeMap::<(u16, String), usize>::new();
    while let Some(answer) = tasks.join_next().await {
        // A connection that the busy machine never made is no answer of lakegate's.
        if let Ok(answer) = answer.unwrap() {
            *answers.entry(outcome(&answer)).or_default() += 1;
        }
    }
    println!("{answers:?}");
    assert!(answers.values().sum::<usize>() > 900 && answers.keys().all(|(status, _)| matches!(status, 200 | 503)), "{answers:?}");
    until(&all.world, (200, "OK"), || request.clone()).await;
    assert_eq!(all.world.workspace.exchanges().len(), 1);
    assert_eq!(all.arrived().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_token_endpoint_does_is_a_refusal_or_a_fault_and_it_is_served_again() {
    let all = Exchanging::start(json!({ "mode": "exchange" }), options()).await;
    let unavailable = (503, "CREDENTIAL_UNAVAILABLE".to_owned());
    for (number, (fault, expected)) in [
        (TokenFault::Down, unavailable.clone()),
        (TokenFault::Status(429, None), unavailable.clone()),
        (TokenFault::Status(503, Some(1)), unavailable.clone()),
        (TokenFault::Garbage, unavailable.clone()),
        (TokenFault::Html, unavailable.clone()),
        (TokenFault::Redirect, unavailable.clone()),
        (TokenFault::WrongAudience, unavailable.clone()),
        (TokenFault::Expired, unavailable.clone()),
        (TokenFault::ShortLived(30), unavailable.clone()),
        (TokenFault::Error(400, "invalid_grant", "no policy"), (403, "CREDENTIAL_REFUSED".to_owned())),
        (TokenFault::Error(401, "invalid_client", "who?"), (403, "CREDENTIAL_REFUSED".to_owned())),
    ]
    .into_iter()
    .enumerate()
    {
        let token = all.token(&format!("caller-{number}"));
        all.world.workspace.set_token_fault(Some(fault.clone()));
        let before = all.world.workspace.count();
        let answer = send(&all.world, &query_as(SALES, &token)).await;
        assert_eq!(outcome(&answer), expected, "{fault:?}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("retry-after").is_some(), expected.0 == 503, "{fault:?}");
        assert_eq!(all.world.workspace.count(), before, "{fault:?}: nothing goes on without a credential");
        all.world.workspace.set_token_fault(None);
        let mended = Instant::now();
        until(&all.world, (200, "OK"), || query_as(SALES, &token)).await;
        println!("{fault:?}: served again after {} ms", mended.elapsed().as_millis());
        assert!(!all.arrived().iter().any(|value| value.ends_with(&token)), "{fault:?}");
    }
    assert!(metric(&all.world, "lakegate_broker_exchanges_total{target=\"stage\",result=\"refused\"}").await.is_some_and(|count| count >= 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_takes_longer_than_its_check_serves_the_retry() {
    let all = Exchanging::start(json!({ "mode": "exchange" }), options()).await;
    all.world.workspace.set_token_fault(Some(TokenFault::Slow(Duration::from_millis(2_500))));
    let token = all.token("alice");
    let answer = send(&all.world, &query_as(SALES, &token)).await;
    assert_eq!(outcome(&answer), (503, "CREDENTIAL_UNAVAILABLE".to_owned()), "{}", String::from_utf8_lossy(&answer.body));
    assert!(String::from_utf8_lossy(&answer.body).contains("token endpoint of workspace `stage` has not answered yet"));
    until(&all.world, (200, "OK"), || query_as(SALES, &token)).await;
    assert_eq!(all.world.workspace.exchanges().len(), 1, "the first exchange served the retry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_caller_has_no_use_of_a_credential_that_is_there() {
    let all = Exchanging::start(json!({ "mode": "exchange" }), options()).await;
    let token = all.token("alice");
    until(&all.world, (200, "OK"), || query_as(SALES, &token)).await;
    let revoked = all.world.run(&["revoke", "--issuer", "corp", "--subject", "alice", "--control", "lakegate.sock"]).await.unwrap();
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    let before = all.world.workspace.count();
    let answer = send(&all.world, &query_as(SALES, &token)).await;
    assert_eq!(outcome(&answer), (401, "TOKEN_REVOKED".to_owned()));
    assert_eq!(all.world.workspace.count(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mesh_added_and_every_other_credential_stay_behind() {
    let all = Exchanging::start(json!({ "mode": "exchange" }), options()).await;
    let request = || {
        let request = query_as(SALES, &all.token("alice"));
        let unwanted = [
            ("cookie", "session=1"),
            ("x-databricks-azure-sp-management-token", "abc"),
            ("x-databricks-gcp-sa-access-token", "abc"),
            ("proxy-authorization", "Basic abc"),
            ("x-api-key", "abc"),
            ("x-forwarded-access-token", "abc"),
            ("x-lakegate-assertion", "forged"),
            ("x-lakegate-groups", "admins"),
        ];
        unwanted.into_iter().fold(request, |request: Request, (name, value)| request.header(name, value))
    };
    until(&all.world, (200, "OK"), request).await;
    let reached = all.world.workspace.reached().pop().unwrap();
    let names: BTreeSet<&str> = reached.headers.iter().map(|(name, _)| name.as_str()).collect();
    for gone in ["cookie", "proxy-authorization", "x-api-key"] {
        assert!(!names.contains(gone), "{gone}: {names:?}");
    }
    assert!(!names.iter().any(|name| ["x-databricks-", "x-forwarded-", "x-envoy-"].iter().any(|mark| name.starts_with(mark))), "{names:?}");
    assert_eq!(reached.values("authorization").len(), 1);
    assert_eq!(reached.header("x-lakegate-groups").as_deref(), Some("ml-engineers"));
    assert_eq!(reached.header("x-lakegate-assertion").map(|value| value.split('.').count()), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_changes_is_used_at_once() {
    const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
    let secret = |folder: &TempDir, text: &str| fs::write(folder.path().join("databricks.secret"), text).unwrap();
    let first = tempfile::tempdir().unwrap();
    secret(&first, "old\n");
    let file = first.path().join("databricks.secret");
    let credentials = json!({ "mode": "client-credentials", "client_id": CLIENT, "secret_file": file });
    let all = Exchanging::start(credentials, options()).await;
    all.world.workspace.register_client(CLIENT, "new");
    let token = all.token("alice");
    let answer = send(&all.world, &query_as(SALES, &token)).await;
    assert_eq!(outcome(&answer), (403, "CREDENTIAL_REFUSED".to_owned()));
    secret(&first, "new\n");
    until(&all.world, (200, "OK"), || query_as(SALES, &token)).await;
    let value = all.arrived().pop_first().unwrap();
    assert_eq!(all.world.workspace.principal_of(value.strip_prefix("Bearer ").unwrap()).as_deref(), Some(CLIENT));
}

/// A token of Databricks that is everybody's is everybody's whose issuer is named.
#[tokio::test(flavor = "multi_thread")]
async fn whose_issuer_is_not_named_has_no_use_of_the_credential_of_others() {
    const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("databricks.secret");
    fs::write(&file, "s3cret\n").unwrap();
    let credentials = json!({ "mode": "client-credentials", "client_id": CLIENT, "secret_file": file, "issuers": ["corp"] });
    let all = Exchanging::start(credentials, options()).await;
    all.world.workspace.register_client(CLIENT, "s3cret");
    all.world.write_policy("all.cedar", r#"@id("all") permit (principal, action, resource in Environment::"staging");"#).unwrap();
    let stranger = all.world.other.token(&TokenSpec::person("mallory", &[])).unwrap();
    until(&all.world, (403, "IDENTITY_UNKNOWN"), || query_as(SALES, &stranger)).await;
    assert_eq!(all.world.workspace.exchanges().len(), 0);
    until(&all.world, (200, "OK"), || query_as(SALES, &all.token("alice"))).await;
    assert_eq!(outcome(&send(&all.world, &query_as(SALES, &stranger)).await), (403, "IDENTITY_UNKNOWN".to_owned()));
    assert_eq!(all.arrived().len(), 1);
}

/// An account has its own endpoint, below its own id, and a token for a workspace is none for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_tokens_of_its_own() {
    const HOST: &str = "accounts.cloud.databricks.com";
    let account = |credentials: Value| json!([{ "name": "main", "hosts": [HOST], "account_id": ACCOUNT, "credentials": credentials }]);
    let more = move |config: &mut Value| config["accounts"] = account(json!({ "mode": "strip" }));
    let mut all = Exchanging::with(json!({ "mode": "exchange" }), options(), more).await;
    let address = all.world.workspace.token_endpoint();
    let endpoint = address.replace("/oidc/v1/token", &format!("/oidc/accounts/{ACCOUNT}/v1/token"));
    let mut config = all.world.config().clone();
    config["accounts"] = account(json!({ "mode": "exchange", "token_endpoint": endpoint }));
    all.world.write_config(config).unwrap();
    all.world.write_policy("all.cedar", r#"@id("all") permit (principal in Group::"corp/ml-engineers", action, resource);"#).unwrap();
    status_until(&all.world, |status| status["credentials"].as_array().is_some_and(|all| all.len() == 2)).await;
    let token = all.token("alice");
    let networks = || Request::new("GET", HOST, &format!("/api/2.0/accounts/{ACCOUNT}/networks")).bearer(&token);
    // The account takes none that is for a workspace.
    until(&all.world, (503, "CREDENTIAL_UNAVAILABLE"), networks).await;
    all.world.workspace.set_token_audience(ACCOUNT);
    until(&all.world, (404, "OK"), networks).await;
    let exchange = all.world.workspace.exchanges().pop().unwrap();
    assert_eq!((exchange.status, exchange.principal.as_deref()), (200, Some("alice")));
    assert_eq!(all.arrived(), BTreeSet::from([format!("Bearer {}", exchange.token.unwrap())]));
}

/// What the endpoint does for a moment the SDK never notices, since it tries again as it is told; a refusal it shows at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_waits_for_a_token_endpoint_and_shows_who_is_refused() {
    let all = Exchanging::start(json!({ "mode": "exchange" }), options()).await;
    let workspace = &all.world.workspace;
    workspace.admit(&["alice", "carol"]);
    let sidecar = all.world.sidecar(&all.world.workloads.trainer, STAGE.host).await.unwrap();
    let host = format!("http://127.0.0.1:{}", sidecar.outbound().unwrap());
    for (caller, fault) in [("alice", TokenFault::Slow(Duration::from_secs(2))), ("carol", TokenFault::Status(503, None))] {
        workspace.set_token_fault(Some(fault.clone()));
        let token = all.token(caller);
        let work = sdk::calls("work.py", &host, &token);
        // It is down until somebody has met that, and slow as long as anybody asks.
        let mended = async {
            until(&all.world, (503, "CREDENTIAL_UNAVAILABLE"), || query_as(SALES, &token)).await;
            if fault == TokenFault::Status(503, None) {
                workspace.set_token_fault(None);
            }
        };
        let (told, ()) = tokio::join!(work, mended);
        assert!(told.len() == 3 && told.iter().all(|call| call["error"].is_null()), "{fault:?}: {told:?}");
    }
    workspace.set_token_fault(None);
    let given = workspace.exchanges().iter().filter(|exchange| exchange.status == 200).count();
    assert_eq!(given, 6, "each token was given once, however often its caller tried");
    let told = sdk::calls("work.py", &host, &all.token("bob")).await;
    assert_eq!(told.len(), 3);
    for call in &told {
        let error = &call["error"];
        assert_eq!((&error["kind"], &error["reason"]), (&json!("PermissionDenied"), &json!("CREDENTIAL_REFUSED")), "{call}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("is permitted to call") && message.contains("`bob`") && message.contains("ask an administrator of the workspace"),
            "{message}"
        );
    }
}
