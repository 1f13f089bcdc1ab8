//! What lakegate signs of callers, and the keys that it signs with: through a real Envoy, held against what others can see of it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use jsonwebtoken::{DecodingKey, Header, Validation, decode, decode_header, jwk::Jwk};
use lakegate_testkit::{
    World,
    issuer::TokenSpec,
    raw::Request,
    world::{STAGE, WORKSPACES, WorkspaceFacts},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::asking::{PATIENCE, SALES, options, outcome, query, send, status_until, world};

const ISSUER: &str = "https://lakegate.example.com";
const ASSERTION: &str = "x-lakegate-assertion";
const FILES: [&str; 3] = ["current.pem", "next.pem", "previous.pem"];
const ALL: &str = "@id(\"all\") permit (principal, action, resource);";

/// Exit code, the JSON on standard output, and what went to standard error.
fn keys(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakegate"));
    let output = command.arg("keys").args(arguments).args(["--output", "json"]).current_dir(folder).output().unwrap();
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains("PRIVATE"), "a key is shown");
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A folder with three keys, made as people make them, and their ids.
fn ring() -> (tempfile::TempDir, [String; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let ids = FILES.map(|file| {
        // those that sign one after the other are of two kinds
        let algorithm = if file == "next.pem" { "eddsa" } else { "es256" };
        let (code, made, error) = keys(folder.path(), &["new", file, "--algorithm", algorithm]);
        assert_eq!(code, Some(0), "{error}");
        made["id"].as_str().unwrap().to_owned()
    });
    (folder, ids)
}

async fn published(world: &World) -> Value {
    let (code, text) = world.admin("/.well-known/jwks.json").await.unwrap();
    assert_eq!(code, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn ids(jwks: &Value) -> Vec<&str> {
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect()
}

/// What stands in `token`, where a key of `jwks` has signed it for `audience`.
fn verified(token: &str, jwks: &Value, audience: &str) -> Result<(Header, Value), String> {
    let header = decode_header(token).map_err(|error| error.to_string())?;
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"].as_str() == header.kid.as_deref()).ok_or("nobody knows its key")?;
    let jwk: Jwk = serde_json::from_value(key.clone()).unwrap();
    let mut rules = Validation::new(header.alg);
    rules.set_audience(&[audience]);
    rules.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    let claims = decode::<Value>(token, &DecodingKey::from_jwk(&jwk).unwrap(), &rules).map_err(|error| error.to_string())?.claims;
    Ok((header, claims))
}

/// What was logged of keys that took the place of the one that signs.
fn said(world: &World) -> Vec<String> {
    let log = fs::read_to_string(world.folder().join("lakegate.log")).unwrap();
    log.lines().filter(|line| line.contains("signs with another key")).map(str::to_owned).collect()
}

/// What alice's query of `workspace` brings there; she sends an assertion of her own.
async fn carried(world: &World, workspace: WorkspaceFacts) -> Vec<String> {
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let request = Request::new("POST", workspace.host, SALES).bearer(&token).json(&json!({ "inputs": [1] })).header(ASSERTION, "eyJ.forged.token");
    assert_eq!(outcome(&send(world, &request).await), (200, "OK".to_owned()));
    world.workspace.reached().last().unwrap().values(ASSERTION)
}

async fn assertion(world: &World, workspace: WorkspaceFacts) -> String {
    let carried = carried(world, workspace).await;
    let [token] = &carried[..] else { panic!("one assertion, not {carried:?}") };
    token.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_under_calls_and_nobody_is_told() {
    let (folder, [first, second, third]) = ring();
    let world = world(options().folder(folder.path().to_owned()).configure(|config| {
        config["trust"]["assertion"] = json!({ "keys": FILES, "lifetime": "30s", "issuer": ISSUER });
    }))
    .await;
    let audience = format!("https://{}", STAGE.host);
    let before = published(&world).await;
    assert_eq!(ids(&before), [&first, &second, &third]);
    status_until(&world, |status| status["signing"] == json!({ "issuer": ISSUER, "current": first, "others": [second, third] })).await;

    // what it says
    let token = assertion(&world, STAGE).await;
    let (header, claims) = verified(&token, &before, &audience).unwrap();
    assert_eq!((header.typ.as_deref(), header.kid.as_deref()), (Some("lakegate-assertion+jwt"), Some(first.as_str())));
    assert_eq!((&claims["iss"], &claims["sub"], &claims["aud"]), (&json!(ISSUER), &json!("corp/alice"), &json!(audience)), "{claims}");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 30, "{claims}");
    assert_eq!((&claims["peer"], &claims["groups"]), (&json!(world.workloads.trainer.uri()), &json!(["ml-engineers"])), "{claims}");
    assert!(uuid::Uuid::parse_str(claims["jti"].as_str().unwrap()).is_ok(), "{claims}");
    assert!(verified(&token, &before, "https://prod.cloud.databricks.com").is_err(), "it is for one workspace");

    // where others find the keys
    let (code, document) = world.admin("/.well-known/openid-configuration").await.unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((code, &document["issuer"]), (200, &json!(ISSUER)));
    assert_eq!(document["jwks_uri"], format!("{ISSUER}/.well-known/jwks.json"));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256", "EdDSA"]));

    // a key that was made a moment ago is not known to everybody
    let (code, _, why) = keys(folder.path(), &["rotate", "--config", "lakegate.yaml"]);
    assert!(code == Some(1) && why.contains("--force") && why.contains(&second), "{code:?} {why}");
    assert_eq!(published(&world).await, before);

    let (code, rotated, error) = keys(folder.path(), &["rotate", "--config", "lakegate.yaml", "--force"]);
    assert_eq!(code, Some(0), "{error}");
    let new = rotated["keys"][1]["id"].as_str().unwrap().to_owned();
    let deadline = Instant::now() + PATIENCE;
    let after = loop {
        let after = published(&world).await;
        if after != before {
            break after;
        }
        assert!(Instant::now() < deadline, "the keys stay {after}");
        sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(after, rotated["jwks"]);
    assert_eq!(ids(&after), [&second, &new, &first]);
    let later = assertion(&world, STAGE).await;
    let (header, _) = verified(&later, &before, &audience).expect("whoever fetched the keys before knows the one that signs now");
    assert_eq!(header.kid.as_ref(), Some(&second));
    verified(&later, &after, &audience).unwrap();
    verified(&token, &after, &audience).expect("what the key before has signed is still believed");
    let status = status_until(&world, |status| status["degraded"] == false).await;
    assert!(!status.to_string().contains("earlier file") && !status.to_string().contains("PRIVATE"), "{status}");

    // and how people see it
    assert_eq!(status["signing"], json!({ "issuer": ISSUER, "current": second, "others": [new, first] }), "{status}");
    let [line] = &said(&world)[..] else { panic!("{:?}", said(&world)) };
    assert!([&first, &second, "INFO"].iter().all(|part| line.contains(*part)), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_nobody_knows_are_warned_of() {
    let (folder, [first, second, third]) = ring();
    let configured = |keys: &[&str]| json!({ "keys": keys, "issuer": ISSUER });
    let world = world(options().folder(folder.path().to_owned()).configure(move |config| {
        config["trust"]["assertion"] = configured(&[FILES[0]]);
    }))
    .await;
    let signing = |current: &str, others: &[&str]| json!({ "issuer": ISSUER, "current": current, "others": others });
    status_until(&world, |status| status["signing"] == signing(&first, &[])).await;
    for (keys, shown, says) in [
        (&[FILES[0], FILES[2]][..], signing(&first, &[&third]), None),
        (&[FILES[1], FILES[2]], signing(&second, &[&third]), Some((&first, &second, "was not among the last"))),
        (&[FILES[0]], signing(&first, &[]), Some((&second, &first, "none of the last is left"))),
    ] {
        let before = said(&world).len();
        let mut config = world.config().clone();
        config["trust"]["assertion"] = configured(keys);
        fs::write(world.config_file(), serde_json::to_string(&config).unwrap()).unwrap();
        status_until(&world, |status| status["signing"] == shown).await;
        let lines = said(&world).split_off(before);
        match (&lines[..], says) {
            ([], None) => {}
            ([line], Some((old, new, what))) => {
                assert!([old, new, what, "WARN"].iter().all(|part| line.contains(*part)), "{line}");
            }
            (lines, says) => panic!("{lines:?}, not {says:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_goes_where_it_may_and_says_no_more_than_the_headers_there() {
    let (folder, _) = ring();
    let world = world(options().folder(folder.path().to_owned()).policies(&[("all.cedar", ALL)]).configure(|config| {
        config["trust"]["assertion"] = json!({ "keys": [FILES[0]] });
        config["workspaces"][0]["trust"] = json!(["subject"]);
        config["workspaces"][1]["trust"] = json!(["subject", "assertion"]);
        config["workspaces"][2]["trust"] = json!("none");
    }))
    .await;
    let [stage, prod, dev] = WORKSPACES;
    for workspace in [stage, dev] {
        assert_eq!(carried(&world, workspace).await, [""; 0], "{}", workspace.name);
    }
    let token = assertion(&world, prod).await;
    let (_, claims) = verified(&token, &published(&world).await, &format!("https://{}", prod.host)).unwrap();
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("lakegate"), &json!("corp/alice")), "{claims}");
    assert_eq!((claims.get("groups"), claims.get("roles"), claims.get("peer")), (None, None, None), "{claims}");

    let (code, why) = world.admin("/.well-known/openid-configuration").await.unwrap();
    assert!(code == 404 && why.contains("trust.assertion.issuer"), "{code} {why}");
}

/// Also where nothing is exchanged by them, so that nobody but the callers of services in the mesh would notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_breaks_leaves_the_last_good_keys() {
    let (folder, _) = ring();
    let world = world(options().folder(folder.path().to_owned()).configure(|config| {
        config["trust"]["assertion"] = json!({ "keys": FILES, "issuer": ISSUER });
    }))
    .await;
    let before = published(&world).await;
    fs::write(folder.path().join("previous.pem"), "oops").unwrap();
    status_until(&world, |status| status["configuration"]["faults"].to_string().contains("previous.pem") && status["degraded"] == true).await;
    assert_eq!(published(&world).await, before);
    assertion(&world, STAGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nothing_is_signed_or_published() {
    let world = world(options()).await;
    for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration"] {
        let (code, why) = world.admin(path).await.unwrap();
        assert!(code == 404 && why.contains("`trust.assertion` is not configured"), "{code} {why}");
    }
    assert_eq!(status_until(&world, |status| status["degraded"] == false).await["signing"], Value::Null);
    assert_eq!(carried(&world, STAGE).await, [""; 0]);
    assert_eq!(outcome(&send(&world, &query(&world, SALES)).await), (200, "OK".to_owned()));
}

#[test]
fn a_new_key_is_for_its_user_alone_and_takes_no_place() {
    let (folder, ids) = ring();
    for file in FILES {
        assert_eq!(fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o7777, 0o600, "{file}");
    }
    let text = fs::read(folder.path().join("current.pem")).unwrap();
    let (code, _, why) = keys(folder.path(), &["new", "current.pem"]);
    assert!(code == Some(1) && why.contains("is there already"), "{code:?} {why}");
    assert_eq!(fs::read(folder.path().join("current.pem")).unwrap(), text);
    assert_eq!(keys(folder.path(), &["new", "no/such/folder.pem"]).0, Some(1));
    assert_eq!(keys(folder.path(), &["new", "rsa.pem", "--algorithm", "rs256"]).0, Some(3));
    let mut names: Vec<PathBuf> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    assert_eq!(names, FILES.map(PathBuf::from), "nothing is left beside the keys");

    let (code, list, error) = keys(folder.path(), &["list", "current.pem", "next.pem"]);
    assert_eq!(code, Some(0), "{error}");
    let rows = list["keys"].as_array().unwrap();
    let row = |at: usize| ["file", "id", "algorithm", "role"].map(|name| rows[at][name].as_str().unwrap());
    assert_eq!(row(0), ["current.pem", &ids[0], "ES256", "signs"]);
    assert_eq!(row(1), ["next.pem", &ids[1], "EdDSA", "verifies"]);
    assert!(rows.iter().all(|row| row["age_s"].as_i64().is_some_and(|age| (0..600).contains(&age)) && row["made_at"].is_string()), "{list}");
    assert_eq!(list["jwks"]["keys"].as_array().unwrap().len(), 2);
    assert!(!list.to_string().contains("\"d\":"), "a private key is listed: {list}");
}

/// Each fault names the file and what to do.
#[test]
fn what_is_wrong_with_keys_is_said() {
    let (folder, _) = ring();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    write("policies/all.cedar", ALL);
    let config = |assertion: &str| {
        format!(
            "version: 1\nlisten: {{ check: 127.0.0.1:9191 }}\npeers: {{ trust_domains: [cluster.local] }}\npolicy: {{ dir: policies }}\n\
             workspaces: [{{ name: stage, hosts: [stage.cloud.databricks.com], environment: staging }}]\n{assertion}"
        )
    };
    write("none.yaml", &config(""));
    write("one.yaml", &config("trust: { assertion: { keys: [current.pem] } }"));
    write("broken.yaml", &config("trust: { assertion: { keys: [current.pem, broken.pem, previous.pem] } }"));
    write("absent.yaml", &config("trust: { assertion: { keys: [current.pem, absent.pem, previous.pem] } }"));
    write("broken.pem", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
    for (arguments, said) in [
        (&["list", "--config", "none.yaml"][..], "`trust.assertion` is not configured"),
        (&["rotate", "--config", "none.yaml"], "lakegate keys new"),
        (&["rotate", "--config", "one.yaml"], "three key files"),
        (&["list", "--config", "broken.yaml"], "broken.pem"),
        (&["rotate", "--config", "broken.yaml"], "broken.pem"),
        (&["list", "--config", "absent.yaml"], "absent.pem"),
        (&["rotate", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (&["list", "current.pem", "broken.pem"], "broken.pem"),
    ] {
        let (code, told, error) = keys(folder.path(), arguments);
        let faults = told["faults"].as_array().unwrap_or_else(|| panic!("{arguments:?}: {error}"));
        assert!(code == Some(3) && faults.iter().any(|fault| fault.to_string().contains(said)), "{arguments:?}: {code:?} {told}");
        assert!(faults.iter().all(|fault| fault["help"].is_string()) && !told.to_string().contains("c2VjcmV0"), "{arguments:?}: {told}");
    }
    assert_eq!(keys(folder.path(), &["list"]).0, Some(3));
    // Neither is it served, whether anything is exchanged by those keys or not; and the file is what is wrong, not that there were no key.
    let exchanging =
        fs::read_to_string(folder.path().join("broken.yaml")).unwrap().replace("environment", "credentials: { mode: exchange }, environment");
    write("exchanging.yaml", &exchanging);
    for file in ["broken.yaml", "exchanging.yaml", "absent.yaml"] {
        let check = ["check", "--config", file, "--output", "json"];
        let output = Command::new(env!("CARGO_BIN_EXE_lakegate")).args(check).current_dir(folder.path()).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let [fault] = &told["faults"].as_array().unwrap()[..] else { panic!("{file}: {told}") };
        assert_eq!(output.status.code(), Some(3), "{file}: {told}");
        let bad = if file == "absent.yaml" { "absent.pem" } else { "broken.pem" };
        assert!(fault.to_string().contains(bad) && fault["help"].is_string(), "{file}: {fault}");
    }

    // what is served, and likely not meant
    let credentials = "credentials: { mode: exchange }, trust: none, environment";
    write("edwards.yaml", &config("trust: { assertion: { keys: [current.pem, next.pem] } }").replace("environment", credentials));
    fs::copy(folder.path().join("current.pem"), folder.path().join("copy.pem")).unwrap();
    write("copy.yaml", &config("trust: { assertion: { keys: [current.pem, copy.pem] } }").replace("environment", credentials));
    for (file, said) in [("edwards.yaml", "signs with EdDSA"), ("copy.yaml", "copy.pem: it holds the key of an earlier file"), ("one.yaml", "")] {
        let output = Command::new(env!("CARGO_BIN_EXE_lakegate")).args(["check", "--config", file]).current_dir(folder.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!((output.status.code(), told.contains("warning: ")), (Some(0), !said.is_empty()), "{file}: {told}");
        assert!(told.contains(said), "{file}: {told}");
    }
    assert_eq!(keys(folder.path(), &["list", "--config", "one.yaml"]).0, Some(0));
}
