//! Who may ask.

use std::{fs, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    super::{BindError, Config, Listener, Metrics, TlsConfig, metrics::Refused},
    world::*,
};
use crate::model::SpiffePattern;

const GATEWAY: &str = "spiffe://cluster.local/ns/istio-egress/sa/gateway";

/// A mesh's certificate authority, and a folder with what the server needs of it.
struct Mesh {
    ca: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    pem: (String, String),
}

impl Mesh {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a ca");
        let folder = std::env::temp_dir().join(format!("lakegate-envoy-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mesh = Self { ca, folder };
        mesh.write();
        mesh
    }

    /// The files, the server's certificate a fresh one.
    fn write(&self) {
        let leaf = self.leaf(&[], &["localhost"]);
        for (name, text) in [("cert.pem", leaf.pem.0), ("key.pem", leaf.pem.1), ("ca.pem", self.ca.pem())] {
            fs::write(self.folder.join(name), text).expect("written");
        }
    }

    fn config(&self) -> Config {
        let file = |name| self.folder.join(name);
        let allow = vec![SpiffePattern::parse("spiffe://cluster.local/ns/istio-egress/sa/*").expect("a pattern")];
        Config { tls: Some(TlsConfig { cert: file("cert.pem"), key: file("key.pem"), client_ca: file("ca.pem"), allow }), ..loopback() }
    }

    fn leaf(&self, uris: &[&str], names: &[&str]) -> Leaf {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("names");
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("ascii"))));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.ca).expect("signed");
        Leaf {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            pem: (certificate.pem(), key.serialize_pem()),
        }
    }

    /// A client that trusts this mesh and shows `leaf`.
    async fn connect(&self, server: &Server, leaf: Option<Leaf>) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone())?;
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match leaf {
            Some(leaf) => builder.with_client_auth_cert(leaf.chain, leaf.key)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(server.address).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost")?, stream).await?;
        Ok(speak(stream).await?)
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// With TLS 1.3 a client learns only from its first answer that its certificate was refused.
async fn answered(client: Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error>>) -> bool {
    match client {
        Ok(client) => post(&client, PATH, &[], check("/")).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn only_allowed_identities_of_the_mesh_may_ask() {
    let mesh = Mesh::new("allowed");
    let stranger = Mesh::new("stranger");
    let server = Server::start(mesh.config()).await;
    let client = mesh.connect(&server, Some(mesh.leaf(&[GATEWAY], &[]))).await.expect("allowed");
    assert_eq!(ask(&client, "/").await, ALLOWED);

    let by_handshake = [("no certificate", None), ("another authority's", Some(stranger.leaf(&[GATEWAY], &[])))];
    for (count, (what, leaf)) in (1..).zip(by_handshake) {
        assert!(!answered(mesh.connect(&server, leaf).await).await, "{what}");
        until(|| server.metrics.refusals(Refused::Handshake) == count).await;
    }
    let by_name: [(&str, &[&str], &[&str]); 6] = [
        ("another account", &["spiffe://cluster.local/ns/default/sa/gateway"], &[]),
        ("another trust domain", &["spiffe://other/ns/istio-egress/sa/gateway"], &[]),
        ("a deeper path", &["spiffe://cluster.local/ns/istio-egress/sa/gateway/x"], &[]),
        ("two identities", &[GATEWAY, "spiffe://cluster.local/ns/default/sa/x"], &[]),
        ("no spiffe id", &["https://cluster.local/ns/istio-egress/sa/gateway"], &[]),
        ("a dns name alone", &[], &["gateway.istio-egress"]),
    ];
    for (count, (what, uris, names)) in (1..).zip(by_name) {
        assert!(!answered(mesh.connect(&server, Some(mesh.leaf(uris, names))).await).await, "{what}");
        until(|| server.metrics.refusals(Refused::Peer) == count).await;
    }
    assert_eq!(ask(&client, "/").await, ALLOWED, "who is in stays in");
}

#[tokio::test]
async fn plain_text_is_refused_where_tls_is_wanted() {
    let mesh = Mesh::new("plain");
    let server = Server::start(mesh.config()).await;
    let client = speak(TcpStream::connect(server.address).await.expect("a connection")).await;
    assert!(!answered(client.map_err(Into::into)).await);
}

#[tokio::test]
async fn a_reload_takes_effect_and_a_bad_one_changes_nothing() {
    let old = Mesh::new("old");
    let new = Mesh::new("new");
    let server = Server::start(old.config()).await;
    let tls = server.tls.clone().expect("tls");
    let early = old.connect(&server, Some(old.leaf(&[GATEWAY], &[]))).await.expect("allowed");
    assert_eq!(ask(&early, "/").await, ALLOWED);

    fs::write(old.folder.join("key.pem"), "no key").expect("written");
    let error = tls.reload().expect_err("no key");
    assert_eq!(error.file, old.folder.join("key.pem"));
    assert!(answered(old.connect(&server, Some(old.leaf(&[GATEWAY], &[]))).await).await, "as before");

    for name in ["cert.pem", "key.pem", "ca.pem"] {
        fs::copy(new.folder.join(name), old.folder.join(name)).expect("copied");
    }
    tls.reload().expect("good files");
    assert!(answered(new.connect(&server, Some(new.leaf(&[GATEWAY], &[]))).await).await);
    assert!(!answered(old.connect(&server, Some(old.leaf(&[GATEWAY], &[]))).await).await);
    assert_eq!(ask(&early, "/").await, ALLOWED, "open connections stay");
}

#[tokio::test]
async fn a_bad_file_is_named() {
    let mesh = Mesh::new("bad");
    for (name, text) in [("cert.pem", ""), ("key.pem", "x"), ("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
        mesh.write();
        fs::write(mesh.folder.join(name), text).expect("written");
        let Err(BindError::Tls(error)) = Listener::bind(mesh.config(), Metrics::default()).await else { panic!("{name} is bad") };
        assert_eq!(error.file, mesh.folder.join(name));
    }
    mesh.write();
    fs::write(mesh.folder.join("key.pem"), KeyPair::generate().expect("a key").serialize_pem()).expect("written");
    assert!(matches!(Listener::bind(mesh.config(), Metrics::default()).await, Err(BindError::Tls(_))), "another certificate's key");
    mesh.write();
    fs::remove_file(mesh.folder.join("ca.pem")).expect("removed");
    assert!(matches!(Listener::bind(mesh.config(), Metrics::default()).await, Err(BindError::Tls(_))));
}
