//! Who calls, by who asks; and which workload may present whose tokens: through real Envoys that ask as different proxies.

use std::{fs, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lakegate_testkit::{
    World,
    authority::{Identity, Names, spiffe_id},
    envoy::{Asks, Envoy, Gateway, Listener, TUNNEL_PEER},
    issuer::TokenSpec,
    raw::{Client, Request, Response},
    world::STAGE,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::asking::{PATIENCE, SALES, options, outcome, query, query_as, send, send_as, world};

const XFCC: &str = "x-forwarded-client-cert";

/// A mesh in which four proxies ask lakegate, each believed otherwise.
struct Mesh {
    world: World,
    /// Asks as `istio-egress/waypoint`: XFCC.
    waypoint: Envoy,
    waypoint_identity: Identity,
    /// Asks as `istio-ingress/gateway`: `source.principal`, and XFCC for the certificate.
    ingress: Envoy,
    /// Asks as `ml-staging/trainer`: the connection.
    sidecar: Envoy,
    sidecar_identity: Identity,
}

// === impl Mesh ===

impl Mesh {
    async fn start() -> Self {
        let world = world(options().check_tls().configure(|config| {
            let sidecars = "spiffe://cluster.local/ns/ml-staging/sa/*";
            let (gateway, waypoint, ingress) =
                (spiffe_id("istio-egress", "egress"), spiffe_id("istio-egress", "waypoint"), "spiffe://cluster.local/ns/istio-ingress/sa/*");
            config["listen"]["tls"]["allow"] = json!([gateway, waypoint, ingress, sidecars]);
            config["peers"]["proxies"] = json!([
                { "spiffe": gateway, "source": "principal" },
                { "spiffe": waypoint, "source": "xfcc" },
                { "spiffe": ingress, "source": "principal", "writes_xfcc": true },
                { "spiffe": sidecars, "source": "connection" },
            ]);
        }))
        .await;
        // clients ask the doors for the workspace's own name
        let identity = |name: &str, id: &str| world.authority.issue(name, &Names { dns: vec![STAGE.host.to_owned()], ..Names::uri(id) }).unwrap();
        let waypoint_identity = identity("waypoint", &spiffe_id("istio-egress", "waypoint"));
        let ingress_identity = identity("ingress", &spiffe_id("istio-ingress", "gateway"));
        let sidecar_identity = identity("sidecar", world.workloads.trainer.uri());
        let waypoint = asking_as(&world, "waypoint", &waypoint_identity).await;
        let ingress = asking_as(&world, "ingress", &ingress_identity).await;
        let sidecar = asking_as(&world, "sidecar", &sidecar_identity).await;
        Self { world, waypoint, waypoint_identity, ingress, sidecar, sidecar_identity }
    }

    /// The answer through a door of `envoy`, to `identity` where the door asks for one.
    async fn through(&self, envoy: &Envoy, door: Listener, identity: &Identity, request: &Request) -> Response {
        let port = envoy.port(door).unwrap();
        let client = match door {
            Listener::Plain | Listener::Waypoint => Client::plain(port),
            _ => Client::mtls(port, &self.world.authority, identity, STAGE.host).unwrap(),
        };
        client.send(request).await.unwrap()
    }

    /// Waits until the last record is of a call of `peer`.
    async fn recorded(&self, peer: &str) {
        last_record(&self.world, |record| record["peer"] == peer).await;
    }
}

/// The last record, once it is as `wanted` says: the writer is a moment behind the answers.
async fn last_record(world: &World, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let last = world.audit.records().unwrap().pop().unwrap_or_default();
        if wanted(&last) {
            return last;
        }
        assert!(Instant::now() < deadline, "the last record stays {last}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn asking_as(world: &World, name: &str, identity: &Identity) -> Envoy {
    let folder = world.folder().join(name);
    fs::create_dir(&folder).unwrap();
    let asks = Asks::Tls(Some(identity));
    let gateway = Gateway { identity, ca_file: world.authority.ca_file(), check: world.check_port(), asks, workspace: world.workspace.port() };
    Envoy::gateway(&Envoy::installed(), &folder, &gateway).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_proxy_is_believed_as_it_is_configured() {
    let mesh = Mesh::start().await;
    let world = &mesh.world;
    let (trainer, notebook) = (&world.workloads.trainer, &world.workloads.notebook);
    let ok = (200, "OK".to_owned());
    let refused = |status: u16, reason: &str| (status, reason.to_owned());
    let ask = || query(world, SALES);
    let forged = |by: &str| ask().header(XFCC, format!("By={by};Hash={};URI={}", "0".repeat(64), trainer.uri()));
    let tunnelled = |peer: &str| ask().header(TUNNEL_PEER, peer);

    // the gateway: source.principal, and no header counts
    let gateway = spiffe_id("istio-egress", "egress");
    assert_eq!(outcome(&send(world, &ask()).await), ok);
    mesh.recorded(trainer.uri()).await;
    assert_eq!(outcome(&send_as(world, notebook, &forged(&gateway)).await), refused(403, "POLICY_NO_PERMIT"));
    mesh.recorded(notebook.uri()).await;
    let plain = world.client(Listener::Plain, notebook).unwrap();
    assert_eq!(outcome(&plain.send(&forged(&gateway)).await.unwrap()), refused(401, "PEER_MISSING"));
    let inner = world.client(Listener::Waypoint, notebook).unwrap();
    assert_eq!(outcome(&inner.send(&tunnelled(trainer.uri())).await.unwrap()), refused(401, "PEER_MISSING"), "XFCC of who is not configured for it");

    // the waypoint: XFCC, which it overwrites; source.principal is empty
    let through_waypoint = async |request: Request| outcome(&mesh.through(&mesh.waypoint, Listener::Waypoint, notebook, &request).await);
    assert_eq!(through_waypoint(tunnelled(trainer.uri())).await, ok);
    mesh.recorded(trainer.uri()).await;
    let by_waypoint = forged(mesh.waypoint_identity.uri()).header(TUNNEL_PEER, notebook.uri());
    assert_eq!(through_waypoint(by_waypoint).await, refused(403, "POLICY_NO_PERMIT"));
    mesh.recorded(notebook.uri()).await;
    for odd in ["", "spiffe://evil.example/ns/ml-staging/sa/trainer", "a,URI=b", "\"", "a;URI=b"] {
        assert_eq!(through_waypoint(tunnelled(odd)).await, refused(401, "PEER_INVALID"), "{odd}");
    }
    // one that appends: the caller's own elements stand before
    let appended =
        async |identity: &Identity, request: Request| outcome(&mesh.through(&mesh.waypoint, Listener::Appending, identity, &request).await);
    assert_eq!(appended(trainer, ask()).await, ok);
    assert_eq!(appended(trainer, ask().header(XFCC, "By=x;URI=y").header(XFCC, "By=z;URI=y")).await, ok);
    assert_eq!(appended(notebook, forged(mesh.waypoint_identity.uri())).await, refused(403, "POLICY_NO_PERMIT"));
    assert_eq!(appended(notebook, ask().header(XFCC, format!("URI={};Subject=\"", trainer.uri()))).await, refused(401, "PEER_INVALID"));

    // the sidecar: it is the workload, whatever it says of who calls it
    let through_sidecar = async |door, request: Request| outcome(&mesh.through(&mesh.sidecar, door, notebook, &request).await);
    assert_eq!(through_sidecar(Listener::Plain, forged(notebook.uri())).await, ok);
    mesh.recorded(trainer.uri()).await;
    assert_eq!(through_sidecar(Listener::Istio, ask()).await, ok);

    // the gateway behind the waypoint: whose call it was is lost
    let lost = send_as(world, &mesh.waypoint_identity, &ask()).await;
    assert_eq!(outcome(&lost), refused(401, "PEER_INVALID"));
    let message = lost.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("is that of a proxy") && message.contains("have that proxy ask lakegate"), "{message}");
}

/// RFC 8705: what is bound to a certificate is worth something to its holder alone, where a proxy that is believed says who that is.
#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_needs_its_certificate() {
    let mesh = Mesh::start().await;
    let world = &mesh.world;
    let (trainer, notebook) = (&world.workloads.trainer, &world.workloads.notebook);
    let thumbprint = |identity: &Identity| URL_SAFE_NO_PAD.encode(digest(&SHA256, &identity.certificate()));
    let hex =
        |identity: &Identity| digest(&SHA256, &identity.certificate()).as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let bound = |identity: &Identity| {
        query_as(SALES, &world.corp.token(&TokenSpec::new().claim("cnf", json!({ "x5t#S256": thumbprint(identity) }))).unwrap())
    };
    let token = bound(trainer);
    let ok = (200, "OK".to_owned());
    let (missing, invalid) = ((401, "PROOF_MISSING".to_owned()), (401, "PROOF_INVALID".to_owned()));
    // the same workload, with the certificate that it had before
    let before = world.authority.issue("trainer-before", &Names::uri(trainer.uri())).unwrap();
    let gateway = async |door, identity: &Identity, request: &Request| outcome(&world.client(door, identity).unwrap().send(request).await.unwrap());

    // by `source.certificate`, where Envoy is told to send it
    assert_eq!(gateway(Listener::Bare, trainer, &token).await, ok);
    assert_eq!(gateway(Listener::Bare, &before, &token).await, invalid);
    assert_eq!(gateway(Listener::Bare, notebook, &token).await, invalid);
    // as Istio has it there is none, and this gateway's XFCC is not believed
    assert_eq!(gateway(Listener::Istio, trainer, &token).await, missing);
    assert_eq!(gateway(Listener::Istio, trainer, &query(world, SALES)).await, ok, "a bearer token needs no proof");

    // by the `Hash` that Envoy itself writes
    let forged = token.clone().header(XFCC, format!("By={};Hash={};URI={}", spiffe_id("istio-ingress", "gateway"), hex(trainer), trainer.uri()));
    for door in [Listener::Istio, Listener::Appending] {
        let ingress = async |identity: &Identity, request: &Request| outcome(&mesh.through(&mesh.ingress, door, identity, request).await);
        assert_eq!(ingress(trainer, &token).await, ok);
        assert_eq!(ingress(&before, &token).await, invalid);
        assert_eq!(ingress(&before, &forged).await, invalid);
        assert_eq!(ingress(notebook, &forged).await, invalid);
    }
    let waypoint = async |door, identity: &Identity, request: &Request| outcome(&mesh.through(&mesh.waypoint, door, identity, request).await);
    assert_eq!(waypoint(Listener::Istio, trainer, &token).await, ok);
    assert_eq!(waypoint(Listener::Istio, &before, &token).await, invalid);
    assert_eq!(waypoint(Listener::Waypoint, trainer, &token.clone().header(TUNNEL_PEER, trainer.uri())).await, missing);

    // by the connection itself
    let sidecar = async |request: &Request| outcome(&mesh.through(&mesh.sidecar, Listener::Plain, trainer, request).await);
    assert_eq!(sidecar(&bound(&mesh.sidecar_identity)).await, ok);
    assert_eq!(sidecar(&token).await, invalid, "whoever calls the sidecar");
    assert_eq!(sidecar(&bound(notebook)).await, invalid);
}

/// Whoever reads the record learns whose a refused token is, and where it belongs; what is known of it there.
async fn known_to_auditors(world: &World, refused: &Response, good: &str) -> Value {
    let record = world.audit.decision(refused.header("x-lakegate-decision").unwrap(), PATIENCE).await.unwrap();
    assert_eq!((&record["principal"], &record["user_identity"], &record["session_id"]), (&Value::Null, &Value::Null, &Value::Null), "{record}");
    assert!(record["detail"].as_str().unwrap().contains("`spiffe://cluster.local/ns/ml-staging/sa/*` alone"), "{record}");
    let sha256 = |token: &str| digest(&SHA256, token.as_bytes()).as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let stolen_token = record["refused_token"].clone();
    assert_eq!((&stolen_token["issuer"], &stolen_token["subject_name"]), (&json!("corp"), &json!("alice")), "{record}");
    assert_eq!(stolen_token["token_digest"].as_str(), sha256(good).get(..16), "{record}");
    assert!(stolen_token["expires_at"].is_i64() && stolen_token["revocation_id"].is_null() && !record.to_string().contains(good), "{record}");
    let admitted = world.audit.wait_for(PATIENCE, |record| record["decision"] == "allow").await.unwrap();
    assert_eq!((&admitted["user_identity"]["token_digest"], &admitted["refused_token"]), (&stolen_token["token_digest"], &Value::Null));
    let why = world.run(&["why", record["event_id"].as_str().unwrap(), "--audit", "audit.jsonl"]).await.unwrap();
    assert!(String::from_utf8_lossy(&why.stdout).contains("subject_name alice"), "{why:?}");
    let replayed = world.run(&["replay", "--config", "lakegate.yaml", "audit.jsonl", "--output", "json"]).await.unwrap();
    assert!(String::from_utf8_lossy(&replayed.stdout).contains("before_policies"), "{replayed:?}");
    stolen_token
}

/// `lakegate token` and `lakegate explain` call the same things the same.
fn in_the_same_words(told: &Value, explained: &Value) {
    for (key, where_explained) in [
        ("subject_name", "/user_identity/subject_name"),
        ("token_id", "/user_identity/token_id"),
        ("token_digest", "/user_identity/token_digest"),
        ("client", "/user_identity/client"),
        ("session_id", "/session_id"),
        ("principal", "/principal"),
        ("actor", "/actor"),
        ("purpose", "/purpose"),
        ("aud", "/token/aud"),
        ("peers", "/token/peers"),
        ("bound_to", "/token/bound_to"),
    ] {
        assert_eq!((told.get(key).is_some(), explained.pointer(where_explained)), (true, told.get(key)), "{key}: {told} {explained}");
    }
}

/// A token that was stolen into another pod is worth nothing there, whether lakegate has seen it before or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_token_is_worth_nothing_in_another_pod() {
    let world = world(options().configure(|config| {
        config["issuers"][0]["bindings"] = json!([
            { "when": { "team": ["ml-staging", "ml-prod", "*", "../dev", "dev/sa/x"] }, "peers": ["spiffe://cluster.local/ns/{team}/sa/*"] },
            { "when": { "kind": "service-principal" }, "peers": ["spiffe://old.example/ns/ci/sa/{azp}"] },
        ]);
        config["issuers"][1].as_object_mut().unwrap().remove("bindings");
        config["peers"]["aliases"] = json!({ "old.example": "cluster.local" });
    }))
    .await;
    let (trainer, notebook) = (&world.workloads.trainer, &world.workloads.notebook);
    let token = |team: Value| world.corp.token(&TokenSpec::new().claim("team", team)).unwrap();
    let (good, ok) = (token(json!("ml-staging")), (200, "OK".to_owned()));
    let stolen = (401, "TOKEN_NOT_FOR_PEER".to_owned());
    let reached = || world.workspace.count();

    let first = token(json!("ml-staging"));
    assert_eq!(outcome(&send_as(&world, notebook, &query_as(SALES, &first)).await), stolen, "not seen before");
    assert_eq!((outcome(&send_as(&world, trainer, &query_as(SALES, &good)).await), reached()), (ok.clone(), 1));
    let refused = send_as(&world, notebook, &query_as(SALES, &good)).await;
    assert_eq!((outcome(&refused), reached()), (stolen.clone(), 1), "seen before");
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    for part in ["bound to another workload than `spiffe://cluster.local/ns/dev/sa/notebook`", "get one for this workload"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!String::from_utf8_lossy(&refused.body).contains("ml-staging"), "whoever stole it learns where it is good: {message}");
    let stolen_token = &known_to_auditors(&world, &refused, &good).await;
    assert_eq!(outcome(&send_as(&world, trainer, &query_as(SALES, &first)).await), ok);
    for team in [json!("*"), json!("../dev"), json!("dev/sa/x"), json!("sales"), json!(7), json!(["dev", "x"]), Value::Null] {
        let token = token(team.clone());
        for identity in [trainer, notebook] {
            assert_eq!(outcome(&send_as(&world, identity, &query_as(SALES, &token)).await), stolen, "{team}");
        }
    }
    // an old name of the trust domain is the same workload, for bindings and policies; the record has both names
    let old = world.authority.issue("old", &Names::uri("spiffe://old.example/ns/ml-staging/sa/trainer")).unwrap();
    assert_eq!(outcome(&send_as(&world, &old, &query_as(SALES, &good)).await), ok);
    let record = last_record(&world, |record| !record["peer_presented"].is_null()).await;
    assert_eq!((&record["peer"], &record["peer_presented"]), (&json!(trainer.uri()), &json!(old.uri())));

    // what tells of tokens obeys too
    fs::write(world.folder().join("token"), &good).unwrap();
    let program = json!({ "iss": world.corp.url(), "aud": "lakegate", "sub": "p", "azp": "p", "groups": [], "exp": 4_000_000_000_u64 });
    fs::write(world.folder().join("claims.json"), program.to_string()).unwrap();
    let run = async |arguments: &[&str]| {
        let output = world.run(&[arguments, &["--config", "lakegate.yaml"]].concat()).await.unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, told) = run(&["token", "--token-file", "token"]).await;
    assert!(code == 0 && told.contains("peers        [\"spiffe://cluster.local/ns/ml-staging/sa/*\"]"), "{code} {told}");
    assert_eq!(run(&["token", "--token-file", "token", "--peer", trainer.uri()]).await.0, 0);
    let (code, told) = run(&["token", "--token-file", "token", "--peer", notebook.uri()]).await;
    assert!(code != 0 && told.contains("TOKEN_NOT_FOR_PEER") && told.contains("ml-staging/sa/*` alone"), "{code} {told}");
    let (_, told) = run(&["token", "--token-file", "token", "--output", "json"]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let url = format!("https://{}{SALES}", STAGE.host);
    let asked = ["explain", "--token-file", "token", "--peer", trainer.uri(), "--method", "POST", "--url", &url, "--body", "{}", "--output", "json"];
    let explained: Value = serde_json::from_str(&run(&asked).await.1).unwrap();
    in_the_same_words(&told, &explained);
    assert_eq!((&told["aud"], &told["token_digest"]), (&json!(["lakegate"]), &stolen_token["token_digest"]), "{told}");
    let url = format!("https://{}{SALES}", STAGE.host);
    let asked = |peer| ["explain", "--claims", "claims.json", "--peer", peer, "POST", &url, "{}"];
    let (_, told) = run(&asked("spiffe://cluster.local/ns/ci/sa/p")).await;
    assert!(told.contains("POLICY_NO_PERMIT") && !told.contains("TOKEN_NOT_FOR_PEER"), "{told}");
    let (_, told) = run(&asked("spiffe://cluster.local/ns/ci/sa/q")).await;
    assert!(told.contains("TOKEN_NOT_FOR_PEER"), "{told}");
    // and whoever said nothing about an issuer is told
    let (code, told) = run(&["check"]).await;
    assert!(code == 0 && told.contains("warning: lakegate.yaml: issuer `other` has no `bindings`: ") && !told.contains("`corp`"), "{told}");
    let (_, status) = world.admin("/status").await.unwrap();
    assert!(status.contains("issuer `other` has no `bindings`"), "{status}");
}
