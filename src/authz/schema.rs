//! The Cedar schema: what the catalog knows, in the words that policies are checked against.

use cedar_policy::SchemaFragment;
use serde_json::{Map, Value, json};

use crate::model::{ActionSpec, FieldKind, FieldSpec, Level, Mark, TypeName, TypeSpec, Vocabulary};

/// Extra containers that only the inventory fills: `Collection::"pii"`.
pub(super) const COLLECTION: &str = "Collection";

/// The types that are no resources, each with the types it may stand in.
pub(super) const PARTIES: [(&str, &[&str]); 8] = [
    ("Issuer", &[]),
    ("Group", &["Group"]),
    ("Role", &[]),
    ("User", &["Group", "Role", "Issuer"]),
    ("ServicePrincipal", &["Group", "Role", "Issuer"]),
    ("Namespace", &[]),
    ("Workload", &["Namespace"]),
    (COLLECTION, &[COLLECTION]),
];

/// What every request says of itself. A body field of one of these names is left out, or a body could pass for the request's own fact.
pub(super) const REQUEST_FACTS: [&str; 4] = ["method", "path", "source_ip", "time"];

/// The context that most actions share; the schema is read many times faster when they name it.
const PLAIN: &str = "PlainContext";

/// The facts of a verified token.
const TOKEN: &str = "TokenFacts";

/// The Cedar schema of everything a policy may name, as people write it; `claims` are the attributes of all issuers.
///
/// # Errors
/// A message where the vocabulary makes no schema.
pub fn schema(vocabulary: &Vocabulary, claims: &[FieldSpec]) -> Result<String, String> {
    let fragment = SchemaFragment::from_json_value(schema_json(vocabulary, claims)).map_err(|error| error.to_string())?;
    fragment.to_cedarschema().map_err(|error| error.to_string())
}

/// The same in Cedar's JSON syntax, which is read several times faster.
pub(super) fn schema_json(vocabulary: &Vocabulary, claims: &[FieldSpec]) -> Value {
    let mut entities: Map<String, Value> = PARTIES.iter().map(|(name, parents)| ((*name).to_owned(), entity(parents))).collect();
    let resources = vocabulary.types.iter().filter(|spec| !is_party(spec.name.as_str()));
    entities.extend(resources.map(|spec| (spec.name.to_string(), entity(&parents_of(spec)))));
    let services = vocabulary.actions.iter().filter_map(|spec| service_group(&spec.action.service));
    let groups = Level::ALL.map(Level::as_str).into_iter().chain(Mark::ALL.map(Mark::as_str)).chain(services);
    let mut actions: Map<String, Value> =
        groups.map(|group| (group.to_owned(), json!({"appliesTo": {"resourceTypes": [], "principalTypes": []}}))).collect();
    actions.extend(vocabulary.actions.iter().map(|spec| (spec.action.name.to_string(), action(spec))));
    let common = json!({ TOKEN: token(claims), PLAIN: context(&[]) });
    json!({"": {"commonTypes": common, "entityTypes": entities, "actions": actions}})
}

/// The group that holds a service's actions; `None` where the service is named like a level (`credentials` is one) or a mark, which alone keeps the name:
/// else `action in Action::"credentials"` would reach everything of that service.
pub(super) fn service_group(service: &str) -> Option<&str> {
    let is_level = Level::ALL.iter().any(|level| level.as_str() == service);
    let is_mark = Mark::ALL.iter().any(|mark| mark.as_str() == service);
    (!is_level && !is_mark).then_some(service)
}

/// The direct parents of a resource type, the inventory's containers among them.
pub(super) fn parents_of(spec: &TypeSpec) -> Vec<&str> {
    spec.parents.iter().map(TypeName::as_str).chain([COLLECTION]).collect()
}

fn is_party(name: &str) -> bool {
    PARTIES.iter().any(|(party, _)| *party == name)
}

fn entity(parents: &[&str]) -> Value {
    let tags = named("String");
    if parents.is_empty() { json!({"tags": tags}) } else { json!({"memberOfTypes": parents, "tags": tags}) }
}

fn action(spec: &ActionSpec) -> Value {
    let groups = service_group(&spec.action.service).into_iter().chain([spec.action.level.as_str()]).chain(spec.action.groups());
    let groups: Vec<Value> = groups.map(|group| json!({"id": group, "type": "Action"})).collect();
    let resources: Vec<&str> = spec.resources.iter().map(TypeName::as_str).collect();
    let fields: Vec<&FieldSpec> = spec.fields.iter().filter(|field| !REQUEST_FACTS.contains(&&*field.name)).collect();
    let context = if fields.is_empty() { json!({"type": PLAIN}) } else { context(&fields) };
    json!({
        "appliesTo": {"resourceTypes": resources, "principalTypes": ["User", "ServicePrincipal", "Workload"], "context": context},
        "memberOf": groups,
    })
}

/// The context of an action with these further fields of the request.
fn context(fields: &[&FieldSpec]) -> Value {
    let facts = [("method", named("String")), ("path", named("String")), ("source_ip", optional("ipaddr")), ("time", named("datetime"))];
    let mut request: Map<String, Value> = facts.map(|(name, kind)| (name.to_owned(), kind)).into_iter().collect();
    request.extend(fields.iter().map(|field| (field.name.to_string(), cedar_type(field.kind))));
    json!({"type": "Record", "attributes": {
        "peer": named("Workload"),
        "actor": optional("String"),
        "purpose": optional("String"),
        "token": optional(TOKEN),
        "request": {"type": "Record", "attributes": request},
    }})
}

fn token(claims: &[FieldSpec]) -> Value {
    let claims: Map<String, Value> = claims.iter().map(|claim| (claim.name.to_string(), cedar_type(claim.kind))).collect();
    json!({"type": "Record", "attributes": {
        "issuer": named("String"),
        "scopes": {"type": "Set", "element": named("String")},
        "client": optional("String"),
        "auth_time": optional("datetime"),
        "acr": optional("String"),
        "expires": named("datetime"),
        "claims": {"type": "Record", "attributes": claims},
    }})
}

fn named(name: &str) -> Value {
    json!({"type": "EntityOrCommon", "name": name})
}

fn optional(name: &str) -> Value {
    json!({"type": "EntityOrCommon", "name": name, "required": false})
}

/// A field of the request, or a claim of the token, which a call may leave out.
fn cedar_type(kind: FieldKind) -> Value {
    match kind {
        FieldKind::Text => optional("String"),
        FieldKind::Long => optional("Long"),
        FieldKind::Bool => optional("Bool"),
        FieldKind::Texts => json!({"type": "Set", "element": named("String"), "required": false}),
    }
}
