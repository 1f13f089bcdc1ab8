//! Whom an exchange is for, and what is exchanged.

use form_urlencoded::Serializer;
use serde_json::Map;
use zeroize::Zeroizing;

use super::{
    Wanted,
    config::{Exchange, Identity, Subject},
};
use crate::{
    digest::{self, Fields},
    model::{Caller, Principal, PrincipalKind, Reason, Refusal, Secret},
    signer::{Statement, TokenIssuer},
    text::shown,
};

/// Whose credential it is, known before anything is signed or sent.
#[derive(Debug)]
pub(super) enum Whom {
    /// As Databricks knows the caller.
    Named(String),
    /// As the token says that is sent.
    Bearer(Secret),
    /// A service principal, by its application id.
    Principal(String),
    /// The service principal whose secret is sent.
    Client,
}

/// What is sent to a token endpoint. Nothing of it is shown.
pub(super) struct Order {
    pub form: Zeroizing<String>,
    pub authorization: Option<Secret>,
}

/// The `typ` of an assertion that is exchanged, as token endpoints know it; that of the assertion that services in the mesh read is another.
const TYP: &str = "JWT";
/// How long an assertion is good at least, in seconds: what a caller's token has left is rounded up to what an exchange takes.
pub(super) const SHORTEST: i64 = 60;

/// Bytes for which a form has room from the beginning: one that is moved leaves a part of a token behind.
const ROOM: usize = 20 * 1024;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const CLIENT: &str = "client_credentials";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

// === impl Whom ===

impl Whom {
    /// # Errors
    /// `IdentityUnknown` where it cannot be told as whom Databricks knows the caller.
    pub(super) fn of(exchange: &Exchange, wanted: &Wanted<'_>) -> Result<Self, Refusal> {
        from_one_of(exchange, wanted.caller)?;
        if let Some(client_id) = wanted.principal {
            return Ok(Self::Principal(client_id.to_string()));
        }
        match &exchange.subject {
            Subject::Assertion { identity, .. } => identity.of(wanted).map(Self::Named),
            Subject::Caller => {
                let token = wanted.token.ok_or_else(|| unknown("the call has no token that could be exchanged".to_owned()))?;
                Ok(Self::Bearer(Secret::new(token)))
            }
            Subject::ServicePrincipal { rules, .. } => {
                let rule = rules.iter().find(|rule| rule.holds(wanted.caller));
                let none = || unknown("no service principal of the target is for this caller's roles and workload".to_owned());
                rule.map(|rule| Self::Principal(rule.client_id.clone())).ok_or_else(none)
            }
            Subject::Client { .. } => Ok(Self::Client),
        }
    }

    /// What is sent for a token (RFC 8693, section 2.1; RFC 6749, section 4.4.2). Times are in seconds since the epoch; `None` where it cannot be signed.
    pub(super) fn order(&self, exchange: &Exchange, scope: &str, expires_at: Option<i64>, now: i64) -> Option<Order> {
        let mut form = Serializer::new(String::with_capacity(ROOM));
        form.append_pair("grant_type", if matches!(self, Self::Client) { CLIENT } else { EXCHANGE }).append_pair("scope", scope);
        let mut authorization = None;
        let signed = |issuer: &TokenIssuer, audience: &str, name: &str| assertion(issuer, audience, name, expires_at, exchange.window_s, now);
        let subject = match (self, &exchange.subject) {
            (Self::Named(name), Subject::Assertion { issuer, audience, .. }) => Some(signed(issuer, audience, name)?),
            (Self::Bearer(token), Subject::Caller) => Some(token.clone()),
            (Self::Principal(client_id), Subject::Assertion { issuer, audience, .. } | Subject::ServicePrincipal { issuer, audience, .. }) => {
                form.append_pair("client_id", client_id);
                Some(signed(issuer, audience, client_id)?)
            }
            (Self::Client, Subject::Client { authorization: secret, .. }) => {
                authorization = Some(secret.clone());
                None
            }
            _ => return None,
        };
        if let Some(subject) = subject {
            form.append_pair("subject_token", subject.expose()).append_pair("subject_token_type", JWT);
        }
        Some(Order { form: Zeroizing::new(form.finish()), authorization })
    }
}

fn assertion(issuer: &TokenIssuer, audience: &str, subject: &str, expires_at: Option<i64>, window_s: i64, now: i64) -> Option<Secret> {
    let end = now.saturating_add(window_s);
    let expires_at = expires_at.map_or(end, |expires| expires.min(end)).max(now.saturating_add(SHORTEST));
    let statement = Statement { typ: TYP, subject, audience, now, expires_at };
    issuer.mint(&statement, Map::new()).map(Zeroizing::new).map(|token| Secret::new(&token))
}

fn from_one_of(exchange: &Exchange, caller: &Caller) -> Result<(), Refusal> {
    let (Some(issuers), Some(token)) = (&exchange.issuers, &caller.token) else { return Ok(()) };
    if issuers.contains(&token.issuer) {
        return Ok(());
    }
    Err(unknown(format!("tokens of issuer `{}` are exchanged for no credential of this target", token.issuer)))
}

fn unknown(detail: String) -> Refusal {
    Refusal::new(Reason::IdentityUnknown, detail)
}

// === impl Identity ===

impl Identity {
    /// As whom Databricks knows the caller: by the operator's word, else by what was verified.
    fn of(self, wanted: &Wanted<'_>) -> Result<String, Refusal> {
        if let Some(name) = self.told(wanted) {
            return Ok(name.to_owned());
        }
        let nobody = || unknown("the call has neither a token nor a mesh identity".to_owned());
        let token = match (self, wanted.caller.principal().ok_or_else(nobody)?) {
            (Self::Subject, Principal::Token(token)) => return Ok(token.subject.clone()),
            (Self::Subject, Principal::Workload(peer)) => return Ok(peer.as_str().to_owned()),
            (_, Principal::Workload(_)) => {
                let detail = "Databricks knows no workload by its mesh identity alone; send a token, or ask for its `databricks_application_id` in the inventory";
                return Err(unknown(detail.to_owned()));
            }
            (_, Principal::Token(token)) => token,
        };
        let application = || token.client.clone().filter(|_| token.kind == PrincipalKind::ServicePrincipal);
        match self {
            Self::Email if token.kind == PrincipalKind::User => {
                let missing = || {
                    let detail = "the token has no `email` that its issuer has verified, by which Databricks would know its subject, and the inventory no `databricks_user`";
                    unknown(detail.to_owned())
                };
                token.email.clone().ok_or_else(missing)
            }
            _ => application()
                .ok_or_else(|| unknown(format!("`{}` is no program with a client id, by which Databricks would know it", shown(&token.subject)))),
        }
    }

    /// The operator's word, where it counts: a subject is told as it is, and a person is no program.
    fn told<'w>(self, wanted: &Wanted<'w>) -> Option<&'w str> {
        let person = || wanted.caller.token.as_ref().is_some_and(|token| token.kind == PrincipalKind::User);
        match self {
            Self::Subject => None,
            Self::ApplicationId if person() => None,
            Self::Email | Self::ApplicationId => wanted.known_as.map(|name| &**name),
        }
    }
}

/// What tells the credential of this caller from every other: the facts of the token that the exchange is made for, not the token, so that a renewed one
/// finds what the last one had, and the operator's word for whom Databricks knows; of a token that is itself exchanged, the token. The one of a client's secret is everybody's.
pub(super) fn key(exchange: &Exchange, wanted: &Wanted<'_>) -> [u8; 32] {
    let mut fields = Fields::new();
    fields.text("lakegate credential 1");
    exchange.fingerprint(exchange.scope(wanted.scope), &mut fields);
    let caller = wanted.caller;
    if let Subject::Client { .. } = &exchange.subject {
        return fields.finish();
    }
    let principal = if let Ok(Whom::Principal(client_id)) = Whom::of(exchange, wanted) { Some(client_id) } else { None };
    fields.option(principal.as_ref());
    let told = if let Subject::Assertion { identity, .. } = &exchange.subject { identity.told(wanted) } else { None };
    fields.option(told);
    fields.option(caller.token.as_ref().map(|token| &token.digest)).option(caller.peer.as_ref().map(crate::model::SpiffeId::as_str));
    // One that is for a permit which ends is not for what is permitted without end.
    fields.option(wanted.permitted_until.map(i64::to_be_bytes).as_ref());
    if matches!(exchange.subject, Subject::Caller) {
        fields.option(wanted.token.map(|token| digest::of(token.as_bytes())).as_ref());
    }
    fields.finish()
}
