//! What time alone changes, with lakegate's clock moved.

use lakegate_testkit::issuer::{Fault, TokenSpec};

use crate::asking::{SALES, options, outcome, query_as, send, status_until, until, world};

const HOUR: i64 = 3600;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_expires_although_it_is_known() {
    let world = world(options().test_clock()).await;
    let token = world.corp.token(&TokenSpec::new().expires_in(300)).unwrap();
    let call = || query_as(SALES, &token);
    for _ in 0..3 {
        assert_eq!(outcome(&send(&world, &call()).await), (200, "OK".to_owned()));
    }
    // within the leeway of 30 s it is still good
    world.move_clock(310).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(outcome(&send(&world, &call()).await), (200, "OK".to_owned()));
    world.move_clock(400).unwrap();
    let refused = until(&world, (401, "TOKEN_EXPIRED"), call).await;
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    // a clock that was wrong and is mended
    world.move_clock(0).unwrap();
    until(&world, (200, "OK"), call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_becomes_valid() {
    let world = world(options().test_clock()).await;
    let now = lakegate_testkit::clock::now_s();
    let token = world.corp.token(&TokenSpec::new().claim("nbf", now + 600).expires_in(HOUR)).unwrap();
    let call = || query_as(SALES, &token);
    until(&world, (401, "TOKEN_NOT_YET_VALID"), call).await;
    world.move_clock(700).unwrap();
    until(&world, (200, "OK"), call).await;
    world.move_clock(2 * HOUR).unwrap();
    until(&world, (401, "TOKEN_EXPIRED"), call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_for_half_an_hour_is_not_noticed() {
    let world = world(options().test_clock()).await;
    let token = world.corp.token(&TokenSpec::new().expires_in(HOUR)).unwrap();
    until(&world, (200, "OK"), || query_as(SALES, &token)).await;
    world.corp.set_fault(Some(Fault::Unavailable));
    world.move_clock(HOUR / 2).unwrap();
    status_until(&world, |status| status["issuers"][0]["degraded"] == true).await;
    // neither for a token that is known nor for a new one
    for token in [token, world.corp.token(&TokenSpec::new().expires_in(HOUR)).unwrap()] {
        assert_eq!(outcome(&send(&world, &query_as(SALES, &token)).await), (200, "OK".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_grow_too_old_while_the_issuer_is_down() {
    let world = world(options().test_clock()).await;
    let token = world.corp.token(&TokenSpec::new().expires_in(20 * HOUR)).unwrap();
    let call = || query_as(SALES, &token);
    until(&world, (200, "OK"), call).await;
    world.corp.set_fault(Some(Fault::Unavailable));
    world.move_clock(3 * HOUR).unwrap();
    // no fetch has failed before, so the fault is young, however old the keys are
    let young = until(&world, (503, "KEYS_UNAVAILABLE"), call).await;
    assert_eq!((young.header("retry-after"), young.header("x-should-retry")), (Some("1"), None));
    assert_eq!(young.json()["error_code"], "TEMPORARILY_UNAVAILABLE");
    world.move_clock(3 * HOUR + 60).unwrap();
    let old = until(&world, (403, "KEYS_UNAVAILABLE"), call).await;
    assert_eq!((old.header("retry-after"), old.header("x-should-retry")), (None, Some("false")));
    assert_eq!(old.json()["error_code"], "PERMISSION_DENIED");
    // the other issuer's tokens are another matter
    let other = world.other.token(&TokenSpec::new().expires_in(20 * HOUR)).unwrap();
    until(&world, (403, "POLICY_NO_PERMIT"), || query_as(SALES, &other)).await;
    world.corp.set_fault(None);
    world.move_clock(3 * HOUR + 600).unwrap();
    until(&world, (200, "OK"), call).await;
}
