//! What is known of the token of a call, whatever becomes of the call: for the record and for operators, never for the caller.

use std::{fmt::Display, sync::Arc};

use super::{IssuerConfig, cache::Verified, claims::Claims, delegation};
use crate::model::{SpiffePattern, Token, TokenDigest};

/// Filled in on the way: a token that is refused after its signature was verified, or its issuer has vouched for it, is known all the same. Of any other
/// nothing is, since whoever sends it may have written into it what they like.
#[derive(Debug, Default)]
pub struct Trail {
    digest: Option<TokenDigest>,
    verified: Option<Arc<Verified>>,
    claims: Option<Box<Said>>,
    revocation: Option<uuid::Uuid>,
    personal: bool,
}

/// What a token whose claims are no good says of whose it is, as far as that can be read.
#[derive(Debug)]
struct Said {
    issuer: String,
    subject: Option<String>,
    id: Option<String>,
    session: Option<String>,
    client: Option<String>,
    actors: Vec<String>,
    purpose: Option<String>,
    expires_at: Option<i64>,
}

/// Whose a token is, in the words of its issuer.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'t> {
    /// Its name in the configuration.
    pub issuer: &'t str,
    pub subject: Option<&'t str>,
    pub id: Option<&'t str>,
    pub session: Option<&'t str>,
    pub client: Option<&'t str>,
    /// Who acts now first.
    pub actors: &'t [String],
    pub purpose: Option<&'t str>,
    /// Seconds since the epoch.
    pub expires_at: Option<i64>,
}

// === impl Trail ===

impl Trail {
    pub(super) fn begin(&mut self, sha256: &[u8; 32]) {
        self.digest = Some(TokenDigest::of(sha256));
    }

    pub(super) fn saw(&mut self, verified: &Arc<Verified>) {
        self.keep(Arc::clone(verified));
    }

    pub(super) fn verified(&self) -> Option<&Arc<Verified>> {
        self.verified.as_ref()
    }

    pub(super) fn keep(&mut self, verified: Arc<Verified>) -> &Arc<Verified> {
        self.verified.insert(verified)
    }

    /// Reads what can be read of verified `claims` that are refused.
    pub(super) fn read(&mut self, claims: &Claims<'_>, config: &IssuerConfig) {
        let name = |name: &str| claims.name(name).ok().flatten().map(str::to_owned);
        let profile = config.provider.profile();
        self.claims = Some(Box::new(Said {
            issuer: config.name.to_string(),
            subject: name(&config.subject_claim).or_else(|| name("sub")),
            id: profile.ids.iter().find_map(|id| name(id)),
            session: name("sid"),
            client: profile.clients.iter().find_map(|client| name(client)),
            actors: delegation::chain(claims, config).unwrap_or_default(),
            purpose: delegation::purpose(claims, config).ok().flatten(),
            expires_at: claims.time("exp").ok().flatten(),
        }));
    }

    pub(super) fn revoked_by(&mut self, revocation: Option<uuid::Uuid>) {
        self.revocation = revocation;
    }

    /// Of the token, once it is known; `None` where only its claims are told of.
    #[must_use]
    pub fn digest(&self) -> Option<TokenDigest> {
        self.digest.filter(|_| self.verified.is_some() || self.claims.is_some())
    }

    /// The facts of the token, where its claims are good.
    #[must_use]
    pub fn token(&self) -> Option<&Arc<Token>> {
        self.verified.as_ref().map(|verified| &verified.token)
    }

    /// Whose it is; `None` where nothing of it can be believed.
    #[must_use]
    pub fn whose(&self) -> Option<Whose<'_>> {
        let said = || self.claims.as_deref().map(Said::whose);
        self.token().map(|token| Whose::of(token)).or_else(said)
    }

    /// The id of the revocation that it was refused for.
    #[must_use]
    pub fn revocation(&self) -> Option<impl Display + use<>> {
        self.revocation
    }

    pub(super) fn brought_personal(&mut self) {
        self.personal = true;
    }

    /// Whether a personal access token of Databricks came, of which nothing is known, and was let pass: the caller is the workload.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.personal
    }

    /// Whom it is meant for: its `aud`.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        self.verified.as_ref().map_or(&[], |verified| &verified.audiences)
    }

    /// The workloads that may present it; `None` where any may, or that is not known.
    #[must_use]
    pub fn peers(&self) -> Option<&[SpiffePattern]> {
        self.verified.as_ref()?.held.bindings.as_deref()
    }

    /// What has to be proven beside it (`cnf`): a `certificate`, a `key`, or both.
    #[must_use]
    pub fn bound_to(&self) -> Vec<&'static str> {
        let confirmation = self.verified.as_ref().and_then(|verified| verified.held.confirmation);
        let certificate = confirmation.and_then(|bound| bound.certificate).map(|_| "certificate");
        certificate.into_iter().chain(confirmation.and_then(|bound| bound.key).map(|_| "key")).collect()
    }
}

// === impl Whose ===

impl<'t> Whose<'t> {
    fn of(token: &'t Token) -> Self {
        Self {
            issuer: token.issuer.as_str(),
            subject: Some(&token.subject),
            id: token.id.as_deref(),
            session: token.session.as_deref(),
            client: token.client.as_deref(),
            actors: &token.actors,
            purpose: token.purpose.as_deref(),
            expires_at: Some(token.expires_at),
        }
    }
}

// === impl Said ===

impl Said {
    fn whose(&self) -> Whose<'_> {
        Whose {
            issuer: &self.issuer,
            subject: self.subject.as_deref(),
            id: self.id.as_deref(),
            session: self.session.as_deref(),
            client: self.client.as_deref(),
            actors: &self.actors,
            purpose: self.purpose.as_deref(),
            expires_at: self.expires_at,
        }
    }
}
