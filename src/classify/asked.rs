//! What callers ask lakegate itself, at paths of its own on every guarded host. No call below them is ever one for what stands behind the host.

use super::{Classifier, refuse};
use crate::{
    model::{Call, Reason, Refusal, Segment},
    text::shown,
};

/// One question to lakegate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'c> {
    /// `GET /.well-known/lakegate/decisions/<id>`: why was this call of mine refused?
    Decision(&'c str),
    /// `POST /.well-known/lakegate/can-i`: would this call be allowed?
    CanI,
    /// `GET /.well-known/lakegate/rights`: what may I do?
    Rights,
}

/// The first segments of every path that is lakegate's own (RFC 8615).
const OWN: [&str; 2] = [".well-known", "lakegate"];

// === impl Asked ===

impl Asked<'_> {
    /// As the record names it.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::Decision(_) => "lakegate.why",
            Self::CanI => "lakegate.can_i",
            Self::Rights => "lakegate.rights",
        }
    }
}

// === impl Classifier ===

impl Classifier {
    /// What is asked, where `call` is one to lakegate itself; `None` for every other call. Paths are compared decoded, so that no spelling of one
    /// gets past.
    #[must_use]
    pub fn asked<'c>(&self, call: &'c Call<'_>) -> Option<Result<Asked<'c>, Refusal>> {
        let question = match own(call)? {
            [question] => (question.text.as_ref(), None),
            [question, of] => (question.text.as_ref(), Some(of.text.as_ref())),
            _ => ("", None),
        };
        Some(match (call.method, question) {
            _ if call.upgrade.is_some() => Err(unknown(call)),
            ("GET", ("decisions", Some(id))) => Ok(Asked::Decision(id)),
            ("POST", ("can-i", None)) => Ok(Asked::CanI),
            ("GET", ("rights", None)) => Ok(Asked::Rights),
            _ => Err(unknown(call)),
        })
    }
}

/// What follows in a path that is lakegate's own.
pub(super) fn own<'c, 'r>(call: &'c Call<'r>) -> Option<&'c [Segment<'r>]> {
    let (begin, rest) = call.path.segments.split_at_checked(OWN.len())?;
    begin.iter().zip(OWN).all(|(segment, own)| segment.text == own).then_some(rest)
}

pub(super) fn unknown(call: &Call<'_>) -> Refusal {
    refuse(Reason::CallUnknown, format!("`/{}` is lakegate's own, and it knows no such question by {}", OWN.join("/"), shown(call.method)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::BytesMut;

    use super::*;
    use crate::{
        classify::{Catalog, TargetConfig},
        model::{Name, RawCall, RawFields, Span, Target, TargetKind},
        normalize,
    };

    fn raw(method: &str, path: &str) -> RawCall {
        let mut wire = BytesMut::new();
        let mut put = |text: &str| {
            let start = wire.len();
            wire.extend_from_slice(text.as_bytes());
            Span::new(start..wire.len()).unwrap()
        };
        let fields = RawFields { method: put(method), path: put(path), host: put("any.example"), protocol: put("HTTP/1.1"), ..RawFields::default() };
        RawCall::new(wire.freeze(), fields)
    }

    /// A service for which every method and path is a call that it knows.
    fn generic() -> Classifier {
        let name = Name::parse("any").unwrap();
        let target = Target { kind: TargetKind::Service, name, workspace_id: None, account_id: None, environment: None };
        let target = TargetConfig { target: Arc::new(target), api: "generic".into(), hosts: vec!["any.example".to_owned()] };
        Classifier::new(Arc::new(Catalog::embedded().unwrap()), vec![target]).unwrap()
    }

    #[test]
    fn own_paths_are_known_in_every_spelling_and_are_no_calls_of_a_service() {
        let classifier = generic();
        let cases = [
            ("GET", "/.well-known/lakegate/decisions/1-2", Some(Some(Asked::Decision("1-2")))),
            ("GET", "/.well-known/lakegate/decisions/1-2?o=1", Some(Some(Asked::Decision("1-2")))),
            ("POST", "/.well-known/lakegate/can-i", Some(Some(Asked::CanI))),
            ("GET", "/.well-known/lakegate/rights", Some(Some(Asked::Rights))),
            ("GET", "/%2ewell-known/l%61kegate/rights", Some(Some(Asked::Rights))),
            ("HEAD", "/.well-known/lakegate/rights", Some(None)),
            ("GET", "/.well-known/lakegate", Some(None)),
            ("GET", "/.well-known/lakegate/", Some(None)),
            ("GET", "/.well-known/lakegate/rights/", Some(None)),
            ("GET", "/.well-known/lakegate/decisions", Some(None)),
            ("GET", "/.well-known/lakegate/decisions/1/2", Some(None)),
            ("PUT", "/.well-known/lakegate/can-i", Some(None)),
            ("GET", "/.well-known", None),
            ("GET", "/.well-known/other/rights", None),
            ("GET", "/.well-known/lakegates/rights", None),
            ("GET", "/x/.well-known/lakegate/rights", None),
            ("GET", "/lakegate/rights", None),
        ];
        for (method, path, want) in cases {
            let raw = raw(method, path);
            let call = match normalize::normalize(&raw, &normalize::Config::default()) {
                Ok(call) => call,
                Err(_) if path.contains('%') => continue,
                Err(refusal) => panic!("{path}: {refusal:?}"),
            };
            let got = classifier.asked(&call);
            assert_eq!(got.as_ref().map(|asked| asked.as_ref().ok().copied()), want, "{method} {path}");
            // whoever does not look there first meets a refusal all the same
            assert_eq!(classifier.classify(&call).is_err(), want.is_some(), "{method} {path}");
        }
    }
}
