//! How it ends: asked to, under load, or killed outright.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lakegate_testkit::{
    envoy::Listener,
    issuer::{Fault, TokenSpec},
    process::Signal,
    raw::{Client, Request},
};
use tokio::time::{Instant, sleep};

use crate::asking::{CHURN, CLOSED, PATIENCE, SALES, metric, options, outcome, query, query_as, send, until, world};

/// Sends one request after the other until told to stop, and returns every outcome.
fn load(client: Client, request: Request, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<Vec<(u16, String)>> {
    tokio::spawn(async move {
        let mut outcomes = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            outcomes.push(client.send(&request).await.map_or_else(|error| (0, error.to_string()), |answer| outcome(&answer)));
        }
        outcomes
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_under_load_without_a_wrong_answer() {
    let mut world = world(options()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let client = world.client(Listener::Istio, &world.workloads.trainer).unwrap();
    let tasks: Vec<_> =
        [CLOSED, SALES, CLOSED, CHURN].into_iter().map(|target| (target, load(client.clone(), query(&world, target), Arc::clone(&stop)))).collect();
    sleep(Duration::from_millis(700)).await;
    let started = Instant::now();
    let process = world.lakegate().process();
    process.signal(Signal::TERM).unwrap();
    let status = process.wait(Duration::from_secs(20)).await.unwrap();
    let took = started.elapsed();
    sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    assert_eq!(status.code(), Some(0), "{}", world.lakegate().output());
    assert!(took < Duration::from_secs(12), "{took:?}");
    let (mut allowed, mut decided) = (0, 0);
    for (target, task) in tasks {
        for have in task.await.unwrap() {
            let right = if target == CLOSED { (403, "POLICY_FORBIDS".to_owned()) } else { (200, "OK".to_owned()) };
            // an empty 503 is the gateway's, once nobody is left to ask
            assert!(have == right || have == (503, String::new()), "{target}: {have:?}");
            decided += usize::from(have == right);
            allowed += usize::from(have.0 == 200);
        }
    }
    assert!(decided > 20, "{decided}");
    assert_eq!(world.workspace.count(), allowed);
    let records = world.audit.records().unwrap();
    assert_eq!(records.iter().filter(|record| record["decision"] == "aborted").count(), 0);
    // each answer has its record; a gateway that gave up on a question may have left one more
    assert!((decided..=decided + 4).contains(&records.len()), "{} records for {decided} answers", records.len());

    world.start_lakegate().await.unwrap();
    until(&world, (200, "OK"), || query(&world, SALES)).await;
}

/// A question that waits for an issuer when the end comes is answered all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_answered() {
    let mut world = world(options()).await;
    until(&world, (200, "OK"), || query(&world, SALES)).await;
    // Not one that hangs: Envoy, which waits no longer than lakegate does, may be the first to give up.
    world.corp.set_fault(Some(Fault::Slow));
    let client = world.client(Listener::Istio, &world.workloads.trainer).unwrap();
    let waiting: Vec<_> = (0..5)
        .map(|number| {
            let token = world.corp.token(&TokenSpec::new().header("kid", format!("unknown-{number}"))).unwrap();
            let (client, request) = (client.clone(), query_as(SALES, &token));
            tokio::spawn(async move { client.send(&request).await })
        })
        .collect();
    let deadline = Instant::now() + PATIENCE;
    while metric(&world, "lakegate_checks_in_flight").await != Some(5) {
        assert!(Instant::now() < deadline, "lakegate does not have five checks at a time");
    }
    world.lakegate().process().signal(Signal::TERM).unwrap();
    for answer in waiting {
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.json()["details"][0]["domain"], "lakegate", "{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    let status = world.lakegate().process().wait(Duration::from_secs(20)).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(world.workspace.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_unready_before_it_is_gone() {
    let mut world = world(options()).await;
    assert_eq!((world.admin("/readyz").await.unwrap().0, world.admin("/livez").await.unwrap().0), (200, 200));
    world.lakegate().process().signal(Signal::TERM).unwrap();
    let mut unready = false;
    while world.lakegate().process().ended().unwrap().is_none() {
        unready |= world.admin("/readyz").await.is_ok_and(|(code, _)| code == 503);
        sleep(Duration::from_millis(5)).await;
    }
    assert!(unready);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_it_lets_nothing_through_and_comes_back() {
    let mut world = world(options()).await;
    until(&world, (200, "OK"), || query(&world, SALES)).await;
    let process = world.lakegate().process();
    process.signal(Signal::KILL).unwrap();
    process.wait(Duration::from_secs(20)).await.unwrap();
    let before = world.workspace.count();
    for listener in [Listener::Istio, Listener::Bare] {
        let client = world.client(listener, &world.workloads.trainer).unwrap();
        for target in [SALES, CLOSED, "/.well-known/databricks-config"] {
            assert_eq!(outcome(&client.send(&query(&world, target)).await.unwrap()), (503, String::new()), "{target}");
        }
    }
    assert_eq!(world.workspace.count(), before);
    world.start_lakegate().await.unwrap();
    until(&world, (200, "OK"), || query(&world, SALES)).await;
    assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await), (403, "POLICY_FORBIDS".to_owned()));
}
