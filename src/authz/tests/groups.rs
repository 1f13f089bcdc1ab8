//! Who is in which group, by token and by file.

use super::world::{alice, caller, facts, intent, said, seal, source, summary, token, vocabulary};
use crate::{
    authz::{Authorizer, Source},
    model::{PrincipalKind, Token},
};

fn with(groups: &str, policy: &str) -> Source {
    Source { groups: vec![("groups/team.yaml".into(), groups.to_owned())], ..source(policy) }
}

fn faults(groups: &str) -> String {
    let source = with(groups, r#"@id("p") permit (principal, action, resource);"#);
    Authorizer::load(&vocabulary(), &source, 1 << 20, None).map_or_else(|faults| said(&faults), |_| "none".to_owned())
}

#[test]
fn tokens_and_files_say_who_is_in_a_group_unless_the_file_alone_does() {
    let both = "- { group: corp/team, members: { User: [corp/bob], Group: corp/interns } }";
    let file = "- { group: corp/team, source: file, members: { User: corp/bob, Group: corp/interns } }\n- { group: corp/interns, source: file, members: { User: corp/dan } }";
    let (nested, narrowed) =
        ("- { group: corp/all, members: { Group: corp/team } }", "- { group: corp/all, source: file, members: { Group: corp/team } }");
    let who = |name: &str, groups: &[&str]| caller(Some(token(name, groups)), None);
    let cases = [
        (both.to_owned(), "corp/team", who("bob", &[]), true),
        (both.to_owned(), "corp/team", who("eve", &["team"]), true),
        (both.to_owned(), "corp/team", who("eve", &["interns"]), true),
        (both.to_owned(), "corp/team", who("eve", &[]), false),
        (file.to_owned(), "corp/team", who("bob", &[]), true),
        (file.to_owned(), "corp/team", who("bob", &["team"]), true),
        (file.to_owned(), "corp/team", who("eve", &["team"]), false),
        (file.to_owned(), "corp/team", who("eve", &["interns"]), false),
        (file.to_owned(), "corp/team", who("dan", &[]), true),
        (format!("{both}\n{nested}"), "corp/all", who("bob", &[]), true),
        (format!("{both}\n{nested}"), "corp/all", who("eve", &["team"]), true),
        (format!("{both}\n{nested}"), "corp/all", who("eve", &["all"]), true),
        (format!("{file}\n{narrowed}"), "corp/all", who("eve", &["all", "team"]), false),
        (format!("{file}\n{narrowed}"), "corp/all", who("bob", &[]), true),
        (format!("{file}\n{nested}"), "corp/all", who("eve", &["team"]), false),
    ];
    for (groups, group, caller, want) in cases {
        let source = with(&groups, &format!("@id(\"p\") permit (principal in Group::\"{group}\", action, resource);"));
        let authorizer = Authorizer::load(&vocabulary(), &source, 1 << 20, None).unwrap_or_else(|faults| panic!("{}", said(&faults)));
        for _ in 0..2 {
            let got = authorizer.authorize(&caller, &intent("jobs.get", &[("Job", "stage/1")]), &facts()).is_ok();
            assert_eq!(got, want, "{groups} {:?}", caller.token);
        }
    }
}

/// Whoever has more groups than a token holds is never taken for one in none: a `forbid` on a group would be passed.
#[test]
fn groups_that_a_token_leaves_out_are_those_of_files() {
    let file = "- { group: corp/team, members: { User: corp/bob } }\n- { group: corp/kept-out, members: { User: corp/dan } }";
    let policies =
        "@id(\"all\") permit (principal, action, resource);\n@id(\"out\") forbid (principal in Group::\"corp/kept-out\", action, resource);";
    // Who is listed for a tag is listed for nothing else.
    let inventory = r#"[{ "type": "User", "id": "corp/eve", "tags": { "team": "a" } }, { "type": "User", "id": "corp/fay", "parents": [] },
        { "type": "User", "id": "corp/dan", "tags": { "team": "a" } }]"#;
    let source = Source { inventory: Some(("entities.json".into(), inventory.to_owned())), ..with(file, policies) };
    let authorizer = Authorizer::load(&vocabulary(), &source, 1 << 20, None).unwrap_or_else(|faults| panic!("{}", said(&faults)));
    let elsewhere = |name: &str, kind: PrincipalKind| {
        let mut token = Token { groups_elsewhere: true, kind, ..token(name, &[]) };
        seal(&mut token);
        caller(Some(token), None)
    };
    let cases = [
        (elsewhere("bob", PrincipalKind::User), Ok(vec!["all".to_owned()])),
        (elsewhere("dan", PrincipalKind::User), Err(("POLICY_FORBIDS", vec!["out".to_owned()]))),
        (elsewhere("eve", PrincipalKind::User), Err(("GROUPS_UNKNOWN", Vec::new()))),
        (elsewhere("fay", PrincipalKind::User), Ok(vec!["all".to_owned()])),
        (elsewhere("gus", PrincipalKind::User), Err(("GROUPS_UNKNOWN", Vec::new()))),
        (elsewhere("bob", PrincipalKind::ServicePrincipal), Err(("GROUPS_UNKNOWN", Vec::new()))),
        (caller(Some(token("eve", &[])), None), Ok(vec!["all".to_owned()])),
    ];
    for (caller, want) in cases {
        let intent = intent("jobs.get", &[("Job", "stage/1")]);
        for _ in 0..2 {
            assert_eq!(summary(authorizer.authorize(&caller, &intent, &facts())), want, "{:?}", caller.token);
        }
        assert_eq!(authorizer.explain(&caller, &intent, &facts()).reason, want.as_ref().err().map(|(code, _)| *code), "{:?}", caller.token);
    }
}

#[test]
fn every_bad_group_is_placed_and_mended() {
    let cases: [(&str, &[&str]); 17] = [
        (
            "- { group: corp/a, source: file, members: { Group: corp/b } }\n- { group: corp/b, members: { User: corp/u } }",
            &[
                "team.yaml:1:52: `Group::\"corp/a\"` is filled by its file alone, and tokens may name `Group::\"corp/b\"`",
                "write `source: file` there too",
            ],
        ),
        ("", &["groups/team.yaml: the file holds no group", "delete the file"]),
        ("[]", &["the file holds no group"]),
        ("group: corp/a", &["team.yaml:1:1: the file is a mapping, not a list of groups"]),
        ("- corp/a", &["team.yaml:1:3: an entry is a mapping"]),
        ("- { members: { User: corp/a } }", &["the entry lacks `group`", "group: corp/ml-engineers"]),
        ("- { group: corp/a }", &["the entry lacks `members`"]),
        ("- { gruop: corp/a, members: { User: corp/a } }", &["team.yaml:1:5: unknown key `gruop`", "did you mean `group`?"]),
        ("- { group: a, members: { User: corp/a } }", &["`Group::\"a\"` can name nothing", "<issuer>/<name>"]),
        ("- { group: corp/a, members: { User: a } }", &["team.yaml:1:37: `User::\"a\"` can name nothing"]),
        ("- { group: corp/a, members: { User: 7 } }", &["an id is a text, not a number"]),
        ("- { group: corp/a, members: { Usr: corp/a } }", &["`Usr` cannot be in a group", "did you mean `User`?"]),
        ("- { group: corp/a, members: { Workload: 'spiffe://a/b' } }", &["`Workload` cannot be in a group", "User, ServicePrincipal, Group"]),
        ("- { group: corp/a, members: { User: [corp/a, corp/a] } }", &["team.yaml:1:46: `User::\"corp/a\"` is listed twice"]),
        (
            "- { group: corp/a, members: { User: corp/a } }\n- { group: corp/a, members: { User: corp/b } }",
            &["team.yaml:2:12: `Group::\"corp/a\"` is listed twice"],
        ),
        ("- { group: corp/a, source: token, members: { User: corp/a } }", &["`source` is neither `both` nor `file`"]),
        ("- { group: corp/a, members: { Group: corp/a } }", &["team.yaml:1:38: `Group::\"corp/a\"` is in itself, by way of its parents"]),
    ];
    for (groups, want) in cases {
        let got = faults(groups);
        assert!(want.iter().all(|part| got.contains(part)) && got.lines().count() == 1, "{groups}\n-> {got}\nlacks some of {want:?}");
    }
    let circle = "- { group: corp/a, members: { Group: corp/b } }\n- { group: corp/b, members: { Group: corp/a } }";
    assert_eq!(faults(circle).matches("is in itself").count(), 2, "{}", faults(circle));
}

/// The inventory and the files together.
#[test]
fn a_circle_through_both_and_a_dangling_collection_are_faults() {
    let inventory = |text: &str| Source {
        inventory: Some(("entities.json".into(), text.to_owned())),
        ..with("- { group: corp/a, members: { Group: corp/b } }", r#"@id("p") permit (principal, action, resource);"#)
    };
    let faults = |source: &Source| Authorizer::load(&vocabulary(), source, 1 << 20, None).map_or_else(|faults| said(&faults), |_| "none".to_owned());
    let circle = inventory(r#"[{ "type": "Group", "id": "corp/a", "parents": [{ "type": "Group", "id": "corp/b" }] }]"#);
    assert!(faults(&circle).contains("entities.json:1:2: `Group::\"corp/a\"` is in itself"), "{}", faults(&circle));
    let job = r#"{ "type": "Job", "id": "stage/1", "parents": [{ "type": "Collection", "id": "payrol" }] }"#;
    let slip = inventory(&format!(r#"[{job}, {{ "type": "Collection", "id": "payroll" }}]"#));
    assert_eq!(faults(&slip), "entities.json:1:2: `Collection::\"payrol\"` is not listed; did you mean `payroll`?\n");
    assert!(faults(&inventory(&format!("[{job}]"))).contains("list it too"));
    let entered = Source {
        groups: vec![("g.yaml".into(), "- { group: corp/b, source: file, members: { User: corp/u } }".to_owned())],
        ..inventory(r#"[{ "type": "User", "id": "corp/eve", "parents": [{ "type": "Group", "id": "corp/b" }] }]"#)
    };
    assert!(
        faults(&entered).contains("entities.json:1:2: `Group::\"corp/b\"` is filled by its file alone; list its members there"),
        "{}",
        faults(&entered)
    );
    // A policy on such a collection is told of.
    let source = Source {
        files: vec![("base.cedar".into(), r#"@id("p") permit (principal, action, resource in Collection::"payroll");"#.to_owned())],
        ..Source::default()
    };
    let authorizer = Authorizer::load(&vocabulary(), &source, 1 << 20, None).unwrap_or_else(|faults| panic!("{}", said(&faults)));
    assert!(said(&authorizer.unknown_names(&crate::authz::Scope::default())).contains("there is no collection `payroll`"));
    assert!(authorizer.authorize(&alice(), &intent("jobs.get", &[("Job", "stage/1")]), &facts()).is_err());
}

#[test]
fn names_that_look_like_others_are_told_once() {
    let groups = "- { group: corp/a, members: { User: [corp/te\u{430}m, corp/bob] } }\n- { group: corp/b, members: { User: [corp/te\u{430}m] } }";
    let source = with(groups, r#"@id("p") permit (principal, action, resource);"#);
    let authorizer = Authorizer::load(&vocabulary(), &source, 1 << 20, None).unwrap_or_else(|faults| panic!("{}", said(&faults)));
    let told = said(authorizer.warnings());
    assert!(told.starts_with("groups/team.yaml:1:38: `User::\"corp/te\u{430}m\"` mixes letters of several scripts"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}
