//! Whether others can learn by which keys lakegate is known (OpenID Connect Discovery 1.0, section 4; RFC 7517, section 5).

use serde_json::Value;

use super::{
    mend,
    report::{State, Step},
};
use crate::{
    net::{Client, Endpoint},
    text::{quoted, shown},
};

/// The `iss` of what is signed, and the public JWKs of all keys.
pub(super) struct Known<'k> {
    pub(super) issuer: &'k str,
    pub(super) keys: Vec<Value>,
    /// What it is where they cannot be fetched.
    pub(super) unreached: State,
}

/// The step that is there where a private key is published: nothing makes up for that.
pub(super) const LEAK: &str = "issuer-secrets";

/// The members of a JWK that are its public key (RFC 7518, section 6.2.1; RFC 8037, section 2).
const PUBLIC: [&str; 4] = ["kty", "crv", "x", "y"];
/// Those that nobody may see (RFC 7518, sections 6.2.2, 6.3.2 and 6.4.1; RFC 8037, section 2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

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
        Err(step) => vec![Step { name: "issuer-keys", ..step }],
    };
    std::iter::once(issuer).chain(keys).collect()
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

/// Whether every key is published, and nothing but keys.
fn held(known: &Known<'_>, url: &str, document: &Value) -> Vec<Step> {
    let keys = document.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut steps = vec![ours(known, url, keys)];
    let private = |key: &&Value| PRIVATE.iter().any(|member| key.get(member).is_some());
    let leaked = ids(keys.iter().filter(private));
    if !leaked.is_empty() {
        let says = format!("{url} shows the private key of {leaked} to everybody");
        steps.push(Step::new(LEAK, State::NotWell, says).mend(
            "whoever has read it signs as lakegate: publish what the admin port has at the same path, and put every key out of the files, by `lakegate keys rotate --force` \
             twice; where the keys were uploaded (`jwks_json`), upload the new ones",
        ));
    }
    steps
}

fn ours(known: &Known<'_>, url: &str, keys: &[Value]) -> Step {
    let id = |key: &Value| key.get("kid").and_then(Value::as_str).map(str::to_owned);
    let same = |one: &Value, other: &Value| PUBLIC.iter().all(|member| one.get(member) == other.get(member));
    let under = |own: &Value| keys.iter().filter(|key| id(key) == id(own)).collect::<Vec<_>>();
    let other = ids(known.keys.iter().filter(|own| under(own).iter().any(|key| !same(own, key))));
    if !other.is_empty() {
        return Step::new("issuer-keys", State::NotWell, format!("{url} has another key than this lakegate under the id {other}")).mend(
            "an id is the thumbprint of its key: somebody else made what is published there; publish what the admin port has at the same path",
        );
    }
    let missing = ids(known.keys.iter().filter(|own| under(own).is_empty()));
    if !missing.is_empty() {
        return Step::new("issuer-keys", State::NotWell, format!("{url} lacks the key {missing}"))
            .mend("the lakegate that is published there has other key files, or a cache on the way holds an old answer: what is signed with a key that is not there is refused");
    }
    let foreign = ids(keys.iter().filter(|key| !known.keys.iter().any(|own| same(own, key))));
    if !foreign.is_empty() {
        return Step::new("issuer-keys", State::NotKnown, format!("{url} has every key, and one that this lakegate does not have: {foreign}"))
            .mend("whoever holds it signs as lakegate: it should be that of another instance, before or after a rotation; if nobody knows it, publish what the admin port has");
    }
    Step::new("issuer-keys", State::Well, format!("{url} has every key"))
}

/// The ids of keys, for people.
fn ids<'k>(keys: impl Iterator<Item = &'k Value>) -> String {
    let id = |key: &Value| key.get("kid").and_then(Value::as_str).map_or_else(|| "without id".to_owned(), shown);
    keys.map(id).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::signer::{Algorithm, SigningKey, generate};

    #[test]
    fn a_key_set_is_well_that_has_the_public_keys_and_no_others() {
        let key = |algorithm| SigningKey::parse(generate(algorithm).unwrap().as_bytes()).unwrap().jwk().unwrap();
        let [first, second, stranger] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Es256].map(key);
        let known = Known { issuer: "https://lakegate.example.com", keys: vec![first.clone(), second.clone()], unreached: State::NotWell };
        let with = |key: &Value, member: &str, value: &Value| {
            let mut key = key.clone();
            key[member] = value.clone();
            key
        };
        let forged = with(&stranger, "kid", &first["kid"]);
        let reordered = with(&first, "use", &json!(null));
        for (keys, state, says, leaks) in [
            (json!([first, second]), State::Well, "has every key", false),
            (json!([second, reordered]), State::Well, "has every key", false),
            (json!([first]), State::NotWell, "lacks the key", false),
            (json!({}), State::NotWell, "lacks the key", false),
            (json!([first, with(&second, "kid", &json!("x"))]), State::NotWell, "lacks the key", false),
            (json!([forged, second]), State::NotWell, "has another key", false),
            // Which of the two a reader takes is its own affair.
            (json!([first, second, forged]), State::NotWell, "has another key", false),
            (json!([first, with(&second, "x", &first["x"])]), State::NotWell, "has another key", false),
            (json!([with(&first, "y", &first["x"]), second]), State::NotWell, "has another key", false),
            (json!([with(&first, "crv", &json!("P-384")), second]), State::NotWell, "has another key", false),
            (json!([first, second, stranger]), State::NotKnown, stranger["kid"].as_str().unwrap(), false),
            (json!([with(&first, "d", &json!("c2VjcmV0")), second]), State::Well, "has every key", true),
            (json!([first, second, with(&stranger, "d", &json!("c2VjcmV0"))]), State::NotKnown, "does not have", true),
            (json!([first, second, { "kty": "oct", "k": "c2VjcmV0" }]), State::NotKnown, "without id", true),
        ] {
            let steps = held(&known, "https://lakegate.example.com/jwks", &json!({ "keys": keys }));
            assert!(steps[0].state == state && steps[0].says.contains(says), "{keys}: {:?}", steps[0]);
            assert_eq!(steps.iter().any(|step| step.name == LEAK && step.state == State::NotWell), leaks, "{keys}");
            assert!(!format!("{steps:?}").contains("c2VjcmV0"), "a private key is told");
        }
    }
}
