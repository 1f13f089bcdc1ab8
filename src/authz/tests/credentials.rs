//! What permits say of the credential, alone and together, remembered and after a reload.

use std::time::Duration;

use super::world::{NOW_MS, alice, facts, intent, load, said, source, vocabulary};
use crate::{
    authz::{Authorizer, Source},
    model::{Caller, Intent, RequestFacts},
};

const ROBOT: &str = "service-principal:00000000-0000-4000-8000-000000000001";

/// What the permits say, empty where they say nothing; or the reason with the policies that disagree.
fn said_of(authorizer: &Authorizer, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Result<String, (&'static str, Vec<String>)> {
    let permit = authorizer.authorize(caller, intent, facts).map_err(|refusal| (refusal.reason.code(), refusal.policies))?;
    Ok(permit.ordered().map(ToString::to_string).unwrap_or_default())
}

fn permit(id: &str, ordered: &str, condition: &str) -> String {
    let ordered = if ordered.is_empty() { String::new() } else { format!("@credentials(\"{ordered}\")") };
    format!("@id(\"{id}\") {ordered} permit (principal, action, {condition};\n")
}

#[test]
fn permits_that_hold_name_one_credential() {
    let any = "resource)";
    let sales = "resource == ServingEndpoint::\"stage/sales\")";
    let churn = "resource == ServingEndpoint::\"stage/churn\")";
    let get = "resource) when { context.request.method == \"GET\" }";
    let conflict = |ids: [&str; 2]| Err(("CREDENTIAL_CONFLICT", ids.map(str::to_owned).to_vec()));
    let cases = [
        (vec![("a", "strip", any)], Ok("strip")),
        (vec![("a", "passthrough", any)], Ok("passthrough")),
        (vec![("a", ROBOT, any)], Ok(ROBOT)),
        (vec![("a", "", any)], Ok("")),
        // who says nothing leaves it to the others
        (vec![("a", "", any), ("b", "strip", sales), ("c", "", churn)], Ok("strip")),
        (vec![("a", "strip", any), ("b", "strip", sales)], Ok("strip")),
        (vec![("a", "strip", any), ("b", "passthrough", sales)], conflict(["a", "b"])),
        (vec![("a", "strip", any), ("b", ROBOT, sales)], conflict(["a", "b"])),
        // a permit that does not hold says nothing
        (vec![("a", "strip", any), ("b", "passthrough", get)], Ok("strip")),
        // of several resources, each with a permit of its own: a principal for one is none for the other, and what is stripped is stripped
        (vec![("a", "strip", sales), ("b", "", churn)], Ok("strip")),
        (vec![("a", "", sales), ("b", "strip", churn)], Ok("strip")),
        (vec![("a", "strip", sales), ("b", "strip", churn)], Ok("strip")),
        (vec![("a", ROBOT, sales), ("b", ROBOT, churn)], Ok(ROBOT)),
        (vec![("a", ROBOT, sales), ("b", ROBOT, churn), ("c", "", any)], Ok(ROBOT)),
        (vec![("a", ROBOT, sales), ("b", "", churn)], conflict(["a", "b"])),
        (vec![("a", "", sales), ("b", ROBOT, churn)], conflict(["a", "b"])),
        (vec![("a", ROBOT, sales), ("b", "", any)], conflict(["a", "b"])),
        (vec![("a", "passthrough", sales), ("b", "", churn)], conflict(["a", "b"])),
        (vec![("a", ROBOT, sales), ("b", "strip", churn)], conflict(["a", "b"])),
        (vec![("a", "strip", sales), ("b", "passthrough", churn)], conflict(["a", "b"])),
    ];
    let both = intent("serving_endpoints.query", &[("ServingEndpoint", "stage/sales"), ("ServingEndpoint", "stage/churn")]);
    for (policies, want) in cases {
        let want = want.map(str::to_owned);
        let text: String = policies.iter().map(|(id, ordered, condition)| permit(id, ordered, condition)).collect();
        let authorizer = load(&text);
        for time in ["first", "remembered"] {
            assert_eq!(said_of(&authorizer, &alice(), &both, &facts()), want, "{time}: {text}");
        }
    }
}

/// A decision outlives a reload only where the permits say the same of the credential.
#[test]
fn a_reload_that_changes_the_annotation_alone_is_decided_anew() {
    let query = intent("serving_endpoints.query", &[("ServingEndpoint", "stage/sales")]);
    let mut authorizer = load(&permit("a", "", "resource)"));
    for ordered in ["", "strip", "passthrough", "strip", ""] {
        let text = permit("a", ordered, "resource)");
        authorizer = Authorizer::load(&vocabulary(), &source(&text), 1 << 20, Some(&authorizer)).unwrap_or_else(|faults| panic!("{}", said(&faults)));
        assert_eq!(said_of(&authorizer, &alice(), &query, &facts()), Ok(ordered.to_owned()));
    }
}

/// What a role says holds for everyone who has it, for good or for a time.
#[test]
fn a_role_says_it_for_everyone_who_has_it() {
    let role = format!(
        "@id(\"runner\") @credentials(\"{ROBOT}\") permit (principal in ?principal, action == Action::\"jobs.run_now\", resource in ?resource);"
    );
    let line = "role: runner, to: { User: corp/alice }, on: { Job: stage/1 }";
    let today = format!("- {{ {line}, from: 2026-01-01T00:00:00Z, until: 2026-01-01T08:00:00Z, why: incident 4711, approved_by: corp/bob }}");
    let run = intent("jobs.run_now", &[("Job", "stage/1")]);
    for (folder, text) in [("access", format!("- {{ {line} }}")), ("grants", today)] {
        let file = vec![(format!("{folder}/team.yaml").into(), text)];
        let source = Source { longest_grant: Duration::from_hours(24), ..source(&role) };
        let source = if folder == "access" { Source { access: file, ..source } } else { Source { grants: file, ..source } };
        let authorizer = Authorizer::load(&vocabulary(), &source, 1 << 20, None).unwrap_or_else(|faults| panic!("{}", said(&faults)));
        let facts = RequestFacts { time_ms: NOW_MS, ..facts() };
        assert_eq!(said_of(&authorizer, &alice(), &run, &facts), Ok(ROBOT.to_owned()), "{folder}");
    }
}
