//! Sessions that end at Keycloak before their tokens do, as it says when it is asked.

use lakegate_testkit::{
    Options,
    keycloak::{Realm, SECRET},
};
use serde_json::json;

use super::{asked, options_with, realm};
use crate::asking::{self, SALES, query_as, until};

/// A world in which Keycloak is asked about each of its tokens, and the answer counts for a second.
fn introspecting(realm: &Realm) -> (Options, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("introspection.secret"), SECRET).unwrap();
    let introspection = json!({ "when": "signed", "client_id": "lakegate", "auth": "basic", "secret_file": "introspection.secret", "window": "1s" });
    (options_with(realm, &json!({ "introspection": introspection })).folder(folder.path().to_owned()), folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn keycloak_is_asked_whether_a_session_goes_on() {
    let realm = realm().await;
    let (options, _folder) = introspecting(&realm);
    let world = asking::world(options).await;
    let (one, other) = (realm.password("notebook", "alice").await.unwrap(), realm.password("notebook", "alice").await.unwrap());
    for tokens in [&one, &other] {
        assert_eq!(asked(&world, &tokens.access).await, (200, "OK".to_owned()));
        assert_eq!(realm.introspect(&tokens.access).await.unwrap()["active"], true);
    }
    // an administrator ends one session, and not the person's other one
    realm.end_session(one.claims()["sid"].as_str().unwrap()).await.unwrap();
    until(&world, (401, "TOKEN_INACTIVE"), || query_as(SALES, &one.access)).await;
    assert_eq!(asked(&world, &other.access).await, (200, "OK".to_owned()));
    // the person signs out
    realm.sign_out("notebook", other.refresh.as_deref().unwrap()).await.unwrap();
    until(&world, (401, "TOKEN_INACTIVE"), || query_as(SALES, &other.access)).await;
    // the account is closed, whatever sessions it has
    let last = realm.password("notebook", "alice").await.unwrap();
    assert_eq!(asked(&world, &last.access).await, (200, "OK".to_owned()));
    realm.enable_user("alice", false).await.unwrap();
    until(&world, (401, "TOKEN_INACTIVE"), || query_as(SALES, &last.access)).await;
    // a program's token is asked about like a person's
    let ci = realm.client_credentials("ci").await.unwrap();
    assert_eq!(asked(&world, &ci.access).await, (200, "OK".to_owned()));
}
