//! Tokens that are refused although they have not expired: revoked by an operator, ended by their issuer, of a session that is too old.

use std::{
    fs,
    path::Path,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use lakegate_testkit::{Options, World, clock::now_s, issuer::TokenSpec, process::Signal, raw::Request};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    task::JoinSet,
};

use crate::asking::{PATIENCE, SALES, options, outcome, query_as, send, until, world};

const SOCKET: &str = "lakegate.sock";
const HOUR: i64 = 3600;
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A lakegate with a control socket that keeps its state in `state`.
fn kept(state: &Path) -> Options {
    let state = state.to_owned();
    options().configure(move |config| {
        config["listen"]["control"] = json!(SOCKET);
        config["state_dir"] = json!(state);
        config["issuers"][0]["logout"] = json!({ "audience": "lakegate-client" });
    })
}

/// Exit code, the JSON on standard output, and what went to standard error.
async fn command(world: &World, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let all: Vec<&str> = arguments.iter().copied().chain(["--control", SOCKET, "--output", "json"]).collect();
    let output = world.run(&all).await.unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn revoke(world: &World, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["revoke", "--issuer", "corp"].iter().chain(arguments).copied().collect();
    let (code, made, error) = command(world, &all).await;
    assert_eq!(code, Some(0), "{arguments:?}: {error}");
    made
}

/// Status and body of one request on the control socket, or nothing where the connection ends.
async fn ask(socket: &Path, method: &str, target: &str, body: &str) -> Option<(u16, Value)> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    let length = body.len();
    let request = format!("{method} {target} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).ok()?))
}

async fn answered(world: &World, token: &str) -> (u16, String) {
    outcome(&send(world, &query_as(SALES, token)).await)
}

fn allowed() -> (u16, String) {
    (200, "OK".to_owned())
}

fn revoked() -> (u16, String) {
    (401, "TOKEN_REVOKED".to_owned())
}

fn session(name: &str) -> TokenSpec {
    TokenSpec::new().claim("sid", name).expires_in(3 * HOUR)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_is_refused_at_once_and_after_a_restart_until_it_is_lifted() {
    let state = TempDir::new().unwrap();
    let mut world = world(kept(state.path())).await;
    let token = world.corp.token(&session("s1").claim("jti", "j1")).unwrap();
    let other = world.corp.token(&session("s2").claim("jti", "j2")).unwrap();
    for _ in 0..3 {
        assert_eq!((answered(&world, &token).await, answered(&world, &other).await), (allowed(), allowed()));
    }
    let made = revoke(&world, &["--session", "s1", "--note", "laptop lost"]).await;
    // The very next request, of a token whose verification and decision are known
    assert_eq!((answered(&world, &token).await, answered(&world, &other).await), (revoked(), allowed()));
    let keys: Vec<&str> = made.as_object().unwrap().keys().map(String::as_str).collect();
    let of_one = ["id", "issuer", "iss", "kind", "value", "not_before", "until", "made_at", "by", "note", "lifted_at", "lifted_by", "kept"];
    assert_eq!(keys, of_one, "scripts read them by these names");
    assert_eq!((&made["kind"], &made["value"], &made["kept"], &made["issuer"]), (&json!("session"), &json!("s1"), &json!(true), &json!("corp")));
    let refused = send(&world, &query_as(SALES, &token)).await;
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    // the record says whose it is and by which revocation; the caller does not learn that
    let record = world.audit.decision(refused.header("x-lakegate-decision").unwrap(), PATIENCE).await.unwrap();
    let known = &record["refused_token"];
    assert_eq!([&known["subject_name"], &known["token_id"], &known["session_id"]], [&json!("alice"), &json!("j1"), &json!("s1")], "{record}");
    assert_eq!((&known["revocation_id"], &record["principal"]), (&made["id"], &Value::Null), "{record}");
    assert!(!String::from_utf8_lossy(&refused.body).contains(made["id"].as_str().unwrap()));

    world.restart_lakegate().await.unwrap();
    assert_eq!((answered(&world, &token).await, answered(&world, &other).await), (revoked(), allowed()));
    let (_, list, _) = command(&world, &["revocations"]).await;
    assert_eq!((&list["revocations"][0]["id"], &list["revocations"][0]["note"]), (&made["id"], &json!("laptop lost")), "{list}");
    let status: Value = serde_json::from_str(&world.admin("/status").await.unwrap().1).unwrap();
    assert_eq!((&status["revocations"]["sessions"], &status["revocations"]["kept"]), (&json!(1), &json!(true)), "{status}");
    let metrics = world.admin("/metrics").await.unwrap().1;
    for line in ["lakegate_authn_revocations{kind=\"session\"} 1\n", "lakegate_authn_revoked_total 1\n", "lakegate_authn_revocations_degraded 0\n"] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
    let text = world.run(&["revocations", "--control", SOCKET]).await.unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("corp: session s1") && text.contains(": laptop lost") && text.ends_with("1 revocations\n"), "{text}");

    let id = made["id"].as_str().unwrap();
    let (code, lifted, error) = command(&world, &["revoke", "--lift", id]).await;
    assert!(code == Some(0) && lifted["lifted_at"].is_string(), "{lifted} {error}");
    assert_eq!(answered(&world, &token).await, allowed());
    world.restart_lakegate().await.unwrap();
    assert_eq!(answered(&world, &token).await, allowed());
    let (_, list, _) = command(&world, &["revocations"]).await;
    assert_eq!(list["revocations"], json!([]));
    let (_, all, _) = command(&world, &["revocations", "--all"]).await;
    assert_eq!(all["revocations"][0]["id"], made["id"]);
    let (code, _, error) = command(&world, &["revoke", "--lift", id]).await;
    assert!(code == Some(3) && error.contains("there is no revocation"), "{code:?} {error}");
    let uid = format!("\"uid\":{}", rustix::process::geteuid().as_raw());
    let journal = fs::read_to_string(state.path().join("revocations.jsonl")).unwrap();
    assert!(journal.contains(&uid) && journal.contains("laptop lost") && journal.contains("\"lift\""), "{journal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_revocation_and_what_is_no_order() {
    let state = TempDir::new().unwrap();
    let mut world = world(kept(state.path())).await;
    let token = world.corp.token(&session("s1").claim("jti", "j1")).unwrap();
    let orders: [&[&str]; 5] = [
        &["--token-id", "j1", "--for", "1h"],
        &["--session", "s1"],
        &["--subject", "alice"],
        &["--subject", "alice", "--block", "--until", "2031-01-01T00:00:00Z"],
        &["--not-before", "now"],
    ];
    for order in orders {
        assert_eq!(answered(&world, &token).await, allowed(), "{order:?}");
        let made = revoke(&world, order).await;
        assert_eq!(answered(&world, &token).await, revoked(), "{order:?}");
        command(&world, &["revoke", "--lift", made["id"].as_str().unwrap()]).await;
    }
    for (arguments, said) in [
        (vec!["--issuer", "corp"], "say which tokens"),
        (vec!["--issuer", "corp", "--subject", "User::\"corp/alice\""], "its subject is `alice`"),
        (vec!["--issuer", "corp", "--token-id", "j1", "--session", "s1"], "cannot be used with"),
        (vec!["--issuer", "corp", "--session", "s1", "--block"], "for a subject"),
        (vec!["--issuer", "corp", "--subject", "alice", "--block"], "say how long"),
        (vec!["--issuer", "crop", "--session", "s1"], "no issuer is called `crop`; there are `corp`, `other`"),
        (vec!["--issuer", "corp", "--not-before", "noon"], "is no time"),
        (vec!["--issuer", "corp", "--session", "s1", "--for", "1"], "30d"),
        (vec!["--issuer", "corp", "--session", "s1", "--for", "0s"], "in the future"),
    ] {
        let all: Vec<&str> = ["revoke"].into_iter().chain(arguments).collect();
        let (code, _, error) = command(&world, &all).await;
        assert!(code == Some(3) && error.contains(said), "{all:?}: {code:?} {error}");
    }
    let socket = world.folder().join(SOCKET);
    for (method, target, body, status) in [
        ("POST", "/v1/revocations", "{}".to_owned(), 400),
        ("POST", "/v1/revocations", "{\"issuer\":\"corp\",\"sesion\":\"s1\"}".to_owned(), 400),
        ("POST", "/v1/revocations", " ".repeat(70_000), 413),
        ("GET", "/v1/revocations?limit=0", String::new(), 400),
        ("GET", "/v1/revocations?all=1", String::new(), 400),
        ("GET", "/v1/revocations?after=a&after=b", String::new(), 400),
        ("GET", "/v1/revocations?subject=alice", String::new(), 400),
        ("GET", "/v1/revocations?limit=1&all=true", String::new(), 200),
        ("DELETE", "/v1/revocations/none", String::new(), 404),
        ("DELETE", "/v1/revocations/%ff", String::new(), 400),
        ("DELETE", "/v1/revocations", String::new(), 405),
    ] {
        assert_eq!(ask(&socket, method, target, &body).await.map(|answer| answer.0), Some(status), "{method} {target}");
    }
    let page = ask(&socket, "GET", "/v1/revocations?limit=2&all=true", "").await.unwrap().1;
    assert_eq!((page["revocations"].as_array().unwrap().len(), page["next"].is_string()), (2, true), "{page}");
    assert_eq!(answered(&world, &token).await, allowed());
    assert_eq!(world.admin("/v1/revocations").await.unwrap().0, 404, "the admin port has none of it");
    let log = world.lakegate().output();
    let uid = format!("\"uid\":{}", rustix::process::geteuid().as_raw());
    assert!(log.lines().any(|line| line.contains("\"revoked\"") && line.contains(&uid) && line.contains("j1")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_by_itself() {
    let state = TempDir::new().unwrap();
    let world = world(kept(state.path()).test_clock()).await;
    let token = world.corp.token(&session("s1")).unwrap();
    revoke(&world, &["--session", "s1", "--for", "1h"]).await;
    assert_eq!(answered(&world, &token).await, revoked());
    world.move_clock(HOUR - 60).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(answered(&world, &token).await, revoked());
    world.move_clock(HOUR + 60).unwrap();
    until(&world, (200, "OK"), || query_as(SALES, &token)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_it_counts_until_a_restart_and_says_so() {
    let mut world = world(options().configure(|config| {
        config["listen"]["control"] = json!(SOCKET);
        config["issuers"][0]["logout"] = json!({ "audience": "lakegate-client" });
    }))
    .await;
    let checked = world.run(&["check", "--config", "lakegate.yaml"]).await.unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(said.contains("issuer `corp` ends sessions (`logout`), and a restart forgets it"), "{said}");
    let token = world.corp.token(&session("s1")).unwrap();
    let made = revoke(&world, &["--session", "s1"]).await;
    assert!(made["kept"] == false && made["warnings"][0].as_str().unwrap().contains("state_dir"), "{made}");
    assert_eq!(answered(&world, &token).await, revoked());
    let text = world.run(&["revocations", "--control", SOCKET]).await.unwrap();
    assert!(String::from_utf8(text.stdout).unwrap().contains("a restart forgets all of them"));
    world.restart_lakegate().await.unwrap();
    assert_eq!(answered(&world, &token).await, allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill_in_the_middle() {
    let state = TempDir::new().unwrap();
    let mut world = world(kept(state.path())).await;
    let socket = world.folder().join(SOCKET);
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..3 {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let mut writers = JoinSet::new();
        for writer in 0..4 {
            let (socket, stop, count) = (socket.clone(), Arc::clone(&stop), Arc::clone(&count));
            writers.spawn(async move {
                let mut done = Vec::new();
                for number in 0.. {
                    let name = format!("s-{round}-{writer}-{number}");
                    let order = json!({ "issuer": "corp", "session": name }).to_string();
                    match ask(&socket, "POST", "/v1/revocations", &order).await {
                        Some((201, made)) if made["kept"] == true => {
                            count.fetch_add(1, Ordering::Relaxed);
                            done.push(name);
                        }
                        Some(answer) => panic!("{answer:?}"),
                        None => break,
                    }
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
                done
            });
        }
        while count.load(Ordering::Relaxed) < 20 {
            assert!(!writers.is_empty(), "it takes none");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        world.lakegate().process().signal(Signal::KILL).unwrap();
        world.lakegate().process().wait(PATIENCE).await.unwrap();
        stop.store(true, Ordering::Relaxed);
        for done in writers.join_all().await {
            acknowledged.extend(done);
        }
        // And what an unfinished write may have left
        let journal = state.path().join("revocations.jsonl");
        let mut text = fs::read(&journal).unwrap();
        text.extend_from_slice(b"{\"revoke\":{\"id\":\"0");
        fs::write(&journal, text).unwrap();
        world.start_lakegate().await.unwrap();
    }
    assert!(acknowledged.len() >= 60, "{acknowledged:?}");
    let (_, list, error) = command(&world, &["revocations"]).await;
    let held: Vec<&str> =
        list["revocations"].as_array().unwrap_or_else(|| panic!("{error}")).iter().map(|row| row["value"].as_str().unwrap()).collect();
    for name in &acknowledged {
        assert!(held.contains(&name.as_str()), "{name} was acknowledged and is lost");
    }
    let token = world.corp.token(&session(&acknowledged[0])).unwrap();
    assert_eq!(answered(&world, &token).await, revoked());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_readable_revocations_nothing_starts() {
    let state = TempDir::new().unwrap();
    let mut world = world(kept(state.path())).await;
    let token = world.corp.token(&session("s1")).unwrap();
    revoke(&world, &["--session", "s1"]).await;
    world.lakegate().process().signal(Signal::TERM).unwrap();
    world.lakegate().process().wait(PATIENCE).await.unwrap();
    let journal = state.path().join("revocations.jsonl");
    let good = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, good.replace("\"until\"", "\"untill\"")).unwrap();
    let error = world.start_lakegate().await.unwrap_err().to_string();
    assert!(error.contains("revocations.jsonl") && error.contains("line 2"), "{error}");
    let checked = world.run(&["check", "--config", "lakegate.yaml"]).await.unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.code() == Some(3) && said.contains("line 2"), "{said}");
    fs::write(&journal, good).unwrap();
    world.start_lakegate().await.unwrap();
    assert_eq!(answered(&world, &token).await, revoked());
}

/// Status, `cache-control` and body of a logout token sent to `issuer`.
async fn logout(world: &World, issuer: &str, token: &str) -> (u16, Option<String>, String) {
    let url = format!("http://127.0.0.1:{}/v1/logout/{issuer}", world.admin_port());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body: String = form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
    let answer = client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
    let cached = answer.headers().get("cache-control").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), cached, answer.text().await.unwrap())
}

fn ended(session: &str, jti: &str) -> TokenSpec {
    TokenSpec::new()
        .header("typ", "logout+jwt")
        .claim("aud", "lakegate-client")
        .claim("sid", session)
        .claim("jti", jti)
        .claim("iat", now_s())
        .expires_in(120)
        .claim("events", json!({ EVENT: {} }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_ends_a_session() {
    let state = TempDir::new().unwrap();
    let mut world = world(kept(state.path())).await;
    let [token, other] = ["s1", "s2"].map(|name| world.corp.token(&session(name)).unwrap());
    assert_eq!((answered(&world, &token).await, answered(&world, &other).await), (allowed(), allowed()));
    let order = world.corp.token(&ended("s1", "l1")).unwrap();
    let no_store = Some("no-store".to_owned());
    assert_eq!(logout(&world, "corp", &order).await, (200, no_store.clone(), String::new()));
    assert_eq!((answered(&world, &token).await, answered(&world, &other).await), (revoked(), allowed()));

    let bad = |spec: TokenSpec| world.corp.token(&spec).unwrap();
    for (what, issuer, token, status) in [
        ("replayed", "corp", order.clone(), 400),
        ("an access token", "corp", other.clone(), 400),
        ("another audience", "corp", bad(ended("s2", "l2").claim("aud", "lakegate")), 400),
        ("a nonce", "corp", bad(ended("s2", "l3").claim("nonce", "n")), 400),
        ("no event", "corp", bad(ended("s2", "l4").without("events")), 400),
        ("an old one", "corp", bad(ended("s2", "l5").claim("iat", now_s() - 600)), 400),
        ("another type", "corp", bad(ended("s2", "l6").header("typ", "at+jwt")), 400),
        ("unsigned", "corp", bad(ended("s2", "l7").header("alg", "none")), 400),
        ("another issuer's", "corp", world.other.token(&ended("s2", "l8")).unwrap(), 400),
        ("forged", "corp", bad(ended("s2", "l9").signed(lakegate_testkit::issuer::Signature::Foreign)), 400),
        ("of an issuer that sends none", "other", world.other.token(&ended("s2", "l10")).unwrap(), 404),
        ("of nobody", "nobody", order.clone(), 404),
    ] {
        let (have, cached, body) = logout(&world, issuer, &token).await;
        assert_eq!((have, &cached), (status, &no_store), "{what}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["error"].is_string() && body["error_description"].is_string() && !body.to_string().contains("eyJ"), "{what}: {body}");
    }
    assert_eq!(answered(&world, &other).await, allowed());
    let (url, client) = (format!("http://127.0.0.1:{}/v1/logout/corp", world.admin_port()), reqwest::Client::builder().no_proxy().build().unwrap());
    let form = "application/x-www-form-urlencoded";
    for (kind, body) in [
        ("application/json", format!("logout_token={order}")),
        (form, String::new()),
        (form, format!("logout_token={order}&logout_token={order}")),
        (form, format!("logout_token={}", "x".repeat(70_000))),
    ] {
        let answer = client.post(&url).header("content-type", kind).body(body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 400, "{kind}");
    }
    assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 405);

    let metrics = world.admin("/metrics").await.unwrap().1;
    let counted = |result: &str| metrics.contains(&format!("lakegate_authn_logouts_total{{issuer=\"corp\",result=\"{result}\"}} "));
    assert!(counted("ended") && counted("refused") && !metrics.contains("lakegate_authn_logouts_total{issuer=\"none\""), "{metrics}");
    // Over a restart the session stays ended, and its logout token taken
    world.restart_lakegate().await.unwrap();
    assert_eq!((answered(&world, &token).await, answered(&world, &other).await), (revoked(), allowed()));
    assert_eq!(logout(&world, "corp", &order).await.0, 400);
    // All sessions of a subject; whoever signs in again has a younger token
    let all = world.corp.token(&ended("", "l20").without("sid").claim("sub", "alice")).unwrap();
    assert_eq!(logout(&world, "corp", &all).await.0, 200);
    assert_eq!(answered(&world, &other).await, revoked());
    let again = world.corp.token(&session("s3").claim("iat", now_s() + 2)).unwrap();
    assert_eq!(answered(&world, &again).await, allowed());
    let (_, list, _) = command(&world, &["revocations"]).await;
    assert_eq!((&list["revocations"][0]["by"], &list["revocations"][1]["kind"]), (&json!("issuer"), &json!("subject")), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_logout_is_lost_however_many_come_and_whatever_comes_beside_them() {
    const SESSIONS: usize = 500;
    let state = TempDir::new().unwrap();
    let world = world(kept(state.path())).await;
    let url = format!("http://127.0.0.1:{}/v1/logout/corp", world.admin_port());
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let token = world.corp.token(&session("s-7")).unwrap();
    assert_eq!(answered(&world, &token).await, allowed());
    let post = |token: String| {
        let body = format!("logout_token={token}");
        client.post(&url).header("content-type", "application/x-www-form-urlencoded").body(body).send()
    };
    let made = |spec: TokenSpec| world.corp.token(&spec).unwrap();
    // No token at all, one that was signed by nobody who may, and one whose key only a fetch can tell to be none.
    let junk = [
        "x".to_owned(),
        made(ended("s", "forged").signed(lakegate_testkit::issuer::Signature::Foreign)),
        made(ended("s", "strange").header("kid", "made-up")),
    ];
    let mut flood = JoinSet::new();
    for token in junk.iter().cycle().take(24) {
        let (url, client, body) = (url.clone(), client.clone(), format!("logout_token={token}"));
        flood.spawn(async move {
            loop {
                let request = client.post(&url).header("content-type", "application/x-www-form-urlencoded").body(body.clone());
                if let Ok(answer) = request.send().await {
                    assert!([400, 429].contains(&answer.status().as_u16()), "{answer:?}");
                }
            }
        });
    }
    let good: Vec<String> = (0..SESSIONS).map(|number| made(ended(&format!("s-{number}"), &format!("l-{number}")))).collect();
    let answers = futures::future::join_all(good.into_iter().map(post)).await;
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = answer.unwrap_or_else(|error| panic!("{number}: {error:?}"));
        assert_eq!(answer.status().as_u16(), 200, "{number}");
    }
    assert_eq!(flood.try_join_next().map(|ended| ended.unwrap_err().to_string()), None);
    flood.shutdown().await;
    assert_eq!(answered(&world, &token).await, revoked());
    let status: Value = serde_json::from_str(&world.admin("/status").await.unwrap().1).unwrap();
    assert_eq!(status["revocations"]["sessions"], json!(SESSIONS), "{status}");
    assert_eq!(answered(&world, &made(session("another"))).await, allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_by_age_and_by_rest() {
    let limits = |config: &mut Value| config["issuers"][0]["session"] = json!({ "longest": "2h", "idle": "30m" });
    let world = world(options().test_clock().configure(limits)).await;
    let token = world.corp.token(&session("s1").expires_in(9 * HOUR)).unwrap();
    let call = || query_as(SALES, &token);
    assert_eq!(answered(&world, &token).await, allowed());
    let unsigned_in = world.corp.token(&session("s2").without("auth_time")).unwrap();
    assert_eq!(answered(&world, &unsigned_in).await, (401, "TOKEN_BAD_CLAIMS".to_owned()));
    world.move_clock(40 * 60).unwrap();
    until(&world, (401, "SESSION_IDLE"), call).await;
    // A renewed token is a sign of life of the session
    let renewed = |minutes: i64| {
        let at = now_s() + minutes * 60;
        world.corp.token(&session("s1").expires_in(9 * HOUR).claim("iat", at).claim("nbf", at)).unwrap()
    };
    assert_eq!(answered(&world, &renewed(39)).await, allowed());
    assert_eq!(answered(&world, &token).await, allowed());
    world.move_clock(2 * HOUR + 120).unwrap();
    let late = renewed(121);
    until(&world, (401, "SESSION_TOO_OLD"), || query_as(SALES, &late)).await;
    let refused: Request = query_as(SALES, &late);
    assert_eq!(send(&world, &refused).await.header("x-should-retry"), Some("false"));
}
