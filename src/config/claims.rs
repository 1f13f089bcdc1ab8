//! What an issuer's claims are for beyond saying who calls: attributes for policies, what must hold of them, who may act for others, and why.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    forms,
    path::KeyPath,
    raw::{self, OneOrMany},
    report::Report,
    words::ClaimType,
};
use crate::{
    authn::{Attribute, ClaimPath, Purpose, Requirement},
    model::FieldKind,
    text::quoted,
};

/// What is declared of the claims of one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// In order of name.
    pub attributes: Vec<Attribute>,
    pub require: Vec<Requirement>,
    pub actors: Vec<String>,
    pub purpose: Option<Purpose>,
}

/// How many attributes an issuer may declare.
const MOST: usize = 64;

/// The words of Cedar that can be no name (<https://docs.cedarpolicy.com/policies/syntax-grammar.html>).
const RESERVED: [&str; 10] = ["__cedar", "else", "false", "has", "if", "in", "is", "like", "then", "true"];

pub(super) fn claims(raw: &raw::Issuer, path: &KeyPath, report: &mut Report<'_>) -> Option<Claims> {
    let attributes = attributes(raw.attributes.as_ref(), &path.key("attributes"), report);
    let require = require(raw.require.as_ref(), &path.key("require"), report);
    let actors = raw.actors.as_deref().map_or_else(|| Some(Vec::new()), |texts| forms::some(texts, &path.key("actors"), report, party));
    let purpose = purpose(raw, path, report);
    Some(Claims { attributes: attributes?, require: require?, actors: actors?, purpose })
}

/// Policies read the attributes of all issuers in one record, so that a name has one type there.
pub(super) fn types(raw: &[raw::Issuer], path: &KeyPath, report: &mut Report<'_>) {
    let mut known: BTreeMap<&str, (ClaimType, &str)> = BTreeMap::new();
    for (index, issuer) in raw.iter().enumerate() {
        for (name, attribute) in issuer.attributes.iter().flatten() {
            let Some(kind) = attribute.r#type else { continue };
            let (first, whose) = *known.entry(name.as_str()).or_insert((kind, issuer.name.as_deref().unwrap_or_default()));
            if first != kind {
                let (first, kind) = (first.as_str(), kind.as_str());
                report.fault(
                    &path.item(index).key("attributes").key(name).key("type"),
                    format!("the attribute {} is `{kind}` here and `{first}` of issuer {}", quoted(name), quoted(whose)),
                    "give both one type, or one of them another name: policies read `context.token.claims` whoever issued the token",
                );
            }
        }
    }
}

fn attributes(raw: Option<&BTreeMap<String, raw::Attribute>>, path: &KeyPath, report: &mut Report<'_>) -> Option<Vec<Attribute>> {
    let Some(raw) = raw else { return Some(Vec::new()) };
    if raw.len() > MOST {
        report.fault(path, format!("there are {} attributes, and {MOST} may be", raw.len()), "declare those that policies read");
    }
    let read: Vec<Option<Attribute>> = raw.iter().map(|(name, attribute)| self::attribute(name, attribute, &path.key(name), report)).collect();
    read.into_iter().collect()
}

fn attribute(name: &str, raw: &raw::Attribute, path: &KeyPath, report: &mut Report<'_>) -> Option<Attribute> {
    let named = is_identifier(name);
    if !named {
        let help = "write a letter or `_`, then letters, digits and `_`, 63 at most, and no word of Cedar's own, as `repository_owner`";
        report.fault(path, format!("{} is no name for an attribute", quoted(name)), help);
    }
    let kind = match raw.r#type? {
        ClaimType::String => FieldKind::Text,
        ClaimType::Long => FieldKind::Long,
        ClaimType::Bool => FieldKind::Bool,
        ClaimType::Strings => FieldKind::Texts,
    };
    let claim = claim_path(raw.claim.as_deref()?, &path.key("claim"), report)?;
    if claim.is_pattern() && kind != FieldKind::Texts {
        report.fault(
            &path.key("claim"),
            format!("{} leads to many claims, which no `{}` holds", quoted(&claim.to_string()), kind.as_str()),
            "write `type: strings`, or name one claim",
        );
        return None;
    }
    named.then(|| Attribute { name: Arc::from(name), claim, kind })
}

fn require(raw: Option<&BTreeMap<String, OneOrMany>>, path: &KeyPath, report: &mut Report<'_>) -> Option<Vec<Requirement>> {
    let Some(raw) = raw else { return Some(Vec::new()) };
    if raw.is_empty() {
        report.fault(path, format!("{} is empty", quoted(&path.to_string())), "name a claim, as `repository_owner: acme`, or remove the key");
        return None;
    }
    let read: Vec<Option<Requirement>> = raw.iter().map(|(claim, texts)| requirement(claim, texts, &path.key(claim), report)).collect();
    read.into_iter().collect()
}

/// What a claim must say, of every token (`require`) or of those that a binding is about (`when`).
pub(super) fn requirement(claim: &str, texts: &OneOrMany, path: &KeyPath, report: &mut Report<'_>) -> Option<Requirement> {
    let any_of = match texts {
        OneOrMany::One(text) => forms::token_text(text, path, report).map(|text| vec![text]),
        OneOrMany::Many(texts) => forms::some(texts, path, report, forms::token_text),
    };
    let claim = claim_path(claim, path, report)?;
    if claim.is_pattern() {
        report.fault(path, format!("{} leads to many claims", quoted(&claim.to_string())), "name one claim: of a list one text must fit");
        return None;
    }
    Some(Requirement { claim, any_of: any_of? })
}

/// `None` too where it is not good.
fn purpose(raw: &raw::Issuer, path: &KeyPath, report: &mut Report<'_>) -> Option<Purpose> {
    match (&raw.purpose_claim, &raw.purpose_details) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            let help = "remove one of them: a call has one purpose";
            report.fault(&path.key("purpose_details"), "`purpose_claim` and `purpose_details` exclude each other", help);
            None
        }
        (Some(claim), None) => {
            let claim = claim_path(claim, &path.key("purpose_claim"), report)?;
            if claim.is_pattern() {
                report.fault(&path.key("purpose_claim"), format!("{} leads to many claims", quoted(&claim.to_string())), "name one claim");
            }
            Some(Purpose::Claim(claim))
        }
        (None, Some(kind)) => forms::token_text(kind, &path.key("purpose_details"), report).map(Purpose::Details),
    }
}

pub(super) fn claim_path(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<ClaimPath> {
    let text = forms::token_text(text, path, report)?;
    let claim = ClaimPath::parse(&text).ok();
    if claim.is_none() {
        report.fault(
            path,
            format!("{} is no path of claims", quoted(&text)),
            "join names with `.`, none of them empty, as `realm_access.tier`, and put one that holds a dot in quotation marks, as `\"kubernetes.io\".pod.name`",
        );
    }
    claim
}

/// A subject as a token may name it.
fn party(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<String> {
    let good = text.len() <= 255;
    if !good {
        report.fault(path, format!("{} can stand in no token", quoted(text)), "write the `sub` of an actor: 255 bytes at most");
    }
    forms::token_text(text, path, report).filter(|_| good)
}

fn is_identifier(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=63).contains(&name.len()) && name.bytes().all(good) && !name.starts_with(|c: char| c.is_ascii_digit()) && !RESERVED.contains(&name)
}
