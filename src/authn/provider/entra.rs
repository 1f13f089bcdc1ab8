use super::{Algorithm, Claims, HOUR, IssuerConfig, JWTS, KindRule, Place, Profile, Reach, Refusal, bad, is_uuid, needed, shown, wrong};

/// Access tokens of versions 1.0 and 2.0 (Microsoft identity platform, *Access token claims reference*). `sub` is another for each application that a
/// user signs in to; `oid` is the same for all, for users and service principals, and never changes. Version 1.0 names the client `appid`, 2.0 `azp`.
/// The id of a token is `uti`. Names and addresses (`upn`, `email`, `preferred_username`) change hands and are no attributes.
pub(super) const PROFILE: Profile = Profile {
    token_types: JWTS,
    algorithms: &[Algorithm::RS256],
    // Those of clients that take part in continuous access evaluation last for up to 28 hours (Microsoft Entra, *Continuous access evaluation*).
    longest_token_s: 29 * HOUR,
    subject: "oid",
    groups: Some(&["groups"]),
    roles: &[&["roles"]],
    clients: &["azp", "appid"],
    ids: &["jti", "uti"],
    kind: KindRule::Detect,
    attributes: &[("idp", &["idp"]), ("tenant", &["tid"])],
    id_tokens: false,
    pins: &[&["oid"]],
};

/// The tenant of personal Microsoft accounts, in which anyone can have one.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// `https://login.microsoftonline.com/<tenant>/v2.0` (version 2.0) or `https://sts.windows.net/<tenant>/` (1.0), or the hosts of the national clouds.
/// No token has `common` or `organizations` in its `iss`: each has the id of its tenant, so that naming the issuer is naming the tenant.
pub(super) fn reach(place: &Place<'_>) -> Result<Reach, &'static str> {
    match place.segments().as_slice() {
        [tenant, "v2.0" | ""] if *tenant == CONSUMERS => Ok(Reach::Anyone),
        [tenant, "v2.0" | ""] if is_uuid(tenant) => Ok(Reach::Own),
        ["common" | "organizations" | "consumers" | "{tenantid}", ..] => {
            Err("the `iss` of a token has the id of its tenant: write one issuer for each, as `https://login.microsoftonline.com/<tenant id>/v2.0`")
        }
        _ => Err("write `https://login.microsoftonline.com/<tenant id>/v2.0`, or `https://sts.windows.net/<tenant id>/` for tokens of version 1.0"),
    }
}

/// An ID token has neither `azp` nor `appid`. `tid` and `ver` must be those that the issuer says.
pub(super) fn admit(claims: &Claims<'_>, config: &IssuerConfig) -> Result<(), Refusal> {
    if claims.agreed(PROFILE.clients)?.is_none() {
        return Err(wrong("without `azp` or `appid`, so an ID token"));
    }
    let place = Place::of(&config.issuer);
    let tenant = needed(claims, "tid")?;
    if place.segments().first() != Some(&tenant) {
        return Err(bad(format!("the token is of the tenant `{}`, not of that of its issuer", shown(tenant))));
    }
    let version = needed(claims, "ver")?;
    if version == if place.path.ends_with("/v2.0") { "2.0" } else { "1.0" } {
        Ok(())
    } else {
        Err(bad(format!("the token is of version `{}`, which is not that of its issuer", shown(version))))
    }
}

/// `idtyp` says it, where the application asks for that optional claim; else a user's token has `scp` and an application's has the application's own
/// `oid` as its `sub` (Microsoft identity platform, *Optional claims reference* and *Claims validation*).
pub(super) fn is_program(claims: &Claims<'_>) -> Result<bool, Refusal> {
    let for_user = claims.has("scp");
    match claims.name("idtyp")? {
        Some("app") if for_user => Err(bad("the token says that it is an application's own, and for a user")),
        Some("app") => Ok(true),
        Some("user") => Ok(false),
        Some(other) => Err(bad(format!("the token is for neither a user nor an application, but for `{}`", shown(other)))),
        None if for_user => Ok(false),
        None if needed(claims, "sub")? == needed(claims, "oid")? => Ok(true),
        None => Err(bad("whether the token is for a user or an application cannot be told; add the optional claim `idtyp` to the application")),
    }
}
