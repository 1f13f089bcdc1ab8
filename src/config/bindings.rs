use super::{claims, forms, path::KeyPath, peers::Peers, raw, report::Report, words::BoundKind};
use crate::{
    authn::{PeerTemplate, Requirement},
    text::quoted,
};

/// Which workloads may present the tokens of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bindings {
    /// Nobody has said it, so that any may.
    Unsaid,
    /// Any, and that is meant.
    Any,
    /// Never empty.
    Only(Vec<Binding>),
}

/// The workloads that may present some of an issuer's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub kind: Option<BoundKind>,
    pub claims: Vec<Requirement>,
    /// In the trust domains that they count as; never empty.
    pub peers: Vec<PeerTemplate>,
}

pub(super) fn bindings(raw: Option<&raw::Bindings>, peers: Option<&Peers>, path: &KeyPath, report: &mut Report<'_>) -> Option<Bindings> {
    match raw {
        None => Some(Bindings::Unsaid),
        Some(raw::Bindings::Word(_)) => Some(Bindings::Any),
        Some(raw::Bindings::Only(list)) if list.is_empty() => {
            report.fault(path, "the list is empty, so that no workload could present a token", "name at least one, or write `none` where any may");
            None
        }
        Some(raw::Bindings::Only(list)) => {
            let read: Vec<_> = list.iter().enumerate().map(|(index, raw)| binding(raw, peers, &path.item(index), report)).collect();
            read.into_iter().collect::<Option<_>>().map(Bindings::Only)
        }
    }
}

fn binding(raw: &raw::Binding, peers: Option<&Peers>, path: &KeyPath, report: &mut Report<'_>) -> Option<Binding> {
    let claims: Option<Vec<_>> = match &raw.when {
        None => Some(Vec::new()),
        Some(when) if when.kind.is_none() && when.claims.is_empty() => {
            report.fault(&path.key("when"), "it names no token", "name a `kind` or a claim, or leave `when` out where all are meant");
            None
        }
        Some(when) => {
            let path = path.key("when");
            let read: Vec<_> = when.claims.iter().map(|(claim, texts)| claims::requirement(claim, texts, &path.key(claim), report)).collect();
            read.into_iter().collect()
        }
    };
    let texts = raw.peers.as_deref()?;
    let path = path.key("peers");
    let written = forms::some(texts, &path, report, template)?;
    for (index, template) in written.iter().enumerate() {
        if let Some(peers) = peers.filter(|peers| !peers.knows(template.trust_domain())) {
            let help = format!("`peers.trust_domains` has `{}`", peers.trust_domains.join("`, `"));
            report.fault(&path.item(index), format!("no caller is of the trust domain {}", quoted(template.trust_domain())), help);
        }
    }
    let counted = |template: PeerTemplate| match peers {
        Some(peers) => {
            let domain = peers.counted(template.trust_domain()).to_owned();
            template.in_domain(&domain)
        }
        None => template,
    };
    Some(Binding { kind: raw.when.as_ref().and_then(|when| when.kind), claims: claims?, peers: written.into_iter().map(counted).collect() })
}

fn template(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<PeerTemplate> {
    PeerTemplate::parse(text)
        .map_err(|error| {
            let help = "write `spiffe://<trust domain>/<path>`; `*` stands for one whole segment of the path and `{claim}` for what that claim says, as `spiffe://cluster.local/ns/{namespace}/sa/*`";
            report.fault(path, format!("{} is not a pattern of workloads: {error}", quoted(text)), help);
        })
        .ok()
}
