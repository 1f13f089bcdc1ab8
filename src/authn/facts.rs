//! What a token says, held against what its issuer's tokens must look like.

use super::{
    ClaimPath, IssuerConfig, KindRule, Overage, Possession,
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
    /// Its `aud`.
    pub audiences: Box<[String]>,
}

/// The time in which a token is good, in seconds since the epoch. Asked again each time the token is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The later of `nbf` and `iat`.
    not_before: i64,
    /// Of a token without an end of its own: when it would have outlived its revocation.
    expires_at: i64,
    leeway: i64,
}

/// What the claims are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A signed token.
    Signed,
    /// Claims that are told of: a token that nobody has issued, so that how long it lives says nothing.
    Told,
    /// The issuer's answer about a token (RFC 7662, section 2.2), where little has to be said.
    Answer {
        /// When the token ends for us where the answer does not say so, in seconds since the epoch: no later than it has to be asked for again.
        until: i64,
        /// Whether it may name no audience.
        audience_optional: bool,
    },
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
    /// Reads the facts out of `claims`, whose `iss`, where they have one, is known to be that of `config`.
    pub(super) fn read(claims: &Claims<'_>, config: &IssuerConfig, now: i64, form: Form) -> Result<Self, Refusal> {
        config.provider.admit(claims, config)?;
        let (window, until) = window(claims, config, form)?;
        if form != Form::Told {
            lasts_not_too_long(claims, config, now)?;
        }
        window.check(now)?;
        let audiences = is_for_us(claims, config, form)?;
        attributes::required(claims, config)?;
        let confirmation = Confirmation::read(claims)?;
        if confirmation.is_none() && config.possession == Possession::Required {
            return Err(bad("the token is bound to no key or certificate (`cnf`), and of this issuer only bound tokens are taken"));
        }
        let mut scopes = claims.words("scope")?;
        scopes.extend(claims.words("scp")?);
        let groups_elsewhere = groups_are_elsewhere(claims, config);
        nothing_else_is_elsewhere(claims, config)?;
        let groups = if groups_elsewhere { no_groups(config)? } else { groups(claims, config)? };
        let mut token = Token {
            issuer: config.name.clone(),
            kind: kind(claims, config)?,
            subject: subject(claims, config)?,
            groups,
            groups_elsewhere,
            roles: Vec::new(),
            scopes: sorted(scopes),
            client: claims.agreed(config.provider.profile().clients)?.map(str::to_owned),
            expires_at: until,
            issued_at: claims.time("iat")?,
            auth_time: claims.time("auth_time")?,
            acr: claims.name("acr")?.map(str::to_owned),
            id: id(claims, config)?,
            session: claims.name("sid")?.map(str::to_owned),
            email: verified_email(claims)?,
            actors: delegation::actors(claims, config)?,
            claims: attributes::read(claims, config)?,
            purpose: delegation::purpose(claims, config)?,
            digest: [0; 32],
        };
        for path in &config.roles_claims {
            claims.collect(path, &mut token.roles)?;
        }
        if config.roles_claims.is_empty() {
            token.roles.extend(config.provider.other_role(claims)?.map(str::to_owned));
        }
        token.roles = sorted(token.roles);
        token.digest = digest::of_facts(&token);
        let bindings = binding::of_claims(config.bindings.as_deref(), claims, token.kind)?;
        let standing = Standing::read(&token, claims.name("sub")?, config, now)?;
        Ok(Self { token, window, held: Held { confirmation, bindings, standing }, audiences })
    }
}

/// What tells the token from every other, under the first of its names that is there.
fn id(claims: &Claims<'_>, config: &IssuerConfig) -> Result<Option<String>, Refusal> {
    for name in config.provider.profile().ids {
        if let Some(id) = claims.name(name)? {
            return Ok(Some(id.to_owned()));
        }
    }
    Ok(None)
}

/// When the token is good, and when it ends for a request that is decided now.
fn window(claims: &Claims<'_>, config: &IssuerConfig, form: Form) -> Result<(Window, i64), Refusal> {
    let issued = claims.time("iat")?.unwrap_or(0);
    let (expires_at, until) = match (claims.time("exp")?, form) {
        (Some(expires_at), _) => (expires_at, expires_at),
        // However long the issuer says that it is active, it may not outlive its revocation.
        (None, Form::Answer { until, .. }) => {
            let end = issued.saturating_add(config.longest_token_s);
            (end, until.min(end))
        }
        (None, Form::Signed | Form::Told) => return Err(bad("the token has no `exp`")),
    };
    let not_before = claims.time("nbf")?.unwrap_or(0).max(issued);
    Ok((Window { not_before, expires_at, leeway: config.leeway_s }, until))
}

/// Refuses a token that lives longer than revocations of its issuer do, or of which nobody can say that it does not.
fn lasts_not_too_long(claims: &Claims<'_>, config: &IssuerConfig, now: i64) -> Result<(), Refusal> {
    let longest = config.longest_token_s;
    let Some(issued) = claims.time("iat")? else {
        // Its `exp` alone would have it refused while that is far and taken when it is near, and a revocation may have ended in between.
        return Err(bad("the token has no `iat`, by which the issuer's `longest_token` is held; have the issuer put it into tokens"));
    };
    let (life, what) = match claims.time("exp")? {
        Some(expires) => (expires.saturating_sub(issued), "is issued for"),
        None => (now.saturating_sub(issued), "has no `exp` and was issued before"),
    };
    if life > longest {
        return Err(bad(format!("the token {what} {life} s, which is more than the issuer's `longest_token` of {longest} s")));
    }
    Ok(())
}

/// Its audiences, of which we are one.
fn is_for_us(claims: &Claims<'_>, config: &IssuerConfig, form: Form) -> Result<Box<[String]>, Refusal> {
    if matches!(form, Form::Answer { audience_optional: true, .. }) && !claims.has("aud") {
        return Ok(Box::default());
    }
    let audiences = claims.one_or_many("aud")?;
    if audiences.iter().any(|audience| config.audiences.iter().any(|ours| ours == audience)) {
        return Ok(audiences.into_iter().map(str::to_owned).collect());
    }
    let found = if audiences.is_empty() { "nobody".to_owned() } else { format!("`{}`", shown(&audiences.join("`, `"))) };
    let detail = format!("the token is for {found}, not for `{}`", config.audiences.join("` or `"));
    Err(Refusal::new(Reason::TokenWrongAudience, detail))
}

fn subject(claims: &Claims<'_>, config: &IssuerConfig) -> Result<String, Refusal> {
    let claim = config.subject_claim.as_str();
    let subject = match claims.name(claim)? {
        None if claim == config.provider.profile().subject => config.provider.other_subject(claims)?,
        subject => subject,
    };
    let subject = subject.ok_or_else(|| bad(format!("the token has no `{claim}`")))?;
    if claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
        return Err(bad("the token's `email` is not verified"));
    }
    Ok(subject.to_owned())
}

/// The address, where the issuer has verified that it is the subject's (`OpenID` Connect Core 1.0, section 5.1): anybody can have any other written there.
fn verified_email(claims: &Claims<'_>) -> Result<Option<String>, Refusal> {
    let verified = claims.get("email_verified") == Some(&Value::Bool(true));
    if verified { Ok(claims.name("email")?.map(str::to_owned)) } else { Ok(None) }
}

/// Group names exactly as the token has them: a path that begins with `/` (Keycloak with *full group path*) keeps it, or a group that is named like
/// a path could pass for another.
fn groups(claims: &Claims<'_>, config: &IssuerConfig) -> Result<Vec<String>, Refusal> {
    let mut groups = Vec::new();
    if let Some(path) = &config.groups_claim {
        claims.collect(path, &mut groups)?;
    }
    Ok(sorted(groups))
}

/// The groups where they are elsewhere: none, if somebody else is to say which they are.
fn no_groups(config: &IssuerConfig) -> Result<Vec<String>, Refusal> {
    match config.overage {
        Overage::Inventory => Ok(Vec::new()),
        Overage::Refuse => {
            let detail = "the subject has too many groups for the token to hold them; have the issuer send only those assigned to the application";
            Err(Refusal::new(Reason::GroupsUnknown, detail))
        }
    }
}

/// Whether the token says that the groups are not in it: no groups would then be a lie that a `forbid` falls for.
///
/// Entra leaves them out where there are too many (Microsoft identity platform, *Groups overage claim*), and names a distributed claim in their place (OpenID
/// Connect Core 1.0, section 5.6.2); its own reference shows that in more than one form.
fn groups_are_elsewhere(claims: &Claims<'_>, config: &IssuerConfig) -> bool {
    let own = config.groups_claim.as_ref().and_then(first);
    let is_groups = |name: &str| name == "groups" || Some(name) == own;
    let named = claims.get("_claim_names").is_some_and(|names| names.as_object().is_none_or(|names| names.iter().any(|(name, _)| is_groups(name))));
    let marked = claims.get("hasgroups").is_some_and(|has| *has != Value::Bool(false)) || claims.has("groups:src1");
    named || marked || (claims.has("_claim_sources") && claims.get("groups").is_some_and(|groups| groups.as_text().is_some()))
}

/// Refuses a token of which roles or attributes are elsewhere (`_claim_names`): without them a `forbid` would fall for it too, and nobody else knows them.
fn nothing_else_is_elsewhere(claims: &Claims<'_>, config: &IssuerConfig) -> Result<(), Refusal> {
    let Some(names) = claims.get("_claim_names").and_then(Value::as_object) else { return Ok(()) };
    let mut read = config.roles_claims.iter().chain(config.attributes.iter().map(|attribute| &attribute.claim)).filter_map(first);
    match read.find(|name| names.get(name).is_some()) {
        Some(name) => Err(bad(format!("the claim `{}` is not in the token, which says that it is elsewhere (`_claim_names`)", shown(name)))),
        None => Ok(()),
    }
}

fn first(path: &ClaimPath) -> Option<&str> {
    path.names().first().map(String::as_str)
}

/// Whether the subject is a person or a program.
fn kind(claims: &Claims<'_>, config: &IssuerConfig) -> Result<PrincipalKind, Refusal> {
    let detected = match config.kind {
        KindRule::User => false,
        KindRule::ServicePrincipal => true,
        KindRule::Detect => config.provider.is_program(claims)?,
    };
    Ok(if detected { PrincipalKind::ServicePrincipal } else { PrincipalKind::User })
}

pub(super) fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}
