//! Many exchanges at once: what waits for what, what is turned away, and what is left behind.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::join_all};
use tokio::{net::TcpListener, runtime::Builder};

use super::{
    caller::{World, caller, sought, wanted},
    endpoint::Mood,
};
use crate::{
    broker::Exchange,
    model::{Caller, Reason},
    net::Endpoint,
};

/// The places of one endpoint, and how many exchanges may be under way or wait there and in all.
const PLACES: u32 = 64;
const AT_ONE: usize = 1024;
const IN_ALL: usize = 4096;

fn crowd(count: usize) -> Vec<Caller> {
    (0..count).map(|number| caller(&format!("caller-{number}"), 3600)).collect()
}

/// Whether an exchange sets out for this caller; what it says where none does.
fn sets_out(world: &World, exchange: &Arc<Exchange>, who: &Caller) -> Result<(), String> {
    let wanted = wanted(who, Some("t"));
    match world.desk.fetch(&sought(exchange, &world.target, &wanted).unwrap()).now_or_never() {
        None => Ok(()),
        Some(ended) => Err(ended.unwrap_err().detail.into_owned()),
    }
}

#[tokio::test]
async fn an_exchange_that_ends_between_two_looks_is_not_made_again() {
    let world = World::start().await;
    let alice = caller("alice", 3600);
    let wanted = wanted(&alice, Some("t"));
    let sought = sought(&world.exchange, &world.target, &wanted).unwrap();
    assert!(world.desk.at_hand(&sought).is_none());
    // Before this one looks for an exchange under way, another's comes back.
    let had = world.authorization(&alice).await.unwrap();
    let minted = world.desk.fetch(&sought).await.unwrap();
    assert_eq!((minted.value().to_vec(), world.endpoint.count()), (had, 1));
}

#[tokio::test]
async fn a_queue_is_nobodys_fault_and_has_an_end() {
    let world = World::start().await;
    let counter = world.desk.counter(&world.exchange.endpoint);
    let places = counter.places.acquire_many(PLACES).await.unwrap();
    let callers = crowd(AT_ONE + 1);
    for who in &callers[..AT_ONE] {
        sets_out(&world, &world.exchange, who).unwrap();
    }
    assert!(sets_out(&world, &world.exchange, &callers[AT_ONE]).unwrap_err().contains("too many"));
    let refusal = world.authorization(&callers[0]).await.unwrap_err();
    assert_eq!((refusal.reason, refusal.since, world.endpoint.count()), (Reason::CredentialUnavailable, None, 0));
    while world.desk.is_busy() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = world.status();
    assert_eq!((status.open, status.degraded, status.failing_since, status.last_error), (false, false, None, None));
    let counters = world.desk.metrics.exchanges_of(&world.target.name);
    assert_eq!((counters.shed.get(), counters.failed.get()), (1 + u64::try_from(AT_ONE).unwrap(), 0));
    drop(places);
    world.authorization(&callers[AT_ONE]).await.unwrap();
    assert!(!world.desk.is_busy());
}

#[tokio::test]
async fn one_endpoint_that_hangs_leaves_room_for_others_up_to_a_bound() {
    let world = World::start().await;
    let callers = crowd(AT_ONE + 1);
    let mut room = IN_ALL;
    for number in 0.. {
        let endpoint = Endpoint::parse(&format!("https://hangs-{number}.example/token")).unwrap();
        let counter = world.desk.counter(&endpoint);
        counter.places.acquire_many(PLACES).await.unwrap().forget();
        let exchange = Arc::new(Exchange { endpoint, ..Exchange::clone(&world.exchange) });
        let fits = room.min(AT_ONE);
        for who in &callers[..fits] {
            sets_out(&world, &exchange, who).unwrap();
        }
        assert!(sets_out(&world, &exchange, &callers[fits]).unwrap_err().contains("too many"), "{number}");
        room -= fits;
        if room == 0 {
            break;
        }
        let alice = caller(&format!("alice-{number}"), 3600);
        world.authorization(&alice).await.unwrap();
    }
    assert!(sets_out(&world, &world.exchange, &caller("bob", 3600)).unwrap_err().contains("too many"));
}

#[tokio::test]
async fn whoever_has_waited_for_a_place_looks_again_whether_it_may_ask() {
    // After how many the endpoint is left alone.
    for (retry_after, asked) in [(Some(7), 1), (None, 3)] {
        let world = World::start().await;
        let counter = world.desk.counter(&world.exchange.endpoint);
        let mut places = counter.places.acquire_many(PLACES).await.unwrap();
        world.endpoint.be(Mood::Says(503, String::new(), retry_after));
        let callers = crowd(10);
        let all = join_all(callers.iter().map(|caller| world.authorization(caller)));
        let one_at_a_time = async {
            tokio::task::yield_now().await;
            drop(places.split(1));
        };
        let (all, ()) = tokio::join!(all, one_at_a_time);
        assert!(all.into_iter().all(|result| result.is_err()));
        assert_eq!(world.endpoint.count(), asked, "{retry_after:?}");
        let counters = world.desk.metrics.exchanges_of(&world.target.name);
        assert_eq!((counters.failed.get(), counters.shed.get()), (asked as u64, 10 - asked as u64));
    }
}

#[tokio::test]
async fn second_tries_are_few_among_all() {
    let (listener, connections) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(AtomicUsize::new(0)));
    let endpoint = Endpoint::parse(&format!("http://{}/oidc/v1/token", listener.local_addr().unwrap())).unwrap();
    let world = World::with(|exchange| exchange.endpoint = endpoint).await;
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(connection);
        }
    });
    let callers = crowd(100);
    for (who, second) in callers.iter().zip(0..) {
        // One that is left alone is tried once a second.
        world.clock.shift(second * 1_100);
        world.authorization(who).await.unwrap_err();
    }
    let again = connections.load(Ordering::Relaxed) - callers.len();
    assert!((1..=60).contains(&again), "{again} second tries of {}", callers.len());
}

#[test]
fn an_exchange_that_dies_leaves_nothing_behind() {
    let lasting = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = lasting.block_on(World::start());
    let alice = caller("alice", 3600);
    let dying = Builder::new_current_thread().enable_all().build().unwrap();
    dying.block_on(async { sets_out(&world, &world.exchange, &alice).unwrap() });
    assert!(world.desk.is_busy());
    drop(dying);
    assert!(!world.desk.is_busy());
    lasting.block_on(world.authorization(&alice)).unwrap();
}
