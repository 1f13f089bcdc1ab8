//! Permits that say with which credential their calls go on.

use std::fs;

use lakegate::model::Reason;
use lakegate_testkit::issuer::TokenSpec;

use crate::{
    asking::{CHURN, SALES, options, outcome, query, query_as, send, until, world},
    brokered::{ALL, Brokered, How, ROBOT},
};

const OTHER: &str = "00000000-0000-4000-8000-000000000002";

fn saying(ordered: &str) -> String {
    format!("@id(\"all\") @credentials(\"{ordered}\") permit (principal, action, resource);")
}

/// What each mode makes of what a permit says: never the caller's token where the mode would not send it, and no principal without lakegate's word.
#[tokio::test]
async fn a_permit_changes_the_mode_as_far_as_the_target_lets_it() {
    use How::{Assertion, Caller, Client, Passthrough, ServicePrincipal, Strip};
    let principal = format!("service-principal:{OTHER}");
    let (minted, nothing) = ("Bearer token", "");
    let cases = [
        ("passthrough", [(Passthrough, Some("caller")), (Strip, None), (Caller, None), (Assertion, None), (ServicePrincipal, None), (Client, None)]),
        ("strip", [Passthrough, Strip, Caller, Assertion, ServicePrincipal, Client].map(|how| (how, Some(nothing)))),
        (
            &principal,
            [(Passthrough, None), (Strip, None), (Caller, None), (Assertion, Some(minted)), (ServicePrincipal, Some(minted)), (Client, None)],
        ),
    ];
    for (ordered, modes) in cases {
        for (how, want) in modes {
            let world = Brokered::new(how, None, &saying(ordered)).await;
            match (world.sent(None).await, want) {
                (Ok(sent), Some(want)) => assert_eq!(sent, want, "{ordered} on {how:?}"),
                (Err(refusal), None) => {
                    assert_eq!(refusal.reason, Reason::CredentialConflict, "{ordered} on {how:?}");
                    assert!(refusal.detail.contains(ordered) && refusal.detail.contains("workspace `stage`"), "{}", refusal.detail);
                    assert!(refusal.detail.ends_with("; ask whoever runs lakegate to bring the two together"), "{}", refusal.detail);
                    assert_eq!(refusal.policies, ["all"]);
                }
                (sent, want) => panic!("{ordered} on {how:?}: {sent:?}, not {want:?}"),
            }
            let forms = world.endpoint.asked();
            assert_eq!(forms.len(), usize::from(want == Some(minted)), "{ordered} on {how:?}");
            for form in forms {
                assert_eq!((form.get("client_id"), form.subject().as_str()), (OTHER, OTHER), "{how:?}");
            }
        }
    }
}

/// A grant of access for a time is one way to this.
#[tokio::test]
async fn what_is_permitted_until_then_is_signed_for_no_longer() {
    let end = lakegate_testkit::clock::now_s() + 600;
    let until = jiff::Timestamp::from_second(end).unwrap().strftime("%Y-%m-%dT%H:%M:%SZ");
    for (when, ends) in [(String::new(), false), (format!("when {{ context.request.time < datetime(\"{until}\") }}"), true)] {
        let world = Brokered::new(How::Assertion, None, &format!("@id(\"all\") permit (principal, action, resource) {when};")).await;
        world.sent(None).await.unwrap();
        let expires = world.endpoint.asked()[0].claims()["exp"].as_i64().unwrap();
        assert_eq!(expires <= end, ends, "{expires} of {end}");
    }
}

/// A principal that a permit names has a credential of its own, beside the one that the caller has otherwise.
#[tokio::test]
async fn the_principal_of_a_permit_shares_no_credential() {
    for (how, own) in [(How::Assertion, ("", "nina")), (How::ServicePrincipal, (ROBOT, ROBOT))] {
        let only = |ordered: &str, method: &str| {
            format!("@id(\"{method}\") {ordered} permit (principal, action, resource) when {{ context.request.method == \"{method}\" }};")
        };
        let policies = only(&format!("@credentials(\"service-principal:{OTHER}\")"), "POST") + &only("", "GET");
        let world = Brokered::new(how, None, &policies).await;
        for method in ["GET", "POST", "GET", "POST"] {
            assert_eq!(world.sent_by(method, None).await.unwrap(), "Bearer token");
        }
        let sent: Vec<(String, String)> = world.endpoint.asked().iter().map(|form| (form.get("client_id").to_owned(), form.subject())).collect();
        assert_eq!(sent, [(own.0.to_owned(), own.1.to_owned()), (OTHER.to_owned(), OTHER.to_owned())], "{how:?}");
    }
}

/// A mode that says nothing of its own is as before.
#[tokio::test]
async fn a_permit_that_says_nothing_leaves_the_mode() {
    for (how, want) in [(How::Passthrough, "caller"), (How::Strip, ""), (How::Assertion, "Bearer token")] {
        assert_eq!(Brokered::new(how, None, ALL).await.sent(None).await.unwrap(), want, "{how:?}");
    }
}

const POLICIES: &str = r#"
@id("churn") @credentials("strip")
permit (principal, action, resource == ServingEndpoint::"stage/churn");
@id("sales")
permit (principal, action, resource == ServingEndpoint::"stage/sales");
@id("both-pass") @credentials("passthrough")
permit (principal, action, resource == ServingEndpoint::"stage/both");
@id("both-strip") @credentials("strip")
permit (principal, action, resource == ServingEndpoint::"stage/both");
"#;

/// Through a real Envoy, of a workspace whose callers' tokens pass through.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_permit_says_is_what_arrives() {
    let world = world(options().policies(&[("own.cedar", POLICIES)])).await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let bearer = format!("Bearer {token}");
    for (endpoint, want) in [(CHURN, None), (SALES, Some(bearer.as_str())), (CHURN, None)] {
        assert_eq!(outcome(&send(&world, &query_as(endpoint, &token)).await), (200, "OK".to_owned()), "{endpoint}");
        let arrived = world.workspace.reached().pop().unwrap();
        assert_eq!(arrived.header("authorization"), want.map(str::to_owned), "{endpoint}");
    }
    let before = world.workspace.count();
    let answer = send(&world, &query_as("/serving-endpoints/both/invocations", &token)).await;
    assert_eq!(outcome(&answer), (403, "CREDENTIAL_CONFLICT".to_owned()));
    assert!(
        answer.json()["message"].as_str().unwrap().contains("policies `both-pass`, `both-strip` permit it with different credentials"),
        "{}",
        answer.json()
    );
    assert_eq!(world.workspace.count(), before);

    // a reload decides anew what only differs by the annotation
    world.write_policy("own.cedar", &POLICIES.replacen("@credentials(\"strip\")", "", 1).replacen("@credentials(\"strip\")", "", 1)).unwrap();
    until(&world, (200, "OK"), || query(&world, "/serving-endpoints/both/invocations")).await;
    assert_eq!(outcome(&send(&world, &query_as(CHURN, &token)).await), (200, "OK".to_owned()));
    assert_eq!(world.workspace.reached().pop().unwrap().header("authorization"), Some(bearer));
}

/// What could never be done is told before it is served, with the place and the mend.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_no_target_has_is_a_fault_of_the_policy() {
    let world = world(options()).await;
    let file = world.folder().join("policies/own.cedar");
    // `stage` passes tokens through, `prod` and `dev` remove them
    let cases = [
        ("passthrough", "resource", None),
        ("passthrough", "resource in Workspace::\"stage\"", None),
        ("passthrough", "resource in Environment::\"staging\"", None),
        ("passthrough", "resource == Job::\"stage/1\"", None),
        ("passthrough", "resource in Workspace::\"prod\"", Some("on `Workspace::\"prod\"`: the caller's token is never sent")),
        ("passthrough", "resource in Environment::\"dev\"", Some("on `Environment::\"dev\"`: the caller's token is never sent")),
        ("passthrough", "resource == Job::\"prod/1\"", Some("on `Job::\"prod/1\"`: the caller's token is never sent")),
        ("strip", "resource in Workspace::\"prod\"", None),
        ("service-principal:00000000-0000-4000-8000-000000000002", "resource", Some("had nowhere: no token is issued for lakegate's word")),
    ];
    for (ordered, on, want) in cases {
        fs::write(&file, format!("\n@id(\"own\") @credentials(\"{ordered}\")\npermit (principal, action, {on});\n")).unwrap();
        let output = world.run(&["check", "--config", world.config_file().to_str().unwrap()]).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), want.is_none(), "{ordered} {on}: {said}");
        let told = want.is_none_or(|want| said.contains("own.cedar:2:") && said.contains(want) && said.contains("`credentials` of the workspace"));
        assert!(told, "{ordered} {on}: {said}");
    }
}
