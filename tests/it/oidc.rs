//! A real `oidc-provider` as the issuer: opaque tokens, and tokens that are bound to a key or to a certificate.

mod certificates;
mod opaque;
mod proofs;

use std::fs;

use lakegate_testkit::{Options, World, envoy::Listener, oidc::OidcProvider};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::asking::{self, SALES, decided, query_as};

async fn provider(keys: &[Value]) -> OidcProvider {
    OidcProvider::start(keys).await.unwrap_or_else(|error| panic!("no provider: {error}"))
}

/// A world with the provider as the issuer `corp`, in a folder that has `files`.
fn options(provider: &OidcProvider, introspection: &Value, files: &[(&str, &str)]) -> (Options, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut issuer = json!({ "name": "corp", "issuer": provider.issuer(), "provider": "generic", "audiences": ["lakegate"], "bindings": "none" });
    if !introspection.is_null() {
        issuer["introspection"] = introspection.clone();
    }
    let options = asking::options().folder(folder.path().to_owned());
    (options.configure(move |config| config["issuers"][0] = issuer.clone()), folder)
}

async fn asked(world: &World, token: &str) -> (u16, String) {
    decided(world, &world.workloads.trainer, Listener::Istio, || query_as(SALES, token)).await
}

fn ok() -> (u16, String) {
    (200, "OK".to_owned())
}

fn refused(reason: &str) -> (u16, String) {
    (401, reason.to_owned())
}
