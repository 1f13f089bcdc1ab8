//! The checks that are sent: of 50 people, 20 calls each, as a sidecar's Envoy describes them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{BufMut, Bytes, BytesMut};
use envoy_types::pb::envoy::{
    config::core::v3::{Address, SocketAddress, address},
    service::auth::v3::{
        AttributeContext, CheckRequest,
        attribute_context::{HttpRequest, Peer, Request},
    },
};
use lakegate_testkit::issuer::{Issuer, TokenSpec};
use prost::Message as _;
use serde_json::{Map, Value, json};

use super::Outcome;

pub(crate) const HOST: &str = "dbc-1a2b3c4d-5e6f.cloud.databricks.com";
pub(crate) const CALLERS: usize = 50;
const CALLS: usize = 20;
/// Callers are spread over so many teams; each has a group, a namespace in the mesh and one rule that permits what its callers do.
pub(crate) const TEAMS: usize = 10;
/// When everybody signed in: the same for all tokens of a person, as within one session.
const SIGNED_IN: i64 = 1_795_300_000;
/// Objects that no other call is about have numbers from here on.
const UNSEEN: usize = 1_000_000;

/// One person with a token.
#[derive(Debug)]
struct Caller {
    number: usize,
    token: String,
}

/// The calls of a normal hour: 1,000 different ones of 50 people.
pub(crate) fn usual(issuer: &Issuer) -> Outcome<Vec<Bytes>> {
    let callers: Vec<Caller> = (0..CALLERS).map(|number| Caller::new(issuer, number)).collect::<Outcome<_>>()?;
    Ok((0..CALLS).flat_map(|call| callers.iter().map(move |caller| caller.check(call))).collect())
}

/// The same calls, each with a token that nobody has shown yet.
pub(crate) fn fresh_tokens(issuer: &Issuer, count: usize) -> Outcome<Vec<Bytes>> {
    (0..count).map(|call| Ok(Caller::new(issuer, call % CALLERS)?.check(call / CALLERS % CALLS))).collect()
}

/// Calls with tokens that are known, each about an object that nobody has asked about yet.
pub(crate) fn unseen_objects(issuer: &Issuer, count: usize) -> Outcome<Vec<Bytes>> {
    let callers: Vec<Caller> = (0..CALLERS).map(|number| Caller::new(issuer, number)).collect::<Outcome<_>>()?;
    Ok(callers.iter().cycle().zip(0..count).map(|(caller, call)| caller.check(UNSEEN + call)).collect())
}

/// Calls with tokens that are nobody's, each another one.
pub(crate) fn strangers(issuer: &Issuer, count: usize) -> Outcome<Vec<Bytes>> {
    let good = issuer.token(&TokenSpec::new().expires_in(3600))?;
    let mut parts = good.split('.').skip(1);
    let (payload, signature) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut payload: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    let written = |value: String| URL_SAFE_NO_PAD.encode(value);
    let stranger = |number: usize| {
        // of twenty: two keys that nobody knows, one issuer that nobody knows, two that are no JWT at all, and signatures that are not theirs
        let (kid, iss) = match number % 20 {
            0 | 10 => (format!("nobody-{number}"), issuer.url().to_owned()),
            5 => (issuer.kid(), format!("https://nobody-{number}.example.com")),
            _ => (issuer.kid(), issuer.url().to_owned()),
        };
        payload.insert("iss".to_owned(), json!(iss));
        payload.insert("jti".to_owned(), json!(number.to_string()));
        let (header, payload) = (json!({"alg": "RS256", "typ": "JWT", "kid": kid}), json!(payload));
        let token = match number % 20 {
            7 | 17 => written(format!("opaque {number}")),
            _ => format!("{}.{}.{signature}", written(header.to_string()), written(payload.to_string())),
        };
        Caller { number: number % CALLERS, token }.check(number % CALLS)
    };
    Ok((0..count).map(stranger).collect())
}

// === impl Caller ===

impl Caller {
    fn new(issuer: &Issuer, number: usize) -> Outcome<Self> {
        let team = format!("team-{}", number % TEAMS);
        let spec = TokenSpec::person(&format!("person-{number}@example.com"), &[&team, "ml-engineers", "everybody"]);
        let spec = spec.claim("auth_time", SIGNED_IN).claim("name", format!("Person {number}").as_str()).claim("scope", "openid profile email");
        Ok(Self { number, token: issuer.token(&spec.expires_in(3600))? })
    }

    /// The message of one check, framed for gRPC.
    fn check(&self, call: usize) -> Bytes {
        let attributes = AttributeContext {
            source: Some(peer(&format!("team-{}", self.number % TEAMS), "trainer", self.number)),
            destination: Some(peer("istio-egress", "egress", 255)),
            request: Some(Request { time: None, http: Some(self.request(call)) }),
            ..AttributeContext::default()
        };
        frame(&CheckRequest { attributes: Some(attributes) })
    }

    /// Half of the calls start jobs, which stand in the body, the other half asks serving endpoints, which stand in the path.
    fn request(&self, call: usize) -> HttpRequest {
        let (path, body) = if call.is_multiple_of(2) {
            ("/api/2.2/jobs/run-now".to_owned(), format!("{{\"job_id\": {call}}}"))
        } else {
            (format!("/serving-endpoints/endpoint-{call}/invocations"), "{\"inputs\": [[1.0, 2.0, 3.0]]}".to_owned())
        };
        let id = self.number * 10_000_000 + call;
        let headers = [
            (":authority", HOST.to_owned()),
            (":method", "POST".to_owned()),
            (":path", path.clone()),
            (":scheme", "http".to_owned()),
            ("accept", "*/*".to_owned()),
            ("accept-encoding", "gzip, deflate".to_owned()),
            ("authorization", format!("Bearer {}", self.token)),
            ("content-length", body.len().to_string()),
            ("content-type", "application/json".to_owned()),
            ("traceparent", format!("00-{:032x}-{:016x}-00", id + 1, id + 1)),
            ("user-agent", "databricks-sdk-py/0.70.0 python/3.12.3 os/linux auth/oidc".to_owned()),
            ("x-envoy-auth-partial-body", "false".to_owned()),
            ("x-forwarded-proto", "http".to_owned()),
            ("x-request-id", format!("4f4b1f0e-7c1c-4e3e-9d6e-{id:012x}")),
        ];
        HttpRequest {
            id: id.to_string(),
            method: "POST".to_owned(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            path,
            host: HOST.to_owned(),
            scheme: "http".to_owned(),
            protocol: "HTTP/1.1".to_owned(),
            size: i64::try_from(body.len()).unwrap_or_default(),
            body,
            ..HttpRequest::default()
        }
    }
}

fn peer(namespace: &str, account: &str, host: usize) -> Peer {
    let socket = SocketAddress { address: format!("10.1.2.{host}"), ..SocketAddress::default() };
    Peer {
        address: Some(Address { address: Some(address::Address::SocketAddress(socket)) }),
        principal: format!("spiffe://cluster.local/ns/{namespace}/sa/{account}"),
        ..Peer::default()
    }
}

/// With the five bytes before a gRPC message: not compressed, and how long it is.
fn frame(check: &CheckRequest) -> Bytes {
    let length = check.encoded_len();
    let mut out = BytesMut::with_capacity(5 + length);
    out.put_u8(0);
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    out.extend_from_slice(&check.encode_to_vec());
    out.freeze()
}
