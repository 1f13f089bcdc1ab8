//! As whom Databricks knows a principal, by tags of the inventory: `databricks_user` of a person, `databricks_application_id` of a program or a workload.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::listed::Listed;
use crate::{
    authz::{canonical::NO_PEER, text::shown_entity},
    model::{EntityRef, Faults},
    text::shown,
};

const USER: &str = "databricks_user";
const APPLICATION: &str = "databricks_application_id";

/// Bytes of a user name: those of the longest e-mail address (RFC 5321, section 4.5.3.1).
const LONGEST: usize = 320;

/// Of each listed principal that has such a tag.
pub(super) fn names(listed: &Listed) -> HashMap<EntityRef, Arc<str>> {
    let known = listed.entries.iter().filter_map(|entry| Some((entry.entity.clone(), entry.tags.get(tag_of(&entry.entity)?)?.as_str().into())));
    known.collect()
}

/// The tag that says as whom Databricks knows `entity`; `None` of what is no principal.
fn tag_of(entity: &EntityRef) -> Option<&'static str> {
    match entity.kind.as_str() {
        "User" => Some(USER),
        "ServicePrincipal" | "Workload" => Some(APPLICATION),
        _ => None,
    }
}

/// What is wrong with such tags of `entity`, and the mend: whoever wrote one where it counts for nothing believes in something that is not. On resources
/// they are tags like any other.
pub(super) fn faults_of(entity: &EntityRef, tags: &BTreeMap<String, String>) -> Vec<(String, Option<String>)> {
    let tag = tag_of(entity);
    let is_many = matches!(entity.kind.as_str(), "Group" | "Role" | "Issuer" | "Namespace");
    let fault = |have: &str, value: &str| match tag {
        None if is_many => {
            Some(("is for one principal, not for all of these", "list each of them with a tag of its own, or use `mode: service-principal`"))
        }
        Some(APPLICATION) if *entity.id == *NO_PEER => Some(("cannot be of a caller for whom the mesh does not vouch", "remove it")),
        Some(USER) if have == APPLICATION => Some(("is for programs and workloads", "write `databricks_user`, a person's user name at Databricks")),
        Some(APPLICATION) if have == USER => {
            Some(("is for people", "write `databricks_application_id`, the application id of a service principal at Databricks"))
        }
        Some(USER) if !is_user_name(value) => Some(("is no user name", "write the user name of a person at Databricks, mostly an e-mail address")),
        Some(APPLICATION) if !is_application(value) => {
            Some(("is not the application id of a service principal", "write the UUID in lower case that Databricks shows as its application id"))
        }
        None | Some(_) => None,
    };
    let present = [USER, APPLICATION].into_iter().filter_map(|have| Some((have, tags.get(have)?)));
    let wrong = present.filter_map(|(have, value)| Some((have, value, fault(have, value)?)));
    wrong.map(|(have, value, (why, mend))| (format!("the tag `{have}`, `{}`, {why}", shown(value)), Some(mend.to_owned()))).collect()
}

/// Never an application id: a federation policy looks for its subject among users and service principals alike.
fn is_user_name(text: &str) -> bool {
    let plain = !text.is_empty() && text.len() <= LONGEST && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    plain && Uuid::try_parse(text).is_err()
}

/// As Databricks writes it, so that one principal has one name.
fn is_application(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text)
}

/// Principals of one type whom Databricks takes for one, each where it is listed. Those whose names differ by their issuer or trust domain alone are meant to
/// be one, as is a program that is known by its token and by its workload.
pub(super) fn shared(listed: &Listed) -> Faults {
    let mut first: HashMap<(&str, String), &EntityRef> = HashMap::new();
    let mut found = Faults::default();
    for entry in &listed.entries {
        let entity = &entry.entity;
        let Some(name) = tag_of(entity).and_then(|tag| entry.tags.get(tag)) else { continue };
        // User names are the same in capitals.
        let other = *first.entry((entity.kind.as_str(), name.to_lowercase())).or_insert(entity);
        if own_name(other) == own_name(entity) {
            continue;
        }
        let [this, other] = [entity, other].map(shown_entity);
        let message =
            format!("Databricks takes `{this}` for `{}`, as it does `{other}`: neither its audit nor its rights tell the two apart", shown(name));
        let help = "give each a principal of its own; where many are meant to share one, use `mode: service-principal`";
        found.extend(listed.fault_of(entity, &message, Some(help)));
    }
    found
}

/// Without the issuer or the trust domain.
fn own_name(entity: &EntityRef) -> &str {
    let id = entity.id.strip_prefix("spiffe://").unwrap_or(&entity.id);
    id.split_once('/').map_or(id, |(_, name)| name)
}
