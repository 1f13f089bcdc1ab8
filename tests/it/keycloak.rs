//! A real Keycloak as the issuer, and through it an LDAP directory and a SAML partner: whatever tokens it gives, by whichever grant, come through a
//! real Envoy to lakegate.

mod federated;
mod grants;
mod introspected;
mod keys;
mod logout;

use lakegate_testkit::{
    Options, World,
    envoy::Listener,
    keycloak::{Keycloak, Realm, Tokens},
};
use serde_json::{Value, json};

use crate::asking::{self, PATIENCE, SALES, decided, query_as};

async fn realm() -> Realm {
    Keycloak::shared().await.unwrap_or_else(|error| panic!("no Keycloak: {error}")).ml().await.unwrap()
}

/// A world in which `realm` is the issuer `corp`.
async fn world(realm: &Realm) -> World {
    asking::world(options(realm)).await
}

fn options(realm: &Realm) -> Options {
    options_with(realm, &json!({}))
}

/// A world in which `realm` is the issuer `corp`, with these keys more.
fn options_with(realm: &Realm, more: &Value) -> Options {
    let mut issuer = json!({ "name": "corp", "issuer": realm.issuer(), "provider": "keycloak", "audiences": ["lakegate"], "bindings": "none" });
    for (key, value) in more.as_object().unwrap() {
        issuer[key] = value.clone();
    }
    asking::options().configure(move |config| config["issuers"][0] = issuer.clone())
}

/// What becomes of a query with this token.
async fn asked(world: &World, token: &str) -> (u16, String) {
    decided(world, &world.workloads.trainer, Listener::Istio, || query_as(SALES, token)).await
}

/// The record of the call that `tokens` were allowed.
async fn recorded(world: &World, tokens: &Tokens) -> Value {
    assert_eq!(asked(world, &tokens.access).await, (200, "OK".to_owned()), "{}", tokens.claims());
    let id = tokens.claims()["jti"].clone();
    world.audit.wait_for(PATIENCE, |record| record["user_identity"]["token_id"] == id).await.unwrap()
}
