//! On whose behalf, and why: who acts for a token's subject (RFC 8693), and the purpose that the token names.

use super::{
    IssuerConfig, Purpose,
    claims::{Claims, bad, name_in},
    shown,
};
use crate::{
    json::Value,
    model::{Reason, Refusal},
};

/// How many parties may stand in an actor chain.
const MAX_ACTORS: usize = 4;

/// The subjects of the `act` chain (RFC 8693, section 4.1), who acts now first. Those behind the first are for the record alone, as the RFC has it.
///
/// # Errors
/// `TokenBadClaims` for what is no such chain; `ActorNotAllowed` where who acts now is none of the issuer's `actors`.
pub(super) fn actors(claims: &Claims<'_>, config: &IssuerConfig) -> Result<Vec<String>, Refusal> {
    let actors = chain(claims, config)?;
    allowed(&actors, config)?;
    Ok(actors)
}

/// The same, whoever acts.
pub(super) fn chain(claims: &Claims<'_>, config: &IssuerConfig) -> Result<Vec<String>, Refusal> {
    let mut actors = Vec::new();
    let mut next = claims.get("act");
    while let Some(value) = next {
        let actor = value.as_object().ok_or_else(|| bad(format!("the claim `act` is or holds {}, not an object", value.kind())))?;
        if actors.len() == MAX_ACTORS {
            return Err(bad(format!("more than {MAX_ACTORS} parties act for one another")));
        }
        // A subject means nothing without its issuer, and only one issuer vouches for this token.
        if actor.get("iss").is_some_and(|issuer| issuer.as_text() != Some(config.issuer.as_str())) {
            return Err(bad("an actor is of another issuer than the token"));
        }
        let subject = actor.get("sub").ok_or_else(|| bad("an actor has no `sub`"))?;
        actors.push(name_in(subject, "act.sub")?.to_owned());
        next = actor.get("act");
    }
    Ok(actors)
}

/// Whoever may exchange tokens at an issuer can have itself written into `act`, so that only those count whom the configuration names.
pub(super) fn allowed(actors: &[String], config: &IssuerConfig) -> Result<(), Refusal> {
    let Some(actor) = actors.first().filter(|actor| !config.actors.contains(actor)) else { return Ok(()) };
    let detail = format!("`{}` acts for the token's subject, and is none of the actors that issuer `{}` may name", shown(actor), config.name);
    Err(Refusal::new(Reason::ActorNotAllowed, detail))
}

/// Why the call is made, where the token says it as the configuration reads it.
///
/// # Errors
/// `TokenBadClaims` for what is no name of a purpose, or names two.
pub(super) fn purpose(claims: &Claims<'_>, config: &IssuerConfig) -> Result<Option<String>, Refusal> {
    match &config.purpose {
        None => Ok(None),
        Some(Purpose::Claim(path)) => claims.at(path)?.map(|value| name_in(value, &path.to_string()).map(str::to_owned)).transpose(),
        Some(Purpose::Details(kind)) => detailed(claims, kind),
    }
}

/// The member `purpose` of the entries of type `kind` (RFC 9396, section 2). One that says none, or another, makes it unknown which holds for this call.
fn detailed(claims: &Claims<'_>, kind: &str) -> Result<Option<String>, Refusal> {
    const CLAIM: &str = "authorization_details";
    let Some(value) = claims.get(CLAIM) else { return Ok(None) };
    let entries = value.as_list().ok_or_else(|| bad(format!("the claim `{CLAIM}` is {}, not an array", value.kind())))?;
    let mut purposes = Vec::new();
    for entry in entries {
        let members = entry.as_object().ok_or_else(|| bad(format!("the claim `{CLAIM}` holds {}, not objects alone", entry.kind())))?;
        let named = members.get("type").and_then(Value::as_text).ok_or_else(|| bad(format!("an entry of `{CLAIM}` has no `type`")))?;
        if named == kind {
            let purpose = members.get("purpose").map(|purpose| name_in(purpose, "authorization_details.purpose")).transpose()?;
            purposes.push(purpose);
        }
    }
    purposes.dedup();
    match purposes.as_slice() {
        [] => Ok(None),
        [one] => Ok(one.map(str::to_owned)),
        _ => Err(bad(format!("the entries of `{CLAIM}` with the type `{}` do not name one purpose", shown(kind)))),
    }
}
