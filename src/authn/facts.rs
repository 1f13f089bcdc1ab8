//! What a token says, held against what its issuer's tokens must look like.

use super::{
    IssuerConfig, KindRule, Provider,
    admit::Held,
    attributes, binding,
    claims::{Claims, bad},
    confirm::Confirmation,
    delegation, digest, shown,
    standing::Standing,
};
use crate::{
    json::Value,
    model::{PrincipalKind, Reason, Refusal, Token},
};

/// The facts of a token, and when they hold.
#[derive(Debug)]
pub(super) struct Facts {
    pub token: Token,
    pub window: Window,
    pub held: Held,
}

/// The time in which a token is good, in seconds since the epoch. Asked again each time the token is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The later of `nbf` and `iat`.
    not_before: i64,
    expires_at: i64,
    leeway: i64,
}

// === impl Window ===

impl Window {
    pub(super) fn new(not_before: Option<i64>, expires_at: i64, leeway: i64) -> Self {
        Self { not_before: not_before.unwrap_or(0), expires_at, leeway }
    }

    /// # Errors
    /// `TokenExpired` or `TokenNotYetValid`.
    pub(super) fn check(&self, now: i64) -> Result<(), Refusal> {
        if now >= self.expires_at.saturating_add(self.leeway) {
            let ago = now.saturating_sub(self.expires_at);
            return Err(Refusal::new(Reason::TokenExpired, format!("the token expired {ago} s ago")));
        }
        if now.saturating_add(self.leeway) < self.not_before {
            let ahead = self.not_before.saturating_sub(now);
            return Err(Refusal::new(Reason::TokenNotYetValid, format!("the token is valid only in {ahead} s")));
        }
        Ok(())
    }

    pub(super) fn expires_at(&self) -> i64 {
        self.expires_at
    }
}

// === impl Facts ===

impl Facts {
    /// Reads the facts out of `claims`, whose `iss` is known to be that of `config`.
    pub(super) fn read(claims: &Claims<'_>, config: &IssuerConfig, now: i64) -> Result<Self, Refusal> {
        is_access_token(claims, config)?;
        let window = window(claims, config)?;
        window.check(now)?;
        lasts_not_too_long(claims, config, now)?;
        is_for_us(claims, config)?;
        attributes::required(claims, config)?;
        let mut scopes = claims.words("scope")?;
        scopes.extend(claims.words("scp")?);
        let mut token = Token {
            issuer: config.name.clone(),
            kind: kind(claims, config)?,
            subject: subject(claims, config)?,
            groups: groups(claims, config)?,
            roles: Vec::new(),
            scopes: sorted(scopes),
            client: client(claims)?,
            expires_at: window.expires_at,
            issued_at: claims.time("iat")?,
            auth_time: claims.time("auth_time")?,
            acr: claims.name("acr")?.map(str::to_owned),
            id: claims.name("jti")?.map(str::to_owned),
            session: claims.name("sid")?.map(str::to_owned),
            actors: delegation::actors(claims, config)?,
            claims: attributes::read(claims, config)?,
            purpose: delegation::purpose(claims, config)?,
            digest: [0; 32],
        };
        for path in &config.roles_claims {
            claims.collect(path, &mut token.roles)?;
        }
        token.roles = sorted(token.roles);
        token.digest = digest::of_facts(&token);
        let bindings = binding::of_claims(config.bindings.as_deref(), claims, token.kind)?;
        let standing = Standing::read(&token, claims.name("sub")?, config, now)?;
        Ok(Self { token, window, held: Held { confirmation: Confirmation::read(claims)?, bindings, standing } })
    }
}

/// The name of the client that the token was given to, under whichever of its names.
fn client(claims: &Claims<'_>) -> Result<Option<String>, Refusal> {
    Ok(claims.agreed(&["azp", "client_id"])?.map(str::to_owned))
}

/// Refuses ID, refresh and logout tokens and security events, which their `typ` header does not always tell from access tokens.
fn is_access_token(claims: &Claims<'_>, config: &IssuerConfig) -> Result<(), Refusal> {
    let wrong = |what: &str| Err(Refusal::new(Reason::TokenWrongType, format!("the token is {what}, not an access token")));
    // Keycloak writes what a token is into the claim `typ`, and `JWT` into the header of all of them.
    let kind = claims.get("typ").map(|kind| kind.as_text().map(str::to_ascii_lowercase));
    match (kind.as_ref().map(Option::as_deref), config.provider) {
        (Some(Some("bearer")), _) if claims.get("typ").and_then(Value::as_text) == Some("Bearer") => {}
        (Some(Some("id")), _) => return wrong("an ID token"),
        (Some(Some("refresh" | "offline")), _) => return wrong("a refresh token"),
        (Some(Some("logout")), _) => return wrong("a logout token"),
        (_, Provider::Keycloak) => return wrong("not marked `typ: Bearer`"),
        (Some(None), Provider::Generic) => return wrong("of a `typ` that is no string"),
        (_, Provider::Generic) => {}
    }
    // OpenID Connect Core 1.0, sections 3.1.3.6 and 3.3.2.11: these bind an ID token to what it came with. Cognito says `token_use`.
    if claims.has("at_hash") || claims.has("c_hash") || claims.get("token_use").and_then(Value::as_text) == Some("id") {
        return wrong("an ID token");
    }
    // RFC 8417, section 2.2.
    if claims.has("events") { wrong("a security event") } else { Ok(()) }
}

fn window(claims: &Claims<'_>, config: &IssuerConfig) -> Result<Window, Refusal> {
    let expires_at = claims.time("exp")?.ok_or_else(|| bad("the token has no `exp`"))?;
    let not_before = claims.time("nbf")?.unwrap_or(0).max(claims.time("iat")?.unwrap_or(0));
    Ok(Window { not_before, expires_at, leeway: config.leeway_s })
}

/// Refuses a token that lives longer than revocations of its issuer do.
fn lasts_not_too_long(claims: &Claims<'_>, config: &IssuerConfig, now: i64) -> Result<(), Refusal> {
    let life = claims.time("exp")?.unwrap_or(0).saturating_sub(claims.time("iat")?.unwrap_or(now));
    if life > config.longest_token_s {
        let days = life / 86_400;
        return Err(bad(format!("the token is issued for {life} s ({days} days), which is longer than the issuer's `longest_token`")));
    }
    Ok(())
}

fn is_for_us(claims: &Claims<'_>, config: &IssuerConfig) -> Result<(), Refusal> {
    let audiences = claims.one_or_many("aud")?;
    if audiences.iter().any(|audience| config.audiences.iter().any(|ours| ours == audience)) {
        return Ok(());
    }
    let found = if audiences.is_empty() { "nobody".to_owned() } else { format!("`{}`", shown(&audiences.join("`, `"))) };
    let detail = format!("the token is for {found}, not for `{}`", config.audiences.join("` or `"));
    Err(Refusal::new(Reason::TokenWrongAudience, detail))
}

fn subject(claims: &Claims<'_>, config: &IssuerConfig) -> Result<String, Refusal> {
    let claim = config.subject_claim.as_str();
    let subject = claims.name(claim)?.ok_or_else(|| bad(format!("the token has no `{claim}`")))?;
    if claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
        return Err(bad("the token's `email` is not verified"));
    }
    Ok(subject.to_owned())
}

/// Group names exactly as the token has them: a path that begins with `/` (Keycloak with *full group path*) keeps it, or a group that is named like
/// a path could pass for another.
fn groups(claims: &Claims<'_>, config: &IssuerConfig) -> Result<Vec<String>, Refusal> {
    // Entra leaves the groups out of a token where there are too many; no groups would then be a lie that a `forbid` falls for.
    let elsewhere = claims.get("_claim_names").and_then(Value::as_object).is_some_and(|names| names.get("groups").is_some());
    if elsewhere || claims.get("hasgroups") == Some(&Value::Bool(true)) {
        return Err(bad("the subject has too many groups for the token to hold them; have the issuer send only those assigned to the application"));
    }
    let mut groups = Vec::new();
    claims.collect(&config.groups_claim, &mut groups)?;
    Ok(sorted(groups))
}

/// Whether the subject is a person or a program.
fn kind(claims: &Claims<'_>, config: &IssuerConfig) -> Result<PrincipalKind, Refusal> {
    let detected = match config.kind {
        KindRule::User => false,
        KindRule::ServicePrincipal => true,
        KindRule::Detect => match config.provider {
            // The user that Keycloak makes for a client is named after it, in lower case.
            Provider::Keycloak => {
                match (claims.name("preferred_username")?.and_then(|name| name.strip_prefix("service-account-")), client(claims)?) {
                    (Some(account), Some(client)) => account == client.to_lowercase(),
                    _ => false,
                }
            }
            // RFC 9068, section 2.2: in a client-credentials grant the subject is the client. Auth0 says `gty`, Entra `idtyp`.
            Provider::Generic => {
                let subject = claims.name("sub")?;
                (subject.is_some() && subject == claims.agreed(&["azp", "client_id"])?)
                    || claims.get("gty").and_then(Value::as_text) == Some("client-credentials")
                    || claims.get("idtyp").and_then(Value::as_text) == Some("app")
            }
        },
    };
    Ok(if detected { PrincipalKind::ServicePrincipal } else { PrincipalKind::User })
}

pub(super) fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}
