//! The check port over mTLS: only a proxy that is listed may ask, and certificates change without a restart.

use std::{fs, net::Ipv4Addr, sync::Arc};

use lakegate_testkit::{
    World,
    authority::{Authority, Identity, Names, spiffe_id},
    envoy::{Asks, Envoy, Gateway, LAKEGATE, Listener},
    raw::{Client, Response},
    world::STAGE,
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use tokio::{net::TcpStream, time::Instant};

use crate::asking::{CLOSED, PATIENCE, SALES, options, outcome, query, send, until, world};

/// The name that an ordinary TLS client asks for; Envoys go by the SPIFFE ID.
const SERVICE: &str = "lakegate.lakegate-system.svc";

/// The answer that a second gateway gets out of the same lakegate, asking as `asks`.
async fn through(world: &World, name: &str, asks: Asks<'_>) -> Response {
    let folder = world.folder().join(name);
    fs::create_dir(&folder).unwrap();
    let gateway = Gateway {
        identity: &world.gateway_identity,
        ca_file: world.authority.ca_file(),
        check: world.check_port(),
        asks,
        workspace: world.workspace.port(),
    };
    let envoy = Envoy::gateway(&Envoy::installed(), &folder, &gateway).await.unwrap();
    let client = Client::mtls(envoy.port(Listener::Istio).unwrap(), &world.authority, &world.workloads.trainer, STAGE.host).unwrap();
    client.send(&query(world, SALES)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_listed_proxy_may_ask() {
    let world = world(options().check_tls()).await;
    assert_eq!(outcome(&send(&world, &query(&world, SALES)).await), (200, "OK".to_owned()));
    assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await), (403, "POLICY_FORBIDS".to_owned()));
    let before = world.workspace.count();

    let same_name = Names::uri(&spiffe_id("istio-egress", "egress"));
    let foreign = Authority::new(&world.folder().join("foreign")).unwrap().issue("egress", &same_name).unwrap();
    let issue = |file: &str, names: &Names| world.authority.issue(file, names).unwrap();
    let two = Names { uris: vec![spiffe_id("dev", "notebook"), spiffe_id("istio-egress", "egress")], ..Names::default() };
    let strangers: [(&str, Asks<'_>); 6] = [
        ("another-workload", Asks::Tls(Some(&world.workloads.trainer))),
        ("another-account", Asks::Tls(Some(&issue("other-egress", &Names::uri(&spiffe_id("istio-egress", "other")))))),
        ("a-dns-name", Asks::Tls(Some(&issue("dns-egress", &Names::dns(&["egress.istio-egress"]))))),
        ("two-names", Asks::Tls(Some(&issue("two-egress", &two)))),
        ("another-authority", Asks::Tls(Some(&foreign))),
        ("no-certificate", Asks::Tls(None)),
    ];
    for (name, asks) in strangers {
        let answer = through(&world, name, asks).await;
        // Envoy's own answer: lakegate was never asked
        assert_eq!((answer.status, answer.body.as_slice()), (503, b"".as_slice()), "{name}");
    }
    let answer = through(&world, "in-the-clear", Asks::Plainly).await;
    assert_eq!(answer.status, 503);
    assert_eq!(world.workspace.count(), before);
    assert_eq!(world.audit.records().unwrap().len(), 2, "a stranger's question was decided");
    assert_eq!(outcome(&through(&world, "the-gateway", Asks::Tls(Some(&world.gateway_identity))).await), (200, "OK".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_replaced_while_it_runs() {
    let mut world = world(options().check_tls()).await;
    let certificates = world.folder().join("certificates");
    let first = shown(&world).await;
    let replace = |identity: &Identity| {
        fs::copy(&identity.key_file, certificates.join("lakegate.key")).unwrap();
        fs::copy(&identity.certificate_file, certificates.join("lakegate.crt")).unwrap();
    };
    let next = world.authority.issue("lakegate-next", &lakegate_names()).unwrap();
    assert_ne!(first, next.certificate());
    replace(&next);
    shown_until(&world, &next.certificate()).await;
    until(&world, (200, "OK"), || query(&world, SALES)).await;

    // what cannot be used is not taken
    fs::write(certificates.join("lakegate.crt"), "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n").unwrap();
    tokio::time::sleep(crate::asking::SETTLED).await;
    assert_eq!(shown(&world).await, next.certificate());
    assert_eq!(outcome(&send(&world, &query(&world, SALES)).await), (200, "OK".to_owned()));

    let last = world.authority.issue("lakegate-last", &lakegate_names()).unwrap();
    replace(&last);
    shown_until(&world, &last.certificate()).await;
    assert!(world.lakegate().process().ended().unwrap().is_none());
}

fn lakegate_names() -> Names {
    Names { dns: vec![SERVICE.to_owned()], ..Names::uri(LAKEGATE) }
}

async fn shown_until(world: &World, wanted: &CertificateDer<'_>) {
    let deadline = Instant::now() + PATIENCE;
    while shown(world).await != *wanted {
        assert!(Instant::now() < deadline, "the new certificate is not shown");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The certificate that the check port shows to the gateway.
async fn shown(world: &World) -> CertificateDer<'static> {
    let mut roots = RootCertStore::empty();
    roots.add(world.authority.ca()).unwrap();
    let names = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(names)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![world.gateway_identity.certificate()], world.gateway_identity.key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, world.check_port())).await.unwrap();
    let server = SERVICE.try_into().unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(server, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}
