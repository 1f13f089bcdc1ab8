use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    bindings::{self, Bindings},
    claims::{self, Claims},
    files, forms,
    introspection::{self, Introspection},
    path::KeyPath,
    peers::Peers,
    raw::{self, OneOrMany},
    report::Report,
    words::{Algorithm, IntrospectWhen, Kind, Overage, Possession, Provider},
};
use crate::{
    authn::{self, ClaimPath, Misfit, Requirement},
    model::Name,
    text::quoted,
};

/// One issuer of tokens. `None` means: as its provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    pub name: Name,
    /// Compared with `iss` letter by letter; unique.
    pub issuer: String,
    pub provider: Provider,
    /// Never empty.
    pub audiences: Vec<String>,
    /// In the names of RFC 7518; never empty.
    pub algorithms: Option<Vec<String>>,
    /// Never given together with `jwks_file`; without either, keys are found by discovery.
    pub jwks_uri: Option<String>,
    pub jwks_file: Option<PathBuf>,
    pub subject_claim: Option<String>,
    pub groups_claim: Option<ClaimPath>,
    /// Never empty.
    pub roles_claim: Option<Vec<ClaimPath>>,
    pub kind: Option<Kind>,
    pub bindings: Bindings,
    pub leeway: Option<Duration>,
    /// In lower case; never empty.
    pub token_types: Option<Vec<String>>,
    pub claims: Claims,
    /// From `iat` to `exp`.
    pub longest_token: Option<Duration>,
    pub longest_session: Option<Duration>,
    pub idle_session: Option<Duration>,
    /// The `aud` of its logout tokens; `None` where it sends none.
    pub logout_audience: Option<String>,
    pub overage: Option<Overage>,
    pub trust_domain: Option<String>,
    pub introspection: Option<Introspection>,
    pub possession: Possession,
}

pub(super) fn issuers(raw: &[raw::Issuer], peers: Option<&Peers>, path: &KeyPath, report: &mut Report<'_>) -> Option<Vec<Issuer>> {
    for (index, issuer) in raw.iter().enumerate() {
        let mut unique = |key: &str, of: fn(&raw::Issuer) -> Option<&String>| {
            if let Some(text) = of(issuer)
                && raw.iter().take(index).any(|earlier| of(earlier) == Some(text))
            {
                report.fault(&path.item(index).key(key), format!("an earlier issuer has the {key} {} too", quoted(text)), "give each issuer its own");
            }
        };
        unique("name", |issuer| issuer.name.as_ref());
        unique("issuer", |issuer| issuer.issuer.as_ref());
    }
    claims::types(raw, path, report);
    asked_about_opaque(raw, path, report);
    let read: Vec<Option<Issuer>> = raw.iter().enumerate().map(|(index, raw)| issuer(raw, peers, &path.item(index), report)).collect();
    read.into_iter().collect()
}

/// Faults every issuer but the first that is to be asked about tokens that do not say whose they are: whoever is asked learns the token.
fn asked_about_opaque(raw: &[raw::Issuer], path: &KeyPath, report: &mut Report<'_>) {
    let opaque = |issuer: &raw::Issuer| {
        let when = issuer.introspection.as_ref().and_then(|introspection| introspection.when);
        matches!(when, Some(IntrospectWhen::Opaque | IntrospectWhen::Always))
    };
    for (index, _) in raw.iter().enumerate().filter(|(_, issuer)| opaque(issuer)).skip(1) {
        report.fault(
            &path.item(index).key("introspection").key("when"),
            "an earlier issuer is asked about opaque tokens too, and they do not say whose they are",
            "write `when: signed`, which asks about signed tokens alone, or remove `introspection` of one of them",
        );
    }
}

fn issuer(raw: &raw::Issuer, peers: Option<&Peers>, path: &KeyPath, report: &mut Report<'_>) -> Option<Issuer> {
    let name = raw.name.as_deref().and_then(|text| forms::name(text, &path.key("name"), report));
    let url = raw.issuer.as_deref().and_then(|text| issuer_url(text, &path.key("issuer"), report));
    let audiences = raw.audiences.as_deref().and_then(|texts| forms::some(texts, &path.key("audiences"), report, forms::token_text));
    let jwks_uri = raw.jwks_uri.as_deref().map(|text| forms::guarded_url(text, &path.key("jwks_uri"), report));
    let jwks_file = raw.jwks_file.as_deref().map(|written| files::file(written, &path.key("jwks_file"), report));
    if jwks_uri.is_some() && jwks_file.is_some() {
        report.fault(&path.key("jwks_file"), "`jwks_uri` and `jwks_file` exclude each other", "remove one of them");
    }
    let token_types = raw.token_types.as_deref().map(|texts| forms::some(texts, &path.key("token_types"), report, token_type));
    let roles_claim = raw.roles_claim.as_ref().map(|claims| roles_claim(claims, &path.key("roles_claim"), report));
    let subject_claim = raw.subject_claim.as_deref().map(|text| forms::token_text(text, &path.key("subject_claim"), report));
    let groups_claim = raw.groups_claim.as_deref().map(|text| claims::claim_path(text, &path.key("groups_claim"), report));
    let trust_domain = raw.trust_domain.as_deref().map(|text| forms::trust_domain(text, &path.key("trust_domain"), report));
    if raw.overage.is_some() && raw.provider.is_some_and(|provider| provider != Provider::Entra) {
        report.fault(&path.key("overage"), "only `entra` leaves groups out of tokens", "remove it");
    }
    let algorithms = raw.algorithms.as_deref().map(|list| algorithms(list, &path.key("algorithms"), report));
    let bindings = bindings::bindings(raw.bindings.as_ref(), peers, &path.key("bindings"), report);
    let introspection = raw.introspection.as_ref().map(|raw| introspection::introspection(raw, &path.key("introspection"), report));
    let leeway = raw.leeway.map(|span| span.0);
    if leeway.is_some_and(|leeway| leeway > LEEWAY_MAX) {
        report.fault(&path.key("leeway"), "the leeway is longer than 5m", "set the issuer's clock, and write `5m` or less");
    }
    let claims = claims::claims(raw, path, report);
    if let (Some(provider), Some(url), Some(claims)) = (raw.provider, &url, &claims) {
        fit(provider.into(), url, &claims.require, raw.trust_domain.as_deref(), path, report);
    }
    let times = times(raw, path, report);
    let logout =
        raw.logout.as_ref().map(|raw| raw.audience.as_deref().and_then(|text| forms::token_text(text, &path.key("logout").key("audience"), report)));
    let [longest_token, longest_session, idle_session] = times?;
    Some(Issuer {
        name: name?,
        issuer: url?,
        provider: raw.provider?,
        audiences: audiences?,
        algorithms,
        jwks_uri: jwks_uri.flatten(),
        jwks_file: jwks_file.flatten(),
        subject_claim: subject_claim.flatten(),
        groups_claim: groups_claim.flatten(),
        roles_claim: roles_claim.flatten(),
        kind: raw.kind,
        bindings: bindings?,
        leeway,
        token_types: token_types.flatten(),
        claims: claims?,
        longest_token,
        longest_session,
        idle_session,
        logout_audience: logout.flatten(),
        overage: raw.overage,
        trust_domain: trust_domain.flatten(),
        introspection: introspection.flatten(),
        possession: raw.possession.unwrap_or_default(),
    })
}

/// How long tokens, sessions and their rests may last.
fn times(raw: &raw::Issuer, path: &KeyPath, report: &mut Report<'_>) -> Option<[Option<Duration>; 3]> {
    let session = path.key("session");
    let (longest, idle) = raw.session.as_ref().map_or((None, None), |session| (session.longest, session.idle));
    if raw.session.is_some() && longest.is_none() && idle.is_none() {
        report.fault(&session, "it sets no limit", "say `longest`, `idle` or both, or remove it");
        return None;
    }
    let mut good = true;
    for (span, path) in [(raw.longest_token, path.key("longest_token")), (longest, session.key("longest")), (idle, session.key("idle"))] {
        if span.is_some_and(|span| !LIMITS.contains(&span.0)) {
            report.fault(&path, "it is not between 1m and 400d", "write it as `30m` or `12h`");
            good = false;
        }
    }
    good.then(|| [raw.longest_token, longest, idle].map(|span| span.map(|span| span.0)))
}

/// The inventory is to say who is in which group, and there is none.
pub(super) fn unknown_groups(raw: &[raw::Issuer], policy: Option<&raw::Policy>, path: &KeyPath, report: &mut Report<'_>) {
    if policy.is_none_or(|policy| policy.groups.is_some() || policy.entities.is_some()) {
        return;
    }
    for (index, _) in raw.iter().enumerate().filter(|(_, issuer)| issuer.overage == Some(Overage::Inventory)) {
        let help = "add `policy.groups` or `policy.entities`, or write `refuse`";
        report.fault(&path.item(index).key("overage"), "no inventory and no group file could say who is in which group", help);
    }
}

/// What of an issuer does not fit its provider, each where it stands, or where it should.
fn fit(provider: authn::Provider, url: &str, require: &[Requirement], trust_domain: Option<&str>, path: &KeyPath, report: &mut Report<'_>) {
    for Misfit { key, message, help } in provider.misfits(url, require, trust_domain) {
        report.fault(&path.key(key), message, help);
    }
}

/// An issuer identifier (`OpenID` Connect Discovery 1.0 §3): a URL without query and fragment.
fn issuer_url(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    let url = forms::guarded_url(text, path, report)?;
    if url.contains('?') {
        report.fault(path, format!("{} has a query", quoted(text)), "write the `iss` of its tokens, which has none");
        return None;
    }
    if let Some(issuer) = url.strip_suffix(DISCOVERY) {
        let help = format!("write the `iss` of its tokens, which is most likely {}", quoted(issuer));
        report.fault(path, format!("{} is where its discovery document stands, not the issuer", quoted(text)), help);
        return None;
    }
    Some(url)
}

fn algorithms(list: &[Algorithm], path: &KeyPath, report: &mut Report<'_>) -> Vec<String> {
    if list.is_empty() {
        report.fault(path, "the list is empty, so no token could be accepted", "name at least one, as `RS256`, or remove the key");
    }
    list.iter().map(|algorithm| algorithm.as_str().to_owned()).collect()
}

fn roles_claim(claims: &OneOrMany, path: &KeyPath, report: &mut Report<'_>) -> Option<Vec<ClaimPath>> {
    match claims {
        OneOrMany::One(claim) => claims::claim_path(claim, path, report).map(|claim| vec![claim]),
        OneOrMany::Many(claims) => forms::some(claims, path, report, claims::claim_path),
    }
}

/// A `typ` as it is compared: in lower case and without `application/` (RFC 7515 §4.1.9).
fn token_type(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    let good = !text.is_empty() && !text.starts_with("application/") && text.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase());
    if !good {
        let right = text.to_ascii_lowercase();
        let right = quoted(right.strip_prefix("application/").unwrap_or(&right));
        report.fault(
            path,
            format!("{} is not a token type in the form it is compared in", quoted(text)),
            format!("write it in lower case without `application/`: {right}"),
        );
    }
    good.then(|| text.to_owned())
}

/// What is appended to an issuer identifier to find its metadata (`OpenID` Connect Discovery 1.0 §4).
const DISCOVERY: &str = "/.well-known/openid-configuration";
const LEEWAY_MAX: Duration = Duration::from_mins(5);
const LIMITS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(400 * 24);
