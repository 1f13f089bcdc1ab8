//! What most tests do: start a world, ask for something, wait until an answer changes.

use std::time::Duration;

use lakegate_testkit::{
    Options, World,
    authority::Identity,
    envoy::Listener,
    issuer::TokenSpec,
    raw::{Request, Response},
    world::STAGE,
};
use tokio::time::{Instant, sleep};

/// Longer than anything that is waited for takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough for a change that must not take effect to have taken it: the watcher looks each second and lets a change settle for 100 ms.
pub(crate) const SETTLED: Duration = Duration::from_millis(2500);

/// An endpoint that alice may query from the trainer.
pub(crate) const CHURN: &str = "/serving-endpoints/churn/invocations";
/// One that she may query, and the workload alone may not.
pub(crate) const SALES: &str = "/serving-endpoints/sales/invocations";
/// One that nobody may.
pub(crate) const CLOSED: &str = "/serving-endpoints/closed/invocations";

/// A world around the binary under test.
pub(crate) fn options() -> Options {
    Options::new(env!("CARGO_BIN_EXE_lakegate"))
}

pub(crate) async fn world(options: Options) -> World {
    World::start(options).await.unwrap_or_else(|error| panic!("no world: {error}"))
}

/// A query of the serving endpoint at `target`, with a good token for alice.
pub(crate) fn query(world: &World, target: &str) -> Request {
    query_as(target, &world.corp.token(&TokenSpec::new()).unwrap())
}

pub(crate) fn query_as(target: &str, token: &str) -> Request {
    Request::new("POST", STAGE.host, target).bearer(token).json(&serde_json::json!({ "inputs": [1] }))
}

/// The answer to `request`, sent as `identity` through the listener that Istio would make.
pub(crate) async fn send_as(world: &World, identity: &Identity, request: &Request) -> Response {
    world.client(Listener::Istio, identity).unwrap().send(request).await.unwrap()
}

/// The same, sent by the trainer.
pub(crate) async fn send(world: &World, request: &Request) -> Response {
    send_as(world, &world.workloads.trainer, request).await
}

/// The status, and lakegate's reason where it refused; `OK` where the workspace answered.
pub(crate) fn outcome(answer: &Response) -> (u16, String) {
    let reason = if answer.header("x-reached").is_some() { "OK".to_owned() } else { reason(answer) };
    (answer.status, reason)
}

/// The reason in the details of a refusal; empty where there is none.
pub(crate) fn reason(answer: &Response) -> String {
    answer.json().pointer("/details/0/reason").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

/// Sends what `request` makes until its outcome is `wanted`.
pub(crate) async fn until(world: &World, wanted: (u16, &str), request: impl Fn() -> Request) -> Response {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = send(world, &request()).await;
        let have = outcome(&answer);
        if (have.0, have.1.as_str()) == wanted {
            return answer;
        }
        assert!(Instant::now() < deadline, "still {have:?}, not {wanted:?}: {}", String::from_utf8_lossy(&answer.body));
        sleep(Duration::from_millis(50)).await;
    }
}

/// The outcome of what `request` makes, once lakegate has answered it: on a busy machine a first question, for which lakegate asks others, may take
/// longer than Envoy waits.
pub(crate) async fn decided(world: &World, identity: &Identity, listener: Listener, request: impl Fn() -> Request) -> (u16, String) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = world.client(listener, identity).unwrap().send(&request()).await.unwrap();
        let have = outcome(&answer);
        if have != (503, String::new()) || Instant::now() >= deadline {
            return have;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until `/status` is as `wanted` says, and returns it.
pub(crate) async fn status_until(world: &World, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (code, text) = world.admin("/status").await.unwrap();
        assert_eq!(code, 200);
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "the status stays {text}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The value of the metric whose name and labels are `line`, where it is there.
pub(crate) async fn metric(world: &World, line: &str) -> Option<u64> {
    let (_, text) = world.admin("/metrics").await.unwrap();
    text.lines().find_map(|have| have.strip_prefix(line)?.trim().parse().ok())
}
