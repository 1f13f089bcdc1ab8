//! The results as JUnit XML, which CI systems show: a suite for each file, and one for the coverage that was asked for.
//!
//! There is no standard. Written is what the strictest reader takes, the xUnit plugin of Jenkins, which holds files against its schema (`junit-10.xsd`): so no test
//! has a `file` and a `line`, which stand in the text of its failure.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

use super::{coverage::Coverage, report::failure, run::Outcome};

/// One test, as the format has it.
struct Test {
    class: String,
    name: String,
    took: Duration,
    /// A line, and the whole story.
    failure: Option<(String, String)>,
}

/// # Errors
/// None that is not one of memory.
pub(super) fn xml(outcomes: &[Outcome<'_>], coverage: Option<(&Coverage, u64)>) -> io::Result<Vec<u8>> {
    let mut suites: BTreeMap<String, Vec<Test>> = BTreeMap::new();
    for outcome in outcomes {
        let file = outcome.file.display().to_string();
        let failure = (!outcome.passed).then(|| (outcome.differs.join("; "), failure(outcome)));
        let test = Test { class: class(outcome.file), name: outcome.name.to_owned(), took: outcome.took, failure };
        suites.entry(file).or_default().push(test);
    }
    let mut suites: Vec<(String, Vec<Test>)> = suites.into_iter().collect();
    if let Some((coverage, least)) = coverage {
        let failure =
            (coverage.percent < least).then(|| (format!("{} % of the policies are covered, not {least} %", coverage.percent), coverage.to_string()));
        let test = Test { class: "coverage".to_owned(), name: format!("at least {least} % of the policies"), took: Duration::ZERO, failure };
        suites.push(("coverage".to_owned(), vec![test]));
    }
    write(&suites)
}

/// `policies.tests.auditor` for `policies/tests/auditor.yaml`: CI systems group by what stands before the last dot.
fn class(file: &Path) -> String {
    let parts = file.with_extension("");
    let names = parts.components().filter_map(|part| if let std::path::Component::Normal(name) = part { name.to_str() } else { None });
    names.map(|name| name.replace('.', "_")).collect::<Vec<_>>().join(".")
}

fn write(suites: &[(String, Vec<Test>)]) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all = || suites.iter().flat_map(|(_, tests)| tests);
    writer.write_event(Event::Start(counted("testsuites", "lakegate test", all())))?;
    for (name, tests) in suites {
        writer.write_event(Event::Start(counted("testsuite", name, tests.iter())))?;
        for test in tests {
            single(&mut writer, test)?;
        }
        writer.write_event(Event::End(BytesEnd::new("testsuite")))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))?;
    Ok(writer.into_inner())
}

fn counted<'x>(element: &'x str, name: &str, tests: impl Iterator<Item = &'x Test> + Clone) -> BytesStart<'x> {
    let failures = tests.clone().filter(|test| test.failure.is_some()).count().to_string();
    let (count, time) = (tests.clone().count().to_string(), seconds(tests.map(|test| test.took).sum()));
    let mut start = BytesStart::new(element);
    let name = clean(name);
    start.extend_attributes([("name", name.as_str()), ("tests", &count), ("failures", &failures), ("errors", "0"), ("time", &time)]);
    start
}

fn seconds(took: Duration) -> String {
    format!("{:.6}", took.as_secs_f64())
}

fn single(writer: &mut Writer<Vec<u8>>, test: &Test) -> io::Result<()> {
    let mut start = BytesStart::new("testcase");
    let (class, name, time) = (clean(&test.class), clean(&test.name), seconds(test.took));
    start.extend_attributes([("classname", class.as_str()), ("name", &name), ("time", &time)]);
    let Some((message, story)) = &test.failure else { return writer.write_event(Event::Empty(start)) };
    writer.write_event(Event::Start(start))?;
    let mut failure = BytesStart::new("failure");
    failure.push_attribute(("message", clean(message).as_str()));
    writer.write_event(Event::Start(failure))?;
    writer.write_event(Event::Text(BytesText::new(&clean(story))))?;
    writer.write_event(Event::End(BytesEnd::new("failure")))?;
    writer.write_event(Event::End(BytesEnd::new("testcase")))
}

/// `text` without the characters that XML 1.0 (§2.2) does not have, escaped or not.
fn clean(text: &str) -> String {
    let good = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if good(c) { c } else { '\u{fffd}' }).collect()
}
