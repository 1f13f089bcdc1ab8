//! Which policies a request just misses.

use super::world::{alice, caller, facts, intent, load, token};

const POLICIES: &str = r#"
@id("plain") permit (principal in Group::"corp/ml-engineers", action == Action::"jobs.get", resource in Environment::"staging");
@id("fresh") permit (principal in Group::"corp/ml-engineers", action == Action::"jobs.run_now", resource in Environment::"staging")
when { context has token && context.token has acr };
@id("closed") forbid (principal, action, resource == Job::"stage/7");
@id("guard") forbid (principal, action == Action::"jobs.run_now", resource)
unless { context.peer in Namespace::"cluster.local/ml-staging" };
"#;

#[test]
fn a_request_just_misses_what_one_thing_keeps_it_from() {
    let authorizer = load(POLICIES);
    let bob = || caller(Some(token("bob", &[])), Some("ml-staging/trainer"));
    let elsewhere = || caller(Some(token("alice", &["ml-engineers"])), Some("dev/notebook"));
    let cases = [
        (alice(), "jobs.get", "stage/42", &["closed"][..], "it decides by `plain`; `fresh` has conditions, and its scope is not met"),
        (alice(), "jobs.run_now", "stage/42", &["plain", "fresh", "closed", "guard"], "the conditions of `fresh` and `guard` do not hold"),
        (bob(), "jobs.get", "stage/42", &["plain", "closed"], "another group alone is between it and `plain`"),
        (bob(), "jobs.run_now", "stage/42", &["closed", "guard"], "two things are between it and `plain`"),
        (alice(), "jobs.get", "stage/7", &[], "`plain` holds, though `closed` decides"),
        (elsewhere(), "jobs.run_now", "stage/42", &["plain", "closed"], "`guard` decides; whether `fresh` would hold is not told"),
        (elsewhere(), "jobs.run_now", "stage/7", &["plain"], "`closed` and `guard` decide"),
    ];
    for (caller, action, job, missed, why) in cases {
        let intent = intent(action, &[("Job", job)]);
        let answer = authorizer.authorize(&caller, &intent, &facts());
        let mut got = authorizer.just_missed(&caller, &intent, &facts(), answer.as_ref());
        got.sort_by_key(|id| ["plain", "fresh", "closed", "guard"].iter().position(|known| known == id));
        assert_eq!(got, missed, "{action} {job}: {why}");
    }
}

/// A call on two resources is denied for want of a permit on the second: of the permit on the first that says nothing, unless its conditions do not hold.
#[test]
fn a_permit_that_holds_for_one_of_two_resources_is_not_missed() {
    let authorizer = load(
        r#"
@id("holds") permit (principal, action == Action::"jobs.run_now", resource == Job::"stage/1") when { context.request.method == "POST" };
@id("fails") permit (principal, action == Action::"jobs.run_now", resource == Job::"stage/1") when { context.request.method == "GET" };
@id("differs") permit (principal, action == Action::"jobs.run_now", resource is Job) unless { resource == Job::"stage/2" };
"#,
    );
    let (caller, intent) = (alice(), intent("jobs.run_now", &[("Job", "stage/1"), ("Job", "stage/2")]));
    let facts = crate::model::RequestFacts { method: "POST", ..facts() };
    let answer = authorizer.authorize(&caller, &intent, &facts);
    assert_eq!(answer.as_ref().unwrap_err().reason, crate::model::Reason::PolicyNoPermit);
    assert_eq!(authorizer.just_missed(&caller, &intent, &facts, answer.as_ref()), ["fails", "differs"]);
}

#[test]
fn every_policy_is_listed_with_its_place() {
    let notes: Vec<_> = load(POLICIES).policies().map(|note| (note.id, note.effect, note.line)).collect();
    let expected = [("plain", "permit", 2), ("fresh", "permit", 3), ("closed", "forbid", 5), ("guard", "forbid", 6)];
    assert_eq!(notes, expected.map(|(id, effect, line)| (id.to_owned(), effect, line)));
}
