//! Which workloads may present the tokens of an issuer: a token that was stolen into another pod is worth nothing there.

use std::{borrow::Cow, fmt};

use super::{ClaimPath, ClaimPathError, Requirement, attributes, claims::Claims, shown};
use crate::{
    json::Value,
    model::{PrincipalKind, Reason, Refusal, SpiffeError, SpiffeId, SpiffePattern, Token},
};

/// The workloads of some of an issuer's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Of the tokens of this kind of principal; `None` for both.
    pub kind: Option<PrincipalKind>,
    /// Of the tokens of which every one of these claims is so.
    pub claims: Vec<Requirement>,
    /// Never empty.
    pub peers: Vec<PeerTemplate>,
}

/// A pattern of SPIFFE IDs in which whole segments of the path may be what a claim says: `spiffe://cluster.local/ns/{namespace}/sa/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerTemplate {
    text: String,
    domain: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// Letter by letter, or `*`.
    Text(String),
    Claim(ClaimPath),
}

/// Why a text is no [`PeerTemplate`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerTemplateError {
    #[error(transparent)]
    Spiffe(#[from] SpiffeError),
    #[error("a claim in braces is not one whole segment of its path")]
    Braces,
    #[error(transparent)]
    Claim(#[from] ClaimPathError),
    #[error("`*` in the path of a claim could be any of its members")]
    AnyMember,
}

/// What is known of one claim.
#[derive(Clone, Debug)]
enum Said<'c> {
    /// What it is compared as, where that is not one text: a truth value, a number, a list of texts.
    Texts(Vec<Cow<'c, str>>),
    /// One text, which may name somebody.
    Text(&'c str),
    /// It is there, and of no type that is compared.
    Other,
    Absent,
    /// Nobody has said.
    Unknown,
}

/// The workloads that may present the token with these claims; `None` where any may.
///
/// # Errors
/// `TokenNotForPeer` where no binding is about it, or one that is needs a claim that it does not have so.
pub(super) fn of_claims(bindings: Option<&[Binding]>, claims: &Claims<'_>, kind: PrincipalKind) -> Result<Option<Vec<SpiffePattern>>, Refusal> {
    bindings.map(|bindings| patterns(bindings, kind, |path| at(claims, path))).transpose()
}

/// The same of a token of which only its facts are told: whatever its other claims are, it could be presented by no other workload.
pub(super) fn of_facts(
    bindings: Option<&[Binding]>,
    told: &Token,
    subject_claim: &str,
    groups: Option<&ClaimPath>,
) -> Result<Option<Vec<SpiffePattern>>, Refusal> {
    let said = |path: &ClaimPath| match path.names() {
        _ if Some(path) == groups => Said::Texts(told.groups.iter().map(|group| Cow::Borrowed(group.as_str())).collect()),
        [name] if name == subject_claim => Said::Text(&told.subject),
        [name] if matches!(name.as_str(), "azp" | "client_id") => told.client.as_deref().map_or(Said::Unknown, Said::Text),
        _ => Said::Unknown,
    };
    bindings.map(|bindings| patterns(bindings, told.kind, said)).transpose()
}

/// Whether `peer` is one of `patterns`.
///
/// # Errors
/// `TokenNotForPeer`. Which they are is said aside: whoever holds a stolen token is not told where it is good.
pub(super) fn admit(patterns: &[SpiffePattern], peer: Option<&SpiffeId>) -> Result<(), Refusal> {
    if peer.is_some_and(|peer| patterns.iter().any(|pattern| pattern.matches(peer))) {
        return Ok(());
    }
    let named: Vec<String> = patterns.iter().take(NAMED).map(|pattern| format!("`{}`", shown(pattern.as_str()))).collect();
    let more = if patterns.len() > NAMED { " and others" } else { "" };
    let here = peer.map_or_else(|| "no known workload".to_owned(), |peer| format!("`{}`", shown(peer.as_str())));
    let named = named.join(", ");
    let told = format!("the token is bound to another workload than {here}, which presents it; get one for this workload, or call from its own");
    Err(refused(told).with_aside(format!("it may be presented by {named}{more} alone")))
}

/// Those of every binding that is about the token, together: each is a place where it belongs.
fn patterns<'c>(bindings: &[Binding], kind: PrincipalKind, said: impl Fn(&ClaimPath) -> Said<'c>) -> Result<Vec<SpiffePattern>, Refusal> {
    let mut found = Vec::new();
    let about = |binding: &&Binding| binding.kind.is_none_or(|wanted| wanted == kind) && binding.claims.iter().all(|claim| holds(claim, &said));
    for template in bindings.iter().filter(about).flat_map(|binding| &binding.peers) {
        found.push(template.filled(&said)?);
    }
    if found.is_empty() {
        return Err(refused("no binding of its issuer is about this token, so that no workload may present it"));
    }
    Ok(found)
}

/// Whether a claim is, or holds, one of the texts that are asked for; so it may be where it is not known.
fn holds<'c>(claim: &Requirement, said: &impl Fn(&ClaimPath) -> Said<'c>) -> bool {
    match said(&claim.claim) {
        Said::Text(text) => claim.is_met(&[Cow::Borrowed(text)]),
        Said::Texts(texts) => claim.is_met(&texts),
        Said::Other | Said::Absent => false,
        Said::Unknown => true,
    }
}

fn at<'c>(claims: &'c Claims<'_>, path: &ClaimPath) -> Said<'c> {
    match claims.at(path) {
        Ok(None) => Said::Absent,
        Ok(Some(Value::Text(text))) => Said::Text(text),
        Ok(Some(value)) => attributes::texts(value).map_or(Said::Other, Said::Texts),
        // on its way stands something that holds no claims
        Err(_) => Said::Other,
    }
}

fn refused(detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::TokenNotForPeer, detail)
}

// === impl PeerTemplate ===

impl PeerTemplate {
    /// # Errors
    /// [`PeerTemplateError`] says what of `text` is wrong.
    pub fn parse(text: &str) -> Result<Self, PeerTemplateError> {
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeError::Scheme)?;
        let (domain, path) = rest.split_once('/').ok_or(SpiffeError::Path)?;
        let segments = split(path).into_iter().map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let template = Self { text: text.to_owned(), domain: domain.to_owned(), segments };
        // Any segment shows whether what is around the claims can be a pattern.
        SpiffePattern::parse(&template.with(|_| Ok::<_, SpiffeError>("x"))?)?;
        Ok(template)
    }

    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.domain
    }

    /// The same for workloads of the trust domain `domain`.
    #[must_use]
    pub fn in_domain(self, domain: &str) -> Self {
        Self { domain: domain.to_owned(), ..self }
    }

    fn filled<'c>(&self, said: &impl Fn(&ClaimPath) -> Said<'c>) -> Result<SpiffePattern, Refusal> {
        let text = self.with(|claim| match said(claim) {
            // A `*`, a slash or a dot segment in a claim would bind the token to more than one workload's name.
            Said::Text(text) if SpiffeId::is_segment(text) => Ok(text),
            Said::Unknown => Ok("*"),
            Said::Absent => {
                Err(refused(format!("the token lacks the claim `{claim}`, by which its issuer's bindings tell which workload may present it")))
            }
            Said::Text(text) => Err(refused(format!("the claim `{claim}` is `{}`, which can be no part of a workload's name", shown(text)))),
            Said::Texts(_) | Said::Other => Err(refused(format!("the claim `{claim}` is no string, and so no part of a workload's name"))),
        })?;
        SpiffePattern::parse(&text).map_err(|error| refused(format!("what may present the token is no pattern of workloads: {error}")))
    }

    /// The text with each claim replaced.
    fn with<'c, E>(&self, claim: impl Fn(&ClaimPath) -> Result<&'c str, E>) -> Result<String, E> {
        let mut text = format!("{SCHEME}{}", self.domain);
        for segment in &self.segments {
            text.push('/');
            text.push_str(match segment {
                Segment::Text(text) => text,
                Segment::Claim(path) => claim(path)?,
            });
        }
        Ok(text)
    }
}

impl fmt::Display for PeerTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The segments of a path: a `/` in braces belongs to the name of a claim.
fn split(path: &str) -> Vec<&str> {
    let mut inside = false;
    path.split(|c: char| {
        inside = (inside || c == '{') && c != '}';
        c == '/' && !inside
    })
    .collect()
}

// === impl Segment ===

impl Segment {
    fn parse(text: &str) -> Result<Self, PeerTemplateError> {
        let braces = ['{', '}'];
        match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(claim) if !claim.contains(braces) => {
                let path = ClaimPath::parse(claim)?;
                if path.is_pattern() { Err(PeerTemplateError::AnyMember) } else { Ok(Self::Claim(path)) }
            }
            None if !text.contains(braces) => Ok(Self::Text(text.to_owned())),
            _ => Err(PeerTemplateError::Braces),
        }
    }
}

const SCHEME: &str = "spiffe://";

/// How many patterns a refusal names.
const NAMED: usize = 3;

#[cfg(test)]
mod tests;
