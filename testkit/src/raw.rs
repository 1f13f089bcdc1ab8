//! An HTTP/1.1 client that sends exactly the bytes it is told, over mTLS or in the clear.
//!
//! Any ordinary client would mend what tests and the demo must send broken: paths, duplicate headers, a missing host.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::authority::{Authority, Identity};

const PATIENCE: Duration = Duration::from_secs(20);

/// One caller: where it sends to, and the certificate it shows.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A connection that stays open from request to request.
pub struct Connection {
    stream: BufReader<Box<dyn Stream>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A request, byte for byte; nothing is added but what the fields say.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: Vec<u8>,
    /// In order, duplicates kept. `Content-Length` is added only when there is a body (or the method implies one) and neither it nor `chunked` is given.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// Sends the body in chunks of seven bytes.
    pub chunked: bool,
}

/// An answer; header names in lower case.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

// === impl Client ===

impl Client {
    /// A caller that shows `identity` and believes `authority`; `server` is the name it expects of the other side.
    ///
    /// # Errors
    /// When the certificate or the name is unusable.
    pub fn mtls(port: u16, authority: &Authority, identity: &Identity, server: &str) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.ca()).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![identity.certificate()], identity.key())
            .map_err(io::Error::other)?;
        let server = ServerName::try_from(server.to_owned()).map_err(io::Error::other)?;
        Ok(Self { address: (Ipv4Addr::LOCALHOST, port).into(), tls: Some((TlsConnector::from(Arc::new(config)), server)) })
    }

    /// A caller in the clear.
    #[must_use]
    pub fn plain(port: u16) -> Self {
        Self { address: (Ipv4Addr::LOCALHOST, port).into(), tls: None }
    }

    /// Sends the request on a connection of its own and reads the answer.
    ///
    /// # Errors
    /// When the connection fails or ends early, the answer is not HTTP, or nothing comes for 20 s.
    pub async fn send(&self, request: &Request) -> io::Result<Response> {
        in_time(async { self.open().await?.exchange(request).await }).await
    }

    /// Opens a connection for many requests, one after the other.
    ///
    /// # Errors
    /// When it fails, or takes longer than 20 s.
    pub async fn connect(&self) -> io::Result<Connection> {
        in_time(self.open()).await
    }

    async fn open(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        // a handshake's small writes would each wait for the other side's delayed acknowledgement
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some((connector, server)) => Box::new(connector.connect(server.clone(), stream).await?),
        };
        Ok(Connection { stream: BufReader::new(stream) })
    }
}

async fn in_time<T>(exchange: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, exchange).await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))?
}

// === impl Connection ===

impl Connection {
    /// Sends the request and reads the answer.
    ///
    /// # Errors
    /// As for [`Client::send`]; the connection is then of no more use.
    pub async fn send(&mut self, request: &Request) -> io::Result<Response> {
        in_time(self.exchange(request)).await
    }

    async fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        self.stream.write_all(&request.encode()).await?;
        self.stream.flush().await?;
        Response::read(&mut self.stream, &request.method).await
    }
}

// === impl Request ===

impl Request {
    /// A request for `target` at `host`, with no other header.
    #[must_use]
    pub fn new(method: &str, host: &str, target: &str) -> Self {
        let headers = vec![("Host".to_owned(), host.as_bytes().to_vec())];
        Self { method: method.to_owned(), target: target.as_bytes().to_vec(), headers, body: Vec::new(), chunked: false }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("Content-Type", "application/json")
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(&self.target);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        let has_length = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let wants_length = !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        if self.chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in self.body.chunks(7) {
                out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                out.extend_from_slice(chunk);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0\r\n\r\n");
        } else {
            if wants_length && !has_length {
                out.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
            }
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(&self.body);
        }
        out
    }
}

// === impl Response ===

impl Response {
    /// The value of a header that is there exactly once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(have, _)| have == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    async fn read(stream: &mut (impl AsyncBufReadExt + Unpin), method: &str) -> io::Result<Self> {
        loop {
            let status = status(&line(stream).await?)?;
            let mut headers = Vec::new();
            loop {
                let line = line(stream).await?;
                if line.is_empty() {
                    break;
                }
                let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            // 100 Continue and its like only announce the answer
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let mut response = Self { status, headers, body: Vec::new() };
            if method != "HEAD" && !matches!(status, 101 | 204 | 304) {
                response.read_body(stream).await?;
            }
            return Ok(response);
        }
    }

    async fn read_body(&mut self, stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<()> {
        if self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            loop {
                let size = line(stream).await?;
                let size = size.split(';').next().and_then(|size| u64::from_str_radix(size.trim(), 16).ok()).ok_or_else(|| malformed(&size))?;
                stream.take(size).read_to_end(&mut self.body).await?;
                line(stream).await?;
                if size == 0 {
                    return Ok(());
                }
            }
        }
        match self.header("content-length").map(str::parse::<usize>) {
            Some(Ok(length)) => {
                self.body.resize(length, 0);
                stream.read_exact(&mut self.body).await?;
            }
            Some(Err(e)) => return Err(io::Error::other(e)),
            // an answer that ends with its connection; a peer that closes without TLS's close_notify is no fault here
            None => match stream.read_to_end(&mut self.body).await {
                Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => return Err(e),
                _ => {}
            },
        }
        Ok(())
    }
}

async fn line(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<String> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
}

fn status(line: &str) -> io::Result<u16> {
    line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).and_then(|code| code.parse().ok()).ok_or_else(|| malformed(line))
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: `{}`", line.escape_debug()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_goes_out_as_it_is_written() {
        let request = Request::new("GET", "h", "/a/../b%2f?x").header("X-A", "1").header("x-a", b"\xff");
        assert_eq!(request.encode(), b"GET /a/../b%2f?x HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: \xff\r\n\r\n");
        let request = Request::new("POST", "h", "/").json(&json!({"a": 1}));
        assert_eq!(request.encode(), b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
        let chunked = Request { body: b"12345678".to_vec(), chunked: true, ..Request::new("PUT", "h", "/") };
        assert_eq!(chunked.encode(), b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n1234567\r\n1\r\n8\r\n0\r\n\r\n");
        assert_eq!(
            Request::new("DELETE", "h", "/").header("content-length", "9").encode(),
            b"DELETE / HTTP/1.1\r\nHost: h\r\ncontent-length: 9\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn answers_of_every_framing_are_read() {
        let cases: [(&str, &[u8], u16, &[u8]); 5] = [
            ("GET", b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcEXTRA", 200, b"abc"),
            ("GET", b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", 403, b"abc"),
            ("GET", b"HTTP/1.1 502 Bad Gateway\r\n\r\nto the end", 502, b"to the end"),
            ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", 200, b""),
            ("PUT", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        ];
        for (method, mut wire, status, body) in cases {
            let response = Response::read(&mut wire, method).await.unwrap();
            assert_eq!((response.status, response.body.as_slice()), (status, body));
        }
        for mut wire in [b"".as_slice(), b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", b"SSH-2.0\r\n"] {
            assert!(Response::read(&mut wire, "GET").await.is_err());
        }
    }

    #[test]
    fn a_header_that_is_there_twice_has_no_value() {
        let headers = vec![("a".into(), "1".into()), ("a".into(), "2".into()), ("b".into(), "3".into())];
        let response = Response { status: 200, headers, body: Vec::new() };
        assert_eq!((response.header("a"), response.header("b"), response.header("c")), (None, Some("3"), None));
    }
}
