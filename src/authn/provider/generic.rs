use super::{Algorithm, Claims, HOUR, JWTS, KindRule, Profile, Refusal, Value};

/// JWT access tokens (RFC 9068), and what comes close to them.
pub(super) const PROFILE: Profile = Profile {
    token_types: JWTS,
    algorithms: &Algorithm::ALL,
    longest_token_s: 24 * HOUR,
    subject: "sub",
    groups: Some(&["groups"]),
    roles: &[&["roles"]],
    clients: &["azp", "client_id"],
    ids: &["jti"],
    kind: KindRule::Detect,
    attributes: &[],
    id_tokens: false,
    pins: &[],
};

/// RFC 9068, section 2.2: in a client-credentials grant the subject is the client. Auth0 says `gty`, Entra `idtyp`.
pub(super) fn is_program(claims: &Claims<'_>) -> Result<bool, Refusal> {
    let subject = claims.name("sub")?;
    Ok((subject.is_some() && subject == claims.agreed(PROFILE.clients)?)
        || claims.get("gty").and_then(Value::as_text) == Some("client-credentials")
        || claims.get("idtyp").and_then(Value::as_text) == Some("app"))
}
