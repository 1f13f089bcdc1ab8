//! Tokens that only their issuer knows, sessions that end before their tokens do, and issuers that are not there, through a real Envoy.

use std::{fs, time::Duration};

use lakegate_testkit::{
    Options, World,
    dpop::Prover,
    issuer::{ClientCheck, Fault, TokenSpec},
    raw::Request,
    world::STAGE,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::asking::{PATIENCE, SALES, metric, options, outcome, query_as, send, send_as, status_until, until, world};

/// A world in which `corp` is asked about tokens, by a client with a secret in a file; and the folder of that file.
fn asking(introspection: &Value) -> (Options, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("introspection.secret"), "s3:cr&t\n").unwrap();
    let mut keys = json!({ "client_id": "lakegate", "secret_file": "introspection.secret", "window": "1s" });
    keys.as_object_mut().unwrap().extend(introspection.as_object().unwrap().clone());
    let options = options().folder(folder.path().to_owned()).configure(move |config| {
        let keys = keys.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        config["issuers"][0]["introspection"] = keys.map(|(name, value)| (name.clone(), value.clone())).collect();
    });
    (options, folder)
}

fn by_secret(secret: &str) -> ClientCheck {
    ClientCheck::Basic { id: "lakegate".to_owned(), secret: secret.to_owned() }
}

async fn refused(world: &World, token: &str) -> (u16, String) {
    outcome(&send(world, &query_as(SALES, token)).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_token_is_what_its_issuer_says_until_it_ends() {
    let (options, folder) = asking(&json!({ "when": "opaque" }));
    let world = world(options).await;
    world.corp.expect_client(by_secret("s3:cr&t"));
    let token = world.corp.opaque_token(&TokenSpec::new()).unwrap();
    let call = || query_as(SALES, &token);
    let answer = until(&world, (200, "OK"), call).await;
    assert!(answer.header("x-reached").is_some());
    let reached = world.workspace.reached().pop().unwrap();
    assert_eq!(reached.header("x-lakegate-subject").as_deref(), Some("corp/alice"));
    let record = world.audit.wait_for(PATIENCE, |record| record["decision"] == "allow").await.unwrap();
    let digest = record["user_identity"]["token_digest"].as_str().unwrap().to_owned();
    assert_eq!(digest.len(), 16, "{record}");
    // a stranger's, one for somebody else, one that is no token of anybody's
    let other = world.corp.opaque_token(&TokenSpec::new().claim("aud", "another")).unwrap();
    until(&world, (401, "TOKEN_WRONG_AUDIENCE"), || query_as(SALES, &other)).await;
    until(&world, (401, "TOKEN_INACTIVE"), || query_as(SALES, "opaque.made-up")).await;
    let before = world.corp.introspections();
    assert_eq!(refused(&world, "dapi0123456789abcdef0123456789abcdef").await, (401, "CREDENTIAL_UNSUPPORTED".to_owned()));
    assert_eq!(refused(&world, "opaque.made-up").await, (401, "TOKEN_INACTIVE".to_owned()));
    assert_eq!(world.corp.introspections(), before);
    world.corp.end(&token);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(refused(&world, &token).await, (401, "TOKEN_INACTIVE".to_owned()));
    // whose it was is known of before
    let record = world.audit.wait_for(PATIENCE, |record| record["refused_token"]["token_digest"] == *digest).await.unwrap();
    assert_eq!((&record["reason"], &record["refused_token"]["subject_name"]), (&json!("TOKEN_INACTIVE"), &json!("alice")), "{record}");
    assert_eq!(world.corp.refused_clients(), 0);
    for file in ["lakegate.log", "audit.jsonl"] {
        let text = fs::read_to_string(folder.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(!text.is_empty() && !text.contains("s3:cr") && !text.contains(&token), "{file} holds a secret");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_killed_ends_signed_tokens_too() {
    let (options, _folder) = asking(&json!({ "when": "always", "auth": "post" }));
    let world = world(options).await;
    world.corp.expect_client(ClientCheck::Post { id: "lakegate".to_owned(), secret: "s3:cr&t".to_owned() });
    let (token, opaque) = (world.corp.token(&TokenSpec::new()).unwrap(), world.corp.opaque_token(&TokenSpec::new()).unwrap());
    for token in [&token, &opaque] {
        until(&world, (200, "OK"), || query_as(SALES, token)).await;
        world.corp.end(token);
        sleep(Duration::from_millis(1100)).await;
        assert_eq!(refused(&world, token).await, (401, "TOKEN_INACTIVE".to_owned()));
    }
    // of another issuer nobody asks
    let asked = world.corp.introspections();
    let other = world.other.token(&TokenSpec::new()).unwrap();
    assert_eq!(refused(&world, &other).await, (403, "POLICY_NO_PERMIT".to_owned()));
    assert_eq!(world.corp.introspections(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_opaque_token_needs_its_proof() {
    let (options, _folder) = asking(&json!({ "when": "opaque" }));
    let world = world(options).await;
    let prover = Prover::new().unwrap();
    let token = world.corp.opaque_token(&TokenSpec::new().claim("cnf", prover.confirmation())).unwrap();
    until(&world, (401, "PROOF_MISSING"), || query_as(SALES, &token)).await;
    // a proof of its own for each attempt, since each is taken once
    let with_proof = || {
        let proof = prover.proof("POST", &format!("https://{}{SALES}", STAGE.host), &token).unwrap();
        let request = Request::new("POST", STAGE.host, SALES).header("Authorization", format!("DPoP {token}")).header("DPoP", &proof);
        request.json(&json!({ "inputs": [1] }))
    };
    until(&world, (200, "OK"), with_proof).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_cannot_be_asked_lets_nobody_pass_and_harms_nobody_else() {
    let (options, _folder) = asking(&json!({ "when": "opaque" }));
    let world = world(options).await;
    let (token, signed) = (world.corp.opaque_token(&TokenSpec::new()).unwrap(), world.corp.token(&TokenSpec::new()).unwrap());
    let call = || query_as(SALES, &token);
    until(&world, (200, "OK"), call).await;
    for fault in [Fault::Unavailable, Fault::Garbage] {
        world.corp.set_introspection_fault(Some(fault));
        sleep(Duration::from_millis(1100)).await;
        let answer = until(&world, (503, "INTROSPECTION_UNAVAILABLE"), call).await;
        assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (Some("1"), None));
        assert_eq!(refused(&world, &signed).await, (200, "OK".to_owned()));
        if fault == Fault::Unavailable {
            let (asked, calls) = (world.corp.introspections(), 40);
            for i in 0..calls {
                assert_eq!(refused(&world, &format!("opaque.{i}")).await.0, 503);
            }
            assert!(world.corp.introspections() - asked < calls, "the breaker does not open");
            let status = status_until(&world, |status| status["issuers"][0]["introspection"]["open"] == true).await;
            assert_eq!((&status["degraded"], &status["issuers"][0]["degraded"]), (&json!(true), &json!(true)));
        }
        world.corp.set_introspection_fault(None);
        until(&world, (200, "OK"), call).await;
    }
    // one that hangs holds up those who need it alone
    world.corp.set_introspection_fault(Some(Fault::Hang));
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(refused(&world, &token).await.0, 503);
    assert_eq!(refused(&world, &signed).await, (200, "OK".to_owned()));
    let (_, metrics) = world.admin("/metrics").await.unwrap();
    assert!(metrics.contains("lakegate_authn_introspections_total{issuer=\"corp\",result=\"active\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_tokens_of_one_pod_cost_the_issuer_little_and_others_nothing() {
    let (options, _folder) = asking(&json!({ "when": "opaque", "window": "2s" }));
    let world = world(options).await;
    let token = world.corp.opaque_token(&TokenSpec::new()).unwrap();
    until(&world, (200, "OK"), || query_as(SALES, &token)).await;
    let (asked, began) = (world.corp.introspections(), Instant::now());
    for batch in 0..30 {
        let garbage: Vec<Request> = (0..20).map(|i| query_as(SALES, &format!("opaque.garbage-{batch}-{i}"))).collect();
        let sent = garbage.iter().map(|request| send_as(&world, &world.workloads.notebook, request));
        for answer in futures::future::join_all(sent).await {
            assert!(matches!(outcome(&answer).1.as_str(), "TOKEN_INACTIVE" | "INTROSPECTION_UNAVAILABLE"), "{:?}", outcome(&answer));
        }
        assert_eq!(refused(&world, &token).await, (200, "OK".to_owned()), "batch {batch}");
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let count = world.corp.introspections() - asked;
    assert!(count <= 200 + 5 * seconds + seconds, "{count} questions in {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_or_key_is_used_without_a_restart() {
    let (options, folder) = asking(&json!({ "when": "opaque" }));
    let mut world = world(options).await;
    world.corp.expect_client(by_secret("s3:cr&t"));
    let token = world.corp.opaque_token(&TokenSpec::new()).unwrap();
    let call = || query_as(SALES, &token);
    until(&world, (200, "OK"), call).await;
    world.corp.expect_client(by_secret("second"));
    sleep(Duration::from_millis(1100)).await;
    until(&world, (503, "INTROSPECTION_UNAVAILABLE"), call).await;
    until(&world, (503, "INTROSPECTION_UNAVAILABLE"), || query_as(SALES, "opaque.another")).await;
    // said once, with what mends it
    let said = world.lakegate().output();
    assert_eq!(said.matches("refuses lakegate's own credentials").count(), 1, "{said}");
    assert!(metric(&world, "lakegate_authn_introspections_total{issuer=\"corp\",result=\"unauthorized\"}").await.is_some_and(|count| count > 0));
    fs::write(folder.path().join("introspection.secret"), "second\n").unwrap();
    until(&world, (200, "OK"), call).await;
    // by a key in place of the secret
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    fs::write(folder.path().join("introspection.pem"), pair.serialize_pem()).unwrap();
    world.corp.expect_client(ClientCheck::Key { id: "lakegate".to_owned(), point: pair.public_key_raw().to_vec() });
    let mut config = world.config().clone();
    config["issuers"][0]["introspection"] =
        json!({ "when": "opaque", "client_id": "lakegate", "auth": "private_key_jwt", "key": "introspection.pem", "key_id": "k1", "window": "1s" });
    let served = status_until(&world, |_| true).await["configuration"]["generation"].as_u64();
    world.write_config(config).unwrap();
    status_until(&world, |status| status["configuration"]["generation"].as_u64() > served).await;
    until(&world, (200, "OK"), call).await;
    let refused_before = world.corp.refused_clients();
    sleep(Duration::from_millis(1100)).await;
    until(&world, (200, "OK"), call).await;
    assert_eq!(world.corp.refused_clients(), refused_before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_serves_while_the_issuer_is_down() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    let options = options().folder(folder.path().to_owned()).configure(|config| config["state_dir"] = json!("state"));
    let mut world = world(options).await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    until(&world, (200, "OK"), || query_as(SALES, &token)).await;
    let stored = folder.path().join("state/keys-corp.json");
    let deadline = Instant::now() + PATIENCE;
    while !stored.exists() {
        assert!(Instant::now() < deadline, "no key set is stored");
        sleep(Duration::from_millis(20)).await;
    }
    world.corp.set_fault(Some(Fault::Unavailable));
    world.restart_lakegate().await.unwrap();
    for token in [token, world.corp.token(&TokenSpec::new()).unwrap()] {
        assert_eq!(refused(&world, &token).await, (200, "OK".to_owned()));
    }
    // a file that is none is said, and harms nothing once the issuer is back
    fs::write(&stored, "{").unwrap();
    world.restart_lakegate().await.unwrap();
    let fresh = world.corp.token(&TokenSpec::new()).unwrap();
    assert_eq!(refused(&world, &fresh).await, (503, "KEYS_UNAVAILABLE".to_owned()));
    assert!(world.lakegate().output().contains("keys-corp.json"));
    world.corp.set_fault(None);
    until(&world, (200, "OK"), || query_as(SALES, &fresh)).await;
}
