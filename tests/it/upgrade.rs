//! Upgrades through a real Envoy: each is decided as the action that it is, and refused wherever no entry of the catalog takes one.

use lakegate_testkit::{World, envoy::Listener, issuer::TokenSpec, raw::Request, world::STAGE};
use serde_json::json;

use crate::asking::{PATIENCE, options, outcome, world};

const SERVICE: &str = "live.svc";

const POLICIES: &str = r#"
@id("driver") permit (principal in Group::"corp/ml-engineers", action == Action::"driver_proxy.request", resource == Cluster::"stage/0123-abc");
@id("feed") permit (principal in Group::"corp/ml-engineers", action == Action::"http.websocket", resource in HttpPath::"live//feed");
@id("pages") permit (principal in Group::"corp/ml-engineers", action == Action::"http.get", resource in Service::"live");
@id("jobs") permit (principal in Group::"corp/ml-engineers", action == Action::"jobs.list", resource in Environment::"staging");
"#;

/// Method, host, path, whether it asks for a WebSocket, what comes of it, and the action in its record.
struct Case(&'static str, &'static str, &'static str, bool, (u16, &'static str), &'static str);

const CASES: [Case; 10] = [
    // the driver of a cluster
    Case("GET", STAGE.host, "/driver-proxy-api/o/1111111111111111/0123-abc/8080/ws", true, (101, "OK"), "driver_proxy.request"),
    Case("GET", STAGE.host, "/driver-proxy-api/o/1111111111111111/9999-xyz/8080/ws", true, (403, "POLICY_NO_PERMIT"), "driver_proxy.request"),
    Case("GET", STAGE.host, "/driver-proxy-api/o/2222222222222222/0123-abc/8080/ws", true, (400, "WORKSPACE_AMBIGUOUS"), ""),
    // a service where the switch is an action of its own: who may read may not switch, and the other way round
    Case("GET", SERVICE, "/feed/prices", true, (101, "OK"), "http.websocket"),
    Case("GET", SERVICE, "/pages", true, (403, "POLICY_NO_PERMIT"), "http.websocket"),
    Case("GET", SERVICE, "/pages", false, (404, "OK"), "http.get"),
    // paths that take none, however much their calls are allowed
    Case("GET", STAGE.host, "/api/2.2/jobs/list", false, (200, "OK"), "jobs.list"),
    Case("GET", STAGE.host, "/api/2.2/jobs/list", true, (403, "UPGRADE_REFUSED"), ""),
    Case("POST", STAGE.host, "/driver-proxy-api/o/1111111111111111/0123-abc/8080/ws", true, (403, "UPGRADE_REFUSED"), ""),
    Case("GET", STAGE.host, "/nowhere", true, (403, "UPGRADE_REFUSED"), ""),
];

// === impl Case ===

impl Case {
    fn request(&self, token: &str) -> Request {
        let Self(method, host, path, switches, ..) = *self;
        let request = Request::new(method, host, path).bearer(token);
        if !switches {
            return request;
        }
        let request = request.header("Connection", "Upgrade").header("Upgrade", "websocket");
        request.header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").header("Sec-WebSocket-Version", "13")
    }

    /// How it was answered otherwise than it should be, or reached the workspace although it was refused, or did not.
    async fn fault(&self, world: &World, listener: Listener, token: &str) -> Option<String> {
        let Self(method, host, path, switches, wanted, _) = *self;
        let before = world.workspace.count();
        let answer = world.client(listener, &world.workloads.trainer).unwrap().send(&self.request(token)).await.unwrap();
        let have = outcome(&answer);
        let reached = world.workspace.reached().split_off(before);
        let arrived = match reached.as_slice() {
            [] => have.1 != "OK",
            [one] => have.1 == "OK" && one.target == path && one.header("upgrade").is_some() == switches,
            _ => false,
        };
        let right = arrived && (have.0, have.1.as_str()) == wanted && (have.0 == 101) == (answer.header("upgrade") == Some("websocket"));
        (!right).then(|| format!("{method} {host}{path} ({}, upgrade: {switches}): {have:?}, not {wanted:?}; {reached:?}", listener.name()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_decided_as_what_it_is() {
    let service = json!([{ "name": "live", "hosts": [SERVICE], "environment": "staging", "catalog": "generic" }]);
    let world = world(options().policies(&[("upgrades.cedar", POLICIES)]).configure(move |config| config["services"] = service.clone())).await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let (mut wrong, mut actions) = (Vec::new(), Vec::new());
    for listener in [Listener::Istio, Listener::Bare] {
        for case in &CASES {
            wrong.extend(case.fault(&world, listener, &token).await);
            actions.push(case.5);
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    let written = world.audit.wait_for(PATIENCE, |_| world.audit.records().is_ok_and(|records| records.len() >= actions.len())).await;
    let records = world.audit.records().unwrap();
    assert!(written.is_ok() && records.len() == actions.len(), "{} records", records.len());
    let recorded: Vec<_> = records.iter().map(|record| record["action"].as_str().unwrap_or_default()).collect();
    assert_eq!(recorded, actions);
}
