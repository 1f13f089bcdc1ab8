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
