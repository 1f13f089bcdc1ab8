//! Who calls in a case: the facts of a token that nobody has, and the workload.

use serde_json::{Map, Value};

use super::{raw, when::When};
use crate::{
    authn::Authenticator,
    config::raw::OneOrMany,
    model::{Caller, Name, PrincipalKind, Reason, Refusal, SpiffeId, Token},
    text::{nearest, quoted},
};

/// A caller whose times are still to be told from the time of the call.
#[derive(Clone, Debug)]
pub(super) struct Who {
    token: Option<Told>,
    /// As Envoy would have it from the certificate; `None` where the mesh vouches for nobody.
    pub(super) peer: Option<String>,
}

#[derive(Clone, Debug)]
enum Told {
    Facts { token: Box<Token>, auth_time: Option<When>, expires: When },
    Claims(Map<String, Value>),
}

/// What is wrong with a caller: the key, the message and the mend.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) key: &'static str,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// How long a token is good where it is not said.
const GOOD: When = When::Off(300_000);

/// The claims that are times (RFC 7519 §4.1 and OpenID Connect Core 1.0 §2).
const TIMES: [&str; 4] = ["exp", "nbf", "iat", "auth_time"];

// === impl Wrong ===

impl Wrong {
    fn new(key: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { key, message: message.into(), help: Some(help.into()) }
    }
}

// === impl Who ===

impl Who {
    /// # Errors
    /// What of `raw`, in which nothing is left to be taken from another, no caller could be.
    pub(super) fn new(raw: &raw::Caller, authenticator: &Authenticator) -> Result<Self, Wrong> {
        let subject = match (&raw.user, &raw.service_principal, &raw.claims) {
            (Some(id), None, None) => Some(("User", PrincipalKind::User, id)),
            (None, Some(id), None) => Some(("ServicePrincipal", PrincipalKind::ServicePrincipal, id)),
            (None, None, _) => None,
            _ => return Err(Wrong::new("", "it says in two ways whose token it is", "write one of `User`, `ServicePrincipal` and `claims`")),
        };
        let token = match (subject, &raw.claims) {
            (Some((key, kind, id)), _) => Some(facts(raw, key, kind, id, authenticator)?),
            (None, Some(claims)) => {
                no_facts(raw, "`claims` are the whole token")?;
                Some(Told::Claims(claims.clone()))
            }
            (None, None) => {
                no_facts(raw, "a caller without `User`, `ServicePrincipal` and `claims` has no token")?;
                None
            }
        };
        match (&token, raw.peer.as_deref()) {
            (None, None) => Err(Wrong::new("", "it says neither whose token nor which workload it is", "write `peer: none` for nobody at all")),
            (_, peer) => Ok(Self { token, peer: peer.filter(|peer| *peer != "none").map(str::to_owned) }),
        }
    }

    /// The caller of a call at `call_ms`; `peer` is the workload as it has been read.
    ///
    /// # Errors
    /// As for a real call, but for the signature of the token.
    pub(super) fn caller(&self, authenticator: &Authenticator, peer: Option<SpiffeId>, call_ms: i64) -> Result<Caller, Refusal> {
        let now = call_ms.div_euclid(1000);
        match &self.token {
            None => authenticator.caller_without_token(peer),
            Some(Told::Facts { token, auth_time, expires }) => {
                let seconds = |when: &When| when.seconds(call_ms);
                let token = Token { auth_time: auth_time.as_ref().map(seconds), expires_at: seconds(expires), ..(**token).clone() };
                authenticator.caller_from_facts_at(token, peer, now)
            }
            Some(Told::Claims(claims)) => {
                let mut claims = claims.clone();
                claims.entry("exp").or_insert_with(|| GOOD.seconds(call_ms).into());
                for name in TIMES {
                    if let Some(value) = claims.get_mut(name)
                        && let Some(when) = value.as_str().and_then(When::parse)
                    {
                        *value = when.seconds(call_ms).into();
                    }
                }
                let text = serde_json::to_vec(&claims).map_err(|error| Refusal::new(Reason::TokenMalformed, error.to_string()))?;
                authenticator.caller_from_claims_at(&text, peer, now)
            }
        }
    }
}

fn facts(raw: &raw::Caller, key: &'static str, kind: PrincipalKind, id: &str, authenticator: &Authenticator) -> Result<Told, Wrong> {
    let Some((issuer, subject)) = id.split_once('/') else {
        return Err(Wrong::new(key, format!("{} does not say whose subject it is", quoted(id)), "write `<issuer>/<subject>`"));
    };
    let issuers = || authenticator.issuers().map(Name::as_str);
    let Some(name) = authenticator.issuers().find(|name| name.as_str() == issuer) else {
        let known = || format!("lakegate.yaml has {}", issuers().map(quoted).collect::<Vec<_>>().join(", "));
        let help = nearest(issuer, issuers()).map_or_else(known, |word| format!("did you mean `{word}`?"));
        return Err(Wrong::new(key, format!("no issuer is called {}", quoted(issuer)), help));
    };
    for (key, names) in [("groups", &raw.groups), ("roles", &raw.roles)] {
        // It would be `Group::"corp/corp/x"` in policies: no permit holds for that, and a case that is to be denied would be, for nothing.
        let twice = names.iter().flatten().find_map(|group| group.strip_prefix(&format!("{issuer}/")));
        if let Some(rest) = twice {
            return Err(Wrong::new(key, format!("`{issuer}/` is not a part of what the token says"), format!("write {}", quoted(rest))));
        }
    }
    let actors = match &raw.actor {
        None => Vec::new(),
        Some(OneOrMany::One(actor)) => vec![actor.clone()],
        Some(OneOrMany::Many(actors)) => actors.clone(),
    };
    let claims = match &raw.attributes {
        None => Vec::new(),
        Some(attributes) => {
            let text = serde_json::to_vec(attributes).map_err(|error| Wrong { key: "attributes", message: error.to_string(), help: None })?;
            authenticator
                .attributes_of(name, &text)
                .map_err(|message| Wrong::new("attributes", message, "write what `issuers[].attributes` of lakegate.yaml declares, of its type"))?
        }
    };
    let token = Box::new(Token {
        issuer: name.clone(),
        kind,
        subject: subject.to_owned(),
        groups: raw.groups.clone().unwrap_or_default(),
        groups_elsewhere: false,
        roles: raw.roles.clone().unwrap_or_default(),
        scopes: raw.scopes.clone().unwrap_or_default(),
        client: raw.client.clone(),
        expires_at: 0,
        issued_at: None,
        auth_time: None,
        acr: raw.acr.clone(),
        id: None,
        session: None,
        actors,
        email: None,
        claims,
        purpose: raw.purpose.clone(),
        digest: [0; 32],
    });
    if let Some(why) = authenticator.impossible(&token) {
        return Err(Wrong { key, message: why, help: None });
    }
    let auth_time = raw.auth_time.as_deref().map(|text| when(text, "auth_time")).transpose()?;
    let expires = raw.expires.as_deref().map_or(Ok(GOOD), |text| when(text, "expires"))?;
    Ok(Told::Facts { token, auth_time, expires })
}

fn when(text: &str, key: &'static str) -> Result<When, Wrong> {
    When::parse(text).ok_or_else(|| Wrong::new(key, format!("{} is not a time", quoted(text)), When::FORMS))
}

/// Refuses facts of a token where there is none to have them.
fn no_facts(raw: &raw::Caller, why: &str) -> Result<(), Wrong> {
    match raw.facts().into_iter().find(|(_, said)| *said) {
        Some((key, _)) => Err(Wrong::new(key, format!("{why}, and `{key}` stands beside it"), format!("remove `{key}`, or say whose token it is"))),
        None => Ok(()),
    }
}
