use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::Value;

use super::SECRET;
use crate::browser::{Browser, Login};
use crate::form;

/// Where a login ends; nothing listens there.
const REDIRECT: &str = "http://127.0.0.1/signed-in";

/// One realm, as its clients and its administrator see it.
#[derive(Clone, Debug)]
pub struct Realm {
    pub(super) http: reqwest::Client,
    /// Where it is asked; its issuer is named after it.
    pub(super) port: u16,
    pub(super) keycloak: u16,
    pub(super) name: String,
}

/// What a token endpoint gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: Option<String>,
    pub id: Option<String>,
}

// === impl Realm ===

impl Realm {
    pub(super) fn new(http: reqwest::Client, port: u16, name: String) -> Self {
        Self { http, port, keycloak: port, name }
    }

    /// The same realm by way of another port of this machine: Keycloak takes the name of the issuer from the request.
    #[must_use]
    pub fn by(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// The port where it is asked.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}/realms/{}", self.port, self.name)
    }

    /// The URL of an endpoint under `protocol/openid-connect`, such as `token/introspect`.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}/protocol/openid-connect/{path}", self.issuer())
    }

    /// A person's tokens by name and password, for the client `client`, which is public (RFC 6749, section 4.3).
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn password(&self, client: &str, user: &str) -> io::Result<Tokens> {
        let fields = [("grant_type", "password"), ("client_id", client), ("username", user), ("password", SECRET), ("scope", "openid")];
        self.tokens(&fields).await
    }

    /// A program's own token (RFC 6749, section 4.4).
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn client_credentials(&self, client: &str) -> io::Result<Tokens> {
        self.tokens(&[("grant_type", "client_credentials"), ("client_id", client), ("client_secret", SECRET)]).await
    }

    /// What `client` gets for someone's access token (RFC 8693).
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn exchange(&self, client: &str, token: &str) -> io::Result<Tokens> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("client_id", client),
            ("client_secret", SECRET),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        self.tokens(&fields).await
    }

    /// Newer tokens of the same session, for a public client (RFC 6749, section 6).
    ///
    /// # Errors
    /// When Keycloak refuses: a session that has ended has none.
    pub async fn refresh(&self, client: &str, token: &str) -> io::Result<Tokens> {
        self.tokens(&[("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)]).await
    }

    /// The tokens of someone who signs in at a browser (RFC 6749, section 4.1); `provider` names the brokered provider that is to be used, if any.
    ///
    /// # Errors
    /// When the login does not succeed.
    pub async fn sign_in(&self, client: &str, user: &str, provider: Option<&str>) -> io::Result<Tokens> {
        let mut query = vec![("client_id", client), ("response_type", "code"), ("scope", "openid"), ("redirect_uri", REDIRECT), ("state", "s")];
        query.extend(provider.map(|provider| ("kc_idp_hint", provider)));
        let start = Url::parse(&format!("{}?{}", self.endpoint("auth"), form::encode(&query))).map_err(io::Error::other)?;
        let end = Browser::new()?.until(start, REDIRECT, Login { user, password: SECRET }).await?;
        let code = end.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned());
        let code = code.ok_or_else(|| io::Error::other(format!("the login gave no code: {end}")))?;
        self.tokens(&[("grant_type", "authorization_code"), ("client_id", client), ("code", &code), ("redirect_uri", REDIRECT)]).await
    }

    /// Ends the session of a refresh token, as an application does whose user signs out.
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn sign_out(&self, client: &str, refresh: &str) -> io::Result<()> {
        let request = form::with(self.http.post(self.endpoint("logout")), &[("client_id", client), ("refresh_token", refresh)]);
        form::done("the logout", request).await.map(|_| ())
    }

    /// What Keycloak says of a token to the client `lakegate` (RFC 7662).
    ///
    /// # Errors
    /// When Keycloak refuses to say.
    pub async fn introspect(&self, token: &str) -> io::Result<Value> {
        let fields = [("client_id", "lakegate"), ("client_secret", SECRET), ("token", token)];
        let request = form::with(self.http.post(self.endpoint("token/introspect")), &fields);
        form::done("the introspection", request).await?.json().await.map_err(io::Error::other)
    }

    async fn tokens(&self, fields: &[(&str, &str)]) -> io::Result<Tokens> {
        let request = form::with(self.http.post(self.endpoint("token")), fields);
        let answer: Value = form::done("the token endpoint", request).await?.json().await.map_err(io::Error::other)?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        let access = text("access_token").ok_or_else(|| io::Error::other("the token endpoint gave no access token"))?;
        Ok(Tokens { access, refresh: text("refresh_token"), id: text("id_token") })
    }
}

// === impl Tokens ===

impl Tokens {
    /// The claims of the access token.
    #[must_use]
    pub fn claims(&self) -> Value {
        part(&self.access, 1)
    }

    /// The header of the access token.
    #[must_use]
    pub fn header(&self) -> Value {
        part(&self.access, 0)
    }
}

fn part(token: &str, index: usize) -> Value {
    let bytes = token.split('.').nth(index).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}
