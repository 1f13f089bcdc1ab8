//! What is called in a case, as a client would send it.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    caller::Wrong,
    raw::{self, RequestText},
};
use crate::{
    config::{Config, TargetEntry},
    inquiry::Request,
    text::{nearest, quoted},
};

/// # Errors
/// What of `raw` no client could send, and what a case leaves to its caller.
pub(super) fn read(raw: &RequestText, config: &Config) -> Result<Request, Wrong> {
    let (key, text, full) = match raw {
        RequestText::Text(text) => ("", text, None),
        RequestText::Full(request) => ("call", &request.call, Some(request)),
    };
    let wrong = |key, message: String, help: String| Wrong { key, message, help: Some(help) };
    let mut words = text.split_whitespace();
    let (Some(method), Some(url), None) = (words.next(), words.next(), words.next()) else {
        return Err(wrong(
            key,
            format!("{} is no call", quoted(text)),
            "write `<method> https://<host>/<path>` or `<method> <target>:/<path>`".to_owned(),
        ));
    };
    let mut headers = full.map_or_else(|| Ok(Vec::new()), headers)?;
    let url = match url.split_once(":/") {
        Some((name, path)) if !matches!(name, "http" | "https") => {
            let entry = target(name, config).map_err(|(message, help)| wrong(key, message, help))?;
            // Of several workspaces on one host, a client has to name the one it means.
            let shared = config.targets.iter().any(|other| other.target != entry.target && other.hosts.iter().any(|host| entry.hosts.contains(host)));
            if let Some(id) = entry.target.workspace_id.as_deref().filter(|_| shared) {
                headers.push(("x-databricks-workspace-id".to_owned(), id.to_owned()));
            }
            format!("https://{}/{path}", entry.hosts.first().map(String::as_str).unwrap_or_default())
        }
        _ => url.to_owned(),
    };
    let body = full.and_then(|request| request.body.as_ref()).map(|body| match body {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let request = Request::new(method.to_owned(), &url, headers, body);
    let request = request.map_err(|message| wrong(key, message, "write `https://<host>/<path>` or `<target>:/<path>`".to_owned()))?;
    match full.and_then(|request| request.source_ip.as_deref()) {
        None => Ok(request),
        Some(address) if address.parse::<IpAddr>().is_ok() => Ok(request.with_address(address.to_owned())),
        Some(address) => Err(wrong("source_ip", format!("{} is no IP address", quoted(address)), "write it as `10.1.2.3`".to_owned())),
    }
}

fn headers(request: &raw::Request) -> Result<Vec<(String, String)>, Wrong> {
    let headers = request.headers.iter().flatten().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let headers: Vec<_> = headers.collect();
    if headers.iter().any(|(name, _)| name == "authorization") {
        // A token would be read, and its issuer asked for keys: a test needs neither network nor secrets.
        let help = "say who calls as `caller`: the token that it brings is made of that".to_owned();
        return Err(Wrong { key: "headers", message: "a request of a case brings no `authorization`".to_owned(), help: Some(help) });
    }
    Ok(headers)
}

/// The one target of that name, or the message and the help where there is none, or are two.
fn target<'c>(name: &str, config: &'c Config) -> Result<&'c TargetEntry, (String, String)> {
    let mut named = config.targets.iter().filter(|entry| entry.target.name.as_str() == name);
    match (named.next(), named.next()) {
        (Some(entry), None) => Ok(entry),
        (Some(_), Some(_)) => Err((format!("{} is the name of several targets", quoted(name)), "write `https://` and the host".to_owned())),
        (None, _) => {
            let known = || config.targets.iter().map(|entry| entry.target.name.as_str());
            let all = || format!("lakegate.yaml has {}", known().map(quoted).collect::<Vec<_>>().join(", "));
            let help = nearest(name, known()).map_or_else(all, |word| format!("did you mean `{word}`?"));
            Err((format!("no workspace, account or service is called {}", quoted(name)), help))
        }
    }
}
