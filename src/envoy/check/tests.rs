use std::{convert::Infallible, net::SocketAddr};

use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use futures::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use proptest::prelude::*;
use prost::Message as _;

use tokio::time::Instant;

use super::*;
use crate::model::Allow;

/// Allows whatever it gets.
#[derive(Debug)]
struct Yes;

impl Decide for Yes {
    async fn decide(&self, _: RawCall, _: Instant) -> Verdict {
        Verdict::Allow(Allow { decision: DecisionId::new(1), set: Vec::new(), remove: Vec::new() })
    }

    fn fault(&self, reason: Reason, _: Option<&RawCall>) -> Verdict {
        let body = Bytes::from_static(reason.code().as_bytes());
        Verdict::Deny(Deny { decision: DecisionId::new(1), status: DenyStatus::Unavailable, headers: Vec::new(), body })
    }
}

fn check(deadline: Duration) -> Check<Yes> {
    let config = Config { deadline, message: 100, ..Config::new(SocketAddr::from(([127, 0, 0, 1], 0))) };
    Check::new(Arc::new(Yes), &config, Metrics::default())
}

/// `status.code` of an answer.
fn code(answer: &Bytes) -> i32 {
    CheckResponse::decode(&answer[5..]).expect("protobuf").status.expect("a status").code
}

proptest! {
    #[test]
    fn only_what_was_read_and_decided_is_allowed(flag in 0u8..2, message in any::<Vec<u8>>(), shift in -1i64..=1, tail in any::<Option<u8>>()) {
        let length = u32::try_from(i64::try_from(message.len()).expect("short") + shift).unwrap_or_default();
        let wire = [&[flag], &length.to_be_bytes()[..], &message, tail.as_slice()].concat();
        let whole = flag == 0 && usize::try_from(length) == Ok(wire.len() - 5) && wire.len() <= 105;
        let good = whole && decode(Bytes::copy_from_slice(&wire[5..])).is_ok();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let answer = runtime.block_on(check(Duration::from_mins(1)).answer(Request::new(Full::new(Bytes::from(wire))), None));
        prop_assert_eq!(code(&answer) == 0, good);
    }
}

#[tokio::test]
async fn a_check_that_never_ends_is_late_and_its_room_is_free_again() {
    let check = check(Duration::from_millis(50));
    let begun = Frame::data(Bytes::from_static(&[0, 0, 0, 0, 9, 1, 2]));
    let body = StreamBody::new(stream::iter([Ok::<_, Infallible>(begun)]).chain(stream::pending()));
    assert_eq!(code(&check.answer(Request::new(body), None).await), 14);
    assert_eq!((check.metrics.failures(Failed::Late), check.room.used()), (1, 0));
}
