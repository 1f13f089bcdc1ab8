//! Opaque tokens, about which the provider is asked (RFC 7662).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lakegate_testkit::{
    keycloak::SECRET,
    oidc::{Bound, Shape},
};
use serde_json::json;

use super::{asked, ok, options, provider, refused};
use crate::asking::{self, SALES, query_as, until};

/// However lakegate proves to the provider that it may ask.
#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_token_is_introspected_until_it_is_revoked() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let (x, y) = pair.public_key_raw()[1..].split_at(32);
    let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
    let provider = provider(&[json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1", "x": x, "y": y })]).await;
    let ways = [
        json!({ "client_id": "lakegate", "auth": "basic", "secret_file": "secret" }),
        json!({ "client_id": "lakegate-post", "auth": "post", "secret_file": "secret" }),
        json!({ "client_id": "lakegate-key", "auth": "private_key_jwt", "key": "introspect.pem", "key_id": "k1" }),
    ];
    for mut introspection in ways {
        introspection["when"] = json!("opaque");
        introspection["window"] = json!("1s");
        let (options, _folder) = options(&provider, &introspection, &[("secret", SECRET), ("introspect.pem", &pair.serialize_pem())]);
        let world = asking::world(options).await;
        let token = provider.sign_in("alice", Shape::Opaque, Bound::ToNothing).await.unwrap();
        assert_eq!(asked(&world, &token).await, ok(), "{introspection}");
        assert_eq!(world.workspace.reached().pop().unwrap().header("x-lakegate-subject").as_deref(), Some("corp/alice"));
        // its signed tokens are verified as any issuer's
        let signed = provider.sign_in("bob", Shape::Signed, Bound::ToNothing).await.unwrap();
        assert_eq!(asked(&world, &signed).await, ok());
        let mut changed = token.clone();
        changed.replace_range(..4, if token.starts_with("AAAA") { "BBBB" } else { "AAAA" });
        assert_eq!(asked(&world, &changed).await, refused("TOKEN_INACTIVE"));
        provider.revoke(&token).await.unwrap();
        until(&world, (401, "TOKEN_INACTIVE"), || query_as(SALES, &token)).await;
    }
}
