use super::{Algorithm, Claims, HOUR, IssuerConfig, KindRule, Profile, Refusal, bad, needed, shown};
use crate::model::SpiffeId;

/// JWT-SVIDs (SPIFFE, *The JWT SPIFFE Verifiable Identity Document*): `typ` is `JWT`, `JOSE` or absent, the algorithms are those of RFC 7518, sections 3.3
/// to 3.5. `iss` is optional there and needed here, since it chooses the keys; SPIRE writes it where `jwt_issuer` is set.
pub(super) const PROFILE: Profile = Profile {
    token_types: &["jwt", "jose"],
    algorithms: &[
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
    ],
    // Minutes by default in SPIRE (`default_jwt_svid_ttl`), hours where an entry says so.
    longest_token_s: 24 * HOUR,
    subject: "sub",
    groups: None,
    roles: &[],
    clients: &[],
    ids: &["jti"],
    kind: KindRule::ServicePrincipal,
    attributes: &[],
    id_tokens: false,
    pins: &[],
};

/// An authority vouches for its own trust domain alone, however many it federates with.
pub(super) fn admit(claims: &Claims<'_>, config: &IssuerConfig) -> Result<(), Refusal> {
    let subject = needed(claims, "sub")?;
    let id = SpiffeId::parse(subject).map_err(|error| bad(format!("the token's `sub` `{}` is no SPIFFE ID: {error}", shown(subject))))?;
    if config.trust_domain.as_deref() == Some(id.trust_domain()) {
        return Ok(());
    }
    Err(bad(format!("the token's `sub` is of the trust domain `{}`, which is not that of its issuer", shown(id.trust_domain()))))
}
