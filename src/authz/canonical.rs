//! The one form each entity id has: Cedar compares ids byte for byte, so an id in another form would name nothing, and a `forbid` on it would guard nothing.

use super::schema::COLLECTION;
use crate::model::{EntityRef, IdForm, Name, SpiffeId, Vocabulary};

/// The id of the peer where the mesh vouches for nobody: `Workload::"none"`.
pub(super) const NO_PEER: &str = "none";

/// Why `entity` names nothing: the form its id must have, and the id that was likely meant. Types nobody knows pass; the schema refuses them.
pub(super) fn fault_of(entity: &EntityRef, vocabulary: &Vocabulary) -> Option<(String, Option<String>)> {
    let id = &*entity.id;
    match entity.kind.as_str() {
        "Action" => None,
        "User" | "ServicePrincipal" | "Group" | "Role" => named(id, "<issuer>/<name>", |rest| printable(rest).then(|| rest.to_owned())),
        "Namespace" => named_by(id, "<trust domain>/<namespace>", trust_domain, kubernetes_name),
        "Workload" if id == NO_PEER => None,
        "Workload" => {
            SpiffeId::parse(id).err().map(|error| (format!("a workload is named by its SPIFFE id, `spiffe://<trust domain>/<path>`: {error}"), None))
        }
        COLLECTION => (!printable(id)).then(|| ("a collection's id is a text without control characters, not empty".to_owned(), None)),
        "Issuer" | "Workspace" | "Account" | "Service" | "Environment" => Name::parse(id).err().map(|error| (error.to_string(), None)),
        kind => {
            let form = vocabulary.type_named(kind)?.form;
            named(id, shape(form), |rest| canonical(rest, form))
        }
    }
}

fn shape(form: IdForm) -> &'static str {
    match form {
        IdForm::Exact => "<target>/<name>",
        IdForm::Lower => "<target>/<name in lower case>",
        IdForm::Decimal => "<target>/<number without leading zeros>",
        IdForm::Path => "<target>/<absolute path without `.`, `..`, a trailing slash or `/Workspace`>",
    }
}

/// The canonical form of what was written, if one can be told.
fn canonical(text: &str, form: IdForm) -> Option<String> {
    match form {
        IdForm::Exact => printable(text).then(|| text.to_owned()),
        IdForm::Lower => printable(text).then(|| text.to_lowercase()),
        IdForm::Decimal => {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let trimmed = text.trim_start_matches('0');
            digits.then(|| if trimmed.is_empty() { "0".to_owned() } else { trimmed.to_owned() })
        }
        IdForm::Path => path(text),
    }
}

fn path(text: &str) -> Option<String> {
    if !printable(text) || text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return None;
    }
    let mut segments = text.split('/').filter(|segment| !segment.is_empty()).peekable();
    segments.next_if_eq(&"Workspace");
    let joined: String = segments.flat_map(|segment| ["/", segment]).collect();
    Some(if joined.is_empty() { "/".to_owned() } else { joined })
}

fn named(id: &str, shape: &str, canonical: impl Fn(&str) -> Option<String>) -> Option<(String, Option<String>)> {
    named_by(id, shape, |first| Name::parse(first).is_ok(), canonical)
}

fn named_by(
    id: &str,
    shape: &str,
    first_good: impl Fn(&str) -> bool,
    canonical: impl Fn(&str) -> Option<String>,
) -> Option<(String, Option<String>)> {
    let message = || format!("such an id is written `{shape}`");
    let Some((first, rest)) = id.split_once('/').filter(|(first, _)| first_good(first)) else {
        return Some((message(), None));
    };
    match canonical(rest) {
        Some(right) if right == rest => None,
        right => Some((message(), right.map(|right| format!("{first}/{right}")))),
    }
}

fn trust_domain(text: &str) -> bool {
    SpiffeId::parse(&format!("spiffe://{text}/any")).is_ok()
}

fn kubernetes_name(text: &str) -> Option<String> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    good.then(|| text.to_owned())
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
            ("ServingEndpoint", "stage/", Err(None)),
            ("ServingEndpoint", "stage/a\nb", Err(None)),
            ("Notebook", "stage//Shared/x", Ok(())),
            ("Notebook", "stage/Shared/x", Err(Some("stage//Shared/x"))),
            ("Notebook", "stage//Shared//x/", Err(Some("stage//Shared/x"))),
            ("Notebook", "stage//Workspace/Shared/x", Err(Some("stage//Shared/x"))),
            ("Notebook", "stage//Shared/../x", Err(None)),
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
