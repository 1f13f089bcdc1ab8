//! A call as it is typed, laid out as Envoy would have sent it.

use bytes::{BufMut as _, BytesMut};
use serde::Deserialize;
use serde_json::Value;

use crate::model::{RawCall, RawFields, Span};

/// One call.
#[derive(Debug)]
pub struct Request {
    method: String,
    host: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    /// The address of whoever connected to Envoy; empty where it is not said.
    source_ip: String,
}

/// One line of a batch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    method: String,
    url: String,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    /// The text of the body; a JSON value other than a string is written as JSON.
    #[serde(default)]
    body: Value,
}

// === impl Request ===

impl Request {
    /// `url` is split by hand: what a lenient parser would repair must reach the stages as it was typed.
    ///
    /// # Errors
    /// In words, where `url` has no scheme of a call.
    pub fn new(method: String, url: &str, mut headers: Vec<(String, String)>, body: Option<String>) -> Result<Self, String> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let rest = rest.ok_or_else(|| format!("`{}` is no URL of a call: write `https://<host>/<path>`", url.escape_debug()))?;
        let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        if body.is_some() && !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        // Every client that has a whole body says how long it is.
        if let Some(body) = body.as_ref().filter(|_| !headers.iter().any(|(name, _)| name == "content-length" || name == "transfer-encoding")) {
            headers.push(("content-length".to_owned(), body.len().to_string()));
        }
        if body.is_some() {
            headers.push(("x-envoy-auth-partial-body".to_owned(), "false".to_owned()));
        }
        Ok(Self { method, host: host.to_owned(), path: path.to_owned(), headers, body, source_ip: String::new() })
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.to_owned(), value));
        self
    }

    #[must_use]
    pub fn with_address(self, source_ip: String) -> Self {
        Self { source_ip, ..self }
    }

    /// The call as Envoy's check would hold it; `None` where it is longer than any check.
    #[must_use]
    pub fn raw(&self, peer: Option<&str>) -> Option<RawCall> {
        let mut wire = BytesMut::new();
        let mut put = |text: &str| {
            let start = wire.len();
            wire.put_slice(text.as_bytes());
            Span::new(start..wire.len())
        };
        let fields = RawFields {
            principal: put(peer.unwrap_or_default())?,
            source_address: put(&self.source_ip)?,
            method: put(&self.method)?,
            path: put(&self.path)?,
            host: put(&self.host)?,
            protocol: put("HTTP/1.1")?,
            size: i64::try_from(self.body.as_deref().map_or(0, str::len)).ok()?,
            headers: self.headers.iter().map(|(name, value)| Some((put(name)?, put(value)?))).collect::<Option<_>>()?,
            body: match &self.body {
                Some(body) => Some(put(body)?),
                None => None,
            },
            ..RawFields::default()
        };
        Some(RawCall::new(wire.freeze(), fields))
    }
}

// === impl Line ===

impl TryFrom<Line> for Request {
    type Error = String;

    fn try_from(line: Line) -> Result<Self, String> {
        let headers = line.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), text_of(value))).collect();
        let body = if line.body.is_null() { None } else { Some(text_of(line.body)) };
        Self::new(line.method, &line.url, headers, body)
    }
}

/// The text of a string, and any other value as JSON.
pub(super) fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
