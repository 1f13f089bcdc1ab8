//! Roles, who has them, and for how long.

use std::{sync::Arc, time::Duration};

use proptest::{collection::vec, prelude::*, sample::select};

use super::world::{NOW_MS, alice, caller, facts, intent, load, said, source, summary, token, vocabulary};
use crate::{
    authz::{Authorizer, Source},
    model::{Caller, RequestFacts},
};

const RUNNER: &str = r#"@id("runner") @reason("may run jobs") @owner("ml-platform")
permit (principal in ?principal, action == Action::"jobs.run_now", resource in ?resource);
"#;

const READER: &str = r#"@id("reader") permit (principal in ?principal, action in Action::"read", resource in Environment::"staging");
"#;

/// The second of 2026-01-01T00:00:00Z is `NOW_MS`.
const TODAY: &str = "{ role: runner, to: { User: corp/alice }, on: { Job: stage/1 }, from: 2026-01-01T00:00:00Z, until: 2026-01-01T08:00:00Z, why: incident 4711, approved_by: corp/bob }";

fn with(access: &str, grants: &str) -> Source {
    let file = |name: &str, text: &str| if text.is_empty() { vec![] } else { vec![(name.into(), text.to_owned())] };
    let access = file("access/team.yaml", access);
    let grants = file("grants/today.yaml", grants);
    Source { access, grants, longest_grant: Duration::from_hours(24), ..source(&format!("{RUNNER}{READER}")) }
}

fn loaded(source: &Source, previous: Option<&Authorizer>) -> Authorizer {
    Authorizer::load(&vocabulary(), source, 1 << 20, previous).unwrap_or_else(|faults| panic!("{}", said(&faults)))
}

fn faults(source: &Source) -> String {
    Authorizer::load(&vocabulary(), source, 1 << 20, None).map_or_else(|faults| said(&faults), |_| "none".to_owned())
}

fn at(time_ms: i64) -> RequestFacts<'static> {
    RequestFacts { time_ms, ..facts() }
}

fn bob() -> Caller {
    caller(Some(token("bob", &["ml-engineers"])), None)
}

#[test]
fn a_line_of_access_is_the_role_for_whom_it_names() {
    let run = |id| intent("jobs.run_now", &[("Job", id)]);
    let pipeline = || caller(None, Some("ml-staging/trainer"));
    let cases = [
        ("- { role: runner, to: { Group: corp/ml-engineers }, on: { Environment: staging } }", alice(), run("stage/1"), true),
        ("- { role: runner, to: { Group: corp/ml-engineers }, on: { Workspace: stage } }", alice(), run("stage/1"), true),
        ("- { role: runner, to: { Group: corp/ml-engineers }, on: { Job: stage/1 } }", alice(), run("stage/1"), true),
        ("- { role: runner, to: { Group: corp/ml-engineers }, on: { Job: stage/1 } }", alice(), run("stage/2"), false),
        ("- { role: runner, to: { Group: corp/ml-engineers }, on: { Job: [stage/1, stage/2] } }", alice(), run("stage/2"), true),
        ("- { role: runner, to: { Group: corp/ml-engineers }, on: { Environment: prod } }", alice(), run("stage/1"), false),
        ("- { role: runner, to: { Group: corp/others }, on: { Environment: staging } }", alice(), run("stage/1"), false),
        ("- { role: runner, to: { User: corp/alice, Group: corp/others }, on: { Environment: staging } }", alice(), run("stage/1"), true),
        ("- { role: runner, to: [{ Group: corp/others }, { User: corp/alice }], on: { Environment: staging } }", alice(), run("stage/1"), true),
        (
            "- { role: runner, to: { Workload: spiffe://cluster.local/ns/ml-staging/sa/trainer }, on: { Environment: staging } }",
            pipeline(),
            run("stage/1"),
            true,
        ),
        ("- { role: runner, to: { Namespace: cluster.local/ml-staging }, on: { Environment: staging } }", pipeline(), run("stage/1"), true),
        ("- { role: reader, to: { Issuer: corp } }", alice(), intent("jobs.get", &[("Job", "stage/1")]), true),
        ("- { role: reader, to: { Issuer: corp } }", alice(), run("stage/1"), false),
    ];
    for (access, caller, intent, want) in cases {
        let authorizer = loaded(&with(access, ""), None);
        assert_eq!(authorizer.authorize(&caller, &intent, &facts()).is_ok(), want, "{access} {:?}", intent.resources);
    }
}

#[test]
fn a_role_that_nobody_has_permits_nothing() {
    let authorizer = load(RUNNER);
    assert_eq!(authorizer.policy_count(), 0);
    assert!(authorizer.authorize(&alice(), &intent("jobs.run_now", &[("Job", "stage/1")]), &facts()).is_err());
}

#[test]
fn the_permit_names_the_line_that_gave_it() {
    let access = "- { id: trainers, role: runner, to: { Group: corp/ml-engineers }, on: { Job: stage/1 }, owner: ml-team, why: trains }";
    let run = intent("jobs.run_now", &[("Job", "stage/1")]);
    let authorizer = loaded(&with(access, ""), None);
    assert_eq!(summary(authorizer.authorize(&alice(), &run, &facts())), Ok(vec!["trainers".to_owned()]));
    let note = &authorizer.explain(&alice(), &run, &facts()).policies[0];
    assert_eq!((note.file.to_str(), note.line, note.owner.as_deref()), (Some("access/team.yaml"), 1, Some("ml-team")));
    // Without an id it is called after its role, the same wherever it stands.
    let unnamed = |lines: &str| summary(loaded(&with(lines, ""), None).authorize(&alice(), &run, &facts())).unwrap();
    let line = "- { role: runner, to: { Group: corp/ml-engineers }, on: { Job: stage/1 } }";
    let other = "- { role: runner, to: { Group: corp/ml-engineers }, on: { Job: stage/2 } }";
    let id = unnamed(line);
    assert!(id[0].starts_with("runner."), "{id:?}");
    assert_eq!(unnamed(&format!("{other}\n{line}")), id);
}

#[test]
fn a_grant_holds_from_its_first_to_its_last_millisecond_cached_or_not() {
    let authorizer = loaded(&with("", &format!("- {TODAY}")), None);
    let run = intent("jobs.run_now", &[("Job", "stage/1")]);
    let hours = |count: i64| NOW_MS + count * 3_600_000;
    let cases = [(NOW_MS - 1, false), (NOW_MS, true), (hours(4), true), (hours(8) - 1, true), (hours(8), false), (hours(24), false)];
    for (time, want) in cases.iter().chain(cases.iter().rev()).chain(&cases) {
        assert_eq!(authorizer.authorize(&alice(), &run, &at(*time)).is_ok(), *want, "{}", time - NOW_MS);
    }
    let cached = authorizer.metrics.cached.get();
    assert!(authorizer.authorize(&alice(), &run, &at(hours(7))).is_ok());
    assert!(authorizer.authorize(&alice(), &run, &at(hours(7) + 1)).is_ok());
    assert!(authorizer.metrics.cached.get() > cached, "what a grant gives is cached until it ends");
    assert!(authorizer.authorize(&alice(), &intent("jobs.run_now", &[("Job", "stage/2")]), &at(hours(1))).is_err());
    let grant = &authorizer.grants()[0];
    assert_eq!((grant.from_ms, grant.until_ms, grant.why.as_str(), grant.line), (NOW_MS, hours(8), "incident 4711", 1));
}

#[test]
fn grants_are_listed_by_where_they_are_in_their_time() {
    use crate::authz::GrantState::{Active, Ended, Pending};
    let later = TODAY.replace("T00:00:00Z, until: 2026-01-01T08:00:00Z", "T06:00:00Z, until: 2026-01-01T10:00:00Z");
    let named = |id: &str, grant: &str| format!("- {}\n", grant.replacen('{', &format!("{{ id: {id},"), 1));
    let authorizer = loaded(&with("- { role: reader, to: { Issuer: corp } }", &(named("one", TODAY) + &named("two", &later))), None);
    let listed = |hour: i64, ended| {
        let notes = authorizer.granted(NOW_MS + hour * 3_600_000, ended).into_iter();
        notes.map(|note| (note.id, note.state)).collect::<Vec<_>>()
    };
    let both = |one, two| vec![("one".to_owned(), one), ("two".to_owned(), two)];
    assert_eq!(listed(-1, false), both(Pending, Pending));
    assert_eq!(listed(0, false), both(Active, Pending));
    assert_eq!(listed(7, false), both(Active, Active));
    assert_eq!(listed(8, true), [("two".to_owned(), Active), ("one".to_owned(), Ended)]);
    assert_eq!((listed(8, false).len(), listed(10, false).len(), listed(10, true)), (1, 0, both(Ended, Ended)));
    let note = authorizer.granted(NOW_MS, true).remove(0);
    assert_eq!((note.until.as_str(), note.to.as_str(), note.gives), ("2026-01-01T08:00:00Z", "User::\"corp/alice\"", vec!["runner".to_owned()]));
}

#[test]
fn who_approves_of_a_grant_does_not_have_it() {
    let group = TODAY.replace("User: corp/alice", "Group: corp/ml-engineers");
    let authorizer = loaded(&with("", &format!("- {group}")), None);
    let run = intent("jobs.run_now", &[("Job", "stage/1")]);
    assert!(authorizer.authorize(&alice(), &run, &facts()).is_ok());
    assert!(authorizer.authorize(&bob(), &run, &facts()).is_err(), "the approver is in the group too");
}

/// Neither as one's service principal nor by an agent that acts for somebody else.
#[test]
fn an_approver_has_no_grant_in_another_guise() {
    let group = TODAY.replace("User: corp/alice", "Group: corp/ml-engineers");
    let authorizer = loaded(&with("", &format!("- {group}")), None);
    let run = intent("jobs.run_now", &[("Job", "stage/1")]);
    let mut service = token("bob", &["ml-engineers"]);
    service.kind = crate::model::PrincipalKind::ServicePrincipal;
    let mut acting = token("alice", &["ml-engineers"]);
    acting.actors = vec!["bob".to_owned()];
    let mut other = token("alice", &["ml-engineers"]);
    other.actors = vec!["carol".to_owned()];
    for (mut token, want) in [(service, false), (acting, false), (other, true)] {
        super::world::seal(&mut token);
        let caller = caller(Some(token), None);
        assert_eq!(authorizer.authorize(&caller, &run, &facts()).is_ok(), want, "{caller:?}");
    }
}

/// The time is looked at first: a role that would fail denies nothing once the grant is over.
#[test]
fn a_grant_that_has_ended_fails_nothing() {
    let failing = r#"@id("failing") permit (principal in ?principal, action, resource in ?resource) when { context.request.path == "" || 9223372036854775807 + 1 == 0 };"#;
    let plain = r#"@id("plain") permit (principal, action, resource);"#;
    let grant = TODAY.replace("role: runner", "role: failing");
    let source = Source { files: vec![("f.cedar".into(), format!("{failing}\n{plain}"))], ..with("", &format!("- {grant}")) };
    let authorizer = loaded(&source, None);
    let run = intent("jobs.run_now", &[("Job", "stage/1")]);
    assert_eq!(authorizer.authorize(&alice(), &run, &facts()).unwrap_err().reason.code(), "POLICY_ERROR");
    assert!(authorizer.authorize(&alice(), &run, &at(NOW_MS + 8 * 3_600_000)).is_ok());
}

#[test]
fn grants_that_differ_in_time_or_actions_alone_stand_beside_each_other() {
    let later = TODAY.replace("T00:00:00Z, until: 2026-01-01T08:00:00Z", "T08:00:00Z, until: 2026-01-01T10:00:00Z");
    let actions = ["jobs.get", "jobs.run_now"].map(|action| TODAY.replace("role: runner", &format!("action: {action}")));
    let text: Vec<String> = [TODAY.to_owned(), later].iter().chain(&actions).map(|grant| format!("- {grant}")).collect();
    let access = "- { role: runner, to: { User: corp/alice }, on: { Job: stage/1 } }";
    assert_eq!(loaded(&with(access, &text.join("\n")), None).policy_count(), 5);
    // A pair that shares the first 32 bits of a digest.
    let pair = [("team-151", "endpoint-6"), ("team-272", "endpoint-43")];
    let lines =
        pair.map(|(team, endpoint)| format!("- {{ role: user, to: {{ Group: corp/{team} }}, on: {{ ServingEndpoint: stage/{endpoint} }} }}\n"));
    let role = r#"@id("user") permit (principal in ?principal, action, resource in ?resource);"#;
    let source = Source { files: vec![("r.cedar".into(), role.to_owned())], ..with(&lines.concat(), "") };
    assert_eq!(loaded(&source, None).policy_count(), 2);
}

/// Links of all of them stand in one set, where no two templates may have one name.
#[test]
fn grants_of_other_actions_for_the_same_time_are_decided_together() {
    let actions = ["jobs.get", "[jobs.get, jobs.run_now]"];
    let text = actions.map(|actions| format!("- {}\n", TODAY.replace("role: runner", &format!("action: {actions}"))));
    let authorizer = loaded(&with("", &text.concat()), None);
    for (action, want) in [("jobs.get", 2), ("jobs.run_now", 1)] {
        let permitted = summary(authorizer.authorize(&alice(), &intent(action, &[("Job", "stage/1")]), &facts()));
        assert_eq!(permitted.map(|policies| policies.len()), Ok(want), "{action}");
    }
    // That the types of one fit says nothing of the other.
    let other = TODAY.replace("role: runner", "action: serving_endpoints.query");
    assert!(faults(&with("", &format!("{}- {other}", text.concat()))).contains("can never apply to"), "{other}");
}

#[test]
fn what_is_likely_not_meant_of_an_entry_is_told() {
    let warned = |access: &str, grants: &str| said(loaded(&with(access, grants), None).warnings());
    let line = |to: &str, on: &str| format!("- {{ role: runner, to: {{ Group: {to} }}, on: {{ {on} }} }}\n");
    // Cyrillic `а` among Latin letters; a name that is Cyrillic as a whole; accents.
    let (mixed, whole, accents) = ("corp/te\u{430}m", "corp/\u{43a}\u{43e}\u{43c}\u{430}\u{43d}\u{434}\u{430}", "corp/\u{e9}quipe");
    let twice = line(mixed, "Job: stage/1") + &line(mixed, "Job: stage/2");
    let told = warned(&twice, "");
    assert!(
        told.starts_with("access/team.yaml:1:3: `Group::\"corp/te\u{430}m\"` mixes letters of several scripts") && told.lines().count() == 1,
        "{told}"
    );
    assert_eq!(warned(&(line(whole, "Job: stage/1") + &line(accents, "Job: stage/1")), ""), "");
    let grant = |actions: &str, on: &str| format!("- {}", TODAY.replace("role: runner", &format!("action: {actions}")).replace("Job: stage/1", on));
    assert_eq!(warned("", &grant("[jobs.get, jobs.start, jobs]", "Job: stage/1")), "");
    assert_eq!(warned("", &grant("[jobs.get, serving_endpoints.query]", "Job: stage/1, ServingEndpoint: stage/x")), "");
    let told = warned("", &grant("[jobs.get, tables.get, read, account.get]", "Job: stage/1"));
    for action in ["tables.get", "account.get"] {
        assert!(told.contains(&format!("grants/today.yaml:1:3: `{action}` can never apply here: it is about other types")), "{told}");
    }
    assert_eq!(told.lines().count(), 2, "{told}");
}

/// What a name of an action stands for is a rule that policies were checked by.
#[test]
fn a_name_that_stands_for_another_action_now_is_looked_up_anew() {
    let source = source(r#"@id("a") permit (principal, action == Action::"jobs.start", resource);"#);
    let first = loaded(&source, None);
    let mut moved = vocabulary();
    moved.aliases = [("jobs.start".into(), "jobs.get".into())].into();
    let second = Authorizer::load(&moved, &source, 1 << 20, Some(&first)).unwrap_or_else(|faults| panic!("{}", said(&faults)));
    let allowed = |authorizer: &Authorizer, action| authorizer.authorize(&alice(), &intent(action, &[("Job", "stage/1")]), &facts()).is_ok();
    assert_eq!((allowed(&first, "jobs.run_now"), allowed(&first, "jobs.get")), (true, false));
    assert_eq!((allowed(&second, "jobs.run_now"), allowed(&second, "jobs.get")), (false, true));
    assert!(Authorizer::load(&crate::model::Vocabulary { aliases: [].into(), ..vocabulary() }, &source, 1 << 20, Some(&first)).is_err());
}

#[test]
fn what_hides_from_a_reader_is_refused() {
    let hidden = "# the team tries its models\r- { role: reader, to: { Issuer: corp } }\n- { role: reader, to: { Group: corp/a } }";
    assert!(
        faults(&with(hidden, "")).contains("team.yaml:1:28: a carriage return that ends no line hides what is written"),
        "{}",
        faults(&with(hidden, ""))
    );
    let turned = "- { role: reader, to: { Group: \"corp/a\u{202e}b\" } }";
    assert!(faults(&with(turned, "")).contains("turns the direction of writing"), "{}", faults(&with(turned, "")));
    let windows = "# fine\r\n- { role: reader, to: { Issuer: corp } }\r\n";
    assert_eq!(loaded(&with(windows, ""), None).policy_count(), 1);
    let policy = "// nobody may\r@id(\"a\") permit (principal, action, resource);";
    assert!(faults(&source(policy)).contains("base.cedar:1:14: a carriage return"), "{}", faults(&source(policy)));
}

#[test]
fn one_line_is_no_more_policies_than_its_reader_sees() {
    let many = |count: usize| (0..count).map(|number| format!("corp/u{number}")).collect::<Vec<_>>().join(", ");
    let line = |users: usize| format!("- {{ role: runner, to: {{ User: [{}] }}, on: {{ Job: [stage/1, stage/2] }} }}", many(users));
    assert_eq!(loaded(&with(&line(500), ""), None).policy_count(), 1000);
    assert!(faults(&with(&line(501), "")).contains("the entry would be 1002 policies"));
}

#[test]
fn a_grant_may_give_actions_without_a_role() {
    let grant = TODAY.replace("role: runner", "action: [jobs.get, jobs.start]");
    let authorizer = loaded(&with("", &format!("- {grant}")), None);
    for (action, want) in [("jobs.get", true), ("jobs.run_now", true), ("jobs.cancel_run", false)] {
        let resource = if action == "jobs.cancel_run" { ("JobRun", "stage/1") } else { ("Job", "stage/1") };
        assert_eq!(authorizer.authorize(&alice(), &intent(action, &[resource]), &facts()).is_ok(), want, "{action}");
    }
}

#[test]
fn grants_of_one_role_stand_beside_each_other_and_beside_the_role() {
    let later = TODAY.replace("T00:00:00Z, until: 2026-01-01T08:00:00Z", "T06:00:00Z, until: 2026-01-01T10:00:00Z");
    let access = "- { role: runner, to: { User: corp/carol }, on: { Job: stage/1 } }";
    let everybody = access.replace("User: corp/carol", "Issuer: corp");
    let run = intent("jobs.run_now", &[("Job", "stage/1")]);
    let hour = |count: i64| at(NOW_MS + count * 3_600_000);
    let named = |id: &str, grant: &str| format!("- {}\n", grant.replacen('{', &format!("{{ id: {id},"), 1));
    let authorizer = loaded(&with(access, &(named("one", TODAY) + &named("two", &later))), None);
    for (facts, want) in [(hour(1), vec!["one"]), (hour(7), vec!["one", "two"]), (hour(9), vec!["two"])] {
        assert_eq!(summary(authorizer.authorize(&alice(), &run, &facts)).unwrap(), want);
    }
    let authorizer = loaded(&with(&everybody, &format!("- {TODAY}")), None);
    assert_eq!(summary(authorizer.authorize(&alice(), &run, &hour(1))).unwrap().len(), 2);
    assert_eq!(summary(authorizer.authorize(&alice(), &run, &hour(9))).unwrap().len(), 1);
}

#[test]
fn a_reload_links_anew_and_checks_only_what_changed() {
    let source = with("- { role: reader, to: { Issuer: corp } }", &format!("- {TODAY}"));
    let first = loaded(&source, None);
    let second = loaded(&source, Some(&first));
    let run = intent("jobs.run_now", &[("Job", "stage/1")]);
    assert_eq!(summary(first.authorize(&alice(), &run, &facts())), summary(second.authorize(&alice(), &run, &facts())));
    let templates = |authorizer: &Authorizer| -> Vec<_> {
        authorizer.policies.iter().map(|placed| Arc::as_ptr(placed.compiled.policy.annotations_arc())).collect()
    };
    assert_eq!(templates(&first), templates(&second), "the same trees");
    // A shorter maximum is a rule too.
    let stricter = Source { longest_grant: Duration::from_hours(1), ..source };
    assert!(Authorizer::load(&vocabulary(), &stricter, 1 << 20, Some(&second)).is_err());
}

#[test]
fn every_bad_entry_is_placed_and_mended() {
    let cases: [(&str, &[&str]); 26] = [
        ("", &["access/team.yaml: the file holds no entry", "delete the file"]),
        ("# nothing\n", &["holds no entry"]),
        ("[]", &["holds no entry"]),
        ("role: runner", &["team.yaml:1:1: the file is a mapping, not a list of entries"]),
        ("- runner", &["team.yaml:1:3: an entry is a mapping, not a text"]),
        ("- { to: { User: corp/a }, on: { Job: stage/1 } }", &["team.yaml:1:3: the entry lacks `role`", "role: endpoint-user"]),
        ("- { role: runner, on: { Job: stage/1 } }", &["the entry lacks `to`", "to: { Group: corp/ml-engineers }"]),
        ("- { role: runner, to: { User: corp/a } }", &["what the entry gives is given on something", "add `on:`"]),
        ("- { role: reader, to: { User: corp/a }, on: { Job: stage/1 } }", &["`reader` says itself on what it is", "remove `on`"]),
        ("- { role: runer, to: { User: corp/a }, on: { Job: stage/1 } }", &["there is no role `runer`", "did you mean `runner`?"]),
        ("- { role: x, to: { User: corp/a }, on: { Job: stage/1 } }", &["there is no role `x`", "principal in ?principal"]),
        ("- { roel: runner, to: { User: corp/a }, on: { Job: stage/1 } }", &["team.yaml:1:5: unknown key `roel`", "did you mean `role`?"]),
        (
            "- { role: runner, to: { User: corp/a }, on: { Job: stage/1 }, until: 2026-01-01T00:00:00Z }",
            &["unknown key `until`", "stands among the grants"],
        ),
        ("- { role: runner, to: { Usr: corp/a }, on: { Job: stage/1 } }", &["team.yaml:1:30: unknown type `Usr`", "did you mean `User`?"]),
        ("- { role: runner, to: { Job: stage/1 }, on: { Job: stage/1 } }", &["unknown type `Job`", "Group"]),
        ("- { role: runner, to: { User: corp/a }, on: { User: corp/a } }", &["unknown type `User`"]),
        ("- { role: runner, to: { User: alice }, on: { Job: stage/1 } }", &["team.yaml:1:31: `User::\"alice\"` can name nothing", "<issuer>/<name>"]),
        ("- { role: runner, to: { User: corp/a }, on: { Job: stage/01 } }", &["can name nothing", "did you mean `stage/1`?"]),
        ("- { role: runner, to: { User: corp/a }, on: { Job: 1 } }", &["`Job` holds a number, not a text"]),
        ("- { role: runner, to: { User: [] }, on: { Job: stage/1 } }", &["`User` is empty"]),
        ("- { role: runner, to: [], on: { Job: stage/1 } }", &["`to` is empty"]),
        ("- { role: runner, to: corp/a, on: { Job: stage/1 } }", &["`to` is a text, not a type with an id", "{ Group: corp/ml-engineers }"]),
        ("- { role: runner, to: { Workload: none }, on: { Job: stage/1 } }", &["whoever has no mesh identity"]),
        ("- { role: runner, to: { User: [corp/a, corp/a] }, on: { Job: stage/1 } }", &["stands twice"]),
        ("- { role: runner, to: { User: corp/a }, on: { Table: stage/a.b.c } }", &["`runner` can never apply to", "it is about other types"]),
        (
            "- { id: reader, role: runner, to: { User: corp/a }, on: { Job: stage/1 } }",
            &["the policy id `reader` is taken", "base.cedar:3 has it already"],
        ),
    ];
    let whole = |text: &str| Source { access: vec![("access/team.yaml".into(), text.to_owned())], ..with("", "") };
    for (text, want) in cases {
        let got = faults(&whole(text));
        assert!(want.iter().all(|part| got.contains(part)) && got.lines().count() == 1, "{text}\n-> {got}\nlacks some of {want:?}");
    }
    let same = "- { role: runner, to: { User: corp/a }, on: { Job: stage/1 } }\n";
    assert!(faults(&whole(&same.repeat(2))).contains("team.yaml:2:3: the policy id `runner."), "{}", faults(&whole(&same.repeat(2))));
}

#[test]
fn every_bad_grant_is_placed_and_mended() {
    let cases: [(&str, &str, &[&str]); 20] = [
        ("User: corp/alice", "ServicePrincipal: corp/bob", &["`corp/bob` would approve of an own grant"]),
        ("T08:00:00Z", "T08:00Z", &["`until` is no time of RFC 3339"]),
        ("T08:00:00Z", "T08:00:00+01", &["`until` is no time of RFC 3339"]),
        ("T08:00:00Z", "T07:59:60Z", &["`until` is no time of RFC 3339"]),
        ("2026-01-01T08:00:00Z", "20260101T080000.0000Z", &["`until` is no time of RFC 3339"]),
        ("2026-01-01T08:00:00Z", "-000001-01-01T08:00:00Z", &["`until` is no time of RFC 3339"]),
        ("role: runner, to: { User: corp/alice }, on: { Job: stage/1 }", "action: jobs.get, to: { User: corp/alice }", &["is given on something"]),
        ("from: 2026-01-01T00:00:00Z, ", "", &["today.yaml:1:3: the entry lacks `from`", "from: 2026-11-22T08:00:00Z"]),
        ("until: 2026-01-01T08:00:00Z, ", "", &["lacks `until`"]),
        (", approved_by: corp/bob", "", &["lacks `approved_by`"]),
        ("why: incident 4711, ", "", &["a grant without `why`"]),
        ("until: 2026-01-01T08:00:00Z", "until: 2026-01-02T00:00:01Z", &["the grant is longer than 1d", "policy.grants.longest"]),
        ("until: 2026-01-01T08:00:00Z", "until: 2026-01-01T00:00:00Z", &["the grant ends before it begins"]),
        ("until: 2026-01-01T08:00:00Z", "until: 2026-01-01T08:00:00", &["`until` is no time of RFC 3339", "2026-11-22T08:00:00Z"]),
        ("until: 2026-01-01T08:00:00Z", "until: 2026-01-01", &["`until` is no time of RFC 3339"]),
        ("until: 2026-01-01T08:00:00Z", "until: 1767254400", &["`until` is no time of RFC 3339"]),
        ("corp/bob", "corp/alice", &["`corp/alice` would approve of an own grant", "let somebody else approve of it"]),
        ("corp/bob", "corp/Alice", &["would approve of an own grant"]),
        ("approved_by: corp/bob", "requested_by: corp/bob, approved_by: corp/bob", &["would approve of an own grant"]),
        ("role: runner", "role: runner, action: jobs.get", &["both `role` and `action`"]),
    ];
    for (old, new, want) in cases {
        let text = format!("- {}", TODAY.replace(old, new));
        let got = faults(&with("", &text));
        assert!(want.iter().all(|part| got.contains(part)) && got.lines().count() == 1, "{text}\n-> {got}\nlacks some of {want:?}");
    }
    let unheard = format!("- {}", TODAY.replace("role: runner", "action: jobs.rnu_now"));
    assert!(
        faults(&with("", &unheard)).contains("today.yaml:1:3: ") && faults(&with("", &unheard)).contains("jobs.run_now"),
        "{}",
        faults(&with("", &unheard))
    );
}

#[test]
fn what_is_no_role_is_told() {
    for (policy, want) in [
        (r#"@id("a") forbid (principal in ?principal, action, resource);"#, "a role that forbids"),
        (r#"@id("a") permit (principal, action, resource in ?resource);"#, "a role without `?principal` would be everybody's"),
        (r#"@id("a") permit (principal in ?principal, action == Action::"jobs.gte", resource);"#, "jobs.get"),
        ("permit (principal in ?principal, action, resource);", "without `@id`"),
    ] {
        let got = faults(&source(policy));
        assert!(got.contains(want) && got.lines().count() == 1, "{policy} -> {got}");
    }
    let named = Source {
        access: vec![("a.yaml".into(), "- { role: own, to: { User: corp/a } }".to_owned())],
        ..source(r#"@id("own") permit (principal, action, resource);"#)
    };
    assert!(faults(&named).contains("`own` is a policy that says itself whom it is for"));
    let renamed = with("- { role: starter, to: { User: corp/alice } }", "");
    let aliased = Source {
        files: vec![(
            "base.cedar".into(),
            r#"@id("starter") permit (principal in ?principal, action == Action::"jobs.start", resource);"#.to_owned(),
        )],
        ..renamed
    };
    assert!(loaded(&aliased, None).authorize(&alice(), &intent("jobs.run_now", &[("Job", "stage/1")]), &facts()).is_ok());
}

/// An id may hold what Cedar escapes: it stays an id.
#[test]
fn ids_are_never_read_as_policy() {
    let hostile = r#"corp/bob\" } || true || principal == User::\"x"#;
    let text = format!("- {}", TODAY.replace("approved_by: corp/bob", &format!("approved_by: \"{hostile}\"")));
    let authorizer = loaded(&with("", &text), None);
    let run = intent("jobs.run_now", &[("Job", "stage/1")]);
    assert!(authorizer.authorize(&alice(), &run, &facts()).is_ok());
    assert!(authorizer.authorize(&alice(), &run, &at(NOW_MS - 1)).is_err());
    let access = format!(r#"- {{ role: runner, to: {{ User: "{hostile}" }}, on: {{ Job: stage/1 }} }}"#);
    assert!(loaded(&with(&access, ""), None).authorize(&bob(), &run, &facts()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A link is the policy that has the holder written in its scope, and a grant the same for its time.
    #[test]
    fn a_link_is_the_policy_written_out(
        principal in select(vec!["principal in ", "principal == ", "principal is User in "]),
        resource in select(vec!["resource in ", "resource == ", "resource is Job in "]),
        action in select(vec!["action", r#"action in Action::"use""#, r#"action == Action::"jobs.get""#]),
        condition in select(vec!["true", r#"context.peer in Namespace::"cluster.local/ml-staging""#, r#"context.request.time < datetime("2026-01-01T00:00:03Z")"#]),
        to in select(vec![("User", "corp/alice"), ("User", "corp/bob"), ("Group", "corp/ml-engineers"), ("Issuer", "corp")]),
        on in select(vec![("Job", "stage/1"), ("Job", "stage/2"), ("Workspace", "stage"), ("Environment", "staging")]),
        granted: bool,
        asked in vec((select(vec![0, 1]), select(vec!["jobs.get", "jobs.run_now"]), select(vec!["stage/1", "stage/2"]), -3000..7000_i64), 1..12),
    ) {
        let condition = format!("when {{ {condition} }}");
        let role = format!("@id(\"r\") permit ({principal}?principal, {action}, {resource}?resource) {condition};");
        let window = if granted { r#" when { context.request.time >= datetime("2026-01-01T00:00:00Z") && context.request.time < datetime("2026-01-01T00:00:05Z") } unless { principal == User::"corp/carol" }"# } else { "" };
        let written = format!("@id(\"r\") permit ({principal}{}::\"{}\", {action}, {resource}{}::\"{}\") {condition}{window};", to.0, to.1, on.0, on.1);
        let entry = format!("- {{ id: link, role: r, to: {{ {}: {} }}, on: {{ {}: {} }}", to.0, to.1, on.0, on.1);
        let grant = format!("{entry}, from: 2026-01-01T00:00:00Z, until: 2026-01-01T00:00:05Z, why: x, approved_by: corp/carol }}");
        let (access, grants) = if granted { (String::new(), grant) } else { (format!("{entry} }}"), String::new()) };
        let link = Authorizer::load(&vocabulary(), &Source { files: vec![("r.cedar".into(), role)], ..with(&access, &grants) }, 1 << 20, None);
        let policy = load(&written);
        // What can never apply is a warning of a policy and a fault of an entry.
        prop_assert_eq!(link.is_err(), !policy.warnings().is_empty(), "{} {:?}", written, link.as_ref().err());
        if let Ok(link) = link {
            for (who, action, job, later) in asked {
                let caller = [alice(), bob()][who].clone();
                let (intent, facts) = (intent(action, &[("Job", job)]), at(NOW_MS + later));
                let (got, want) = (link.authorize(&caller, &intent, &facts).is_ok(), policy.authorize(&caller, &intent, &facts).is_ok());
                prop_assert_eq!(got, want, "{} {:?} at {}", written, intent.resources, later);
            }
        }
    }
}
