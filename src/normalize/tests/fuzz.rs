//! As plain tests these run on random and on recorded inputs; `cargo bolero test normalize::tests::fuzz::no_check_panics` fuzzes one of them.

use bolero::TypeGenerator;

use super::{builder::Check, read};
use crate::model::{Body, HeaderForm};

/// Any check, with the names of headers that matter within reach of a fuzzer.
#[derive(Clone, Debug, TypeGenerator)]
struct Wild {
    method: Option<Vec<u8>>,
    path: Vec<u8>,
    host: Option<Vec<u8>>,
    protocol: u8,
    headers: Vec<(Name, Vec<u8>)>,
    form: u8,
    size: i64,
    body: Option<Vec<u8>>,
}

#[derive(Clone, Debug, TypeGenerator)]
enum Name {
    Known(u8),
    Wild(Vec<u8>),
}

const KNOWN: [&str; 18] = [
    ":authority",
    ":method",
    ":path",
    ":protocol",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-databricks-org-id",
    "x-databricks-workspace-id",
    "x-envoy-auth-partial-body",
    "x-request-id",
];

impl Wild {
    fn check(&self) -> Check {
        let plain = Check::default();
        let name = |name: &Name| match name {
            Name::Known(at) => KNOWN[usize::from(*at) % KNOWN.len()].as_bytes().to_vec(),
            Name::Wild(name) => name.clone(),
        };
        Check {
            method: self.method.clone().unwrap_or(plain.method),
            path: self.path.clone(),
            host: self.host.clone().unwrap_or(plain.host),
            protocol: [&b"HTTP/1.1"[..], b"HTTP/2", b""][usize::from(self.protocol) % 3].to_vec(),
            source_address: plain.source_address,
            headers: self.headers.iter().map(|(known, value)| (name(known), value.clone())).collect(),
            form: [HeaderForm::Joined, HeaderForm::Raw, HeaderForm::Both][usize::from(self.form) % 3],
            size: self.size,
            body: self.body.clone(),
        }
    }
}

/// What holds for every answer, whatever the input.
fn hold(check: &Check) {
    let raw = check.raw();
    match read(&raw) {
        Ok(call) => {
            assert!(check.form != HeaderForm::Both && !call.method.is_empty() && !call.host.as_str().is_empty());
            assert!(call.path.raw.starts_with('/') && !call.path.segments.is_empty());
            assert!(call.path.segments.iter().all(|segment| segment.slashed == segment.text.contains('/')));
            assert!(call.path.segments.iter().all(|segment| segment.text.split('/').all(|part| part != "." && part != "..")));
            assert!(call.headers.authorization.is_none_or(|value| value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b',')));
            assert!(call.headers.all.iter().all(|(name, _)| !name.starts_with(':') && *name == name.to_ascii_lowercase()));
            if let Body::Whole { bytes, .. } = call.body {
                assert_eq!(Some(bytes), check.body.as_deref());
            }
        }
        Err(refusal) => assert!(refusal.detail.len() < 300 && refusal.detail.is_ascii() && !refusal.detail.contains(char::is_control)),
    }
}

#[test]
fn no_check_panics() {
    bolero::check!().with_type::<Wild>().for_each(|wild| hold(&wild.check()));
}

#[test]
fn no_path_panics() {
    bolero::check!().for_each(|bytes: &[u8]| {
        hold(&Check::path(bytes));
        hold(&Check::path([b"/", bytes].concat()));
        hold(&Check::path([b"/?", bytes].concat()));
    });
}

#[test]
fn no_host_panics() {
    bolero::check!().for_each(|bytes: &[u8]| hold(&Check::host(bytes)));
}

#[test]
fn no_header_panics() {
    bolero::check!().for_each(|bytes: &[u8]| KNOWN.iter().for_each(|name| hold(&Check::default().header(name, bytes))));
}
