mod plain;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::authz::tests::world::{load, load_with, said, target, vocabulary};

fn warned(forbid: &str, permit: &str) -> String {
    let scope = Scope { targets: vec![target()], ..Scope::default() };
    let text = format!("@id(\"closed\") forbid ({forbid});\n@id(\"open\") permit ({permit});");
    said(&load(&text).ways_around(&vocabulary(), &scope))
}

#[test]
fn ids_without_a_name_go_around_a_forbid_on_a_name() {
    let pii = r#"principal, action, resource in Schema::"stage/main.pii""#;
    for (forbid, permit, want) in [
        (pii, r#"principal, action, resource in Environment::"staging""#, "`tables.temporary` (Table)"),
        (pii, r#"principal, action == Action::"tables.temporary", resource"#, "(permitted by `open`)"),
        (pii, "principal, action, resource is Table", "`tables.temporary` (Table)"),
        (r#"principal, action, resource in Collection::"pii""#, "principal, action, resource is Table", "`tables.temporary` (Table)"),
        (r#"principal, action, resource == Job::"stage/42""#, r#"principal, action in Action::"use", resource"#, "`jobs.cancel_run` (JobRun)"),
    ] {
        let said = warned(forbid, permit);
        assert!(said.starts_with("base.cedar:1: ") && said.contains(want), "{permit}: {said}");
    }
    for (forbid, permit) in [
        (pii, r#"principal, action, resource in Environment::"prod""#),
        (pii, r#"principal, action == Action::"tables.get", resource"#),
        (pii, r#"principal, action in Action::"credentials", resource in Schema::"stage/main.open""#),
        (pii, "principal, action, resource is Job"),
        (
            r#"principal, action == Action::"tables.get", resource in Schema::"stage/main.pii""#,
            r#"principal, action == Action::"tables.temporary", resource"#,
        ),
        (r#"principal, action, resource in Workspace::"stage""#, "principal, action, resource"),
        (
            r#"principal, action, resource in Schema::"other/main.pii""#,
            r#"principal, action == Action::"tables.temporary", resource in Workspace::"stage""#,
        ),
    ] {
        let said = warned(forbid, permit);
        assert!(!said.contains("neither name"), "{forbid} and {permit}: {said}");
    }
}

/// In the small world an index is a table to the calls on tables.
#[test]
fn an_object_that_is_of_another_type_to_some_calls_is_told() {
    let forbid = r#"principal, action, resource == Index::"stage/main.ml.idx""#;
    for permit in [
        "principal, action, resource",
        "principal, action, resource is Table",
        r#"principal, action, resource in Schema::"stage/main.ml""#,
        r#"principal, action == Action::"tables.get", resource == Table::"stage/main.ml.idx""#,
    ] {
        let said = warned(forbid, permit);
        assert!(
            said.contains("`tables.get`") && said.contains(r#"to which the object is `Table::"stage/main.ml.idx"` (permitted by `open`)"#),
            "{said}"
        );
    }
    for permit in [
        r#"principal, action, resource in Schema::"stage/main.m""#,
        r#"principal, action == Action::"jobs.get", resource"#,
        r#"principal, action, resource in Workspace::"other""#,
    ] {
        assert!(!warned(forbid, permit).contains("to which"), "{permit}");
    }
    for closing in [
        r#"principal, action, resource == Table::"stage/main.ml.idx""#,
        r#"principal, action, resource in Schema::"stage/main.ml""#,
        r#"principal, action in [Action::"tables.get", Action::"tables.temporary"], resource is Table"#,
    ] {
        let closed = format!("{forbid});\n@id(\"too\") forbid ({closing}");
        assert!(!warned(&closed, "principal, action, resource").contains("to which"), "{closing}");
    }
    let table = r#"resource == Table::"stage/main.ml.idx""#;
    for closing in [
        format!(r#"principal == User::"corp/bob", action, {table});"#),
        format!(r#"principal, action == Action::"jobs.get", {table});"#),
        format!(r#"principal, action, {table}) when {{ context.request.method == "PUT" }};"#),
        r#"principal, action, resource == Table::"stage/main.ml.other");"#.to_owned(),
    ] {
        let half = format!("{forbid});\n@id(\"too\") forbid ({closing}\n@id(\"last\") forbid (principal, action, resource is Job");
        assert!(warned(&half, "principal, action, resource").contains("`closed` does not reach `tables.get`"), "{closing}");
    }
    let other_action = r#"principal, action == Action::"jobs.get", resource == Index::"stage/main.ml.idx""#;
    assert!(!warned(other_action, "principal, action, resource").contains("to which"));
}

#[test]
fn two_types_of_one_object_that_the_inventory_knows_are_no_way_around() {
    let policies = "@id(\"closed\") @reason(\"no\") forbid (principal, action, resource == Index::\"stage/main.ml.idx\");\n@id(\"open\") permit (principal, action, resource);";
    let scope = Scope { targets: vec![target()], ..Scope::default() };
    let inventory = r#"[{"type": "Table", "id": "stage/main.ml.idx", "same_as": {"type": "Index", "id": "stage/main.ml.idx"}}]"#;
    let said = |inventory: &str| said(&load_with(policies, inventory).ways_around(&vocabulary(), &scope));
    assert!(said("[]").contains("to which"));
    assert!(!said(inventory).contains("to which"));
}

#[test]
fn a_forbid_of_a_wider_action_alone_is_told() {
    let said = warned(r#"principal, action == Action::"jobs.submit", resource"#, "principal, action, resource");
    assert!(said.contains("does not forbid `jobs.cancel_run`, which `jobs.submit` holds; write `action in Action::\"jobs.submit\"`"), "{said}");
    assert_eq!(warned(r#"principal, action in Action::"jobs.submit", resource"#, "principal, action, resource"), "");
}

#[test]
fn code_that_is_not_shown_goes_around_any_forbid() {
    let pii = r#"principal, action, resource in Schema::"stage/main.pii""#;
    let said = warned(pii, r#"principal, action == Action::"sql.execute", resource"#);
    assert!(said.contains("by code that `sql.execute` may run (permitted by `open`)"), "{said}");
    let on_one = warned(pii, r#"principal, action == Action::"sql.execute", resource == Job::"stage/1""#);
    assert!(on_one.contains("by code that `sql.execute` may run"), "{on_one}");
    assert_eq!(warned(pii, r#"principal, action == Action::"sql.execute", resource in Workspace::"other""#), "");
    assert_eq!(warned(pii, r#"principal, action == Action::"sql.execute", resource == Job::"other/1""#), "");
}

fn policies() -> impl Strategy<Value = String> {
    let effect = select(vec!["permit", "permit", "forbid"]);
    let principal = select(vec!["principal", "principal", r#"principal in Group::"corp/a""#, r#"principal == User::"corp/bob""#]);
    let action = select(vec![
        "action",
        "action",
        r#"action == Action::"tables.get""#,
        r#"action == Action::"tables.temporary""#,
        r#"action == Action::"sql.execute""#,
        r#"action == Action::"jobs.submit""#,
        r#"action in Action::"jobs.submit""#,
        r#"action in Action::"read""#,
        r#"action in Action::"credentials""#,
        r#"action in Action::"executes""#,
        r#"action in [Action::"tables.get", Action::"jobs.run_now", Action::"jobs.cancel_run"]"#,
        r#"action in [Action::"use", Action::"read"]"#,
    ]);
    let resource = select(vec![
        "resource",
        "resource is Table",
        "resource is Index",
        "resource is JobRun",
        r#"resource == Index::"stage/main.ml.idx""#,
        r#"resource == Index::"stage/main.ml.idx""#,
        r#"resource == Index::"other/main.ml.idx""#,
        r#"resource is Index in Schema::"stage/main.ml""#,
        r#"resource == Table::"stage/main.ml.idx""#,
        r#"resource is Table in Schema::"stage/main.ml""#,
        r#"resource in Schema::"stage/main.ml""#,
        r#"resource in Schema::"stage/main.m""#,
        r#"resource in Schema::"other/main.pii""#,
        r#"resource in Catalog::"stage/main""#,
        r#"resource == Job::"stage/42""#,
        r#"resource == Job::"other/42""#,
        r#"resource in Workspace::"stage""#,
        r#"resource == Workspace::"stage""#,
        r#"resource is Table in Workspace::"stage""#,
        r#"resource in Workspace::"other""#,
        r#"resource in Environment::"staging""#,
        r#"resource in Environment::"prod""#,
        r#"resource in Collection::"pii""#,
        r#"resource is Table in Collection::"stage""#,
        r#"resource == Collection::"pii""#,
    ]);
    let condition = select(vec![
        "",
        "",
        "",
        r#" when { context.request.method == "PUT" }"#,
        r#" unless { context.request.method == "GET" }"#,
        r#" when { resource == Index::"stage/main.ml.idx" }"#,
        r#" when { resource in Schema::"stage/main.pii" || resource in Collection::"pii" }"#,
    ]);
    vec((effect, principal, action, resource, condition), 1..16).prop_map(|policies| {
        let written = policies.iter().zip(0..).map(|((effect, principal, action, resource, condition), number)| {
            format!("@id(\"p{}.{number}\") {effect} ({principal}, {action}, {resource}){condition};\n", "x".repeat(number % 3))
        });
        written.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_found_at_once_is_what_is_found_one_by_one(policies in policies(), configured in any::<bool>(), one in any::<bool>()) {
        let same = r#"[{"type": "Table", "id": "stage/main.ml.idx", "same_as": {"type": "Index", "id": "stage/main.ml.idx"}}]"#;
        let authorizer = load_with(&policies, if one { same } else { "[]" });
        let scope = Scope { targets: if configured { vec![target()] } else { Vec::new() }, ..Scope::default() };
        // An index is a job to some calls too, and a table may have a name of its own.
        let mut vocabulary = vocabulary();
        for spec in vocabulary.types.iter_mut().filter(|spec| spec.name.as_str() == "Index") {
            spec.seen_as.push(TypeName::new("Job"));
        }
        prop_assert_eq!(said(&authorizer.ways_around(&vocabulary, &scope)), said(&plain::ways_around(&authorizer, &vocabulary, &scope)));
    }
}
