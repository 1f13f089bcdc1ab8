//! `catalog/sdk.tsv`, what the Databricks SDK calls, found by the matcher: each call under its own action.

use std::collections::BTreeMap;

use super::{Case, Sent, classifier};

/// The paths of the catalog, by HTTP method and action, as its documentation shows them.
fn paths(reference: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in reference.lines().filter(|line| line.starts_with("| `")) {
        let line = line.replace("\\|", "\u{1}");
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().trim_matches('`').replace('\u{1}', "|")).collect();
        if let [_, action, _, method, path, ..] = cells.as_slice() {
            found.entry((method.clone(), action.clone())).or_default().extend(filled(path));
        }
    }
    found
}

/// Paths that fit a template of the catalog: one for each choice of its alternatives, with samples for its parameters.
fn filled(template: &str) -> Vec<String> {
    let Some((before, rest)) = template.split_once('{') else { return vec![template.to_owned()] };
    let (inner, after) = rest.split_once('}').unwrap();
    let choices: Vec<String> = if inner.contains('|') {
        inner.split('|').map(str::to_owned).collect()
    } else if let Some((_, pattern)) = inner.split_once('=') {
        vec![pattern.replace('*', "sample")]
    } else if inner.ends_with('*') {
        vec!["Volumes/main/ml/files/sample".to_owned()]
    } else {
        vec!["sample".to_owned()]
    };
    choices.iter().flat_map(|choice| filled(after).into_iter().map(move |after| format!("{before}{choice}{after}"))).collect()
}

/// Whether `path` is `template` with something for each of its `{holes}`; one hole may stand for several segments.
fn fits(template: &str, path: &str) -> bool {
    let Some((before, rest)) = template.split_once('{') else { return template == path };
    let after = rest.split_once('}').unwrap().1;
    let Some(path) = path.strip_prefix(before) else { return false };
    (1..=path.len()).filter_map(|taken| path.get(taken..)).any(|path| fits(after, path))
}

#[test]
fn every_call_of_the_sdk_is_found_under_its_action() {
    let classifier = classifier();
    let paths = paths(&classifier.catalog().reference());
    let aliases = &classifier.catalog().vocabulary().aliases;
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in include_str!("../../../catalog/sdk.tsv").lines().skip(1) {
        let [client, method, template, action, ..] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let host = if client == "account" { "accounts.cloud.databricks.com" } else { "stage.cloud.databricks.com" };
        let action = aliases.get(action).map_or(action, |name| name);
        let known = paths.get(&(method.to_owned(), action.to_owned())).map_or(&[][..], Vec::as_slice);
        let found = |path: &&String| {
            let case = Case { send: format!("{method} https://{host}{path}"), ..serde_saphyr::from_str("send: x").unwrap() };
            let sent = Sent::read(&case.send);
            let call = sent.call(&case);
            let api = classifier.targets.of_call(&call).unwrap().api;
            classifier.catalog.find(api, &call).is_ok_and(|(entry, _)| &*entry.action.name == action)
        };
        count += 1;
        if !known.iter().filter(|path| fits(template, path)).any(|path| found(&path)) {
            wrong.push(row);
        }
    }
    assert!(wrong.is_empty() && count >= 1400, "{} of {count} are not found:\n{}", wrong.len(), wrong.join("\n"));
}
