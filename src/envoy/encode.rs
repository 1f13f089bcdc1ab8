//! [`Verdict`] → `CheckResponse`: the one place where an answer to Envoy is built.
//!
//! To Envoy only `status.code` decides: a message without it is an allow, and so is a `denied_response` beside code 0, whatever its HTTP status.
//! So every message begins with its code, and the code follows from the kind of verdict alone. A gRPC error, an `error_response` and bytes that
//! Envoy cannot parse would follow `failure_mode_allow`; so what cannot be sent as it is (a value that would split the response) is a deny, too.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use crate::model::{Allow, DecisionId, DenyStatus, HeaderEdit, Verdict};

/// Codes of `google.rpc.Code`.
const OK: u8 = 0;
const INVALID_ARGUMENT: u8 = 3;
const NOT_FOUND: u8 = 5;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// `HeaderValueOption.append_action`: `OVERWRITE_IF_EXISTS_OR_ADD`, the only one by which a forged header cannot stay beside ours.
const OVERWRITE: u8 = 2;

/// The key of the decision id in the dynamic metadata of `envoy.filters.http.ext_authz`, for access logs.
const DECISION_KEY: &str = "decision_id";

/// The bytes before a gRPC message: the compression flag and the length.
const PREFIX: usize = 5;

/// What is written after the code.
#[derive(Clone, Copy)]
enum Outcome<'v> {
    Continue { set: &'v [HeaderEdit], remove: &'v [Cow<'static, str>] },
    Stop { status: u16, headers: &'v [HeaderEdit], body: &'v [u8] },
}

/// The `CheckResponse` that says `verdict`: never empty, `status.code` 0 for an allow alone.
#[must_use]
pub fn encode(verdict: &Verdict) -> Bytes {
    frame(verdict).split_off(PREFIX)
}

/// The same, as a gRPC message (HTTP/2 protocol mapping, "Length-Prefixed-Message"), in one allocation.
pub(super) fn frame(verdict: &Verdict) -> Bytes {
    match verdict {
        Verdict::Allow(allow) if allow.set.iter().all(sendable) && allow.remove.iter().all(|name| is_name(name.as_bytes())) => {
            let Allow { decision, set, remove } = allow;
            write(OK, *decision, Outcome::Continue { set, remove })
        }
        Verdict::Allow(allow) => unsendable(allow.decision),
        Verdict::Deny(deny) => {
            write(code_of(deny.status), deny.decision, Outcome::Stop { status: deny.status.code(), headers: &deny.headers, body: text(&deny.body) })
        }
        // Any code but 0 keeps the request from the workspace; the client sees the HTTP status alone.
        Verdict::Answer(answer) if std::str::from_utf8(&answer.body).is_ok() => {
            write(PERMISSION_DENIED, answer.decision, Outcome::Stop { status: 200, headers: &answer.headers, body: &answer.body })
        }
        Verdict::Answer(answer) => unsendable(answer.decision),
    }
}

/// `respond` keeps what cannot be sent out of a verdict; this is what happens when it did not.
fn unsendable(decision: DecisionId) -> Bytes {
    tracing::error!(%decision, "a verdict holds what cannot be sent, so the call is denied");
    let status = DenyStatus::Unavailable;
    write(code_of(status), decision, Outcome::Stop { status: status.code(), headers: &[], body: &[] })
}

/// Never 0.
fn code_of(status: DenyStatus) -> u8 {
    match status {
        DenyStatus::BadRequest => INVALID_ARGUMENT,
        DenyStatus::Unauthorized => UNAUTHENTICATED,
        DenyStatus::Forbidden => PERMISSION_DENIED,
        DenyStatus::NotFound => NOT_FOUND,
        DenyStatus::ContentTooLarge => RESOURCE_EXHAUSTED,
        DenyStatus::Unavailable => UNAVAILABLE,
    }
}

/// A protobuf string that is not UTF-8 would make Envoy refuse the whole message, and that follows `failure_mode_allow`.
fn text(body: &[u8]) -> &[u8] {
    if std::str::from_utf8(body).is_ok() { body } else { &[] }
}

/// Envoy writes what it gets, CR and LF included (response splitting was measured).
fn sendable(edit: &HeaderEdit) -> bool {
    is_name(edit.name.as_bytes()) && edit.value.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// RFC 9110 §5.1 `token`; upper case too, since Envoy folds it. No pseudo-header is one.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn write(code: u8, decision: DecisionId, outcome: Outcome<'_>) -> Bytes {
    let decision = decision.to_string();
    let entry = field(DECISION_KEY.len()) + field(field(decision.len()));
    let metadata = field(entry);
    let response = outcome.len();
    let length = field(2) + field(response) + field(metadata);

    let mut out = BytesMut::with_capacity(PREFIX + length);
    out.put_u8(0);
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    head(&mut out, 1, 2);
    out.put_slice(&[1 << 3, code]);
    head(&mut out, outcome.number(), response);
    outcome.put(&mut out);
    // google.protobuf.Struct: { fields: { key, value: { string_value } } }
    head(&mut out, 4, metadata);
    head(&mut out, 1, entry);
    put(&mut out, 1, DECISION_KEY.as_bytes());
    head(&mut out, 2, field(decision.len()));
    put(&mut out, 3, decision.as_bytes());
    out.freeze()
}

// === impl Outcome ===

impl Outcome<'_> {
    /// The field of the oneof `http_response`.
    fn number(self) -> u8 {
        match self {
            Self::Stop { .. } => 2,
            Self::Continue { .. } => 3,
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Continue { set, remove } => headers_len(set) + remove.iter().map(|name| field(name.len())).sum::<usize>(),
            Self::Stop { status, headers, body } => field(1 + varint_len(status.into())) + headers_len(headers) + field(body.len()),
        }
    }

    fn put(self, out: &mut BytesMut) {
        match self {
            Self::Continue { set, remove } => {
                put_headers(out, set);
                for name in remove {
                    put(out, 5, name.as_bytes());
                }
            }
            Self::Stop { status, headers, body } => {
                head(out, 1, 1 + varint_len(status.into()));
                out.put_u8(1 << 3);
                varint(out, status.into());
                put_headers(out, headers);
                put(out, 3, body);
            }
        }
    }
}

/// `HeaderValueOption.header` and `.append_action`, without the outer tag and length.
fn option_len(edit: &HeaderEdit) -> usize {
    field(header_len(edit)) + 2
}

fn header_len(edit: &HeaderEdit) -> usize {
    field(edit.name.len()) + field(edit.value.len())
}

fn headers_len(edits: &[HeaderEdit]) -> usize {
    edits.iter().filter(|edit| sendable(edit)).map(|edit| field(option_len(edit))).sum()
}

/// Both messages have their header options in field 2. A deny goes out without those that cannot be sent.
fn put_headers(out: &mut BytesMut, edits: &[HeaderEdit]) {
    for edit in edits.iter().filter(|edit| sendable(edit)) {
        head(out, 2, option_len(edit));
        head(out, 1, header_len(edit));
        put(out, 1, edit.name.as_bytes());
        put(out, 2, &edit.value);
        out.put_slice(&[3 << 3, OVERWRITE]);
    }
}

/// How long a field of `length` bytes is with its tag; all field numbers here are below 16.
fn field(length: usize) -> usize {
    1 + varint_len(length) + length
}

fn varint_len(mut value: usize) -> usize {
    let mut length = 1;
    while value > 0x7f {
        value >>= 7;
        length += 1;
    }
    length
}

fn head(out: &mut BytesMut, number: u8, length: usize) {
    out.put_u8(number << 3 | 2);
    varint(out, length);
}

fn put(out: &mut BytesMut, number: u8, value: &[u8]) {
    head(out, number, value.len());
    out.put_slice(value);
}

fn varint(out: &mut BytesMut, mut value: usize) {
    while value > 0x7f {
        out.put_u8(0x80 | u8::try_from(value & 0x7f).unwrap_or_default());
        value >>= 7;
    }
    out.put_u8(u8::try_from(value).unwrap_or_default());
}

#[cfg(test)]
mod tests;
