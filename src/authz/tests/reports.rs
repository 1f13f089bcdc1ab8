//! What `explain` says.

use super::world::{alice, caller, facts, intent, load, token};
use crate::authz::Explained;

const POLICIES: &str = r#"
@id("query") @owner("ml-platform")
permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource in Environment::"staging")
when { context has token && context.token.issuer == "corp" && context.peer in Namespace::"cluster.local/ml-staging" }
unless { context.request.method == "PUT" };
@id("closed") @reason("under audit")
forbid (principal, action, resource == ServingEndpoint::"stage/closed");
"#;

#[test]
fn a_deny_names_what_is_missing() {
    let authorizer = load(POLICIES);
    let query = |id: &str| intent("serving_endpoints.query", &[("ServingEndpoint", id)]);
    let elsewhere = caller(Some(token("alice", &["ml-engineers"])), Some("dev/notebook"));
    let cases: [(_, _, &str, &[&str]); 3] = [
        (&elsewhere, query("stage/sales"), "POST", &[r#"when { context.peer in Namespace::"cluster.local/ml-staging" }"#]),
        (&alice(), query("stage/sales"), "PUT", &[r#"when { !(context.request.method == "PUT") }"#]),
        (&caller(Some(token("bob", &[])), Some("ml-staging/trainer")), query("stage/sales"), "POST", &[r#"principal in Group::"corp/ml-engineers""#]),
    ];
    for (caller, intent, method, want) in cases {
        let got = authorizer.explain(caller, &intent, &crate::model::RequestFacts { method, ..facts() });
        assert_eq!((got.decision, got.reason), (Explained::Deny, Some("POLICY_NO_PERMIT")));
        assert_eq!(got.near.len(), 1, "{:?}", got.near);
        let normal: Vec<String> = got.near[0].missing.iter().map(|condition| condition.text.clone()).collect();
        assert_eq!(normal, want);
        assert_eq!((got.near[0].policy.id.as_str(), got.near[0].policy.line, got.near[0].policy.owner.as_deref()), ("query", 2, Some("ml-platform")));
    }
}

#[test]
fn the_report_agrees_with_the_decision() {
    let authorizer = load(POLICIES);
    for (endpoint, decision, policies, applicable) in
        [("stage/sales", Explained::Allow, vec!["query"], vec!["query"]), ("stage/closed", Explained::Deny, vec!["closed"], vec!["query", "closed"])]
    {
        let intent = intent("serving_endpoints.query", &[("ServingEndpoint", endpoint)]);
        let got = authorizer.explain(&alice(), &intent, &facts());
        assert_eq!(got.decision, decision);
        assert_eq!(got.policies.iter().map(|note| &note.id).collect::<Vec<_>>(), policies);
        assert_eq!(got.applicable.iter().map(|note| &note.id).collect::<Vec<_>>(), applicable);
        assert_eq!(authorizer.authorize(&alice(), &intent, &facts()).is_ok(), decision == Explained::Allow);
        let json = serde_json::to_value(&got).unwrap();
        assert_eq!(json["principal"], r#"User::"corp/alice""#);
        assert_eq!(json["decision"], if decision == Explained::Allow { "allow" } else { "deny" });
    }
    let nobody = authorizer.explain(&caller(None, None), &intent("serving_endpoints.query", &[("ServingEndpoint", "stage/sales")]), &facts());
    assert_eq!((nobody.decision, nobody.reason), (Explained::Deny, Some("CREDENTIAL_MISSING")));
}
