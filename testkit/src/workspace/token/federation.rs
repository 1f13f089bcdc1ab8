//! Whom the account trusts to say who somebody is.

use std::collections::HashMap;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::{Proved, Refused};

/// A federation policy, account-wide or of one service principal.
#[derive(Clone, Debug, PartialEq)]
pub struct FederationPolicy {
    /// The `iss` that it is for.
    pub issuer: String,
    /// Of which `aud` must name one.
    pub audiences: Vec<String>,
    /// The claim in which the subject stands.
    pub subject_claim: String,
    /// The keys of the issuer (`jwks_json`).
    pub jwks: Value,
    /// `None` account-wide, where the subject is the name of a user or service principal.
    pub service_principal: Option<ServicePrincipal>,
}

/// For whom a policy of a service principal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePrincipal {
    pub application_id: String,
    /// The subject that it has to be.
    pub subject: String,
}

/// How far an issuer's clock may be ahead, in seconds.
const LEEWAY: i64 = 30;

// === impl FederationPolicy ===

impl FederationPolicy {
    /// An account-wide one, by `sub`.
    #[must_use]
    pub fn new(issuer: &str, audience: &str, jwks: Value) -> Self {
        Self { issuer: issuer.to_owned(), audiences: vec![audience.to_owned()], subject_claim: "sub".to_owned(), jwks, service_principal: None }
    }

    /// The same of one service principal, for this subject.
    #[must_use]
    pub fn of_service_principal(self, application_id: &str, subject: &str) -> Self {
        let service_principal = Some(ServicePrincipal { application_id: application_id.to_owned(), subject: subject.to_owned() });
        Self { service_principal, ..self }
    }
}

/// By the secret of a service principal.
pub(super) fn client(clients: &HashMap<String, String>, client_id: &str, secret: &str) -> Result<Proved, Refused> {
    match clients.get(client_id) {
        Some(known) if known == secret => Ok(Proved { principal: client_id.to_owned(), until: i64::MAX }),
        _ => Err(Refused::of(401, "invalid_client", "client authentication failed")),
    }
}

/// By a signed token that a policy holds for.
pub(super) fn federated(policies: &[FederationPolicy], token: &str, client_id: Option<&str>, now: i64) -> Result<Proved, Refused> {
    let head = jsonwebtoken::decode_header(token).map_err(|_| Refused::request("'subject_token' is not a JWT"))?;
    if !matches!(head.alg, Algorithm::RS256 | Algorithm::ES256) {
        return Err(Refused::grant("the token is signed with neither RS256 nor ES256"));
    }
    let unverified =
        jsonwebtoken::dangerous::insecure_decode::<Map<String, Value>>(token).map_err(|_| Refused::request("'subject_token' is not a JWT"))?;
    let text = |claims: &Map<String, Value>, name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let issuer = text(&unverified.claims, "iss");
    let is_for = |policy: &&FederationPolicy| {
        let application = policy.service_principal.as_ref().map(|principal| principal.application_id.as_str());
        policy.issuer == issuer && application == client_id
    };
    let policy = policies.iter().find(is_for).ok_or_else(|| Refused::access(format!("no federation policy for issuer '{issuer}'")))?;
    let claims = verified(token, &head, policy)?;
    let number = |name: &str| claims.get(name).and_then(Value::as_i64);
    let until = number("exp").ok_or_else(|| Refused::grant("the token has no 'exp'"))?;
    if until <= now {
        return Err(Refused::grant("the token has expired"));
    }
    if ["iat", "nbf"].into_iter().filter_map(number).any(|begins| begins > now + LEEWAY) {
        return Err(Refused::grant("the token is not valid yet"));
    }
    let audiences = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => vec![text(&claims, "aud")],
    };
    if !audiences.iter().any(|audience| policy.audiences.contains(audience)) {
        return Err(Refused::access(format!("audience '{}' is not that of the federation policy", audiences.join(" "))));
    }
    let subject = text(&claims, &policy.subject_claim);
    match &policy.service_principal {
        Some(principal) if principal.subject != subject => Err(Refused::access(format!("subject '{subject}' is not that of the federation policy"))),
        Some(principal) => Ok(Proved { principal: principal.application_id.clone(), until }),
        None if subject.is_empty() => Err(Refused::access("the token has no subject")),
        None => Ok(Proved { principal: subject, until }),
    }
}

/// The claims, once the signature is that of a key of the policy.
fn verified(token: &str, head: &jsonwebtoken::Header, policy: &FederationPolicy) -> Result<Map<String, Value>, Refused> {
    let unknown = || Refused::grant("the token's key is not one of its issuer");
    let keys: JwkSet = serde_json::from_value(policy.jwks.clone()).map_err(|_| unknown())?;
    let jwk = keys.find(head.kid.as_deref().unwrap_or_default()).ok_or_else(unknown)?;
    let key = DecodingKey::from_jwk(jwk).map_err(|_| unknown())?;
    let mut validation = Validation::new(head.alg);
    // times and audience are looked at by the clock and in the words of the endpoint
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
    decoded.map(|token| token.claims).map_err(|_| Refused::grant("the token's signature is not valid"))
}
