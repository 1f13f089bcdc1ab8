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
    // Any name can be written with escapes, which begin with a backslash.
    if memchr::memmem::find(piece.text.as_bytes(), b"claims").is_none() && memchr::memchr(b'\\', piece.text.as_bytes()).is_none() {
        return Vec::new();
    }
    let names = || claims.iter().map(|claim| &*claim.name);
    let fault = |(path, test): (&[String], bool)| {
        let [token, record, name, ..] = path else { return None };
        if !test || token != "token" || record != "claims" || names().any(|known| known == name) {
            return None;
        }
        let help = nearest(name, names())
            .map_or_else(|| "declare it in `issuers[].attributes` of lakegate.yaml".to_owned(), |near| format!("did you mean `{near}`?"));
        Some(Mark::new(place(name, piece), format!("no issuer declares the attribute `{}`", shown(name)), Some(help)))
    };
    Reading::of(template).context().filter_map(fault).collect()
}

/// Where the claim `name` is asked for: the name as a word of its own behind the first `claims` that has it, else the first such word, else the policy.
fn place(name: &str, piece: &Piece<'_>) -> usize {
    let body = piece.text.get(piece.start..).unwrap_or_default();
    let word = |from: usize| {
        let rest = body.get(from..).unwrap_or_default();
        let letter = |c: char| c.is_alphanumeric() || c == '_';
        let whole = |at: usize| {
            let (before, after) = (rest.get(..at).unwrap_or_default(), rest.get(at + name.len()..).unwrap_or_default());
            !before.ends_with(letter) && !after.starts_with(letter)
        };
        rest.match_indices(name).map(|(at, _)| at).find(|&at| whole(at)).map(|at| from + at)
    };
    // Between the record and the name stand `.`, or `has`, and perhaps a quotation mark.
    let asked = |record: usize| {
        let at = word(record + RECORD.len())?;
        let between = body.get(record + RECORD.len()..at)?.trim_end_matches('"').trim();
        matches!(between, "." | "has").then_some(at)
    };
    let found = body.match_indices(RECORD).find_map(|(record, _)| asked(record)).or_else(|| word(0));
    found.map_or(piece.start, |at| piece.start + at)
}

const RECORD: &str = "claims";
