//! What is wrong in what operators write: each fault with its place and its mend, all at once.

use super::world::{claims, load, said, source, vocabulary};
use crate::authz::{Authorizer, Source, schema, schema::schema_json};

fn faults(source: &Source) -> String {
    Authorizer::load(&vocabulary(), source, 1 << 20, None).map_or_else(|faults| said(&faults), |_| "none".to_owned())
}

#[test]
fn every_bad_policy_is_placed_and_mended() {
    let cases: [(&str, &[&str]); 31] = [
        (
            "@id(\"typo\")\npermit (principal, action == Action::\"serving_endpoints.qeury\", resource);",
            &["base.cedar:2:30: ", "qeury", "did you mean", "serving_endpoints.query"],
        ),
        ("@id(\"a\")\npermit (principal, action, resource is ServingEndpiont);", &["base.cedar:2:40: ", "`ServingEndpiont`", "`ServingEndpoint`"]),
        ("@id(\"a\")\npermit (principal, action, resource)\nwhen { context.request.methd == \"GET\" };", &["base.cedar:3:8: ", "methd", "`method`"]),
        ("@id(\"a\")\npermit (principal, action, resource)\nwhen { context.token.issuer == \"corp\" };", &["base.cedar:3:8: ", "token", "has"]),
        ("@id(\"a\")\npermit (principal, action, resource)\nwhen { context.peer == \"x\" };", &["base.cedar:3:"]),
        ("@id(\"a\")\npermit (principal, action, resource)\nwhen { nonsense", &["base.cedar:3:16: "]),
        ("@id(\"a\") permit (principal, action, resource) when { \"open };", &["base.cedar:1:54: ", "strings are closed"]),
        ("@id(\"a\") permit (principal, action, resource == ?resource);", &["base.cedar:1:1: ", "a role without `?principal`"]),
        ("// first\n\n  permit (principal, action, resource);", &["base.cedar:3:3: ", "without `@id`", "@id(\"...\")"]),
        ("@id(\"\") permit (principal, action, resource);", &["base.cedar:1:1: ", "no policy id"]),
        ("@id(\"a b\") permit (principal, action, resource);", &["base.cedar:1:1: `a b` is no policy id"]),
        ("@id(\"a\")\n@reson(\"x\")\npermit (principal, action, resource);", &["base.cedar:2:1: unknown annotation `@reson`", "`@reason`"]),
        ("@id(\"a\")\n@team(\"x\")\npermit (principal, action, resource);", &["unknown annotation `@team`", "`@doc`"]),
        ("@id(\"a\") @reason(\"\") permit (principal, action, resource);", &["base.cedar:1:10: `@reason` is one line"]),
        ("@id(\"a\") @hide permit (principal, action, resource);", &["base.cedar:1:10: ", "forbid"]),
        ("@id(\"a\") @hide(\"x\") forbid (principal, action, resource);", &["takes no value"]),
        ("@id(\"a\")\n@credentials(\"strp\")\npermit (principal, action, resource);", &["base.cedar:2:1: `strp` is not what", "`strip` or"]),
        ("@id(\"a\") @credentials permit (principal, action, resource);", &["base.cedar:1:10: `` is not what", "write `passthrough`"]),
        (
            "@id(\"a\") @credentials(\"service-principal:robot\") permit (principal, action, resource);",
            &["`robot` is not the application id", "UUID"],
        ),
        (
            "@id(\"a\") @credentials(\"service-principal:0A000000-0000-4000-8000-000000000001\") permit (principal in ?principal, action, resource);",
            &["is not the application id", "in lower case"],
        ),
        ("@id(\"a\") @credentials(\"strip\") forbid (principal, action, resource);", &["base.cedar:1:10: `@credentials` on a forbid"]),
        (
            "@id(\"a\")\nforbid (principal, action, resource == Table::\"stage/MAIN.s.pii\");",
            &["base.cedar:2:40: ", "did you mean `Table::\"stage/main.s.pii\"`?"],
        ),
        ("@id(\"a\")\nforbid (principal, action, resource == Job::\"stage/042\");", &["base.cedar:2:40: ", "`Job::\"stage/42\"`"]),
        ("@id(\"a\")\nforbid (principal, action, resource == Job::\"42\");", &["base.cedar:2:40: ", "<target>/<number without leading zeros>"]),
        ("@id(\"a\")\nforbid (principal, action, resource) when { resource == Job::\"stage/042\" };", &["base.cedar:2:", "`Job::\"stage/42\"`"]),
        ("@id(\"a\") permit (principal in Group::\"ml\", action, resource);", &["base.cedar:1:31: ", "<issuer>/<name>"]),
        ("@id(\"a\") permit (principal, action, resource in Environment::\"Prod\");", &["base.cedar:1:", "is not a name"]),
        ("@id(\"a\") permit (principal == Workload::\"ml/trainer\", action, resource);", &["SPIFFE"]),
        (
            "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);",
            &["base.cedar:2:1: the policy id `a` is taken", "base.cedar:1 has it already"],
        ),
        ("// nothing but a comment\n", &["base.cedar: the file holds no policy", "delete the file"]),
        ("@id(\"a\") permit (principal, action, resource);;", &["base.cedar:1:47: "]),
    ];
    for (text, want) in cases {
        let got = faults(&source(text));
        for part in want {
            assert!(got.contains(part), "{text}\n-> {got}\nlacks {part}");
        }
        assert_eq!(got.lines().count(), 1, "{text}\n-> {got}");
    }
}

#[test]
fn all_faults_of_all_files_come_at_once() {
    let mut source = source("@id(\"a\") permit (principal, action == Action::\"jobs.run\", resource);\npermit (principal, action, resource);");
    source.files.push(("empty.cedar".into(), String::new()));
    source.files.push(("other.cedar".into(), "@id(\"b\") permit (principal, action, resource)".to_owned()));
    source.inventory = Some(("entities.json".into(), "{}".to_owned()));
    let got = faults(&source);
    for part in ["base.cedar:1:", "base.cedar:2:1: ", "empty.cedar: ", "other.cedar:1:", "entities.json: "] {
        assert!(got.contains(part), "{got} lacks {part}");
    }
}

#[test]
fn an_empty_set_is_never_served() {
    assert!(faults(&Source::default()).contains("there is no `*.cedar` file"));
}

#[test]
fn every_bad_inventory_is_placed_and_mended() {
    let cases: [(&str, &[&str]); 23] = [
        ("{}", &["entities.json: the inventory is an object"]),
        (r#"[{"type":"Job","id":"stage/1","same_as":"stage/1"}]"#, &["`Job::\"stage/1\"` cannot be the same as `Job::\"stage/1\"`"]),
        (r#"[{"type":"Job","id":"stage/1","same_as":"other/2"}]"#, &["cannot be the same as"]),
        (r#"[{"type":"Job","id":"stage/1","same_as":"stage/x"}]"#, &["can name nothing"]),
        (r#"[{"type":"Job","id":"stage/1","same_as":7}]"#, &["`same_as` is an id of the same type, or an object with `type` and `id`, not a number"]),
        (r#"[{"type":"Schema","id":"stage/a.b","same_as":"stage/a.c"}]"#, &["cannot have a second name: objects in it, of type `Index`"]),
        (r#"[{"type":"Notebook","id":"stage//a","same_as":{"type":"Jobb","id":"stage/1"}}]"#, &["unknown type `Jobb`"]),
        (r#"[{"type":"Notebook","id":"stage//a","same_as":{"type":"Job","id":"stage/1","x":1}}]"#, &["unknown key `x`"]),
        (r#"[{"type":"Job","id":"stage/1","same_as":"stage/2","tags":{"a":"b"}}]"#, &["no `parents` and `tags` of its own"]),
        (r#"[{"type":"Job","id":"stage/1","same_as":"stage/2"},{"type":"Job","id":"stage/1"}]"#, &["is listed twice"]),
        (r#"[{"type":"Job","id":"stage/1","same_as":"stage/2"},{"type":"Job","id":"stage/2","same_as":"stage/3"}]"#, &["a second name itself"]),
        ("[", &["entities.json: "]),
        ("[\n{\"type\":\"Job\",\"type\":\"Job\",\"id\":\"stage/1\"}]", &["twice"]),
        ("[\n  {\"type\":\"Jbo\",\"id\":\"stage/1\"}]", &["entities.json:2:3: unknown type `Jbo`", "`Job`"]),
        ("[{\"type\":\"Action\",\"id\":\"read\"}]", &["unknown type `Action`"]),
        ("[{\"type\":\"Job\",\"id\":\"stage/01\"}]", &["did you mean `stage/1`?"]),
        ("[{\"type\":\"Job\"}]", &["needs `id`"]),
        ("[{\"type\":\"Job\",\"id\":\"stage/1\",\"parent\":[]}]", &["unknown key `parent`", "`parents`"]),
        ("[{\"type\":\"Job\",\"id\":\"stage/1\",\"tags\":{\"a\":1}}]", &["the tag `a` is a number"]),
        ("[{\"type\":\"Job\",\"id\":\"stage/1\",\"parents\":[{\"type\":\"Unheard\",\"id\":\"x\"}]}]", &["unknown type `Unheard`"]),
        (
            "[{\"type\":\"Job\",\"id\":\"stage/1\",\"parents\":[{\"type\":\"Group\",\"id\":\"corp/x\"}]}]",
            &["cannot stand in", "Workspace, Collection"],
        ),
        ("[{\"type\":\"Job\",\"id\":\"stage/1\"},\n{\"type\":\"Job\",\"id\":\"stage/1\"}]", &["entities.json:2:1: ", "listed twice"]),
        ("[1]", &["entities.json:1:2: an entity is an object"]),
    ];
    for (text, want) in cases {
        let got = faults(&Source {
            inventory: Some(("entities.json".into(), text.to_owned())),
            ..source("@id(\"a\") permit (principal, action, resource);")
        });
        for part in want {
            assert!(got.contains(part), "{text}\n-> {got}\nlacks {part}");
        }
    }
    let cycle = r#"[{"type":"Group","id":"a/a","parents":[{"type":"Group","id":"a/b"}]},
        {"type":"Group","id":"a/b","parents":[{"type":"Group","id":"a/a"}]}]"#;
    let got =
        faults(&Source { inventory: Some(("entities.json".into(), cycle.to_owned())), ..source("@id(\"a\") permit (principal, action, resource);") });
    assert!(got.contains("entities.json:1:2: ") && got.contains("entities.json:2:9: ") && got.contains("is in itself"), "{got}");
}

#[test]
fn the_schema_takes_what_the_documentation_shows() {
    load(
        r#"@id("ml") permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource in Environment::"staging")
        when { context.peer in Namespace::"cluster.local/ml-staging" && context has token && context.token has auth_time
               && context.request.time.durationSince(context.token.auth_time) < duration("8h") };
        @id("none") forbid (principal, action, resource) when { context.peer == Workload::"none" };
        @id("net") forbid (principal, action, resource)
        unless { context.request has source_ip && context.request.source_ip.isInRange(ip("10.0.0.0/8")) };"#,
    );
    for spec in vocabulary().types {
        let loaded = load(&format!(
            "@id(\"a\") permit (principal, action, resource) when {{ resource is {} && resource in Environment::\"staging\" }};",
            spec.name
        ));
        assert_eq!(loaded.policy_count(), 1);
    }
    for spec in vocabulary().actions {
        load(&format!("@id(\"a\") permit (principal, action == Action::\"{}\", resource in Environment::\"staging\");", spec.action.name));
    }
}

#[test]
fn what_can_never_apply_is_a_warning() {
    let loaded = load("@id(\"a\")\npermit (principal, action == Action::\"jobs.run_now\", resource is Table);");
    assert!(said(loaded.warnings()).contains("base.cedar:1:1: policy is impossible"), "{}", said(loaded.warnings()));
    let again = Authorizer::load(
        &vocabulary(),
        &source("\n@id(\"a\")\npermit (principal, action == Action::\"jobs.run_now\", resource is Table);"),
        0,
        Some(&loaded),
    );
    let again = again.unwrap();
    assert!(said(again.warnings()).contains("base.cedar:2:1: policy is impossible"), "{}", said(again.warnings()));
}

#[test]
fn a_reload_checks_only_what_changed_and_forgets_what_went() {
    let one = r#"@id("one") permit (principal, action, resource);"#;
    let first = load(&format!("{one}\n@id(\"two\") forbid (principal, action, resource);"));
    let second = Authorizer::load(&vocabulary(), &source(one), 1 << 20, Some(&first)).unwrap();
    assert_eq!((first.policy_count(), second.policy_count()), (2, 1));
    assert!(std::sync::Arc::ptr_eq(&first.policies[0].compiled, &second.policies[0].compiled));
    let mut smaller = vocabulary();
    smaller.actions.truncate(1);
    let third = Authorizer::load(&smaller, &source(one), 1 << 20, Some(&second)).unwrap();
    assert!(!std::sync::Arc::ptr_eq(&third.policies[0].compiled, &second.policies[0].compiled), "checked by another catalog");
}

#[test]
fn the_schema_is_one_cedar_can_read_back() {
    let text = schema(&vocabulary(), &claims()).unwrap();
    let (fragment, warnings) = cedar_policy::SchemaFragment::from_cedarschema_str(&text).unwrap();
    assert_eq!(warnings.count(), 0);
    assert_eq!(fragment.to_json_value().unwrap(), schema_json(&vocabulary(), &claims()), "what people read is what policies are checked against");
    assert!(text.contains("action \"serving_endpoints.query\" in [Action::\"serving_endpoints\", Action::\"use\"]"), "{text}");
    assert!(text.contains("action \"credentials.list\" in [Action::\"read\"]"), "{text}");
}
