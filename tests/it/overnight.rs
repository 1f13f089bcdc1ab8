//! A job that runs all night, with a token that lives five minutes at a time: behind a real Envoy, with the clocks of lakegate and of the workspace moved.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lakegate_testkit::{clock::now_s, envoy::Listener, issuer::TokenSpec};
use serde_json::{Value, json};

use crate::{
    asking::{SALES, decided, options, query_as, until},
    credentials::Exchanging,
};

const HOURS: i64 = 8;
/// How long a token of the job lives, and how long before its end a client fetches another, in seconds.
const LIFE: i64 = 300;
const EARLY: i64 = 60;
/// From one request of the job to the next, in seconds.
const PACE: i64 = 100;

/// As the identity provider issues it at a time that is `moved` by so many seconds, in a session that began at `begun`.
fn issued(subject: &str, begun: i64, moved: i64) -> TokenSpec {
    let group = if subject == "nobody" { "strangers" } else { "ml-engineers" };
    let now = now_s() + moved;
    let claims = [("iat", now), ("nbf", now), ("auth_time", begun)];
    claims
        .into_iter()
        .fold(TokenSpec::person(subject, &[group]).claim("sid", subject), |spec, (name, value)| spec.claim(name, value))
        .expires_in(moved + LIFE)
}

/// When the token of Databricks ends that reached the workspace last, in seconds since the epoch.
fn end_of_the_last(all: &Exchanging) -> i64 {
    let reached = all.world.workspace.reached().pop().unwrap();
    let value = reached.header("authorization").unwrap();
    let claims = URL_SAFE_NO_PAD.decode(value.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["exp"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_eight_hours_meets_no_expired_credential_until_its_session_ends() {
    let sessions = |config: &mut Value| config["issuers"][0]["session"] = json!({ "longest": format!("{}m", HOURS * 60 + 5) });
    let all = Exchanging::with(json!({ "mode": "exchange" }), options().test_clock(), sessions).await;
    let (world, begun) = (&all.world, now_s());
    let token = |moved: i64| world.corp.token(&issued("alice", begun, moved)).unwrap();
    // Both clocks go on; one who may do nothing, whose token is not yet good, tells when lakegate has followed.
    let moved_to = async |moved: i64| {
        world.workspace.move_token_clock(moved);
        world.move_clock(moved).unwrap();
        let nobody = world.corp.token(&issued("nobody", now_s() + moved, moved + 25)).unwrap();
        until(world, (403, "POLICY_NO_PERMIT"), || query_as(SALES, &nobody)).await;
    };
    let mut held: Option<(i64, String)> = None;
    let (mut calls, mut tokens) = (0, 0);
    for moved in (0..HOURS * 3600).step_by(usize::try_from(PACE).unwrap()) {
        moved_to(moved).await;
        let kept = held.take().filter(|(issued, _)| moved < issued + LIFE - EARLY);
        let job = kept.unwrap_or_else(|| {
            tokens += 1;
            (moved, token(moved))
        });
        let have = decided(world, &world.workloads.trainer, Listener::Istio, || query_as(SALES, &job.1)).await;
        assert_eq!(have, (200, "OK".to_owned()), "after {moved} s");
        assert!(end_of_the_last(&all) > now_s() + moved, "after {moved} s an expired credential travels");
        (held, calls) = (Some(job), calls + 1);
    }
    let exchanges = world.workspace.exchanges().len();
    assert!(calls == 288 && tokens > 90 && (tokens..=tokens + 2).contains(&exchanges), "{calls} calls, {tokens} tokens, {exchanges} exchanges");
    assert!(all.arrived().len() > 90);
    // Its session has lasted as long as one may: neither a fresh token nor a credential that is at hand is of use.
    let moved = HOURS * 3600 + 400;
    moved_to(moved).await;
    let before = world.workspace.count();
    let have = decided(world, &world.workloads.trainer, Listener::Istio, || query_as(SALES, &token(moved))).await;
    assert_eq!((have, world.workspace.count()), ((401, "SESSION_TOO_OLD".to_owned()), before));
    let again = world.corp.token(&issued("alice", now_s() + moved, moved)).unwrap();
    until(world, (200, "OK"), || query_as(SALES, &again)).await;
}
