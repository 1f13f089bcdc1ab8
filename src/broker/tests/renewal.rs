//! Credentials over time: renewed ahead, never used beyond what they are bound by.

use std::time::Duration;

use super::{
    caller::{World, by_secret, caller, changed},
    endpoint::Mood,
};
use crate::model::{Caller, Reason};

/// As `caller` with a token that ends at `expires_at`, in seconds since the epoch.
fn until(caller: &Caller, expires_at: i64) -> Caller {
    changed(caller.clone(), |token| token.expires_at = expires_at)
}

/// Lets an exchange that was begun in passing come back.
async fn settled(world: &World, count: usize) {
    for _ in 0..200 {
        if world.endpoint.count() >= count && !world.desk.is_busy() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} exchanges, not {count}", world.endpoint.count());
}

#[tokio::test]
async fn a_job_of_eight_hours_with_tokens_of_five_minutes_never_meets_an_expired_credential() {
    let (life, early) = (300, 60);
    let world = World::start().await;
    let alice = caller("alice", 0);
    let (mut ends, mut tokens) = (world.clock.now() + life, 1);
    for second in (0..8 * 3600).step_by(15) {
        world.clock.shift(second * 1000);
        // Clients fetch another token a minute before the last one ends.
        if world.clock.now() > ends - early {
            (ends, tokens) = (world.clock.now() + life, tokens + 1);
        }
        let value = world.authorization(&until(&alice, ends)).await.unwrap();
        let left = world.endpoint.left(&value).unwrap();
        assert!(left > 0, "after {second} s a credential travels that ended {} s ago", -left);
        settled(&world, 1).await;
    }
    let count = world.endpoint.count();
    assert!(tokens > 100 && (tokens..=tokens + 1).contains(&count), "{count} exchanges for {tokens} tokens");
}

#[tokio::test]
async fn a_credential_is_renewed_ahead_and_nobody_waits_for_it() {
    let world = World::start().await;
    world.endpoint.live_at_most(1_000);
    let alice = caller("alice", 100_000);
    let first = world.authorization(&alice).await.unwrap();
    world.clock.shift(400_000);
    assert_eq!(world.authorization(&alice).await.unwrap(), first);
    assert_eq!(world.endpoint.count(), 1, "not yet due");
    // In the second half of its time another is fetched behind the request, which takes what is at hand, however slow the endpoint is.
    world.endpoint.be(Mood::Slow(Duration::from_millis(300)));
    world.clock.shift(600_000);
    for _ in 0..50 {
        assert_eq!(world.authorization(&alice).await.unwrap(), first);
    }
    settled(&world, 2).await;
    assert_eq!(world.endpoint.count(), 2, "one for all of them");
    assert_ne!(world.authorization(&alice).await.unwrap(), first);
}

#[tokio::test]
async fn an_endpoint_that_fails_costs_nothing_while_the_credential_lasts_and_everything_then() {
    let world = World::start().await;
    world.endpoint.live_at_most(1_000);
    let alice = caller("alice", 100_000);
    world.authorization(&alice).await.unwrap();
    world.endpoint.be(Mood::Says(503, String::new(), None));
    // 40 s before its end Databricks takes a token no more.
    for second in (0..955).step_by(5) {
        world.clock.shift(second * 1000);
        world.authorization(&alice).await.unwrap();
    }
    for second in [961, 999, 1_001, 5_000] {
        world.clock.shift(second * 1000);
        world.authorization(&alice).await.unwrap_err();
    }
}

#[tokio::test]
async fn no_credential_outlives_the_window_or_the_callers_token() {
    for (window_s, life, last) in [(600, 100_000, 600), (3_600, 900, 900)] {
        let world = World::with(|exchange| exchange.window_s = window_s).await;
        world.endpoint.live_at_most(50_000);
        let begun = world.clock.now();
        let alice = until(&caller("alice", 0), begun + life);
        world.authorization(&alice).await.unwrap();
        // Nothing else is to be had, so that the first one shows how long it is used.
        world.endpoint.be(Mood::Says(400, "{\"error\":\"invalid_grant\"}".to_owned(), None));
        world.clock.shift((last - 45) * 1000);
        world.authorization(&alice).await.unwrap();
        world.clock.shift((last + 1) * 1000);
        world.authorization(&alice).await.unwrap_err();
    }
}

#[tokio::test]
async fn the_window_ends_what_the_endpoint_would_let_live_longer() {
    let world = World::with(|exchange| {
        by_secret(exchange);
        exchange.window_s = 600;
    })
    .await;
    let alice = caller("alice", 3_600);
    let first = world.authorization(&alice).await.unwrap();
    assert!(world.endpoint.left(&first).unwrap() > 3_000);
    world.clock.shift(601_000);
    assert_ne!(world.authorization(&alice).await.unwrap(), first);
}

#[tokio::test]
async fn a_credential_that_ends_while_it_is_waited_for_is_not_used() {
    let world = World::start().await;
    // Databricks takes it for a second yet.
    world.endpoint.live_at_most(41);
    world.endpoint.be(Mood::Slow(Duration::from_millis(900)));
    let alice = caller("alice", 3_600);
    let asked = async {
        while world.endpoint.count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.clock.shift(10_000);
    };
    let (got, ()) = tokio::join!(world.authorization(&alice), asked);
    assert_eq!(got.unwrap_err().reason, Reason::CredentialUnavailable);
}

#[tokio::test]
async fn a_renewal_that_comes_to_nothing_is_not_asked_for_with_every_call() {
    for (status, body, pause) in [(400, r#"{"error":"invalid_grant"}"#, 1_500), (404, "", 1_000), (503, "", 1_000)] {
        let world = World::start().await;
        world.endpoint.live_at_most(1_000);
        let alice = caller("alice", 100_000);
        let first = world.authorization(&alice).await.unwrap();
        world.endpoint.be(Mood::Says(status, body.to_owned(), None));
        world.clock.shift(600_000);
        world.authorization(&alice).await.unwrap();
        settled(&world, 2).await;
        for ms in [0, 1, pause - 500] {
            world.clock.shift(600_000 + ms);
            assert_eq!(world.authorization(&alice).await.unwrap(), first);
            assert!(!world.desk.is_busy(), "{status}: another after {ms} ms");
        }
        world.clock.shift(600_000 + pause + 500);
        world.authorization(&alice).await.unwrap();
        settled(&world, 3).await;
    }
}

/// A grant of access for a time, and whatever else of a policy ends with the time.
#[tokio::test]
async fn what_is_had_for_a_permit_that_ends_ends_with_it_and_is_for_nothing_else() {
    let world = World::start().await;
    let (begun, alice) = (world.clock.now(), caller("alice", 3_000));
    let lasting = world.authorization(&alice).await.unwrap();
    for end in [begun + 600, begun + 900] {
        let granted = world.permitted(&alice, end).await.unwrap();
        assert!(granted != lasting && world.endpoint.left(&granted).unwrap() <= end - begun, "Databricks itself lets it end");
        assert_eq!(world.permitted(&alice, end).await.unwrap(), granted);
        // A renewed token of the caller makes it no longer.
        assert_eq!(world.permitted(&until(&alice, begun + 5_000), end).await.unwrap(), granted);
    }
    assert_eq!(world.authorization(&alice).await.unwrap(), lasting);
    assert_eq!(world.endpoint.count(), 3);
    // Where the caller's token ends first, so does the credential.
    let short = world.permitted(&until(&caller("bob", 0), begun + 300), begun + 600).await.unwrap();
    assert!(world.endpoint.left(&short).unwrap() <= 300);
}

#[tokio::test]
async fn a_token_that_is_taken_a_moment_after_its_end_still_has_a_credential() {
    let world = World::start().await;
    // As with leeway for clocks that differ.
    let alice = until(&caller("alice", 0), world.clock.now() - 5);
    let value = world.authorization(&alice).await.unwrap();
    assert!(world.endpoint.left(&value).unwrap() <= 60);
}
