use super::{Algorithm, Claims, HOUR, KindRule, Place, Profile, Reach, Refusal, needed};

/// Databricks' own OAuth access tokens, of people (U2M) and of service principals (M2M): RFC 9068 tokens with `client_id` and `scope`. Their audience is
/// the workspace's id, or the account's. The subject is the name of the user as Databricks has it, an e-mail address, since a token holds nothing else
/// that names a person; of a service principal it is the application id. Groups are not in them.
pub(super) const PROFILE: Profile = Profile {
    token_types: &["at+jwt"],
    algorithms: &[Algorithm::RS256],
    // Its OAuth tokens last for one hour.
    longest_token_s: 2 * HOUR,
    subject: "sub",
    groups: None,
    roles: &[],
    clients: &["client_id"],
    ids: &["jti"],
    kind: KindRule::Detect,
    attributes: &[],
    id_tokens: false,
    pins: &[],
};

/// `https://<workspace host>/oidc`, or `https://<account host>/oidc/accounts/<account id>` (the issuers that `/.well-known/databricks-config` names). The
/// account console's host without an account would be every customer's.
pub(super) fn reach(place: &Place<'_>) -> Result<Reach, &'static str> {
    match place.segments().as_slice() {
        ["oidc"] if !place.host.starts_with("accounts.") => Ok(Reach::Own),
        ["oidc", "accounts", account] if !account.is_empty() => Ok(Reach::Own),
        _ => Err("write `https://<workspace host>/oidc`, or `https://<account host>/oidc/accounts/<account id>`"),
    }
}

/// RFC 9068, section 2.2: an access token names its client.
pub(super) fn admit(claims: &Claims<'_>) -> Result<(), Refusal> {
    needed(claims, "client_id").map(drop)
}

/// A service principal is its own client.
pub(super) fn is_program(claims: &Claims<'_>) -> Result<bool, Refusal> {
    Ok(needed(claims, "sub")? == needed(claims, "client_id")?)
}
