//! How lakegate proves to an issuer's endpoint who asks (RFC 6749, section 2.3.1; RFC 7523, section 2.2).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use form_urlencoded::Serializer;
use serde_json::json;

use super::config::{AssertionAudience, ClientAuth};
use crate::{model::Secret, net::basic, signer::SigningKey};

/// What proves it, read from where the configuration says.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::authn) enum Credentials {
    /// The whole `authorization` header.
    Basic(Secret),
    Post(Secret),
    Key(Arc<ClientKey>),
}

/// A private key that signs assertions.
#[derive(Debug, PartialEq)]
pub(in crate::authn) struct ClientKey {
    key: SigningKey,
    key_id: Option<String>,
    audience: AssertionAudience,
}

/// Who asks whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub client_id: &'a str,
    pub issuer: &'a str,
    pub endpoint: &'a str,
    /// In seconds since the epoch.
    pub now: i64,
}

/// How long an assertion is good, in seconds: long enough for clocks that differ, short for whoever finds one.
const ASSERTION_LIFETIME: i64 = 60;

// === impl Credentials ===

impl Credentials {
    /// Reads what `auth` names.
    ///
    /// # Errors
    /// The file and what is wrong with it; never a part of what is in it.
    pub(in crate::authn) fn read(auth: &ClientAuth, client_id: &str) -> Result<Self, (PathBuf, String)> {
        match auth {
            ClientAuth::Basic(source) => Ok(Self::Basic(basic(client_id, &source.read()?))),
            ClientAuth::Post(source) => Ok(Self::Post(source.read()?)),
            ClientAuth::PrivateKeyJwt { key, key_id, audience } => {
                let signing = ClientKey::read(key, key_id.clone(), *audience).map_err(|message| (key.clone(), message))?;
                Ok(Self::Key(Arc::new(signing)))
            }
        }
    }

    /// The `authorization` header and the form that ask about `token`.
    pub(super) fn form(&self, token: &str, asking: &Asking<'_>) -> Result<(Option<Secret>, String), String> {
        let mut form = Serializer::new(String::with_capacity(token.len().saturating_add(256)));
        // RFC 7662, section 2.1; the hint saves the server a look among its refresh tokens.
        form.append_pair("token", token).append_pair("token_type_hint", "access_token");
        match self {
            Self::Basic(header) => return Ok((Some(header.clone()), form.finish())),
            Self::Post(secret) => form.append_pair("client_id", asking.client_id).append_pair("client_secret", secret.expose()),
            Self::Key(key) => form
                .append_pair("client_id", asking.client_id)
                .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .append_pair("client_assertion", &key.assertion(asking)?),
        };
        Ok((None, form.finish()))
    }
}

// === impl ClientKey ===

impl ClientKey {
    fn read(file: &Path, key_id: Option<String>, audience: AssertionAudience) -> Result<Self, String> {
        Ok(Self { key: SigningKey::read(file)?, key_id, audience })
    }

    /// A JWT of its own for each question, since servers take each `jti` once (RFC 7523, section 3).
    fn assertion(&self, asking: &Asking<'_>) -> Result<String, String> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| "there is no randomness for an assertion".to_owned())?;
        let audience = match self.audience {
            AssertionAudience::Issuer => asking.issuer,
            AssertionAudience::Endpoint => asking.endpoint,
        };
        let claims = json!({
            "iss": asking.client_id, "sub": asking.client_id, "aud": audience, "jti": URL_SAFE_NO_PAD.encode(id),
            "iat": asking.now, "exp": asking.now.saturating_add(ASSERTION_LIFETIME),
        });
        self.key.sign("JWT", self.key_id.as_deref(), &claims).ok_or_else(|| "an assertion cannot be signed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::net::SecretSource;

    const ASKING: Asking<'static> = Asking { client_id: "lake gate", issuer: "https://idp", endpoint: "https://idp/introspect", now: 1_000 };

    #[test]
    fn id_and_secret_are_encoded_before_they_are_joined() {
        let source = ClientAuth::Basic(SecretSource::Given(Secret::new("a:b%c é")));
        let credentials = Credentials::read(&source, "lake:gate").unwrap();
        let (header, form) = credentials.form("t+/=&x", &ASKING).unwrap();
        let header = header.unwrap();
        let encoded = header.expose().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"lake%3Agate:a%3Ab%25c+%C3%A9");
        assert_eq!(form, "token=t%2B%2F%3D%26x&token_type_hint=access_token");
        let post = Credentials::read(&ClientAuth::Post(SecretSource::Given(Secret::new("s&t"))), "lake gate").unwrap();
        let (header, form) = post.form("t", &ASKING).unwrap();
        assert!(header.is_none());
        assert_eq!(form, "token=t&token_type_hint=access_token&client_id=lake+gate&client_secret=s%26t");
        assert!(!format!("{credentials:?} {post:?}").contains("s&t"));
    }

    #[test]
    fn a_secret_is_one_line_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let read = |text: &[u8]| {
            fs::write(&file, text).unwrap();
            Credentials::read(&ClientAuth::Post(SecretSource::File(file.clone())), "c").map_err(|(_, message)| message)
        };
        for good in [&b"s3cret"[..], b"s3cret\n", b"s3cret\r\n"] {
            assert_eq!(read(good).unwrap(), Credentials::Post(Secret::new("s3cret")));
        }
        for bad in [&b""[..], b"\n", b"two\nlines\n", b"nul\0", b"\xff", &[b'x'; 4097]] {
            let message = read(bad).unwrap_err();
            assert!(!message.contains("two") && !message.contains("nul"), "{message}");
        }
    }

    #[test]
    fn an_assertion_is_signed_by_the_key_and_used_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        for (algorithm, name) in
            [(&rcgen::PKCS_ECDSA_P256_SHA256, "ES256"), (&rcgen::PKCS_ECDSA_P384_SHA384, "ES384"), (&rcgen::PKCS_RSA_SHA256, "RS256")]
        {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            fs::write(&file, pair.serialize_pem()).unwrap();
            let auth = ClientAuth::PrivateKeyJwt { key: file.clone(), key_id: Some("k1".to_owned()), audience: AssertionAudience::Issuer };
            let credentials = Credentials::read(&auth, "lakegate").unwrap();
            let assertion = || {
                let (header, form) = credentials.form("t", &ASKING).unwrap();
                assert!(header.is_none());
                let pairs: Vec<(String, String)> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
                assert_eq!(pairs[2], ("client_id".to_owned(), "lake gate".to_owned()));
                assert_eq!(pairs[3].1, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                pairs[4].1.clone()
            };
            let (one, other) = (assertion(), assertion());
            assert_ne!(one, other);
            let (signed, signature) = one.rsplit_once('.').unwrap();
            let key = match name {
                "RS256" => jsonwebtoken::DecodingKey::from_rsa_der(pair.public_key_raw()),
                _ => jsonwebtoken::DecodingKey::from_ec_der(pair.public_key_raw()),
            };
            assert!(jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, name.parse().unwrap()).unwrap(), "{name}");
            let part = |index: usize| -> serde_json::Value {
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').nth(index).unwrap()).unwrap()).unwrap()
            };
            assert_eq!(part(0), json!({"alg": name, "typ": "JWT", "kid": "k1"}));
            let claims = part(1);
            assert_eq!((&claims["iss"], &claims["sub"], &claims["aud"]), (&json!("lake gate"), &json!("lake gate"), &json!("https://idp")));
            assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(1_000), Some(1_060)));
        }
        fs::write(&file, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
        let auth = ClientAuth::PrivateKeyJwt { key: file, key_id: None, audience: AssertionAudience::Endpoint };
        assert!(Credentials::read(&auth, "lakegate").is_err());
    }
}
