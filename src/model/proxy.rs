use super::SpiffeId;

/// The proxy that asks, as the certificate of its connection proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub id: SpiffeId,
    /// SHA-256 of its certificate in DER.
    pub certificate: [u8; 32],
}
