//! Several policies in one parse. The parser's lexer begins each parse with nothing of its automaton built, and building it costs more than to parse a
//! policy with it; and one parse tree of a large file would cost many times its policies. So policies are parsed by the page.

use cedar_policy_core::{
    ast::{PolicyID, Template},
    parser::{parse_policy_or_template, text_to_cst::parse_policies},
};

use super::{
    policy::mark,
    text::{Mark, Piece},
};

/// How much text is parsed at once, in bytes. A parsed policy keeps the text that it was parsed with.
const PAGE: usize = 8 << 10;

/// A piece with what it says.
pub(super) struct Parsed<'t> {
    /// Its base is where it stands in its page, from whose beginning all places are counted.
    pub(super) piece: Piece<'t>,
    pub(super) template: Result<Template, Vec<Mark>>,
}

/// The pieces, in their order, in runs of one page and of one piece at least.
pub(super) fn pages<'p, 't>(pieces: &'p [Piece<'t>]) -> Vec<&'p [Piece<'t>]> {
    let (mut pages, mut rest) = (Vec::new(), pieces);
    while !rest.is_empty() {
        let mut length = 0;
        let fit = rest.iter().take_while(|piece| {
            length += piece.text.len();
            length <= PAGE
        });
        let (page, others) = rest.split_at(fit.count().clamp(1, rest.len()));
        pages.push(page);
        rest = others;
    }
    pages
}

/// What each piece of a page says, as if it had been parsed by itself.
pub(super) fn parsed<'t>(page: &[Piece<'t>]) -> Vec<Parsed<'t>> {
    at_once(page).unwrap_or_else(|| page.iter().map(|piece| Parsed { piece: *piece, template: alone(piece) }).collect())
}

/// # Errors
/// Every fault of the text.
pub(super) fn alone(piece: &Piece<'_>) -> Result<Template, Vec<Mark>> {
    parse_policy_or_template(None, piece.text).map_err(|errors| errors.iter().map(|error| mark(error, piece)).collect())
}

/// `None` unless there is no fault and each policy stands in its own piece: a text that runs into the next would take of it what it lacks.
fn at_once<'t>(page: &[Piece<'t>]) -> Option<Vec<Parsed<'t>>> {
    let mut text = String::with_capacity(page.iter().map(|piece| piece.text.len() + 1).sum());
    let mut pieces = Vec::with_capacity(page.len());
    for piece in page {
        pieces.push(Piece { base: text.len(), ..*piece });
        text.push_str(piece.text);
        text.push('\n');
    }
    let parsed = parse_policies(&text).ok()?;
    let mut policies = parsed.with_generated_policyids().ok()?.map(|(_, policy)| policy);
    let taken = pieces.into_iter().map(|piece| {
        let policy = policies.next()?;
        let place = policy.loc()?;
        let own = place.start() >= piece.base && place.end() <= piece.base + piece.text.len();
        let template = own.then(|| policy.to_template(PolicyID::from_string("policy0")).ok())??;
        Some(Parsed { piece, template: Ok(template) })
    });
    let taken = taken.collect::<Option<Vec<_>>>()?;
    policies.next().is_none().then_some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::authz::text::pieces;

    const FRAGMENTS: [&str; 14] = [
        "permit (principal, action, resource);",
        "@id(\"a\") forbid (principal in ?principal, action, resource in ?resource) when { context has peer };",
        "\n// a comment; with a semicolon\r",
        "// one that ends the file",
        "permit (principal == User::\"\u{e9};\", action, resource)\nunless { 1 == 2 };",
        "permit (principal, action, resource)",
        "when { true };",
        ";",
        "\"open",
        "permit (principal, action, resource) when { principal.x == \"\\\"; permit\" };",
        "/",
        "\u{feff}",
        "permit (principal, action, resource) when { ?principal == principal };",
        " ",
    ];

    proptest! {
        #[test]
        fn a_policy_of_a_page_is_what_it_is_alone(fragments in proptest::collection::vec(proptest::sample::select(&FRAGMENTS[..]), 0..12)) {
            let text = fragments.concat();
            for Parsed { piece, template } in pages(&pieces(&text)).into_iter().flat_map(parsed) {
                let alone = alone(&piece);
                prop_assert_eq!(template.as_ref().ok().map(ToString::to_string), alone.as_ref().ok().map(ToString::to_string), "{:?}", piece.text);
                prop_assert_eq!(template.as_ref().err(), alone.as_ref().err());
                let shift = |template: &Template| template.loc().map(|place| (place.start() - piece.base, place.end() - piece.base));
                let own = |template: &Template| template.loc().map(|place| (place.start(), place.end()));
                prop_assert_eq!(template.ok().as_ref().map(shift), alone.ok().as_ref().map(own));
            }
        }
    }

    #[test]
    fn policies_without_fault_share_a_parse() {
        let text = FRAGMENTS[0].repeat(3);
        let bases: Vec<usize> = parsed(&pieces(&text)).iter().map(|parsed| parsed.piece.base).collect();
        assert_eq!(bases, [0, 38, 76]);
    }

    #[test]
    fn a_page_has_a_size_and_holds_a_policy_at_least() {
        let long = format!("{} // {}\n", FRAGMENTS[0], "x".repeat(PAGE));
        for (text, want) in [("", vec![]), (FRAGMENTS[0], vec![1]), (&long.repeat(3), vec![1, 1, 1]), (&FRAGMENTS[0].repeat(500), vec![221, 221, 58])]
        {
            assert_eq!(pages(&pieces(text)).iter().map(|page| page.len()).collect::<Vec<_>>(), want);
        }
    }
}
