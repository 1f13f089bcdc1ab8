//! A mesh certificate authority: X.509-SVIDs for workloads, and certificates that only look like one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The authority of one mesh; its certificate and all it issues are files in its folder.
pub struct Authority {
    folder: PathBuf,
    ca: CertifiedIssuer<'static, KeyPair>,
    ca_file: PathBuf,
}

/// What a certificate says about its holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub uris: Vec<String>,
    pub dns: Vec<String>,
    /// The common name; without one the subject is empty and the alternative names are critical, as in an X.509-SVID (SPIFFE X509-SVID §2, RFC 5280 §4.2.1.6).
    pub common_name: Option<String>,
}

/// A certificate with its key, in memory and as PEM files.
#[derive(Debug)]
pub struct Identity {
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    uri: String,
}

// === impl Authority ===

impl Authority {
    /// Makes a new authority that writes below `folder`.
    ///
    /// # Errors
    /// When a key cannot be generated or a file cannot be written.
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "cluster.local");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(io::Error::other)?).map_err(io::Error::other)?;
        let ca_file = folder.join("ca.crt");
        fs::write(&ca_file, ca.pem())?;
        Ok(Self { folder: folder.to_owned(), ca, ca_file })
    }

    /// The PEM file that verifies everything this authority issued.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    #[must_use]
    pub fn ca(&self) -> CertificateDer<'static> {
        self.ca.der().clone()
    }

    /// Issues a certificate, for client and server use, as `<file>.crt` and `<file>.key`.
    ///
    /// # Errors
    /// When a name is not ASCII or a file cannot be written.
    pub fn issue(&self, file: &str, names: &Names) -> io::Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = &names.common_name {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        for uri in &names.uris {
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().map_err(io::Error::other)?));
        }
        for dns in &names.dns {
            params.subject_alt_names.push(SanType::DnsName(dns.as_str().try_into().map_err(io::Error::other)?));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.ca).map_err(io::Error::other)?;
        let (certificate_file, key_file) = (self.folder.join(format!("{file}.crt")), self.folder.join(format!("{file}.key")));
        fs::write(&certificate_file, certificate.pem())?;
        fs::write(&key_file, key.serialize_pem())?;
        Ok(Identity {
            certificate_file,
            key_file,
            certificate: certificate.der().clone(),
            key: key.serialize_der().into(),
            uri: names.uris.first().cloned().unwrap_or_default(),
        })
    }

    /// The SVID of a workload of the mesh `cluster.local`, named as Istio names it.
    ///
    /// # Errors
    /// As `issue`.
    pub fn workload(&self, namespace: &str, account: &str) -> io::Result<Identity> {
        self.issue(&format!("{namespace}-{account}"), &Names::uri(&spiffe_id(namespace, account)))
    }
}

/// Istio's name of a service account in the mesh `cluster.local`.
#[must_use]
pub fn spiffe_id(namespace: &str, account: &str) -> String {
    format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")
}

// === impl Names ===

impl Names {
    /// One URI and an empty subject: the shape of an X.509-SVID.
    #[must_use]
    pub fn uri(uri: &str) -> Self {
        Self { uris: vec![uri.to_owned()], ..Self::default() }
    }

    /// DNS names alone: a certificate that the mesh's authority signed and that names no workload.
    #[must_use]
    pub fn dns(names: &[&str]) -> Self {
        Self { dns: names.iter().map(|&name| name.to_owned()).collect(), ..Self::default() }
    }
}

// === impl Identity ===

impl Identity {
    /// The first URI it names; empty where it names none.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_gets_its_spiffe_id_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path()).unwrap();
        let identity = authority.workload("ml-staging", "trainer").unwrap();
        let der = identity.certificate();
        let id = b"spiffe://cluster.local/ns/ml-staging/sa/trainer";
        assert!(der.windows(id.len()).any(|window| window == id));
        // SAN (2.5.29.17) followed by BOOLEAN TRUE: critical, since the subject is empty
        assert!(der.windows(8).any(|window| window == [0x06, 0x03, 0x55, 0x1d, 0x11, 0x01, 0x01, 0xff]));
        assert!(fs::read_to_string(identity.certificate_file).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(fs::read_to_string(identity.key_file).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    }

    #[test]
    fn odd_certificates_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path()).unwrap();
        let odd = Names {
            uris: vec!["spiffe://cluster.local/ns/a/../b".into(), "https://cluster.local".into()],
            dns: vec!["cluster.local".into()],
            common_name: Some("admin".into()),
        };
        authority.issue("odd", &odd).unwrap();
        authority.issue("dns", &Names::dns(&["cluster.local"])).unwrap();
        assert!(authority.issue("bad", &Names::uri("spiffe://ä")).is_err());
    }
}
