//! Sessions that end at Keycloak before their tokens do, as it tells by back-channel logout.

use lakegate_testkit::{World, keycloak::Realm};
use serde_json::json;

use super::{asked, options_with, realm};
use crate::asking;

/// A world that Keycloak tells when a session of the client `notebook` ends.
async fn told(realm: &Realm) -> World {
    let world = asking::world(options_with(realm, &json!({ "logout": { "audience": "notebook" } }))).await;
    let url = format!("http://127.0.0.1:{}/v1/logout/corp", world.admin_port());
    realm.change_client("notebook", &json!({ "attributes": { "backchannel.logout.url": url } })).await.unwrap();
    world
}

/// Keycloak tells before it answers whoever ends the session, so that the very next call is refused.
#[tokio::test(flavor = "multi_thread")]
async fn keycloak_tells_that_a_session_ended() {
    let realm = realm().await;
    let world = told(&realm).await;
    let sign_in = async || realm.password("notebook", "alice").await.unwrap();
    let (one, two, three) = (sign_in().await, sign_in().await, sign_in().await);
    for tokens in [&one, &two, &three] {
        assert_eq!(asked(&world, &tokens.access).await, (200, "OK".to_owned()));
    }
    // renewed: another token of the same session
    let renewed = realm.refresh("notebook", three.refresh.as_deref().unwrap()).await.unwrap();
    let ended = (401, "TOKEN_REVOKED".to_owned());

    // the person signs out
    realm.sign_out("notebook", one.refresh.as_deref().unwrap()).await.unwrap();
    assert_eq!(asked(&world, &one.access).await, ended);
    assert_eq!(asked(&world, &two.access).await, (200, "OK".to_owned()));
    // an administrator ends one session
    realm.end_session(two.claims()["sid"].as_str().unwrap()).await.unwrap();
    assert_eq!(asked(&world, &two.access).await, ended);
    assert_eq!(asked(&world, &three.access).await, (200, "OK".to_owned()));
    // and all that are left
    realm.end_sessions_of("alice").await.unwrap();
    for tokens in [&three, &renewed] {
        assert_eq!(asked(&world, &tokens.access).await, ended);
    }
    // who signs in again has a session that nobody ended
    assert_eq!(asked(&world, &sign_in().await.access).await, (200, "OK".to_owned()));
}
