//! What records and reports say of the credential that a call goes on with: the mode, as whom, with which scope, until when, and never a byte of it.

use std::{fs, time::Duration};

use lakegate::{broker::Manner, clock::Clock, model::Reason};
use lakegate_testkit::{raw::Request, workspace::TokenFault, world::STAGE};
use serde_json::{Value, json};

use crate::{
    asking::{PATIENCE, SALES, options, outcome, query_as, send, until},
    brokered::{ALL, Brokered, How, ROBOT},
    credentials::Exchanging,
};

const TRAINER: &str = "spiffe://cluster.local/ns/ml-staging/sa/trainer";
const OTHER: &str = "00000000-0000-4000-8000-000000000002";

fn told(mode: &'static str, principal: Option<&str>, scope: Option<&str>) -> Manner {
    Manner { mode, principal: principal.map(Into::into), scope: scope.map(Into::into), until: None }
}

/// Beforehand as much is known as afterwards, but for the end; and of one that is at hand the same as of one that is fetched.
#[tokio::test]
async fn every_mode_is_told_with_whom_and_what_it_asks_for() {
    use How::{Assertion, Caller, Client, Passthrough, ServicePrincipal, Strip};
    let ordered = |ordered: &str| format!("@id(\"all\") @credentials(\"{ordered}\") permit (principal, action, resource);");
    let (plain, strip, other) = (ALL.to_owned(), ordered("strip"), ordered(&format!("service-principal:{OTHER}")));
    let cases = [
        (Passthrough, &plain, told("passthrough", None, None)),
        (Strip, &plain, told("strip", None, None)),
        (Caller, &plain, told("exchange", Some("nina"), Some("jobs"))),
        (Assertion, &plain, told("exchange", Some("nina"), Some("jobs"))),
        (ServicePrincipal, &plain, told("service-principal", Some(ROBOT), Some("jobs"))),
        (Client, &plain, told("client-credentials", Some(ROBOT), Some("jobs"))),
        (Assertion, &strip, told("strip", None, None)),
        (Assertion, &other, told("service-principal", Some(OTHER), Some("jobs"))),
        (ServicePrincipal, &other, told("service-principal", Some(OTHER), Some("jobs"))),
    ];
    for (how, policies, want) in cases {
        let world = Brokered::new(how, None, policies).await;
        let mints = want.scope.is_some();
        for time in 0..2 {
            let told = world.told(Some("t"), Some("jobs")).await;
            assert_eq!(told.rehearsed, (Ok(()), Some(want.clone())), "{how:?}");
            assert_eq!(told.foretold, told.rehearsed, "{how:?}");
            let (Ok(()), Some(granted)) = told.granted else { panic!("{how:?}: {:?}", told.granted) };
            assert_eq!(Manner { until: None, ..granted.clone() }, want, "{how:?}, {time}");
            let left = granted.until.map(|until| until - Clock::default().now());
            assert_eq!(left.is_some(), mints, "{how:?}");
            assert!(left.is_none_or(|left| (3500..=3600).contains(&left)), "{how:?}: {left:?}");
        }
        assert_eq!(world.endpoint.asked().len(), usize::from(mints), "{how:?}: nothing is asked beforehand");
    }
}

#[tokio::test]
async fn what_is_refused_says_which_mode_failed() {
    use How::{Assertion, Caller, Passthrough};
    let other = format!("@id(\"all\") @credentials(\"service-principal:{OTHER}\") permit (principal, action, resource);");
    let cases = [
        // of the caller, before anything is asked
        (Caller, ALL, None, Reason::IdentityUnknown, told("exchange", None, None), true),
        // of the permit: what it says, and the target does not do
        (Passthrough, &other, Some("t"), Reason::CredentialConflict, told("service-principal", Some(OTHER), None), true),
        // of Databricks
        (Assertion, ALL, Some("t"), Reason::CredentialRefused, told("exchange", Some("nina"), Some("jobs")), false),
    ];
    for (how, policies, token, reason, want, foreseen) in cases {
        let world = Brokered::new(how, None, policies).await;
        world.endpoint.answers(http::StatusCode::BAD_REQUEST, r#"{"error": "invalid_grant"}"#);
        for _ in 0..2 {
            let told = world.told(token, Some("jobs")).await;
            for (result, manner) in [&told.rehearsed, &told.foretold] {
                assert_eq!(result.as_ref().err().map(|refusal| refusal.reason), foreseen.then_some(reason), "{how:?}");
                assert_eq!(manner.as_ref(), Some(&want), "{how:?}");
            }
            let (Err(refusal), manner) = told.granted else { panic!("{how:?} is granted") };
            assert_eq!((refusal.reason, manner.as_ref()), (reason, Some(&want)), "{how:?}");
        }
    }
}

/// Through a real Envoy: the record of each call, and what `explain` and `why` make of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_record_and_explain_say_with_which_credential_a_call_goes_on() {
    let all = Exchanging::start(json!({ "mode": "exchange" }), options()).await;
    all.world.workspace.admit(&["alice"]);
    let (alice, bob) = (all.token("alice"), all.token("bob"));
    until(&all.world, (200, "OK"), || query_as(SALES, &alice)).await;
    let record = record(&all, "User::\"corp/alice\"", "ALLOWED").await;
    let credential = &record["credential"];
    assert_eq!((&credential["mode"], &credential["principal"]), (&json!("exchange"), &json!("alice")));
    let scope = credential["scope"].as_str().unwrap();
    assert_eq!(all.world.workspace.exchanges()[0].field("scope"), Some(scope));
    assert!(credential["expires_at"].as_i64().is_some_and(|end| end > Clock::default().now()), "{record}");

    let refused = send(&all.world, &query_as(SALES, &bob)).await;
    assert_eq!(outcome(&refused), (403, "CREDENTIAL_REFUSED".to_owned()));
    let record = self::record(&all, "User::\"corp/bob\"", "CREDENTIAL_REFUSED").await;
    let want = json!({ "mode": "exchange", "principal": "bob", "scope": scope, "expires_at": null });
    assert_eq!((&record["stage"], &record["credential"]), (&json!("broker"), &want));

    // one that policies refuse has none
    send(&all.world, &Request::new("GET", STAGE.host, "/api/2.2/jobs/list")).await;
    let record = self::record(&all, &format!("Workload::\"{TRAINER}\""), "POLICY_NO_PERMIT").await;
    assert_eq!((&record["stage"], &record["credential"]), (&json!("authz"), &Value::Null));

    let before = all.world.workspace.exchanges().len();
    let (code, report, text) = explain(&all, &alice).await;
    assert_eq!((code, &report["stage"], &report["decision"]), (Some(0), &json!("broker"), &json!("allow")), "{report}");
    assert_eq!(report["credential"], json!({ "mode": "exchange", "principal": "alice", "scope": scope, "expires_at": null }));
    assert!(text.lines().any(|line| line == format!("credential mode exchange, principal alice, scope {scope}")), "{text}");
    assert_eq!(all.world.workspace.exchanges().len(), before, "nothing is exchanged to explain");

    // one that is still being fetched when its check ends
    all.world.workspace.set_token_fault(Some(TokenFault::Slow(Duration::from_millis(2_500))));
    let late = send(&all.world, &query_as(SALES, &all.token("carol"))).await;
    assert_eq!(outcome(&late), (503, "CREDENTIAL_UNAVAILABLE".to_owned()));
    let record = self::record(&all, "User::\"corp/carol\"", "CREDENTIAL_UNAVAILABLE").await;
    assert_eq!(record["credential"], json!({ "mode": "exchange", "principal": "carol", "scope": scope, "expires_at": null }));
    all.world.workspace.set_token_fault(None);

    let databricks = all.arrived();
    let secrets: Vec<&str> = databricks.iter().filter_map(|value| value.strip_prefix("Bearer ")).chain([alice.as_str(), bob.as_str()]).collect();
    all.tells_nothing(&secrets).await;
}

/// What the broker would refuse is refused where it is explained, with the mend.
#[tokio::test(flavor = "multi_thread")]
async fn explain_says_who_would_have_no_credential() {
    let all = Exchanging::start(json!({ "mode": "exchange", "identity": "application_id" }), options()).await;
    let (code, report, text) = explain(&all, &all.token("alice")).await;
    assert_ne!(code, Some(0));
    assert_eq!((&report["decision"], &report["reason"], &report["stage"]), (&json!("deny"), &json!("IDENTITY_UNKNOWN"), &json!("broker")));
    assert_eq!(report["policies"], json!(["all"]), "which policies permit it stays there");
    assert_eq!(report["credential"]["mode"], "exchange");
    assert!(report["detail"].as_str().unwrap().contains("no program with a client id"), "{report}");
    assert!(text.contains("deny (IDENTITY_UNKNOWN)") && text.contains("\ncredential mode exchange\n"), "{text}");
    // Whoever asks first is told the same, and nothing is asked of Databricks for it.
    let question = json!({ "method": "POST", "path": SALES, "body": "{\"inputs\": [1]}" });
    let asked = Request::new("POST", STAGE.host, "/.well-known/lakegate/can-i").bearer(&all.token("alice")).json(&question);
    let answer = send(&all.world, &asked).await;
    let told: Value = answer.json();
    assert_eq!((answer.status, &told["decision"], &told["reason"]), (200, &json!("deny"), &json!("IDENTITY_UNKNOWN")), "{told}");
    assert_eq!(all.world.workspace.exchanges().len(), 0);
}

/// The record of a call of `principal` that was decided for `reason`, once it is written.
async fn record(all: &Exchanging, principal: &str, reason: &str) -> Value {
    let of = |record: &Value| record["principal"] == principal && record["reason"] == reason;
    all.world.audit.wait_for(PATIENCE, of).await.unwrap()
}

/// The exit code of `explain` for a query with `token`, its report, and the same in text.
async fn explain(all: &Exchanging, token: &str) -> (Option<i32>, Value, String) {
    let file = all.folder().join("caller.jwt");
    fs::write(&file, token).unwrap();
    let config = all.world.config_file();
    let url = format!("https://{}{SALES}", STAGE.host);
    let call = ["explain", "--config", config.to_str().unwrap(), "--token-file", file.to_str().unwrap()];
    let call = [&call[..], &["--peer", TRAINER, "POST", &url, "{\"inputs\": [1]}"]].concat();
    let json = all.world.run(&[&call[..], &["--output", "json"]].concat()).await.unwrap();
    let text = all.world.run(&call).await.unwrap();
    assert_eq!(json.status.code(), text.status.code());
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let report = serde_json::from_slice(&json.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", said(&json.stdout), said(&json.stderr)));
    (json.status.code(), report, said(&text.stdout))
}
