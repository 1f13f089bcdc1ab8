//! Personal access tokens of Databricks, where a workspace still takes them.
//!
//! Such a token proves nothing here: whose it is, what it may do and whether it still counts, Databricks alone knows. So the caller is the workload, as without a
//! token, and whoever has no mesh identity is refused.

use super::{Authenticator, Trail, credential};
use crate::model::{Call, Reason, Refusal, SpiffeId};

// === impl Authenticator ===

impl Authenticator {
    /// Whether `authorization` is a personal access token that goes on to the host of `call`; where it is not, it is read as any other is. That it came is on the `trail`.
    ///
    /// # Errors
    /// `TokenTooLarge`; `CredentialUnsupported` where no workload is known to bring it.
    pub(super) fn lets_pass(&self, authorization: &str, call: &Call<'_>, peer: Option<&SpiffeId>, trail: &mut Trail) -> Result<bool, Refusal> {
        if self.personal_hosts.is_empty() || !self.personal_hosts.contains(call.host.as_str()) || !credential::is_personal(authorization) {
            return Ok(false);
        }
        if authorization.len() > self.token_limit {
            return Err(Refusal::new(Reason::TokenTooLarge, format!("the token is longer than {} bytes", self.token_limit)));
        }
        if peer.is_none() {
            let detail =
                "a personal access token says nothing of who calls, and the call carries no mesh identity either: call from a workload of the mesh";
            return Err(Refusal::new(Reason::CredentialUnsupported, detail));
        }
        trail.brought_personal();
        Ok(true)
    }
}
