//! What callers ask lakegate itself: why a call was refused, whether one would be allowed, what they may do. Asked through the same Envoy as calls.

use lakegate_testkit::{
    World,
    authority::Identity,
    issuer::TokenSpec,
    raw::{Request, Response},
    world::STAGE,
};
use serde_json::{Value, json};

use crate::asking::{CHURN, CLOSED, PATIENCE, SALES, options, outcome, query, query_as, reason, send, send_as, status_until, world};

const TRAINER: &str = "spiffe://cluster.local/ns/ml-staging/sa/trainer";

const POLICIES: &str = r#"
@id("query") @reason("ML engineers query staging") @owner("ml-platform")
permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource in Environment::"staging")
when { context.peer in Namespace::"cluster.local/ml-staging" && context has token && context.token.scopes.contains("query") };

@id("run-42")
permit (principal in Group::"corp/ml-engineers", action == Action::"jobs.run_now", resource == Job::"stage/42");

@id("closed") @reason("under audit")
forbid (principal, action, resource == ServingEndpoint::"stage/closed") when { context.request.method == "POST" };

@id("others")
permit (principal in Group::"corp/others", action == Action::"jobs.cancel_all_runs", resource);

@hide @id("veiled")
forbid (principal, action, resource == ServingEndpoint::"stage/veiled");

@id("veiled-permit")
permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.get", resource == ServingEndpoint::"stage/veiled");
"#;

async fn asking(explain: &'static str) -> World {
    let options = options().policies(&[("why.cedar", POLICIES)]);
    world(options.configure(move |config| config["explain_to_caller"] = json!(explain))).await
}

fn alice(world: &World) -> String {
    world.corp.token(&TokenSpec::new()).unwrap()
}

fn why(id: &str, token: &str) -> Request {
    Request::new("GET", STAGE.host, &format!("/.well-known/lakegate/decisions/{id}")).bearer(token)
}

fn can_i(question: &Value, token: &str) -> Request {
    Request::new("POST", STAGE.host, "/.well-known/lakegate/can-i").bearer(token).json(question)
}

fn id(answer: &Response) -> String {
    answer.header("x-lakegate-decision").unwrap_or_else(|| panic!("no decision: {answer:?}")).to_owned()
}

async fn ask(world: &World, who: &Identity, request: &Request) -> Value {
    let answer = send_as(world, who, request).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!((answer.header("x-reached"), answer.header("cache-control")), (None, Some("no-store")));
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_refused_learns_why_and_nobody_else() {
    let world = asking("own").await;
    let (trainer, token) = (&world.workloads.trainer, alice(&world));
    let refused = send(&world, &query(&world, SALES)).await;
    assert_eq!(outcome(&refused), (403, "POLICY_NO_PERMIT".to_owned()));
    let told = ask(&world, trainer, &why(&id(&refused), &token)).await;
    assert_eq!((&told["decision"], &told["reason"], &told["id"]), (&json!("deny"), &json!("POLICY_NO_PERMIT"), &json!(id(&refused))));
    assert_eq!((&told["principal"], &told["peer"]), (&json!("User::\"corp/alice\""), &json!(TRAINER)));
    assert_eq!(told["resources"], json!(["ServingEndpoint::\"stage/sales\""]));
    assert_eq!(told["message"], refused.json()["message"]);
    let near = &told["near"][0];
    assert_eq!((&near["policy"]["id"], &near["policy"]["owner"]), (&json!("query"), &json!("ml-platform")));
    assert_eq!(near["policy"].get("file"), None, "callers are not told of files");
    let missing = &near["missing"][0];
    assert_eq!(missing["text"], "when { context.token.scopes.contains(\"query\") }");
    assert_eq!(missing["saw"], json!([{ "what": "context.token.scopes", "value": "[]" }]));

    // another person, another namespace, the workload alone, and an id that never was: one answer
    let bob = world.corp.token(&TokenSpec::person("bob", &["ml-engineers"])).unwrap();
    let never = "00000000-0000-7000-8000-000000000000";
    let mut answers = Vec::new();
    for (who, request) in [
        (trainer, why(&id(&refused), &bob)),
        (&world.workloads.notebook, why(&id(&refused), &token)),
        (trainer, Request::new("GET", STAGE.host, &format!("/.well-known/lakegate/decisions/{}", id(&refused)))),
        (trainer, why(never, &token)),
    ] {
        let answer = send_as(&world, who, &request).await;
        assert_eq!(outcome(&answer), (404, "DECISION_UNKNOWN".to_owned()));
        answers.push(answer);
    }
    let shape = |answer: &Response| {
        let message = answer.json()["message"].as_str().unwrap().replace(&id(answer), "…");
        message.split_once(": ").map(|(_, message)| message.to_owned())
    };
    assert!(answers.iter().all(|answer| shape(answer) == shape(&answers[3])), "{answers:?}");

    // a workload's own refusal is its own, and a token that is not believed is the workload's
    let alone = Request::new("POST", STAGE.host, SALES).json(&json!({}));
    let refused = send(&world, &alone).await;
    let bare = |id: &str| Request::new("GET", STAGE.host, &format!("/.well-known/lakegate/decisions/{id}"));
    assert_eq!(ask(&world, trainer, &bare(&id(&refused))).await["principal"], format!("Workload::\"{TRAINER}\""));
    assert_eq!(send_as(&world, trainer, &why(&id(&refused), &token)).await.status, 404);
    let expired = send(&world, &query_as(SALES, &world.corp.token(&TokenSpec::expired()).unwrap())).await;
    let told = ask(&world, trainer, &why(&id(&expired), &token)).await;
    assert_eq!((&told["reason"], &told["stage"]), (&json!("TOKEN_EXPIRED"), &json!("authn")));
    assert_eq!(send_as(&world, &world.workloads.server, &why(&id(&expired), &token)).await.status, 404);

    // what is recorded, and what is not remembered: an allowed call, an answer, and a refused question
    let record = world.audit.wait_for(PATIENCE, |record| record["action"] == "lakegate.why" && record["decision"] == "answer").await.unwrap();
    assert_eq!((&record["workspace"], &record["principal"]), (&json!("stage"), &json!("User::\"corp/alice\"")));
    let asked = send_as(&world, trainer, &why(never, &token)).await;
    assert_eq!(send_as(&world, trainer, &why(&id(&asked), &token)).await.status, 404);
    assert_eq!(world.workspace.count(), 0, "nothing of this reaches the workspace");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_is_told_is_what_the_configuration_says() {
    for explain in ["none", "own", "full"] {
        let world = asking(explain).await;
        let (trainer, token) = (&world.workloads.trainer, alice(&world));
        let cancel = json!({ "method": "POST", "path": "/api/2.2/jobs/runs/cancel-all", "body": "{\"job_id\":7}" });
        let told = ask(&world, trainer, &can_i(&cancel, &token)).await;
        assert_eq!(told["reason"], "POLICY_NO_PERMIT", "{told}");
        assert_eq!(told.get("principal").is_some(), explain != "none");
        // somebody else's permit is near, and told only where all is
        let near: Vec<&str> = told["near"].as_array().into_iter().flatten().filter_map(|near| near["policy"]["id"].as_str()).collect();
        assert_eq!(near.contains(&"others"), explain == "full", "{told}");
        if explain == "full" {
            let missing = &told["near"].as_array().unwrap().iter().find(|near| near["policy"]["id"] == "others").unwrap()["missing"][0];
            assert_eq!(missing["text"], "principal in Group::\"corp/others\"");
            assert_eq!(missing["saw"], json!([{ "what": "principal", "value": "User::\"corp/alice\" in Group::\"corp/ml-engineers\"" }]));
        }
        // a `forbid` that held is the caller's own, with its conditions
        let told = ask(&world, trainer, &can_i(&json!({ "method": "POST", "path": CLOSED, "body": "{}" }), &token)).await;
        assert_eq!(told["reason"], "POLICY_FORBIDS");
        let seen = told.pointer("/applied/0/conditions/0/saw/0/value").and_then(Value::as_str);
        assert_eq!(seen, (explain != "none").then_some("\"POST\""), "{told}");
        // what is hidden is told like what is not there, and named nowhere
        let veiled = "/api/2.0/serving-endpoints/veiled";
        let refused = send(&world, &Request::new("GET", STAGE.host, veiled).bearer(&token)).await;
        assert_eq!(outcome(&refused), (404, "RESOURCE_DOES_NOT_EXIST".to_owned()));
        let told = ask(&world, trainer, &why(&id(&refused), &token)).await;
        assert_eq!(told["reason"], "RESOURCE_DOES_NOT_EXIST");
        let mut keys: Vec<&String> = told.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["decision", "id", "message", "reason", "time"]);
        let rights = send(&world, &Request::new("GET", STAGE.host, "/.well-known/lakegate/rights").bearer(&token)).await;
        let text = String::from_utf8_lossy(&rights.body).into_owned();
        assert!(!text.contains("veiled"), "{text}");
        assert_eq!(rights.status, if explain == "none" { 403 } else { 200 });
        let get = ask(&world, trainer, &can_i(&json!({ "method": "GET", "path": "/api/2.0/serving-endpoints/other" }), &token)).await.to_string();
        assert!(!get.contains("veiled"), "{get}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn can_i_says_what_the_call_then_meets() {
    let world = asking("own").await;
    let scoped = world.corp.token(&TokenSpec::new().claim("scope", json!("query"))).unwrap();
    let calls: [(&str, &str, Option<&str>); 13] = [
        ("POST", SALES, Some("{}")),
        ("POST", CHURN, Some("{}")),
        ("POST", CLOSED, Some("{}")),
        ("POST", "/api/2.2/jobs/run-now", Some("{\"job_id\":42}")),
        ("POST", "/api/2.2/jobs/run-now", Some("{\"job_id\":43}")),
        ("POST", "/api/2.2/jobs/run-now", Some("{\"job_id\":42,\"job_id\":43}")),
        ("GET", "/api/2.0/no-such-call", None),
        ("GET", "/api//2.0/x", None),
        // what lakegate answers itself
        ("GET", "/.well-known/lakegate/rights", None),
        ("GET", "/.well-known/lakegate/rights/", None),
        ("DELETE", "/.well-known/%6cakegate/rights", None),
        ("GET", "/.well-known/databricks-config", None),
        ("POST", "/.well-known/databricks-config", None),
    ];
    let mut met = std::collections::BTreeSet::new();
    for token in [&scoped, &alice(&world)] {
        for who in [&world.workloads.trainer, &world.workloads.notebook] {
            for (method, path, body) in calls {
                let mut question = json!({ "method": method, "path": path });
                if let Some(body) = body {
                    question["body"] = json!(body);
                }
                let reached = world.workspace.count();
                let said = ask(&world, who, &can_i(&question, token)).await;
                assert_eq!(world.workspace.count(), reached, "a question reached the workspace");
                let mut call = Request::new(method, STAGE.host, path).bearer(token);
                if let Some(body) = body {
                    call.body = body.as_bytes().to_vec();
                    call = call.header("Content-Type", "application/json");
                }
                let answer = send_as(&world, who, &call).await;
                let allowed = answer.status == 200;
                assert_eq!(said["decision"] == "allow", allowed, "{method} {path}: {said} {answer:?}");
                if !allowed {
                    assert_eq!(said["reason"], reason(&answer), "{method} {path}");
                    // where there is more to be had is told where there is, and nowhere else
                    let why = answer.json().pointer("/details/0/metadata/why").and_then(Value::as_str).map(str::to_owned);
                    let more =
                        send_as(&world, who, &Request::new("GET", STAGE.host, why.as_deref().unwrap_or("/.well-known/lakegate")).bearer(token)).await;
                    assert_eq!(why.is_some(), more.status == 200, "{method} {path}: {answer:?}");
                    assert_eq!(why.is_some(), !path.contains("akegate/") && said["stage"] != "normalize", "{method} {path}");
                }
                met.insert(said["reason"].as_str().unwrap().to_owned());
            }
        }
    }
    for wanted in ["ALLOWED", "POLICY_NO_PERMIT", "POLICY_FORBIDS", "BODY_UNREADABLE", "CALL_UNKNOWN", "PATH_AMBIGUOUS"] {
        assert!(met.contains(wanted), "{wanted} was never met: {met:?}");
    }
    let record = world.audit.wait_for(PATIENCE, |record| record["action"] == "lakegate.can_i").await.unwrap();
    let param = |name: &str| record["request_params"].as_array().unwrap().iter().find(|param| param["name"] == name).unwrap()["value"].clone();
    assert_eq!((&record["decision"], param("asked_path"), param("answer")), (&json!("answer"), json!(SALES), json!("allow")));
    assert_eq!(param("asked_action"), "serving_endpoints.query");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_shared_host_can_i_is_about_the_workspace_that_is_named() {
    const TWIN: &str = "9999999999999999";
    let policies = r#"@id("twin") permit (principal, action == Action::"jobs.list", resource == Workspace::"twin");"#;
    let twin = json!({ "name": "twin", "hosts": [STAGE.host], "workspace_id": TWIN, "environment": "dev", "credentials": { "mode": "strip" } });
    let options = options().policies(&[("twin.cedar", policies)]);
    let world = world(options.configure(move |config| config["workspaces"].as_array_mut().unwrap().push(twin.clone()))).await;
    let (trainer, token) = (&world.workloads.trainer, alice(&world));
    let list = json!({ "method": "GET", "path": "/api/2.2/jobs/list" });
    for (id, allowed) in [(TWIN, true), (STAGE.workspace_id, false)] {
        let call = Request::new("GET", STAGE.host, &format!("/api/2.2/jobs/list?o={id}")).bearer(&token);
        assert_eq!(send(&world, &call).await.header("x-reached").is_some(), allowed, "{id}");
        let by_query = Request::new("POST", STAGE.host, &format!("/.well-known/lakegate/can-i?o={id}")).bearer(&token).json(&list);
        for question in [by_query, can_i(&list, &token).header("X-Databricks-Workspace-Id", id)] {
            let said = ask(&world, trainer, &question).await;
            assert_eq!(said["decision"] == "allow", allowed, "{id}: {said}");
        }
    }
    assert_eq!(outcome(&send(&world, &can_i(&list, &token)).await), (400, "WORKSPACE_AMBIGUOUS".to_owned()));
    std::fs::write(world.folder().join("alice.jwt"), &token).unwrap();
    let sidecar = world.sidecar(trainer, STAGE.host).await.unwrap();
    let url = format!("http://127.0.0.1:{}/api/2.2/jobs/list", sidecar.outbound().unwrap());
    for (arguments, code) in [(vec!["--workspace-id", TWIN], 0), (vec!["--workspace-id", STAGE.workspace_id], 2), (vec![], 3)] {
        let output = world.run(&[vec!["can-i", "GET", &url, "--token-file", "alice.jwt"], arguments].concat()).await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn can_i_says_whether_the_call_would_pass_all_the_same() {
    let policies = [("why.cedar", POLICIES)];
    let by_namespace = |config: &mut Value| config["policy"]["shadow"] = json!({ "namespaces": ["cluster.local/ml-staging"] });
    let by_host = |config: &mut Value| config["workspaces"][0]["mode"] = json!("shadow");
    let named = format!("{SALES}?o=2222222222222222");
    let twice = format!("{SALES}?o=1&o=2");
    for (change, notebook) in [(by_namespace as fn(&mut Value), false), (by_host, true)] {
        let world = world(options().policies(&policies).configure(change)).await;
        let token = alice(&world);
        for (who, path, shadow) in [
            (&world.workloads.trainer, SALES, true),
            (&world.workloads.notebook, SALES, notebook),
            // names an enforced workspace, or may
            (&world.workloads.notebook, named.as_str(), false),
            (&world.workloads.notebook, twice.as_str(), false),
            (&world.workloads.trainer, "/.well-known/lakegate/other", false),
            // what cannot be read is of no workload, and names no workspace
            (&world.workloads.trainer, "/api//2.0/x", notebook),
        ] {
            let said = ask(&world, who, &can_i(&json!({ "method": "POST", "path": path, "body": "{}" }), &token)).await;
            assert_eq!((&said["decision"], &said["mode"]), (&json!("deny"), &json!(if shadow { "shadow" } else { "enforce" })), "{path}: {said}");
            let call = Request::new("POST", STAGE.host, path).bearer(&token).json(&json!({}));
            assert_eq!(send_as(&world, who, &call).await.header("x-reached").is_some(), shadow, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_paths_are_for_the_authenticated_and_never_go_on() {
    let mut world = asking("own").await;
    let token = alice(&world);
    let own = |method: &str, path: &str| Request::new(method, STAGE.host, path);
    let rights = "/.well-known/lakegate/rights";
    let expired = world.corp.token(&TokenSpec::expired()).unwrap();
    let long = json!({ "method": "GET", "path": format!("/{}", "x".repeat(9000)) });
    let questions = || {
        [
            (own("GET", rights).bearer(&expired), 401, "TOKEN_EXPIRED"),
            (own("GET", "/.well-known/lakegate/other").bearer(&expired), 401, "TOKEN_EXPIRED"),
            (own("POST", rights).bearer(&token).json(&json!({})), 403, "CALL_UNKNOWN"),
            (own("GET", "/.well-known/lakegate").bearer(&token), 403, "CALL_UNKNOWN"),
            (own("GET", "/.well-known/lakegate/").bearer(&token), 403, "CALL_UNKNOWN"),
            (own("DELETE", "/.well-known/lakegate/decisions/x").bearer(&token), 403, "CALL_UNKNOWN"),
            (own("GET", "/.well-known/lakegate/can-i").bearer(&token), 403, "CALL_UNKNOWN"),
            (own("GET", "/.well-known/%6cakegate/rights/x").bearer(&token), 403, "CALL_UNKNOWN"),
            (own("GET", "/.well-known/lakegate/decisions/a/b").bearer(&token), 403, "CALL_UNKNOWN"),
            (own("POST", "/.well-known/lakegate/can-i").bearer(&token).json(&json!([1])), 400, "BODY_UNREADABLE"),
            (own("POST", "/.well-known/lakegate/can-i").bearer(&token).json(&json!({ "method": "GET" })), 400, "BODY_UNREADABLE"),
            (can_i(&json!({ "method": "GET", "path": "/x", "peer": "spiffe://x" }), &token), 400, "BODY_UNREADABLE"),
            (can_i(&json!({ "method": 1, "path": "/x" }), &token), 400, "BODY_UNREADABLE"),
        ]
    };
    // in shadow mode as well, where everything else passes
    for mode in ["enforce", "shadow"] {
        if mode == "shadow" {
            let mut config = world.config().clone();
            config["policy"]["mode"] = json!("shadow");
            world.write_config(config).unwrap();
            status_until(&world, |status| status["configuration"]["generation"] == 2).await;
            assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await).0, 200);
            // nobody was refused, so there is nothing to ask about
            let observed = world.audit.wait_for(PATIENCE, |record| record["mode"] == "shadow" && record["decision"] == "deny").await.unwrap();
            assert_eq!(outcome(&send(&world, &why(observed["event_id"].as_str().unwrap(), &token)).await), (404, "DECISION_UNKNOWN".to_owned()));
        }
        let reached = world.workspace.count();
        for (request, status, reason) in questions() {
            let answer = send(&world, &request).await;
            assert_eq!(outcome(&answer), (status, reason.to_owned()), "{mode}: {request:?}");
        }
        let told = ask(&world, &world.workloads.trainer, &can_i(&long, &token)).await;
        assert_eq!((&told["decision"], &told["reason"], &told["mode"]), (&json!("deny"), &json!("REQUEST_MALFORMED"), &json!(mode)));
        let rights = ask(&world, &world.workloads.trainer, &own("GET", rights).bearer(&token)).await;
        let ids: Vec<&str> = rights["permits"].as_array().unwrap().iter().map(|right| right["policy"].as_str().unwrap()).collect();
        assert_eq!(ids, ["query", "run-42"]);
        assert_eq!(rights["permits"][0]["conditions"][0], "when { context.peer in Namespace::\"cluster.local/ml-staging\" }");
        assert_eq!((&rights["forbids"][0]["policy"], rights["forbids"].as_array().unwrap().len()), (&json!("closed"), 1));
        assert_eq!(world.workspace.count(), reached, "{mode}");
    }
    let metrics = world.admin("/metrics").await.unwrap().1;
    assert!(!metrics.contains("lakegate_unknown_calls_total{"), "no question is a call that the catalog lacks: {metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_ask_through_the_sidecar() {
    let world = asking("full").await;
    std::fs::write(world.folder().join("alice.jwt"), alice(&world)).unwrap();
    let sidecar = world.sidecar(&world.workloads.trainer, STAGE.host).await.unwrap();
    let base = format!("http://127.0.0.1:{}", sidecar.outbound().unwrap());
    let run = async |arguments: &[&str]| {
        let output = world.run(arguments).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let refused = send(&world, &query(&world, SALES)).await;
    let (code, text) = run(&["why", &id(&refused), "--url", &base, "--token-file", "alice.jwt"]).await;
    assert_eq!(code, Some(0), "{text}");
    for part in ["POLICY_NO_PERMIT", "nearest    query: ML engineers query staging; ask ml-platform", "context.token.scopes is []"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let (code, text) = run(&["--output", "json", "why", &id(&refused), "--url", &base, "--token-file", "alice.jwt"]).await;
    assert_eq!((code, &serde_json::from_str::<Value>(&text).unwrap()["reason"]), (Some(0), &json!("POLICY_NO_PERMIT")));
    let (code, text) = run(&["why", "00000000-0000-7000-8000-000000000000", "--url", &base, "--token-file", "alice.jwt"]).await;
    assert!(code == Some(1) && text.contains("DECISION_UNKNOWN") && text.contains("replica"), "{code:?} {text}");
    world.audit.decision(&id(&refused), PATIENCE).await.unwrap();
    let (code, text) = run(&["why", &id(&refused).to_uppercase(), "--url", &base, "--token-file", "alice.jwt"]).await;
    assert!(code == Some(0) && text.contains("POLICY_NO_PERMIT"), "{code:?} {text}");
    let (code, text) = run(&["why", &id(&refused), "--audit", "\u{1b}[2Jnowhere"]).await;
    assert!(code == Some(3) && text.contains("?[2Jnowhere"), "{code:?} {text}");
    let (code, text) = run(&["why", &id(&refused).to_uppercase(), "--audit", "audit.jsonl"]).await;
    assert!(code == Some(0) && text.contains("POLICY_NO_PERMIT") && text.contains(TRAINER), "{code:?} {text}");

    let (code, text) = run(&["can-i", "POST", &format!("{base}/api/2.2/jobs/run-now"), "{\"job_id\":42}", "--token-file", "alice.jwt"]).await;
    assert!(code == Some(0) && text.contains("allow (ALLOWED)") && text.contains("run-42"), "{code:?} {text}");
    let (code, text) = run(&["can-i", "POST", &format!("{base}{CLOSED}"), "{}", "--token-file", "alice.jwt"]).await;
    assert!(code == Some(2) && text.contains("context.request.method is \"POST\""), "{code:?} {text}");
    let (code, text) = run(&["can-i", "--list", &base, "--token-file", "alice.jwt"]).await;
    assert!(code == Some(0) && text.contains("resource == Job::\"stage/42\"") && text.contains("unless "), "{code:?} {text}");
    let claims = json!({ "iss": world.corp.url(), "aud": "lakegate", "sub": "alice", "groups": ["ml-engineers"] });
    std::fs::write(world.folder().join("claims.json"), claims.to_string()).unwrap();
    let offline = ["can-i", "--config", "lakegate.yaml", "--claims", "claims.json", "--peer", TRAINER];
    let (code, text) = run(&[&offline[..], &["--list"]].concat()).await;
    assert!(code == Some(0) && text.contains("run-42"), "{code:?} {text}");
    let url = format!("https://{}{SALES}", STAGE.host);
    let (code, text) = run(&[&offline[..], &["POST", &url, "{}"]].concat()).await;
    assert!(code == Some(2) && text.contains("context.token.scopes is []"), "{code:?} {text}");

    for (arguments, wanted) in [
        (vec!["why", "x", "--url", &base], 3),
        (vec!["why", "------------------------------------", "--url", &base], 3),
        (vec!["why", "00000000-0000-7000-8000-000000000000", "--url", "http://stage.cloud.databricks.com"], 3),
        (vec!["why", "00000000-0000-7000-8000-000000000000", "--audit", "nowhere.jsonl"], 3),
        (vec!["can-i", "GET"], 3),
        (vec!["can-i", "--list", "http://127.0.0.1:9"], 1),
    ] {
        assert_eq!(run(&arguments).await.0, Some(wanted), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_by_the_policies_of_now() {
    let world = asking("own").await;
    let token = alice(&world);
    let refused = send(&world, &query(&world, SALES)).await;
    world.write_policy("why.cedar", r#"@id("anybody") permit (principal, action, resource);"#).unwrap();
    status_until(&world, |status| status["configuration"]["generation"] == 2).await;
    let told = ask(&world, &world.workloads.trainer, &why(&id(&refused), &token)).await;
    assert_eq!((&told["reason"], &told["policies_changed"], told.get("near")), (&json!("POLICY_NO_PERMIT"), &json!(true), None));
}
