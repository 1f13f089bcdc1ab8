use std::collections::HashMap;

use envoy_types::{
    ext_authz::v3::pb::CheckRequest,
    pb::envoy::{
        config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress, address, socket_address::PortSpecifier},
        service::auth::v3::{
            AttributeContext,
            attribute_context::{HttpRequest, Peer, Request},
        },
    },
};
use proptest::{collection::hash_map, prelude::*};
use prost::Message as _;

use super::*;

/// A check as Envoy writes it, with everything that lakegate reads and much that it does not.
fn check() -> impl Strategy<Value = CheckRequest> {
    let texts = proptest::array::uniform10("\\PC{0,24}");
    let maps = (hash_map("[a-z:-]{1,12}", "\\PC{0,40}", 0..8), proptest::collection::vec(("[a-z-]{1,12}", any::<Vec<u8>>()), 0..8));
    (texts, maps, any::<i64>(), any::<Vec<u8>>(), 0u8..3, 0u8..3, any::<u32>()).prop_map(|(texts, (joined, raw), size, bytes, form, body, port)| {
        let [id, method, path, host, scheme, protocol, principal, certificate, address, text] = texts;
        let raw = raw.into_iter().map(|(key, raw_value)| HeaderValue { key, raw_value, ..HeaderValue::default() }).collect();
        let http = HttpRequest {
            id,
            method,
            headers: if form == 1 { HashMap::new() } else { joined },
            header_map: (form > 0).then_some(HeaderMap { headers: raw }),
            path,
            host,
            scheme,
            size,
            protocol,
            body: if body == 1 { text } else { String::new() },
            raw_body: if body == 2 { bytes } else { Vec::new() },
            ..HttpRequest::default()
        };
        let socket = SocketAddress { address, port_specifier: Some(PortSpecifier::PortValue(port)), ..SocketAddress::default() };
        let source = Peer {
            address: Some(Address { address: Some(address::Address::SocketAddress(socket)) }),
            principal,
            certificate,
            service: "other".to_owned(),
            labels: HashMap::from([("app".to_owned(), "x".to_owned())]),
        };
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(source.clone()),
                destination: Some(source),
                request: Some(Request { time: None, http: Some(http) }),
                context_extensions: HashMap::from([("k".to_owned(), "v".to_owned())]),
                ..AttributeContext::default()
            }),
        }
    })
}

/// What the generated types say, in the form of ours.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    texts: [Vec<u8>; 7],
    size: i64,
    form: HeaderForm,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

fn seen_by_prost(check: &CheckRequest) -> Seen {
    let attributes = check.attributes.clone().unwrap_or_default();
    let source = attributes.source.unwrap_or_default();
    let address = match source.address.and_then(|address| address.address) {
        Some(address::Address::SocketAddress(socket)) => socket.address,
        _ => String::new(),
    };
    let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
    let mut headers: Vec<(Vec<u8>, Vec<u8>)> = http.headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let raw = http.header_map.map(|map| map.headers);
    let form = match (&raw, headers.is_empty()) {
        (Some(raw), false) if !raw.is_empty() => HeaderForm::Both,
        (Some(_), true) => HeaderForm::Raw,
        _ => HeaderForm::Joined,
    };
    let value = |header: HeaderValue| (header.key.into_bytes(), if header.value.is_empty() { header.raw_value } else { header.value.into_bytes() });
    headers.extend(raw.into_iter().flatten().map(value));
    headers.sort();
    Seen {
        texts: [source.principal, source.certificate, address, http.method, http.path, http.host, http.protocol].map(String::into_bytes),
        size: http.size,
        form,
        headers,
        body: if http.body.is_empty() { http.raw_body } else { http.body.into_bytes() },
    }
}

fn seen(raw: &RawCall) -> Seen {
    let mut headers: Vec<(Vec<u8>, Vec<u8>)> = raw.headers().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    headers.sort();
    Seen {
        texts: [raw.principal(), raw.certificate(), raw.source_address(), raw.method(), raw.path(), raw.host(), raw.protocol()].map(<[u8]>::to_vec),
        size: raw.size(),
        form: raw.header_form(),
        headers,
        body: raw.body().unwrap_or_default().to_vec(),
    }
}

proptest! {
    #[test]
    fn what_envoy_sends_reads_as_the_generated_types_read_it(check in check()) {
        let raw = decode(check.encode_to_vec().into()).expect("Envoy's own form");
        prop_assert_eq!(seen(&raw), seen_by_prost(&check));
    }

    #[test]
    fn damaged_bytes_never_panic_and_what_is_accepted_reads_alike(check in check(), places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<Option<prop::sample::Index>>()) {
        let mut wire = check.encode_to_vec();
        for (place, byte) in places {
            let at = place.index(wire.len());
            wire[at] = byte;
        }
        if let Some(cut) = cut {
            wire.truncate(cut.index(wire.len()));
        }
        // Where prost takes the last of two map entries with one key, both are kept here for `normalize` to refuse.
        if let (Ok(raw), Ok(check)) = (decode(wire.clone().into()), CheckRequest::decode(&*wire)) {
            let mut ours = seen(&raw);
            let theirs = seen_by_prost(&check);
            let unique: HashMap<_, _> = ours.headers.iter().cloned().collect();
            if unique.len() == ours.headers.len() {
                ours.headers.sort();
                prop_assert_eq!(ours, theirs);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(wire in any::<Vec<u8>>()) {
        let _ = decode(wire.into());
    }
}

/// A length-delimited field with a number below 16.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encode_length_delimiter(content.len(), &mut out).expect("room");
    out.extend_from_slice(content);
    out
}

/// `content` as the fields of `attributes.request.http`.
fn http(content: &[u8]) -> Vec<u8> {
    field(1, &field(4, &field(2, content)))
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let method = field(2, b"GET");
    let header = |value: &[u8], raw: &[u8]| http(&field(13, &field(1, &[field(1, b"a"), field(2, value), field(3, raw)].concat())));
    let request = field(4, &field(2, &method));
    let cases: Vec<(&str, Vec<u8>, Undecodable)> = vec![
        ("a scalar twice", http(&[method.clone(), method.clone()].concat()), Undecodable::Repeated),
        ("a size twice", http(&[9 << 3, 1, 9 << 3, 1]), Undecodable::Repeated),
        ("attributes twice", [http(&method), http(&method)].concat(), Undecodable::Repeated),
        ("a request twice", field(1, &[request.clone(), request].concat()), Undecodable::Repeated),
        ("a name twice in an entry", http(&field(3, &[field(1, b"a"), field(1, b"b")].concat())), Undecodable::Repeated),
        ("two bodies", http(&[field(11, b"a"), field(12, b"b")].concat()), Undecodable::Contradiction),
        ("two values of a header", header(b"a", b"b"), Undecodable::Contradiction),
        ("a query apart", http(&field(7, b"a=b")), Undecodable::SplitPath),
        ("a fragment apart", http(&field(8, b"x")), Undecodable::SplitPath),
        ("too many headers", http(&field(3, b"").repeat(MAX_HEADERS + 1)), Undecodable::TooManyHeaders),
        ("a method that is a number", http(&[2 << 3, 1]), Undecodable::FieldType),
        ("a size that is text", http(&field(9, b"1")), Undecodable::FieldType),
    ];
    for (what, wire, expected) in cases {
        assert_eq!(decode(wire.into()).err(), Some(expected), "{what}");
    }
}

#[test]
fn what_is_no_protobuf_is_refused() {
    let cases: [(&str, &[u8], Undecodable); 10] = [
        ("a length beyond the end", &[0x0a, 2, 0], Undecodable::Truncated),
        ("a length beyond the parent", &[0x0a, 2, 0x22, 1, 0x7a, 0], Undecodable::Truncated),
        ("no length", &[0x0a], Undecodable::Truncated),
        ("a cut varint", &[0x08, 0x80], Undecodable::Truncated),
        ("a varint of eleven bytes", &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], Undecodable::Varint),
        ("a varint over 64 bits", &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], Undecodable::Varint),
        ("field 0", &[0x02, 0], Undecodable::FieldNumber),
        ("a group", &[0x0b, 0x0c], Undecodable::WireType),
        ("wire type 6", &[0x0e], Undecodable::WireType),
        ("a length of 2^63", &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], Undecodable::Truncated),
    ];
    for (what, wire, expected) in cases {
        assert_eq!(decode(Bytes::from_static(wire)).err(), Some(expected), "{what}");
    }
}

#[test]
fn an_empty_check_is_a_call_of_empty_fields() {
    let raw = decode(Bytes::new()).expect("empty is protobuf");
    assert_eq!((raw.method(), raw.path(), raw.host(), raw.body()), (&b""[..], &b""[..], &b""[..], None));
}

#[test]
fn headers_of_one_name_are_all_kept() {
    let entry = |value: &[u8]| field(3, &[field(1, b"host"), field(2, value)].concat());
    let raw = decode(http(&[entry(b"a"), entry(b"b")].concat()).into()).expect("protobuf");
    assert_eq!(raw.headers().collect::<Vec<_>>(), [(&b"host"[..], &b"a"[..]), (b"host", b"b")]);
}

#[test]
fn unknown_fields_of_every_type_are_skipped() {
    let unknown = [&[0x78, 1][..], &[0x79, 0, 0, 0, 0, 0, 0, 0, 0], &[0x7a, 1, 0], &[0x7d, 0, 0, 0, 0]].concat();
    let raw = decode(http(&[unknown.clone(), field(2, b"GET"), unknown].concat()).into()).expect("protobuf");
    assert_eq!(raw.method(), b"GET");
}
