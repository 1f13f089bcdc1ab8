//! `lakegate test`: what it says of cases that pass, fail, or are no cases.

use std::{fs, path::Path, process::Command};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The files that docs/policy-tests.md has as its example.
fn example() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let page = page();
    for (fence, comment) in [("\n```yaml\n", "# "), ("\n```cedar\n", "// ")] {
        for block in page.split(fence).skip(1) {
            let text = block.split("\n```").next().unwrap();
            let Some(name) = text.lines().next().unwrap().strip_prefix(comment) else { continue };
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.to_owned() + "\n").unwrap();
        }
    }
    folder
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy-tests.md")).unwrap()
}

/// Exit code, standard output and standard error.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let all = ["test", "--config", "lakegate.yaml"].into_iter().chain(arguments.iter().copied());
    let output = Command::new(env!("CARGO_BIN_EXE_lakegate")).args(all).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn the_documented_example_is_as_documented() {
    let folder = example();
    let (code, told, error) = run(folder.path(), &["--coverage"]);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{told}");
    assert!(page().contains(&format!("$ lakegate test --config lakegate.yaml --coverage\n{told}")), "{told}");

    replace(&folder.path().join("policies/endpoints.cedar"), "corp/ml-engineers", "corp/ml-enginers");
    let (code, told, _) = run(folder.path(), &[]);
    let failure = told.split("\n\n").next().unwrap();
    assert_eq!(code, Some(2), "{told}");
    assert!(failure.starts_with("failed: ") && page().contains(failure), "the page shows something else than:\n{failure}");
}

/// Texts that are no files of cases, each with what is told of it.
const UNREAD: [(&str, &str); 7] = [
    ("callers: { a: { Usr: corp/a } }", "1:17: unknown key `Usr`; did you mean `User`?"),
    ("tim: now\ncases: []", "1:1: unknown key `tim`; did you mean `time`?"),
    ("cases: [{ name: x, decision: alow }]", "1:30: `alow` is not a value of `cases[0].decision`; did you mean `allow`?"),
    ("use: nowhere.yaml\ncases: []", "1:6: there is no file `nowhere.yaml`"),
    ("", "the file is empty"),
    ("cases: [", "the YAML cannot be read"),
    ("cases: [&a { name: x }]", "anchors, aliases and tags are not read"),
];

/// Files of cases that mean nothing.
const MEANINGLESS: [(&str, &str); 32] = [
    ("cases: [{ name: x, caller: alice, decision: deny }]", "the case does not say what is called"),
    ("cases: [{ name: x, request: GET stage:/x, decision: deny }]", "the case does not say who calls"),
    ("cases: [{ caller: { peer: none }, request: GET stage:/x, decision: deny }]", "the case has no `name`"),
    ("cases: [{ name: x, caller: { peer: none }, request: GET stage:/x }]", "the case does not say what is decided"),
    (
        "callers: { alice: { peer: none } }\ncases: [{ name: x, caller: alcie, request: GET stage:/x, decision: deny }]",
        "2:28: no caller is called `alcie`; did you mean `alice`?",
    ),
    ("callers: { a: { like: b } }", "1:23: no caller is called `b`"),
    ("callers: { a: { like: b }, b: { like: a } }", "the caller is like itself"),
    ("callers: { a: { User: korp/a } }", "1:23: no issuer is called `korp`; did you mean `corp`?"),
    ("callers: { a: { User: alice } }", "does not say whose subject it is; write `<issuer>/<subject>`"),
    ("callers: { a: { User: corp/a, groups: [corp/ml] } }", "1:39: `corp/` is not a part of what the token says; write `ml`"),
    ("callers: { a: { User: corp/a, roles: [corp/ml] } }", "1:38: `corp/` is not a part of what the token says; write `ml`"),
    ("callers: { a: { User: \"corp/\" } }", "a token cannot say ``"),
    ("callers: { a: { User: corp/a, claims: { sub: a } } }", "it says in two ways whose token it is"),
    ("callers: { a: { groups: [ml], peer: none } }", "and `groups` stands beside it"),
    ("callers: { a: { claims: { sub: a }, acr: mfa } }", "`claims` are the whole token, and `acr` stands beside it"),
    ("callers: { a: {} }", "it says neither whose token nor which workload it is"),
    ("callers: { a: { User: corp/a, auth_time: yesterday } }", "1:42: `yesterday` is not a time"),
    ("callers: { a: { User: corp/a, expires: 5m } }", "`5m` is not a time"),
    ("requests: { r: GET stag:/x }", "1:16: no workspace, account or service is called `stag`; did you mean `stage`?"),
    ("requests: { r: GET stage }", "`stage` is no URL of a call"),
    ("requests: { r: GET }", "`GET` is no call"),
    ("requests: { r: { call: GET stage:/x, headers: { Authorization: Bearer x } } }", "a request of a case brings no `authorization`"),
    ("requests: { r: { call: GET stage:/x, source_ip: here } }", "1:49: `here` is no IP address"),
    ("time: 2026-13-01T00:00:00Z\ncases: []", "1:7: `2026-13-01T00:00:00Z` is not a time"),
    (
        "cases: [{ name: x, caller: { peer: none }, request: GET stage:/x, decision: deny, reason: POLICY_NO_PERMT }]",
        "no reason is called `POLICY_NO_PERMT`; did you mean `POLICY_NO_PERMIT`?",
    ),
    ("cases: [{ name: x, caller: { peer: none }, request: GET stage:/x, decision: allow, reason: POLICY_FORBIDS }]", "only a denial has a `reason`"),
    (
        "cases: [{ name: x, caller: { peer: none }, request: GET stage:/x, decision: deny, policies: [close] }]",
        "no policy has the id `close`; did you mean `closed`?",
    ),
    (
        "cases: [{ name: x, caller: { peer: none }, request: qery, decision: deny }]\nrequests: { query: GET stage:/x }",
        "no request is called `qery`; did you mean `query`?",
    ),
    ("cases: [{ name: x, caller: { peer: none }, request: GET stage:/x, each: [] }]", "there is nothing in `each`"),
    ("cases: [{ name: x, caller: [], request: GET stage:/x, decision: deny }]", "the list names nobody"),
    ("cases: [{ name: x, caller: { peer: none }, request: GET stage:/x, decision: deny, detail: \" \" }]", "every answer holds an empty `detail`"),
    ("use: other.yaml\ncallers: { shared: { peer: none } }", "`shared` is there already"),
];

/// All at once: a fault in one file hides none in another, but for those of what was never read.
#[test]
fn a_file_of_cases_is_told_all_that_is_wrong_with_it() {
    let folder = example();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("other.yaml"), "callers: { shared: { peer: none } }\n").unwrap();
    for cases in [&UNREAD[..], &MEANINGLESS] {
        let names: Vec<String> = (0..cases.len()).map(|index| format!("case-{index}.yaml")).collect();
        for (name, (text, _)) in names.iter().zip(cases) {
            fs::write(at(name), text).unwrap();
        }
        let (code, _, error) = run(folder.path(), &names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(code, Some(3));
        for (name, (text, told)) in names.iter().zip(cases) {
            let found = error.lines().any(|line| line.strip_prefix(name.as_str()).is_some_and(|line| line.starts_with(':') && line.contains(told)));
            assert!(found, "nothing says `{told}` of\n{text}\nin\n{error}");
        }
    }
}

const CASES: &str = r#"
time: 2026-06-01T09:00:00Z
callers:
  alice: { User: corp/alice, groups: [ml-engineers], auth_time: 1h ago, peer: spiffe://cluster.local/ns/ml/sa/trainer }
  same by claims:
    claims: { iss: "https://id.example.com", aud: lakegate, sub: alice, groups: [ml-engineers], auth_time: 1h ago }
    peer: spiffe://cluster.local/ns/ml/sa/trainer
  expired: { like: alice, expires: 1h ago }
  foreign: { like: alice, peer: spiffe://elsewhere.example/ns/ml/sa/trainer }
requests:
  query: { call: POST stage:/serving-endpoints/churn/invocations, body: { inputs: [1] } }
cases:
  - name: a caller is the same in short and by claims
    caller: [alice, same by claims]
    request: query
    decision: allow
    policies: [query-staging]
  - name: an expired token
    caller: expired
    request: query
    decision: deny
    reason: TOKEN_EXPIRED
  - name: another mesh
    caller: foreign
    request: query
    decision: deny
    reason: PEER_INVALID
  - { name: the time is that of the case, caller: { like: alice, auth_time: "2026-06-01T00:59:59Z" }, request: query, decision: deny }
  - { name: and may be another, time: "2026-06-01T08:59:58Z", caller: { like: alice, auth_time: "2026-06-01T00:59:59Z" }, request: query, decision: allow }
  - name: failing
    caller: alice
    request: query
    each:
      - { name: another decision <&">, decision: deny }
      - { name: another policy, decision: allow, policies: [] }
      - { name: another reason, request: "POST stage:/serving-endpoints/closed/invocations", decision: deny, reason: POLICY_NO_PERMIT }
      - { name: another detail, request: { call: "POST stage:/serving-endpoints/closed/invocations", body: {} }, decision: deny, detail: nowhere said }
      - { name: no decision of policies, request: GET stage:/no/such/call, decision: deny }
"#;

#[test]
fn what_differs_is_told_in_text_json_and_junit() {
    let folder = example();
    fs::write(folder.path().join("cases.yaml"), CASES).unwrap();
    let (code, text, _) = run(folder.path(), &["cases.yaml", "--junit", "report.xml", "--min-coverage", "100"]);
    assert_eq!(code, Some(2));
    for line in [
        "the decision is `allow`, not `deny`",
        "`query-staging` decided, not no policy",
        "the reason is `POLICY_FORBIDS`, not `POLICY_NO_PERMIT`",
        "the detail does not hold `nowhere said`",
        "the call never reached the policies: `CALL_UNKNOWN`",
        "decided by query-staging (policies/endpoints.cedar:2)",
        "uncovered: policies/endpoints.cedar:6: forbid `closed`: no case just misses it",
        "11 cases in 1 file: 5 failed",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    let (code, json, _) = run(folder.path(), &["cases.yaml", "-o", "json", "--coverage"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &report["cases"], &report["failed"]), (Some(2), &json!(11), &json!(5)));
    assert_eq!(report["coverage"]["percent"], 50);
    let first = &report["results"][0];
    assert_eq!((&first["passed"], &first["principal"], &first["line"]), (&json!(true), &json!("User::\"corp/alice\""), &json!(13)));
    let failed = report["results"].as_array().unwrap().iter().find(|result| result["name"] == "failing: another decision <&\">").unwrap();
    assert_eq!(
        (&failed["expected"]["decision"], &failed["decision"], &failed["policies"]),
        (&json!("deny"), &json!("allow"), &json!(["query-staging"]))
    );

    let (tests, failures) = junit(&folder.path().join("report.xml"));
    assert_eq!((tests.len(), failures), (12, 6), "the coverage is a test of its own");
    assert!(tests.contains(&"failing: another decision <&\">".to_owned()), "{tests:?}");
}

/// What the schema by which the xUnit plugin of Jenkins checks files (`junit-10.xsd`) has of each element that is written, and needs.
const ELEMENTS: [(&str, &[&str], &[&str]); 4] = [
    ("testsuites", &["name", "time", "tests", "failures", "errors"], &[]),
    (
        "testsuite",
        &["name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"],
        &["name", "tests", "failures", "errors"],
    ),
    ("testcase", &["name", "time", "classname", "group"], &["name"]),
    ("failure", &["type", "message"], &[]),
];

fn holds_to_the_schema(element: &BytesStart<'_>) {
    let (name, known, needed) = ELEMENTS.into_iter().find(|(name, ..)| element.name().as_ref() == *name).unwrap();
    let have: Vec<String> = element.attributes().map(|attribute| attribute.unwrap().key.as_ref().to_owned()).collect();
    assert!(
        have.iter().all(|have| known.contains(&have.as_str())) && needed.iter().all(|needed| have.iter().any(|have| have == needed)),
        "{name}: {have:?}"
    );
}

/// The names of the tests, and how many have failed.
fn junit(file: &Path) -> (Vec<String>, usize) {
    let text = fs::read_to_string(file).unwrap();
    let mut reader = Reader::from_str(&text);
    let (mut names, mut failures) = (Vec::new(), 0);
    loop {
        let event = reader.read_event().unwrap();
        if let Event::Start(element) | Event::Empty(element) = &event {
            holds_to_the_schema(element);
        }
        match event {
            Event::Start(element) | Event::Empty(element) if element.name().as_ref() == "testcase" => {
                let name = element.try_get_attribute("name").unwrap().unwrap();
                names.push(name.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap().into_owned());
            }
            Event::Start(element) if element.name().as_ref() == "failure" => failures += 1,
            Event::Eof => return (names, failures),
            _ => {}
        }
    }
}

/// One workspace of two on one host, and a policy that fails.
const MORE: &str = r#"
@id("right") permit (principal, action == Action::"jobs.get", resource in Workspace::"right");
@id("broken") forbid (principal, action == Action::"jobs.list", resource) when { context.request.method == "GET" && 9223372036854775807 + 1 > 0 };
"#;

#[test]
fn a_case_is_what_it_says_and_takes_no_more_along() {
    let folder = example();
    let now = lakegate::clock::Clock::default().now();
    fs::write(folder.path().join("policies/more.cedar"), MORE).unwrap();
    let host = "hosts: [acme.cloud.databricks.com], environment: dev";
    replace(
        &folder.path().join("lakegate.yaml"),
        "policy:",
        &format!("  - {{ name: left, {host}, workspace_id: \"3\" }}\n  - {{ name: right, {host}, workspace_id: \"4\" }}\npolicy:"),
    );
    let cases = format!(
        r#"
callers:
  alice: {{ User: corp/alice, groups: [ml-engineers], auth_time: 1h ago, peer: "spiffe://cluster.local/ns/ml/sa/trainer" }}
  claimed:
    claims: {{ iss: "https://id.example.com", aud: lakegate, sub: alice, groups: [ml-engineers], auth_time: 1h ago, iat: 1m ago, nbf: 1m ago }}
    peer: spiffe://cluster.local/ns/ml/sa/trainer
  early: {{ like: claimed, claims: {{ nbf: in 5m }} }}
  of today: {{ like: claimed, claims: {{ nbf: {begun} }} }}
requests:
  query: {{ call: "POST stage:/serving-endpoints/churn/invocations", body: {{ inputs: [1] }} }}
  query-closed: {{ call: "POST stage:/serving-endpoints/closed/invocations", body: {{ inputs: [1] }} }}
cases:
  - name: what is expected beside a decision belongs to that decision
    caller: alice
    request: query-closed
    decision: deny
    reason: POLICY_FORBIDS
    policies: [closed]
    detail: under audit
    each:
      - {{ name: so it is }}
      - {{ name: another decision, caller: {{ like: alice, roles: [admin] }}, decision: allow }}
      - {{ name: another reason, request: GET stage:/no/such/call, decision: deny, reason: CALL_UNKNOWN }}
  - {{ name: times of claims are beside the call, caller: claimed, request: query, decision: allow }}
  - {{ name: a token is not good yet, caller: early, request: query, decision: deny, reason: TOKEN_NOT_YET_VALID }}
  - {{ name: now is now, time: now, caller: of today, request: query, decision: allow }}
  - {{ name: and then is not, time: "2001-01-01T00:00:00Z", caller: of today, request: query, decision: deny, reason: TOKEN_NOT_YET_VALID }}
  - {{ name: of two workspaces on one host the one that is named, caller: alice, request: "GET right:/api/2.2/jobs/get?job_id=1", decision: allow }}
  - {{ name: and not the other, caller: alice, request: "GET left:/api/2.2/jobs/get?job_id=1", decision: deny, policies: [] }}
  - {{ name: a policy that fails, caller: alice, request: GET stage:/api/2.2/jobs/list, decision: deny, reason: POLICY_ERROR, policies: [broken] }}
"#,
        begun = now - 3600
    );
    fs::write(folder.path().join("cases.yaml"), &cases).unwrap();
    let (code, told, error) = run(folder.path(), &["cases.yaml"]);
    assert_eq!(code, Some(0), "{told}{error}");
    // a denial that policies did not decide is none of theirs
    fs::write(folder.path().join("cases.yaml"), cases.replace(", reason: POLICY_ERROR, policies: [broken]", "")).unwrap();
    let (code, told, _) = run(folder.path(), &["cases.yaml"]);
    assert!(code == Some(2) && told.contains("the call never reached the policies: `POLICY_ERROR`"), "{told}");
}

/// Readers of JUnit take two tests of one name for one, so that the one that passed could stand for the one that failed.
#[test]
fn no_two_cases_have_one_name() {
    let folder = example();
    let text = r#"
callers: { alice: { User: corp/alice, groups: [ml-engineers], auth_time: 1h ago, peer: "spiffe://cluster.local/ns/ml/sa/trainer" } }
requests: { query: { call: "POST stage:/serving-endpoints/churn/invocations", body: { inputs: [1] } } }
cases:
  - { name: same, caller: alice, request: query, decision: deny }
  - { name: same, caller: alice, request: query, decision: allow }
  - name: rows
    request: query
    each:
      - { caller: { like: alice, groups: [] }, decision: allow }
      - { caller: { like: alice, groups: [x] }, decision: deny }
      - { caller: [alice, alice, alice], decision: allow }
"#;
    fs::write(folder.path().join("cases.yaml"), text).unwrap();
    let (code, told, _) = run(folder.path(), &["cases.yaml", "--junit", "report.xml"]);
    assert_eq!(code, Some(2), "{told}");
    let (names, failures) = junit(&folder.path().join("report.xml"));
    let want = [
        "same",
        "same (line 6)",
        "rows: alice but for groups",
        "rows: alice but for groups (line 11)",
        "rows, alice",
        "rows, alice (line 12)",
        "rows, alice (line 12, 2)",
    ];
    assert_eq!((names, failures), (want.map(str::to_owned).to_vec(), 2));
}

#[test]
fn coverage_asks_for_a_case_that_decides_and_one_that_just_misses() {
    let folder = example();
    assert_eq!(run(folder.path(), &["--min-coverage", "101"]).0, Some(3));
    replace(
        &folder.path().join("policies/tests/endpoints.yaml"),
        "      - { name: not after eight hours, caller: { like: alice, auth_time: 8h ago } }\n",
        "",
    );
    let (code, text, error) = run(folder.path(), &["--min-coverage", "100"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("uncovered: policies/endpoints.cedar:2: permit `query-staging`: no case just misses it\ncoverage: 1 of 2 policies, 50 %"),
        "{text}"
    );
    assert!(error.contains("50 % of the policies are covered, 100 % are asked for"), "{error}");
    assert_eq!(run(folder.path(), &["--min-coverage", "50"]).0, Some(0));
}

#[test]
fn the_committed_schema_is_the_one_of_the_code() {
    let committed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy-tests.schema.json")).unwrap();
    assert!(committed == lakegate::cli::test_schema(), "run `make docs`");
}

/// An empty folder, or none, is more likely a wrong path than a set that needs no tests.
#[test]
fn a_run_without_a_case_is_no_success() {
    let folder = example();
    fs::remove_dir_all(folder.path().join("policies/tests")).unwrap();
    let (code, _, error) = run(folder.path(), &[]);
    assert!(code == Some(3) && error.contains("policies/tests: it cannot be read"), "{code:?} {error}");
    fs::create_dir(folder.path().join("policies/tests")).unwrap();
    fs::write(folder.path().join("policies/tests/.draft.yaml"), "cases: [").unwrap();
    fs::write(folder.path().join("policies/tests/notes.txt"), "cases: [").unwrap();
    let (code, _, error) = run(folder.path(), &[]);
    assert!(code == Some(3) && error.contains("there is no case"), "{code:?} {error}");
}

/// Each of several folders: one that was emptied, or misnamed, tests nothing, whatever the others do.
#[test]
fn a_folder_without_a_case_is_no_success_beside_others() {
    let folder = example();
    fs::create_dir(folder.path().join("more")).unwrap();
    fs::write(folder.path().join("more/fixtures.yaml"), "callers: { nobody: { peer: none } }\n").unwrap();
    assert_eq!(run(folder.path(), &["policies/tests", "more/fixtures.yaml"]).0, Some(0), "a file for others to use may be named");
    let (code, _, error) = run(folder.path(), &["policies/tests", "more"]);
    assert!(code == Some(3) && error.starts_with("more: there is no case"), "{code:?} {error}");
}

/// What stands beside the policies is no policy.
#[test]
fn cases_are_nothing_to_the_loader_of_policies() {
    let folder = example();
    fs::write(folder.path().join("policies/tests/broken.yaml"), "cases: [").unwrap();
    let check =
        Command::new(env!("CARGO_BIN_EXE_lakegate")).args(["check", "--config", "lakegate.yaml"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stderr));
    assert!(String::from_utf8_lossy(&check.stdout).contains("good (2 policies"));
}
