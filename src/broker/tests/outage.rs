//! Faults of an endpoint, and those that are only one caller's.

use super::{
    caller::{World, caller},
    endpoint::Mood,
};

fn down() -> Mood {
    Mood::Says(503, String::new(), None)
}

/// The endpoint fails on what a few send alone, and all call at random turns.
#[tokio::test]
async fn what_fails_on_a_few_leaves_others_alone() {
    for few in [1, 3, 8] {
        let world = World::start().await;
        let mut seed = 42_u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let (mut served, mut asked, mut had) = (0, 0, 0);
        for now in (0..20_000_i64).step_by(10) {
            world.clock.shift(now);
            if random(100) < 20 {
                world.endpoint.be(down());
                let _ = world.authorization(&caller(&format!("mallory-{}", random(few)), 3600)).await;
            }
            if random(100) < 5 {
                world.endpoint.be(Mood::Well);
                let good = world.authorization(&caller(&format!("alice-{now}"), 3600)).await.is_ok();
                had += usize::from(good);
                // Whose questions they are is known after a while.
                if now >= 6_000 {
                    (asked, served) = (asked + 1, served + usize::from(good));
                }
            }
        }
        let theirs = world.endpoint.count() - had;
        assert!(asked > 20 && served * 10 > asked * 9, "of {asked} first calls of others {served} had a credential, beside {few}");
        assert!(theirs <= 20 * usize::try_from(few).unwrap(), "{few} were asked for {theirs} times");
    }
}

#[tokio::test]
async fn whoever_has_not_failed_is_the_first_to_see_that_an_endpoint_is_back() {
    let cases: [&[(i64, &str, bool)]; 3] = [
        &[(500, "a", false), (1_000, "a", true)],
        &[(500, "dave", false), (1_100, "a", false), (1_100, "dave", true), (1_100, "a", true)],
        // dave does not come back
        &[(500, "dave", false), (1_100, "c", false), (1_100, "a", false), (1_500, "a", true), (1_500, "dave", true)],
    ];
    for case in cases {
        let world = World::start().await;
        world.endpoint.be(down());
        for name in ["a", "b", "c"] {
            world.authorization(&caller(name, 3600)).await.unwrap_err();
        }
        assert!(world.status().open);
        world.endpoint.be(Mood::Well);
        for (ms, name, good) in case {
            world.clock.shift(*ms);
            assert_eq!(world.authorization(&caller(name, 3600)).await.is_ok(), *good, "{name} after {ms} ms of {case:?}");
        }
        assert!(!world.status().open);
    }
}

/// As with the principal of a secret: it keeps nobody else out, and is seen all the same.
#[tokio::test]
async fn an_outage_that_one_caller_alone_meets_is_seen_and_asked_about_once_a_second() {
    let world = World::start().await;
    world.endpoint.be(down());
    for now in (0..10_000).step_by(100) {
        world.clock.shift(now);
        world.authorization(&caller("alice", 3600)).await.unwrap_err();
    }
    assert!((9..=10).contains(&world.endpoint.count()), "{}", world.endpoint.count());
    assert!(world.status().degraded && !world.status().open);
    world.endpoint.be(Mood::Well);
    world.authorization(&caller("bob", 3600)).await.unwrap();
    assert!(!world.status().degraded);
}

#[tokio::test]
async fn slips_that_are_far_apart_are_no_long_outage() {
    for first in [503, 404] {
        let world = World::start().await;
        world.endpoint.be(Mood::Says(first, String::new(), None));
        world.authorization(&caller("mallory", 9_999)).await.unwrap_err();
        world.clock.shift(3_600_000);
        world.endpoint.be(down());
        for ms in [0, 30_000, 100_000] {
            world.clock.shift(3_600_000 + ms);
            let refusal = world.authorization(&caller("alice", 9_999)).await.unwrap_err();
            let age = world.clock.now_ms() - refusal.since.unwrap();
            assert!((ms - 10_000..ms + 10_000).contains(&age), "{first}: after {ms} ms it is said to last for {age} ms");
        }
    }
}
