//! With which scope a token is asked for, and which answers to that are taken.

use axum::http::StatusCode;
use lakegate::model::Reason;

use crate::brokered::{ALL, Brokered, How, ISSUED};

/// A credential of one scope serves no call that needs another; one scope for all serves them all.
#[tokio::test]
async fn a_token_has_the_scope_of_the_call() {
    let calls = [Some("jobs"), Some("sql"), Some("jobs"), None, Some("all-apis")];
    let cases: [(Option<&str>, &[&str]); 2] = [(None, &["jobs", "sql", "all-apis"]), (Some("sql jobs"), &["sql jobs"])];
    for (configured, asked) in cases {
        let world = Brokered::new(How::Caller, configured, ALL).await;
        for scope in calls {
            assert_eq!(world.sent(scope).await.unwrap(), "Bearer token", "{scope:?}");
        }
        let sent: Vec<String> = world.endpoint.asked().iter().map(|form| form.get("scope").to_owned()).collect();
        assert_eq!(sent, asked, "{configured:?}");
    }
}

#[tokio::test]
async fn a_token_without_the_scope_that_was_asked_for_is_not_sent() {
    let cases = [
        ("jobs", r#""jobs""#, Ok(())),
        ("jobs", r#""sql jobs offline_access""#, Ok(())),
        ("jobs", r#""all-apis""#, Ok(())),
        ("sql jobs", r#""jobs sql""#, Ok(())),
        ("jobs", r#""sql""#, Err("without `jobs`")),
        ("sql jobs", r#""sql""#, Err("without `jobs`")),
        ("all-apis", r#""jobs""#, Err("without `all-apis`")),
        ("jobs", r#""""#, Err("without `jobs`")),
        ("jobs", r#""jobs2""#, Err("without `jobs`")),
        ("jobs", r#"["jobs"]"#, Err("is not a text")),
    ];
    for (asked, given, want) in cases {
        let world = Brokered::new(How::Caller, None, ALL).await;
        world.endpoint.answers(StatusCode::OK, &ISSUED.replace('}', &format!(r#", "scope": {given}}}"#)));
        let got = world.sent(Some(asked)).await;
        match (want, got) {
            (Ok(()), Ok(_)) => {}
            (Err(says), Err(refusal)) => {
                assert_eq!(refusal.reason, Reason::CredentialUnavailable, "{asked} {given}");
                assert!(refusal.whole().contains(says), "{asked} {given}: {}", refusal.whole());
            }
            (want, got) => panic!("{asked} {given}: {want:?} and {got:?}"),
        }
    }
}

/// Whoever reads the denial learns which scope it was and whom to ask; what to write is for whoever runs lakegate.
#[tokio::test]
async fn a_scope_that_is_refused_is_named_with_the_mend() {
    for (scope, widens) in [("jobs", true), ("all-apis", false)] {
        let world = Brokered::new(How::Caller, None, ALL).await;
        world.endpoint.answers(StatusCode::BAD_REQUEST, r#"{"error": "invalid_scope"}"#);
        let refusal = world.sent(Some(scope)).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::CredentialRefused);
        assert!(refusal.detail.contains(&format!("`{scope}`")) && refusal.detail.contains("ask whoever runs lakegate"), "{}", refusal.detail);
        assert!(!refusal.detail.contains("`credentials`"), "what callers cannot do is not asked of them: {}", refusal.detail);
        let aside = refusal.aside.unwrap_or_default();
        assert!(aside.contains("as `scope` in the workspace's `credentials`") && aside.contains("widen") == widens, "{aside}");
    }
}
