use std::{collections::HashMap, sync::Arc};

use super::Wanted;
use crate::{
    digest::{self, Fields},
    model::{Caller, Intent, Name, Secret, SpiffePattern, TargetKind},
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
    /// Space-separated, as the form has it; `None` for the narrowest that the call needs.
    pub scope: Option<String>,
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
    /// What lakegate says of a service principal, the first whose rule holds for the caller.
    ServicePrincipal { issuer: Arc<TokenIssuer>, audience: String, rules: Vec<PrincipalRule> },
    /// Nothing: the secret of one service principal, whoever calls (RFC 6749, section 4.4).
    Client { client_id: String, authorization: Secret },
}

/// Which service principal some callers have; without role and peer, everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalRule {
    /// Its application id.
    pub client_id: String,
    /// Of an issuer's.
    pub role: Option<(Name, String)>,
    pub peer: Option<SpiffePattern>,
}

/// As whom Databricks knows a caller. But for `Subject` the operator's word goes before what the token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// People by their verified address, programs by their application id.
    Email,
    /// Everyone by the subject that their issuer knows them by; a workload without a token by its SPIFFE ID.
    Subject,
    /// Programs alone, by the client that their token was given to; workloads without a token by the operator's word.
    ApplicationId,
}

// === impl Exchange ===

impl Exchange {
    /// What a credential that was had so is kept under, beside whose it is: one that would be had otherwise is another. The keys that sign are no part of it, so
    /// that a new key ends no credential.
    pub(super) fn fingerprint(&self, scope: &str, fields: &mut Fields) {
        fields.text("exchange").text(self.endpoint.as_str()).text(scope).text(&self.window_s.to_string()).list(&self.audiences);
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
            Subject::ServicePrincipal { issuer, audience, .. } => drop(fields.text("service-principal").text(issuer.name()).text(audience)),
            Subject::Client { client_id, authorization } => {
                fields.text("client").text(client_id).bytes(&digest::of(authorization.expose().as_bytes()));
            }
        }
    }

    /// The scopes that are asked for, where `narrowest` is what the call needs, `None` where that is not known.
    pub(super) fn scope<'s>(&'s self, narrowest: Option<&'s str>) -> &'s str {
        self.scope.as_deref().or(narrowest).unwrap_or(Intent::ALL_APIS)
    }

    /// When a credential ends because the caller's token or what permits the call does, in seconds since the epoch; `None` of one that is not the caller's,
    /// or where nothing of this ends.
    pub(super) fn bound(&self, wanted: &Wanted<'_>) -> Option<i64> {
        if matches!(self.subject, Subject::Client { .. }) {
            return None;
        }
        let token = wanted.caller.token.as_ref().map(|token| token.expires_at);
        [token, wanted.permitted_until].into_iter().flatten().min()
    }
}

// === impl PrincipalRule ===

impl PrincipalRule {
    pub(super) fn holds(&self, caller: &Caller) -> bool {
        let has = |(issuer, role): &(Name, String)| {
            caller.token.as_ref().is_some_and(|token| token.issuer == *issuer && token.roles.binary_search(role).is_ok())
        };
        let is = |pattern: &SpiffePattern| caller.peer.as_ref().is_some_and(|peer| pattern.matches(peer));
        self.role.as_ref().is_none_or(has) && self.peer.as_ref().is_none_or(is)
    }
}
