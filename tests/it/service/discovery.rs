//! What SDKs ask before their first call, without a token: a 429 or 503 there makes them hang for minutes.

use lakegate_testkit::{
    World,
    envoy::Listener,
    issuer::{Fault, TokenSpec},
    raw::{Client, Request, Response},
    world::STAGE,
};

use crate::asking::{SALES, options, outcome, query, send, until, world};

fn discovery() -> Request {
    Request::new("GET", STAGE.host, "/.well-known/databricks-config")
}

fn is_answer(answer: &Response) {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.json()["workspace_id"], STAGE.workspace_id);
    assert!(answer.json()["oidc_endpoint"].as_str().unwrap().contains(STAGE.host));
    assert_eq!(answer.header("x-reached"), None);
}

async fn many(world: &World, client: &Client) {
    let asked: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send(&discovery()).await.unwrap() })
        })
        .collect();
    for answer in asked {
        is_answer(&answer.await.unwrap());
    }
    assert_eq!(world.workspace.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_answered_whatever_else_fails() {
    let mut world = world(options()).await;
    for listener in [Listener::Istio, Listener::Bare] {
        for workload in [&world.workloads.trainer, &world.workloads.notebook] {
            many(&world, &world.client(listener, workload).unwrap()).await;
        }
    }
    // with a token that is bad, and with one that is not looked at
    let bad = world.corp.token(&TokenSpec::expired()).unwrap();
    is_answer(&send(&world, &discovery().bearer(&bad)).await);

    // a start while the issuers are down
    world.corp.set_fault(Some(Fault::Unavailable));
    world.other.set_fault(Some(Fault::Hang));
    world.restart_lakegate().await.unwrap();
    let client = world.client(Listener::Istio, &world.workloads.trainer).unwrap();
    until(&world, (503, "KEYS_UNAVAILABLE"), || query(&world, SALES)).await;
    many(&world, &client).await;

    // unless nobody knows the host
    let elsewhere = Request::new("GET", "other.cloud.databricks.com", "/.well-known/databricks-config");
    assert_eq!(outcome(&send(&world, &elsewhere).await), (403, "HOST_UNKNOWN".to_owned()));
    let written = Request::new("POST", STAGE.host, "/.well-known/databricks-config");
    assert_ne!(send(&world, &written).await.status, 200);
    assert_eq!(world.workspace.count(), 0);
}
