//! Tokens bound to a key (DPoP), through a real Envoy.

use lakegate_testkit::{
    World,
    dpop::Prover,
    issuer::TokenSpec,
    raw::{Request, Response},
    world::STAGE,
};
use serde_json::json;

use crate::asking::{SALES, options, outcome, query_as, send, status_until, world};

fn url() -> String {
    format!("https://{}{SALES}", STAGE.host)
}

/// A query with `token` and this proof, if any.
async fn call(world: &World, token: &str, proof: Option<&str>) -> Response {
    let request = Request::new("POST", STAGE.host, SALES).header("Authorization", format!("DPoP {token}")).json(&json!({ "inputs": [1] }));
    send(world, &proof.into_iter().fold(request, |request, proof| request.header("DPoP", proof))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_passes_with_a_proof_for_this_request_and_no_other() {
    let mut world = world(options()).await;
    let (prover, thief) = (Prover::new().unwrap(), Prover::new().unwrap());
    let token = world.corp.token(&TokenSpec::new().claim("cnf", prover.confirmation())).unwrap();
    let good = || prover.proof("POST", &url(), &token).unwrap();

    let first = good();
    let reached = world.workspace.count();
    assert_eq!(outcome(&call(&world, &token, Some(&first)).await), (200, "OK".to_owned()));
    assert!(world.workspace.reached()[reached].values("dpop").is_empty(), "the proof left the mesh");
    // what the sidecar was asked for in the clear
    let plain = prover.proof("POST", &url().replace("https:", "http:"), &token).unwrap();
    assert_eq!(outcome(&call(&world, &token, Some(&plain)).await), (200, "OK".to_owned()));

    let replayed = call(&world, &token, Some(&first)).await;
    assert_eq!(outcome(&replayed), (401, "PROOF_INVALID".to_owned()));
    assert!(replayed.header("www-authenticate").is_some_and(|value| value.contains("DPoP error=\"invalid_dpop_proof\"")));
    for proof in [
        prover.proof("GET", &url(), &token).unwrap(),
        prover.proof("POST", &url().replace("sales", "churn"), &token).unwrap(),
        prover.proof("POST", &url(), "another token").unwrap(),
        thief.proof("POST", &url(), &token).unwrap(),
        format!("{}, {}", good(), good()),
    ] {
        assert_eq!(outcome(&call(&world, &token, Some(&proof)).await), (401, "PROOF_INVALID".to_owned()));
    }
    // the token that was stolen without its key
    assert_eq!(outcome(&call(&world, &token, None).await), (401, "PROOF_MISSING".to_owned()));
    assert_eq!(outcome(&send(&world, &query_as(SALES, &token)).await), (401, "PROOF_MISSING".to_owned()));
    let downgraded = query_as(SALES, &token).header("DPoP", good());
    assert_eq!(outcome(&send(&world, &downgraded).await), (401, "PROOF_MISSING".to_owned()));
    assert_eq!(world.workspace.count(), reached + 2);

    // a reload forgets no proof
    let before = status_until(&world, |_| true).await["configuration"]["generation"].as_u64();
    let mut config = world.config().clone();
    config["issuers"][0]["possession"] = json!("required");
    world.write_config(config).unwrap();
    status_until(&world, |status| status["configuration"]["generation"].as_u64() > before).await;
    assert_eq!(outcome(&call(&world, &token, Some(&first)).await), (401, "PROOF_INVALID".to_owned()));
    assert_eq!(outcome(&call(&world, &token, Some(&good())).await), (200, "OK".to_owned()));
    let bearer = world.corp.token(&TokenSpec::new()).unwrap();
    assert_eq!(outcome(&send(&world, &query_as(SALES, &bearer)).await), (401, "TOKEN_BAD_CLAIMS".to_owned()));
}
