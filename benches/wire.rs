//! The codec of the check beside the generated types: one check as a sidecar sends it in, one allow with a trust assertion out.

use std::{collections::HashMap, hint::black_box};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use envoy_types::pb::{
    envoy::{
        config::core::v3::{Address, HeaderValue, HeaderValueOption, SocketAddress, address},
        service::auth::v3::{
            AttributeContext, CheckRequest, CheckResponse, OkHttpResponse,
            attribute_context::{HttpRequest, Peer, Request},
            check_response::HttpResponse,
        },
    },
    google::{
        protobuf::{Struct, Value, value::Kind},
        rpc::Status,
    },
};
use lakegate::{
    envoy::{decode, encode},
    model::{Allow, DecisionId, HeaderEdit, Verdict},
};
use prost::Message as _;

/// About 1.8 kB, of which half is the token.
fn check() -> Bytes {
    let headers = [
        (":authority", "dbc-1a2b3c4d-5e6f.cloud.databricks.com".to_owned()),
        (":method", "POST".to_owned()),
        (":path", "/api/2.2/jobs/run-now".to_owned()),
        (":scheme", "http".to_owned()),
        ("accept", "*/*".to_owned()),
        ("accept-encoding", "gzip, deflate".to_owned()),
        ("authorization", format!("Bearer {}", "a".repeat(900))),
        ("content-length", "14".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("user-agent", "databricks-sdk-py/0.70.0 python/3.12.3 os/linux auth/pat".to_owned()),
        ("x-envoy-auth-partial-body", "false".to_owned()),
        ("x-forwarded-proto", "http".to_owned()),
        ("x-request-id", "4f4b1f0e-7c1c-4e3e-9d6e-0a6f5a1c9b1d".to_owned()),
    ];
    let http = HttpRequest {
        id: "1234567890123456789".to_owned(),
        method: "POST".to_owned(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        path: "/api/2.2/jobs/run-now".to_owned(),
        host: "dbc-1a2b3c4d-5e6f.cloud.databricks.com".to_owned(),
        scheme: "http".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        size: 14,
        body: "{\"job_id\": 42}".to_owned(),
        ..HttpRequest::default()
    };
    let socket = SocketAddress { address: "10.1.2.3".to_owned(), ..SocketAddress::default() };
    let peer = Peer {
        address: Some(Address { address: Some(address::Address::SocketAddress(socket)) }),
        principal: "spiffe://cluster.local/ns/ml-staging/sa/trainer".to_owned(),
        ..Peer::default()
    };
    let attributes = AttributeContext {
        source: Some(peer.clone()),
        destination: Some(peer),
        request: Some(Request { time: None, http: Some(http) }),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }.encode_to_vec().into()
}

fn allow() -> Allow {
    let edit = |name: &'static str, value: String| HeaderEdit { name: name.into(), value: value.into() };
    Allow {
        decision: DecisionId::new(1),
        set: vec![
            edit("x-lakegate-subject", "corp/alice@example.com".to_owned()),
            edit("x-lakegate-groups", "ml-engineers,data-readers".to_owned()),
            edit("x-lakegate-peer", "spiffe://cluster.local/ns/ml-staging/sa/trainer".to_owned()),
            edit("x-lakegate-decision", DecisionId::new(1).to_string()),
            edit("x-lakegate-assertion", "a".repeat(520)),
        ],
        remove: ["x-lakegate-roles", "x-lakegate-actor", "x-forwarded-client-cert", "cookie"].map(Into::into).to_vec(),
    }
}

/// The same answer by the generated types.
fn generated(allow: &Allow) -> CheckResponse {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let option = |edit: &HeaderEdit| HeaderValueOption {
        header: Some(HeaderValue { key: edit.name.to_string(), value: text(&edit.value), ..HeaderValue::default() }),
        append_action: 2,
        ..HeaderValueOption::default()
    };
    let id = Value { kind: Some(Kind::StringValue(allow.decision.to_string())) };
    CheckResponse {
        status: Some(Status::default()),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers: allow.set.iter().map(option).collect(),
            headers_to_remove: allow.remove.iter().map(ToString::to_string).collect(),
            ..OkHttpResponse::default()
        })),
        dynamic_metadata: Some(Struct { fields: HashMap::from([("decision_id".to_owned(), id)]) }),
    }
}

fn wire(criterion: &mut Criterion) {
    let check = check();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(check.len() as u64));
    group.bench_function("lakegate", |bench| bench.iter(|| decode(black_box(check.clone())).is_ok()));
    group.bench_function("prost", |bench| bench.iter(|| CheckRequest::decode(black_box(check.clone())).is_ok()));
    group.finish();

    let allow = allow();
    let verdict = Verdict::Allow(allow.clone());
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Bytes(encode(&verdict).len() as u64));
    group.bench_function("lakegate", |bench| bench.iter(|| encode(black_box(&verdict))));
    group.bench_function("prost", |bench| bench.iter(|| generated(black_box(&allow)).encode_to_vec()));
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
