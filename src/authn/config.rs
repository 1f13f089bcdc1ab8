use std::{collections::HashSet, path::PathBuf, sync::Arc};

use super::{Binding, ClaimPath, PeerConfig, Provider, attributes, introspect::IntrospectionConfig};
use crate::{
    model::{FieldKind, Name},
    net::Endpoint,
};

/// What `authn` is told: who may vouch for workloads, and whose tokens count.
#[derive(Clone, Debug)]
pub struct Config {
    pub peers: PeerConfig,
    /// The hosts, in canonical form, to which personal access tokens of Databricks go on, past policies that look at the workload alone.
    pub personal_hosts: HashSet<String>,
    pub issuers: Vec<IssuerConfig>,
    /// The longest token that is read, in bytes.
    pub token_limit: usize,
    /// What verified tokens may take in memory, in bytes.
    pub cache_bytes: u64,
    /// The folder in which the stage keeps what must outlive the process; without it nothing does.
    pub state_dir: Option<PathBuf>,
}

/// One issuer of tokens and what its tokens must look like.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerConfig {
    pub name: Name,
    /// The exact `iss` of its tokens.
    pub issuer: String,
    pub provider: Provider,
    /// A token must be for one of these.
    pub audiences: Vec<String>,
    pub algorithms: Vec<Algorithm>,
    pub keys: KeySource,
    /// The claim, at the top level, that names the subject. `email` counts only beside `email_verified: true`.
    pub subject_claim: String,
    /// `None` where its tokens hold no groups.
    pub groups_claim: Option<ClaimPath>,
    /// What becomes of a token that says that its groups are elsewhere.
    pub overage: Overage,
    pub roles_claims: Vec<ClaimPath>,
    pub kind: KindRule,
    /// The claims that policies read as `context.token.claims.<name>`, in order of name.
    pub attributes: Vec<Attribute>,
    /// What claims must say: a token of which one says otherwise, or nothing, is refused.
    pub require: Vec<Requirement>,
    /// The subjects that may act for others, outermost in `act`. Where none is named, no token is taken that somebody else than its subject uses.
    pub actors: Vec<String>,
    /// Where its tokens say why a call is made; `None` where they do not.
    pub purpose: Option<Purpose>,
    /// Which workloads may present its tokens; `None` where any may.
    pub bindings: Option<Vec<Binding>>,
    /// The trust domain that it vouches for, where it is a SPIFFE authority.
    pub trust_domain: Option<String>,
    /// `None` where the issuer is asked about no token: only signed ones are taken then.
    pub introspection: Option<IntrospectionConfig>,
    pub possession: Possession,
    /// How far clocks may differ, in seconds.
    pub leeway_s: i64,
    /// Accepted `typ` headers, lower case, without `application/` (RFC 7515, section 4.1.9). A token without one counts as `jwt`.
    pub token_types: Vec<String>,
    /// How long a withdrawn key may verify on, cached tokens included, in seconds, as long as the issuer answers. Key sets are fetched again at half this
    /// age, whatever `Cache-Control` an issuer sends with them.
    pub refresh_s: i64,
    /// How long a key set is used while its issuer cannot be reached, in seconds since the last good fetch.
    pub max_stale_s: i64,
    /// The shortest time between two fetches that tokens with unknown keys can cause, in seconds.
    pub min_refetch_s: i64,
    /// Where its keys are kept over a restart; of the folder that the stage is given.
    pub(super) keys_file: Option<PathBuf>,
    /// The longest life of a token, from `iat` to `exp`, in seconds; of one without `iat`, from now on. Revocations last as long.
    pub longest_token_s: i64,
    pub session: SessionLimits,
    /// The `aud` of this issuer's logout tokens (OIDC Back-Channel Logout 1.0), a client id; `None` where it sends none.
    pub logout_audience: Option<String>,
}

/// How long a session may last, in seconds; `None` for any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// Since the subject authenticated.
    pub longest_s: Option<i64>,
    /// Since its last sign of life.
    pub idle_s: Option<i64>,
}

/// A signature algorithm that may be allowed. There is no HMAC here: a fetched key is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Named by `<issuer>/.well-known/openid-configuration` (OIDC Discovery 1.0, section 4).
    Discovery,
    Uri(Endpoint),
    /// Read when the stage is made; a change needs a new one.
    File(PathBuf),
}

/// How the kind of the principal is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KindRule {
    User,
    ServicePrincipal,
    /// From the marks that providers leave in tokens of programs; a user where there is none.
    Detect,
}

/// What becomes of a token that has more groups than it can hold and says so. It is never taken for one of a subject without groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overage {
    /// It is refused.
    Refuse,
    /// Its subject's groups are those of the inventory and the group files alone, which must know the subject.
    Inventory,
}

/// Whether a token must be bound to a key or certificate (RFC 7800) of whoever presents it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Possession {
    /// A token that is bound is taken with its proof alone, and one that is not as a bearer token.
    #[default]
    AsTokenSays,
    /// One that is not bound is refused.
    Required,
}

/// A claim that policies read under a name of its own. A token without it has no such attribute; one in which it is of another type is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// An identifier of Cedar.
    pub name: Arc<str>,
    pub claim: ClaimPath,
    pub kind: FieldKind,
}

/// One claim that must be there and have, or hold, one of these texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub claim: ClaimPath,
    /// Never empty.
    pub any_of: Vec<String>,
}

/// Where a token says why a call is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// In a claim of its own.
    Claim(ClaimPath),
    /// In the member `purpose` of the entries of this type in `authorization_details` (RFC 9396, section 2).
    Details(String),
}

// === impl IssuerConfig ===

impl IssuerConfig {
    /// The defaults of `provider`. There is no default audience: until one is set, no token of this issuer is accepted.
    #[must_use]
    pub fn new(name: Name, issuer: &str, provider: Provider) -> Self {
        let profile = provider.profile();
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            name,
            issuer: issuer.to_owned(),
            provider,
            audiences: Vec::new(),
            algorithms: profile.algorithms.to_vec(),
            keys: KeySource::Discovery,
            subject_claim: profile.subject.to_owned(),
            groups_claim: profile.groups.map(ClaimPath::of),
            overage: Overage::Refuse,
            roles_claims: profile.roles.iter().map(|names| ClaimPath::of(names)).collect(),
            kind: profile.kind,
            attributes: provider.attributes(),
            require: Vec::new(),
            actors: Vec::new(),
            purpose: None,
            bindings: None,
            trust_domain: None,
            introspection: None,
            possession: Possession::default(),
            leeway_s: 30,
            token_types: texts(profile.token_types),
            refresh_s: 60,
            max_stale_s: 3600,
            min_refetch_s: 5,
            longest_token_s: profile.longest_token_s,
            session: SessionLimits::default(),
            logout_audience: None,
            keys_file: None,
        }
    }
}

impl IssuerConfig {
    /// Lets policies read a claim, in place of what its name stood for.
    pub fn declare(&mut self, attribute: Attribute) {
        self.attributes.retain(|known| known.name != attribute.name);
        let place = self.attributes.partition_point(|known| known.name < attribute.name);
        self.attributes.insert(place, attribute);
    }

    /// What is wrong with it by itself, or beside `others`.
    pub(super) fn check<'o>(&self, mut others: impl Iterator<Item = &'o Self> + Clone) -> Result<(), String> {
        let name = &self.name;
        if self.issuer.is_empty() {
            return Err(format!("issuer `{name}` has no identifier, so that no token could be its own"));
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(format!("issuer `{name}` has no audience, or an empty one; name who its tokens must be meant for"));
        }
        if let Some(misfit) = self.provider.misfits(&self.issuer, &self.require, self.trust_domain.as_deref()).first() {
            return Err(format!("issuer `{name}`: {}; {}", misfit.message, misfit.help));
        }
        if self.algorithms.is_empty() {
            return Err(format!("issuer `{name}` allows no algorithm"));
        }
        if self.leeway_s < 0 || self.refresh_s < 1 || self.min_refetch_s < 1 || self.max_stale_s < self.refresh_s {
            return Err(format!("issuer `{name}` has times that do not fit: 0 ≤ leeway, 1 s ≤ refresh ≤ max stale, 1 s ≤ min refetch"));
        }
        attributes::agree(self, others.clone())?;
        let limits = [Some(self.longest_token_s), self.session.longest_s, self.session.idle_s];
        if limits.into_iter().flatten().any(|limit| limit < 1) {
            return Err(format!("issuer `{name}` has a limit of a token or a session that is no time"));
        }
        if let Some(introspection) = &self.introspection
            && !(1..=IntrospectionConfig::LONGEST_WINDOW_S).contains(&introspection.window_s)
        {
            return Err(format!("issuer `{name}` has an introspection window that is not 1 s to {} s", IntrospectionConfig::LONGEST_WINDOW_S));
        }
        let same = others.find(|other| other.name == *name || other.issuer == self.issuer);
        same.map_or(Ok(()), |other| Err(format!("issuer `{name}` has the name or the identifier of issuer `{}`", other.name)))
    }
}

// === impl Algorithm ===

impl Algorithm {
    pub const ALL: [Self; 9] = [Self::RS256, Self::RS384, Self::RS512, Self::PS256, Self::PS384, Self::PS512, Self::ES256, Self::ES384, Self::EdDSA];

    /// Its name in `alg` (RFC 7518, section 3.1; RFC 8037, section 3.1).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// `None` for every other name, `none` and the HMACs among them.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}
