//! A personal access token goes on as it came, or the call does not.

use crate::{
    authn::Trail,
    authz::{Ordered, Permit},
    model::{Reason, Refusal},
};

/// Whether `permit` lets a personal access token stand where one came: one that was sent is never taken away in silence, so that Databricks would be asked by
/// nobody, or by somebody else.
///
/// # Errors
/// `CredentialConflict`.
pub(super) fn keeps(trail: &Trail, permit: &Permit) -> Result<(), Refusal> {
    match permit.ordered() {
        Some(ordered) if trail.is_personal() && *ordered != Ordered::Passthrough => {
            let detail = format!("its permit says `@credentials(\"{ordered}\")`, and the call comes with a personal access token: send none");
            Err(Refusal { policies: permit.policies().to_vec(), ..Refusal::new(Reason::CredentialConflict, detail) })
        }
        _ => Ok(()),
    }
}
