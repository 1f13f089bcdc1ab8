//! The bad days of an identity provider, while calls come in without a pause: rotation, outage, slowness, and strangers who try.
//!
//! What must hold is no matter of speed: no good call refused, no bad one let through, no more fetches of keys than there may be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use lakegate_testkit::{
    World,
    envoy::Listener,
    issuer::{Fault, OldKeys, Signature, TokenSpec},
    raw::Request,
};
use tokio::{task::JoinSet, time::sleep};

use crate::asking::{SALES, options, outcome, query_as, until, world};

const HOUR: i64 = 3600;
/// Callers that ask at once, each over a connection of its own.
const CALLERS: usize = 8;
/// Tokens of good callers; more than are asked for at once, so that known and new ones come mixed.
const TOKENS: usize = 24;
/// What strangers are answered. Whoever names an unknown key waits for the provider, who may not answer in time: that is a fault, not a decision,
/// and Envoy's own where it stops waiting first.
const UNKNOWN: &[(u16, &str)] = &[(401, "TOKEN_UNKNOWN_KEY"), (503, "DEADLINE_EXCEEDED"), (503, "")];
const FORGED: &[(u16, &str)] = &[(401, "TOKEN_BAD_SIGNATURE")];
const GARBAGE: &[(u16, &str)] = &[(401, "TOKEN_MALFORMED")];
/// How long each day lasts.
const DAY: Duration = Duration::from_millis(1500);

/// A token that must not get through, and what it may be answered.
struct Stranger {
    token: String,
    refusals: &'static [(u16, &'static str)],
}

/// Calls that go on until they are ended.
struct Storm {
    over: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
    bad: Arc<AtomicUsize>,
    callers: JoinSet<()>,
}

/// Tokens that nobody may get through with, many of them.
fn strangers(world: &World) -> Vec<Stranger> {
    let other = |spec: &TokenSpec| world.other.token(spec).unwrap();
    let corp = |spec: &TokenSpec| world.corp.token(spec).unwrap();
    let own = world.corp.url();
    let mut found = Vec::new();
    let mut add = |token, refusals| found.push(Stranger { token, refusals });
    for number in 0..TOKENS / 2 {
        add(corp(&TokenSpec::new().header("kid", format!("nobody-{number}"))), UNKNOWN);
        // signed by another issuer in the name of this one
        add(other(&TokenSpec::new().claim("iss", own).header("kid", world.corp.kid())), FORGED);
        add(corp(&TokenSpec::new().claim("n", number.to_string().as_str()).signed(Signature::Foreign)), FORGED);
        add(format!("garbage-{number}"), GARBAGE);
    }
    found
}

// === impl Storm ===

impl Storm {
    fn begin(world: &World, good: &[String], bad: Vec<Stranger>) -> Self {
        let client = world.client(Listener::Istio, &world.workloads.trainer).unwrap();
        let calls: Arc<[Request]> = good.iter().map(|token| query_as(SALES, token)).collect();
        let bad: Arc<[Stranger]> = bad.into();
        let mut storm = Self { over: Arc::default(), good: Arc::default(), bad: Arc::default(), callers: JoinSet::new() };
        for caller in 0..CALLERS {
            let (client, calls, bad, over) = (client.clone(), Arc::clone(&calls), Arc::clone(&bad), Arc::clone(&storm.over));
            let (good_count, bad_count) = (Arc::clone(&storm.good), Arc::clone(&storm.bad));
            storm.callers.spawn(async move {
                let mut connection = client.connect().await.unwrap();
                for number in (caller..).step_by(CALLERS) {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    // three good calls to one bad
                    if number / CALLERS % 4 == 3 {
                        let Stranger { token, refusals } = &bad[number % bad.len()];
                        let (status, reason) = outcome(&connection.send(&query_as(SALES, token)).await.unwrap());
                        assert!(refusals.contains(&(status, reason.as_str())), "a stranger got {status} {reason}, not one of {refusals:?}");
                        bad_count.fetch_add(1, Ordering::Relaxed);
                    } else {
                        let answer = connection.send(&calls[number % calls.len()]).await.unwrap();
                        assert_eq!(outcome(&answer), (200, "OK".to_owned()), "{}", String::from_utf8_lossy(&answer.body));
                        good_count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        storm
    }

    /// Lets it go on for a while, in which each caller must have been answered and keys were fetched no oftener than they may be: once for the leap of the
    /// clock that begins the day, once for an unknown key, and once more after a failure.
    async fn day(&mut self, world: &World) {
        let fetches = world.corp.fetches();
        let before = (self.good.load(Ordering::Relaxed), self.bad.load(Ordering::Relaxed));
        sleep(DAY).await;
        if let Some(ended) = self.callers.try_join_next() {
            ended.unwrap();
        }
        assert!(self.good.load(Ordering::Relaxed) > before.0 + CALLERS && self.bad.load(Ordering::Relaxed) > before.1, "hardly a call was answered");
        let fetches = world.corp.fetches() - fetches;
        assert!(fetches <= 3, "{fetches} fetches in {DAY:?}");
    }

    async fn end(mut self) -> (usize, usize) {
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        (self.good.load(Ordering::Relaxed), self.bad.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_rotates_hangs_fails_and_comes_back_is_noticed_by_no_caller_but_strangers() {
    let world = world(options().test_clock()).await;
    let token = |number: usize| world.corp.token(&TokenSpec::new().claim("n", number.to_string().as_str()).expires_in(6 * HOUR)).unwrap();
    let mut tokens: Vec<String> = (0..TOKENS / 2).map(token).collect();
    until(&world, (200, "OK"), || query_as(SALES, &tokens[0])).await;
    let strangers = strangers(&world);
    // the next key is published before it signs, as providers do, and is known a minute later
    world.corp.rotate(OldKeys::Keep).unwrap();
    world.move_clock(61).unwrap();
    tokens.extend((TOKENS / 2..TOKENS).map(token));
    until(&world, (200, "OK"), || query_as(SALES, &tokens[TOKENS - 1])).await;
    let started = std::time::Instant::now();
    let mut storm = Storm::begin(&world, &tokens, strangers);
    storm.day(&world).await;
    // (what goes wrong, the clock after it)
    let days = [(Some(Fault::Unavailable), 200), (Some(Fault::Garbage), 900), (None, 1000), (Some(Fault::NoKeys), 1800), (Some(Fault::Hang), 2400)];
    for (fault, clock) in days {
        world.corp.set_fault(fault);
        world.move_clock(clock).unwrap();
        storm.day(&world).await;
    }
    let (good, bad) = storm.end().await;
    let seconds = started.elapsed().as_secs_f64();
    println!("{good} good and {bad} bad calls in {seconds:.1} s: {:.0} a second", f64::from(u32::try_from(good + bad).unwrap()) / seconds);
    world.corp.set_fault(None);
    // a key that is withdrawn is worth nothing a minute later, for tokens that are known too
    world.corp.rotate(OldKeys::Withdraw).unwrap();
    world.move_clock(2600).unwrap();
    until(&world, (401, "TOKEN_UNKNOWN_KEY"), || query_as(SALES, &tokens[0])).await;
    let fresh = world.corp.token(&TokenSpec::new().expires_in(6 * HOUR)).unwrap();
    until(&world, (200, "OK"), || query_as(SALES, &fresh)).await;
}
