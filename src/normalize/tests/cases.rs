use std::{fmt::Debug, fs, path::Path};

use serde::Deserialize;

use super::{builder::Check, read};
use crate::model::{Body, BodyFault, Call, HeaderForm, MediaType};

/// One request and what becomes of it. Texts of the request are Latin-1: `"\xff"` is the byte 0xff.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[expect(dead_code, reason = "read by people, and shown when the case fails")]
    name: Option<String>,
    method: Option<String>,
    path: Option<String>,
    host: Option<String>,
    protocol: Option<String>,
    source_address: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    form: Form,
    size: Option<i64>,
    body: Option<String>,
    /// The reason code of the refusal; without it the request must be accepted.
    refuse: Option<String>,
    /// Part of the refusal's detail.
    says: Option<String>,
    #[serde(default)]
    expect: Expected,
}

/// What an accepted request must be; what is not named is not looked at, and an empty text means that there is none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    segments: Option<Vec<String>>,
    slashed: Option<Vec<bool>>,
    query: Option<Vec<(String, String)>>,
    host: Option<String>,
    body: Option<String>,
    upgrade: Option<String>,
    authorization: Option<String>,
    workspace_ids: Option<Vec<String>>,
    request_id: Option<String>,
    traceparent: Option<String>,
    user_agent: Option<String>,
    source_ip: Option<String>,
    headers: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Joined,
    Raw,
    Both,
}

#[test]
fn paths() {
    run("paths.yaml");
}

#[test]
fn queries() {
    run("queries.yaml");
}

#[test]
fn hosts() {
    run("hosts.yaml");
}

#[test]
fn headers() {
    run("headers.yaml");
}

#[test]
fn bodies() {
    run("bodies.yaml");
}

fn run(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/normalize").join(file);
    let cases: Vec<Case> = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let wrong: Vec<String> = cases.iter().filter_map(|case| Some(format!("{case:?}\n  {}", judge(case).err()?))).collect();
    assert!(wrong.is_empty(), "{file}: {} of {} cases failed\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn judge(case: &Case) -> Result<(), String> {
    let raw = check(case).raw();
    match (read(&raw), &case.refuse) {
        (Err(refusal), Some(code)) => {
            let says = case.says.as_deref().unwrap_or_default();
            same("the reason", refusal.reason.code(), Some(code.as_str()))?;
            if refusal.detail.contains(says) { Ok(()) } else { Err(format!("the detail is {:?}", refusal.detail)) }
        }
        (Ok(call), None) => compare(&call, &case.expect),
        (Err(refusal), None) => Err(format!("was refused: {refusal:?}")),
        (Ok(call), Some(_)) => Err(format!("was accepted: {call:?}")),
    }
}

fn compare(call: &Call<'_>, expected: &Expected) -> Result<(), String> {
    let (headers, segments) = (&call.headers, &call.path.segments);
    let pairs = call.query.pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect::<Vec<_>>();
    let ip = call.source_ip.map(|ip| ip.to_string()).unwrap_or_default();
    same("segments", &texts(segments.iter().map(|segment| segment.text.as_ref())), expected.segments.as_ref())?;
    same("slashed", &segments.iter().map(|segment| segment.slashed).collect(), expected.slashed.as_ref())?;
    same("query", &pairs, expected.query.as_ref())?;
    same("host", call.host.as_str(), expected.host.as_deref())?;
    same("body", body(&call.body), expected.body.as_deref())?;
    same("upgrade", call.upgrade.as_ref().map_or("", |upgrade| upgrade.0.as_ref()), expected.upgrade.as_deref())?;
    same("authorization", headers.authorization.unwrap_or_default(), expected.authorization.as_deref())?;
    same("workspace ids", &texts(headers.workspace_ids.iter().copied()), expected.workspace_ids.as_ref())?;
    same("request id", headers.request_id.unwrap_or_default(), expected.request_id.as_deref())?;
    same("traceparent", headers.traceparent.unwrap_or_default(), expected.traceparent.as_deref())?;
    same("user agent", headers.user_agent.unwrap_or_default(), expected.user_agent.as_deref())?;
    same("source ip", ip.as_str(), expected.source_ip.as_deref())?;
    same("headers", &texts(headers.all.iter().map(|(name, _)| *name)), expected.headers.as_ref())
}

fn texts<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<String> {
    texts.map(str::to_owned).collect()
}

fn body(body: &Body<'_>) -> &'static str {
    match body {
        Body::Absent => "absent",
        Body::Whole { media: MediaType::Json, .. } => "json",
        Body::Whole { media: MediaType::Scim, .. } => "scim",
        Body::Whole { media: MediaType::Form, .. } => "form",
        Body::Whole { media: MediaType::FormData { .. }, .. } => "form-data",
        Body::Whole { media: MediaType::Other, .. } => "other",
        Body::Unusable(BodyFault::Cut) => "cut",
        Body::Unusable(BodyFault::Unmeasured) => "unmeasured",
        Body::Unusable(BodyFault::Encoded) => "encoded",
    }
}

fn check(case: &Case) -> Check {
    let mut check = Check::default();
    for (field, text) in [
        (&mut check.method, &case.method),
        (&mut check.path, &case.path),
        (&mut check.host, &case.host),
        (&mut check.protocol, &case.protocol),
        (&mut check.source_address, &case.source_address),
    ] {
        if let Some(text) = text {
            *field = latin1(text);
        }
    }
    check.headers = case.headers.iter().map(|(name, value)| (latin1(name), latin1(value))).collect();
    check.form = match case.form {
        Form::Joined => HeaderForm::Joined,
        Form::Raw => HeaderForm::Raw,
        Form::Both => HeaderForm::Both,
    };
    check.body = case.body.as_deref().map(latin1);
    check.size = case.size.unwrap_or_else(|| check.body.as_ref().map_or(0, |body| i64::try_from(body.len()).unwrap()));
    check
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("texts of requests are Latin-1")).collect()
}

fn same<T: PartialEq + Debug + ?Sized>(what: &str, is: &T, should: Option<&T>) -> Result<(), String> {
    match should {
        Some(should) if is != should => Err(format!("{what}: is {is:?}, should be {should:?}")),
        _ => Ok(()),
    }
}
