//! What an administrator does, by Keycloak's admin REST API.

use std::io;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Realm, SECRET};
use crate::form;

const KEY_PROVIDER: &str = "org.keycloak.keys.KeyProvider";

/// A token of the administrator.
pub(super) async fn token(http: &reqwest::Client, port: u16) -> io::Result<String> {
    let url = format!("http://127.0.0.1:{port}/realms/master/protocol/openid-connect/token");
    let fields = [("grant_type", "password"), ("client_id", "admin-cli"), ("username", "admin"), ("password", SECRET)];
    let answer: Value = form::done("the administrator's token", form::with(http.post(url), &fields)).await?.json().await.map_err(io::Error::other)?;
    answer.get("access_token").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| io::Error::other("the administrator got no token"))
}

// === impl Realm ===

impl Realm {
    /// Makes a new signing key, which signs from now on. The old one stays published.
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn add_key(&self) -> io::Result<()> {
        let highest = self.signing_keys().await?.iter().map(priority).max().unwrap_or(100);
        let config = json!({
            "priority": [(highest + 1).to_string()], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"], "keySize": ["2048"],
        });
        let key = json!({ "name": format!("rsa-{highest}"), "providerId": "rsa-generated", "providerType": KEY_PROVIDER, "config": config });
        self.admin(Method::POST, "components", Some(&key)).await.map(|_| ())
    }

    /// Removes every signing key but the one that signs.
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn remove_old_keys(&self) -> io::Result<()> {
        let keys = self.signing_keys().await?;
        let highest = keys.iter().map(priority).max().unwrap_or_default();
        for key in keys.iter().filter(|key| priority(key) < highest) {
            self.admin(Method::DELETE, &format!("components/{}", text(key, "id")?), None).await?;
        }
        Ok(())
    }

    /// Ends every session of a user.
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn end_sessions_of(&self, user: &str) -> io::Result<()> {
        let user = self.user(user).await?;
        self.admin(Method::POST, &format!("users/{user}/logout"), None).await.map(|_| ())
    }

    /// Ends one session, which tokens name in `sid`.
    ///
    /// # Errors
    /// When Keycloak refuses, or there is none.
    pub async fn end_session(&self, sid: &str) -> io::Result<()> {
        self.admin(Method::DELETE, &format!("sessions/{sid}"), None).await.map(|_| ())
    }

    /// Enables or disables a user.
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn enable_user(&self, user: &str, enabled: bool) -> io::Result<()> {
        let user = self.user(user).await?;
        self.admin(Method::PUT, &format!("users/{user}"), Some(&json!({ "enabled": enabled }))).await.map(|_| ())
    }

    /// Changes a client by the members of `change`, for instance `{"attributes": {"backchannel.logout.url": …}}`.
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn change_client(&self, client: &str, change: &Value) -> io::Result<()> {
        let found = self.admin(Method::GET, &format!("clients?{}", form::encode(&[("clientId", client)])), None).await?;
        let mut facts = found.get(0).cloned().ok_or_else(|| io::Error::other(format!("no client `{client}`")))?;
        merge(&mut facts, change);
        self.admin(Method::PUT, &format!("clients/{}", text(&facts, "id")?), Some(&facts)).await.map(|_| ())
    }

    /// The id of a user, which is the `sub` of tokens.
    ///
    /// # Errors
    /// When there is none.
    pub async fn user(&self, name: &str) -> io::Result<String> {
        let found = self.admin(Method::GET, &format!("users?exact=true&{}", form::encode(&[("username", name)])), None).await?;
        text(found.get(0).unwrap_or(&Value::Null), "id")
    }

    /// The answer of the admin API to a request under the realm.
    ///
    /// # Errors
    /// When Keycloak refuses; the message has its answer.
    pub async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let token = token(&self.http, self.keycloak).await?;
        let what = format!("{method} {path}");
        let request = self.http.request(method, format!("http://127.0.0.1:{}/admin/realms/{}/{path}", self.keycloak, self.name)).bearer_auth(token);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = form::done(&what, request).await?.bytes().await.map_err(io::Error::other)?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    async fn signing_keys(&self) -> io::Result<Vec<Value>> {
        let found = self.admin(Method::GET, &format!("components?type={KEY_PROVIDER}"), None).await?;
        let all = found.as_array().cloned().unwrap_or_default();
        Ok(all.into_iter().filter(|key| key.get("providerId").and_then(Value::as_str) == Some("rsa-generated")).collect())
    }
}

fn priority(key: &Value) -> u32 {
    key.pointer("/config/priority/0").and_then(Value::as_str).and_then(|priority| priority.parse().ok()).unwrap_or_default()
}

pub(super) fn text(value: &Value, name: &str) -> io::Result<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| io::Error::other(format!("no `{name}` in {value}")))
}

/// Puts the members of `change` over those of `facts`, objects member by member.
pub(super) fn merge(facts: &mut Value, change: &Value) {
    match (facts, change) {
        (Value::Object(facts), Value::Object(change)) => {
            for (name, value) in change {
                merge(facts.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (facts, change) => *facts = change.clone(),
    }
}
