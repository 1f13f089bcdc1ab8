//! Whether the ids that policies and the inventory write can name anything: those of resources in the form of [`IdForm`], the same as a request's.

use super::schema::COLLECTION;
use crate::model::{EntityRef, IdForm, Name, SpiffeId, Vocabulary};

/// The id of the peer where the mesh vouches for nobody: `Workload::"none"`.
pub(super) const NO_PEER: &str = "none";

/// Why `entity` names nothing: the form its id must have, and the id that was likely meant. Types nobody knows pass; the schema refuses them.
pub(super) fn fault_of(entity: &EntityRef, vocabulary: &Vocabulary) -> Option<(String, Option<String>)> {
    let id = &*entity.id;
    match entity.kind.as_str() {
        "Action" => None,
        "User" | "ServicePrincipal" | "Group" | "Role" => joined(id, "<issuer>/<name>", name, printable),
        "Namespace" => joined(id, "<trust domain>/<namespace>", SpiffeId::is_trust_domain, kubernetes_name),
        "Workload" if id == NO_PEER => None,
        "Workload" => {
            SpiffeId::parse(id).err().map(|error| (format!("a workload is named by its SPIFFE id, `spiffe://<trust domain>/<path>`: {error}"), None))
        }
        COLLECTION => (!printable(id)).then(|| ("a collection's id is a text without control characters, not empty".to_owned(), None)),
        "Issuer" | "Workspace" | "Account" | "Service" | "Environment" => Name::parse(id).err().map(|error| (error.to_string(), None)),
        kind => formed(id, &vocabulary.type_named(kind)?.form),
    }
}

/// The fault of an id `<target>/<text>` whose text is not canonical.
fn formed(id: &str, form: &IdForm) -> Option<(String, Option<String>)> {
    let shape = format!("such an id is written `<target>/<{form}>`");
    let Some((target, text)) = id.split_once('/').filter(|(target, _)| name(target)) else { return Some((shape, None)) };
    let (message, right) = match form.canonical(text) {
        Ok(right) if right == text => return None,
        Ok(right) => (shape, Some(right.into_owned())),
        Err(error) => (format!("{shape}: {error}"), form.likely(text)),
    };
    Some((message, right.map(|right| format!("{target}/{right}"))))
}

/// The fault of an id of two texts joined by `/`, of which either is good or not.
fn joined(id: &str, shape: &str, first: fn(&str) -> bool, rest: fn(&str) -> bool) -> Option<(String, Option<String>)> {
    let good = id.split_once('/').is_some_and(|(head, tail)| first(head) && rest(tail));
    (!good).then(|| (format!("such an id is written `{shape}`"), None))
}

fn name(text: &str) -> bool {
    Name::parse(text).is_ok()
}

fn kubernetes_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn printable(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::tests::world::vocabulary;
    use crate::model::TypeName;

    #[test]
    fn what_is_not_canonical_is_named_with_its_right_form() {
        let cases = [
            ("Job", "stage/42", Ok(())),
            ("Job", "stage/0", Ok(())),
            ("Job", "stage/042", Err(Some("stage/42"))),
            ("Job", "stage/x", Err(None)),
            ("Job", "42", Err(None)),
            ("Job", "Stage/42", Err(None)),
            ("Table", "stage/main.sales.pii", Ok(())),
            ("Table", "stage/MAIN.sales.pii", Err(Some("stage/main.sales.pii"))),
            ("ServingEndpoint", "stage/Sales", Ok(())),
            ("Job", "stage/999999999999999999999", Err(None)),
            ("Table", "stage/main.sales", Err(None)),
            ("Table", "stage/`main`.sales.pii", Err(None)),
            ("Schema", "stage/main.sales", Ok(())),
            ("ServingEndpoint", "stage/ Sales", Err(Some("stage/Sales"))),
            ("ServingEndpoint", "stage/", Err(None)),
            ("ServingEndpoint", "stage/a\nb", Err(None)),
            ("Notebook", "stage//Shared/x", Ok(())),
            ("Notebook", "stage/Shared/x", Err(Some("stage//Shared/x"))),
            ("Notebook", "stage//Shared//x/", Err(Some("stage//Shared/x"))),
            ("Notebook", "stage//Workspace/Shared/x", Err(Some("stage//Shared/x"))),
            ("Notebook", "stage//Shared/../x", Err(None)),
            ("Notebook", "stage//Shared/a%20b", Err(None)),
            ("Notebook", "stage//Shared/a\\b", Err(None)),
            ("File", "stage//Volumes/main/ml/raw/X", Ok(())),
            ("File", "stage//Volumes/Main/ml/raw/X", Err(Some("stage//Volumes/main/ml/raw/X"))),
            ("File", "stage//Volumes/main/ml/raw", Err(None)),
            ("File", "stage//Users/a", Err(None)),
            ("Environment", "staging", Ok(())),
            ("Environment", "Staging", Err(None)),
            ("Group", "corp/ml-engineers", Ok(())),
            ("Group", "ml-engineers", Err(None)),
            ("Namespace", "cluster.local/ml-staging", Ok(())),
            ("Namespace", "ml-staging", Err(None)),
            ("Workload", "none", Ok(())),
            ("Workload", "spiffe://cluster.local/ns/a/sa/b", Ok(())),
            ("Workload", "cluster.local/ns/a/sa/b", Err(None)),
            ("Unheard", "whatever", Ok(())),
        ];
        for (kind, id, want) in cases {
            let got = fault_of(&EntityRef::new(&TypeName::new(kind), id), &vocabulary());
            let got = got.map_or(Ok(()), |(_, right)| Err(right));
            assert_eq!(got, want.map_err(|right| right.map(str::to_owned)), "{kind}::{id:?}");
        }
    }
}
