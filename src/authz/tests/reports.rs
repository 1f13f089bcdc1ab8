//! What `explain` says, and what a caller's rights are.

use proptest::prelude::*;

use super::{
    equivalence::{callers, intents, moments, policies},
    world::{NOW_MS, alice, caller, facts, intent, load, load_with, seal, source, token, vocabulary, with_field},
};
use crate::{
    authz::{
        Authorizer, Condition, Explained, Explanation, NearMiss, Source, covers,
        node::Question,
        rights::{HIDDEN, ROOM},
    },
    model::{Caller, FieldValue, Intent, RequestFacts},
};

const POLICIES: &str = r#"
@id("query") @owner("ml-platform")
permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource in Environment::"staging")
when { context has token && context.token.issuer == "corp" && context.peer in Namespace::"cluster.local/ml-staging" }
unless { context.request.method == "PUT" };
@id("closed") @reason("under audit")
forbid (principal, action, resource == ServingEndpoint::"stage/closed");
"#;

fn query(id: &str) -> Intent {
    intent("serving_endpoints.query", &[("ServingEndpoint", id)])
}

/// `text: what = value, …` of each.
fn said(conditions: &[Condition]) -> Vec<String> {
    let one = |condition: &Condition| {
        let saw: Vec<String> = condition.saw.iter().map(|seen| format!("{} = {}", seen.what, seen.value)).collect();
        format!("{}: {}", condition.text, saw.join(", "))
    };
    conditions.iter().map(one).collect()
}

fn explained(policies: &str, caller: &Caller, intent: &Intent) -> Explanation {
    load(policies).explain(caller, intent, &facts())
}

#[test]
fn a_deny_names_everything_that_is_missing() {
    let authorizer = load(POLICIES);
    let elsewhere = caller(Some(token("alice", &["ml-engineers"])), Some("dev/notebook"));
    let peer = r#"when { context.peer in Namespace::"cluster.local/ml-staging" }: context.peer = Workload::"spiffe://cluster.local/ns/dev/sa/notebook" in Namespace::"cluster.local/dev""#;
    let unless = r#"unless { context.request.method == "PUT" }: context.request.method = "PUT""#;
    let cases: [(_, _, &str, &[&str]); 5] = [
        (&elsewhere, query("stage/sales"), "POST", &[peer]),
        (&alice(), query("stage/sales"), "PUT", &[unless]),
        (&elsewhere, query("stage/sales"), "PUT", &[peer, unless]),
        (
            &caller(Some(token("bob", &[])), Some("ml-staging/trainer")),
            query("stage/sales"),
            "POST",
            &[r#"principal in Group::"corp/ml-engineers": principal = User::"corp/bob", in no Group"#],
        ),
        (
            &caller(None, Some("ml-staging/trainer")),
            query("stage/sales"),
            "POST",
            &[
                r#"principal in Group::"corp/ml-engineers": principal = Workload::"spiffe://cluster.local/ns/ml-staging/sa/trainer", in no Group"#,
                "when { context has token }: context.token = missing",
                r#"when { context.token.issuer == "corp" }: context.token = missing"#,
            ],
        ),
    ];
    for (caller, intent, method, want) in cases {
        let got = authorizer.explain(caller, &intent, &RequestFacts { method, ..facts() });
        assert_eq!((got.decision, got.reason), (Explained::Deny, Some("POLICY_NO_PERMIT")));
        assert_eq!(got.near.len(), 1, "{:?}", got.near);
        assert_eq!(said(&got.near[0].missing), want);
        assert!(got.near[0].missing.iter().all(|condition| condition.error.is_none()));
        assert_eq!((got.near[0].policy.id.as_str(), got.near[0].policy.line, got.near[0].policy.owner.as_deref()), ("query", 2, Some("ml-platform")));
    }
}

#[test]
fn values_are_told_in_the_words_of_policies() {
    let mut token = token("alice", &["a", "b"]);
    token.auth_time = Some(NOW_MS / 1000 - 9 * 3600);
    token.scopes = (0..14).map(|number| format!("s{number:02}")).collect();
    seal(&mut token);
    let caller = caller(Some(token), Some("x/one"));
    let long = "SELECT ".to_owned() + &"x".repeat(500);
    let submit = with_field(intent("jobs.submit", &[("Workspace", "stage")]), "run_as", FieldValue::Text(long));
    let cases: [(&str, &[&str]); 9] = [
        (
            r#"context has token.auth_time && context.request.time.durationSince(context.token.auth_time) < duration("8h")"#,
            &[
                "context.request.time.durationSince(context.token.auth_time) = 9h, context.request.time = 2026-01-01T00:00:00Z, context.token.auth_time = 2025-12-31T15:00:00Z",
            ],
        ),
        (
            "context has token && context.token has acr && context.token.acr == \"high\"",
            &["context.token.acr = missing", "context.token.acr = missing"],
        ),
        (
            "context.request has priority && context.request.priority > 3",
            &["context.request.priority = missing", "context.request.priority = missing"],
        ),
        (
            r#"context has token && context.token.scopes.contains("other")"#,
            &[r#"context.token.scopes = ["s00", "s01", "s02", "s03", "s04", "s05", "s06", "s07", "s08", "s09" and 4 more]"#],
        ),
        (r#"principal in [Group::"corp/c", Group::"corp/d"]"#, &[r#"principal = User::"corp/alice" in Group::"corp/a", Group::"corp/b""#]),
        (r#"principal == User::"corp/bob" || context has actor"#, &[r#"principal = User::"corp/alice", context.actor = missing"#]),
        (r#"resource.hasTag("tier") && resource.getTag("tier") == "gold""#, &[r#"resource.getTag("tier") = "silver""#]),
        (r#"if context has actor then true else action == Action::"jobs.get""#, &[r#"context.actor = missing, action = Action::"jobs.submit""#]),
        ("context.request has source_ip && context.request.source_ip.isLoopback()", &["context.request.source_ip = ip(\"10.0.0.7\")"]),
    ];
    let tags = r#"[{"type": "Workspace", "id": "stage", "tags": {"tier": "silver"}}]"#;
    for (condition, want) in cases {
        let authorizer =
            load_with(&format!("@id(\"p\") permit (principal, action == Action::\"jobs.submit\", resource) when {{ {condition} }};"), tags);
        let facts = RequestFacts { source_ip: Some("10.0.0.7".parse().unwrap()), ..facts() };
        let got = authorizer.explain(&caller, &submit, &facts);
        let saw: Vec<String> = said(&got.near[0].missing).into_iter().map(|text| text.rsplit_once("}: ").unwrap().1.to_owned()).collect();
        assert_eq!(saw, want, "{condition}");
    }
    // an id that looks like a credential is not told
    let got = explained(
        r#"@id("p") permit (principal, action == Action::"jobs.run_now", resource == Job::"stage/1") when { resource == Job::"stage/2" };"#,
        &caller,
        &intent("jobs.run_now", &[("Job", "stage/dapi0123456789abcdef0123")]),
    );
    let told = said(&got.near[0].missing);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|told| told.ends_with("resource = Job::\"stage/[redacted]")), "{told:?}");
    // what is long is cut, and what looks like a credential is not told
    for (value, want) in [("SELECT ".to_owned() + &"x".repeat(500), "…\""), ("dapi0123456789abcdef0123".to_owned(), "\"[redacted]\"")] {
        let submit = with_field(intent("jobs.submit", &[("Workspace", "stage")]), "run_as", FieldValue::Text(value));
        let text = r#"@id("p") permit (principal, action == Action::"jobs.submit", resource) when { context has request.run_as && context.request.run_as == "me" };"#;
        let told = said(&explained(text, &caller, &submit).near[0].missing);
        assert!(told[0].ends_with(want) && told[0].len() < 260, "{told:?}");
    }
}

#[test]
fn the_nearest_lacks_the_fewest_parts() {
    let one = r#"permit (principal in Group::"corp/ml-engineers", action == Action::"jobs.run_now", resource == Job::"stage/1")"#;
    let policies = format!(
        "@id(\"three-conditions\") {one} when {{ context has actor && context.request.method == \"PUT\" && context.request.path == \"/x\" }};
         @id(\"other-job\") permit (principal in Group::\"corp/ml-engineers\", action == Action::\"jobs.run_now\", resource == Job::\"stage/2\");
         @id(\"other-action\") permit (principal in Group::\"corp/ml-engineers\", action == Action::\"jobs.get\", resource == Job::\"stage/1\");
         @id(\"other-group\") permit (principal in Group::\"corp/ops\", action == Action::\"jobs.run_now\", resource == Job::\"stage/1\");
         @id(\"group-and-condition\") permit (principal in Group::\"corp/ops\", action == Action::\"jobs.run_now\", resource) when {{ context has actor }};
         @id(\"one-condition\") {one} when {{ context has actor }};"
    );
    let near =
        |intent: &Intent| -> Vec<String> { explained(&policies, &alice(), intent).near.into_iter().map(|near: NearMiss| near.policy.id).collect() };
    assert_eq!(near(&intent("jobs.run_now", &[("Job", "stage/1")])), ["one-condition", "other-group", "other-job"]);
    // a call that nobody may make on anything: what is nearest lacks two
    assert_eq!(near(&intent("tables.get", &[("Table", "stage/main.a.t")])), Vec::<String>::new());
    // a resource that is permitted lacks nothing
    let both = intent("jobs.run_now", &[("Job", "stage/2"), ("Job", "stage/3")]);
    let got = explained(&policies, &alice(), &both);
    assert!(got.near.iter().all(|near| near.resource == "Job::\"stage/3\""), "{:?}", got.near);
}

#[test]
fn a_policy_that_decided_shows_what_made_it_so() {
    let text = r#"
        @id("p") permit (principal, action, resource);
        @id("no") forbid (principal, action, resource is Job) when { context.request.method == "POST" } unless { context has actor };
        @id("idle") forbid (principal, action, resource is Job) when { context.request.method == "PUT" };"#;
    let got = explained(text, &alice(), &intent("jobs.run_now", &[("Job", "stage/1")]));
    assert_eq!((got.policies[0].id.as_str(), got.applied.len(), got.near.len()), ("no", 1, 0));
    let want =
        [r#"when { context.request.method == "POST" }: context.request.method = "POST""#, "unless { context has actor }: context.actor = missing"];
    assert_eq!(said(&got.applied[0].conditions), want);
    let allowed = explained(text, &alice(), &query("stage/sales"));
    assert_eq!((allowed.decision, allowed.applied[0].policy.id.as_str()), (Explained::Allow, "p"));

    let failing = r#"@id("p") permit (principal, action, resource);
        @id("bad") forbid (principal, action, resource) when { context.request.method == "POST" && 9223372036854775807 + 1 == 0 };"#;
    let got = explained(failing, &alice(), &query("stage/sales"));
    assert_eq!((got.reason, got.applied[0].conditions.len()), (Some("POLICY_ERROR"), 1));
    assert!(got.applied[0].conditions[0].error.as_ref().is_some_and(|error| error.contains("overflow")), "{:?}", got.applied);
}

#[test]
fn the_report_agrees_with_the_decision() {
    let authorizer = load(POLICIES);
    for (endpoint, decision, policies, applicable) in
        [("stage/sales", Explained::Allow, vec!["query"], vec!["query"]), ("stage/closed", Explained::Deny, vec!["closed"], vec!["query", "closed"])]
    {
        let intent = query(endpoint);
        let got = authorizer.explain(&alice(), &intent, &facts());
        assert_eq!(got.decision, decision);
        assert_eq!(got.policies.iter().map(|note| &note.id).collect::<Vec<_>>(), policies);
        assert_eq!(got.applicable.iter().map(|note| &note.id).collect::<Vec<_>>(), applicable);
        assert_eq!(authorizer.authorize(&alice(), &intent, &facts()).is_ok(), decision == Explained::Allow);
        let json = serde_json::to_value(&got).unwrap();
        assert_eq!(json["principal"], r#"User::"corp/alice""#);
        assert_eq!(json["decision"], if decision == Explained::Allow { "allow" } else { "deny" });
    }
    let nobody = authorizer.explain(&caller(None, None), &query("stage/sales"), &facts());
    assert_eq!((nobody.decision, nobody.reason), (Explained::Deny, Some("CREDENTIAL_MISSING")));
}

#[test]
fn what_is_near_is_looked_for_within_bounds() {
    let policies: Vec<String> = (0..300)
        .map(|number| format!("@id(\"p{number}\") permit (principal == User::\"corp/u{number}\", action == Action::\"jobs.run_now\", resource == Job::\"stage/{number}\");\n"))
        .collect();
    let authorizer = load(&policies.concat());
    let question = Question::new(&alice(), &intent("jobs.run_now", &[("Job", "stage/1000")]), &authorizer.engine.inventory).unwrap();
    for steps in [1, 10, 100] {
        let (found, cut) = authorizer.index.near(&question, &question.resources[0], steps);
        assert!(found.len() <= steps && cut, "{steps}: {}", found.len());
    }
    assert!(!authorizer.index.near(&question, &question.resources[0], 10_000).1);
    // as many of one scope
    let alike: Vec<String> = (0..300)
        .map(|number| format!("@id(\"p{number}\") permit (principal is Workload, action == Action::\"jobs.run_now\", resource);\n"))
        .collect();
    let alike = load(&alike.concat());
    let (found, cut) = alike.index.near(&question, &question.resources[0], 10);
    assert!(found.len() <= 10 && cut, "{}", found.len());
    let brief = authorizer.explain_briefly(&alice(), &intent("jobs.run_now", &[("Job", "stage/1000")]), &facts());
    assert!(brief.near_cut && brief.near.len() == 3, "{:?}", brief.near_cut);
    assert!(!authorizer.explain(&alice(), &intent("jobs.run_now", &[("Job", "stage/1000")]), &facts()).near_cut);
}

#[test]
fn what_only_a_near_permit_names_has_its_tags() {
    let text = r#"@id("p") permit (principal in Group::"corp/ops", action == Action::"jobs.run_now", resource)
        when { Workspace::"stage".hasTag("open") && Workspace::"stage".getTag("open") == "yes" };"#;
    let tags = r#"[{"type": "Workspace", "id": "stage", "tags": {"open": "yes"}}]"#;
    let got = load_with(text, tags).explain(&alice(), &intent("jobs.run_now", &[("Job", "stage/1")]), &facts());
    let missing = said(&got.near[0].missing);
    assert!(missing.len() == 1 && missing[0].starts_with("principal in"), "{missing:?}");
}

#[test]
fn rights_are_the_policies_that_speak_of_the_caller() {
    let text = r#"
        @id("mine") @reason("r") permit (principal in Group::"corp/ml-engineers", action in Action::"read", resource is Job)
        when { context has token } unless { context has actor };
        @id("others") permit (principal in Group::"corp/ops", action, resource);
        @id("any") permit (principal, action == Action::"jobs.get", resource);
        @id("never") forbid (principal is User, action, resource in Environment::"prod");
        @id("workloads") forbid (principal is Workload, action, resource);
        @id("named") permit (principal is User, action, resource == Job::"stage/7");
        @hide @id("veil") forbid (principal in Group::"corp/ml-engineers", action, resource == Job::"stage/7");"#;
    let ids = |rights: &[super::super::Right]| rights.iter().map(|right| right.policy.clone()).collect::<Vec<_>>();
    let authorizer = load(text);
    let rights = authorizer.rights(&alice()).unwrap();
    assert_eq!((ids(&rights.permits), ids(&rights.forbids)), (vec!["mine".to_owned(), "any".to_owned()], vec!["never".to_owned()]));
    let mine = &rights.permits[0];
    assert_eq!(
        (mine.principal.as_str(), mine.action.as_str(), mine.resource.as_str()),
        ("principal in Group::\"corp/ml-engineers\"", "action in [Action::\"read\"]", "resource is Job")
    );
    assert_eq!(mine.conditions, ["when { context has token }", "unless { context has actor }"]);
    // bob is not one from whom anything is hidden
    let bob = authorizer.rights(&caller(Some(token("bob", &[])), None)).unwrap();
    assert_eq!(ids(&bob.permits), ["any", "named"]);
    assert_eq!(ids(&authorizer.rights(&caller(None, Some("x/one"))).unwrap().forbids), ["workloads"]);
    assert_eq!(authorizer.rights(&caller(None, None)).unwrap_err().reason.code(), "CREDENTIAL_MISSING");
}

#[test]
fn what_may_be_hidden_is_told_by_the_id_and_the_inventory() {
    let cases = [
        (r#"resource == Job::"stage/7""#, r#"resource == Job::"stage/7""#, true),
        (r#"resource == Job::"stage/8""#, r#"resource == Job::"stage/7""#, false),
        (r#"resource in Workspace::"stage""#, r#"resource == Job::"stage/7""#, true),
        (r#"resource in Workspace::"prod""#, r#"resource == Job::"stage/7""#, false),
        (r#"resource in Environment::"prod""#, r#"resource == Job::"stage/7""#, true),
        ("resource is Job", r#"resource == Job::"stage/7""#, true),
        ("resource is Table", r#"resource == Job::"stage/7""#, false),
        ("resource", r#"resource == Job::"stage/7""#, true),
        ("resource", "resource", false),
        ("resource", r#"resource in Environment::"staging""#, false),
        (r#"resource in Schema::"stage/main.a""#, r#"resource == Table::"stage/main.a.t""#, true),
        (r#"resource in Collection::"pii""#, r#"resource == Job::"stage/7""#, true),
        (r#"resource in Collection::"other""#, r#"resource == Job::"stage/7""#, false),
        (
            r#"resource == Job::"stage/7""#,
            r#"resource) when { resource == Job::"stage/7" || resource == Job::"stage/9" }; @id("x") permit (principal, action, resource in Workspace::"stage""#,
            true,
        ),
    ];
    let inventory = r#"[{"type": "Job", "id": "stage/7", "parents": [{"type": "Collection", "id": "pii"}]}, {"type": "Collection", "id": "pii"}]"#;
    for (hiding, scope, hidden) in cases {
        let text = format!("@hide @id(\"h\") forbid (principal, action, {hiding}); @id(\"p\") permit (principal, action, {scope});");
        let rights = load_with(&text, inventory).rights(&alice()).unwrap();
        assert_eq!(rights.permits.iter().all(|right| right.policy != "p"), hidden, "{hiding} {scope}");
    }
}

#[test]
fn rights_have_room_for_so_much() {
    let policies: Vec<String> =
        (0..2000).map(|number| format!("@id(\"p{number}\") permit (principal, action, resource == Job::\"stage/{number}\");\n")).collect();
    let rights = load(&policies.concat()).rights(&alice()).unwrap();
    assert!(rights.left_out > 0 && rights.permits.len() + rights.left_out == 2000, "{}", rights.left_out);
    assert!(serde_json::to_string(&rights).unwrap().len() < 200 * 1024);
    // nor is it looked without end at what is hidden
    let hidden: Vec<String> =
        (0..5000).map(|number| format!("@id(\"p{number}\") permit (principal, action, resource == Job::\"stage/{number}\");\n")).collect();
    let rights = load(&format!("{} @id(\"h\") @hide forbid (principal, action, resource is Job);", hidden.concat())).rights(&alice()).unwrap();
    assert_eq!((rights.permits.len(), rights.left_out), (0, 5000 - ROOM / HIDDEN));
}

/// What the report says of one permit is what the engine says of it.
fn judged_alone(authorizer: &Authorizer, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Result<(), TestCaseError> {
    let got = authorizer.explain(caller, intent, facts);
    let brief = authorizer.explain_briefly(caller, intent, facts);
    let decided = authorizer.authorize(caller, intent, facts);
    prop_assert_eq!(got.decision == Explained::Allow, decided.is_ok());
    let judged = authorizer.judge(caller, intent, facts).outcome();
    prop_assert_eq!(judged, decided.as_ref().map(|permit| permit.policies().to_vec()).map_err(Clone::clone));
    prop_assert_eq!(got.reason, decided.as_ref().err().map(|refusal| refusal.reason.code()));
    prop_assert_eq!((&got.applied, &got.near), (&brief.applied, &brief.near));
    let policies = decided.as_ref().map_or_else(|refusal| refusal.policies.clone(), |permit| permit.policies().to_vec());
    prop_assert_eq!(got.policies.iter().map(|note| note.id.clone()).collect::<Vec<_>>(), policies.clone());
    // each that decided is shown to have, with no condition unmet
    let shown: std::collections::BTreeSet<String> = got.applied.iter().map(|applied| applied.policy.id.clone()).collect();
    prop_assert_eq!(shown.into_iter().collect::<Vec<_>>(), policies);
    for near in &got.near {
        prop_assert!(!near.missing.is_empty());
        let placed = authorizer.placed(&near.policy.id).unwrap();
        let question = Question::new(caller, intent, &authorizer.engine.inventory).unwrap();
        let resource = question.resources.iter().find(|resource| resource.entity.to_string() == near.resource).unwrap();
        let scope_lacks = near.missing.iter().any(|condition| !condition.text.starts_with("when") && !condition.text.starts_with("unless"));
        prop_assert_eq!(scope_lacks, !covers(&placed.compiled, &question, resource));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn rights_hold_every_policy_that_decides(policies in policies(), caller in callers(), intent in intents(), facts in moments()) {
        let authorizer = load(&policies);
        let judgement = authorizer.judge(&caller, &intent, &facts);
        let Ok(principal) = Question::principal(&caller, &authorizer.engine.inventory) else {
            prop_assert!(authorizer.rights(&caller).is_err() && !judgement.is_allowed());
            return Ok(());
        };
        let rights = authorizer.rights(&caller).unwrap();
        prop_assert_eq!(rights.left_out, 0);
        let told = |id: &String, list: &[super::super::Right]| list.iter().any(|right| right.policy == *id);
        for id in &judgement.policies {
            let placed = authorizer.placed(id).unwrap();
            let list = if placed.compiled.is_forbid() { &rights.forbids } else { &rights.permits };
            let hidden = placed.compiled.hide || authorizer.may_reveal(&principal, placed);
            prop_assert_eq!(told(id, list), !hidden, "{}", id);
        }
        // and none that cannot
        for right in rights.permits.iter().chain(&rights.forbids) {
            prop_assert!(authorizer.placed(&right.policy).unwrap().compiled.principal.matches(&principal));
        }
    }

    #[test]
    fn a_report_says_what_is_decided(policies in policies(), caller in callers(), intent in intents(), facts in moments()) {
        judged_alone(&load(&policies), &caller, &intent, &facts)?;
    }
}

#[test]
fn roles_and_grants_are_told_by_whom_and_what_they_are_for() {
    const ROLES: &str = r#"@id("runner") @reason("may run jobs")
        permit (principal in ?principal, action == Action::"jobs.run_now", resource in ?resource) when { context has token };"#;
    let sources = |policies: &str| {
        Source {
        access: vec![("access/team.yaml".into(), "- { id: ops, role: runner, to: { Group: corp/ops }, on: { Job: stage/1 } }".to_owned())],
        grants: vec![(
            "grants/today.yaml".into(),
            "- { id: incident, role: runner, to: { User: corp/alice }, on: { Job: stage/1 }, from: 2025-12-31T15:00:00Z, until: 2025-12-31T16:00:00Z, why: incident, approved_by: corp/bob }".to_owned(),
        )],
        longest_grant: std::time::Duration::from_hours(24),
        ..source(policies)
    }
    };
    let loaded = |policies: &str| Authorizer::load(&vocabulary(), &sources(policies), 1 << 20, None).unwrap_or_else(|faults| panic!("{faults:?}"));
    let authorizer = loaded(ROLES);
    let got = authorizer.explain(&alice(), &intent("jobs.run_now", &[("Job", "stage/1")]), &facts());
    let told: Vec<(String, Vec<String>)> = got.near.iter().map(|near| (near.policy.id.clone(), said(&near.missing))).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for (id, missing) in &told {
        assert_eq!(missing.len(), 1, "{told:?}");
        if id.contains("ops") {
            assert_eq!(missing, &[r#"principal in Group::"corp/ops": principal = User::"corp/alice" in Group::"corp/ml-engineers""#]);
        } else {
            assert!(
                missing[0].contains("2025-12-31T16:00:00.000Z") && missing[0].ends_with("context.request.time = 2026-01-01T00:00:00Z"),
                "{missing:?}"
            );
        }
    }
    let rights = authorizer.rights(&alice()).unwrap();
    assert_eq!((rights.permits.len(), rights.permits[0].resource.as_str()), (1, "resource in Job::\"stage/1\""));
    // what a role is for stands in no text of its own, and is hidden all the same
    let veiled = loaded(&format!("{ROLES} @hide @id(\"veil\") forbid (principal, action, resource == Job::\"stage/1\");"));
    assert_eq!(veiled.rights(&alice()).unwrap().permits, Vec::new());
}
