//! The shipped policies. That the catalog has all they name is for `lakegate check` to hold.

use std::path::Path;

use cedar_policy::{Effect, Policy, PrincipalConstraint, Template};

use crate::authz::text::pieces;

#[test]
fn the_starter_policies_explain_themselves_and_permit_nobody_unnamed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let (mut count, mut roles) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "cedar") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for piece in pieces(&text) {
            let explained = |annotation: &dyn Fn(&str) -> Option<String>| {
                for name in ["id", "reason", "owner"] {
                    assert!(annotation(name).is_some_and(|value| !value.is_empty()), "{}: {} lacks @{name}", path.display(), piece.text);
                }
            };
            // A role is nobody's until somebody is given it.
            if let Ok(role) = Template::parse(None, piece.text) {
                explained(&|name| role.annotation(name).map(str::to_owned));
                roles += 1;
                continue;
            }
            let policy = Policy::parse(None, piece.text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            explained(&|name| policy.annotation(name).map(str::to_owned));
            let named = match policy.principal_constraint() {
                PrincipalConstraint::Any | PrincipalConstraint::Is(_) => false,
                PrincipalConstraint::Eq(entity) | PrincipalConstraint::In(entity) | PrincipalConstraint::IsIn(_, entity) => {
                    entity.id().unescaped() != "none"
                }
            };
            assert!(named || policy.effect() == Effect::Forbid, "{}: {policy}", path.display());
            count += 1;
        }
    }
    assert!(count > 6 && roles > 3, "{count} starter policies, {roles} roles");
}
