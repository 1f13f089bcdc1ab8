//! How a call goes on, as far as it may be told: for records and reports, which hold nothing that is good for a call.

use std::sync::Arc;

use super::{
    Wanted,
    config::{Exchange, Mode, Subject},
    subject::Whom,
};
use crate::authz::Ordered;

/// With which credential a call goes on, or would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// In the words of `credentials.mode`.
    pub mode: &'static str,
    /// As whom, where a token is minted: the user name or application id that Databricks is told, and the subject of a token that is itself exchanged.
    /// `None` where that is not known.
    pub principal: Option<Arc<str>>,
    /// What is asked for, where a token is minted; scopes with one space between each.
    pub scope: Option<Arc<str>>,
    /// When the credential is used no more, in seconds since the epoch; `None` as long as there is none.
    pub until: Option<i64>,
}

const PASSTHROUGH: &str = "passthrough";
const STRIP: &str = "strip";
const EXCHANGE: &str = "exchange";
const PRINCIPAL: &str = "service-principal";
const CLIENT: &str = "client-credentials";

// === impl Manner ===

impl Manner {
    /// What is known before it is known whose credential it is.
    pub(super) fn of(mode: &Mode, wanted: &Wanted<'_>) -> Self {
        let mode = match mode {
            Mode::Passthrough => PASSTHROUGH,
            Mode::Strip => STRIP,
            Mode::Exchange(_) if wanted.principal.is_some() => PRINCIPAL,
            Mode::Exchange(exchange) => match exchange.subject {
                Subject::Assertion { .. } | Subject::Caller => EXCHANGE,
                Subject::ServicePrincipal { .. } => PRINCIPAL,
                Subject::Client { .. } => CLIENT,
            },
        };
        Self { mode, principal: None, scope: None, until: None }
    }

    /// What a permit says that its target does not do.
    pub(super) fn ordered(ordered: &Ordered) -> Self {
        let (mode, principal) = match ordered {
            Ordered::Passthrough => (PASSTHROUGH, None),
            Ordered::Strip => (STRIP, None),
            Ordered::ServicePrincipal(id) => (PRINCIPAL, Some(Arc::clone(id))),
        };
        Self { mode, principal, scope: None, until: None }
    }

    /// What is known before anything is signed or sent.
    pub(super) fn minting(exchange: &Exchange, whom: Whom<'_>, wanted: &Wanted<'_>) -> Self {
        let token = wanted.caller.token.as_deref();
        let (mode, principal) = match (whom, &exchange.subject) {
            (Whom::Named(name), _) => (EXCHANGE, Some(name)),
            (Whom::Bearer(_), _) => (EXCHANGE, token.map(|token| token.subject.as_str())),
            (Whom::Principal(client_id), _) => (PRINCIPAL, Some(client_id)),
            (Whom::Client, Subject::Client { client_id, .. }) => (CLIENT, Some(client_id.as_str())),
            (Whom::Client, _) => (CLIENT, None),
        };
        Self { mode, principal: principal.map(Arc::from), scope: Some(exchange.scope(wanted.scope).into()), until: None }
    }
}
