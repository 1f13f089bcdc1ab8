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
const CREDENTIALS: [&str; 8] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", "x-forwarded-access-token", "dpop"];

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
        let value: Value = serde_json::from_slice(text).map_err(|error| format!("the inquiry cannot be read: {error}"))?;
        if !value.is_object() {
            return Err("the inquiry is no JSON object".to_owned());
        }
        // as it will be understood: a letter may be written as an escape
        let plain = value.to_string();
        if redacted(&plain) != plain {
            return Err(format!("the inquiry holds what looks like a credential: {TOKEN}"));
        }
        let wire: Wire = serde_json::from_value(value).map_err(|error| format!("the inquiry cannot be read: {error}"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Inquiry, String> {
        Inquiry::read(text.as_bytes(), 1000)
    }

    #[test]
    fn an_inquiry_is_laid_out_as_a_check_would_be() {
        let inquiry =
            read(r#"{"method":"GET","url":"https://a/b?c","headers":{"X-A":["1","2"],"b":3},"peer":"spiffe://x/y","claims":{"sub":"alice"}}"#)
                .unwrap();
        let raw = inquiry.request.raw(inquiry.peer.as_deref()).unwrap();
        assert_eq!((raw.method(), raw.host(), raw.path()), (&b"GET"[..], &b"a"[..], &b"/b?c"[..]));
        let headers: Vec<_> = raw.headers().map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value))).collect();
        assert_eq!(headers, [("x-a".into(), "1".into()), ("x-a".into(), "2".into()), ("b".into(), "3".into())]);
        let claims: Value = serde_json::from_slice(inquiry.claims.as_deref().unwrap()).unwrap();
        assert_eq!(claims, serde_json::json!({ "sub": "alice", "exp": 1300 }), "good for five minutes unless they say otherwise");
    }

    #[test]
    fn an_inquiry_is_an_object() {
        for text in ["null", "[]", r#"["GET","https://a/b",{},null,null,null]"#, "\"GET\""] {
            assert_eq!(read(text).unwrap_err(), "the inquiry is no JSON object", "{text}");
        }
    }

    #[test]
    fn no_credential_is_taken_or_echoed() {
        for header in CREDENTIALS.into_iter().chain(["Authorization", "X-Databricks-OAuth-Token"]) {
            let error = read(&format!(r#"{{"method":"GET","url":"https://a/b","headers":{{"{header}":"s3cret"}}}}"#)).unwrap_err();
            assert!(error.contains("is for credentials") && !error.contains("s3cret"), "{header}: {error}");
        }
        for text in [
            r#"{"method":"GET","url":"https://a/b?t=eyJhbGciOiJSUzI1NiJ9"}"#,
            r#"{"method":"GET","url":"https://a/b","body":"dapi0123456789abcdef"}"#,
            r#"{"method":"GET","url":"https://a/b","peer":"eyJhbGciOiJSUzI1NiJ9"}"#,
            r#"{"method":"eyJhbGciOiJSUzI1NiJ9","url":"nonsense"}"#,
            r#"{"method":"GET","url":"https://a/b?t=\u0065yJhbGciOiJSUzI1NiJ9"}"#,
            r#"{"method":"GET","url":"https://a/b","headers":{"x":["\u0064api0123456789abcdef"]}}"#,
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains("looks like a credential") && !error.contains("eyJ") && !error.contains("dapi"), "{text}: {error}");
        }
    }
}
