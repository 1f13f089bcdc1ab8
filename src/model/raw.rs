use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::Proxy;

/// Where one field stands in the bytes of a check: a half-open range of byte offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

/// Which of the two protobuf fields the headers came in.
///
/// Envoy sends `headers` (values of one name joined by `,`, other than UTF-8 replaced by `!`), or, with
/// `encode_raw_headers`, `header_map` (each value apart, raw bytes), never both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderForm {
    #[default]
    Joined,
    Raw,
    /// Both fields were filled: nothing in the request says which one the upstream will see.
    Both,
}

/// The fields of one `CheckRequest`, as spans of its bytes.
#[derive(Clone, Debug, Default)]
pub struct RawFields {
    /// `attributes.source.principal`: a URI SAN, a DNS SAN or a subject, or empty.
    pub principal: Span,
    /// `attributes.source.certificate`: URL-encoded PEM, where Envoy is told to send it (`include_peer_certificate`); else empty.
    pub certificate: Span,
    /// `attributes.source.address.socket_address.address`: the direct peer of Envoy, as text.
    pub source_address: Span,
    pub method: Span,
    /// Path and query, undecoded.
    pub path: Span,
    pub host: Span,
    pub protocol: Span,
    /// `attributes.request.http.size`: bytes of body that Envoy has seen or expects; 0 where it sent none, -1 where unknown.
    pub size: i64,
    pub headers: Vec<(Span, Span)>,
    pub header_form: HeaderForm,
    /// `body` or `raw_body`; `None` where neither field was there.
    pub body: Option<Span>,
}

/// One check as it stood on the wire: a single buffer and where its fields are.
///
/// Made by `envoy` alone; nothing in it has been believed yet.
#[derive(Clone, Debug, Default)]
pub struct RawCall {
    wire: Bytes,
    fields: RawFields,
    proxy: Option<Arc<Proxy>>,
}

// === impl Span ===

impl Span {
    /// A span of `range`, or `None` where an offset is beyond 4 GiB.
    #[must_use]
    pub fn new(range: Range<usize>) -> Option<Self> {
        Some(Self { start: u32::try_from(range.start).ok()?, end: u32::try_from(range.end).ok()? })
    }

    fn of(self, wire: &[u8]) -> &[u8] {
        wire.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

// === impl RawCall ===

impl RawCall {
    #[must_use]
    pub fn new(wire: Bytes, fields: RawFields) -> Self {
        Self { wire, fields, proxy: None }
    }

    /// The same check, asked by `proxy`.
    #[must_use]
    pub fn with_proxy(self, proxy: Option<Arc<Proxy>>) -> Self {
        Self { proxy, ..self }
    }

    /// Who asks; `None` where the connection proves nobody.
    #[must_use]
    pub fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.proxy.as_ref()
    }

    #[must_use]
    pub fn principal(&self) -> &[u8] {
        self.fields.principal.of(&self.wire)
    }

    /// The certificate of the caller, as Envoy passes it on.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.fields.certificate.of(&self.wire)
    }

    #[must_use]
    pub fn source_address(&self) -> &[u8] {
        self.fields.source_address.of(&self.wire)
    }

    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.fields.method.of(&self.wire)
    }

    /// Path and query, undecoded.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.fields.path.of(&self.wire)
    }

    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.fields.host.of(&self.wire)
    }

    #[must_use]
    pub fn protocol(&self) -> &[u8] {
        self.fields.protocol.of(&self.wire)
    }

    #[must_use]
    pub fn size(&self) -> i64 {
        self.fields.size
    }

    #[must_use]
    pub fn header_form(&self) -> HeaderForm {
        self.fields.header_form
    }

    /// Names and values in the order of the wire.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.headers.iter().map(|(name, value)| (name.of(&self.wire), value.of(&self.wire)))
    }

    /// What Envoy buffered of the body; `None` where it sent no body field.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.fields.body.map(|span| span.of(&self.wire))
    }
}
