use super::{Algorithm, Claims, HOUR, JWTS, KindRule, Place, Profile, Reach, Refusal, bad, needed, wrong};

/// Access tokens of a custom authorization server (Okta, *OpenID Connect & OAuth 2.0 API*, reserved claims of access tokens): `sub` is the name of
/// the user, which an administrator can give to somebody else, so the subject is `uid`, which Okta makes once; a token without a user has no `uid`, and
/// its `sub` is the client. `groups` is there once a claim of that name is added to the authorization server.
pub(super) const PROFILE: Profile = Profile {
    token_types: JWTS,
    algorithms: &[Algorithm::RS256],
    // The most that an access policy of an authorization server can say (Okta, *Configure an access policy*).
    longest_token_s: 24 * HOUR,
    subject: "uid",
    groups: Some(&["groups"]),
    roles: &[],
    clients: &["cid"],
    ids: &["jti"],
    kind: KindRule::Detect,
    attributes: &[("login", &["sub"])],
    id_tokens: false,
    pins: &[],
};

/// `https://<domain>/oauth2/<server>`. The tokens of the org authorization server (`https://<domain>`) are for Okta's own API, in a form that it may
/// change (`application/okta-internal-at+jwt`), and its keys are no promise to anyone else (Okta, *Authorization servers*).
pub(super) fn reach(place: &Place<'_>) -> Result<Reach, &'static str> {
    match place.segments().as_slice() {
        ["oauth2", server] if !server.is_empty() => Ok(Reach::Own),
        [] => Err("the access tokens of Okta's org authorization server are for Okta alone to verify; write the issuer of a custom one, as \
            `https://acme.okta.com/oauth2/default`"),
        _ => Err("write `https://<your Okta domain>/oauth2/<authorization server id>`, as `https://acme.okta.com/oauth2/default`"),
    }
}

/// Every access token names its client in `cid`; an ID token names it in `aud` and has no `cid`.
pub(super) fn admit(claims: &Claims<'_>) -> Result<(), Refusal> {
    if claims.has("cid") { Ok(()) } else { Err(wrong("without `cid`, so an ID token")) }
}

/// Whether no user is bound to the token.
pub(super) fn is_program(claims: &Claims<'_>) -> Result<bool, Refusal> {
    if claims.has("uid") {
        return Ok(false);
    }
    if needed(claims, "sub")? == needed(claims, "cid")? {
        return Ok(true);
    }
    Err(bad("the token has no `uid`, so it is a client's own, but its `sub` is not the client"))
}
