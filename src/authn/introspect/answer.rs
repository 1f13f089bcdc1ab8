//! What an issuer says of a token (RFC 7662, section 2.2), held against the same rules as the claims of a signed one.

use std::sync::Arc;

use super::{
    super::{
        cache::Verified,
        claims::{Claims, bad},
        confirm::Confirmation,
        facts::{Facts, Form},
        issuer::Issuer,
    },
    About,
};
use crate::{
    json::Value,
    model::{Reason, Refusal},
};

/// Why an answer makes no caller.
#[derive(Debug)]
pub(super) enum Rejected {
    /// It is an answer, and the token is not good.
    Token(Refusal),
    /// It is none: what is said of the endpoint, which may be mended.
    Answer(String),
}

/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// What `body` says of the token, which was asked for at `asked_ms`, in milliseconds since the epoch.
pub(super) fn read(body: &[u8], issuer: &Arc<Issuer>, about: &About, asked_ms: i64, now: i64) -> Result<Arc<Verified>, Rejected> {
    if body.len() > LONGEST {
        return Err(Rejected::Answer(format!("its answer is longer than {LONGEST} bytes")));
    }
    let claims = Claims::read(body).map_err(|_| Rejected::Answer("its answer is not one strict JSON object".to_owned()))?;
    match claims.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => {
            let detail = format!("issuer `{}` says that the token is not active: it has expired, was revoked, or never was one", issuer.config.name);
            return Err(Rejected::Token(Refusal::new(Reason::TokenInactive, detail)));
        }
        _ => return Err(Rejected::Answer("its answer has no boolean `active`".to_owned())),
    }
    agrees(&claims, issuer, about).map_err(Rejected::Token)?;
    match about {
        // Its own claims are signed, and count; the answer only says that they still do.
        About::Signed(known) => Ok(Arc::new(Verified {
            issuer: Arc::clone(issuer),
            key: known.key,
            window: known.window,
            held: known.held.clone(),
            token: Arc::clone(&known.token),
            audiences: known.audiences.clone(),
            asked_ms: Some(asked_ms),
        })),
        About::Opaque => opaque(&claims, issuer, asked_ms, now).map(Arc::new).map_err(Rejected::Token),
    }
}

/// What an answer may not say of a token, however active it is.
fn agrees(claims: &Claims<'_>, issuer: &Issuer, about: &About) -> Result<(), Refusal> {
    if claims.has("iss") && claims.get("iss").and_then(Value::as_text) != Some(issuer.config.issuer.as_str()) {
        return Err(bad("the answer of the issuer names another `iss`"));
    }
    if let Some(kind) = claims.get("token_type") {
        let kind = kind.as_text().map(str::to_ascii_lowercase);
        if !matches!(kind.as_deref(), Some("bearer" | "dpop")) {
            return Err(Refusal::new(Reason::TokenWrongType, "the issuer says that the token is not an access token"));
        }
    }
    if let (About::Signed(known), Some(subject)) = (about, claims.name(&issuer.config.subject_claim)?)
        && subject != known.token.subject
    {
        return Err(bad("the answer of the issuer names another subject than the token"));
    }
    // An issuer that binds a token by its answer alone (RFC 8705, section 3.2; RFC 9449, section 6.2) must not see it taken from whoever has it.
    if let (About::Signed(known), Some(said)) = (about, Confirmation::read(claims)?)
        && known.held.confirmation != Some(said)
    {
        return Err(bad("the answer of the issuer binds the token to another key or certificate than the token says (`cnf`)"));
    }
    if let About::Signed(known) = about {
        bound_as_typed(claims, known.held.confirmation)?;
    }
    Ok(())
}

/// Refuses a token that is of the type `DPoP`, and bound to no key.
fn bound_as_typed(claims: &Claims<'_>, confirmation: Option<Confirmation>) -> Result<(), Refusal> {
    let bound = confirmation.is_some_and(|confirmation| confirmation.key.is_some());
    if !bound && claims.get("token_type").and_then(Value::as_text).is_some_and(|kind| kind.eq_ignore_ascii_case("dpop")) {
        return Err(bad("the token is of the type `DPoP`, and the issuer does not say which key it is bound to"));
    }
    Ok(())
}

/// The token that only the answer describes.
fn opaque(claims: &Claims<'_>, issuer: &Arc<Issuer>, asked_ms: i64, now: i64) -> Result<Verified, Refusal> {
    let config = issuer.introspection.as_ref().map(|introspector| &introspector.config);
    let window_s = config.map_or(0, |config| config.window_s);
    let form = Form::Answer {
        until: asked_ms.div_euclid(1000).saturating_add(window_s),
        audience_optional: config.is_some_and(|config| config.audience_optional),
    };
    let facts = Facts::read(claims, &issuer.config, now, form)?;
    bound_as_typed(claims, facts.held.confirmation)?;
    Ok(Verified::new(issuer, None, facts, Some(asked_ms)))
}
