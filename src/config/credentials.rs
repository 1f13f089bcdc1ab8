//! With which credential an allowed call goes on.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    files, forms,
    path::KeyPath,
    raw,
    report::Report,
    secrets::{self, SecretPlace},
    words::{CredentialMode, Identity, PersonalTokens, Subject},
};
use crate::{
    model::{Name, Target, TargetKind},
    text::quoted,
};

/// How a target's credential is had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    Passthrough(PersonalTokens),
    Strip,
    Minted(Minted),
}

/// How a token of Databricks' own is had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    pub token_endpoint: String,
    pub grant: MintedFor,
    /// Space-separated; `None` for the narrowest that each call needs.
    pub scope: Option<String>,
    /// How long one is used at most.
    pub window: Duration,
    /// `None` for every issuer's.
    pub issuers: Option<Vec<Name>>,
    /// Of which one must be in the `aud` of a token that has one; empty where any will do.
    pub token_audiences: Vec<String>,
}

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MintedFor {
    /// The caller's, by lakegate's word.
    Assertion { audience: String, identity: Identity },
    /// The caller's, by the caller's own token.
    Caller,
    /// That of the first service principal whose rule holds, by lakegate's word.
    ServicePrincipal { audience: String, principals: Vec<PrincipalRule> },
    /// That of one service principal, by its secret.
    Client { client_id: String, secret: SecretPlace },
}

/// Which service principal some callers have. One that names neither role nor workload is for everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalRule {
    pub client_id: String,
    /// As `<issuer>/<role>`.
    pub role: Option<String>,
    /// A pattern of SPIFFE IDs.
    pub peer: Option<String>,
}

/// lakegate's own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// Never empty; the first signs.
    pub keys: Vec<PathBuf>,
    pub lifetime: Duration,
    /// Its `iss`.
    pub issuer: String,
}

/// What of the whole configuration decides whether tokens can be minted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    /// Whether lakegate has keys to sign with.
    pub signs: bool,
    /// Whether anybody may ask.
    pub insecure: bool,
}

// === impl Credentials ===

impl Credentials {
    /// The file that a change of the client's secret changes.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Minted(Minted { grant: MintedFor::Client { secret, .. }, .. }) => secret.file(),
            _ => None,
        }
    }
}

// === impl Minted ===

impl Minted {
    /// The `aud` of what lakegate signs to be exchanged; `None` where it signs nothing for it.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        match &self.grant {
            MintedFor::Assertion { audience, .. } | MintedFor::ServicePrincipal { audience, .. } => Some(audience),
            MintedFor::Caller | MintedFor::Client { .. } => None,
        }
    }
}

pub(super) fn credentials(
    raw: Option<&raw::Credentials>,
    target: &Target,
    hosts: &[String],
    means: Means,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<Credentials> {
    let Some(raw) = raw else { return Some(Credentials::Strip) };
    let mode = raw.mode.unwrap_or_default();
    foreign(raw, mode, path, report);
    match mode {
        CredentialMode::Passthrough => return Some(Credentials::Passthrough(personal_tokens(raw, target, path, report))),
        CredentialMode::Strip => return Some(Credentials::Strip),
        CredentialMode::Exchange | CredentialMode::ServicePrincipal | CredentialMode::ClientCredentials => {}
    }
    if target.kind == TargetKind::Service {
        report.fault(&path.key("mode"), "a service that is not Databricks has no token endpoint of Databricks", "use `passthrough` or `strip`");
        return None;
    }
    if means.insecure {
        let help = "add `listen.tls` in place of `insecure`, or use `passthrough` or `strip`";
        report.fault(&path.key("mode"), "whoever asks could have a token, since `listen.insecure` lets anybody ask", help);
    }
    let endpoint = token_endpoint(raw, target, hosts, path, report)?;
    let grant = grant(raw, mode, target, &endpoint, means, path, report);
    let window = raw.window.map_or(WINDOW, |span| span.0);
    if !WINDOWS.contains(&window) {
        report.fault(&path.key("window"), "it is not between 1m and 24h", "write how long one token may be used at most, as `1h`");
    }
    let issuers = raw.issuers.as_deref().map(|names| forms::some(names, &path.key("issuers"), report, forms::name));
    let scope = raw.scope.as_deref().filter(|text| *text != SCOPE).map(|text| scope(text, &path.key("scope"), report));
    let audiences = raw.token_audiences.as_deref().map(|texts| forms::some(texts, &path.key("token_audiences"), report, forms::token_text));
    let own = || token_audiences(target, hosts);
    Some(Credentials::Minted(Minted {
        token_endpoint: endpoint,
        grant: grant?,
        scope: scope.map_or(Some(None), |scope| scope.map(Some))?,
        window,
        issuers: issuers.map_or(Some(None), |issuers| issuers.map(Some))?,
        token_audiences: audiences.unwrap_or_else(|| Some(own()))?,
    }))
}

/// Faults every key that the mode has no use for, unless it says what is so anyway: whoever wrote it believes in something that is not.
fn foreign(raw: &raw::Credentials, mode: CredentialMode, path: &KeyPath, report: &mut Report<'_>) {
    use CredentialMode::{ClientCredentials, Exchange, ServicePrincipal};
    let minting: &[CredentialMode] = &[Exchange, ServicePrincipal, ClientCredentials];
    let given: [(&str, bool, &[CredentialMode]); 13] = [
        ("personal_access_tokens", raw.personal_access_tokens.unwrap_or_default() != PersonalTokens::default(), &[CredentialMode::Passthrough]),
        ("token_endpoint", raw.token_endpoint.is_some(), minting),
        ("scope", raw.scope.as_deref().is_some_and(|scope| scope != SCOPE), minting),
        ("window", raw.window.is_some_and(|window| window.0 != WINDOW), minting),
        ("issuers", raw.issuers.is_some(), minting),
        ("token_audiences", raw.token_audiences.is_some(), minting),
        ("subject", raw.subject.unwrap_or_default() != Subject::default(), &[Exchange]),
        ("identity", raw.identity.unwrap_or_default() != Identity::default(), &[Exchange]),
        ("audience", raw.audience.is_some(), &[Exchange, ServicePrincipal]),
        ("principals", raw.principals.is_some(), &[ServicePrincipal]),
        ("client_id", raw.client_id.is_some(), &[ClientCredentials]),
        ("secret_file", raw.secret_file.is_some(), &[ClientCredentials]),
        ("secret_env", raw.secret_env.is_some(), &[ClientCredentials]),
    ];
    for (key, _, modes) in given.iter().filter(|(_, given, modes)| *given && !modes.contains(&mode)) {
        let names: Vec<String> = modes.iter().map(|mode| format!("`{}`", mode.as_str())).collect();
        let message = format!("`{key}` is of no use with `mode: {}`", mode.as_str());
        report.fault(&path.key(key), message, format!("remove it, or set the mode to {}", names.join(" or ")));
    }
    if raw.subject == Some(Subject::Caller) {
        for (key, given) in [("identity", raw.identity.unwrap_or_default() != Identity::default()), ("audience", raw.audience.is_some())] {
            if given {
                report.fault(&path.key(key), format!("`{key}` is of no use with `subject: caller`"), "the caller's own token says it: remove it");
            }
        }
    }
}

/// Of a workspace alone: an account takes none, and what is not Databricks has no use for one.
fn personal_tokens(raw: &raw::Credentials, target: &Target, path: &KeyPath, report: &mut Report<'_>) -> PersonalTokens {
    let personal = raw.personal_access_tokens.unwrap_or_default();
    if personal == PersonalTokens::Passthrough && target.kind != TargetKind::Workspace {
        report.fault(&path.key("personal_access_tokens"), "personal access tokens are those of a workspace", "remove it");
    }
    personal
}

/// Of a workspace or an account, where the configuration does not say (Databricks: *OAuth token endpoints*).
fn token_endpoint(raw: &raw::Credentials, target: &Target, hosts: &[String], path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    if let Some(text) = raw.token_endpoint.as_deref() {
        return forms::guarded_url(text, &path.key("token_endpoint"), report);
    }
    let host = hosts.first()?;
    match (target.kind, &target.account_id) {
        (TargetKind::Account, Some(account)) => Some(format!("https://{host}/oidc/accounts/{account}/v1/token")),
        _ => Some(format!("https://{host}/oidc/v1/token")),
    }
}

fn grant(
    raw: &raw::Credentials,
    mode: CredentialMode,
    target: &Target,
    endpoint: &str,
    means: Means,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<MintedFor> {
    let subject = raw.subject.unwrap_or_default();
    let asserts = mode == CredentialMode::ServicePrincipal || (mode == CredentialMode::Exchange && subject == Subject::Assertion);
    if asserts && !means.signs {
        let help = "add `trust.assertion` with `keys`; `lakegate keys new` makes one";
        report.fault(&path.key("mode"), "lakegate has no key to sign with who the caller is", help);
    }
    let audience = match raw.audience.as_deref() {
        Some(text) => forms::token_text(text, &path.key("audience"), report),
        // What a federation policy expects that does not say.
        None => Some(target.account_id.as_deref().unwrap_or(endpoint).to_owned()),
    };
    match mode {
        CredentialMode::Exchange if subject == Subject::Caller => Some(MintedFor::Caller),
        CredentialMode::Exchange => Some(MintedFor::Assertion { audience: audience?, identity: raw.identity.unwrap_or_default() }),
        CredentialMode::ServicePrincipal => {
            Some(MintedFor::ServicePrincipal { audience: audience?, principals: principals(raw.principals.as_deref(), path, report)? })
        }
        _ => {
            let secret = secrets::secret(raw.secret_file.as_deref(), raw.secret_env.as_deref(), path, report);
            let Some(client_id) = raw.client_id.as_deref() else {
                report.fault(path, "`mode: client-credentials` needs a `client_id`", "write the application id of the service principal");
                return None;
            };
            Some(MintedFor::Client { client_id: application(client_id, &path.key("client_id"), report)?, secret: secret? })
        }
    }
}

fn principals(raw: Option<&[raw::PrincipalRule]>, path: &KeyPath, report: &mut Report<'_>) -> Option<Vec<PrincipalRule>> {
    let Some(raw) = raw.filter(|rules| !rules.is_empty()) else {
        let help = "add `principals` with at least one `client_id`, and the `role` or `peer` that has it";
        report.fault(path, "`mode: service-principal` needs to know which principal a caller has", help);
        return None;
    };
    let path = path.key("principals");
    let read: Vec<Option<PrincipalRule>> = raw.iter().enumerate().map(|(index, rule)| principal(rule, &path.item(index), report)).collect();
    for (index, _) in raw.iter().enumerate().rev().skip(1).filter(|(_, rule)| rule.role.is_none() && rule.peer.is_none()) {
        report.fault(&path.item(index), "it is for everyone, so that no rule after it counts", "put it last, or name a `role` or a `peer`");
    }
    read.into_iter().collect()
}

fn principal(raw: &raw::PrincipalRule, path: &KeyPath, report: &mut Report<'_>) -> Option<PrincipalRule> {
    let client_id = raw.client_id.as_deref().and_then(|text| application(text, &path.key("client_id"), report));
    let peer = raw.peer.as_deref().map(|text| forms::spiffe_pattern(text, &path.key("peer"), report));
    if let Some(role) = raw.role.as_deref().filter(|role| role.split_once('/').is_none_or(|(issuer, role)| issuer.is_empty() || role.is_empty())) {
        let help = "write `<issuer name>/<role>`, as policies do: `corp/trainers`";
        report.fault(&path.key("role"), format!("{} is not a role", quoted(role)), help);
        return None;
    }
    Some(PrincipalRule { client_id: client_id?, role: raw.role.clone(), peer: peer.map_or(Some(None), |peer| peer.map(Some))? })
}

/// The application id of a service principal, a UUID as Databricks writes it.
fn application(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    let good = uuid::Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text);
    if !good {
        let help = "write the UUID in lower case that Databricks shows as its application id";
        report.fault(path, format!("{} is not the application id of a service principal", quoted(text)), help);
    }
    good.then(|| text.to_owned())
}

/// Scopes as a token endpoint takes them (RFC 6749, section 3.3).
fn scope(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    let word = |word: &str| !word.is_empty() && word != SCOPE && word.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    let good = text.len() <= 1024 && text.split(' ').all(word);
    if !good {
        report.fault(
            path,
            format!("{} is not a list of scopes", quoted(text)),
            "write `narrowest`, or scopes with one space between each, as `sql jobs`",
        );
    }
    good.then(|| text.to_owned())
}

/// What a token for this target names as its audience, as far as that is known; none where neither of its ids is.
fn token_audiences(target: &Target, hosts: &[String]) -> Vec<String> {
    let ids: Vec<String> = [&target.workspace_id, &target.account_id].into_iter().flatten().map(ToString::to_string).collect();
    if ids.is_empty() {
        return ids;
    }
    let hosts = hosts.iter().flat_map(|host| [host.clone(), format!("https://{host}")]);
    ids.into_iter().chain(hosts).collect()
}

pub(super) fn assertion(raw: &raw::Assertion, path: &KeyPath, report: &mut Report<'_>) -> Option<Assertion> {
    let keys: Vec<Option<PathBuf>> = raw
        .keys
        .as_deref()
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(index, written)| files::file(written, &path.key("keys").item(index), report))
        .collect();
    if raw.keys.as_ref().is_some_and(Vec::is_empty) {
        report.fault(&path.key("keys"), "the list is empty, so nothing can be signed", "name at least one; `lakegate keys new` makes it");
    }
    let lifetime = raw.lifetime.map_or(LIFETIME, |span| span.0);
    if !LIFETIMES.contains(&lifetime) || lifetime.subsec_nanos() != 0 {
        report.fault(&path.key("lifetime"), "it is not 10s to 10m in whole seconds", "write how long one assertion may be believed, as `60s`");
    }
    let issuer = raw.issuer.as_deref().map_or(Some(ISSUER.to_owned()), |text| forms::guarded_url(text, &path.key("issuer"), report));
    let keys: Option<Vec<PathBuf>> = keys.into_iter().collect();
    Some(Assertion { keys: keys.filter(|keys| !keys.is_empty())?, lifetime, issuer: issuer? })
}

const WINDOW: Duration = Duration::from_hours(1);
const WINDOWS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(24);
/// The word that is no scope: for each call what the catalog says that it needs.
const SCOPE: &str = "narrowest";
const LIFETIME: Duration = Duration::from_mins(1);
const LIFETIMES: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_mins(10);
/// The `iss` where none is said: good for a federation policy with keys of its own (`jwks_json`), and for services that are told of it.
const ISSUER: &str = "lakegate";
