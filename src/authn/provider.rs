//! Whose product issues the tokens: what they look like where the configuration does not say, and what no configuration can make of them.

mod aws;
mod databricks;
mod entra;
mod generic;
mod github_actions;
mod google;
mod keycloak;
mod kubernetes;
mod okta;
mod spiffe;

use super::{
    Algorithm, Attribute, ClaimPath, IssuerConfig, KindRule, Requirement,
    claims::{Claims, bad},
    shown,
};
use crate::{
    json::Value,
    model::{FieldKind, Reason, Refusal},
};

/// Whose product issues the tokens; decides the defaults, how a person is told from a program, and which tokens are none for access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Any issuer of JWT access tokens (RFC 9068 or like it).
    Generic,
    /// Keycloak 19 and later.
    Keycloak,
    /// A custom authorization server of Okta.
    Okta,
    /// One tenant of Microsoft Entra ID.
    Entra,
    /// ID tokens of Google accounts and service accounts.
    Google,
    /// ID tokens of GitHub Actions jobs.
    GithubActions,
    /// Projected service-account tokens of one cluster.
    Kubernetes,
    /// Databricks' own OAuth access tokens.
    Databricks,
    /// Tokens of `GetWebIdentityToken` of one AWS account.
    Aws,
    /// JWT-SVIDs of one trust domain.
    Spiffe,
}

/// Something about an issuer that does not fit its provider: a load error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Of the configuration.
    pub key: &'static str,
    pub message: String,
    /// What to write.
    pub help: String,
}

/// What the tokens of a provider look like unless the configuration says otherwise.
pub(super) struct Profile {
    /// As [`IssuerConfig::token_types`].
    pub token_types: &'static [&'static str],
    pub algorithms: &'static [Algorithm],
    /// As [`IssuerConfig::longest_token_s`]: as long as the provider makes them, or lets its administrators make them, with room for what it may add.
    pub longest_token_s: i64,
    pub subject: &'static str,
    pub groups: Option<&'static [&'static str]>,
    pub roles: &'static [&'static [&'static str]],
    /// The names of the claim that says which client the token was given to; those that are there must agree.
    pub clients: &'static [&'static str],
    /// The names of the claim that tells the token from every other; the first that is there counts.
    pub ids: &'static [&'static str],
    pub kind: KindRule,
    /// Texts that policies may read, by name.
    pub attributes: &'static [(&'static str, &'static [&'static str])],
    /// Whether what it gives out are ID tokens by form, so that the marks of one refuse nothing.
    pub id_tokens: bool,
    /// Claims that say who of all the world has the token; one must be required where anyone can get one.
    pub pins: &'static [&'static [&'static str]],
}

/// Who can get a token from an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Those alone whom the operator, or the operator's organization, let in.
    Own,
    Anyone,
}

/// An issuer identifier taken apart. Its form as a URL is checked elsewhere.
struct Place<'i> {
    /// Without port.
    host: &'i str,
    /// Empty, or with a `/` first.
    path: &'i str,
}

/// One hour in seconds.
const HOUR: i64 = 3600;

/// JWTs as most write them, and as RFC 9068 says.
const JWTS: &[&str] = &["jwt", "at+jwt"];

// === impl Provider ===

impl Provider {
    pub const ALL: [Self; 10] = [
        Self::Generic,
        Self::Keycloak,
        Self::Okta,
        Self::Entra,
        Self::Google,
        Self::GithubActions,
        Self::Kubernetes,
        Self::Databricks,
        Self::Aws,
        Self::Spiffe,
    ];

    /// As the configuration names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Keycloak => "keycloak",
            Self::Okta => "okta",
            Self::Entra => "entra",
            Self::Google => "google",
            Self::GithubActions => "github-actions",
            Self::Kubernetes => "kubernetes",
            Self::Databricks => "databricks",
            Self::Aws => "aws",
            Self::Spiffe => "spiffe",
        }
    }

    pub(super) fn profile(self) -> &'static Profile {
        match self {
            Self::Generic => &generic::PROFILE,
            Self::Keycloak => &keycloak::PROFILE,
            Self::Okta => &okta::PROFILE,
            Self::Entra => &entra::PROFILE,
            Self::Google => &google::PROFILE,
            Self::GithubActions => &github_actions::PROFILE,
            Self::Kubernetes => &kubernetes::PROFILE,
            Self::Databricks => &databricks::PROFILE,
            Self::Aws => &aws::PROFILE,
            Self::Spiffe => &spiffe::PROFILE,
        }
    }

    /// The claim that names the subject of its tokens and never another one's.
    #[must_use]
    pub fn subject(self) -> &'static str {
        self.profile().subject
    }

    /// What policies may read of its tokens without being told, in order of name.
    #[must_use]
    pub fn attributes(self) -> Vec<Attribute> {
        let attribute = |(name, claim): &(&str, &[&str])| Attribute { name: (*name).into(), claim: ClaimPath::of(claim), kind: FieldKind::Text };
        let mut attributes: Vec<Attribute> = self.profile().attributes.iter().map(attribute).collect();
        attributes.sort_by(|one, other| one.name.cmp(&other.name));
        attributes
    }

    /// What does not fit it of an issuer with the identifier `issuer`.
    #[must_use]
    pub fn misfits(self, issuer: &str, require: &[Requirement], trust_domain: Option<&str>) -> Vec<Misfit> {
        let place = Place::of(issuer);
        let reach = match self {
            Self::Generic | Self::Keycloak | Self::Kubernetes | Self::Spiffe => Ok(Reach::Own),
            Self::Okta => okta::reach(&place),
            Self::Entra => entra::reach(&place),
            Self::Google => google::reach(&place),
            Self::GithubActions => github_actions::reach(&place),
            Self::Databricks => databricks::reach(&place),
            Self::Aws => aws::reach(&place),
        };
        let mut found = Vec::new();
        match reach {
            Err(help) => found.push(Misfit {
                key: "issuer",
                message: format!("`{}` is no issuer whose tokens could be taken as those of `{}`", shown(issuer), self.name()),
                help: help.to_owned(),
            }),
            Ok(Reach::Anyone) if !self.is_pinned(require) => {
                let pins: Vec<String> = self.profile().pins.iter().map(|names| ClaimPath::of(names).to_string()).collect();
                found.push(Misfit {
                    key: "require",
                    message: format!("anyone can get a token from `{}`, and nothing is required of one", shown(issuer)),
                    help: format!("say whose tokens count, by one of `{}`: as in `require: {}`", pins.join("`, `"), self.pinned()),
                });
            }
            Ok(_) => {}
        }
        let domain = match (self, trust_domain) {
            (Self::Spiffe, None) => {
                Some(("a `spiffe` issuer vouches for one trust domain, and none is named", "add it, as `trust_domain: prod.example.com`"))
            }
            (Self::Spiffe, Some(_)) | (_, None) => None,
            (_, Some(_)) => Some(("only a `spiffe` issuer has a trust domain", "remove it; `peers.trust_domains` says which workloads are known")),
        };
        found.extend(domain.map(|(message, help)| Misfit { key: "trust_domain", message: message.to_owned(), help: help.to_owned() }));
        found
    }

    fn is_pinned(self, require: &[Requirement]) -> bool {
        require.iter().any(|required| self.profile().pins.iter().any(|pin| ClaimPath::of(pin) == required.claim))
    }

    /// An example of what to require.
    fn pinned(self) -> &'static str {
        match self {
            Self::GithubActions => "{ repository_owner: acme }",
            Self::Google => "{ hd: acme.example }",
            _ => "{ oid: 00000000-0000-0000-0000-000000000000 }",
        }
    }

    /// Refuses what is no token for access: ID, refresh and logout tokens and security events, which their `typ` header does not always tell, and
    /// whatever else the provider signs with the same keys.
    pub(super) fn admit(self, claims: &Claims<'_>, config: &IssuerConfig) -> Result<(), Refusal> {
        unmarked(claims, self.profile().id_tokens)?;
        match self {
            Self::GithubActions => Ok(()),
            Self::Generic => generic::admit(claims, config),
            Self::Keycloak => keycloak::admit(claims),
            Self::Okta => okta::admit(claims),
            Self::Entra => entra::admit(claims, config),
            Self::Google => google::admit(claims),
            Self::Kubernetes => kubernetes::admit(claims),
            Self::Databricks => databricks::admit(claims),
            Self::Aws => aws::admit(claims),
            Self::Spiffe => spiffe::admit(claims, config),
        }
    }

    /// Whether the subject is a program, by the marks that the provider leaves.
    pub(super) fn is_program(self, claims: &Claims<'_>) -> Result<bool, Refusal> {
        match self {
            Self::Generic => generic::is_program(claims),
            Self::Keycloak => keycloak::is_program(claims),
            Self::Okta => okta::is_program(claims),
            Self::Entra => entra::is_program(claims),
            Self::Google => google::is_program(claims),
            Self::Databricks => databricks::is_program(claims),
            Self::GithubActions | Self::Kubernetes | Self::Aws | Self::Spiffe => Ok(true),
        }
    }

    /// The subject where the claim that names it, being the default, is not there.
    pub(super) fn other_subject<'c>(self, claims: &'c Claims<'_>) -> Result<Option<&'c str>, Refusal> {
        match self {
            Self::Okta if okta::is_program(claims)? => claims.name("cid"),
            _ => Ok(None),
        }
    }

    /// The role that a token has by what it says of its subject, where no claim is named for roles.
    pub(super) fn other_role<'c>(self, claims: &'c Claims<'_>) -> Result<Option<&'c str>, Refusal> {
        match self {
            Self::Aws => aws::role(claims),
            _ => Ok(None),
        }
    }
}

/// Whether nothing marks the token as one for something else.
fn unmarked(claims: &Claims<'_>, id_tokens: bool) -> Result<(), Refusal> {
    // Keycloak, and who follows it, writes what a token is into the claim `typ`, and `JWT` into the header of all of them.
    match claims.get("typ").map(|kind| kind.as_text().map(str::to_ascii_lowercase)).as_ref().map(Option::as_deref) {
        Some(Some("id")) => return Err(wrong("an ID token")),
        Some(Some("refresh" | "offline")) => return Err(wrong("a refresh token")),
        Some(Some("logout")) => return Err(wrong("a logout token")),
        Some(None) => return Err(wrong("of a `typ` that is no string")),
        Some(Some(_)) | None => {}
    }
    // OpenID Connect Core 1.0, sections 3.1.3.6 and 3.3.2.11: these bind an ID token to what it came with. Cognito says `token_use`.
    let id = claims.has("at_hash") || claims.has("c_hash") || claims.get("token_use").and_then(Value::as_text) == Some("id");
    if id && !id_tokens {
        return Err(wrong("an ID token"));
    }
    // RFC 8417, section 2.2.
    if claims.has("events") { Err(wrong("a security event")) } else { Ok(()) }
}

/// A refusal of a token that is `what` instead of one for access.
fn wrong(what: &str) -> Refusal {
    Refusal::new(Reason::TokenWrongType, format!("the token is {what}, not an access token"))
}

/// A claim that every token of the provider has.
fn needed<'c>(claims: &'c Claims<'_>, name: &str) -> Result<&'c str, Refusal> {
    claims.name(name)?.ok_or_else(|| bad(format!("the token has no `{name}`")))
}

// === impl Place ===

impl<'i> Place<'i> {
    fn of(issuer: &'i str) -> Self {
        let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        };
        Self { host, path }
    }

    /// Whether the issuer is one of this machine: a test's own, which stands for any of the provider's.
    fn is_loopback(&self) -> bool {
        let host = self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(self.host);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The path's segments; none for an empty path, an empty one where two slashes meet or one ends it.
    fn segments(&self) -> Vec<&'i str> {
        self.path.strip_prefix('/').map(|path| path.split('/').collect()).unwrap_or_default()
    }
}

/// Whether `text` is a UUID in lower case, as tenants and accounts are named.
fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}
