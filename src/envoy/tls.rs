//! mTLS on the check port: the certificates, and which identities may ask.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_parser::{extensions::GeneralName, prelude::parse_x509_certificate};

use super::metrics::Refused;
use crate::{
    digest,
    model::{Proxy, SpiffeId, SpiffePattern},
};

/// The files and the allow-list of `listen.tls`.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Our chain, PEM, leaf first.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Who signs the proxies' certificates, PEM, one or more.
    pub client_ca: PathBuf,
    /// Whose certificates may ask. Empty lets nobody ask.
    pub allow: Vec<SpiffePattern>,
}

/// The certificates in use. Clones reload together.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<TlsConfig>,
    current: Arc<ArcSwap<ServerConfig>>,
}

/// Why a certificate file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}`: {message}", file.display())]
pub struct TlsError {
    pub file: PathBuf,
    pub message: String,
}

// === impl Tls ===

impl Tls {
    /// # Errors
    /// [`TlsError`] names the file that cannot be read or does not fit the others.
    pub fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let current = ArcSwap::from_pointee(server_config(&config)?);
        Ok(Self { config: Arc::new(config), current: Arc::new(current) })
    }

    /// Reads the files again, for new connections; those that are open keep what they have.
    ///
    /// # Errors
    /// [`TlsError`] names the file; the certificates in use stay.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(server_config(&self.config)?));
        Ok(())
    }

    /// The files to watch.
    #[must_use]
    pub fn files(&self) -> [&Path; 3] {
        [&self.config.cert, &self.config.key, &self.config.client_ca]
    }

    /// The handshake, and the check of who came.
    pub(super) async fn accept(&self, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Proxy), Refused> {
        let acceptor = TlsAcceptor::from(self.current.load_full());
        let stream = acceptor.accept(stream).await.map_err(|error| {
            tracing::debug!(%error, "a tls handshake failed");
            Refused::Handshake
        })?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let proxy = certificate.and_then(|certificate| Some(Proxy { id: spiffe_id(certificate)?, certificate: digest::of(certificate) }));
        match proxy {
            Some(proxy) if self.config.allow.iter().any(|pattern| pattern.matches(&proxy.id)) => Ok((stream, proxy)),
            Some(Proxy { id: peer, .. }) => {
                tracing::warn!(%peer, "an identity that is not on the allow-list asked");
                Err(Refused::Peer)
            }
            None => {
                tracing::warn!("a certificate without one spiffe id asked");
                Err(Refused::Peer)
            }
        }
    }
}

/// The one URI SAN of an X.509-SVID (SPIFFE X.509-SVID §2): with several, or another beside it, it is none.
fn spiffe_id(certificate: &CertificateDer<'_>) -> Option<SpiffeId> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
    let only = uris.next().filter(|_| uris.next().is_none());
    SpiffeId::parse(only?).ok()
}

fn server_config(config: &TlsConfig) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&config.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&config.key)?).map_err(|_| TlsError::new(&config.key, &"it holds no private key in PEM"))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&config.client_ca)? {
        roots.add(certificate).map_err(|_| TlsError::new(&config.client_ca, &"it holds a certificate that cannot be read"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| TlsError::new(&config.client_ca, &error))?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| TlsError::new(&config.cert, &error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| unfit(config, &error))?;
    server.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would carry an identity past a client CA that has been changed or a certificate that has expired since. Proxies keep
    // their connections for hours, so there is nothing to save.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(server)
}

/// Why a chain and a key cannot be served together: one cannot be read, or they are not each other's.
fn unfit(config: &TlsConfig, error: &rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => TlsError::new(&config.key, &format!("it is not the key of `{}`", config.cert.display())),
        rustls::Error::InvalidCertificate(_) => TlsError::new(&config.cert, &"it holds a certificate that cannot be read"),
        other => TlsError::new(&config.key, other),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::new(file, &"it holds no certificate in PEM")),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|error| TlsError::new(file, &error))
}

// === impl TlsError ===

impl TlsError {
    fn new(file: &Path, message: &dyn std::fmt::Display) -> Self {
        Self { file: file.to_owned(), message: message.to_string() }
    }
}
