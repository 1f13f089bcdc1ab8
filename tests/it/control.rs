//! The control socket: what it shows, what it changes, and for whom.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use lakegate_testkit::{Options, World, issuer::TokenSpec, process::Signal, raw::Request, world::STAGE};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::asking::{CHURN, CLOSED, PATIENCE, SALES, options, outcome, query, send, world};

const SOCKET: &str = "lakegate.sock";

/// A world whose lakegate has a control socket.
fn controlled() -> Options {
    options().configure(|config| config["listen"]["control"] = json!(SOCKET))
}

/// Exit code, the JSON on standard output, and what went to standard error.
async fn command(world: &World, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let all: Vec<&str> = arguments.iter().copied().chain(["--control", SOCKET, "--output", "json"]).collect();
    let output = world.run(&all).await.unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Status and body of one request, as anyone with a socket could send it.
async fn ask(world: &World, method: &str, target: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(world.folder().join(SOCKET)).await.unwrap();
    let length = body.len();
    let request = format!("{method} {target} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

async fn hits(world: &World, id: &str) -> u64 {
    ask(world, "GET", &format!("/v1/policies/{id}"), "").await.1["hits"].as_u64().unwrap()
}

/// The names of its members, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn ids(list: &Value) -> Vec<&str> {
    list["policies"].as_array().unwrap().iter().map(|policy| policy["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_listed_with_what_they_decided() {
    let world = world(controlled()).await;
    let (code, unused, _) = command(&world, &["policies", "--unused"]).await;
    let all = ids(&unused).len();
    assert_eq!((code, &unused["served"]), (Some(0), &json!(all)), "{unused}");
    // the first of each is decided, the others are cached
    for _ in 0..3 {
        assert_eq!(outcome(&send(&world, &query(&world, SALES)).await), (200, "OK".to_owned()));
    }
    for _ in 0..2 {
        assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await), (403, "POLICY_FORBIDS".to_owned()));
    }
    // neither what no policy decides nor what is only asked about counts
    assert_eq!(
        outcome(&send(&world, &Request::new("GET", STAGE.host, "/api/2.2/jobs/list").bearer(&world.corp.token(&TokenSpec::new()).unwrap())).await).0,
        403
    );
    let (_, list, _) = command(&world, &["policies", "--sort", "hits"]).await;
    // scripts read them by these names
    assert_eq!(keys(&list), ["generation", "policies", "served"]);
    let of_one = ["action", "effect", "file", "hits", "id", "last_hit", "line", "owner", "principal", "reason", "resource", "since"];
    assert_eq!(keys(&list["policies"][0]), of_one);
    let first = &list["policies"][0];
    assert_eq!((first["hits"].as_u64(), first["effect"].as_str()), (Some(3), Some("permit")), "{list}");
    assert!(first["file"].as_str().unwrap().ends_with("demo.cedar") && first["line"].is_u64() && first["last_hit"].is_string(), "{first}");
    assert_eq!((&list["policies"][1]["id"], list["policies"][1]["hits"].as_u64()), (&json!("closed-endpoint"), Some(2)), "{list}");
    let (_, unused, _) = command(&world, &["policies", "--unused"]).await;
    assert_eq!(ids(&unused).len(), all - 2, "{unused}");
    let (_, forbids, _) = command(&world, &["policies", "--effect", "forbid", "--prefix", "closed"]).await;
    assert_eq!(ids(&forbids), ["closed-endpoint"]);
    // served for less than a day
    let (_, idle, _) = command(&world, &["policies", "--idle", "1d"]).await;
    assert_eq!(ids(&idle), [""; 0]);
    let (_, one, _) = command(&world, &["policies", "closed-endpoint"]).await;
    let mut of_served: Vec<&str> = of_one.into_iter().chain(["generation", "text"]).collect();
    of_served.sort_unstable();
    assert_eq!(keys(&one), of_served);
    assert!(one["text"].as_str().unwrap().starts_with("@id(\"closed-endpoint\")") && one["hits"] == 2, "{one}");
    let (code, _, error) = command(&world, &["policies", "closed"]).await;
    assert!(code == Some(3) && error.contains("no policy with the id `closed` is served"), "{code:?} {error}");

    let metrics = world.admin("/metrics").await.unwrap().1;
    assert!(metrics.contains("lakegate_policy_hits_total{policy=\"closed-endpoint\",effect=\"forbid\"} 2\n"), "{metrics}");
    assert!(metrics.contains("lakegate_policy_hits_unlisted_total 0\n"), "{metrics}");
    let series = metrics.lines().filter(|line| line.starts_with("lakegate_policy_hits_total{")).count();
    assert_eq!(series, 2, "{metrics}");

    let text = world.run(&["policies", "--control", SOCKET]).await.unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains(&format!("{all} of {all} policies served")) && text.contains("resource == ServingEndpoint::\"stage/closed\""), "{text}");
    // the same set from its files has no hits
    let written = world.run(&["policies", "--config", "lakegate.yaml", "--output", "json"]).await.unwrap();
    let written: Value = serde_json::from_slice(&written.stdout).unwrap();
    assert_eq!((ids(&written).len(), &written["policies"][0]["hits"]), (all, &Value::Null), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_serves_at_once_what_is_good_and_says_what_is_not() {
    let mut world = world(controlled()).await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let run = || Request::new("POST", STAGE.host, "/api/2.2/jobs/run-now").bearer(&token).json(&json!({ "job_id": 43 }));
    assert_eq!(outcome(&send(&world, &run()).await), (403, "POLICY_NO_PERMIT".to_owned()));
    send(&world, &query(&world, CLOSED)).await;

    let good =
        "@id(\"job-43\") permit (principal in Group::\"corp/ml-engineers\", action == Action::\"jobs.run_now\", resource == Job::\"stage/43\");";
    world.write_policy("more.cedar", good).unwrap();
    let (code, reloaded, _) = command(&world, &["reload"]).await;
    assert_eq!((code, &reloaded["degraded"], &reloaded["faults"]), (Some(0), &json!(false), &json!([])), "{reloaded}");
    assert_eq!(reloaded["difference"]["added"], json!({ "count": 1, "first": ["job-43"] }), "{reloaded}");
    assert_eq!(outcome(&send(&world, &run()).await), (200, "OK".to_owned()), "without waiting");
    assert_eq!(hits(&world, "closed-endpoint").await, 1, "counts survive");

    world.write_policy("more.cedar", "@id(\"job-43\") permit (principal, action == Action::\"jobs.run_nwo\", resource);").unwrap();
    let (code, refused, error) = command(&world, &["reload"]).await;
    assert_eq!((code, &refused["degraded"], &refused["generation"]), (Some(3), &json!(true), &reloaded["generation"]), "{refused} {error}");
    let fault = &refused["faults"][0];
    assert!(fault["file"].as_str().unwrap().ends_with("more.cedar") && fault["line"] == 1, "{fault}");
    assert_eq!(outcome(&send(&world, &run()).await), (200, "OK".to_owned()), "the last good set stays");
    let text = world.run(&["reload", "--control", SOCKET]).await.unwrap();
    let (said, complained) = (String::from_utf8(text.stdout).unwrap(), String::from_utf8(text.stderr).unwrap());
    assert!(
        said.contains("not served; generation") && complained.contains("more.cedar:1") && complained.contains("jobs.run_now"),
        "{said}{complained}"
    );

    world.write_policy("more.cedar", good).unwrap();
    let (code, mended, _) = command(&world, &["reload"]).await;
    assert_eq!((code, &mended["degraded"], &mended["difference"]["changed"]["count"]), (Some(0), &json!(false), &json!(0)), "{mended}");
    let (code, same, _) = command(&world, &["reload"]).await;
    assert_eq!((code, &same["changed"]), (Some(0), &json!(false)), "{same}");
    // many at once, beside the watch, end with one set and no gap
    let all: Vec<_> = (0..20).map(|_| ask(&world, "POST", "/v1/reload", "")).collect();
    for (status, reloaded) in futures::future::join_all(all).await {
        assert_eq!((status, &reloaded["degraded"]), (200, &json!(false)), "{reloaded}");
        let of_reload = ["age_s", "changed", "degraded", "difference", "faults", "generation", "policies", "restart_needed_for", "warnings"];
        assert_eq!(keys(&reloaded), of_reload);
    }
    let log = world.lakegate().output();
    let uid = format!("\"uid\":{}", rustix::process::geteuid().as_raw());
    assert!(log.lines().any(|line| line.contains("a reload is asked for") && line.contains(&uid)), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_explains_a_call_without_a_token() {
    let world = world(controlled()).await;
    let claims = json!({ "iss": world.corp.url(), "aud": "lakegate", "sub": "alice", "groups": ["ml-engineers"] });
    fs::write(world.folder().join("claims.json"), claims.to_string()).unwrap();
    let peer = "spiffe://cluster.local/ns/ml-staging/sa/trainer";
    for (target, code, reason) in
        [(SALES, 0, "ALLOWED"), (CLOSED, 2, "POLICY_FORBIDS"), ("/no/such/call", 2, "CALL_UNKNOWN"), ("/.well-known/lakegate/can-i", 0, "ALLOWED")]
    {
        let url = format!("https://{}{target}", STAGE.host);
        let call = ["explain", "--method", "POST", "--url", &url, "--body", "{\"inputs\":[1]}", "--peer", peer, "--claims", "claims.json"];
        let (exit, report, error) = command(&world, &call).await;
        assert_eq!((exit, &report["reason"], &report["generation"]), (Some(code), &json!(reason), &json!(1)), "{report} {error}");
        let offline: Vec<&str> = call.iter().copied().chain(["--config", "lakegate.yaml", "--output", "json"]).collect();
        let offline: Value = serde_json::from_slice(&world.run(&offline).await.unwrap().stdout).unwrap();
        // files are named as the configuration was, which stands elsewhere
        let folder = format!("{}/", world.folder().display());
        let mut served: Value = serde_json::from_str(&report.to_string().replace(&folder, "")).unwrap();
        served.as_object_mut().unwrap().remove("generation");
        assert_eq!(served, offline, "{target}");
    }
    assert_eq!((hits(&world, "closed-endpoint").await, world.workspace.count()), (0, 0), "nothing was decided");
    let text = world.run(&["explain", "--control", SOCKET, "--method", "POST", "--url", &format!("https://{}{CHURN}", STAGE.host)]).await.unwrap();
    assert!(String::from_utf8(text.stdout).unwrap().contains("(PEER_MISSING)"));

    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let url = format!("https://{}{SALES}", STAGE.host);
    for (inquiry, message) in [
        (json!({ "method": "GET", "url": url, "headers": { "Authorization": "Basic abcdef" } }), "`authorization` is for credentials"),
        (json!({ "method": "GET", "url": url, "headers": { "x-databricks-oauth-token": "abcdef" } }), "is for credentials"),
        (json!({ "method": "GET", "url": url, "headers": { "x-other": token } }), "looks like a credential"),
        (json!({ "method": "GET", "url": url, "token": "abcdef" }), "unknown field `token`"),
        (json!({ "method": "GET", "url": "nonsense" }), "is no URL of a call"),
        (json!({ "method": "GET" }), "missing field `url`"),
    ] {
        let (status, answer) = ask(&world, "POST", "/v1/explain", &inquiry.to_string()).await;
        let said = answer["error"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(status == 400 && said.contains(message) && !said.contains("abcdef") && !said.contains(&token), "{status} {said}");
    }
    let twice = format!("{{\"method\":\"GET\",\"url\":\"{url}\",\"claims\":{{\"sub\":\"a\",\"sub\":\"b\"}}}}");
    assert_eq!(ask(&world, "POST", "/v1/explain", &twice).await.0, 400);
    assert_eq!(ask(&world, "POST", "/v1/explain", &" ".repeat((4 << 20) + 1)).await.0, 413);
    let (exit, _, error) = command(&world, &["explain", "--method", "GET", "--url", &url, "--token-file", "claims.json"]).await;
    assert!(exit == Some(3) && error.contains("--token-file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_does_not_have_it_says() {
    let many: Vec<String> =
        (0..1050).map(|number| format!("@id(\"p{number:04}\") permit (principal, action, resource == Job::\"stage/{number}\");\n")).collect();
    let world = world(controlled().policies(&[("many.cedar", &many.concat())])).await;
    for (method, target, status) in [
        ("GET", "/v1/nothing", 404),
        ("GET", "/metrics", 404),
        ("GET", "/v1/reload", 405),
        ("DELETE", "/v1/policies", 405),
        ("GET", "/v1/policies/none", 404),
        ("GET", "/v1/policies/%ff", 400),
        ("GET", "/v1/policies?unusd=true", 400),
        ("GET", "/v1/policies?limit=2", 200),
        ("GET", "/v1/grants", 200),
        ("GET", "/v1/grants?all", 200),
        ("GET", "/v1/grants?al", 400),
    ] {
        let (have, answer) = ask(&world, method, target, "").await;
        assert_eq!((have, answer["error"].is_string()), (status, status != 200), "{method} {target}: {answer}");
    }
    assert_eq!(ids(&ask(&world, "GET", "/v1/policies?limit=2", "").await.1).len(), 2);
    // the command asks for page after page
    let (_, all, _) = command(&world, &["policies"]).await;
    let want: Vec<String> = (0..1050).map(|number| format!("p{number:04}")).collect();
    assert_eq!(ids(&all), want);
    // the admin port has none of it
    for target in ["/v1/policies", "/v1/grants", "/v1/reload", "/v1/explain"] {
        assert_eq!(world.admin(target).await.unwrap().0, 404, "{target}");
    }
}

/// Runs a command as user 65534, from a folder that this user can read.
fn as_nobody(socket: &Path, arguments: &[&str]) -> Output {
    let binary = tempfile::tempdir().unwrap();
    fs::set_permissions(binary.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let lakegate = binary.path().join("lakegate");
    fs::copy(env!("CARGO_BIN_EXE_lakegate"), &lakegate).unwrap();
    let mut command = Command::new(&lakegate);
    command.args(arguments).arg("--control").arg(socket).current_dir("/").uid(65534).gid(65534).stdin(Stdio::null());
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        // only root can be another user; `admin::control::socket` tests who may ask
        return;
    }
    let world = world(controlled()).await;
    let socket = world.folder().join(SOCKET);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = |socket: &Path| {
        let output = as_nobody(socket, &["policies"]);
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    fs::set_permissions(world.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    let (code, said) = refused(&socket);
    assert!(code == Some(1) && said.contains("for root and the user that lakegate runs as"), "{said}");
    // and even where somebody has opened the file to all
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let (code, said) = refused(&socket);
    assert!(code == Some(1) && said.contains("closed without an answer"), "{said}");
    assert!(!said.contains("closed-endpoint"), "{said}");
    assert_eq!(command(&world, &["policies"]).await.0, Some(0), "root goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_comes_and_goes_with_its_process() {
    let mut world = world(controlled()).await;
    let socket = world.folder().join(SOCKET);
    // another lakegate on other ports does not take it
    let mut other = world.config().clone();
    let [check, admin] = lakegate_testkit::ports::free().unwrap();
    other["listen"]["check"] = json!(format!("127.0.0.1:{check}"));
    other["listen"]["admin"] = json!(format!("127.0.0.1:{admin}"));
    other["audit"]["file"] = json!("other.jsonl");
    fs::write(world.folder().join("other.yaml"), lakegate_testkit::yaml::write(&other)).unwrap();
    let second = world.run(&["serve", "--config", "other.yaml"]).await.unwrap();
    let said = String::from_utf8_lossy(&[second.stdout, second.stderr].concat()).into_owned();
    assert!(second.status.code() == Some(1) && said.contains("listen.control") && said.contains("another process listens"), "{said}");
    assert_eq!(command(&world, &["policies"]).await.0, Some(0));

    let process = world.lakegate().process();
    process.signal(Signal::KILL).unwrap();
    process.wait(PATIENCE).await.unwrap();
    assert!(socket.exists(), "a killed process leaves it");
    let (code, _, error) = command(&world, &["reload"]).await;
    assert!(code == Some(1) && error.contains("nobody listens"), "{error}");
    world.start_lakegate().await.unwrap();
    assert_eq!(command(&world, &["policies"]).await.0, Some(0));

    world.lakegate().process().signal(Signal::TERM).unwrap();
    assert_eq!(world.lakegate().process().wait(PATIENCE).await.unwrap().code(), Some(0));
    assert!(!socket.exists());
    let (code, _, error) = command(&world, &["reload"]).await;
    assert!(code == Some(1) && error.contains("`listen.control`"), "{error}");

    fs::write(&socket, "not a socket").unwrap();
    for command in ["check", "serve"] {
        let output = world.run(&[command, "--config", "lakegate.yaml"]).await.unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.code() == Some(3) && said.contains("lakegate.yaml:") && said.contains("is no socket"), "{command}: {said}");
    }
    assert_eq!(fs::read_to_string(&socket).unwrap(), "not a socket");
}
