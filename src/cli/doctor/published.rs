//! Whether others can learn by which keys lakegate is known (OpenID Connect Discovery 1.0, section 4; RFC 7517, section 5).

use serde_json::Value;

use super::{
    mend,
    report::{State, Step},
};
use crate::{
    net::{Client, Endpoint},
    text::quoted,
};

/// The `iss` of what is signed, and the ids of all keys.
pub(super) struct Known<'k> {
    pub(super) issuer: &'k str,
    pub(super) ids: Vec<String>,
    /// What it is where they cannot be fetched.
    pub(super) unreached: State,
}

pub(super) async fn examine(client: &Client, known: &Known<'_>) -> Vec<Step> {
    if !known.issuer.starts_with("http") {
        let says = format!("`iss` is `{}`, which is no URL: nobody can fetch the keys, so Databricks must have been given them", known.issuer);
        let mend = "have them in the federation policy as `jwks_json`, anew with each new key; or set `trust.assertion.issuer` to an https URL that Databricks reaches";
        return vec![Step::new("issuer", State::NotKnown, says).mend(mend)];
    }
    let base = known.issuer.trim_end_matches('/');
    let (issuer, keys_at) = match fetch(client, known, &format!("{base}/.well-known/openid-configuration")).await {
        Ok(document) => named(known, &document),
        Err(step) => (step, None),
    };
    let keys_at = keys_at.unwrap_or_else(|| format!("{base}/.well-known/jwks.json"));
    let keys = match fetch(client, known, &keys_at).await {
        Ok(document) => held(known, &keys_at, &document),
        Err(step) => Step { name: "issuer-keys", ..step },
    };
    vec![issuer, keys]
}

async fn fetch(client: &Client, known: &Known<'_>, url: &str) -> Result<Value, Step> {
    let endpoint = Endpoint::parse(url).map_err(|error| Step::new("issuer", State::NotWell, format!("{}: {error}", quoted(url))))?;
    let nothing = |says: String| Step::new("issuer", known.unreached, says);
    let body = client.get(&endpoint).await.map_err(|error| {
        let mend = format!(
            "Databricks could not fetch it either, unless the keys were uploaded (`jwks_json`): publish the admin port's `/.well-known/` under the issuer; {}",
            mend::unanswered(&error)
        );
        nothing(format!("{url}: {error}")).mend(mend)
    })?;
    let mend = "publish there what the admin port has at the same path, unless the keys were uploaded (`jwks_json`)";
    serde_json::from_slice(&body).map_err(|_| nothing(format!("{url}: it is not JSON")).mend(mend))
}

/// Whether the document is of this issuer, and where it says that the keys are.
fn named(known: &Known<'_>, document: &Value) -> (Step, Option<String>) {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let keys_at = text("jwks_uri").map(str::to_owned);
    // letter by letter (OpenID Connect Discovery 1.0, section 4.3)
    let step = match text("issuer") {
        Some(issuer) if issuer == known.issuer => Step::new("issuer", State::Well, format!("{issuer} says who it is")),
        Some(issuer) => Step::new(
            "issuer",
            State::NotWell,
            format!("what is published under {} names {} as its issuer", known.issuer, quoted(issuer)),
        )
        .mend("set `trust.assertion.issuer` to what is published, or publish this lakegate's document there: they must be the same letter by letter"),
        None => Step::new("issuer", State::NotWell, format!("what is published under {} names no issuer", known.issuer))
            .mend("publish there what the admin port has at the same path"),
    };
    (step, keys_at)
}

/// Whether every key is published.
fn held(known: &Known<'_>, url: &str, document: &Value) -> Step {
    let keys = document.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let has = |id: &str| keys.iter().any(|key| key.get("kid").and_then(Value::as_str) == Some(id));
    let missing: Vec<&str> = known.ids.iter().map(String::as_str).filter(|id| !has(id)).collect();
    if missing.is_empty() {
        return Step::new("issuer-keys", State::Well, format!("{url} has every key"));
    }
    Step::new("issuer-keys", State::NotWell, format!("{url} lacks the key {}", missing.join(", ")))
        .mend("the lakegate that is published there has other key files, or a cache on the way holds an old answer: what is signed with a key that is not there is refused")
}
