//! The Cedar schema: what the catalog knows, in the words that policies are checked against.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::model::{ActionSpec, FieldKind, Level, TypeName, TypeSpec, Vocabulary};

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

/// The Cedar schema, in the human-readable syntax, of everything a policy may name.
#[must_use]
pub fn schema(vocabulary: &Vocabulary) -> String {
    let mut text = String::from("// Who calls.\n");
    for (name, parents) in PARTIES {
        entity(&mut text, name, parents);
    }
    text.push_str("\n// What is called.\n");
    for spec in vocabulary.types.iter().filter(|spec| !is_party(spec.name.as_str())) {
        entity(&mut text, spec.name.as_str(), &parents_of(spec));
    }
    text.push_str(
        "\n// The facts of a verified token.\ntype Token = {\n  issuer: String,\n  scopes: Set<String>,\n  client?: String,\n  \
         auth_time?: datetime,\n  acr?: String,\n  expires: datetime,\n};\n",
    );
    text.push_str("\n// The levels.\n");
    for level in Level::ALL {
        let _ = writeln!(text, "action \"{}\";", level.as_str());
    }
    text.push_str("\n// The services.\n");
    let services: BTreeSet<&str> = vocabulary.actions.iter().filter_map(|spec| service_group(&spec.action.service)).collect();
    for service in services {
        let _ = writeln!(text, "action \"{service}\";");
    }
    text.push_str("\n// The actions.\n");
    for spec in &vocabulary.actions {
        action(&mut text, spec);
    }
    text
}

/// The group that holds a service's actions; `None` where the service is named like a level (`credentials` is one), which alone keeps the name:
/// else `action in Action::"credentials"` would reach everything of that service.
pub(super) fn service_group(service: &str) -> Option<&str> {
    let is_level = Level::ALL.iter().any(|level| level.as_str() == service);
    (!is_level).then_some(service)
}

/// The direct parents of a resource type, the inventory's containers among them.
pub(super) fn parents_of(spec: &TypeSpec) -> Vec<&str> {
    spec.parents.iter().map(TypeName::as_str).chain([COLLECTION]).collect()
}

fn is_party(name: &str) -> bool {
    PARTIES.iter().any(|(party, _)| *party == name)
}

fn entity(text: &mut String, name: &str, parents: &[&str]) {
    let within = if parents.is_empty() { String::new() } else { format!(" in [{}]", parents.join(", ")) };
    let _ = writeln!(text, "entity {name}{within} tags String;");
}

fn action(text: &mut String, spec: &ActionSpec) {
    let groups: Vec<String> =
        service_group(&spec.action.service).into_iter().chain([spec.action.level.as_str()]).map(|group| format!("\"{group}\"")).collect();
    let resources: Vec<&str> = spec.resources.iter().map(TypeName::as_str).collect();
    let fields: String = spec
        .fields
        .iter()
        .filter(|field| !REQUEST_FACTS.contains(&&*field.name))
        .map(|field| format!(", \"{}\"?: {}", field.name.escape_debug(), cedar_type(field.kind)))
        .collect();
    let _ = writeln!(
        text,
        "action \"{}\" in [{}] appliesTo {{\n  principal: [User, ServicePrincipal, Workload],\n  resource: [{}],\n  context: {{\n    \
         peer: Workload,\n    actor?: String,\n    token?: Token,\n    \
         request: {{ method: String, path: String, source_ip?: ipaddr, time: datetime{fields} }},\n  }},\n}};",
        spec.action.name.escape_debug(),
        groups.join(", "),
        resources.join(", "),
    );
}

fn cedar_type(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "String",
        FieldKind::Long => "Long",
        FieldKind::Bool => "Bool",
        FieldKind::Texts => "Set<String>",
    }
}
