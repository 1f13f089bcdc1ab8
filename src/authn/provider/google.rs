use super::{Algorithm, Claims, HOUR, JWTS, KindRule, Place, Profile, Reach, Refusal, Value, bad};

/// ID tokens: Google's access tokens are opaque, so an ID token with lakegate's own audience is what people and service accounts can show (Google
/// Identity, *OpenID Connect*; Google Cloud, *Get an ID token* and *Verify VM identity*). `sub` is a number that is never given again; `email` can be.
pub(super) const PROFILE: Profile = Profile {
    token_types: JWTS,
    algorithms: &[Algorithm::RS256],
    // Its ID tokens last for one hour.
    longest_token_s: 2 * HOUR,
    subject: "sub",
    groups: None,
    roles: &[],
    clients: &["azp"],
    ids: &["jti"],
    kind: KindRule::Detect,
    attributes: &[
        ("domain", &["hd"]),
        ("email", &["email"]),
        ("instance", &["google", "compute_engine", "instance_name"]),
        ("project", &["google", "compute_engine", "project_id"]),
        ("zone", &["google", "compute_engine", "zone"]),
    ],
    id_tokens: true,
    pins: &[&["hd"], &["azp"], &["sub"], &["email"], &["google", "compute_engine", "project_id"], &["google", "compute_engine", "project_number"]],
};

/// Anyone with a Google account, or a service account of any project, can have a token with any audience.
pub(super) fn reach(place: &Place<'_>) -> Result<Reach, &'static str> {
    let known = place.host == "accounts.google.com" && place.path.is_empty();
    if known || place.is_loopback() { Ok(Reach::Anyone) } else { Err("write `https://accounts.google.com`") }
}

/// An address that Google has not verified is anyone's claim, and policies may read it.
pub(super) fn admit(claims: &Claims<'_>) -> Result<(), Refusal> {
    if claims.has("email") && claims.get("email_verified") != Some(&Value::Bool(true)) {
        return Err(bad("the token's `email` is not verified"));
    }
    Ok(())
}

/// A service account is its own authorized party, by its unique id or its address; a person's token was given to an OAuth client.
pub(super) fn is_program(claims: &Claims<'_>) -> Result<bool, Refusal> {
    let domain = claims.name("email")?.and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
    let account = domain.is_some_and(|domain| domain == "gserviceaccount.com" || domain.ends_with(".gserviceaccount.com"));
    let party = claims.name("azp")?;
    Ok(account || (party.is_some() && party == claims.name("sub")?))
}
