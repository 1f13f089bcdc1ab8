//! As whom Databricks knows principals, by the inventory.

use serde_json::{Value, json};

use super::world::{caller, load_with, said, source, token, vocabulary};
use crate::{
    authz::{Authorizer, Source},
    model::{PrincipalKind, Token},
};

const POLICY: &str = r#"@id("p") permit (principal, action, resource);"#;
const ROBOT: &str = "00000000-0000-4000-8000-000000000001";
const TRAINER: &str = "spiffe://cluster.local/ns/ml/sa/trainer";

fn listed(kind: &str, id: &str, tag: &str, value: &str) -> Value {
    json!({ "type": kind, "id": id, "tags": { tag: value, "owner": "risk" } })
}

#[test]
fn a_principal_is_known_as_its_own_entry_says() {
    let inventory = json!([
        listed("User", "corp/alice", "databricks_user", "Alice.Smith@example.com"),
        listed("ServicePrincipal", "corp/alice", "databricks_application_id", ROBOT),
        listed("Workload", TRAINER, "databricks_application_id", "00000000-0000-4000-8000-000000000002"),
        { "type": "User", "id": "corp/bob", "tags": { "owner": "risk" } },
        // of what is no principal it is a tag like any other
        listed("Job", "stage/1", "databricks_user", ""),
    ]);
    let authorizer = load_with(POLICY, &inventory.to_string());
    assert_eq!(said(authorizer.warnings()), "");
    let program = |name: &str| Token { kind: PrincipalKind::ServicePrincipal, ..token(name, &[]) };
    let cases = [
        (caller(Some(token("alice", &[])), None), Some("Alice.Smith@example.com")),
        // whom policies judge, and not the workload that carries the token
        (caller(Some(token("alice", &[])), Some("ml/trainer")), Some("Alice.Smith@example.com")),
        (caller(Some(token("bob", &[])), Some("ml/trainer")), None),
        (caller(Some(token("carol", &[])), Some("ml/trainer")), None),
        (caller(Some(program("alice")), None), Some(ROBOT)),
        (caller(None, Some("ml/trainer")), Some("00000000-0000-4000-8000-000000000002")),
        (caller(None, Some("ml/other")), None),
        (caller(None, None), None),
    ];
    for (who, want) in cases {
        assert_eq!(authorizer.known_as(&who).map(|name| &**name), want, "{who:?}");
        assert_eq!(load_with(POLICY, "[]").known_as(&who), None);
    }
}

#[test]
fn a_tag_that_could_name_nobody_is_a_fault() {
    let (user, application) = ("databricks_user", "databricks_application_id");
    let cases = [
        ("User", "corp/alice", user, "alice@example.com", None),
        ("User", "corp/alice", user, "", Some("is no user name")),
        ("User", "corp/alice", user, "alice smith", Some("is no user name")),
        ("User", "corp/alice", user, "alice@example.com\n", Some("is no user name")),
        // that would be a service principal
        ("User", "corp/alice", user, ROBOT, Some("is no user name")),
        ("User", "corp/alice", application, ROBOT, Some("write `databricks_user`")),
        ("ServicePrincipal", "corp/ci", application, ROBOT, None),
        ("ServicePrincipal", "corp/ci", application, "00000000-0000-4000-8000-00000000000A", Some("in lower case")),
        ("ServicePrincipal", "corp/ci", application, "00000000000040008000000000000001", Some("in lower case")),
        ("ServicePrincipal", "corp/ci", application, "ci", Some("is not the application id")),
        ("ServicePrincipal", "corp/ci", user, "alice@example.com", Some("write `databricks_application_id`")),
        ("Workload", TRAINER, application, ROBOT, None),
        ("Workload", TRAINER, user, "alice@example.com", Some("write `databricks_application_id`")),
        ("Workload", "none", application, ROBOT, Some("does not vouch")),
        ("Group", "corp/team", application, ROBOT, Some("not for all of these")),
        ("Role", "corp/lead", user, "alice@example.com", Some("not for all of these")),
        ("Namespace", "cluster.local/ml", application, ROBOT, Some("`mode: service-principal`")),
        ("Job", "stage/1", application, "x", None),
    ];
    for (kind, id, tag, value, want) in cases {
        let text = format!("[\n{}]", listed(kind, id, tag, value));
        let source = Source { inventory: Some(("entities.json".into(), text)), ..source(POLICY) };
        let got = Authorizer::load(&vocabulary(), &source, 1 << 20, None).map_or_else(|faults| said(&faults), |_| String::new());
        match want {
            None => assert_eq!(got, "", "{kind} {id} {tag} {value}"),
            Some(want) => {
                assert!(got.starts_with("entities.json:2:") && got.contains(want) && got.contains(&format!("`{tag}`")), "{kind} {value}: {got}");
            }
        }
    }
}

/// One principal at Databricks for two here is told, unless they are plainly one.
#[test]
fn two_that_databricks_takes_for_one_are_told() {
    let user = |id: &str, name: &str| listed("User", id, "databricks_user", name);
    let program = |kind: &str, id: &str| listed(kind, id, "databricks_application_id", ROBOT);
    let cases = [
        (vec![user("corp/alice", "a@example.com"), user("corp/bob", "b@example.com")], None),
        (vec![user("corp/alice", "a@example.com"), user("corp/bob", "A@Example.com")], Some("`User::\"corp/bob\"`")),
        (vec![user("corp/alice", "a@example.com"), user("okta/alice", "a@example.com")], None),
        (vec![program("ServicePrincipal", "corp/ci"), program("Workload", TRAINER)], None),
        (vec![program("ServicePrincipal", "corp/ci"), program("ServicePrincipal", "corp/cd")], Some("`ServicePrincipal::\"corp/cd\"`")),
        (vec![program("Workload", TRAINER), program("Workload", "spiffe://other.org/ns/ml/sa/trainer")], None),
        (vec![program("Workload", TRAINER), program("Workload", "spiffe://cluster.local/ns/ml/sa/x")], Some("sa/x\"`")),
    ];
    for (entries, want) in cases {
        let lines: Vec<String> = entries.iter().map(ToString::to_string).collect();
        let got = said(load_with(POLICY, &format!("[\n{}]", lines.join(",\n"))).warnings());
        match want {
            None => assert_eq!(got, "", "{lines:?}"),
            Some(want) => {
                assert!(got.starts_with("entities.json:3:") && got.contains(want) && got.contains("`mode: service-principal`"), "{lines:?}: {got}");
            }
        }
    }
}
