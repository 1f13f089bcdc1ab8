//! Tokens: what it costs to know a caller again, in time and allocations, and what a token costs that was never seen.
//!
//! Through the stage's own door, compiled from a configuration as a server would; without the wire and whatever comes after.

#![expect(clippy::expect_used, reason = "a bench ends at the first thing that is not as it should be")]

use std::{fs, hint::black_box, io, io::Write as _, sync::Arc, time::Instant};

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest,
    attribute_context::{HttpRequest, Peer, Request},
};
use futures::FutureExt as _;
use lakegate::{
    authn::Authenticator,
    clock::Clock,
    envoy::decode,
    model::{Call, Caller, RawCall, Refusal},
    net,
    normalize::{self, normalize},
    reload::Compiler,
};
use lakegate_testkit::issuer::{Issuer, TokenSpec};
use prost::Message as _;
use tempfile::TempDir;

/// Tokens that are seen for the first time.
const STRANGERS: u32 = 2_000;
/// How often a token is known again.
const AGAIN: u32 = 200_000;
const GROUPS: [&str; 5] = ["ml-engineers", "everybody", "team-1", "readers", "writers"];

/// The configuration of one issuer whose keys are in a file.
fn configuration(issuer: &Issuer) -> String {
    format!(
        r"version: 1
listen: {{ check: 127.0.0.1:9191 }}
peers: {{ trust_domains: [cluster.local] }}
issuers: [{{ name: corp, issuer: '{}', provider: generic, audiences: [lakegate], jwks_file: jwks.json }}]
workspaces: [{{ name: stage, hosts: [stage.cloud.databricks.com], workspace_id: '1', environment: staging, credentials: {{ mode: strip }} }}]
policy: {{ dir: policies }}
",
        issuer.url()
    )
}

fn stage(issuer: &Issuer, folder: &TempDir) -> Arc<Authenticator> {
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    fs::create_dir(folder.path().join("policies")).expect("a folder");
    write("policies/p.cedar", r#"@id("p") permit (principal, action in Action::"read", resource);"#);
    write("jwks.json", &issuer.jwks().to_string());
    write("lakegate.yaml", &configuration(issuer));
    let client = net::Client::new(&net::Config::default()).expect("a client");
    let compiler = Compiler::new(&folder.path().join("lakegate.yaml"), client, Clock::default()).expect("a catalog");
    let set = compiler.compile(None).expect("a configuration without fault");
    set.snapshot.authenticator
}

fn check(token: &str) -> RawCall {
    let headers = [("authorization", format!("Bearer {token}")), ("accept", "*/*".to_owned())];
    let http = HttpRequest {
        method: "GET".to_owned(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        path: "/api/2.2/jobs/list".to_owned(),
        host: "stage.cloud.databricks.com".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        ..HttpRequest::default()
    };
    let source = Peer { principal: "spiffe://cluster.local/ns/ml/sa/trainer".to_owned(), ..Peer::default() };
    let attributes =
        AttributeContext { source: Some(source), request: Some(Request { time: None, http: Some(http) }), ..AttributeContext::default() };
    decode(Bytes::from(CheckRequest { attributes: Some(attributes) }.encode_to_vec())).expect("a check")
}

fn call(raw: &RawCall) -> Call<'_> {
    let limits = normalize::Config { body_limit: 1 << 20, path_limit: 8192, header_limit: 1 << 17, trust_prefix: "x-lakegate-".to_owned() };
    normalize(raw, &limits).expect("a plain call")
}

/// It must not wait: keys are at hand.
fn ask(stage: &Authenticator, call: &Call<'_>) -> Result<Caller, Refusal> {
    stage.authenticate(call).now_or_never().expect("an answer at once")
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let issuer = runtime.block_on(Issuer::start("corp")).expect("an issuer");
    let folder = TempDir::new().expect("a folder");
    let stage = stage(&issuer, &folder);
    let token = |number: u32| {
        let spec = TokenSpec::person(&format!("person-{number}@example.com"), &GROUPS).claim("jti", number.to_string().as_str()).expires_in(3600);
        issuer.token(&spec).expect("a token")
    };
    let fresh: Vec<RawCall> = (0..STRANGERS).map(|number| check(&token(number))).collect();
    let fresh: Vec<Call<'_>> = fresh.iter().map(call).collect();
    let begun = Instant::now();
    for call in &fresh {
        black_box(ask(&stage, call)).expect("a caller");
    }
    let first = begun.elapsed().as_secs_f64() * 1e6 / f64::from(STRANGERS);
    let known = fresh.first().expect("a call");
    let begun = Instant::now();
    for _ in 0..AGAIN {
        black_box(ask(&stage, black_box(known))).expect("a caller");
    }
    let again = begun.elapsed().as_secs_f64() * 1e6 / f64::from(AGAIN);
    let counted = allocation_counter::measure(|| {
        black_box(ask(&stage, black_box(known))).expect("a caller");
    });
    let told = format!(
        "a token known already   {again:>8.2} µs   {} allocations, {} bytes\na token never seen      {first:>8.2} µs   RS256, {} groups: {:.2} µs more\n",
        counted.count_total,
        counted.bytes_total,
        GROUPS.len(),
        first - again,
    );
    io::stdout().lock().write_all(told.as_bytes()).expect("a reader");
}
