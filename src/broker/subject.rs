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
    model::{Caller, Principal, PrincipalKind, Reason, Refusal, Secret, SpiffeId},
    signer::{Statement, TokenIssuer},
    text::shown,
};

/// Whose credential it is, known before anything is signed or sent.
#[derive(Clone, Copy)]
pub(super) enum Whom<'w> {
    /// As Databricks knows the caller.
    Named(&'w str),
    /// As the token says that is sent.
    Bearer(&'w str),
    /// A service principal, by its application id.
    Principal(&'w str),
    /// The service principal whose secret is sent.
    Client,
}

/// The same for what outlives the request.
#[derive(Debug)]
pub(super) enum Holder {
    Named(Box<str>),
    Bearer(Secret),
    Principal(Box<str>),
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

const SPIFFE: &str = "spiffe://";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const CLIENT: &str = "client_credentials";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

// === impl Whom ===

impl<'w> Whom<'w> {
    /// # Errors
    /// `IdentityUnknown` where it cannot be told as whom Databricks knows the caller.
    pub(super) fn of(exchange: &'w Exchange, wanted: &Wanted<'w>) -> Result<Self, Refusal> {
        from_one_of(exchange, wanted.caller)?;
        if let Some(client_id) = wanted.principal {
            return Ok(Self::Principal(client_id));
        }
        match &exchange.subject {
            Subject::Assertion { identity, .. } => identity.of(wanted).map(Self::Named),
            Subject::Caller => wanted
                .token
                .map(Self::Bearer)
                .ok_or_else(|| unknown("the call has no token that could be exchanged; send one of your identity provider".to_owned())),
            Subject::ServicePrincipal { rules, .. } => {
                let rule = rules.iter().find(|rule| rule.holds(wanted.caller));
                let none = || {
                    let detail = "no service principal of the target is for this caller's roles and workload; ask whoever runs lakegate for one, in `principals` of its `credentials`";
                    unknown(detail.to_owned())
                };
                rule.map(|rule| Self::Principal(&rule.client_id)).ok_or_else(none)
            }
            Subject::Client { .. } => Ok(Self::Client),
        }
    }

    pub(super) fn holder(self) -> Holder {
        match self {
            Self::Named(name) => Holder::Named(name.into()),
            Self::Bearer(token) => Holder::Bearer(Secret::new(token)),
            Self::Principal(client_id) => Holder::Principal(client_id.into()),
            Self::Client => Holder::Client,
        }
    }

    /// What is sent for a token (RFC 8693, section 2.1; RFC 6749, section 4.4.2). Times are in seconds since the epoch; `None` where it cannot be signed.
    pub(super) fn order(self, exchange: &Exchange, scope: &str, expires_at: Option<i64>, now: i64) -> Option<Order> {
        let mut form = Serializer::new(String::with_capacity(ROOM));
        form.append_pair("grant_type", if matches!(self, Self::Client) { CLIENT } else { EXCHANGE }).append_pair("scope", scope);
        let mut authorization = None;
        let signed = |issuer: &TokenIssuer, audience: &str, name: &str| assertion(issuer, audience, name, expires_at, exchange.window_s, now);
        let subject = match (self, &exchange.subject) {
            (Self::Named(name), Subject::Assertion { issuer, audience, .. }) => Some(signed(issuer, audience, name)?),
            (Self::Bearer(token), Subject::Caller) => Some(Secret::new(token)),
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

// === impl Holder ===

impl Holder {
    pub(super) fn whom(&self) -> Whom<'_> {
        match self {
            Self::Named(name) => Whom::Named(name),
            Self::Bearer(token) => Whom::Bearer(token.expose()),
            Self::Principal(client_id) => Whom::Principal(client_id),
            Self::Client => Whom::Client,
        }
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
    let detail = format!(
        "tokens of issuer `{}` are exchanged for no credential of this target; call with a token of another issuer, or ask whoever runs lakegate",
        token.issuer
    );
    Err(unknown(format!("{detail} to name this one in `issuers` of its `credentials`")))
}

fn unknown(detail: String) -> Refusal {
    Refusal::new(Reason::IdentityUnknown, detail)
}

// === impl Identity ===

impl Identity {
    /// As whom Databricks knows the caller: by the operator's word, else by what was verified.
    fn of<'w>(self, wanted: &Wanted<'w>) -> Result<&'w str, Refusal> {
        if let Some(name) = self.told(wanted) {
            return Ok(name);
        }
        let nobody = || unknown("the call has neither a token nor a mesh identity; send a token of your identity provider".to_owned());
        let token = match (self, wanted.caller.principal().ok_or_else(nobody)?) {
            // A workload without a token is known by such a name, and no person becomes one by what an issuer lets them be called.
            (Self::Subject, Principal::Token(token)) if token.kind == PrincipalKind::User && token.subject.starts_with(SPIFFE) => {
                return Err(unknown(format!(
                    "`{}` is the name of a workload, and the token is a person's; ask whoever runs the identity provider for a subject that Databricks knows them by",
                    shown(&token.subject)
                )));
            }
            (Self::Subject, Principal::Token(token)) => return Ok(&token.subject),
            (Self::Subject, Principal::Workload(peer)) => return Ok(peer.as_str()),
            (_, Principal::Workload(_)) => {
                let detail = "Databricks knows no workload by its mesh identity alone; send a token, or ask whoever runs lakegate for its `databricks_application_id` in the inventory";
                return Err(unknown(detail.to_owned()));
            }
            (_, Principal::Token(token)) => token,
        };
        let application = || token.client.as_deref().filter(|_| token.kind == PrincipalKind::ServicePrincipal);
        match self {
            Self::Email if token.kind == PrincipalKind::User => {
                let missing = || {
                    let detail = "the token has no `email` that its issuer has verified, by which Databricks would know its subject, and the inventory no `databricks_user`; \
                                  ask whoever runs the identity provider to verify the address, or whoever runs lakegate for that tag";
                    unknown(detail.to_owned())
                };
                token.email.as_deref().ok_or_else(missing)
            }
            _ => application().ok_or_else(|| {
                let mend = if token.kind == PrincipalKind::User {
                    "no person has a credential here: call with the token of a program"
                } else {
                    "ask whoever runs lakegate for its `databricks_application_id` in the inventory"
                };
                unknown(format!("`{}` is no program with a client id, by which Databricks would know it; {mend}", shown(&token.subject)))
            }),
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

/// What tells the credential of this caller from every other: whose it is, and the facts of the token that the exchange is made for, not the token, so that a
/// renewed one finds what the last one had; of a token that is itself exchanged, the token. The one of a client's secret is everybody's.
pub(super) fn key(exchange: &Exchange, wanted: &Wanted<'_>, whom: Whom<'_>) -> [u8; 32] {
    let mut fields = Fields::new();
    fields.text("lakegate credential 2");
    exchange.fingerprint(exchange.scope(wanted.scope), &mut fields);
    match whom {
        Whom::Client => return fields.finish(),
        Whom::Named(name) => fields.text("named").text(name),
        Whom::Bearer(token) => fields.text("bearer").bytes(&digest::of(token.as_bytes())),
        Whom::Principal(client_id) => fields.text("principal").text(client_id),
    };
    let caller = wanted.caller;
    fields.option(caller.token.as_ref().map(|token| &token.digest)).option(caller.peer.as_ref().map(SpiffeId::as_str));
    // One that is for a permit which ends is not for what is permitted without end.
    fields.option(wanted.permitted_until.map(i64::to_be_bytes).as_ref());
    fields.finish()
}
