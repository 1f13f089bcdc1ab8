//! People whom Keycloak knows from elsewhere: an LDAP directory, and a partner who vouches for them by SAML.

use lakegate_testkit::{directory::Directory, keycloak::Keycloak};
use serde_json::json;

use super::{asked, options, realm, recorded, world};
use crate::asking;

#[tokio::test(flavor = "multi_thread")]
async fn people_of_a_directory_come_with_their_groups() {
    let directory = Directory::start().await.unwrap_or_else(|error| panic!("no directory: {error}"));
    let realm = realm().await;
    realm.federate(&directory).await.unwrap();
    let world = world(&realm).await;
    let lena = realm.password("notebook", "lena").await.unwrap();
    let record = recorded(&world, &lena).await;
    assert_eq!(record["facts"]["token"]["groups"], json!(["data-readers", "ml-engineers"]));
    assert_eq!(record["policies"], json!(["ml-query-staging"]));
    // in the directory, but not in the group
    let leo = realm.password("notebook", "leo").await.unwrap();
    assert_eq!(leo.claims()["groups"], json!(["data-readers"]));
    assert_eq!(asked(&world, &leo.access).await, (403, "POLICY_NO_PERMIT".to_owned()));
    assert!(realm.password("notebook", "nobody").await.is_err());
}

const POLICIES: &str = r#"
@id("partners")
permit (principal is User in Group::"corp/partners", action == Action::"serving_endpoints.query", resource in Environment::"staging")
when { principal in Role::"corp/engineer" };
"#;

/// The person signs in at the partner, whose assertion Keycloak believes; lakegate sees Keycloak's token alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_partners_people_come_by_saml() {
    let keycloak = Keycloak::shared().await.unwrap();
    let (realm, partner) = (keycloak.ml().await.unwrap(), keycloak.partner().await.unwrap());
    realm.broker(&partner).await.unwrap();
    let world = asking::world(options(&realm).policies(&[("partners.cedar", POLICIES)])).await;
    let paula = realm.sign_in("notebook", "paula", Some("partner")).await.unwrap();
    let record = recorded(&world, &paula).await;
    assert_eq!((&record["policies"], &record["facts"]["token"]["groups"]), (&json!(["partners"]), &json!(["partners"])));
    assert_eq!(record["principal"], format!("User::\"corp/{}\"", realm.user("paula").await.unwrap()));
    // a token of the partner's own is none of ours
    let own = partner.password("admin-cli", "paula").await.unwrap();
    assert_eq!(asked(&world, &own.access).await, (401, "TOKEN_UNKNOWN_ISSUER".to_owned()));
}
