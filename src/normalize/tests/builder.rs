use bytes::Bytes;

use crate::model::{HeaderForm, RawCall, RawFields, Span};

/// A check as Envoy would send it, put together field by field; begins as `GET /` over HTTP/1.1 without headers.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) method: Vec<u8>,
    pub(super) path: Vec<u8>,
    pub(super) host: Vec<u8>,
    pub(super) protocol: Vec<u8>,
    pub(super) source_address: Vec<u8>,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) form: HeaderForm,
    pub(super) size: i64,
    pub(super) body: Option<Vec<u8>>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            method: b"GET".into(),
            path: b"/".into(),
            host: b"stage.cloud.databricks.com".into(),
            protocol: b"HTTP/1.1".into(),
            source_address: b"10.0.0.1".into(),
            headers: Vec::new(),
            form: HeaderForm::Joined,
            size: 0,
            body: None,
        }
    }
}

impl Check {
    pub(super) fn path(path: impl AsRef<[u8]>) -> Self {
        Self { path: path.as_ref().to_vec(), ..Self::default() }
    }

    pub(super) fn host(host: impl AsRef<[u8]>) -> Self {
        Self { host: host.as_ref().to_vec(), ..Self::default() }
    }

    pub(super) fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    pub(super) fn raw(&self) -> RawCall {
        let mut wire = Vec::new();
        let fields = RawFields {
            principal: Span::default(),
            certificate: Span::default(),
            source_address: lay(&mut wire, &self.source_address),
            method: lay(&mut wire, &self.method),
            path: lay(&mut wire, &self.path),
            host: lay(&mut wire, &self.host),
            protocol: lay(&mut wire, &self.protocol),
            size: self.size,
            headers: self.headers.iter().map(|(name, value)| (lay(&mut wire, name), lay(&mut wire, value))).collect(),
            header_form: self.form,
            body: self.body.as_ref().map(|body| lay(&mut wire, body)),
        };
        RawCall::new(Bytes::from(wire), fields)
    }
}

fn lay(wire: &mut Vec<u8>, field: &[u8]) -> Span {
    let start = wire.len();
    wire.extend_from_slice(field);
    Span::new(start..wire.len()).expect("a test is smaller than 4 GiB")
}
