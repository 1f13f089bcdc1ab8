//! Attributes of tokens that a policy asks for and no issuer declares. To the typechecker `has` is then false, and what stands behind it is never looked
//! at: a `forbid` on a misspelt claim would guard nothing, and nobody would be told.

use cedar_policy_core::ast::Template;

use super::{
    reading::Reading,
    text::{Mark, Piece},
};
use crate::{
    model::FieldSpec,
    text::{nearest, shown},
};

/// A fault for each `context.token.claims has X` of which `claims` has no `X`.
pub(super) fn faults(template: &Template, claims: &[FieldSpec], piece: &Piece<'_>) -> Vec<Mark> {
    if memchr::memmem::find(piece.text.as_bytes(), b"claims").is_none() {
        return Vec::new();
    }
    let names = || claims.iter().map(|claim| &*claim.name);
    let fault = |(path, test): (&[String], bool)| {
        let [token, record, name, ..] = path else { return None };
        if !test || token != "token" || record != "claims" || names().any(|known| known == name) {
            return None;
        }
        let offset = piece.text.get(piece.start..).and_then(|text| text.find(name.as_str())).map_or(piece.start, |at| piece.start + at);
        let help = nearest(name, names())
            .map_or_else(|| "declare it in `issuers[].attributes` of lakegate.yaml".to_owned(), |near| format!("did you mean `{near}`?"));
        Some(Mark::new(offset, format!("no issuer declares the attribute `{}`", shown(name)), Some(help)))
    };
    Reading::of(template).context().filter_map(fault).collect()
}
