//! Every grant by which one gets a token of Keycloak, and which of what it gives is an access token for lakegate.

use serde_json::json;

use super::{asked, options, realm, recorded, world};
use crate::asking::{self, SALES, outcome, query_as, send};

/// Each permits one kind of caller by what Keycloak alone can have said of it.
const POLICIES: &str = r#"
@id("person")
permit (principal is User in Role::"corp/lakegate:query", action == Action::"serving_endpoints.query", resource in Environment::"staging")
when { principal in Role::"corp/engineer" && principal in Group::"corp/ml-engineers" && context has token.client && context.token.client == "notebook" };

@id("program")
permit (principal is ServicePrincipal in Role::"corp/lakegate:deploy", action == Action::"serving_endpoints.query", resource in Environment::"staging")
when { principal in Group::"corp/ml-engineers" && context has token.client && context.token.client == "ci" };

@id("exchanged")
permit (principal is User in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource in Environment::"staging")
when { context has token.client && context.token.client == "agent" };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_known_with_groups_and_roles() {
    let realm = realm().await;
    let world = asking::world(options(&realm).policies(&[("keycloak.cedar", POLICIES)])).await;
    let tokens = realm.password("notebook", "alice").await.unwrap();
    let alice = tokens.claims()["sub"].clone();
    assert_eq!(realm.user("alice").await.unwrap(), alice);
    let record = recorded(&world, &tokens).await;
    assert_eq!(record["principal"], format!("User::\"corp/{}\"", alice.as_str().unwrap()));
    assert_eq!(record["policies"], json!(["person"]));
    assert_eq!((&record["user_identity"]["issuer"], &record["user_identity"]["client"]), (&json!("corp"), &json!("notebook")));
    let facts = &record["facts"]["token"];
    // the name of a group within another, without its path
    assert_eq!(facts["groups"], json!(["ml-engineers", "night"]));
    let roles = facts["roles"].as_array().unwrap();
    assert!(["engineer", "lakegate:query"].iter().all(|role| roles.contains(&json!(role))), "{roles:?}");
    assert!(!roles.contains(&json!("lakegate:deploy")), "{roles:?}");

    // no group and no role: known all the same, and may nothing
    let bob = realm.password("notebook", "bob").await.unwrap();
    assert_eq!(asked(&world, &bob.access).await, (403, "POLICY_NO_PERMIT".to_owned()));
    // the same person at a browser
    let alice = realm.sign_in("notebook", "alice", None).await.unwrap();
    assert_eq!(recorded(&world, &alice).await["policies"], json!(["person"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_a_service_principal() {
    let realm = realm().await;
    let world = asking::world(options(&realm).policies(&[("keycloak.cedar", POLICIES)])).await;
    let tokens = realm.client_credentials("ci").await.unwrap();
    let record = recorded(&world, &tokens).await;
    assert_eq!(record["principal"], format!("ServicePrincipal::\"corp/{}\"", tokens.claims()["sub"].as_str().unwrap()));
    assert_eq!((&record["policies"], &record["user_identity"]["client"]), (&json!(["program"]), &json!("ci")));
    // a program without rights
    let agent = realm.client_credentials("agent").await.unwrap();
    assert_eq!(asked(&world, &agent.access).await, (403, "POLICY_NO_PERMIT".to_owned()));
}

/// The exchanged token speaks of the person, and of the program as the client it was given to (RFC 8693, section 1.1: impersonation).
#[tokio::test(flavor = "multi_thread")]
async fn an_exchanged_token_is_the_persons_with_another_client() {
    let realm = realm().await;
    let world = asking::world(options(&realm).policies(&[("keycloak.cedar", POLICIES)])).await;
    let tokens = realm.password("notebook", "alice").await.unwrap();
    let exchanged = realm.exchange("agent", &tokens.access).await.unwrap();
    let (before, after) = (tokens.claims(), exchanged.claims());
    assert_eq!((&before["sub"], &before["azp"], &after["azp"]), (&after["sub"], &json!("notebook"), &json!("agent")));
    let record = recorded(&world, &exchanged).await;
    assert_eq!(record["principal"], format!("User::\"corp/{}\"", before["sub"].as_str().unwrap()));
    assert_eq!((&record["policies"], &record["user_identity"]["client"]), (&json!(["exchanged"]), &json!("agent")));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_access_tokens_for_lakegate_count() {
    let realm = realm().await;
    let world = world(&realm).await;
    let tokens = realm.password("notebook", "alice").await.unwrap();
    let newer = realm.refresh("notebook", tokens.refresh.as_deref().unwrap()).await.unwrap();
    for good in [&tokens, &newer] {
        recorded(&world, good).await;
    }
    // an ID token says `typ: ID`; its audience is the client, which might just as well be lakegate
    assert_eq!(asked(&world, tokens.id.as_deref().unwrap()).await, (401, "TOKEN_WRONG_TYPE".to_owned()));
    // a refresh token is signed by HMAC with a secret of Keycloak's own, which no key set has
    assert_eq!(asked(&world, tokens.refresh.as_deref().unwrap()).await, (401, "TOKEN_BAD_SIGNATURE".to_owned()));
    let elsewhere = realm.password("elsewhere", "alice").await.unwrap();
    assert_eq!(asked(&world, &elsewhere.access).await, (401, "TOKEN_WRONG_AUDIENCE".to_owned()));
    // the same Keycloak, another realm: its keys vouch for nothing here
    let other = super::realm().await.password("notebook", "alice").await.unwrap();
    assert_eq!(asked(&world, &other.access).await, (401, "TOKEN_UNKNOWN_ISSUER".to_owned()));
    // a signature that is another token's
    let forged = format!("{}.{}", tokens.access.rsplit_once('.').unwrap().0, newer.access.rsplit_once('.').unwrap().1);
    assert_eq!(asked(&world, &forged).await.0, 401);
    assert_eq!(world.workspace.count(), 2);
}

/// A token is good for as long as Keycloak said, known or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_keycloak_expires() {
    let realm = realm().await;
    let world = asking::world(options(&realm).test_clock()).await;
    let (known, unknown) = (realm.password("notebook", "alice").await.unwrap(), realm.password("notebook", "alice").await.unwrap());
    assert_eq!(asked(&world, &known.access).await, (200, "OK".to_owned()));
    world.move_clock(300 + 60).unwrap();
    asking::until(&world, (401, "TOKEN_EXPIRED"), || query_as(SALES, &known.access)).await;
    assert_eq!(outcome(&send(&world, &query_as(SALES, &unknown.access)).await), (401, "TOKEN_EXPIRED".to_owned()));
}
