use super::*;
use crate::authority::{Authority, Identity, Names, spiffe_id};
use crate::ports;
use crate::raw::{Client, Request};
use crate::workspace::Workspace;

const HOST: &str = "stage.cloud.databricks.com";

struct Mesh {
    folder: tempfile::TempDir,
    authority: Authority,
    gateway_identity: Identity,
    workload: Identity,
    workspace: Workspace,
    envoy: Envoy,
}

/// A gateway that asks a port on which nobody listens.
async fn without_lakegate() -> Mesh {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let names = Names { uris: vec![spiffe_id("istio-egress", "egress")], dns: vec![HOST.into()], common_name: None };
    let gateway_identity = authority.issue("egress", &names).unwrap();
    let workload = authority.workload("ml-staging", "trainer").unwrap();
    let workspace = Workspace::start().await.unwrap();
    let [check] = ports::free().unwrap();
    let gateway = Gateway { identity: &gateway_identity, ca_file: authority.ca_file(), check, asks: Asks::Plainly, workspace: workspace.port() };
    let envoy = Envoy::gateway(&Envoy::installed(), folder.path(), &gateway).await.unwrap();
    Mesh { folder, authority, gateway_identity, workload, workspace, envoy }
}

async fn status(client: &Client) -> u16 {
    client.send(&Request::new("GET", HOST, "/api/2.2/jobs/list")).await.unwrap().status
}

#[tokio::test]
async fn nothing_passes_while_lakegate_is_away() {
    let mesh = without_lakegate().await;
    for listener in Listener::ALL.into_iter().chain(Listener::PEERS) {
        let port = mesh.envoy.port(listener).unwrap();
        let client = match listener {
            Listener::Plain | Listener::Waypoint => Client::plain(port),
            _ => Client::mtls(port, &mesh.authority, &mesh.workload, HOST).unwrap(),
        };
        assert_eq!(status(&client).await, 503, "{}", listener.name());
    }
    assert_eq!(mesh.workspace.count(), 0);

    // a certificate of another authority, and none at all, do not get as far
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = Authority::new(elsewhere.path()).unwrap().workload("ml-staging", "trainer").unwrap();
    let port = mesh.envoy.port(Listener::Istio).unwrap();
    let client = Client::mtls(port, &mesh.authority, &stranger, HOST).unwrap();
    assert!(client.send(&Request::new("GET", HOST, "/")).await.is_err());
    assert!(Client::plain(port).send(&Request::new("GET", HOST, "/")).await.is_err());
}

#[tokio::test]
async fn a_sidecar_reaches_the_gateway_as_its_workload() {
    let mesh = without_lakegate().await;
    let sidecar = Sidecar {
        identity: &mesh.workload,
        ca_file: mesh.authority.ca_file(),
        gateway: mesh.envoy.port(Listener::Istio).unwrap(),
        gateway_id: &spiffe_id("istio-egress", "egress"),
        host: HOST,
    };
    let right = Envoy::sidecar(&Envoy::installed(), mesh.folder.path(), &sidecar).await.unwrap();
    let answer = Client::plain(right.outbound().unwrap()).send(&Request::new("GET", "127.0.0.1", "/")).await.unwrap();
    // the gateway's own 503 of ext_authz, which has no body; a failed TLS hop would say so in one
    assert_eq!((answer.status, answer.body.as_slice()), (503, b"".as_slice()));
    assert!(right.port(Listener::Istio).is_err() && mesh.envoy.outbound().is_err());

    let wrong = Sidecar { gateway_id: &spiffe_id("istio-egress", "other"), ..sidecar };
    let wrong = Envoy::sidecar(&Envoy::installed(), mesh.folder.path(), &wrong).await.unwrap();
    let answer = Client::plain(wrong.outbound().unwrap()).send(&Request::new("GET", "127.0.0.1", "/")).await.unwrap();
    assert!(answer.status == 503 && String::from_utf8_lossy(&answer.body).contains("upstream connect error"), "{answer:?}");
    drop(mesh.gateway_identity);
}

#[tokio::test]
async fn a_missing_envoy_says_how_to_get_one() {
    let mesh_folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(mesh_folder.path()).unwrap();
    let identity = authority.workload("a", "b").unwrap();
    let gateway = Gateway { identity: &identity, ca_file: authority.ca_file(), check: 1, asks: Asks::Plainly, workspace: 1 };
    let error = Envoy::gateway(Path::new("/no/envoy"), mesh_folder.path(), &gateway).await.unwrap_err();
    assert!(error.to_string().contains("make tools"));
}
