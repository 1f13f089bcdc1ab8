//! As much of a browser as a login needs: cookies, redirects, and the first form of a page.

use std::io;

use reqwest::{Method, Response, StatusCode, Url, header};

use crate::form;

/// More pages than any login here has.
const PAGES: usize = 25;

/// Someone at a browser, who signs in wherever a page asks for it.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    cookies: Vec<Cookie>,
}

/// Who signs in.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub user: &'a str,
    pub password: &'a str,
}

#[derive(Debug)]
struct Cookie {
    origin: String,
    path: String,
    name: String,
    value: String,
}

#[derive(Debug, Default)]
struct Form {
    action: String,
    /// Name, value, and whether it is a button, of which only one is pressed.
    fields: Vec<(String, String, bool)>,
}

// === impl Browser ===

impl Browser {
    /// # Errors
    /// When no client can be made.
    pub fn new() -> io::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().map_err(io::Error::other)?;
        Ok(Self { http, cookies: Vec::new() })
    }

    /// Opens `start`, fills and submits every form and follows every redirect until one leads to `end`, and returns where it leads.
    ///
    /// # Errors
    /// When a page has no form, or `end` is not reached; the message has the last page.
    pub async fn until(&mut self, start: Url, end: &str, login: Login<'_>) -> io::Result<Url> {
        let (mut method, mut url, mut body) = (Method::GET, start, None);
        let mut last = String::new();
        for _ in 0..PAGES {
            if url.as_str().starts_with(end) {
                return Ok(url);
            }
            let answer = self.ask(method, &url, body.take()).await?;
            let status = answer.status();
            if status.is_redirection() {
                let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
                (url, method) = (url.join(to).map_err(io::Error::other)?, Method::GET);
                continue;
            }
            last = format!("{status} {url}\n{}", answer.text().await.map_err(io::Error::other)?);
            if status != StatusCode::OK {
                break;
            }
            let Some(form) = Form::first_in(&last) else { break };
            (url, method) = (url.join(&form.action).map_err(io::Error::other)?, Method::POST);
            body = Some(form.filled(login));
        }
        Err(io::Error::other(format!("the login did not reach `{end}`; the last page is {last}")))
    }

    async fn ask(&mut self, method: Method, url: &Url, body: Option<String>) -> io::Result<Response> {
        let origin = url.origin().ascii_serialization();
        let sent = self.cookies.iter().filter(|cookie| cookie.origin == origin && url.path().starts_with(&cookie.path));
        let sent: Vec<String> = sent.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        let mut request = self.http.request(method, url.clone()).header(header::COOKIE, sent.join("; "));
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let answer = request.send().await.map_err(io::Error::other)?;
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            if let Some(cookie) = cookie.to_str().ok().and_then(|text| Cookie::read(text, &origin)) {
                self.cookies.retain(|known| (&known.origin, &known.path, &known.name) != (&cookie.origin, &cookie.path, &cookie.name));
                self.cookies.push(cookie);
            }
        }
        Ok(answer)
    }
}

// === impl Cookie ===

impl Cookie {
    fn read(text: &str, origin: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let path = parts.find_map(|part| part.strip_prefix("Path=").or_else(|| part.strip_prefix("path="))).unwrap_or("/");
        Some(Self { origin: origin.to_owned(), path: path.to_owned(), name: name.to_owned(), value: value.to_owned() })
    }
}

// === impl Form ===

impl Form {
    /// The first form of the page that is to be posted.
    fn first_in(page: &str) -> Option<Self> {
        let mut rest = page;
        loop {
            let start = rest.to_ascii_lowercase().find("<form")?;
            let (_, from) = rest.split_at(start);
            let (tag, inside) = from.split_once('>')?;
            let inner = inside.split_once("</form>").or_else(|| inside.split_once("</FORM>")).map_or(inside, |(inner, _)| inner);
            if attribute(tag, "method").is_some_and(|method| method.eq_ignore_ascii_case("post")) {
                let mut form = Self { action: attribute(tag, "action").unwrap_or_default(), fields: Vec::new() };
                for element in inner.split('<').filter(|element| ["input", "INPUT", "button"].iter().any(|name| element.starts_with(name))) {
                    let button = element.starts_with("button") || attribute(element, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("submit"));
                    if let Some(name) = attribute(element, "name") {
                        form.fields.push((name, attribute(element, "value").unwrap_or_default(), button));
                    }
                }
                return Some(form);
            }
            rest = inside;
        }
    }

    /// Its body, with the fields filled that ask who signs in.
    fn filled(&self, login: Login<'_>) -> String {
        let mut pressed = false;
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for (name, value, button) in &self.fields {
            match name.as_str() {
                "username" | "login" => fields.push((name, login.user)),
                "password" => fields.push((name, login.password)),
                _ if *button && std::mem::replace(&mut pressed, true) => {}
                _ => fields.push((name, value)),
            }
        }
        form::encode(&fields)
    }
}

/// The value of an attribute in the text of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let tag = tag.split_once('>').map_or(tag, |(tag, _)| tag);
    let lower = tag.to_ascii_lowercase();
    let found = [' ', '\n', '\t'].iter().find_map(|space| lower.find(&format!("{space}{name}=")))?;
    let (_, value) = tag.split_at_checked(found + name.len() + 2)?;
    let quote = value.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let value = value.strip_prefix(quote)?.split_once(quote)?.0;
    Some(
        value.replace("&#x2F;", "/").replace("&#x3D;", "=").replace("&#43;", "+").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_and_filled() {
        let page = r#"<form action="/search"><input name="q"></form>
            <form id="login" action="/a?x=1&amp;y=2" method="post"><input type="hidden" name="state" value="s&amp;t"/>
            <input tabindex=1 name="username" value=""><input name="password" type="password"/><input type="submit" name="go" value="1"/>
            <button type="submit" name="action" value="later">Later</button></form>"#;
        let form = Form::first_in(page).unwrap();
        assert_eq!(form.action, "/a?x=1&y=2");
        assert_eq!(form.filled(Login { user: "alice", password: "p&q" }), "state=s%26t&username=alice&password=p%26q&go=1");
        assert!(Form::first_in("<p>nothing</p>").is_none());
    }

    #[test]
    fn a_cookie_is_of_its_path() {
        let cookie = Cookie::read("A=b=c; Version=1; Path=/realms/ml/; HttpOnly", "http://127.0.0.1:1").unwrap();
        assert_eq!((cookie.name.as_str(), cookie.value.as_str(), cookie.path.as_str()), ("A", "b=c", "/realms/ml/"));
    }
}
