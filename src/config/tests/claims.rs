//! What an issuer says of its claims beyond who calls.

use super::*;
use crate::{
    authn::{Attribute, ClaimPath, Purpose, Requirement},
    model::FieldKind,
};

fn read(text: &str) -> Config {
    parse(text).unwrap_or_else(|_| panic!("{}", faults(text)))
}

/// `GOOD` with further keys of its issuer.
fn with(keys: &str) -> String {
    GOOD.replacen("provider: generic", &format!("provider: generic\n    {}", keys.replace('\n', "\n    ")), 1)
}

#[test]
fn all_of_it_is_read() {
    let text = with(
        "require: { repository_owner: acme, \"https://acme.example/tier\": [\"1\", \"2\"] }\n\
         attributes: { branch: { claim: ref, type: string }, _tiers: { claim: \"a.*.tiers\", type: strings }, n: { claim: n, type: long }, b: { claim: b, type: bool } }\n\
         actors: [copilot, https://agents.example/a]\n\
         purpose_claim: why.purpose",
    );
    let claims = read(&text).issuers.remove(0).claims;
    let path = |text: &str| ClaimPath::parse(text).unwrap();
    let attribute = |name: &str, claim: &str, kind| Attribute { name: name.into(), claim: path(claim), kind };
    assert_eq!(
        claims.attributes,
        [
            attribute("_tiers", "a.*.tiers", FieldKind::Texts),
            attribute("b", "b", FieldKind::Bool),
            attribute("branch", "ref", FieldKind::Text),
            attribute("n", "n", FieldKind::Long),
        ]
    );
    let requirement = |claim: &str, texts: &[&str]| Requirement { claim: path(claim), any_of: texts.iter().map(|&text| text.to_owned()).collect() };
    assert_eq!(claims.require, [requirement("https://acme.example/tier", &["1", "2"]), requirement("repository_owner", &["acme"])]);
    assert_eq!(claims.actors, ["copilot", "https://agents.example/a"]);
    assert_eq!(claims.purpose, Some(Purpose::Claim(path("why.purpose"))));
    let details = read(&with("purpose_details: databricks")).issuers.remove(0).claims.purpose;
    assert_eq!(details, Some(Purpose::Details("databricks".to_owned())));
    assert_eq!(read(GOOD).issuers.remove(0).claims, Claims::default());
}

#[test]
fn what_does_not_fit_is_told_with_its_mend() {
    let cases: &[(&str, &str)] = &[
        ("attributes: { a-b: { claim: x, type: string } }", "10:24 `a-b` is no name for an attribute; write a letter or `_`"),
        ("attributes: { 1a: { claim: x, type: string } }", "`1a` is no name for an attribute"),
        ("attributes: { in: { claim: x, type: string } }", "`in` is no name for an attribute"),
        ("attributes: { __cedar: { claim: x, type: string } }", "`__cedar` is no name for an attribute"),
        ("attributes: { é: { claim: x, type: string } }", "`é` is no name for an attribute"),
        ("attributes: { a: { claim: x, type: text } }", "`text` is not a value of `issuers[0].attributes.a.type`"),
        ("attributes: { a: { claim: x } }", "`issuers[0].attributes.a` lacks `type`; add it, as in `type: \"string\"`"),
        ("attributes: { a: { type: long } }", "`issuers[0].attributes.a` lacks `claim`"),
        ("attributes: { a: x }", "`issuers[0].attributes.a` is a text, not a mapping of keys"),
        ("attributes: { a: { claim: x, type: long, of: y } }", "unknown key `of`"),
        ("attributes: { a: { claim: x, type: long }, a: { claim: y, type: long } }", "`a` stands twice"),
        ("attributes: { a: { claim: a..b, type: long } }", "`a..b` is no path of claims; join names with `.`"),
        (
            "attributes: { a: { claim: \"a.*\", type: string } }",
            "`a.*` leads to many claims, which no `string` holds; write `type: strings`, or name one claim",
        ),
        ("require: {}", "`issuers[0].require` is empty; name a claim, as `repository_owner: acme`, or remove the key"),
        ("require: { owner: [] }", "`issuers[0].require.owner` is empty; name at least one"),
        ("require: { owner: [a, a] }", "`a` stands twice in the list"),
        ("require: { owner: \"\" }", "`` can stand in no token"),
        ("require: { verified: true }", "`issuers[0].require.verified` is a boolean, not a text or a list"),
        ("require: { tid: 42 }", "`issuers[0].require.tid` is a number, not a text or a list; put it in quotes: `\"42\"`"),
        ("require: { \"a.*\": x }", "`a.*` leads to many claims; name one claim"),
        ("require: { \"a.\": x }", "`a.` is no path of claims"),
        ("actors: []", "`issuers[0].actors` is empty; name at least one"),
        ("actors: [a, a]", "`a` stands twice in the list"),
        ("actors: [\" a\"]", "` a` can stand in no token"),
        ("purpose_claim: a..b", "`a..b` is no path of claims"),
        ("purpose_claim: \"*\"", "`*` leads to many claims; name one claim"),
        ("purpose_claim: a\npurpose_details: b", "`purpose_claim` and `purpose_details` exclude each other; remove one of them"),
    ];
    for (keys, want) in cases {
        let report = faults(&with(keys));
        assert!(report.contains(want), "`{keys}` should say `{want}`, and says:\n{report}");
    }
    let many: Vec<String> = (0..65).map(|number| format!("a{number}: {{ claim: x, type: long }}")).collect();
    assert!(faults(&with(&format!("attributes: {{ {} }}", many.join(", ")))).contains("there are 65 attributes, and 64 may be"));
    let long = faults(&with(&format!("actors: [{}]", "x".repeat(256))));
    assert!(long.contains("255 bytes at most"), "{long}");
}

#[test]
fn two_issuers_give_a_name_one_type() {
    let other = |kind: &str| {
        format!(
            "  - {{ name: ci, issuer: https://ci.example, provider: generic, audiences: [x], attributes: {{ branch: {{ claim: b, type: {kind} }} }} }}\n"
        )
    };
    let both =
        |kind: &str| with("attributes: { branch: { claim: ref, type: string } }").replacen("workspaces:", &format!("{}workspaces:", other(kind)), 1);
    assert_eq!(read(&both("string")).issuers.len(), 2);
    let report = faults(&both("strings"));
    let want = "the attribute `branch` is `strings` here and `string` of issuer `corp`; give both one type, or one of them another name";
    assert!(report.lines().count() == 1 && report.contains(want), "{report}");
}
