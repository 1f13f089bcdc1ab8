//! Against Cedar alone: cases in the format of Cedar's own integration tests (`policies`, `entities`, `requests` with `decision`, `reason` and `errors`),
//! decided by its authorizer, with schema and all entities, and by ours.

use std::{net::IpAddr, path::Path, sync::LazyLock};

use cedar_policy::{Authorizer as Cedar, Context, Decision, Entities, EntityUid, PolicyId, PolicySet, Request, Schema};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{
    equivalence::{callers, intents, moments, policies},
    world::{action, claims, load, seal, summary, target, token, vocabulary},
};
use crate::{
    authz::{Authorizer, schema, text::pieces},
    model::{Caller, EntityRef, Field, FieldValue, Intent, RequestFacts, Resource, SpiffeId, Token, TypeName},
};

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| schema(&vocabulary(), &claims()).unwrap().parse().unwrap());

/// What both come to: whether it is allowed, the policies that determined it, and those that failed; sorted.
type Answer = (bool, Vec<String>, Vec<String>);

/// The policies of a text under their `@id`s, which Cedar's own parser gives numbers.
fn named(text: &str) -> PolicySet {
    let mut set = PolicySet::new();
    for piece in pieces(text) {
        let policy = cedar_policy::Policy::parse(None, piece.text).unwrap();
        let id = PolicyId::new(policy.annotation("id").unwrap());
        set.add(policy.new_id(id)).unwrap();
    }
    set
}

fn value(value: &FieldValue) -> Value {
    match value {
        FieldValue::Text(text) => json!(text),
        FieldValue::Long(number) => json!(number),
        FieldValue::Bool(yes) => json!(yes),
        FieldValue::Texts(texts) => json!(texts),
    }
}

fn uid(value: &Value) -> EntityUid {
    EntityUid::from_json(value.clone()).unwrap()
}

fn sorted(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

/// By Cedar alone, which checks entities and context against the schema.
fn by_cedar(set: &PolicySet, entities: &Value, request: &Value) -> Answer {
    let entities = Entities::from_json_value(entities.clone(), Some(&SCHEMA)).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    let (principal, action, resource) = (uid(&request["principal"]), uid(&request["action"]), uid(&request["resource"]));
    let context =
        Context::from_json_value(request["context"].clone(), Some((&SCHEMA, &action))).unwrap_or_else(|error| panic!("{error:?} {request}"));
    let request = Request::new(principal, action, resource, context, Some(&SCHEMA)).unwrap();
    let response = Cedar::new().is_authorized(&request, set, &entities);
    let failed = response.diagnostics().errors().map(|error| {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
        error.policy_id().to_string()
    });
    let allowed = response.decision() == Decision::Allow;
    (allowed, sorted(response.diagnostics().reason().map(ToString::to_string)), sorted(failed))
}

/// By ours: an error anywhere denies, and is all that is told.
fn by_us(authorizer: &Authorizer, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Answer {
    match summary(authorizer.authorize(caller, intent, facts)) {
        Ok(policies) => (true, policies, Vec::new()),
        Err(("POLICY_ERROR", policies)) => (false, Vec::new(), policies),
        Err((_, policies)) => (false, policies, Vec::new()),
    }
}

fn assert_agreed(cedar: Answer, ours: &Answer, about: &str) {
    let (allowed, determining, failed) = cedar;
    let wanted = if failed.is_empty() { (allowed, determining, failed) } else { (false, Vec::new(), failed) };
    assert_eq!(ours, &wanted, "{about}");
}

fn entity(entity: &EntityRef) -> Value {
    json!({ "type": entity.kind.as_str(), "id": &*entity.id })
}

fn of(kind: &str, id: &str) -> EntityRef {
    EntityRef::new(&TypeName::new(kind), id)
}

fn datetime(ms: i64) -> Value {
    let text = jiff::Timestamp::from_millisecond(ms).unwrap().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    json!({ "__extn": { "fn": "datetime", "arg": text } })
}

/// Entities and one request for each resource, as Cedar's tests write them.
fn exported(caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> (Value, Vec<Value>) {
    let principal = caller.principal().unwrap().entity();
    let namespace = caller.peer.as_ref().and_then(|peer| Some(of("Namespace", &format!("{}/{}", peer.trust_domain(), peer.namespace()?))));
    let peer = of("Workload", caller.peer.as_ref().map_or("none", SpiffeId::as_str));
    let mut listed: Vec<(EntityRef, Vec<EntityRef>)> = vec![(peer.clone(), namespace.into_iter().collect())];
    let mut context =
        json!({ "peer": { "__entity": entity(&peer) }, "request": { "method": facts.method, "path": facts.path, "time": datetime(facts.time_ms) } });
    if let Some(ip) = facts.source_ip {
        context["request"]["source_ip"] = json!({ "__extn": { "fn": "ip", "arg": ip.to_string() } });
    }
    for field in &intent.fields {
        context["request"][&*field.name] = value(&field.value);
    }
    if let Some(token) = &caller.token {
        let groups = token.groups.iter().map(|group| of("Group", &format!("corp/{group}")));
        let roles = token.roles.iter().map(|role| of("Role", &format!("corp/{role}")));
        listed.push((principal.clone(), groups.chain(roles).chain([of("Issuer", "corp")]).collect()));
        context["token"] = json!({ "issuer": "corp", "scopes": token.scopes, "expires": datetime(token.expires_at * 1000), "claims": {} });
        for claim in &token.claims {
            context["token"]["claims"][&*claim.name] = value(&claim.value);
        }
        if let Some(purpose) = &token.purpose {
            context["purpose"] = json!(purpose);
        }
        if let Some(seconds) = token.auth_time {
            context["token"]["auth_time"] = datetime(seconds * 1000);
        }
        if let Some(actor) = token.actors.first() {
            context["actor"] = json!(format!("corp/{actor}"));
        }
    }
    listed.extend(intent.resources.iter().map(|resource| (resource.entity.clone(), resource.ancestors.clone())));
    let entities = listed.iter().map(|(one, parents)| {
        let parents: Vec<Value> = parents.iter().filter(|parent| direct(one, parent)).map(entity).collect();
        json!({ "uid": entity(one), "attrs": {}, "parents": parents })
    });
    let workspace = json!({ "uid": { "type": "Workspace", "id": "stage" }, "attrs": {}, "parents": [{ "type": "Environment", "id": "staging" }] });
    let has_workspace = listed.iter().any(|(one, _)| one.kind.as_str() == "Workspace");
    let entities: Vec<Value> = entities.chain((!has_workspace).then_some(workspace)).collect();
    let request = |resource: &Resource| {
        json!({
            "principal": entity(&principal), "action": { "type": "Action", "id": &*intent.action.name }, "resource": entity(&resource.entity), "context": context,
        })
    };
    (json!(entities), intent.resources.iter().map(request).collect())
}

/// A job's environment is that of its workspace, by which Cedar has to find it.
fn direct(one: &EntityRef, parent: &EntityRef) -> bool {
    one.kind.as_str() == "Workspace" || parent.kind.as_str() != "Environment"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn generated_policies_are_decided_as_by_cedar(policies in policies(), asked in vec((callers(), intents(), moments()), 1..8)) {
        let (set, authorizer) = (named(&policies), load(&policies));
        for (caller, intent, facts) in &asked {
            let (entities, requests) = exported(caller, intent, facts);
            // One resource after the other, since Cedar knows no call on several.
            for (resource, request) in intent.resources.iter().zip(&requests) {
                let one = Intent { resources: [resource.clone()].into_iter().collect(), ..intent.clone() };
                assert_agreed(by_cedar(&set, &entities, request), &by_us(&authorizer, caller, &one, facts), &format!("{policies}\n{request}"));
            }
        }
    }
}

/// What a request of a corpus file is to us.
fn imported(entities: &Value, request: &Value) -> (Caller, Intent, String, String, Option<IpAddr>, i64) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let parents = |id: &Value| -> Vec<EntityRef> {
        let listed = entities.as_array().unwrap().iter().find(|entity| entity["uid"] == *id);
        let parents = listed.and_then(|entity| entity["parents"].as_array()).into_iter().flatten();
        parents.map(|parent| of(&text(&parent["type"]), &text(&parent["id"]))).collect()
    };
    let all = |id: &Value| {
        let (mut found, mut open) = (Vec::new(), parents(id));
        while let Some(next) = open.pop() {
            open.extend(parents(&entity(&next)));
            found.push(next);
        }
        found
    };
    let context = &request["context"];
    let (principal, peer) = (&request["principal"], text(&context["peer"]["__entity"]["id"]));
    let named = |kind: &str| {
        let parents = parents(principal).into_iter().filter(|parent| parent.kind.as_str() == kind);
        parents.map(|parent| parent.id.split_once('/').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    let token = (principal["type"] == "User").then(|| {
        let mut token: Token = token(text(&principal["id"]).split_once('/').unwrap().1, &[]);
        (token.groups, token.roles) = (named("Group"), named("Role"));
        let scopes = context["token"]["scopes"].as_array().unwrap();
        token.scopes = scopes.iter().map(text).collect();
        seal(&mut token);
        token.into()
    });
    let caller = Caller { peer: SpiffeId::parse(&peer).ok(), token };
    let resource =
        Resource { entity: of(&text(&request["resource"]["type"]), &text(&request["resource"]["id"])), ancestors: all(&request["resource"]) };
    let name = text(&request["action"]["id"]);
    let spec = vocabulary().actions.into_iter().find(|spec| *spec.action.name == *name).unwrap();
    assert_eq!(spec.action, action(&name, spec.action.level));
    let facts = ["method", "path", "time", "source_ip"];
    let further = context["request"].as_object().unwrap().iter().filter(|(name, _)| !facts.contains(&name.as_str()));
    let fields = further.map(|(name, value)| Field { name: name.as_str().into(), value: FieldValue::Text(text(value)) }).collect();
    let intent = Intent { target: target(), action: spec.action, resources: [resource].into_iter().collect(), fields, scope: None };
    let time: jiff::Timestamp = text(&context["request"]["time"]["__extn"]["arg"]).parse().unwrap();
    let ip = context["request"]["source_ip"]["__extn"]["arg"].as_str().map(|ip| ip.parse().unwrap());
    (caller, intent, text(&context["request"]["method"]), text(&context["request"]["path"]), ip, time.as_millisecond())
}

#[test]
fn a_corpus_in_cedars_format_is_decided_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cedar");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut count = 0;
    for file in std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()) {
        if !file.ends_with(".test.json") {
            continue;
        }
        let test: Value = serde_json::from_str(&read(&file)).unwrap();
        let policies = read(test["policies"].as_str().unwrap());
        let entities: Value = serde_json::from_str(&read(test["entities"].as_str().unwrap())).unwrap();
        let (set, authorizer) = (named(&policies), load(&policies));
        assert_eq!(test["shouldValidate"], true, "{file}: strict validation is not left out");
        for request in test["requests"].as_array().unwrap() {
            let about = format!("{file}: {}", request["description"]);
            let ids = |key: &str| sorted(request[key].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
            let cedar = by_cedar(&set, &entities, request);
            assert_eq!(cedar, (request["decision"] == "allow", ids("reason"), ids("errors")), "{about}");
            let (caller, intent, method, path, source_ip, time_ms) = imported(&entities, request);
            let facts = RequestFacts { method: &method, path: &path, source_ip, time_ms };
            assert_agreed(cedar, &by_us(&authorizer, &caller, &intent, &facts), &about);
            count += 1;
        }
    }
    assert!(count >= 10, "{count} requests");
}
