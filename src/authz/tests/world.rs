//! A small world to decide in: a vocabulary, callers, intents, policies.

use std::sync::{Arc, LazyLock};

use crate::{
    authz::{Authorizer, Permit, Source},
    model::{
        Action, ActionSpec, Caller, EntityRef, Environment, Fault, Field, FieldKind, FieldSpec, FieldValue, IdForm, Intent, Level, Mark, Name,
        PrincipalKind, Refusal, RequestFacts, Resource, SpiffeId, Target, TargetKind, Token, TypeName, TypeSpec, Vocabulary,
    },
};

/// 2026-01-01T00:00:00Z
pub(in crate::authz) const NOW_MS: i64 = 1_767_225_600_000;

pub(in crate::authz) fn vocabulary() -> Vocabulary {
    let kind = |name: &str, parents: &[&str], form| TypeSpec {
        name: TypeName::new(name),
        parents: parents.iter().map(|parent| TypeName::new(parent)).collect(),
        seen_as: if name == "Index" { vec![TypeName::new("Table")] } else { Vec::new() },
        part_of: if name == "JobRun" { vec![TypeName::new("Job")] } else { Vec::new() },
        form,
    };
    let dotted = |parts| IdForm::Dotted { parts, or_id: false };
    let types = vec![
        kind("Account", &[], IdForm::Exact),
        kind("Catalog", &["Workspace"], dotted(1)),
        kind("Environment", &[], IdForm::Exact),
        kind("File", &["File"], IdForm::VolumePath),
        kind("Index", &["Schema"], dotted(3)),
        kind("Job", &["Workspace"], IdForm::Decimal),
        kind("JobRun", &["Workspace"], IdForm::Decimal),
        kind("Notebook", &["Workspace"], IdForm::Path),
        kind("Schema", &["Catalog"], dotted(2)),
        kind("SecretScope", &["Workspace"], IdForm::Exact),
        kind("Service", &["Environment"], IdForm::Exact),
        kind("ServingEndpoint", &["Workspace"], IdForm::Exact),
        kind("Table", &["Schema"], dotted(3)),
        kind("Workspace", &["Environment"], IdForm::Exact),
    ];
    let field = |name: &str, kind| FieldSpec { name: name.into(), kind };
    let spec = |name: &str, level, resources: &[&str], fields: Vec<FieldSpec>| ActionSpec {
        action: action(name, level),
        resources: resources.iter().map(|name| TypeName::new(name)).collect(),
        orphans: match name {
            "jobs.cancel_run" => vec![TypeName::new("JobRun")],
            "tables.temporary" => vec![TypeName::new("Table")],
            _ => Vec::new(),
        },
        fields,
    };
    let submit =
        vec![field("run_as", FieldKind::Text), field("path", FieldKind::Text), field("priority", FieldKind::Long), field("tags", FieldKind::Texts)];
    let actions = vec![
        spec("account.get", Level::Read, &["Account"], vec![]),
        spec("credentials.list", Level::Read, &["Workspace"], vec![]),
        spec("jobs.cancel_run", Level::Use, &["JobRun"], vec![]),
        spec("jobs.get", Level::Read, &["Job"], vec![]),
        spec("jobs.run_now", Level::Use, &["Job"], vec![]),
        spec("jobs.submit", Level::Manage, &["Workspace"], submit),
        spec("secrets.get_secret", Level::Credentials, &["SecretScope"], vec![]),
        spec("serving_endpoints.get", Level::Read, &["ServingEndpoint"], vec![]),
        spec("serving_endpoints.query", Level::Use, &["ServingEndpoint"], vec![]),
        spec("sql.execute", Level::Use, &["Workspace"], vec![]),
        spec("tables.get", Level::Read, &["Table"], vec![]),
        spec("tables.temporary", Level::Credentials, &["Table"], vec![]),
    ];
    Vocabulary { types, actions, aliases: [("jobs.start".into(), "jobs.run_now".into())].into() }
}

/// The attributes of tokens, one of each type.
pub(in crate::authz) fn claims() -> Vec<FieldSpec> {
    let kinds = [("repository", FieldKind::Text), ("teams", FieldKind::Texts), ("tier", FieldKind::Long), ("trusted", FieldKind::Bool)];
    kinds.map(|(name, kind)| FieldSpec { name: name.into(), kind }).to_vec()
}

pub(in crate::authz) fn action(name: &str, level: Level) -> Arc<Action> {
    let (service, _) = name.rsplit_once('.').unwrap();
    let marks = if name == "sql.execute" { vec![Mark::Executes] } else { Vec::new() };
    Arc::new(Action {
        name: name.into(),
        service: service.into(),
        level,
        marks,
        within: if name == "jobs.cancel_run" { vec!["jobs.submit".into()] } else { Vec::new() },
    })
}

pub(in crate::authz) fn entity(kind: &str, id: &str) -> EntityRef {
    EntityRef::new(&TypeName::new(kind), id)
}

pub(in crate::authz) fn target() -> Arc<Target> {
    let name = |text| Name::parse(text).unwrap();
    Arc::new(Target {
        kind: TargetKind::Workspace,
        name: name("stage"),
        workspace_id: Some("1111111111111111".into()),
        account_id: None,
        environment: Some(Environment(name("staging"))),
    })
}

/// `Job::"stage/42"` in its workspace and environment; a table in its schema and catalog besides.
pub(in crate::authz) fn resource(kind: &str, id: &str) -> Resource {
    let mut ancestors = Vec::new();
    if kind == "Table" {
        let parts: Vec<&str> = id.split('.').collect();
        ancestors.push(entity("Schema", &parts[..2].join(".")));
        ancestors.push(entity("Catalog", parts[0]));
    }
    if kind != "Workspace" {
        ancestors.push(entity("Workspace", "stage"));
    }
    ancestors.push(entity("Environment", "staging"));
    Resource { entity: entity(kind, id), ancestors }
}

pub(in crate::authz) fn intent(name: &str, resources: &[(&str, &str)]) -> Intent {
    let vocabulary = vocabulary();
    let spec = vocabulary.actions.iter().find(|spec| &*spec.action.name == name).unwrap();
    Intent {
        target: target(),
        action: spec.action.clone(),
        resources: resources.iter().map(|(kind, id)| resource(kind, id)).collect(),
        fields: Vec::new(),
        scope: None,
    }
}

pub(in crate::authz) fn with_field(mut intent: Intent, name: &str, value: FieldValue) -> Intent {
    intent.fields.push(Field { name: name.into(), value });
    intent
}

pub(in crate::authz) fn token(subject: &str, groups: &[&str]) -> Token {
    let mut token = Token {
        issuer: Name::parse("corp").unwrap(),
        kind: PrincipalKind::User,
        subject: subject.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        groups_elsewhere: false,
        roles: Vec::new(),
        scopes: Vec::new(),
        client: None,
        expires_at: NOW_MS / 1000 + 3600,
        issued_at: None,
        auth_time: None,
        acr: None,
        id: None,
        session: None,
        actors: Vec::new(),
        claims: Vec::new(),
        purpose: None,
        email: None,
        digest: [0; 32],
    };
    seal(&mut token);
    token
}

/// Sets the digest, as verification does.
pub(in crate::authz) fn seal(token: &mut Token) {
    token.digest = [0; 32];
    let facts = Token { expires_at: 0, issued_at: None, id: None, ..token.clone() };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{facts:?}").as_bytes());
    token.digest.copy_from_slice(digest.as_ref());
}

pub(in crate::authz) fn caller(token: Option<Token>, peer: Option<&str>) -> Caller {
    let peer = peer.map(|peer| {
        SpiffeId::parse(&format!("spiffe://cluster.local/ns/{}/sa/{}", peer.split_once('/').unwrap().0, peer.split_once('/').unwrap().1)).unwrap()
    });
    Caller { peer, token: token.map(Arc::new) }
}

/// Alice of the group `ml-engineers`, from `ml-staging/trainer`.
pub(in crate::authz) fn alice() -> Caller {
    caller(Some(token("alice", &["ml-engineers"])), Some("ml-staging/trainer"))
}

pub(in crate::authz) fn facts() -> RequestFacts<'static> {
    RequestFacts { method: "POST", path: "/api", source_ip: None, time_ms: NOW_MS }
}

pub(in crate::authz) fn source(policies: &str) -> Source {
    Source { claims: claims(), files: vec![("base.cedar".into(), policies.to_owned())], ..Source::default() }
}

/// Lends its schema, which costs more to read than all else in a test.
static SCHEMA: LazyLock<Authorizer> = LazyLock::new(|| {
    Authorizer::load(&vocabulary(), &source(r#"@id("any") permit (principal, action, resource);"#), 0, None).unwrap_or_else(|_| panic!())
});

pub(in crate::authz) fn load(policies: &str) -> Authorizer {
    load_with(policies, "[]")
}

pub(in crate::authz) fn load_with(policies: &str, inventory: &str) -> Authorizer {
    let source = Source { inventory: Some(("entities.json".into(), inventory.to_owned())), ..source(policies) };
    Authorizer::load(&vocabulary(), &source, 1 << 20, Some(&SCHEMA)).unwrap_or_else(|faults| panic!("{}", said(&faults)))
}

pub(in crate::authz) fn said(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect::<Vec<_>>().concat()
}

/// The ids that permitted, or the reason's code and the ids that decided.
pub(in crate::authz) fn summary(result: Result<Permit, Refusal>) -> Result<Vec<String>, (&'static str, Vec<String>)> {
    result.map(|permit| permit.policies().to_vec()).map_err(|refusal| (refusal.reason.code(), refusal.policies))
}
