//! The keys of a real Keycloak: rotated, withdrawn, and out of reach.

use lakegate_testkit::line::Line;

use super::{asked, options, realm, world};
use crate::asking::{self, SALES, query_as, status_until, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_not_noticed() {
    let realm = realm().await;
    let world = world(&realm).await;
    let old = realm.password("notebook", "alice").await.unwrap();
    assert_eq!(asked(&world, &old.access).await, (200, "OK".to_owned()));
    realm.add_key().await.unwrap();
    let new = realm.password("notebook", "alice").await.unwrap();
    assert_ne!(old.header()["kid"], new.header()["kid"]);
    // both keys are published: not one token is refused, a known one or a new one, by the first call or a later one
    for token in [&new, &old, &new] {
        assert_eq!(asked(&world, &token.access).await, (200, "OK".to_owned()), "{}", token.header());
    }
    let status = status_until(&world, |status| status["issuers"][0]["keys"].as_array().is_some_and(|keys| keys.len() >= 2)).await;
    assert_eq!(status["issuers"][0]["degraded"], false);
}

/// What an administrator does whose key was stolen: the tokens it signed stop, verified before or not, within a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_key_stops_within_a_minute() {
    let realm = realm().await;
    let world = asking::world(options(&realm).test_clock()).await;
    let (known, unknown) = (realm.password("notebook", "alice").await.unwrap(), realm.password("notebook", "alice").await.unwrap());
    assert_eq!(asked(&world, &known.access).await, (200, "OK".to_owned()));
    realm.add_key().await.unwrap();
    realm.remove_old_keys().await.unwrap();
    let new = realm.password("notebook", "alice").await.unwrap();
    world.move_clock(60).unwrap();
    until(&world, (401, "TOKEN_UNKNOWN_KEY"), || query_as(SALES, &known.access)).await;
    assert_eq!(asked(&world, &unknown.access).await, (401, "TOKEN_UNKNOWN_KEY".to_owned()));
    assert_eq!(asked(&world, &new.access).await, (200, "OK".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_known_decide_while_keycloak_is_out_of_reach() {
    let realm = realm().await;
    let line = Line::to(realm.port()).await.unwrap();
    let realm = realm.by(line.port());
    let world = asking::world(options(&realm).test_clock()).await;
    let (known, unknown) = (realm.password("notebook", "alice").await.unwrap(), realm.password("notebook", "alice").await.unwrap());
    assert_eq!(asked(&world, &known.access).await, (200, "OK".to_owned()));
    line.cut();
    world.move_clock(120).unwrap();
    status_until(&world, |status| status["issuers"][0]["degraded"] == true).await;
    for tokens in [&known, &unknown] {
        assert_eq!(asked(&world, &tokens.access).await, (200, "OK".to_owned()));
    }
    // and one that Keycloak never gave
    let (head, _) = unknown.access.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", known.access.rsplit_once('.').unwrap().1);
    assert_eq!(asked(&world, &forged).await.0, 401);
    line.mend();
    world.move_clock(180).unwrap();
    status_until(&world, |status| status["issuers"][0]["degraded"] == false).await;
    assert_eq!(asked(&world, &known.access).await, (200, "OK".to_owned()));
}
