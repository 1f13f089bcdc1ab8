use super::{Algorithm, Claims, HOUR, JWTS, KindRule, Profile, Refusal, Value, bad, wrong};

/// Realm roles as `<role>`, client roles as `<client>:<role>` (Keycloak Server Administration Guide, *Protocol mappers*); groups as the mapper *Group
/// Membership* writes them.
pub(super) const PROFILE: Profile = Profile {
    token_types: JWTS,
    algorithms: &Algorithm::ALL,
    // Minutes by default; whatever a realm says.
    longest_token_s: 24 * HOUR,
    subject: "sub",
    groups: Some(&["groups"]),
    roles: &[&["realm_access", "roles"], &["resource_access", "*", "roles"]],
    clients: &["azp", "client_id"],
    ids: &["jti"],
    kind: KindRule::Detect,
    attributes: &[],
    id_tokens: false,
    pins: &[],
};

/// Keycloak writes what a token is into the claim `typ`: `Bearer` for access, or `DPoP` where that is bound to a key (its `TokenUtil`).
pub(super) fn admit(claims: &Claims<'_>) -> Result<(), Refusal> {
    match claims.get("typ").and_then(Value::as_text) {
        Some("Bearer") => Ok(()),
        Some("DPoP") if claims.has("cnf") => Ok(()),
        _ => Err(wrong("not marked `typ: Bearer`")),
    }
}

/// The user that Keycloak makes for a client is named after it, in lower case.
///
/// So may a person be, who chose the name of a client without such a user; but a person signs in. A client that gets a token for itself has no session, or,
/// where it may refresh its tokens, one of which the scope `service_account` tells where it came from.
pub(super) fn is_program(claims: &Claims<'_>) -> Result<bool, Refusal> {
    let account = claims.name("preferred_username")?.and_then(|name| name.strip_prefix("service-account-"));
    match (account, claims.agreed(PROFILE.clients)?) {
        (Some(account), Some(client)) if account == client.to_lowercase() => {}
        _ => return Ok(false),
    }
    if !claims.has("sid") || ["clientHost", "clientAddress"].iter().any(|mark| claims.has(mark)) {
        return Ok(true);
    }
    Err(bad(
        "the token is of a user with the name of its client's own account, who signed in; give the client the scope `service_account` if it is one",
    ))
}
