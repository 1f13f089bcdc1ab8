//! Tokens that are bound to a key, by which each request is signed (`DPoP`, RFC 9449).

use std::sync::Mutex;

use lakegate_testkit::{
    dpop::Prover,
    envoy::Listener,
    keycloak::SECRET,
    oidc::{Bound, OidcProvider, Shape},
    raw::Request,
    world::STAGE,
};
use serde_json::{Map, Value, json};

use super::{asked, ok, options, provider, refused};
use crate::asking::{self, SALES, decided};

/// A proof for the token endpoint, where there is no token yet.
fn first_proof(prover: &Prover, provider: &OidcProvider) -> String {
    let without = Map::from_iter([("ath".to_owned(), Value::Null)]);
    prover.proof_with("POST", &provider.token_endpoint(), "", &without).unwrap()
}

fn with_proof(token: &str, proof: &str) -> Request {
    Request::new("POST", STAGE.host, SALES).header("Authorization", format!("DPoP {token}")).header("DPoP", proof).json(&json!({ "inputs": [1] }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_bound_to_a_key_needs_a_proof_by_that_key() {
    let provider = provider(&[]).await;
    let introspection = json!({ "when": "opaque", "client_id": "lakegate", "auth": "basic", "secret_file": "secret" });
    let (options, _folder) = options(&provider, &introspection, &[("secret", SECRET)]);
    let world = asking::world(options).await;
    let (prover, thief) = (Prover::new().unwrap(), Prover::new().unwrap());
    let url = format!("https://{}{SALES}", STAGE.host);
    let opaque = provider.sign_in("alice", Shape::Opaque, Bound::ToKeyOf(&first_proof(&prover, &provider))).await.unwrap();
    let program = provider.client_credentials("program-dpop", Shape::Signed, Bound::ToKeyOf(&first_proof(&prover, &provider))).await.unwrap();
    let sent = async |request: &(dyn Fn() -> Request + Sync)| decided(&world, &world.workloads.trainer, Listener::Istio, request).await;
    for token in [&opaque, &program] {
        let used = Mutex::new(String::new());
        // another proof for each attempt: one that Envoy did not wait for may have been used
        let honest = || {
            let proof = prover.proof("POST", &url, token).unwrap();
            used.lock().unwrap().clone_from(&proof);
            with_proof(token, &proof)
        };
        assert_eq!(sent(&honest).await, ok());
        assert_eq!(sent(&|| with_proof(token, &used.lock().unwrap())).await, refused("PROOF_INVALID"), "a proof counts once");
        assert_eq!(sent(&|| with_proof(token, &thief.proof("POST", &url, token).unwrap())).await, refused("PROOF_INVALID"));
        assert_eq!(asked(&world, token).await, refused("PROOF_MISSING"));
    }
}
