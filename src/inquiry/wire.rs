//! An inquiry as JSON, as the control socket takes it.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Asker, Report, Request, claims::completed, inquire, request::text_of};
use crate::{
    json,
    pipeline::Snapshot,
    text::{quoted, redacted},
};

/// A call that is asked about, and who would make it.
#[derive(Debug)]
pub struct Inquiry {
    request: Request,
    peer: Option<String>,
    claims: Option<Vec<u8>>,
}

/// Its form in JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    method: String,
    url: String,
    /// A header of several values has a list of them.
    #[serde(default)]
    headers: Map<String, Value>,
    /// The text of the body; a JSON value other than a string is written as JSON.
    #[serde(default)]
    body: Value,
    /// The SPIFFE ID of the calling workload.
    peer: Option<String>,
    /// The claims of the caller's token.
    claims: Option<Map<String, Value>>,
}

/// Headers that carry a credential, or may.
const CREDENTIALS: [&str; 7] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", "x-forwarded-access-token"];

// === impl Inquiry ===

impl Inquiry {
    /// Reads `text`. A token is never taken, since whoever can ask is believed about its claims anyway: one that came this way would only be one more
    /// copy of it, in histories and in the memory of the process.
    ///
    /// # Errors
    /// In words, without what was sent where that may be a credential.
    pub fn read(text: &[u8], now_s: i64) -> Result<Self, String> {
        const TOKEN: &str = "no token is taken here; give its payload as `claims`";
        json::read(text).map_err(|error| format!("the inquiry cannot be read: {error}"))?;
        if std::str::from_utf8(text).is_ok_and(|text| redacted(text) != text) {
            return Err(format!("the inquiry holds what looks like a credential: {TOKEN}"));
        }
        let wire: Wire = serde_json::from_slice(text).map_err(|error| format!("the inquiry cannot be read: {error}"))?;
        let mut headers = Vec::new();
        for (name, value) in wire.headers {
            let name = name.to_ascii_lowercase();
            if CREDENTIALS.contains(&name.as_str()) || (name.starts_with("x-databricks-") && name.ends_with("-token")) {
                return Err(format!("the header {} is for credentials: {TOKEN}", quoted(&name)));
            }
            match value {
                Value::Array(values) => headers.extend(values.into_iter().map(|value| (name.clone(), text_of(value)))),
                value => headers.push((name, text_of(value))),
            }
        }
        let body = if wire.body.is_null() { None } else { Some(text_of(wire.body)) };
        Ok(Self {
            request: Request::new(wire.method, &wire.url, headers, body)?,
            peer: wire.peer,
            claims: wire.claims.map(|claims| completed(claims, now_s)).transpose()?,
        })
    }

    /// What every stage of `snapshot` finds of it.
    pub async fn answer(&self, snapshot: &Snapshot, now_ms: i64) -> Report {
        inquire(snapshot, &self.request, Asker { peer: self.peer.as_deref(), claims: self.claims.as_deref() }, now_ms).await
    }
}
