use std::{error::Error, fmt, mem, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};

use zeroize::{Zeroize as _, Zeroizing};

use super::{Endpoint, dial::Guard};
use crate::model::Secret;

/// The limits of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// For the whole exchange, from the look-up of the name to the last byte; connecting may take half of it.
    pub timeout: Duration,
    /// The longest body that is read, in bytes.
    pub max_bytes: usize,
}

/// The client; cheap to clone, connections are shared.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    max_bytes: usize,
}

/// What was answered, good or not. What it holds may be a secret: its memory is overwritten when nothing holds it any more.
pub struct Answer {
    pub status: u16,
    /// `Retry-After` in seconds (RFC 9110, section 10.2.3); one that is a date is not read.
    pub retry_after_s: Option<u64>,
    /// `Date` in seconds since the epoch (RFC 9110, section 6.6.1): the clock of whoever answered.
    pub date_s: Option<i64>,
    pub body: Bytes,
}

/// A form as it travels.
struct Form(Zeroizing<String>);

/// Why there is no answer. Messages name no byte of the answer.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error("the client cannot be made: {0}")]
    Setup(String),
    #[error("it took too long")]
    TimedOut,
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer is compressed, which was not asked for")]
    Encoded,
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), max_bytes: 512 * 1024 }
    }
}

// === impl Client ===

impl Client {
    /// A client that trusts the certificate roots of the system; where there are none (a bare container), it trusts nobody, so that only loopback
    /// can be asked.
    ///
    /// # Errors
    /// [`NetError::Setup`] where TLS cannot be set up.
    pub fn new(config: &Config) -> Result<Self, NetError> {
        Self::build(config, Self::settings(config)).or_else(|error| {
            tracing::warn!(%error, "no certificate roots can be read; no https address will be trusted");
            Self::trusting_nobody(config)
        })
    }

    pub(super) fn trusting_nobody(config: &Config) -> Result<Self, NetError> {
        Self::build(config, Self::settings(config).tls_certs_only([]))
    }

    fn build(config: &Config, settings: reqwest::ClientBuilder) -> Result<Self, NetError> {
        let http = settings.build().map_err(|error| NetError::Setup(causes(&error)))?;
        Ok(Self { http, max_bytes: config.max_bytes })
    }

    fn settings(config: &Config) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .user_agent(concat!("lakegate/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(Arc::new(Guard))
            .connect_timeout(config.timeout / 2)
            .timeout(config.timeout)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(30))
    }

    /// Asks `url` and returns the body of a 200.
    ///
    /// # Errors
    /// [`NetError`] for every other end, a redirect among them.
    pub async fn get(&self, url: &Endpoint) -> Result<Bytes, NetError> {
        let request = self.http.get(url.url()).header(header::ACCEPT, "application/json");
        self.good(request).await
    }

    /// Posts `form`, which is `application/x-www-form-urlencoded`, and returns the body of a 200. `authorization` is the whole value of that header, which
    /// no message of an error holds, nor any byte of the form.
    ///
    /// # Errors
    /// [`NetError`] for every other end, a redirect among them: what is in a form goes nowhere but where it was sent.
    pub async fn post_form(&self, url: &Endpoint, authorization: Option<&Secret>, form: String) -> Result<Bytes, NetError> {
        self.good(self.form(url, authorization, Zeroizing::new(form))?).await
    }

    /// The same, and returns what is answered whatever the status. The memory of form and answer is overwritten once they are read, but for what the
    /// connection itself keeps of them.
    ///
    /// # Errors
    /// [`NetError`] where there is no answer, or one that cannot be read.
    pub async fn exchange_form(&self, url: &Endpoint, authorization: Option<&Secret>, form: Zeroizing<String>) -> Result<Answer, NetError> {
        let response = self.form(url, authorization, form)?.send().await.map_err(failure)?;
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let date = response.headers().get(header::DATE).and_then(|value| date(value.to_str().ok()?));
        let status = response.status().as_u16();
        plain(&response)?;
        Ok(Answer { status, retry_after_s: retry_after, date_s: date, body: self.read(response).await? })
    }

    fn form(&self, url: &Endpoint, authorization: Option<&Secret>, form: Zeroizing<String>) -> Result<reqwest::RequestBuilder, NetError> {
        let body = Bytes::from_owner(Form(form));
        let request = self.http.post(url.url()).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let request = match authorization {
            Some(secret) => {
                let mut value =
                    HeaderValue::from_str(secret.expose()).map_err(|_| NetError::Setup("the credential cannot stand in a header".to_owned()))?;
                value.set_sensitive(true);
                request.header(header::AUTHORIZATION, value)
            }
            None => request,
        };
        Ok(request.header(header::ACCEPT, "application/json"))
    }

    /// The body of a 200.
    async fn good(&self, request: reqwest::RequestBuilder) -> Result<Bytes, NetError> {
        let response = request.send().await.map_err(failure)?;
        if response.status() != StatusCode::OK {
            return Err(NetError::Status(response.status().as_u16()));
        }
        plain(&response)?;
        self.read(response).await
    }

    /// Asks `url` as a caller with this token, with `json` by POST, and returns status and body, whatever the status.
    ///
    /// # Errors
    /// [`NetError`] where there is no answer, or one that cannot be read.
    pub async fn ask(&self, url: &Endpoint, token: Option<&Secret>, json: Option<Bytes>) -> Result<(u16, Bytes), NetError> {
        let mut request = match json {
            None => self.http.get(url.url()),
            Some(json) => self.http.post(url.url()).header(header::CONTENT_TYPE, "application/json").body(json),
        };
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        let response = request.header(header::ACCEPT, "application/json").send().await.map_err(failure)?;
        let status = response.status().as_u16();
        plain(&response)?;
        Ok((status, self.read(response).await?))
    }

    /// Reads no further than the limit, whatever length was announced.
    async fn read(&self, mut response: reqwest::Response) -> Result<Bytes, NetError> {
        // With room for all of it, so that it is not moved, and a part left behind.
        let length = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        let mut body = BytesMut::with_capacity(length.min(self.max_bytes));
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            if body.len().saturating_add(chunk.len()) > self.max_bytes {
                return Err(NetError::TooLong(self.max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

// === impl Form ===

impl AsRef<[u8]> for Form {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

// === impl Answer ===

/// Says nothing of the body but its length.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, retry_after_s, date_s, body } = self;
        f.debug_struct("Answer")
            .field("status", status)
            .field("retry_after_s", retry_after_s)
            .field("date_s", date_s)
            .field("bytes", &body.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Ok(mut body) = mem::take(&mut self.body).try_into_mut() {
            body.as_mut().zeroize();
        }
    }
}

/// The one form of a date that is sent today (RFC 9110, section 5.6.7); `None` of the two that are obsolete.
fn date(text: &str) -> Option<i64> {
    let local = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text).ok()?;
    Some(local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

fn plain(response: &reqwest::Response) -> Result<(), NetError> {
    let coded = response.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    if coded { Err(NetError::Encoded) } else { Ok(()) }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn failure(error: reqwest::Error) -> NetError {
    if error.is_timeout() { NetError::TimedOut } else { NetError::Unreachable(causes(&error)) }
}

/// The innermost cause: what stands before it in the chain only says that a request was sent, and to where.
fn causes(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_in_the_form_that_is_sent_today() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:01 GMT", Some(1)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Sun, 06 Nov 1994 08:49:37 +0100", None),
            ("", None),
        ] {
            assert_eq!(date(text), seconds, "{text}");
        }
    }
}
