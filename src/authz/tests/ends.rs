//! How long what is permitted lasts, by what policies say of the time.

use std::time::Duration;

use super::world::{NOW_MS, alice, facts, intent, load, said, source, vocabulary};
use crate::{
    authz::{Authorizer, Source},
    model::{Caller, RequestFacts},
};

const HOUR: i64 = 3_600_000;

/// So many hours after the first second of 2026.
fn at(hours: i64) -> RequestFacts<'static> {
    RequestFacts { time_ms: NOW_MS + hours * HOUR, ..facts() }
}

/// Hours after the first second of 2026 at which the permit could end.
fn until(authorizer: &Authorizer, caller: &Caller, hours: i64) -> Result<Option<i64>, &'static str> {
    let run = intent("jobs.run_now", &[("Job", "stage/1"), ("Job", "stage/2")]);
    let permit = authorizer.authorize(caller, &run, &at(hours)).map_err(|refusal| refusal.reason.code())?;
    Ok(permit.until_ms().map(|until| (until - NOW_MS) / HOUR))
}

fn before(hour: &str) -> String {
    format!("when {{ context.request.time < datetime(\"2026-01-01T{hour}:00:00Z\") }}")
}

#[test]
fn a_permit_lasts_as_long_as_the_time_alone_does_not_end_it() {
    let (any, one, two) = ("resource", "resource == Job::\"stage/1\"", "resource == Job::\"stage/2\"");
    let permit = |number: usize, on: &str, when: &str| format!("@id(\"p{number}\") permit (principal, action, {on}) {when};\n");
    let forbid = |when: &str| format!("@id(\"f\") @reason(\"no\") forbid (principal, action, resource) {when};\n");
    let (six, eight) = (before("06"), before("08"));
    let by_day = "when { context.request.time.toTime() < duration(\"18h\") }";
    for (text, hours, expected) in [
        (permit(1, any, ""), 1, Ok(None)),
        (permit(1, any, &six), 1, Ok(Some(6))),
        (permit(1, any, &six), 6, Err("POLICY_NO_PERMIT")),
        (permit(1, any, by_day), 25, Ok(Some(42))),
        // One that lasts is enough, whoever else permits it,
        (permit(1, any, &six) + &permit(2, any, ""), 1, Ok(None)),
        (permit(1, any, &six) + &permit(2, any, &eight), 1, Ok(Some(8))),
        // but of each resource.
        (permit(1, one, &six) + &permit(2, two, &eight), 1, Ok(Some(6))),
        (permit(1, one, &six) + &permit(2, two, ""), 1, Ok(Some(6))),
        // One that does not hold gives nothing, and one that is about something else neither.
        (permit(1, any, &six) + &permit(2, any, "when { context.request.method == \"PUT\" }"), 1, Ok(Some(6))),
        // A forbid that is yet to come ends every permit.
        (permit(1, any, "") + &forbid("when { context.request.time >= datetime(\"2026-01-01T06:00:00Z\") }"), 1, Ok(Some(6))),
        (permit(1, any, "") + &forbid("when { context.request.method == \"PUT\" }"), 1, Ok(None)),
        // The end of the caller's token is known without policies.
        (permit(1, any, "when { context has token && context.request.time < context.token.expires }"), 0, Ok(None)),
    ] {
        let authorizer = load(&text);
        for way in ["first", "remembered"] {
            assert_eq!(until(&authorizer, &alice(), hours), expected, "{way}, at hour {hours}: {text}");
        }
    }
}

#[test]
fn what_a_grant_permits_ends_with_the_grant_and_is_remembered_so_over_a_reload() {
    let grant = |until: &str| {
        format!(
            "- {{ role: runner, to: {{ User: corp/alice }}, on: {{ Workspace: stage }}, from: 2026-01-01T00:00:00Z, until: 2026-01-01T{until}:00:00Z, why: incident, approved_by: corp/bob }}"
        )
    };
    let role = "@id(\"runner\") permit (principal in ?principal, action == Action::\"jobs.run_now\", resource in ?resource);";
    let loaded = |until: &str, previous: Option<&Authorizer>| {
        let grants = vec![("grants/today.yaml".into(), grant(until))];
        let source = Source { grants, longest_grant: Duration::from_hours(24), ..source(role) };
        Authorizer::load(&vocabulary(), &source, 1 << 20, previous).unwrap_or_else(|faults| panic!("{}", said(&faults)))
    };
    let mut authorizer = loaded("08", None);
    for (ends, hour) in [("08", 8), ("08", 8), ("05", 5), ("09", 9)] {
        authorizer = loaded(ends, Some(&authorizer));
        for now in [1, 4, 1] {
            assert_eq!(until(&authorizer, &alice(), now), Ok(Some(hour)), "until {ends}, at hour {now}");
        }
        assert_eq!(until(&authorizer, &alice(), hour), Err("POLICY_NO_PERMIT"));
    }
}
