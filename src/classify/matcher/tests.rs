use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

fn path(raw: &str) -> ApiPath<'_> {
    let segment = |text| Segment { text: Cow::Borrowed(text), slashed: false };
    ApiPath { raw, segments: raw.split('/').skip(1).map(segment).collect() }
}

fn matcher(templates: &[(&str, &str)]) -> (Matcher, Vec<Taken>) {
    let (mut matcher, mut taken) = (Matcher::new(), Vec::new());
    for (index, (method, text)) in templates.iter().enumerate() {
        taken.extend(matcher.add(method, Template::parse(text).unwrap().remove(0), index).err());
    }
    (matcher, taken)
}

#[test]
fn the_most_literal_template_wins() {
    let (matcher, taken) = matcher(&[
        ("GET", "/a/{x}"),
        ("GET", "/a/b"),
        ("GET", "/a/{x}:go"),
        ("GET", "/a/{rest*}"),
        ("GET", "/a/b/{x}"),
        ("GET", "/a/{x}/c"),
        ("PUT", "/a/b"),
    ]);
    assert_eq!(taken, []);
    for (text, want) in [("/a/b", 1), ("/a/z", 0), ("/a/z:go", 2), ("/a/z/z", 3), ("/a/b/c", 4), ("/a/z/c", 5), ("/a/z:stop", 3)] {
        assert_eq!(matcher.find("GET", &path(text)).unwrap().entry, want, "{text}");
    }
    assert_eq!(matcher.find("PUT", &path("/a/z")).unwrap_err().others, [0, 3]);
}

#[test]
fn captures_are_what_the_parameters_stand_for() {
    let (matcher, _) =
        matcher(&[("GET", "/{w}/m/{x}:go"), ("GET", "/f/{p*}"), ("GET", "/n/{name=a/*/b/*}:undo"), ("GET", "/n/{name=a/*}/c"), ("GET", "/r/{p**}")]);
    let texts = |text: &str| {
        let path = path(text);
        matcher.find("GET", &path).unwrap().params.iter().map(|param| param.place.text(&path).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts("/7/m/gem:go"), ["7", "gem"]);
    assert_eq!(texts("/f/a/b/c"), ["/a/b/c"]);
    assert_eq!(texts("/n/a/x/b/y:undo"), ["a/x/b/y"]);
    assert_eq!(texts("/n/a/x/c"), ["a/x"]);
    for (text, want) in [("/r", "/"), ("/r/", "/"), ("/r/a", "/a"), ("/r/a/b/", "/a/b")] {
        assert_eq!(texts(text), [want]);
    }
}

#[test]
fn an_empty_segment_never_matches() {
    let (matcher, _) = matcher(&[("GET", "/a/{x}"), ("GET", "/f/{p*}"), ("GET", "/a")]);
    for text in ["/a/", "/f/", "/f/a/", "/f//a", "/", "//a"] {
        assert!(matcher.find("GET", &path(text)).is_err(), "{text}");
    }
}

#[test]
fn templates_of_one_shape_cannot_share_a_method() {
    let (_, taken) = matcher(&[("GET", "/a/{x}"), ("PUT", "/a/{x}"), ("GET", "/a/{y}"), ("GET", "/{p*}"), ("GET", "/{q*}")]);
    assert_eq!(taken, [Taken(0), Taken(3)]);
}

/// What the trie must be equal to: every template tried, the most literal taken.
fn linear(templates: &[Template], segments: &[&str]) -> Option<usize> {
    let last = segments.len() - 1;
    let rank = |index: usize, part: &Part| {
        let text = segments.get(index).copied().filter(|text| !text.is_empty())?;
        match part {
            Part::Literal(literal) => (**literal == *text).then_some(0),
            Part::Any => (index != last || !text.contains(':')).then_some(2),
            Part::Verb(verb) => text.strip_suffix(&**verb).filter(|name| !name.is_empty() && !name.contains(':')).map(|_| 1),
            Part::Tail | Part::Rest => segments[index..].iter().all(|text| !text.is_empty()).then_some(3),
        }
    };
    let ranks = |template: &Template| {
        let tail = matches!(template.parts.last(), Some(Part::Tail));
        let long = if tail { template.parts.len() <= segments.len() } else { template.parts.len() == segments.len() };
        template.parts.iter().enumerate().map(|(index, part)| rank(index, part)).collect::<Option<Vec<_>>>().filter(|_| long)
    };
    let ranked = templates.iter().enumerate().filter_map(|(index, template)| ranks(template).map(|ranks| (ranks, index)));
    ranked.min().map(|(_, index)| index)
}

/// Two templates have one shape where only the names of their parameters differ.
fn shape(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Literal(text) => text.to_string(),
        Part::Any => "{}".to_owned(),
        Part::Verb(verb) => format!("{{}}{verb}"),
        Part::Tail | Part::Rest => "{*}".to_owned(),
    };
    template.parts.iter().map(part).collect::<Vec<_>>().join("/")
}

/// Up to twelve texts: up to `most` of `parts`, then one of `ends`.
fn joined(parts: &'static [&str], most: usize, ends: &'static [&str]) -> impl Strategy<Value = Vec<String>> {
    let parts = prop::collection::vec(prop::sample::select(parts), 1..=most);
    let text = (parts, prop::sample::select(ends)).prop_map(|(parts, end)| parts.concat() + end);
    prop::collection::vec(text, 1..12)
}

proptest! {
    #[test]
    fn the_trie_finds_what_a_linear_search_finds(
        texts in joined(&["/a", "/b", "/{x}", "/{x}:go", "/{x}:ago"], 4, &["", "", "/{p*}"]),
        paths in joined(&["/a", "/b", "/z", "/a:go", "/z:go", "/z:ago", "/:go", "/z:x", "/"], 5, &[""]),
    ) {
        let mut templates: Vec<Template> = Vec::new();
        for template in texts.iter().map(|text| Template::parse(text).unwrap().remove(0)) {
            if templates.iter().all(|other| shape(other) != shape(&template)) {
                templates.push(template);
            }
        }
        let mut matcher = Matcher::new();
        for (index, template) in templates.iter().enumerate() {
            prop_assert_eq!(matcher.add("GET", template.clone(), index), Ok(()));
        }
        for text in paths {
            let segments: Vec<&str> = text.split('/').skip(1).collect();
            let found = matcher.find("GET", &path(&text)).ok().map(|found| found.entry);
            prop_assert_eq!(found, linear(&templates, &segments), "{}", text);
        }
    }
}
