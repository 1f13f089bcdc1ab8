//! What is found in the environments that matter must be what Cedar's own validator finds in all.

use std::{fmt::Write as _, sync::LazyLock};

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, Template, ValidationMode, Validator};
use cedar_policy_core::{ast, parser::parse_policy_or_template};
use proptest::{prelude::*, sample::select};

use super::world::{action, claims, vocabulary};
use crate::{
    authz::{
        environments::Environments,
        policy::{mark, marks},
        reading::{Reading, Sights},
        schema,
        text::{Mark, Piece, pieces},
        validate::{Findings, Validation},
    },
    model::{ActionSpec, FieldKind, FieldSpec, Level, TypeName, Vocabulary},
};

struct Rig {
    validator: Validator,
    environments: Environments,
}

/// The worlds that policies are validated in.
static RIGS: LazyLock<Vec<Rig>> = LazyLock::new(|| {
    vec![
        rig(&schema(&vocabulary(), &claims()).unwrap()),
        rig(&schema(&contradictory(), &[]).unwrap()),
        rig(&schema(&Vocabulary::default(), &[]).unwrap()),
        rig(FOREIGN),
    ]
});

/// What the catalog never says and a schema can: types of principals that differ, groups in groups, namespaces, attributes, actions for nobody.
const FOREIGN: &str = r#"
    entity Group in [Group] tags String;
    entity User in [Group] { foo: Long, name?: String } tags String;
    entity Workload in [Group];
    entity Environment;
    entity Workspace in [Environment] { foo: String };
    entity Job in [Job, Workspace] tags Long;
    entity Table enum ["a", "b"];
    action "everything";
    action "read" in ["everything"];
    action "jobs" in ["everything"];
    action "use";
    action "jobs.get" in ["read", "jobs"] appliesTo { principal: [User, Workload], resource: [Job, Table], context: { peer: User, request: { method: String } } };
    action "jobs.run_now" in ["jobs"] appliesTo { principal: [User], resource: [Job], context: { peer: Workload, request?: { method: Long, run_as: String } } };
    action "jobs.submit" in ["jobs.get"] appliesTo { principal: [Group], resource: [Workspace, Job], context: { peer: Long, token?: { auth_time: datetime } } };
    namespace Foo {
        entity Agent;
        action "x" appliesTo { principal: [Agent, Group], resource: [Agent, Job], context: { request: { method: String } } };
    }
"#;

/// Actions whose resources overlap and whose fields contradict each other.
fn contradictory() -> Vocabulary {
    let Vocabulary { types, .. } = vocabulary();
    let field = |name: &str, kind| FieldSpec { name: name.into(), kind };
    let spec = |name: &str, level, resources: &[&str], fields: &[FieldSpec]| ActionSpec {
        action: action(name, level),
        resources: resources.iter().map(|name| TypeName::new(name)).collect(),
        orphans: Vec::new(),
        fields: fields.to_vec(),
    };
    let (text, long) = (field("priority", FieldKind::Text), field("priority", FieldKind::Long));
    let (run_as, flag) = (field("run_as", FieldKind::Text), field("runas", FieldKind::Bool));
    let actions = vec![
        spec("jobs.get", Level::Read, &["Job", "Workspace"], std::slice::from_ref(&text)),
        spec("jobs.list", Level::Read, &["Workspace"], &[]),
        spec("jobs.run_now", Level::Use, &["Job", "Table"], std::slice::from_ref(&long)),
        spec("jobs.submit", Level::Manage, &["Workspace"], &[run_as.clone(), long.clone(), field("tags", FieldKind::Texts)]),
        spec("jobs.update", Level::Manage, &["Job", "Workspace"], &[flag, text]),
        spec("tables.get", Level::Read, &["Table", "Schema"], &[run_as]),
        spec("tables.list", Level::Read, &["Schema", "Workspace"], &[field("tags", FieldKind::Text), long]),
    ];
    Vocabulary { types, actions, aliases: std::collections::BTreeMap::new() }
}

fn rig(schema: &str) -> Rig {
    let (schema, _) = Schema::from_cedarschema_str(schema).unwrap();
    Rig { environments: Environments::new(schema.as_ref()), validator: Validator::new(schema) }
}

fn principal_scope() -> impl Strategy<Value = &'static str> {
    select(vec![
        "principal",
        "principal",
        "principal is User",
        "principal is Workload",
        "principal is Unheard",
        "principal in ?principal",
        "principal == ?principal",
        "principal is User in ?principal",
        r#"principal == User::"corp/alice""#,
        r#"principal == Group::"corp/a""#,
        r#"principal == Unheard::"x""#,
        r#"principal in User::"corp/alice""#,
        r#"principal in Group::"corp/a""#,
        r#"principal in Role::"corp/r""#,
        r#"principal in Job::"stage/1""#,
        r#"principal in Unheard::"x""#,
        r#"principal is User in Group::"corp/a""#,
        r#"principal is Workload in Role::"corp/r""#,
        r#"principal is Workload in Namespace::"cluster.local/x""#,
        r#"principal is User in Unheard::"x""#,
        r#"principal is Unheard in Group::"corp/a""#,
        r#"principal == Foo::Agent::"x""#,
    ])
}

fn action_scope() -> impl Strategy<Value = &'static str> {
    select(vec![
        "action",
        "action",
        r#"action == Action::"jobs.get""#,
        r#"action == Action::"jobs.run_now""#,
        r#"action == Action::"tables.get""#,
        r#"action == Action::"read""#,
        r#"action == Action::"jobs.gte""#,
        r#"action == Foo::Action::"x""#,
        r#"action in Action::"read""#,
        r#"action in Action::"admin""#,
        r#"action in Action::"jobs.submit""#,
        r#"action in Action::"everything""#,
        r#"action in Action::"jbos""#,
        r#"action in [Action::"use", Action::"jobs"]"#,
        r#"action in [Action::"jobs.get", Action::"read", Action::"jobs.submit"]"#,
        r#"action in [Action::"jobs.get", Action::"jobs.gte"]"#,
        r#"action in [Action::"read", Foo::Action::"x"]"#,
        "action in []",
    ])
}

fn resource_scope() -> impl Strategy<Value = &'static str> {
    select(vec![
        "resource",
        "resource",
        "resource is Job",
        "resource is Table",
        "resource is Jbo",
        "resource in ?resource",
        "resource == ?resource",
        "resource is Job in ?resource",
        r#"resource == Job::"stage/1""#,
        r#"resource == Workspace::"stage""#,
        r#"resource == Table::"c""#,
        r#"resource == Jbo::"stage/1""#,
        r#"resource in Job::"stage/1""#,
        r#"resource in Workspace::"stage""#,
        r#"resource in Environment::"staging""#,
        r#"resource in Collection::"pii""#,
        r#"resource in Group::"corp/a""#,
        r#"resource in Unheard::"x""#,
        r#"resource is Job in Workspace::"stage""#,
        r#"resource is Workspace in Catalog::"stage/main""#,
        r#"resource is Table in Jbo::"x""#,
    ])
}

/// What conditions are made of: of each variable what is right, what is right for some actions or types, and what never is.
const ATOMS: &[&str] = &[
    "true",
    "false",
    r#"context.peer in Namespace::"cluster.local/x""#,
    r#"context.peer == Workload::"none""#,
    "context.peer is Workload",
    "context.peer.foo == 1",
    "context.peer == principal",
    "context has peer",
    "context has peer.foo",
    r#"context.request.method == "GET""#,
    r#"context.request.methd == "GET""#,
    "context.request.method == 1",
    "context.request.method < 1",
    r#"context["request"]["method"] like "G*""#,
    r#"context.request has source_ip && context.request.source_ip.isInRange(ip("10.0.0.0/8"))"#,
    "context.request.source_ip.isLoopback()",
    "context has request",
    r#"context has request && context.request.method == "GET""#,
    "context has token",
    "context has tokn",
    "context has token.auth_time && context.token.auth_time < context.request.time",
    r#"context has token && context.token.scopes.contains("s")"#,
    "context has token && context.token.scopes.contains(1)",
    r#"context.token.issuer == "corp""#,
    "context has token.acr.foo",
    "context.token.claims.tier > 3",
    "context has token && context.token.claims has tier && context.token.claims.tier > 3",
    r#"context has token.claims.teams && context.token.claims.teams.contains("a")"#,
    "context has token && context.token.claims has nothing",
    "context has token && context.token.claims.repository",
    r#"context has purpose && context.purpose like "x*""#,
    "context.request has run_as",
    r#"context.request has run_as && context.request.run_as == "me""#,
    r#"context has request.run_as && context.request.run_as == "me""#,
    r#"context.request.run_as == "me""#,
    "context.request has priority && context.request.priority < 3",
    r#"context.request has priority && context.request.priority == "high""#,
    r#"context.request has tags && context.request.tags.contains("x")"#,
    r#"context.request has tags && !(context.request.tags == "x")"#,
    "context == context",
    "context.request == context.request",
    "{a: context}.a has token",
    r#"{a: context.request}.a.method == "GET""#,
    "[context.request].contains(context.request)",
    "(if context has token then context.request else context.request) has run_as",
    r#"(if context has token then context else context).request.method == "GET""#,
    r#"action == Action::"jobs.get""#,
    r#"action == Action::"jobs.gte""#,
    r#"Action::"jobs.get" == action"#,
    r#"action in Action::"read""#,
    r#"action in [Action::"use", Action::"jobs"]"#,
    r#"action in [Action::"read", Job::"stage/1"]"#,
    r#"action in [Action::"read", Action::"jobs.gte"]"#,
    r#"action in Foo::Action::"x""#,
    r#"action in Job::"stage/1""#,
    "action in [action]",
    r#"Action::"jobs.get" in action"#,
    "action == principal",
    "action == 1",
    "action is Action",
    "action has foo",
    "action.foo == 1",
    r#"[action].contains(Action::"read")"#,
    r#"action in Action::"read" && context.request has tags"#,
    r#"action == Action::"jobs.submit" && context.request has run_as && context.request.run_as == "me""#,
    "principal is User",
    r#"principal is User in Group::"corp/a""#,
    r#"principal in [Group::"corp/a", Role::"corp/r"]"#,
    "principal == resource",
    "principal == context.peer",
    "principal in resource",
    r#"principal.hasTag("x") && principal.getTag("x") == "y""#,
    r#"principal.getTag("x") == "y""#,
    "principal has foo && principal.foo == 1",
    "principal.foo == 1",
    r#"principal has name && principal.name == "x""#,
    "resource is Job",
    "resource is Jbo",
    r#"resource == Job::"stage/1""#,
    r#"resource == Table::"c""#,
    r#"resource in [Workspace::"stage", Environment::"staging"]"#,
    r#"resource in Collection::"pii""#,
    r#"resource.hasTag("x") && resource.getTag("x") == "y""#,
    "resource is Workspace && resource has foo",
    r#"resource.foo == "x""#,
    r#"ip("x").isLoopback()"#,
    "ip(context.request.method).isLoopback()",
    r#"datetime("2026-01-01") < context.request.time"#,
    r#"context.request.time > datetime("2026-13-01")"#,
    "[].isEmpty()",
    "[1, true].contains(1)",
    "1 + true == 2",
    "unheard(1)",
    "\"say_\u{4bb}ello\" == \"\"",
];

fn condition() -> impl Strategy<Value = String> {
    select(ATOMS).prop_map(str::to_owned).prop_recursive(3, 6, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one}) && ({other})")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one}) || ({other})")),
            inner.clone().prop_map(|one| format!("!({one})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(test, one, other)| format!("if {test} then {one} else {other}")),
        ]
    })
}

prop_compose! {
    fn policies()(
        permit: bool,
        (principal, action, resource) in (principal_scope(), action_scope(), resource_scope()),
        conditions in proptest::collection::vec((any::<bool>(), condition()), 0..3),
    ) -> String {
        let mut text = format!("{} ({principal}, {action}, {resource})", if permit { "permit" } else { "forbid" });
        for (when, condition) in conditions {
            let _ = write!(text, "\n{} {{ {condition} }}", if when { "when" } else { "unless" });
        }
        text + ";"
    }
}

fn parsed(piece: &Piece<'_>) -> Option<ast::Template> {
    Some(parse_policy_or_template(None, piece.text).ok()?.new_id(ast::PolicyID::from_string("p")))
}

/// Errors, or warnings where there is none.
fn sliced(rig: &Rig, policy: &ast::Template, piece: &Piece<'_>) -> Result<Vec<Mark>, Vec<Mark>> {
    let Findings { errors, warnings, unfinished } = Validation::new(&rig.validator, &rig.environments).of(policy);
    assert!(!unfinished, "{}", piece.text);
    if errors.is_empty() { Ok(sorted(warnings.iter().map(|warning| mark(warning, piece)).collect())) } else { Err(marks(errors.iter(), piece)) }
}

/// The same of Cedar's own.
fn whole(rig: &Rig, template: &ast::Template, piece: &Piece<'_>) -> Result<Vec<Mark>, Vec<Mark>> {
    let mut set = PolicySet::new();
    if template.is_static() {
        set.add(Policy::parse(Some(PolicyId::new("p")), piece.text).unwrap()).unwrap();
    } else {
        set.add_template(Template::parse(Some(PolicyId::new("p")), piece.text).unwrap()).unwrap();
    }
    let result = rig.validator.validate(&set, ValidationMode::Strict);
    let errors = marks(result.validation_errors(), piece);
    if errors.is_empty() { Ok(sorted(result.validation_warnings().map(|warning| mark(warning, piece)).collect())) } else { Err(errors) }
}

fn sorted(mut marks: Vec<Mark>) -> Vec<Mark> {
    marks.sort_by(|one, other| (one.offset, &one.message).cmp(&(other.offset, &other.message)));
    marks
}

fn assert_same(text: &str) {
    let pieces = pieces(text);
    let Some(policy) = parsed(&pieces[0]) else { return };
    for (number, rig) in RIGS.iter().enumerate() {
        assert_eq!(sliced(rig, &policy, &pieces[0]), whole(rig, &policy, &pieces[0]), "in world {number}: {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn sliced_as_whole(policy in policies()) {
        assert_same(&policy);
    }
}

/// In the catalog's world: 9 actions, each for 3 types of principals and one of resources, of which one has a context of its own.
#[test]
fn few_environments_matter_to_a_policy() {
    let cases = [
        ("permit (principal, action, resource);", 1),
        ("permit (principal, action == Action::\"jobs.run_now\", resource is Table);", 0),
        (r#"permit (principal, action, resource) when { context.peer in Namespace::"cluster.local/x" };"#, 1),
        (r#"permit (principal, action, resource) when { context has token.auth_time && context.request.method == "GET" };"#, 1),
        ("permit (principal, action, resource) when { context.request has run_as };", 2),
        (r#"permit (principal, action in Action::"read", resource) when { context.request has run_as };"#, 1),
        ("permit (principal, action, resource) when { context == context };", 2),
        (r#"permit (principal, action, resource) when { principal in Group::"corp/a" };"#, 3),
        (r#"permit (principal is User, action, resource) when { principal in Group::"corp/a" };"#, 1),
        (r#"permit (principal, action, resource) when { resource in Collection::"pii" };"#, 7),
        (r#"permit (principal, action, resource in Catalog::"stage/main") when { resource in Collection::"pii" };"#, 1),
        (r#"permit (principal, action, resource) when { action in Action::"read" };"#, 2),
        (r#"permit (principal, action, resource) unless { action in [Action::"read", Action::"jobs"] || action == Action::"jobs.get" };"#, 3),
        ("permit (principal, action, resource) when { action in [action] };", 12),
        ("permit (principal, action, resource) when { principal is User && resource is Job && context.request has run_as };", 24),
    ];
    let Rig { validator, environments } = &RIGS[0];
    for (text, want) in cases {
        let policy = Policy::parse(None, text).unwrap();
        let template = policy.as_ref().template();
        let slice = environments.slice(validator.schema().as_ref(), template);
        let lens = Reading::of(template).broadly(&Sights::new(environments));
        assert_eq!(environments.through(&slice, &lens).len(), want, "{text}");
    }
}

/// Cedar's validator passes over what its stack is too small for without a word.
#[test]
fn what_cannot_be_checked_is_not_taken_for_checked() {
    let text = format!("permit (principal, action, resource) when {{ {} }};", ["context.request.method == \"GET\""; 500].join(" || "));
    let policy = parsed(&pieces(&text)[0]).unwrap();
    let Rig { validator, environments } = &RIGS[0];
    let checked = |stack| {
        let work = || Validation::new(validator, environments).of(&policy);
        std::thread::scope(|scope| std::thread::Builder::new().stack_size(stack).spawn_scoped(scope, work).unwrap().join().unwrap())
    };
    let (roomy, narrow) = (checked(64 << 20), checked(256 << 10));
    assert!(roomy.errors.is_empty() && !roomy.unfinished, "{roomy:?}");
    assert!(narrow.errors.is_empty() && narrow.unfinished, "{narrow:?}");
}

#[test]
fn each_thing_said_alone_is_the_same_sliced_as_whole() {
    for atom in ATOMS {
        assert_same(&format!("permit (principal, action, resource) when {{ {atom} }};"));
        assert_same(&format!("forbid (principal is User, action in Action::\"jobs\", resource) unless {{ {atom} }};"));
    }
}
