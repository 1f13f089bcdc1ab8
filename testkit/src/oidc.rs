//! A real `OpenID` provider of opaque tokens, and of tokens bound to a key (`DPoP`) or to a certificate: the npm package `oidc-provider`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::{Authority, Identity, Names};
use crate::browser::{Browser, Login};
use crate::form;
use crate::keycloak::SECRET;
use crate::ports;
use crate::process::Process;

/// It starts within a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(100);
/// For one request until it has started: whoever else may have got its port need not answer.
const ANSWER: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 3;

/// Where a login ends; nothing listens there.
const SIGNED_IN: &str = "http://127.0.0.1/signed-in";

/// A running provider; it ends when dropped.
#[derive(Debug)]
pub struct OidcProvider {
    port: u16,
    tls_port: u16,
    http: reqwest::Client,
    _process: Process,
    _folder: TempDir,
}

/// What its access tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Opaque,
    Signed,
}

/// What a token is bound to: what its client shows when it asks for it.
#[derive(Clone, Copy, Debug)]
pub enum Bound<'a> {
    ToNothing,
    /// The key of this proof, which is one for `OidcProvider::token_endpoint`.
    ToKeyOf(&'a str),
    ToCertificate(&'a Identity),
}

// === impl OidcProvider ===

impl OidcProvider {
    /// Starts it; `keys` are the public keys (JWK) of its client `lakegate-key`, which has no secret.
    ///
    /// # Errors
    /// When it is not installed or does not start; the message has what it wrote.
    pub async fn start(keys: &[Value]) -> io::Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::start_once(keys).await {
                Err(e) if attempt < ATTEMPTS && ["EADDRINUSE", "not ready"].iter().any(|why| e.to_string().contains(why)) => attempt += 1,
                other => return other,
            }
        }
    }

    async fn start_once(keys: &[Value]) -> io::Result<Self> {
        let testkit = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules = testkit.parent().unwrap_or(testkit).join(".tools/oidc/node_modules");
        if !modules.exists() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no oidc-provider in {}: run `make identity-tools`", modules.display())));
        }
        let folder = tempfile::Builder::new().prefix("lakegate-oidc-").tempdir()?;
        let identity = Authority::new(folder.path())?.issue("provider", &Names::dns(&["localhost"]))?;
        let [port, tls_port] = ports::free()?;
        let file = folder.path().join("settings.json");
        let tls = json!({ "port": tls_port, "key": identity.key_file, "cert": identity.certificate_file });
        let settings = json!({ "modules": modules, "port": port, "tls": tls, "secret": SECRET, "keys": keys, "signed_in": SIGNED_IN });
        fs::write(&file, settings.to_string())?;
        let mut command = Command::new("node");
        command.arg(testkit.join("oidc/server.mjs")).arg(&file);
        let mut process = Process::spawn("oidc", command, folder.path())?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(2)).build().map_err(io::Error::other)?;
        let url = format!("http://127.0.0.1:{port}/.well-known/openid-configuration");
        process.wait_until(PATIENCE, async || http.get(&url).timeout(ANSWER).send().await.is_ok_and(|answer| answer.status().is_success())).await?;
        Ok(Self { port, tls_port, http, _process: process, _folder: folder })
    }

    /// The `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where clients without a certificate get tokens.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        self.issuer() + "/token"
    }

    /// Where it says what a token is (RFC 7662), to its clients `lakegate` (basic), `lakegate-post` and `lakegate-key`.
    #[must_use]
    pub fn introspection_endpoint(&self) -> String {
        self.issuer() + "/token/introspection"
    }

    /// A program's access token; an opaque one has no subject. The clients are `program`, `program-dpop` and `program-mtls`.
    ///
    /// # Errors
    /// When the provider refuses.
    pub async fn client_credentials(&self, client: &str, shape: Shape, bound: Bound<'_>) -> io::Result<String> {
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", SECRET),
            ("resource", shape.resource()),
            ("scope", "query"),
        ];
        self.token(&fields, bound).await
    }

    /// The access token of someone who signs in at a browser, for the public client `notebook`.
    ///
    /// # Errors
    /// When the login does not succeed.
    pub async fn sign_in(&self, user: &str, shape: Shape, bound: Bound<'_>) -> io::Result<String> {
        let query = [
            ("client_id", "notebook"),
            ("response_type", "code"),
            ("scope", "openid query"),
            ("resource", shape.resource()),
            ("redirect_uri", SIGNED_IN),
            ("state", "s"),
        ];
        let start = Url::parse(&format!("{}/auth?{}", self.issuer(), form::encode(&query))).map_err(io::Error::other)?;
        let end = Browser::new()?.until(start, SIGNED_IN, Login { user, password: SECRET }).await?;
        let code = end.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned());
        let code = code.ok_or_else(|| io::Error::other(format!("the login gave no code: {end}")))?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", "notebook"),
            ("code", &code),
            ("redirect_uri", SIGNED_IN),
            ("resource", shape.resource()),
        ];
        self.token(&fields, bound).await
    }

    /// Ends a token of `notebook` (RFC 7009).
    ///
    /// # Errors
    /// When the provider refuses.
    pub async fn revoke(&self, token: &str) -> io::Result<()> {
        let request = self.http.post(self.issuer() + "/token/revocation");
        form::done("the revocation", form::with(request, &[("client_id", "notebook"), ("token", token)])).await.map(|_| ())
    }

    async fn token(&self, fields: &[(&str, &str)], bound: Bound<'_>) -> io::Result<String> {
        let request = match bound {
            Bound::ToNothing => self.http.post(self.token_endpoint()),
            Bound::ToKeyOf(proof) => self.http.post(self.token_endpoint()).header("DPoP", proof),
            Bound::ToCertificate(identity) => with_certificate(identity)?.post(format!("https://localhost:{}/token", self.tls_port)),
        };
        let answer: Value = form::done("the token endpoint", form::with(request, fields)).await?.json().await.map_err(io::Error::other)?;
        let token = answer.get("access_token").and_then(Value::as_str);
        token.map(str::to_owned).ok_or_else(|| io::Error::other("the token endpoint gave no access token"))
    }
}

/// A client that shows `identity`, and believes whoever answers on this machine.
fn with_certificate(identity: &Identity) -> io::Result<reqwest::Client> {
    let mut pem = fs::read(&identity.key_file)?;
    pem.extend(fs::read(&identity.certificate_file)?);
    let identity = reqwest::Identity::from_pem(&pem).map_err(io::Error::other)?;
    reqwest::Client::builder().no_proxy().identity(identity).tls_danger_accept_invalid_certs(true).build().map_err(io::Error::other)
}

// === impl Shape ===

impl Shape {
    fn resource(self) -> &'static str {
        match self {
            Self::Opaque => "urn:lakegate:opaque",
            Self::Signed => "urn:lakegate:signed",
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[tokio::test]
    async fn it_gives_tokens_of_each_shape() {
        let provider = OidcProvider::start(&[]).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let trainer = Authority::new(folder.path()).unwrap().workload("ml-staging", "trainer").unwrap();
        let opaque = provider.sign_in("alice", Shape::Opaque, Bound::ToNothing).await.unwrap();
        assert!(!opaque.contains('.'), "{opaque}");
        let signed = provider.sign_in("alice", Shape::Signed, Bound::ToNothing).await.unwrap();
        let claims = claims(&signed);
        assert_eq!((&claims["sub"], &claims["aud"], &claims["groups"]), (&json!("alice"), &json!("lakegate"), &json!(["ml-engineers"])));

        let bound = provider.client_credentials("program-mtls", Shape::Signed, Bound::ToCertificate(&trainer)).await.unwrap();
        assert!(self::claims(&bound)["cnf"]["x5t#S256"].is_string(), "{bound}");
        assert!(provider.client_credentials("program-mtls", Shape::Signed, Bound::ToNothing).await.is_err());
        assert!(provider.client_credentials("program-dpop", Shape::Signed, Bound::ToNothing).await.is_err());

        let introspected = || async {
            let request = provider.http.post(provider.introspection_endpoint()).basic_auth("lakegate", Some(SECRET));
            form::done("introspection", form::with(request, &[("token", &opaque)])).await.unwrap().json::<Value>().await.unwrap()
        };
        let told = introspected().await;
        assert_eq!(
            (&told["active"], &told["sub"], &told["aud"], &told["groups"]),
            (&json!(true), &json!("alice"), &json!("lakegate"), &json!(["ml-engineers"]))
        );
        provider.revoke(&opaque).await.unwrap();
        assert_eq!(introspected().await, json!({ "active": false }));
    }

    fn claims(token: &str) -> Value {
        let part = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }
}
