//! A request as a case writes it, and as it is sent.

use std::collections::BTreeMap;

use lakegate_testkit::{
    World,
    authority::{Identity, Names, spiffe_id},
    clock,
    envoy::Listener,
    issuer::{Signature, TokenSpec},
    raw::Request,
    world::{STAGE, WORKSPACES},
};
use serde::Deserialize;
use serde_json::Value;

/// One request, and what must come of it: `refuse` with its reason, or `allow`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// `istio` and `bare` unless given; where one of them is left out, Envoy itself makes another request of it or refuses it there.
    #[serde(default)]
    on: Vec<String>,
    /// The workload: `trainer` unless given.
    from: Option<String>,
    /// `METHOD target`; a query of the endpoint `sales` unless given.
    send: Option<String>,
    /// The name of a workspace, or whatever shall stand in `Host`; `stage` unless given.
    host: Option<String>,
    /// `Name: value`; each character is one byte, and `$token` is alice's good token.
    #[serde(default)]
    headers: Vec<String>,
    token: Option<Token>,
    /// No token but what stands in `headers`.
    #[serde(default)]
    no_token: bool,
    scheme: Option<String>,
    /// Each character is one byte; `$x<n>` stands for so many letters, `$deep<n>` for so many brackets.
    body: Option<String>,
    /// The `Content-Type`; `application/json` unless given, none where it is empty.
    #[serde(rename = "type")]
    content_type: Option<String>,
    #[serde(default)]
    chunked: bool,
    pub(super) refuse: Option<String>,
    pub(super) allow: Option<Allow>,
}

/// How an honest call must arrive, beyond arriving as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Allow {
    /// The path, where the listener that Istio would make rewrites it.
    pub(super) path: Option<String>,
    /// Headers of the request that must not arrive.
    pub(super) gone: Vec<String>,
    /// Trust headers, by what follows the prefix, that are other than alice's; null where one must be absent.
    pub(super) trust: BTreeMap<String, Option<String>>,
    /// Whether the token must not arrive.
    pub(super) strip: bool,
}

/// A token, by its differences from a good one for alice.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Token {
    /// `corp` unless given; `other`, or `stranger` for one that nobody configured.
    by: Option<String>,
    /// A text `now+60` or `now-60` is a time, `$iss` is corp's identifier, `$other` the other's.
    claims: BTreeMap<String, Value>,
    header: BTreeMap<String, Value>,
    without: Vec<String>,
    /// `foreign`, `public-key-as-secret`, `empty`, `missing`.
    signature: Option<String>,
    raw_claims: Option<String>,
    /// Put behind the finished token.
    tail: String,
}

/// A case's request for one listener.
pub(super) struct Sent {
    pub(super) request: Request,
    pub(super) identity: Identity,
    pub(super) peer: String,
    pub(super) token: Option<String>,
}

// === impl Case ===

impl Case {
    pub(super) fn listeners(&self) -> Vec<Listener> {
        let named =
            |name: &String| Listener::ALL.into_iter().find(|listener| listener.name() == name).unwrap_or_else(|| panic!("no listener `{name}`"));
        if self.on.is_empty() { vec![Listener::Istio, Listener::Bare] } else { self.on.iter().map(named).collect() }
    }
}

// === impl Sent ===

impl Sent {
    pub(super) fn new(world: &World, case: &Case) -> Self {
        assert!(case.refuse.is_some() != case.allow.is_some(), "{}: either `refuse` or `allow`", case.name);
        let send = case.send.as_deref().unwrap_or("POST /serving-endpoints/sales/invocations");
        let (method, target) = send.split_once(' ').unwrap();
        let host = case.host.as_deref().unwrap_or(STAGE.host);
        let host = WORKSPACES.iter().find(|workspace| workspace.name == host).map_or(host, |workspace| workspace.host);
        let mut request = Request::new(method, "", "");
        request.target = bytes(&grown(target));
        request.headers = vec![("Host".to_owned(), bytes(host))];
        let good = world.corp.token(&TokenSpec::new()).unwrap();
        let token = (!case.no_token).then(|| case.token.as_ref().map_or_else(|| good.clone(), |token| token.mint(world)));
        if let Some(token) = &token {
            request = request.header("Authorization", format!("{} {token}", case.scheme.as_deref().unwrap_or("Bearer")));
        }
        for header in &case.headers {
            let (name, value) = header.split_once(':').unwrap();
            request = request.header(name, bytes(&value.trim_start_matches(' ').replace("$token", &good)));
        }
        let body = case.body.clone().or_else(|| case.send.is_none().then(|| r#"{"inputs": [1]}"#.to_owned()));
        if let Some(body) = body {
            request.body = bytes(&grown(&body));
            match case.content_type.as_deref().unwrap_or("application/json") {
                "" => {}
                kind => request = request.header("Content-Type", kind),
            }
        }
        request.chunked = case.chunked;
        let (identity, peer) = identity(world, case.from.as_deref().unwrap_or("trainer"));
        Self { request, identity, peer, token }
    }
}

/// A workload's certificate, or one of the same authority that names nobody or somebody else.
fn identity(world: &World, name: &str) -> (Identity, String) {
    let uri = match name {
        "trainer" => spiffe_id("ml-staging", "trainer"),
        "server" => spiffe_id("ml-prod", "server"),
        "notebook" => spiffe_id("dev", "notebook"),
        uri => uri.to_owned(),
    };
    let names = match name {
        "dns" => Names::dns(&["trainer.ml-staging.svc.cluster.local"]),
        "common-name" => Names { common_name: Some(spiffe_id("ml-staging", "trainer")), ..Names::default() },
        "two-uris" => Names { uris: vec![spiffe_id("dev", "notebook"), spiffe_id("ml-staging", "trainer")], ..Names::default() },
        _ => Names::uri(&uri),
    };
    (world.authority.issue("case", &names).unwrap(), uri)
}

/// Each character as one byte.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or_else(|_| panic!("`{text}` is more than bytes"))).collect()
}

/// The text with `$x<n>` and `$deep<n>` written out.
fn grown(text: &str) -> String {
    let number = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    for (mark, unit) in [("$x", ["x", ""]), ("$deep", ["[", "]"])] {
        if let Some((before, rest)) = text.split_once(mark) {
            let digits = number(rest);
            let count = digits.parse().unwrap();
            return format!("{before}{}{}{}", unit[0].repeat(count), unit[1].repeat(count), rest.strip_prefix(&digits).unwrap());
        }
    }
    text.to_owned()
}

// === impl Token ===

impl Token {
    fn mint(&self, world: &World) -> String {
        let (issuer, stranger) = (&world.corp, "https://stranger.example.com");
        let issuer = if self.by.as_deref() == Some("other") { &world.other } else { issuer };
        let mut spec = TokenSpec::new();
        if self.by.as_deref() == Some("stranger") {
            spec = spec.claim("iss", stranger);
        }
        for (name, value) in &self.claims {
            spec = spec.claim(name, meant(world, value));
        }
        for (name, value) in &self.header {
            spec = spec.header(name, meant(world, value));
        }
        for name in &self.without {
            spec = spec.without(name);
        }
        if let Some(text) = &self.raw_claims {
            spec = spec.raw_claims(&grown(text));
        }
        spec = spec.signed(match self.signature.as_deref() {
            None => Signature::Good,
            Some("foreign") => Signature::Foreign,
            Some("public-key-as-secret") => Signature::PublicKeyAsSecret,
            Some("empty") => Signature::Empty,
            Some("missing") => Signature::Missing,
            Some(other) => panic!("no signature is `{other}`"),
        });
        format!("{}{}", issuer.token(&spec).unwrap(), self.tail)
    }
}

/// A claim's value with what only the running world knows filled in.
fn meant(world: &World, value: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    if let Some(offset) = text.strip_prefix("now") {
        return (clock::now_s() + offset.parse::<i64>().unwrap()).into();
    }
    grown(text).replace("$iss", world.corp.url()).replace("$other", world.other.url()).replace("$kid", &world.corp.kid()).into()
}
