use envoy_types::pb::{
    envoy::{
        config::core::v3::HeaderValueOption,
        service::auth::v3::{CheckResponse, DeniedHttpResponse, check_response::HttpResponse},
    },
    google::protobuf::value::Kind,
};
use proptest::{collection::vec, prelude::*, sample::select};
use prost::Message as _;

use super::*;
use crate::model::{Answer, Deny};

const STATUSES: [DenyStatus; 6] = [
    DenyStatus::BadRequest,
    DenyStatus::Unauthorized,
    DenyStatus::Forbidden,
    DenyStatus::NotFound,
    DenyStatus::ContentTooLarge,
    DenyStatus::Unavailable,
];

fn edits() -> impl Strategy<Value = Vec<HeaderEdit>> {
    vec(("[a-z][a-z0-9-]{0,20}", "[ -~]{0,300}"), 0..6)
        .prop_map(|edits| edits.into_iter().map(|(name, value)| HeaderEdit { name: name.into(), value: value.into() }).collect())
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let decision = || (0i64..2_000_000_000_000).prop_map(DecisionId::new);
    prop_oneof![
        (decision(), edits(), vec("[a-z._-]{1,20}", 0..6))
            .prop_map(|(decision, set, remove)| { Verdict::Allow(Allow { decision, set, remove: remove.into_iter().map(Into::into).collect() }) }),
        (decision(), select(&STATUSES[..]), edits(), "\\PC{0,200}").prop_map(|(decision, status, headers, body)| Verdict::Deny(Deny {
            decision,
            status,
            headers,
            body: body.into()
        })),
        (decision(), edits(), "\\PC{0,200}").prop_map(|(decision, headers, body)| Verdict::Answer(Answer { decision, headers, body: body.into() })),
    ]
}

fn read(verdict: &Verdict) -> CheckResponse {
    CheckResponse::decode(encode(verdict)).expect("protobuf")
}

fn code(response: &CheckResponse) -> i32 {
    response.status.as_ref().expect("a status, always").code
}

fn denied(response: CheckResponse) -> DeniedHttpResponse {
    match response.http_response {
        Some(HttpResponse::DeniedResponse(denied)) => denied,
        other => panic!("{other:?}"),
    }
}

/// What Envoy is told to set; every header overwrites.
fn pairs(options: &[HeaderValueOption]) -> Vec<HeaderEdit> {
    let pair = |option: &HeaderValueOption| {
        assert_eq!(option.append_action, i32::from(OVERWRITE));
        let header = option.header.clone().expect("a header");
        HeaderEdit { name: header.key.into(), value: header.value.into() }
    };
    options.iter().map(pair).collect()
}

proptest! {
    #[test]
    fn the_generated_types_read_exactly_the_verdict(verdict in verdict()) {
        let response = read(&verdict);
        let fields = &response.dynamic_metadata.as_ref().expect("metadata").fields;
        let (Verdict::Allow(Allow { decision, .. }) | Verdict::Deny(Deny { decision, .. }) | Verdict::Answer(Answer { decision, .. })) = &verdict;
        prop_assert_eq!(fields.len(), 1);
        prop_assert_eq!(fields["decision_id"].kind.clone(), Some(Kind::StringValue(decision.to_string())));
        match verdict {
            Verdict::Allow(allow) => {
                prop_assert_eq!(code(&response), 0);
                let Some(HttpResponse::OkResponse(ok)) = response.http_response else { panic!("no ok_response") };
                prop_assert_eq!(pairs(&ok.headers), allow.set);
                prop_assert_eq!(ok.headers_to_remove, allow.remove);
            }
            Verdict::Deny(deny) => {
                prop_assert_ne!(code(&response), 0);
                let denied = denied(response);
                prop_assert_eq!(denied.status.map(|status| status.code), Some(deny.status.code().into()));
                prop_assert_eq!(pairs(&denied.headers), deny.headers);
                prop_assert_eq!(denied.body.into_bytes(), deny.body);
            }
            Verdict::Answer(answer) => {
                prop_assert_ne!(code(&response), 0);
                let denied = denied(response);
                prop_assert_eq!(denied.status.map(|status| status.code), Some(200));
                prop_assert_eq!(pairs(&denied.headers), answer.headers);
                prop_assert_eq!(denied.body.into_bytes(), answer.body);
            }
        }
    }

    #[test]
    fn the_code_comes_first(verdict in verdict()) {
        let wire = encode(&verdict);
        prop_assert_eq!(&wire[..3], &[0x0a, 2, 0x08]);
        prop_assert_eq!(wire[3] == 0, matches!(verdict, Verdict::Allow(_)));
    }

    #[test]
    fn no_bytes_make_a_deny_or_an_answer_an_allow(name in any::<String>(), value in any::<Vec<u8>>(), body in any::<Vec<u8>>()) {
        let decision = DecisionId::new(1);
        let headers = vec![HeaderEdit { name: name.into(), value: value.into() }];
        for status in STATUSES {
            let deny = Deny { decision, status, headers: headers.clone(), body: body.clone().into() };
            prop_assert_ne!(code(&read(&Verdict::Deny(deny))), 0);
        }
        prop_assert_ne!(code(&read(&Verdict::Answer(Answer { decision, headers, body: body.into() }))), 0);
    }
}

#[test]
fn the_codes_are_those_of_the_statuses() {
    let codes =
        STATUSES.map(|status| code(&read(&Verdict::Deny(Deny { decision: DecisionId::new(1), status, headers: Vec::new(), body: Bytes::new() }))));
    assert_eq!(codes, [3, 16, 7, 5, 8, 14]);
}

#[test]
fn an_allow_that_cannot_be_sent_is_a_deny() {
    let edit = |name: &'static str, value: &'static [u8]| HeaderEdit { name: name.into(), value: Bytes::from_static(value) };
    let cases = [
        (vec![edit("x-a", b"a\r\nx-b: c")], vec![]),
        (vec![edit("x-a", b"\xff")], vec![]),
        (vec![edit("x-a", b"a\0")], vec![]),
        (vec![edit(":path", b"/")], vec![]),
        (vec![edit("", b"a")], vec![]),
        (vec![edit("x a", b"a")], vec![]),
        (vec![], vec!["x-a\n".into()]),
        (vec![], vec![":authority".into()]),
    ];
    for (set, remove) in cases {
        let response = read(&Verdict::Allow(Allow { decision: DecisionId::new(1), set: set.clone(), remove }));
        assert_eq!(code(&response), 14, "{set:?}");
        assert_eq!(denied(response).status.map(|status| status.code), Some(503));
    }
}

#[test]
fn a_deny_goes_out_without_what_would_split_it() {
    let headers = vec![
        HeaderEdit { name: "x-e".into(), value: Bytes::from_static(b"a\r\nset-cookie: x=1") },
        HeaderEdit { name: "x-f".into(), value: Bytes::from_static(b"good") },
    ];
    let denied = denied(read(&Verdict::Deny(Deny {
        decision: DecisionId::new(1),
        status: DenyStatus::Forbidden,
        headers,
        body: Bytes::from_static(b"\xff"),
    })));
    assert_eq!(pairs(&denied.headers), [HeaderEdit { name: "x-f".into(), value: Bytes::from_static(b"good") }]);
    assert_eq!(denied.body, "");
}
