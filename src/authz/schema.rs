//! The Cedar schema: what the catalog knows, in the words that policies are checked against.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::model::{ActionSpec, FieldKind, Level, Mark, TypeName, TypeSpec, Vocabulary};

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

const TOKEN: &str = "
// The facts of a verified token.
type TokenFacts = {
  issuer: String,
  scopes: Set<String>,
  client?: String,
  auth_time?: datetime,
  acr?: String,
  expires: datetime,
};
";

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
    text.push_str(TOKEN);
    let _ = writeln!(text, "\n// What a request without body fields says of itself.\ntype {PLAIN} = {};", context(""));
    text.push_str("\n// The levels.\n");
    for level in Level::ALL {
        let _ = writeln!(text, "action \"{}\";", level.as_str());
    }
    text.push_str("\n// The marks.\n");
    for mark in Mark::ALL {
        let _ = writeln!(text, "action \"{}\";", mark.as_str());
    }
    text.push_str("\n// The services.\n");
    let services: BTreeSet<&str> = vocabulary.actions.iter().filter_map(|spec| service_group(&spec.action.service)).collect();
    for service in services {
        let _ = writeln!(text, "action \"{service}\";");
    }
    text.push_str("\n// The actions.\n");
    let mut declarations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for spec in &vocabulary.actions {
        declarations.entry(declaration(spec)).or_default().push(format!("\"{}\"", spec.action.name.escape_debug()));
    }
    for (declaration, names) in declarations {
        let _ = writeln!(text, "action {}{declaration}", names.join(", "));
    }
    text
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

fn entity(text: &mut String, name: &str, parents: &[&str]) {
    let within = if parents.is_empty() { String::new() } else { format!(" in [{}]", parents.join(", ")) };
    let _ = writeln!(text, "entity {name}{within} tags String;");
}

/// What stands behind the name of an action, the same for all that are alike.
fn declaration(spec: &ActionSpec) -> String {
    let groups = service_group(&spec.action.service).into_iter().chain([spec.action.level.as_str()]);
    let groups: Vec<String> = groups.chain(spec.action.groups()).map(|group| format!("\"{group}\"")).collect();
    let resources: Vec<&str> = spec.resources.iter().map(TypeName::as_str).collect();
    let fields = spec
        .fields
        .iter()
        .filter(|field| !REQUEST_FACTS.contains(&&*field.name))
        .fold(String::new(), |text, field| format!("{text}, \"{}\"?: {}", field.name.escape_debug(), cedar_type(field.kind)));
    let context = if fields.is_empty() { PLAIN.to_owned() } else { context(&fields) };
    format!(
        " in [{}] appliesTo {{\n  principal: [User, ServicePrincipal, Workload],\n  resource: [{}],\n  context: {context},\n}};",
        groups.join(", "),
        resources.join(", "),
    )
}

/// The context of an action with these further fields of the request.
fn context(fields: &str) -> String {
    format!(
        "{{ peer: Workload, actor?: String, token?: TokenFacts, request: {{ method: String, path: String, source_ip?: ipaddr, time: datetime{fields} }} }}"
    )
}

fn cedar_type(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "String",
        FieldKind::Long => "Long",
        FieldKind::Bool => "Bool",
        FieldKind::Texts => "Set<String>",
    }
}
