//! Each stage's own configuration, taken out of the whole; no stage ever sees the whole.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{listing, secret};
use crate::{
    authn::{self, ClientAuth, IntrospectionConfig, IssuerConfig, KeySource, KindRule, SessionLimits},
    authz::Scope,
    broker,
    classify::{CatalogFile, TargetConfig},
    config::{
        Api, AssertionAudience, Binding, Bindings, BoundKind, ClientProof, Config, Credentials, Explain, Identity, IntrospectWhen, Introspection,
        Issuer, Kind, Minted, MintedFor, Mode, Overage, PeerProxy, PeerSource, Peers, PersonalTokens, Possession, PrincipalRule, SecretPlace,
        TargetEntry, Trust, TrustHeader,
    },
    model::{Fault, Name, PrincipalKind, SpiffePattern},
    net::{self, Endpoint, SecretSource},
    normalize,
    pipeline::ShadowTargets,
    respond::{self, AssertionConfig, Trusted},
    signer::{Algorithm, KeySet, SigningKey, TokenIssuer},
};

/// Bytes of decisions that are remembered.
pub(super) const DECISION_CACHE: u64 = 32 << 20;

/// Bytes of verified tokens that are remembered.
const TOKEN_CACHE: u64 = 32 << 20;

/// Bytes of credentials that are kept.
const CREDENTIAL_CACHE: u64 = 16 << 20;

/// Bytes of path and query together.
const PATH_LIMIT: usize = 8192;

pub(super) fn normalize(config: &Config) -> normalize::Config {
    normalize::Config {
        body_limit: config.limits.body,
        path_limit: PATH_LIMIT,
        header_limit: config.limits.headers,
        trust_prefix: config.trust_prefix.clone(),
    }
}

pub(super) fn authn(config: &Config) -> Result<authn::Config, Vec<Fault>> {
    let issuers: Result<Vec<_>, _> = config.issuers.iter().map(|issuer| self::issuer(config, issuer)).collect();
    Ok(authn::Config {
        peers: peers(&config.peers),
        personal_hosts: personal_hosts(config),
        issuers: issuers.map_err(|fault| vec![fault])?,
        token_limit: config.limits.token,
        cache_bytes: TOKEN_CACHE,
        state_dir: config.state_dir.clone(),
    })
}

fn personal_hosts(config: &Config) -> HashSet<String> {
    let passing = |entry: &&TargetEntry| entry.credentials == Credentials::Passthrough(PersonalTokens::Passthrough);
    config.targets.iter().filter(passing).flat_map(|entry| entry.hosts.iter().cloned()).collect()
}

fn peers(from: &Peers) -> authn::PeerConfig {
    let belief = |source: PeerSource, writes_xfcc: bool| authn::Belief {
        source: match source {
            PeerSource::Principal => authn::PeerSource::Principal,
            PeerSource::Xfcc => authn::PeerSource::Xfcc,
            PeerSource::Connection => authn::PeerSource::Connection,
        },
        writes_xfcc,
    };
    let proxy = |from: &PeerProxy| authn::ProxyConfig { spiffe: from.spiffe.clone(), belief: belief(from.source, from.writes_xfcc) };
    authn::PeerConfig {
        trust_domains: from.trust_domains.clone(),
        aliases: from.aliases.clone().into_iter().collect(),
        required: from.required,
        others: belief(from.source, from.writes_xfcc),
        proxies: from.proxies.iter().map(proxy).collect(),
    }
}

fn bindings(from: &Bindings) -> Option<Vec<authn::Binding>> {
    let Bindings::Only(list) = from else { return None };
    let binding = |from: &Binding| authn::Binding {
        kind: from.kind.map(|kind| match kind {
            BoundKind::User => PrincipalKind::User,
            BoundKind::ServicePrincipal => PrincipalKind::ServicePrincipal,
        }),
        claims: from.claims.clone(),
        peers: from.peers.clone(),
    };
    Some(list.iter().map(binding).collect())
}

fn issuer(config: &Config, from: &Issuer) -> Result<IssuerConfig, Fault> {
    let mut issuer = IssuerConfig::new(from.name.clone(), &from.issuer, from.provider.into());
    let wrong = |message: String| Fault {
        file: config.file.clone(),
        line: None,
        column: None,
        message: format!("issuer `{}`: {message}", from.name),
        help: None,
    };
    issuer.audiences.clone_from(&from.audiences);
    issuer.keys = match (&from.jwks_file, &from.jwks_uri) {
        (Some(file), _) => KeySource::File(file.clone()),
        (None, Some(uri)) => KeySource::Uri(Endpoint::parse(uri).map_err(|error| wrong(error.to_string()))?),
        (None, None) => KeySource::Discovery,
    };
    if let Some(names) = &from.algorithms {
        issuer.algorithms = names
            .iter()
            .map(|name| authn::Algorithm::parse(name).ok_or_else(|| wrong(format!("`{name}` is no algorithm"))))
            .collect::<Result<_, _>>()?;
    }
    if let Some(claim) = &from.subject_claim {
        issuer.subject_claim.clone_from(claim);
    }
    if let Some(claim) = &from.groups_claim {
        issuer.groups_claim = Some(claim.clone());
    }
    if let Some(claims) = &from.roles_claim {
        issuer.roles_claims.clone_from(claims);
    }
    if let Some(kind) = from.kind {
        issuer.kind = match kind {
            Kind::User => KindRule::User,
            Kind::ServicePrincipal => KindRule::ServicePrincipal,
            Kind::Detect => KindRule::Detect,
        };
    }
    issuer.bindings = bindings(&from.bindings);
    if let Some(leeway) = from.leeway {
        issuer.leeway_s = i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX);
    }
    if let Some(types) = &from.token_types {
        issuer.token_types.clone_from(types);
    }
    from.claims.attributes.iter().for_each(|attribute| issuer.declare(attribute.clone()));
    issuer.require.extend(from.claims.require.iter().cloned());
    issuer.actors.clone_from(&from.claims.actors);
    issuer.purpose.clone_from(&from.claims.purpose);
    limits(&mut issuer, from);
    issuer.trust_domain.clone_from(&from.trust_domain);
    issuer.introspection = from.introspection.as_ref().map(introspection).transpose().map_err(wrong)?;
    Ok(issuer)
}

/// How long its tokens and sessions last, and what they must have beside a signature.
fn limits(issuer: &mut IssuerConfig, from: &Issuer) {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    issuer.longest_token_s = from.longest_token.map_or(issuer.longest_token_s, seconds);
    issuer.session = SessionLimits { longest_s: from.longest_session.map(seconds), idle_s: from.idle_session.map(seconds) };
    issuer.logout_audience.clone_from(&from.logout_audience);
    if let Some(overage) = from.overage {
        issuer.overage = match overage {
            Overage::Refuse => authn::Overage::Refuse,
            Overage::Inventory => authn::Overage::Inventory,
        };
    }
    issuer.possession = match from.possession {
        Possession::AsTokenSays => authn::Possession::AsTokenSays,
        Possession::Required => authn::Possession::Required,
    };
}

fn introspection(from: &Introspection) -> Result<IntrospectionConfig, String> {
    Ok(IntrospectionConfig {
        when: match from.when {
            IntrospectWhen::Opaque => authn::IntrospectWhen::Opaque,
            IntrospectWhen::Signed => authn::IntrospectWhen::Signed,
            IntrospectWhen::Always => authn::IntrospectWhen::Always,
        },
        endpoint: from.endpoint.as_deref().map(Endpoint::parse).transpose().map_err(|error| error.to_string())?,
        client_id: from.client_id.clone(),
        auth: match &from.proof {
            ClientProof::Basic(place) => ClientAuth::Basic(secret_source(place)),
            ClientProof::Post(place) => ClientAuth::Post(secret_source(place)),
            ClientProof::PrivateKeyJwt { key, key_id, audience } => ClientAuth::PrivateKeyJwt {
                key: key.clone(),
                key_id: key_id.clone(),
                audience: match audience {
                    AssertionAudience::Issuer => authn::AssertionAudience::Issuer,
                    AssertionAudience::Endpoint => authn::AssertionAudience::Endpoint,
                },
            },
        },
        window_s: i64::try_from(from.window.as_secs()).unwrap_or(i64::MAX),
        audience_optional: from.audience_optional,
    })
}

fn secret_source(place: &SecretPlace) -> SecretSource {
    match place {
        SecretPlace::File(file) => SecretSource::File(file.clone()),
        SecretPlace::Known(secret) => SecretSource::Given(secret.clone()),
    }
}

pub(super) fn scope(config: &Config) -> Scope {
    Scope {
        targets: config.targets.iter().map(|entry| entry.target.clone()).collect(),
        issuers: config.issuers.iter().map(|issuer| issuer.name.clone()).collect(),
        trust_domains: config.peers.trust_domains.clone(),
    }
}

pub(super) fn targets(config: &Config) -> Vec<TargetConfig> {
    let target = |entry: &TargetEntry| TargetConfig { target: entry.target.clone(), api: api(config, &entry.api), hosts: entry.hosts.clone() };
    config.targets.iter().map(target).collect()
}

/// What the catalog calls the API.
pub(super) fn api(config: &Config, api: &Api) -> Arc<str> {
    match api {
        Api::Workspace => CatalogFile::WORKSPACE.into(),
        Api::Account => CatalogFile::ACCOUNT.into(),
        Api::Shipped(name) => (*name).into(),
        // Services that name one file share its API, called after the first of them.
        Api::Own(_) => {
            let first = config.targets.iter().find(|entry| entry.api == *api);
            format!("own-{}", first.map_or("", |entry| entry.target.name.as_str())).into()
        }
    }
}

/// lakegate as an issuer of tokens; `None` where it signs none.
///
/// # Errors
/// Every key file that cannot be used.
pub(super) fn token_issuer(config: &Config) -> Result<Option<TokenIssuer>, Vec<Fault>> {
    let Some(assertion) = &config.assertion else { return Ok(None) };
    let help = || Some("name a file that `lakegate keys new` has made".to_owned());
    let fault = |(file, message)| Fault { file, line: None, column: None, message, help: help() };
    let paths: Vec<&Path> = assertion.keys.iter().map(PathBuf::as_path).collect();
    // As they once stood together: half of a rotation may lack the key that others sign with already.
    let read = || KeySet::read(&assertion.keys).map_err(|faults| faults.into_iter().map(fault).collect::<Vec<_>>());
    Ok(Some(TokenIssuer::new(assertion.issuer.clone(), listing::read_together(&paths, read)?)))
}

/// That a key stands in more files than one.
pub(super) fn repeated_keys(issuer: Option<&Arc<TokenIssuer>>) -> impl Iterator<Item = Fault> {
    let files = issuer.map_or(&[][..], |issuer| issuer.keys().repeated());
    files.iter().map(|file| Fault {
        file: file.clone(),
        line: None,
        column: None,
        message: "it holds the key of an earlier file of `trust.assertion.keys`".to_owned(),
        help: Some("`lakegate keys rotate` ends a rotation that was cut short; else make a key of its own with `lakegate keys new`".to_owned()),
    })
}

/// # Errors
/// Every fault of a mode that mints.
pub(super) fn broker(config: &Config, issuer: Option<&Arc<TokenIssuer>>) -> Result<broker::Config, Vec<Fault>> {
    let (mut modes, mut faults) = (HashMap::new(), Vec::new());
    let signer = || signer(config, issuer);
    for entry in &config.targets {
        let mode = match &entry.credentials {
            Credentials::Passthrough(_) => Ok(broker::Mode::Passthrough),
            Credentials::Strip => Ok(broker::Mode::Strip),
            Credentials::Minted(minted) => exchange(minted, &signer).map(|exchange| broker::Mode::Exchange(Arc::new(exchange))),
        };
        match mode {
            Ok(mode) => drop(modes.insert((entry.target.kind, entry.target.name.clone()), mode)),
            Err((file, message)) => {
                let file = file.unwrap_or_else(|| config.file.clone());
                faults.push(Fault { file, line: None, column: None, message: format!("target `{}`: {message}", entry.target.name), help: None });
            }
        }
    }
    if faults.is_empty() { Ok(broker::Config { modes, cache_bytes: CREDENTIAL_CACHE }) } else { Err(faults) }
}

/// lakegate as Databricks can know it: a token for it must be signed with RS256 or ES256 (Databricks: *token federation*), and the first key signs.
fn signer(config: &Config, issuer: Option<&Arc<TokenIssuer>>) -> Result<Arc<TokenIssuer>, (Option<PathBuf>, String)> {
    let issuer = issuer.ok_or((None, "lakegate has no key to sign with".to_owned()))?;
    match issuer.keys().first().map(SigningKey::algorithm) {
        None | Some(Algorithm::Es256) => Ok(Arc::clone(issuer)),
        Some(algorithm) => {
            let file = config.assertion.as_ref().and_then(|assertion| assertion.keys.first().cloned());
            let message = format!(
                "the first of `trust.assertion.keys` signs with {}, and Databricks takes no token that is not signed with ES256 or RS256: put a key on P-256 \
                 first, as `lakegate keys new` makes it",
                algorithm.as_str()
            );
            Err((file, message))
        }
    }
}

fn exchange(
    minted: &Minted,
    signer: &dyn Fn() -> Result<Arc<TokenIssuer>, (Option<PathBuf>, String)>,
) -> Result<broker::Exchange, (Option<PathBuf>, String)> {
    let subject = match &minted.grant {
        MintedFor::Caller => broker::Subject::Caller,
        MintedFor::Assertion { audience, identity } => {
            let identity = match identity {
                Identity::Email => broker::Identity::Email,
                Identity::Subject => broker::Identity::Subject,
                Identity::ApplicationId => broker::Identity::ApplicationId,
            };
            broker::Subject::Assertion { issuer: signer()?, audience: audience.clone(), identity }
        }
        MintedFor::ServicePrincipal { audience, principals } => {
            let rules = principals.iter().map(principal).collect::<Result<_, _>>().map_err(|message| (None, message))?;
            broker::Subject::ServicePrincipal { issuer: signer()?, audience: audience.clone(), rules }
        }
        MintedFor::Client { client_id, secret } => {
            let secret = secret::read(&secret_source(secret)).map_err(|(file, message)| (Some(file), message))?;
            broker::Subject::Client { client_id: client_id.clone(), authorization: net::basic(client_id, &secret) }
        }
    };
    Ok(broker::Exchange {
        endpoint: Endpoint::parse(&minted.token_endpoint).map_err(|error| (None, error.to_string()))?,
        subject,
        scope: minted.scope.clone(),
        window_s: i64::try_from(minted.window.as_secs()).unwrap_or(i64::MAX),
        issuers: minted.issuers.clone(),
        audiences: minted.token_audiences.clone(),
    })
}

fn principal(rule: &PrincipalRule) -> Result<broker::PrincipalRule, String> {
    let read = |text: &String| {
        let (of, name) = text.split_once('/')?;
        Some((Name::parse(of).ok()?, name.to_owned()))
    };
    let of_role = rule.role.as_ref().map(|text| read(text).ok_or_else(|| format!("`{text}` is not a role"))).transpose()?;
    let peer = rule.peer.as_deref().map(SpiffePattern::parse).transpose().map_err(|error| error.to_string())?;
    Ok(broker::PrincipalRule { client_id: rule.client_id.clone(), role: of_role, peer })
}

/// What lakegate signs for services; each target is known by its first host.
fn assertion(config: &Config, issuer: Option<&Arc<TokenIssuer>>) -> Option<AssertionConfig> {
    let lifetime = config.assertion.as_ref()?.lifetime;
    let audience = |entry: &TargetEntry| ((entry.target.kind, entry.target.name.clone()), entry.known_as());
    let audiences = config.targets.iter().map(audience).collect();
    Some(AssertionConfig { issuer: Arc::clone(issuer?), lifetime_s: i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX), audiences })
}

pub(super) fn respond(config: &Config, issuer: Option<&Arc<TokenIssuer>>) -> respond::Config {
    respond::Config {
        prefix: config.trust_prefix.clone(),
        help_url: config.help_url.clone(),
        explain: match config.explain_to_caller {
            Explain::None => respond::Explain::None,
            Explain::Own => respond::Explain::Own,
            Explain::Full => respond::Explain::Full,
        },
        faults_visible_after_ms: i64::try_from(config.faults_visible_after.as_millis()).unwrap_or(i64::MAX),
        trust: config.targets.iter().map(|entry| ((entry.target.kind, entry.target.name.clone()), trusted(&entry.trust))).collect(),
        assertion: assertion(config, issuer),
    }
}

fn trusted(trust: &Trust) -> Trusted {
    let header = |header: &TrustHeader| match header {
        TrustHeader::Subject => respond::TrustHeader::Subject,
        TrustHeader::Groups => respond::TrustHeader::Groups,
        TrustHeader::Roles => respond::TrustHeader::Roles,
        TrustHeader::Peer => respond::TrustHeader::Peer,
        TrustHeader::Actor => respond::TrustHeader::Actor,
        TrustHeader::Decision => respond::TrustHeader::Decision,
        TrustHeader::Assertion => respond::TrustHeader::Assertion,
    };
    match trust {
        Trust::All => Trusted::All,
        Trust::None => Trusted::None,
        Trust::Only(headers) => Trusted::Only(headers.iter().map(header).collect()),
    }
}

pub(super) fn shadow(config: &Config) -> ShadowTargets {
    let shadow = |mode: Option<Mode>| mode.unwrap_or(config.policy.mode) == Mode::Shadow;
    let hosts = config.targets.iter().flat_map(|entry| entry.hosts.iter().map(move |host| (host.clone(), shadow(entry.mode))));
    let everywhere = config.policy.mode == Mode::Shadow && config.targets.iter().all(|entry| shadow(entry.mode));
    let enforced = config.targets.iter().filter(|entry| entry.mode == Some(Mode::Enforce));
    let enforced = enforced.flat_map(|entry| entry.hosts.iter().cloned());
    ShadowTargets::new(everywhere, hosts).with_namespaces(config.policy.shadow_namespaces.iter().cloned(), enforced)
}
