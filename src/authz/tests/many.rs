//! Files as long as a large company's, and what is said where much of them is wrong.

use super::world::{entity, load_with, said, source, vocabulary};
use crate::authz::{Authorizer, Source};

const ROLE: &str = r#"@id("runner") permit (principal in ?principal, action == Action::"jobs.run_now", resource in ?resource);"#;

fn faults(source: &Source) -> Vec<String> {
    let faults = Authorizer::load(&vocabulary(), source, 1 << 20, None).err().unwrap();
    faults.iter().map(ToString::to_string).collect()
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(|number| line(number) + "\n").collect()
}

fn list(items: &str) -> String {
    format!("[{}]", items.trim_end().trim_end_matches(','))
}

fn inventory(items: &str) -> Source {
    Source { inventory: Some(("entities.json".into(), list(items))), ..source(ROLE) }
}

#[test]
fn an_inventory_may_list_many_thousands() {
    let collections = lines(100, |number| format!(r#"{{"type": "Collection", "id": "c{number}"}},"#));
    let tables = lines(20_000, |number| {
        let parent = number % 100;
        format!(
            r#"{{"type": "Table", "id": "stage/main.ml.t{number}", "parents": [{{"type": "Collection", "id": "c{parent}"}}], "tags": {{"n": "{number}"}}}},"#
        )
    });
    let names = lines(10_000, |number| {
        format!(r#"{{"type": "Table", "id": "stage/main.ml.i{number}", "same_as": {{"type": "Index", "id": "stage/main.ml.i{number}"}}}},"#)
    });
    let authorizer = load_with(r#"@id("p") permit (principal, action, resource);"#, &list(&(collections + &tables + &names)));
    let inventory = &authorizer.engine.inventory;
    for number in [0, 99, 12_345, 19_999] {
        let table = entity("Table", &format!("stage/main.ml.t{number}"));
        assert_eq!(inventory.ancestors(&table), [entity("Collection", &format!("c{}", number % 100))]);
        assert_eq!(inventory.tags(&table).unwrap()["n"], number.to_string());
    }
    assert_eq!(inventory.second_names().len(), 10_000);
}

#[test]
fn an_inventory_that_is_too_long_is_told_how_long_it_may_be() {
    let said = faults(&Source { inventory: Some(("entities.json".into(), " ".repeat((64 << 20) + 1))), ..source(ROLE) });
    assert!(said[0].starts_with("entities.json: the inventory is longer than 64MiB; "), "{said:?}");
}

#[test]
fn what_is_gone_is_one_fault_however_many_name_it() {
    let line = |role: &str, number: usize| format!("- {{ role: {role}, to: {{ User: corp/u{number} }}, on: {{ Environment: staging }} }}");
    let many = lines(5000, |number| line("runer", number));
    let access = vec![("a.yaml".into(), many), ("b.yaml".into(), line("runer", 0) + "\n" + &line("reader", 0))];
    let said = faults(&Source { access, ..source(ROLE) });
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(
        said[0],
        "a.yaml:1:3: there is no role `runer`, which 5001 entries name: this one, a.yaml:2, a.yaml:3, a.yaml:4 and 4997 more; did you mean `runner`?"
    );
    assert!(said[1].starts_with("b.yaml:2:3: there is no role `reader`; "), "{said:?}");
    let jobs = lines(3, |number| format!(r#"{{"type": "Job", "id": "stage/{number}", "parents": [{{"type": "Collection", "id": "pi"}}]}},"#));
    let said = faults(&inventory(&(jobs + r#"{"type": "Collection", "id": "pii"}"#)));
    assert_eq!(
        said,
        [
            "entities.json:1:2: `Collection::\"pi\"` is not listed, which 3 entries name: this one, entities.json:2, entities.json:3; did you mean `pii`?"
        ]
    );
}

#[test]
fn of_many_faults_and_warnings_the_first_are_told() {
    let policies = |text: &dyn Fn(usize) -> String| source(&lines(250, text));
    let to = |to: &str| lines(250, |_| format!("- {{ role: runner, to: {to}, on: {{ Environment: staging }} }}"));
    let group = lines(250, |number| format!("- {{ group: corp/g{number}, members: {{ Robot: corp/r }} }}"));
    let jobs = lines(250, |number| format!(r#"{{"type": "Job", "id": "stage/{number}", "parent": []}},"#));
    let circle = lines(125, |number| {
        let named =
            |one: usize, other: usize| format!(r#"{{"type": "Group", "id": "corp/{one}", "parents": [{{"type": "Group", "id": "corp/{other}"}}]}},"#);
        named(2 * number, 2 * number + 1) + &named(2 * number + 1, 2 * number)
    });
    for (source, first) in [
        (policies(&|number| format!("@id(\"p{number}\") permit (principal, action == Action::\"jobs.rn\", resource);")), "base.cedar:1:"),
        (policies(&|_| "@id(\"p\") permit (principal, action, resource);".to_owned()), "base.cedar:2:1: the policy id `p` is taken"),
        (Source { access: vec![("a.yaml".into(), to("{ Grup: corp/a }"))], ..source(ROLE) }, "a.yaml:1:"),
        (Source { groups: vec![("g.yaml".into(), group)], ..source(ROLE) }, "g.yaml:1:"),
        (inventory(&jobs), "entities.json:1:2: unknown key `parent`"),
        (inventory(&circle), "entities.json:1:2: `Group::\"corp/0\"` is in itself"),
    ] {
        let said = faults(&source);
        assert!(said[0].starts_with(first) && said.len() == 101, "{said:?}");
        let file = first.split_once(':').unwrap().0;
        let more = if first.contains("taken") { 149 } else { 150 };
        assert_eq!(said[100], format!("{file}: and {more} more"));
    }
    // Of several files together, too.
    let access = ["a.yaml", "b.yaml"].map(|file| (file.into(), to("{ Grup: corp/a }"))).to_vec();
    assert_eq!(faults(&Source { access, ..inventory(&jobs) })[100], "a.yaml: and 650 more");
    let impossible = policies(&|number| format!("@id(\"p{number}\") permit (principal, action == Action::\"jobs.get\", resource is Table);"));
    let loaded = Authorizer::load(&vocabulary(), &impossible, 1 << 20, None).unwrap_or_else(|faults| panic!("{}", said(&faults)));
    assert_eq!(
        (loaded.policy_count(), loaded.warnings().len(), loaded.warnings()[100].to_string()),
        (250, 101, "base.cedar: and 400 more".to_owned())
    );
}
