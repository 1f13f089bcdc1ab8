use super::{Algorithm, Claims, HOUR, IssuerConfig, JWTS, KindRule, Profile, Refusal, Value, wrong};

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

/// `OpenID` Connect Core 1.0, section 2: the `nonce` of a client comes back in its ID token, and often nothing else tells that from an access token. Keycloak
/// before 26 wrote it into both, and `Bearer` into the claim `typ` of the one for access; where no plain JWT is taken, the header tells them apart.
pub(super) fn admit(claims: &Claims<'_>, config: &IssuerConfig) -> Result<(), Refusal> {
    let marked =
        matches!(claims.get("typ").and_then(Value::as_text), Some("Bearer" | "DPoP")) || !config.token_types.iter().any(|kind| kind == "jwt");
    if claims.has("nonce") && !marked { Err(wrong("an ID token (it has a `nonce`)")) } else { Ok(()) }
}

/// RFC 9068, section 2.2: in a client-credentials grant the subject is the client. Auth0 says `gty`, Entra `idtyp`.
pub(super) fn is_program(claims: &Claims<'_>) -> Result<bool, Refusal> {
    let subject = claims.name("sub")?;
    Ok((subject.is_some() && subject == claims.agreed(PROFILE.clients)?)
        || claims.get("gty").and_then(Value::as_text) == Some("client-credentials")
        || claims.get("idtyp").and_then(Value::as_text) == Some("app"))
}
