use std::borrow::Cow;

use super::{builder::Check, config, read};
use crate::model::{Body, BodyFault, Reason};

#[test]
fn path_and_query_may_be_as_long_as_the_limit_and_no_longer() {
    let limit = config().path_limit;
    for (length, accepted) in [(limit, true), (limit + 1, false)] {
        for start in ["/", "/?"] {
            let check = Check::path(format!("{start}{}", "a".repeat(length - start.len())));
            let raw = check.raw();
            assert_eq!(read(&raw).is_ok(), accepted, "{start} {length}");
            if let Err(refusal) = read(&raw) {
                assert_eq!((refusal.reason, refusal.detail.len() < 100), (Reason::RequestMalformed, true));
            }
        }
    }
}

#[test]
fn headers_may_be_as_long_as_the_limit_and_no_longer() {
    let limit = config().header_limit;
    for (length, accepted) in [(limit, true), (limit + 1, false)] {
        let half = length / 2;
        let check = Check::default().header("a", "x".repeat(half - 1)).header("b", "x".repeat(length - half - 1));
        assert_eq!(read(&check.raw()).map(|_| ()).map_err(|refusal| refusal.reason), if accepted { Ok(()) } else { Err(Reason::RequestMalformed) });
    }
}

#[test]
fn a_body_over_the_limit_decides_nothing() {
    let limit = config().body_limit;
    for (length, cut) in [(limit, false), (limit + 1, true)] {
        let check = Check { method: b"POST".into(), body: Some(vec![b'x'; length]), size: i64::try_from(length).unwrap(), ..Check::default() };
        let raw = check.raw();
        assert_eq!(read(&raw).unwrap().body == Body::Unusable(BodyFault::Cut), cut);
    }
}

#[test]
fn a_host_may_be_253_bytes_long_and_no_longer() {
    let label = "a".repeat(63);
    for (last, accepted) in [(61, true), (62, false)] {
        let host = format!("{label}.{label}.{label}.{}", "a".repeat(last));
        for spelling in [host.clone(), format!("{host}.:443")] {
            let check = Check::host(&spelling);
            assert_eq!(read(&check.raw()).is_ok(), accepted, "{spelling}");
        }
    }
}

#[test]
fn what_only_describes_is_cut_or_left_out() {
    let check = Check::default().header("user-agent", "x".repeat(300)).header("x-request-id", "x".repeat(129));
    let raw = check.raw();
    let headers = read(&raw).unwrap().headers;
    assert_eq!((headers.user_agent.map(str::len), headers.request_id), (Some(256), None));
}

#[test]
fn messages_are_short_and_hold_no_credential() {
    let secret = "s3cr3t";
    let checks = [
        Check::default().header("authorization", format!("Bearer {secret},Bearer {secret}")),
        Check::default().header("authorization", format!("Bearer {secret}\u{7f}")),
        Check::default().header("x-databricks-org-id", format!("{secret}!")),
        Check::path(format!("/a?token={secret}%zz")),
        Check::path(format!("/a?token={secret};x")),
        Check::path(format!("/{}%2e%2e/%00{secret}", "a\u{7f}".repeat(400))),
    ];
    for check in checks {
        let raw = check.raw();
        let detail = read(&raw).unwrap_err().detail;
        assert!(!detail.contains(secret) && detail.len() < 200 && detail.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{detail}");
    }
}

#[test]
fn nothing_is_copied_where_there_is_nothing_to_decode() {
    let check = Check::path("/api/2.2/jobs/run-now?o=1&page_token=x").header("upgrade", "websocket");
    let raw = check.raw();
    let call = read(&raw).unwrap();
    assert!(call.path.segments.iter().all(|segment| matches!(segment.text, Cow::Borrowed(_))));
    assert!(call.query.pairs.iter().all(|(key, value)| matches!((key, value), (Cow::Borrowed(_), Cow::Borrowed(_)))));
    assert!(matches!((&call.host.0, call.upgrade.unwrap().0), (Cow::Borrowed(_), Cow::Borrowed(_))));
}
