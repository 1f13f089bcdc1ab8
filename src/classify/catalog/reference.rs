//! The catalog as a page of the documentation.

use std::fmt::Write as _;

use super::{Catalog, compile};
use crate::{
    classify::entry::{Binding, BodyUse, Entry, Source},
    model::TypeName,
};

pub(super) fn markdown(catalog: &Catalog) -> String {
    let mut page = String::from(
        "# The catalog\n\nEvery call lakegate knows. What is not here is refused. Generated from `catalog/*.yaml`; do not edit.\n\n\
         *orphan*: the request has an id that says neither the object's name nor what it is in, so that a `forbid` on a name or a parent does not reach it. \
         *executes*: the call runs what the request does not show in full; *egress*: it makes Databricks call out; *presigned*: its answer has URLs that work without \
         the mesh; *mints*: its answer is a credential. Each of the last four is a group of actions for policies, as levels are. *scope*: what a token of \
         Databricks' is asked for with `scope: narrowest`; where a call has none, `all-apis`.\n\n\
         ## Calls\n\n| action | level | method | path | acts on | named by | fields | notes |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut entries: Vec<&Entry> = catalog.entries.iter().collect();
    entries.sort_by_key(|entry| (&entry.action.name, &entry.path, &entry.method));
    for entry in entries {
        row(&mut page, catalog, entry);
    }
    page.push_str("\n## Types\n\n| type | in | form of its id |\n|---|---|---|\n");
    for spec in &catalog.vocabulary.types {
        let _ = writeln!(page, "| `{}` | {} | {} |", spec.name, names(&spec.parents), spec.form);
    }
    page
}

fn row(page: &mut String, catalog: &Catalog, entry: &Entry) {
    let acts_on: Vec<TypeName> = compile::reach(catalog.kinds(), entry).into_iter().collect();
    let named_by: Vec<String> = entry.bindings.iter().map(named_by).collect();
    let fields: Vec<String> = entry.fields.iter().map(|field| format!("`{}`", field.name)).collect();
    let mut notes: Vec<&str> = Vec::new();
    if entry.bindings.iter().any(Binding::may_be_orphan) {
        notes.push("*orphan*");
    }
    let marks: Vec<String> = entry.action.marks.iter().map(|mark| format!("*{}*", mark.as_str())).collect();
    notes.extend(marks.iter().map(String::as_str));
    let aliases = entry.aliases.iter().map(|alias| format!("`{alias}`")).collect::<Vec<_>>().join(", ");
    let aliases = if aliases.is_empty() { aliases } else { format!("also {aliases}") };
    notes.extend(Some(aliases.as_str()).filter(|text| !text.is_empty()));
    let upgrade = entry.upgrade.as_deref().map(|protocol| format!("as {protocol}")).unwrap_or_default();
    notes.extend(Some(upgrade.as_str()).filter(|text| !text.is_empty()));
    let reaches = entry.reaches.iter().filter_map(|kind| catalog.kinds().get(*kind)).map(|kind| format!("`{}`", kind.spec.name)).collect::<Vec<_>>();
    let reaches = if reaches.is_empty() { String::new() } else { format!("reaches {} unnamed", reaches.join(", ")) };
    notes.extend(Some(reaches.as_str()).filter(|text| !text.is_empty()));
    if entry.body == BodyUse::Opaque {
        notes.push("body not read");
    }
    if entry.body == BodyUse::Form {
        notes.push("or as multipart/form-data");
    }
    let scope = entry.scope.as_deref().map(|scope| format!("scope `{scope}`")).unwrap_or_default();
    notes.extend(Some(scope.as_str()).filter(|text| !text.is_empty()));
    notes.extend(entry.why.as_deref());
    let cells = [
        format!("`{}`", entry.action.name),
        entry.action.level.as_str().to_owned(),
        entry.method.to_string(),
        format!("`{}`", entry.path.replace('|', "\\|")),
        names(&acts_on),
        named_by.join(", "),
        fields.join(", "),
        notes.join("; "),
    ];
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

fn named_by(binding: &Binding) -> String {
    let keys: Vec<&str> = binding.id.iter().map(Source::as_str).collect();
    let joined = std::iter::once(keys.join("."));
    let keys: Vec<String> = joined.chain(binding.also.iter().map(|source| source.as_str().to_owned())).map(|key| format!("`{key}`")).collect();
    let place = binding.id.first().map_or("", place);
    format!("{} ({place}{})", keys.join(" or "), if binding.optional { ", optional" } else { "" })
}

fn place(source: &Source) -> &'static str {
    match (source.param, &source.header, source.query, source.body) {
        (Some(_), ..) => "path",
        (None, Some(_), ..) => "header",
        (None, None, true, true) => "query or body",
        (None, None, true, false) => "query",
        (None, None, false, _) => "body",
    }
}

fn names(types: &[TypeName]) -> String {
    types.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
