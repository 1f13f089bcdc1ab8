//! Whom no shipped policy names, none permits anything: no action of the catalog, on no object, from no namespace.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use lakegate::{
    authz::{Authorizer, Source},
    classify::Catalog,
    model::{
        Action, Caller, EntityRef, Environment, Intent, Name, PrincipalKind, Reason, RequestFacts, Resource, SpiffeId, Target, TargetKind, Token,
        TypeName,
    },
};

/// 2026-01-01T12:00:00Z
const NOW: i64 = 1_767_268_800;

/// The shipped policies, and every entity that they name, as type and id.
fn shipped() -> (Source, BTreeSet<(String, String)>) {
    let (mut source, mut named) = (Source::default(), BTreeSet::new());
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "cedar") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let parts: Vec<&str> = text.split("::\"").collect();
        for pair in parts.windows(2) {
            let kind = pair[0].rsplit(|c: char| !c.is_alphanumeric()).next().unwrap();
            named.insert((kind.to_owned(), pair[1].split('"').next().unwrap().to_owned()));
        }
        source.files.push((path, text));
    }
    (source, named)
}

fn entity(kind: &str, id: &str) -> EntityRef {
    EntityRef::new(&TypeName::new(kind), id)
}

fn targets() -> [Arc<Target>; 5] {
    let target = |kind, name: &str, environment: Option<&str>| {
        let environment = environment.map(|name| Environment(Name::parse(name).unwrap()));
        Arc::new(Target { kind, name: Name::parse(name).unwrap(), workspace_id: None, account_id: None, environment })
    };
    [
        target(TargetKind::Workspace, "dev", Some("dev")),
        target(TargetKind::Workspace, "stage", Some("staging")),
        target(TargetKind::Workspace, "prod", Some("prod")),
        target(TargetKind::Account, "main", None),
        target(TargetKind::Service, "tracking", Some("staging")),
    ]
}

/// A person who just signed in with a second factor, and is in nothing; `actor` acts for them.
fn person(actor: Option<&str>) -> Token {
    Token {
        issuer: Name::parse("corp").unwrap(),
        kind: PrincipalKind::User,
        subject: "nina".to_owned(),
        groups: Vec::new(),
        groups_elsewhere: false,
        roles: Vec::new(),
        scopes: Vec::new(),
        client: None,
        expires_at: NOW + 300,
        issued_at: None,
        auth_time: Some(NOW),
        acr: Some("mfa".to_owned()),
        id: None,
        session: None,
        actors: actor.map(str::to_owned).into_iter().collect(),
        claims: Vec::new(),
        purpose: None,
        email: None,
        digest: [u8::from(actor.is_some()); 32],
    }
}

/// The callers that no policy names: nobody, persons without groups in every namespace that one names, and a workload of another.
fn strangers(named: &BTreeSet<(String, String)>) -> Vec<Caller> {
    let workload = |namespace: &str| {
        let (domain, namespace) = namespace.split_once('/').unwrap();
        SpiffeId::parse(&format!("spiffe://{domain}/ns/{namespace}/sa/x")).unwrap()
    };
    let persons = named.iter().filter(|(kind, _)| kind == "Namespace").map(|(_, namespace)| Some(workload(namespace))).chain([None]);
    let persons = persons.flat_map(|peer| [None, Some("copilot")].map(|actor| Caller { peer: peer.clone(), token: Some(Arc::new(person(actor))) }));
    persons.chain([Caller { peer: None, token: None }, Caller { peer: Some(workload("cluster.local/somewhere")), token: None }]).collect()
}

/// An object of that type in `target`, in everything there that a policy names; `None` where there can be none.
fn object(kind: &str, target: &Target, native: Option<&str>, named: &BTreeSet<(String, String)>) -> Option<Resource> {
    let within = |id: &str| id.split_once('/').is_some_and(|(first, _)| first == target.name.as_str());
    let environment = target.environment.iter().map(|environment| entity("Environment", environment.0.as_str()));
    let mut ancestors: Vec<EntityRef> = named.iter().filter(|(_, id)| within(id)).map(|(kind, id)| entity(kind, id)).collect();
    let itself = match kind {
        "Workspace" | "Account" | "Service" if kind == target.kind.type_name() => target.entity(),
        // What is in an account or a service differs from what is in a workspace by nothing that a policy asks for.
        _ if matches!(kind, "Workspace" | "Account" | "Service") || target.kind != TargetKind::Workspace => return None,
        _ => {
            ancestors.push(target.entity());
            entity(kind, &native.map_or_else(|| format!("{}/x", target.name), str::to_owned))
        }
    };
    ancestors.extend(environment);
    ancestors.retain(|ancestor| *ancestor != itself);
    Some(Resource { entity: itself, ancestors })
}

#[test]
fn no_shipped_policy_permits_anything_to_a_stranger() {
    let catalog = Catalog::embedded().unwrap();
    let (source, named) = shipped();
    let authorizer = Authorizer::load(catalog.vocabulary(), &source, 1 << 20, None).unwrap();
    let strangers = strangers(&named);
    assert!(strangers.len() > 12, "{} callers", strangers.len());
    let facts = RequestFacts { method: "POST", path: "/api", source_ip: None, time_ms: NOW * 1000 };
    let (mut asked, mut turn) = (0, 0);
    let mut ask = |action: &Arc<Action>, target: &Arc<Target>, object: Resource| {
        let intent =
            Intent { target: target.clone(), action: action.clone(), resources: [object].into_iter().collect(), fields: Vec::new(), scope: None };
        // Each question by one of them in turn: all by all would take minutes.
        turn = (turn + 1) % strangers.len();
        let caller = &strangers[turn];
        let refusal = authorizer.authorize(caller, &intent, &facts).expect_err("a stranger may do something");
        let expected = [Reason::PolicyNoPermit, Reason::PolicyForbids, Reason::CredentialMissing];
        assert!(expected.contains(&refusal.reason), "{}: {refusal:?}", action.name);
        assert_eq!(refusal.reason == Reason::CredentialMissing, caller.principal().is_none());
        asked += 1;
    };
    for spec in &catalog.vocabulary().actions {
        for kind in spec.resources.iter().chain(&spec.orphans).map(TypeName::as_str) {
            for target in &targets() {
                let natives = named.iter().filter(|(of, id)| of == kind && id.starts_with(&format!("{}/", target.name)));
                for native in natives.map(|(_, id)| Some(id.as_str())).chain([None]) {
                    if let Some(object) = object(kind, target, native, &named) {
                        ask(&spec.action, target, object);
                    }
                }
            }
        }
    }
    assert!(asked > 3 * catalog.vocabulary().actions.len(), "{asked}");
}
