use std::path::PathBuf;

use crate::net::{Endpoint, SecretSource};

/// How an issuer is asked whether its tokens are active (RFC 7662).
#[derive(Clone, Debug, PartialEq)]
pub struct IntrospectionConfig {
    pub when: IntrospectWhen,
    /// `introspection_endpoint` of the issuer's discovery document (RFC 8414, section 2) unless given.
    pub endpoint: Option<Endpoint>,
    /// As whom lakegate asks.
    pub client_id: String,
    pub auth: ClientAuth,
    /// How old an answer may be, in seconds, counted from when it was asked for: how long a token may still be taken after its issuer ended it.
    pub window_s: i64,
    /// Takes an answer that names no audience at all. One that names another is refused whatever this says.
    pub audience_optional: bool,
}

/// Which tokens an issuer is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntrospectWhen {
    /// Those that are not signed; of all issuers only one may have them.
    Opaque,
    /// Its signed ones, after their signature is verified.
    Signed,
    /// Both.
    Always,
}

/// How lakegate proves to the issuer who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic` (RFC 6749, section 2.3.1).
    Basic(SecretSource),
    /// `client_secret_post` (RFC 6749, section 2.3.1).
    Post(SecretSource),
    /// `private_key_jwt` (RFC 7523, section 2.2).
    PrivateKeyJwt {
        /// A private key in PEM: RSA, or EC on P-256 or P-384.
        key: PathBuf,
        /// The `kid` of the assertion.
        key_id: Option<String>,
        audience: AssertionAudience,
    },
}

/// What the assertion names as its audience.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AssertionAudience {
    /// The issuer's identifier: what every server should take, and the only value that cannot be used elsewhere (RFC 9126, section 2; RFC 7523bis).
    #[default]
    Issuer,
    /// The address of the endpoint, for servers that take nothing else.
    Endpoint,
}

// === impl IntrospectionConfig ===

impl IntrospectionConfig {
    /// The longest window, in seconds: what ends a token must be felt within it.
    pub const LONGEST_WINDOW_S: i64 = 300;
}

// === impl IntrospectWhen ===

impl IntrospectWhen {
    #[must_use]
    pub fn opaque(self) -> bool {
        matches!(self, Self::Opaque | Self::Always)
    }

    #[must_use]
    pub fn signed(self) -> bool {
        matches!(self, Self::Signed | Self::Always)
    }
}
