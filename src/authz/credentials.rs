//! What a permit says of the credential that the calls it decides go on with: `@credentials("strip")`, in place of the mode of their target.

use std::{fmt, sync::Arc};

use uuid::Uuid;

use super::{Authorizer, Scope, policy::Compiled, text::shown_entity};
use crate::{
    model::{EntityRef, Fault, Faults, Target},
    text::shown,
};

/// A credential as a permit names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ordered {
    /// What the caller sent; never where the target would not send it anyway.
    Passthrough,
    /// None.
    Strip,
    /// One of the service principal with this application id, by lakegate's word.
    ServicePrincipal(Arc<str>),
}

/// What stands before the application id of a service principal.
const PRINCIPAL: &str = "service-principal:";

// === impl Ordered ===

impl Ordered {
    /// # Errors
    /// What is wrong with the value of the annotation, and the mend.
    pub(super) fn parse(text: &str) -> Result<Self, (String, String)> {
        match text {
            "passthrough" => return Ok(Self::Passthrough),
            "strip" => return Ok(Self::Strip),
            _ => {}
        }
        let Some(id) = text.strip_prefix(PRINCIPAL) else {
            let help = "write `passthrough`, `strip` or `service-principal:<application id>`";
            return Err((format!("`{}` is not what a call can go on with", shown(text)), help.to_owned()));
        };
        // As Databricks writes it, so that one principal has one name.
        if Uuid::try_parse(id).is_ok_and(|uuid| uuid.hyphenated().to_string() == id) {
            return Ok(Self::ServicePrincipal(id.into()));
        }
        let help = "write the UUID in lower case that Databricks shows as its application id";
        Err((format!("`{}` is not the application id of a service principal", shown(id)), help.to_owned()))
    }
}

/// As a policy writes it.
impl fmt::Display for Ordered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passthrough => f.write_str("passthrough"),
            Self::Strip => f.write_str("strip"),
            Self::ServicePrincipal(id) => write!(f, "{PRINCIPAL}{id}"),
        }
    }
}

/// What permits that hold say, those of each resource of a call in a list of their own. On one resource, a permit that says nothing leaves it to the others.
/// What is said of one resource holds for no other: whoever may reach that as a service principal could reach the rest so too. But what is stripped for one
/// is stripped, since that gives nobody anything.
///
/// # Errors
/// Two permits that say different things: nobody has said which of the two is meant.
pub(super) fn of_all<'p>(permits: &[Vec<&'p Compiled>]) -> Result<Option<&'p Ordered>, [&'p Compiled; 2]> {
    let mut whole: Option<(&Compiled, Option<&Ordered>)> = None;
    for resource in permits {
        let Some(first) = resource.first() else { continue };
        let speaks = of_one(resource)?;
        let next = (speaks.unwrap_or(first), speaks.and_then(|permit| permit.ordered.as_ref()));
        whole = Some(match whole {
            None => next,
            Some(known) if known.1 == next.1 => known,
            Some(known @ (_, Some(Ordered::Strip))) if next.1.is_none() => known,
            Some((_, None)) if next.1 == Some(&Ordered::Strip) => next,
            Some((other, _)) => return Err([other, next.0]),
        });
    }
    Ok(whole.and_then(|(_, ordered)| ordered))
}

/// The first permit that says something of the credential; all that do say the same.
fn of_one<'p>(permits: &[&'p Compiled]) -> Result<Option<&'p Compiled>, [&'p Compiled; 2]> {
    let mut said = permits.iter().copied().filter(|permit| permit.ordered.is_some());
    let Some(first) = said.next() else { return Ok(None) };
    said.find(|permit| permit.ordered != first.ordered).map_or(Ok(Some(first)), |other| Err([first, other]))
}

// === impl Authorizer ===

impl Authorizer {
    /// A fault for each permit that names a credential which none of its targets can send, at the policy's place. `takes` says why one cannot.
    #[must_use]
    pub fn undeliverable(&self, scope: &Scope, takes: impl Fn(&Target, &Ordered) -> Result<(), &'static str>) -> Vec<Fault> {
        let mut found = Faults::default();
        for placed in &self.policies {
            let Some(ordered) = &placed.compiled.ordered else { continue };
            let on = placed.compiled.resource.entity();
            let mut answers = scope.targets.iter().filter(|target| on.is_none_or(|on| may_be_in(on, target))).map(|target| takes(target, ordered));
            // One that names what is not configured is told of elsewhere.
            let Some(Err(first)) = answers.next().filter(|first| first.is_err() && answers.all(|answer| answer.is_err())) else { continue };
            found.add(|| Fault {
                file: placed.file.to_path_buf(),
                line: Some(placed.line),
                column: None,
                message: format!(
                    "`@credentials(\"{ordered}\")` can be had nowhere{}: {first}",
                    on.map_or_else(String::new, |on| format!(" on `{}`", shown_entity(on)))
                ),
                help: Some("remove it, or change `credentials` of the workspace".to_owned()),
            });
        }
        found.into_vec()
    }
}

/// Whether what is in `on`, or is it, can be in `target`.
fn may_be_in(on: &EntityRef, target: &Target) -> bool {
    let itself = target.entity();
    match on.kind.as_str() {
        "Workspace" | "Account" | "Service" => *on == itself,
        "Environment" => target.environment.as_ref().is_some_and(|environment| *on.id == *environment.0.as_str()),
        "Collection" => true,
        _ => on.id.split_once('/').is_some_and(|(first, _)| first == target.name.as_str()),
    }
}
