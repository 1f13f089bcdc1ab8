//! `application/x-www-form-urlencoded`, and the answers that come to it.

use std::io;

use reqwest::{RequestBuilder, Response, Url, header};

/// A request with these fields as its body.
pub(crate) fn with(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(encode(fields))
}

/// The fields as a form's body, or as a query.
pub(crate) fn encode(fields: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://form") else { return String::new() };
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// The answer, where its status is one of success.
pub(crate) async fn done(what: &str, request: RequestBuilder) -> io::Result<Response> {
    let answer = request.send().await.map_err(io::Error::other)?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    Err(io::Error::other(format!("{what}: {status} {}", answer.text().await.unwrap_or_default())))
}
