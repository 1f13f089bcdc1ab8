//! What is decided, as tables: policies, who, what, and the answer with the policies that decided.

use super::world::{NOW_MS, alice, caller, entity, facts, intent, load, said, seal, source, summary, token, vocabulary, with_field};
use crate::{
    authz::{Authorizer, Source},
    model::{Caller, FieldValue, Intent, PrincipalKind, RequestFacts, Resource},
};

const QUERY_STAGING: &str = r#"
    @id("query-staging")
    permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource in Environment::"staging")
    when { context.peer in Namespace::"cluster.local/ml-staging" };
    @id("closed") @reason("the endpoint closed is under audit")
    forbid (principal, action, resource == ServingEndpoint::"stage/closed");
    @id("vault") @hide
    forbid (principal, action, resource == ServingEndpoint::"stage/vault");
"#;

struct Case {
    policies: &'static str,
    caller: Caller,
    intent: Intent,
    want: Result<&'static [&'static str], (&'static str, &'static [&'static str])>,
}

#[track_caller]
fn hold(cases: Vec<Case>) {
    for (number, case) in cases.into_iter().enumerate() {
        let authorizer = load(case.policies);
        let want = case
            .want
            .map_err(|(code, ids)| (code, ids.iter().map(ToString::to_string).collect()))
            .map(|ids| ids.iter().map(ToString::to_string).collect());
        for time in ["first", "again"] {
            let got = summary(authorizer.authorize(&case.caller, &case.intent, &facts()));
            assert_eq!(got, want, "case {number}, {time}: {:?} {} {:?}", case.caller.principal(), case.intent.action.name, case.intent.resources);
        }
    }
}

fn query(endpoints: &[&str]) -> Intent {
    let ids: Vec<(&str, &str)> = endpoints.iter().map(|id| ("ServingEndpoint", *id)).collect();
    intent("serving_endpoints.query", &ids)
}

const NO_PERMIT: Result<&[&str], (&str, &[&str])> = Err(("POLICY_NO_PERMIT", &[]));

#[test]
fn scopes_conditions_and_forbids() {
    let case = |caller, intent, want| Case { policies: QUERY_STAGING, caller, intent, want };
    hold(vec![
        case(alice(), query(&["stage/sales"]), Ok(&["query-staging"])),
        case(alice(), query(&["stage/closed"]), Err(("POLICY_FORBIDS", &["closed"]))),
        case(alice(), query(&["stage/vault"]), Err(("POLICY_HIDES", &["vault"]))),
        case(alice(), intent("jobs.run_now", &[("Job", "stage/42")]), NO_PERMIT),
        // no mesh identity, another namespace, no token at all, no group, another issuer's idea of nothing
        case(caller(Some(token("alice", &["ml-engineers"])), None), query(&["stage/sales"]), NO_PERMIT),
        case(caller(Some(token("alice", &["ml-engineers"])), Some("dev/notebook")), query(&["stage/sales"]), NO_PERMIT),
        case(caller(None, Some("ml-staging/trainer")), query(&["stage/sales"]), NO_PERMIT),
        case(caller(Some(token("alice", &[])), Some("ml-staging/trainer")), query(&["stage/sales"]), NO_PERMIT),
        case(caller(Some(token("alice", &["ml-engineers/x", "corp/ml-engineers"])), Some("ml-staging/trainer")), query(&["stage/sales"]), NO_PERMIT),
        case(caller(None, None), query(&["stage/sales"]), Err(("CREDENTIAL_MISSING", &[]))),
    ]);
}

#[test]
fn every_resource_needs_a_permit() {
    let case = |intent, want| Case { policies: QUERY_STAGING, caller: alice(), intent, want };
    hold(vec![
        case(query(&["stage/sales", "stage/churn"]), Ok(&["query-staging"])),
        case(query(&["stage/sales", "stage/closed"]), Err(("POLICY_FORBIDS", &["closed"]))),
        case(query(&["stage/vault", "stage/closed"]), Err(("POLICY_HIDES", &["closed", "vault"]))),
        case(query(&[]), Err(("INTERNAL", &[]))),
    ]);
    let some = r#"@id("sales") permit (principal, action, resource == ServingEndpoint::"stage/sales");"#;
    hold(vec![Case { policies: some, caller: alice(), intent: query(&["stage/sales", "stage/churn"]), want: NO_PERMIT }]);
}

#[test]
fn levels_services_and_roles_are_groups() {
    const READ: &str = r#"@id("read") permit (principal, action in Action::"read", resource);"#;
    const CREDENTIALS: &str = r#"@id("credentials") permit (principal, action in Action::"credentials", resource);"#;
    const SERVICE: &str = r#"@id("service") permit (principal, action in [Action::"serving_endpoints", Action::"jobs.get"], resource);"#;
    const ROLE: &str = r#"@id("role") permit (principal in Role::"corp/runner", action, resource);"#;
    const SERVICE_PRINCIPAL: &str =
        r#"@id("robots") permit (principal is ServicePrincipal in Issuer::"corp", action, resource is Job in Workspace::"stage");"#;
    const WORKLOAD: &str = r#"@id("trainer") permit (principal == Workload::"spiffe://cluster.local/ns/ml-staging/sa/trainer", action, resource);"#;
    let get = || intent("serving_endpoints.get", &[("ServingEndpoint", "stage/sales")]);
    let secret = || intent("secrets.get_secret", &[("SecretScope", "stage/ml")]);
    let list = || intent("credentials.list", &[("Workspace", "stage")]);
    let run = || intent("jobs.run_now", &[("Job", "stage/42")]);
    let mut runner = token("alice", &["runner"]);
    runner.groups.clear();
    runner.roles.push("runner".to_owned());
    seal(&mut runner);
    let mut robot = token("ci", &[]);
    robot.kind = PrincipalKind::ServicePrincipal;
    seal(&mut robot);
    let case = |policies, caller, intent, want| Case { policies, caller, intent, want };
    hold(vec![
        case(READ, alice(), get(), Ok(&["read"])),
        case(READ, alice(), query(&["stage/sales"]), NO_PERMIT),
        case(READ, alice(), secret(), NO_PERMIT),
        case(READ, alice(), list(), Ok(&["read"])),
        // the service `credentials` does not lend its actions to the level of that name
        case(CREDENTIALS, alice(), list(), NO_PERMIT),
        case(CREDENTIALS, alice(), secret(), Ok(&["credentials"])),
        case(SERVICE, alice(), query(&["stage/sales"]), Ok(&["service"])),
        case(SERVICE, alice(), intent("jobs.get", &[("Job", "stage/1")]), Ok(&["service"])),
        case(SERVICE, alice(), run(), NO_PERMIT),
        case(ROLE, caller(Some(runner), None), run(), Ok(&["role"])),
        case(ROLE, caller(Some(token("alice", &["runner"])), None), run(), NO_PERMIT),
        case(SERVICE_PRINCIPAL, caller(Some(robot.clone()), None), run(), Ok(&["robots"])),
        case(SERVICE_PRINCIPAL, caller(Some(robot), None), get(), NO_PERMIT),
        case(SERVICE_PRINCIPAL, alice(), run(), NO_PERMIT),
        case(WORKLOAD, caller(None, Some("ml-staging/trainer")), run(), Ok(&["trainer"])),
        // the token's subject is judged, not the workload that carries it
        case(WORKLOAD, alice(), run(), NO_PERMIT),
    ]);
}

#[test]
fn tables_stand_in_schema_catalog_and_environment() {
    let table = || intent("tables.get", &[("Table", "stage/main.sales.pii")]);
    let case = |policies, want| Case { policies, caller: alice(), intent: table(), want };
    hold(vec![
        case(r#"@id("p") permit (principal, action, resource in Schema::"stage/main.sales");"#, Ok(&["p"])),
        case(r#"@id("p") permit (principal, action, resource in Catalog::"stage/main");"#, Ok(&["p"])),
        case(r#"@id("p") permit (principal, action, resource in Environment::"staging");"#, Ok(&["p"])),
        case(r#"@id("p") permit (principal, action, resource in Environment::"prod");"#, NO_PERMIT),
        case(r#"@id("p") permit (principal, action, resource in Schema::"stage/main.other");"#, NO_PERMIT),
    ]);
}

#[test]
fn a_policy_that_fails_denies_even_what_another_permits() {
    const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;
    let overflow = |effect: &str, scope: &str| {
        format!(
            "{ALL} @id(\"broken\") {effect} ({scope}) when {{ context.request has priority && context.request.priority + 9223372036854775807 > 0 }};"
        )
    };
    let submit = with_field(intent("jobs.submit", &[("Workspace", "stage")]), "priority", FieldValue::Long(1));
    let scope = r#"principal, action == Action::"jobs.submit", resource"#;
    for effect in ["forbid", "permit"] {
        let authorizer = load(&overflow(effect, scope));
        for _ in 0..2 {
            let refusal = authorizer.authorize(&alice(), &submit, &facts()).unwrap_err();
            assert_eq!((refusal.reason.code(), refusal.policies), ("POLICY_ERROR", vec!["broken".to_owned()]));
        }
        let fine = with_field(intent("jobs.submit", &[("Workspace", "stage")]), "priority", FieldValue::Long(-9));
        assert_eq!(authorizer.authorize(&alice(), &fine, &facts()).is_ok(), effect == "permit");
    }
    // one that is not about the caller does not apply
    let elsewhere = load(&overflow("forbid", r#"principal in Group::"corp/others", action == Action::"jobs.submit", resource"#));
    assert!(elsewhere.authorize(&alice(), &submit, &facts()).is_ok());
}

#[test]
fn the_context_holds_the_token_the_actor_and_the_body_fields() {
    let session = r#"@id("session") permit (principal, action, resource)
        when { context has token && context.token has auth_time && context.request.time.durationSince(context.token.auth_time) < duration("8h") };"#;
    let mut with_session = token("alice", &[]);
    with_session.auth_time = Some(NOW_MS / 1000 - 60);
    seal(&mut with_session);
    let mut acted = token("alice", &[]);
    acted.actors = vec!["agent".to_owned(), "earlier".to_owned()];
    acted.scopes = vec!["jobs".to_owned()];
    seal(&mut acted);
    let actor = r#"@id("actor") permit (principal, action, resource) when { context has actor && context.actor == "corp/agent" };"#;
    let scoped = r#"@id("scoped") permit (principal, action, resource) when { context has token && context.token.scopes.contains("jobs") };"#;
    let run_as = r#"@id("run-as") permit (principal, action == Action::"jobs.submit", resource)
        when { context.request has run_as && context.request.run_as == "me" };"#;
    let by_path = r#"@id("path") permit (principal, action == Action::"jobs.submit", resource) when { context.request.path == "/api" };"#;
    let tagged = r#"@id("tagged") permit (principal, action == Action::"jobs.submit", resource)
        when { context.request has tags && context.request.tags.contains("a") };"#;
    let run = || intent("jobs.run_now", &[("Job", "stage/42")]);
    let submit = || intent("jobs.submit", &[("Workspace", "stage")]);
    let text = |value: &str| FieldValue::Text(value.to_owned());
    let case = |policies, caller, intent, want| Case { policies, caller, intent, want };
    hold(vec![
        case(session, caller(Some(with_session), None), run(), Ok(&["session"])),
        case(session, caller(Some(token("alice", &[])), None), run(), NO_PERMIT),
        case(session, caller(None, Some("a/b")), run(), NO_PERMIT),
        case(actor, caller(Some(acted.clone()), None), run(), Ok(&["actor"])),
        case(actor, alice(), run(), NO_PERMIT),
        case(scoped, caller(Some(acted), None), run(), Ok(&["scoped"])),
        case(scoped, alice(), run(), NO_PERMIT),
        case(run_as, alice(), with_field(submit(), "run_as", text("me")), Ok(&["run-as"])),
        case(run_as, alice(), with_field(submit(), "run_as", text("root")), NO_PERMIT),
        case(run_as, alice(), submit(), NO_PERMIT),
        case(tagged, alice(), with_field(submit(), "tags", FieldValue::Texts(vec!["b".into(), "a".into()])), Ok(&["tagged"])),
        // a body field cannot pass for the path of the request
        case(by_path, alice(), with_field(submit(), "path", text("/elsewhere")), Ok(&["path"])),
    ]);
}

#[test]
fn refusals_explain_themselves() {
    let authorizer = load(QUERY_STAGING);
    let detail = |caller: &Caller, intent: &Intent| authorizer.authorize(caller, intent, &facts()).unwrap_err().detail.into_owned();
    assert_eq!(detail(&alice(), &query(&["stage/closed"])), "the endpoint closed is under audit (policy closed)");
    assert_eq!(detail(&alice(), &query(&["stage/vault"])), r#"the resource `ServingEndpoint::"stage/vault"` does not exist"#);
    assert_eq!(detail(&alice(), &intent("jobs.run_now", &[("Job", "stage/42")])), "no policy permits it");
    assert_eq!(
        detail(&caller(Some(token("alice", &["ml-engineers"])), Some("dev/notebook")), &query(&["stage/sales"])),
        "no policy permits it; the conditions of policy `query-staging` do not hold"
    );
    let hostile = format!("stage/{}\r\n", "x".repeat(500));
    let said = detail(&alice(), &intent("jobs.run_now", &[("Job", &hostile)]));
    assert!(said.len() < 300 && !said.contains('\n'), "{said}");
}

#[test]
fn the_inventory_adds_containers_and_tags() {
    let inventory = r#"[
        { "type": "Job", "id": "stage/42", "parents": [{ "type": "Collection", "id": "payroll" }], "tags": { "owner": "hr" } },
        { "type": "Collection", "id": "payroll", "parents": [{ "type": "Collection", "id": "pii" }] },
        { "type": "Collection", "id": "pii" },
        { "type": "Group", "id": "corp/ml-engineers", "parents": [{ "type": "Group", "id": "corp/engineers" }] },
        { "type": "User", "id": "corp/bob", "parents": [{ "type": "Group", "id": "corp/ml-engineers" }] },
        { "type": "Catalog", "id": "stage/main", "parents": [{ "type": "Collection", "id": "pii" }] }
    ]"#;
    let bob = || caller(Some(token("bob", &[])), None);
    let run = |id| intent("jobs.run_now", &[("Job", id)]);
    let tagged = r#"permit (principal, action, resource is Job) when { resource.hasTag("owner") && resource.getTag("owner") == "hr" };"#;
    let cases = [
        (r#"permit (principal, action, resource in Collection::"pii");"#, alice(), run("stage/42"), true),
        (r#"permit (principal, action, resource in Collection::"pii");"#, alice(), run("stage/43"), false),
        (r#"permit (principal, action, resource in Collection::"pii");"#, alice(), intent("tables.get", &[("Table", "stage/main.a.b")]), true),
        (r#"permit (principal in Group::"corp/engineers", action, resource);"#, alice(), run("stage/1"), true),
        (r#"permit (principal in Group::"corp/engineers", action, resource);"#, bob(), run("stage/1"), true),
        (r#"permit (principal in Group::"corp/engineers", action, resource);"#, caller(Some(token("eve", &[])), None), run("stage/1"), false),
        (tagged, alice(), run("stage/42"), true),
        (tagged, alice(), run("stage/43"), false),
        (r#"permit (principal, action, resource) when { Group::"corp/ml-engineers" in Group::"corp/engineers" };"#, alice(), run("stage/1"), true),
    ];
    for (policy, caller, intent, want) in cases {
        let source = Source { inventory: Some(("entities.json".into(), inventory.to_owned())), ..source(&format!("@id(\"p\") {policy}")) };
        let authorizer = Authorizer::load(&vocabulary(), &source, 1 << 20, None).unwrap_or_else(|faults| panic!("{}", said(&faults)));
        assert_eq!(authorizer.authorize(&caller, &intent, &facts()).is_ok(), want, "{policy} {:?}", intent.resources);
    }
}

#[test]
fn accounts_and_services_stand_outside_workspaces() {
    let authorizer = load(r#"@id("staging") permit (principal, action, resource in Environment::"staging");"#);
    let mut account = intent("account.get", &[]);
    account.resources.push(Resource { entity: entity("Account", "main"), ancestors: vec![] });
    assert!(authorizer.authorize(&alice(), &account, &facts()).is_err());
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let authorizer = load(r#"@id("all") permit (principal, action, resource);"#);
    let run = intent("jobs.run_now", &[("Job", "stage/42")]);
    let ancient = RequestFacts { time_ms: i64::MIN, ..facts() };
    assert_eq!(authorizer.authorize(&alice(), &run, &ancient).unwrap_err().reason.code(), "INTERNAL");
    let mut endless = token("alice", &[]);
    endless.expires_at = i64::MAX;
    assert_eq!(authorizer.authorize(&caller(Some(endless), None), &run, &facts()).unwrap_err().reason.code(), "INTERNAL");
    let mut unheard = run.clone();
    unheard.resources = [Resource { entity: entity("Unheard", "stage/1"), ancestors: vec![] }].into_iter().collect();
    assert_eq!(authorizer.authorize(&alice(), &unheard, &facts()).unwrap_err().reason.code(), "INTERNAL");
}
