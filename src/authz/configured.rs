//! Names in policies that the configuration does not have: such a policy can be served, but what it names will never come.

use std::sync::Arc;

use super::{Authorizer, canonical::NO_PEER, schema::COLLECTION, text::shown_entity};
use crate::{
    model::{EntityRef, Fault, Faults, Name, SpiffeId, Target, TargetKind},
    text::{nearest, shown},
};

/// What is configured, as far as ids in policies speak of it.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub targets: Vec<Arc<Target>>,
    pub issuers: Vec<Name>,
    pub trust_domains: Vec<String>,
}

// === impl Scope ===

impl Scope {
    /// What of `entity` is not configured: the noun and the name, and what it may have been meant to be.
    fn unknown(&self, entity: &EntityRef) -> Option<(&'static str, String, Option<&str>)> {
        let id = &*entity.id;
        let first = id.split_once('/').map_or(id, |(first, _)| first);
        let spiffe = SpiffeId::parse(id).ok();
        let (noun, name, known): (_, _, Vec<&str>) = match entity.kind.as_str() {
            "Action" | "Collection" => return None,
            "Workload" if id == NO_PEER => return None,
            "Issuer" | "User" | "ServicePrincipal" | "Group" | "Role" => ("issuer", first, self.issuers.iter().map(Name::as_str).collect()),
            "Workload" => ("trust domain", spiffe.as_ref()?.trust_domain(), self.trust_domains.iter().map(String::as_str).collect()),
            "Namespace" => ("trust domain", first, self.trust_domains.iter().map(String::as_str).collect()),
            "Environment" => ("environment", id, self.environments().collect()),
            "Workspace" => ("workspace", id, self.targets(|kind| kind == TargetKind::Workspace).collect()),
            "Account" => ("account", id, self.targets(|kind| kind == TargetKind::Account).collect()),
            "Service" => ("service", id, self.targets(|kind| kind == TargetKind::Service).collect()),
            _ => ("workspace, account or service", first, self.targets(|_| true).collect()),
        };
        let missing = !known.contains(&name);
        missing.then(|| (noun, shown(name), nearest(name, known)))
    }

    fn environments(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().filter_map(|target| target.environment.as_ref()).map(|environment| environment.0.as_str())
    }

    fn targets(&self, wanted: impl Fn(TargetKind) -> bool) -> impl Iterator<Item = &str> {
        self.targets.iter().filter(move |target| wanted(target.kind)).map(|target| target.name.as_str())
    }
}

// === impl Authorizer ===

impl Authorizer {
    /// A warning for each name in a policy that `scope` does not have, at the policy's place.
    #[must_use]
    pub fn unknown_names(&self, scope: &Scope) -> Vec<Fault> {
        let mut found = Faults::default();
        for placed in &self.policies {
            for literal in &placed.compiled.literals {
                let unlisted = literal.kind.as_str() == COLLECTION && !self.engine.inventory.has(literal);
                let collection = unlisted.then(|| ("collection", shown(&literal.id), None));
                let Some((noun, name, near)) = collection.or_else(|| scope.unknown(literal)) else { continue };
                found.add(|| Fault {
                    file: placed.file.to_path_buf(),
                    line: Some(placed.line),
                    column: None,
                    message: format!("`{}` names nothing: there is no {noun} `{name}`", shown_entity(literal)),
                    help: near.map(|near| format!("did you mean `{near}`?")),
                });
            }
        }
        found.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::tests::world::{load, said, target};

    #[test]
    fn names_that_are_not_configured_are_told() {
        let scope = Scope { targets: vec![target()], issuers: vec![Name::parse("corp").unwrap()], trust_domains: vec!["cluster.local".to_owned()] };
        let cases = [
            (r#"principal in Group::"corp/a", action, resource in Environment::"staging""#, None),
            (r#"principal in Namespace::"cluster.local/a", action in Action::"read", resource == Job::"stage/1""#, None),
            (r#"principal in Group::"crop/a", action, resource"#, Some("no issuer `crop`; did you mean `corp`?")),
            (r#"principal in Issuer::"okta", action, resource"#, Some("no issuer `okta`")),
            (
                r#"principal in Namespace::"cluster.lokal/a", action, resource"#,
                Some("no trust domain `cluster.lokal`; did you mean `cluster.local`?"),
            ),
            (r#"principal == Workload::"spiffe://other/ns/a/sa/b", action, resource"#, Some("no trust domain `other`")),
            (r#"principal == Workload::"none", action, resource"#, None),
            (r#"principal, action, resource in Environment::"stagin""#, Some("no environment `stagin`; did you mean `staging`?")),
            (r#"principal, action, resource in Workspace::"prod""#, Some("no workspace `prod`")),
            (r#"principal, action, resource in Account::"stage""#, Some("no account `stage`")),
            (r#"principal, action, resource == Job::"stge/1""#, Some("no workspace, account or service `stge`; did you mean `stage`?")),
        ];
        for (scope_text, want) in cases {
            let got = said(&load(&format!("// x\n@id(\"p\") forbid ({scope_text});")).unknown_names(&scope));
            match want {
                None => assert_eq!(got, "", "{scope_text}"),
                Some(want) => assert!(got.starts_with("base.cedar:2: ") && got.contains(want), "{scope_text}: {got}"),
            }
        }
    }
}
