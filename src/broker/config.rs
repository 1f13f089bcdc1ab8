use std::{collections::HashMap, sync::Arc};

use crate::{
    digest::Fields,
    model::{Name, TargetKind},
    net::Endpoint,
    signer::TokenIssuer,
};

/// What the stage does for each target.
#[derive(Clone, Debug)]
pub struct Config {
    /// One that is not named has no mode, and nothing is granted for it.
    pub modes: HashMap<(TargetKind, Name), Mode>,
    /// Bytes of credentials that are kept.
    pub cache_bytes: u64,
}

/// What becomes of the caller's token.
#[derive(Clone, Debug)]
pub enum Mode {
    /// It travels on as it came.
    Passthrough,
    /// It is removed.
    Strip,
    /// A token of Databricks' own takes its place.
    Exchange(Arc<Exchange>),
}

/// How a target's tokens are had (RFC 8693).
#[derive(Clone, Debug)]
pub struct Exchange {
    pub endpoint: Endpoint,
    pub subject: Subject,
    /// Space-separated, as the form has it.
    pub scope: String,
    /// How long a token is used at most, in seconds.
    pub window_s: i64,
    /// Whose tokens are exchanged; `None` for those of every issuer.
    pub issuers: Option<Vec<Name>>,
    /// Of which a token that says its audience must name one; empty where any will do.
    pub audiences: Vec<String>,
}

/// What is exchanged.
#[derive(Clone, Debug)]
pub enum Subject {
    /// What lakegate says of the caller, which nobody else can say.
    Assertion { issuer: Arc<TokenIssuer>, audience: String, identity: Identity },
    /// The caller's own token. Whoever holds that can make the same exchange without us.
    Caller,
}

/// As whom Databricks knows a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// People by their verified address, programs by their application id.
    Email,
    /// Everyone by the subject that their issuer knows them by; a workload without a token by its SPIFFE ID.
    Subject,
    /// Programs alone, by the client that their token was given to.
    ApplicationId,
}

// === impl Exchange ===

impl Exchange {
    /// What a credential that was had so is kept under, beside whose it is: one that would be had otherwise is another. The keys that sign are no part of it, so
    /// that a new key ends no credential.
    pub(super) fn fingerprint(&self, fields: &mut Fields) {
        fields.text("exchange").text(self.endpoint.as_str()).text(&self.scope).text(&self.window_s.to_string()).list(&self.audiences);
        match &self.subject {
            Subject::Assertion { issuer, audience, identity } => {
                let identity = match identity {
                    Identity::Email => "email",
                    Identity::Subject => "subject",
                    Identity::ApplicationId => "application-id",
                };
                fields.text("assertion").text(issuer.name()).text(audience).text(identity);
            }
            Subject::Caller => drop(fields.text("caller")),
        }
    }
}
