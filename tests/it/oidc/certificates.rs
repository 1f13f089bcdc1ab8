//! Tokens that are bound to the client certificate of the workload that got them (RFC 8705).

use lakegate_testkit::{
    authority::{Identity, Names, spiffe_id},
    envoy::Listener,
    oidc::{Bound, Shape},
};
use serde_json::Value;

use super::{ok, options, provider, refused};
use crate::asking::{self, SALES, decided, query_as};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_bound_to_a_certificate_is_worth_nothing_in_another_pod() {
    let provider = provider(&[]).await;
    let (options, _folder) = options(&provider, &Value::Null, &[]);
    let world = asking::world(options).await;
    let trainer = &world.workloads.trainer;
    let token = provider.client_credentials("program-mtls", Shape::Signed, Bound::ToCertificate(trainer)).await.unwrap();
    // the door that passes on which certificate the caller has
    let asked = async |identity: &Identity| decided(&world, identity, Listener::Bare, || query_as(SALES, &token)).await;
    assert_eq!(asked(trainer).await, ok());
    assert_eq!(asked(&world.workloads.server).await, refused("PROOF_INVALID"));
    // the same workload with a renewed certificate: the token is bound to the certificate, not to its name
    let renewed = world.authority.issue("renewed", &Names::uri(&spiffe_id("ml-staging", "trainer"))).unwrap();
    assert_eq!(asked(&renewed).await, refused("PROOF_INVALID"));
    assert_eq!(asked(trainer).await, ok());
    assert_eq!(world.workspace.count(), 2);
}
