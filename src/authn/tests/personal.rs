//! Personal access tokens of Databricks, for a host that takes them.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::world::{CORP, Forge, Idp, PEER, call, config, issuer, reason};
use crate::{
    authn::{Authenticator, Provider, Trail},
    clock::Clock,
    model::Reason,
};

const TOKEN: &str = "dapi0123456789abcdef0123456789abcdef";

/// A stage that lets them pass to `host`, where nobody needs a mesh identity.
async fn passing(host: &str) -> (Forge<'static>, Authenticator) {
    let idp = Idp::start(&[&CORP]).await;
    let mut config = config(vec![issuer("corp", &idp.url, Provider::Generic)]);
    config.personal_hosts.insert(host.to_owned());
    config.peers.required = false;
    (Forge::new(&idp.url, &CORP), Authenticator::new(config, super::world::client(), Clock::default(), None).unwrap())
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[tokio::test]
async fn whoever_brings_one_is_the_workload_and_nobody_else() {
    let (good, authn) = passing("stage.cloud.databricks.com").await;
    for header in [
        format!("Bearer {TOKEN}"),
        format!("bearer {TOKEN}-2"),
        basic(&format!("token:{TOKEN}")),
        basic(&format!("token:{TOKEN}")).replace("Basic", "basic"),
    ] {
        let call = call(PEER, Some(&header));
        let mut trail = Trail::default();
        let caller = authn.identify(&call, authn.peer(&call).unwrap(), &mut trail).await.unwrap();
        assert_eq!(caller.peer.as_ref().map(|peer| peer.as_str().as_bytes()), Some(PEER), "{header}");
        assert!(caller.token.is_none() && trail.is_personal() && trail.whose().is_none(), "{header}");
        let without = authn.authenticate(&super::world::call(PEER, None)).await.unwrap();
        assert_eq!(
            caller.principal().map(|principal| principal.entity().to_string()),
            without.principal().map(|principal| principal.entity().to_string())
        );
        let refused = authn.authenticate(&super::world::call(b"", Some(&header))).await;
        assert!(refused.as_ref().unwrap_err().detail.contains("no mesh identity"), "{header}");
        assert_eq!(reason(refused, &header), Reason::CredentialUnsupported, "{header}: nobody vouches for who brings it");
    }
    // Others are read as ever.
    let mut trail = Trail::default();
    let token = format!("Bearer {}", good.token());
    assert!(authn.identify(&call(PEER, Some(&token)), None, &mut trail).await.unwrap().token.is_some() && !trail.is_personal());
}

#[tokio::test]
async fn what_only_looks_like_one_passes_nowhere() {
    let (_, authn) = passing("stage.cloud.databricks.com").await;
    for header in [
        "Bearer dapi".to_owned(),
        format!("Bearer  {TOKEN}"),
        format!("Bearer {TOKEN} "),
        format!("Bearer {TOKEN},Bearer {TOKEN}"),
        format!("Bearer {TOKEN}.e30.e30"),
        format!("DPoP {TOKEN}"),
        TOKEN.to_owned(),
        basic(TOKEN),
        basic(&format!(":{TOKEN}")),
        basic(&format!("alice:{TOKEN}")),
        basic(&format!("token:{TOKEN}\r\n")),
        basic(&format!("token:{TOKEN}:x")),
        format!("{} ", basic(&format!("token:{TOKEN}"))),
        "Bearer dose0123456789abcdef0123456789abcdef".to_owned(),
    ] {
        let refused = reason(authn.authenticate(&call(PEER, Some(&header))).await, &header);
        assert!(matches!(refused, Reason::CredentialUnsupported | Reason::TokenMalformed), "{header}: {refused:?}");
    }
    let long = format!("Bearer dapi{}", "0".repeat(20_000));
    assert_eq!(reason(authn.authenticate(&call(PEER, Some(&long))).await, "long"), Reason::TokenTooLarge);
    // Nor to a host that does not take them.
    let (_, elsewhere) = passing("dev.cloud.databricks.com").await;
    for header in [format!("Bearer {TOKEN}"), basic(&format!("token:{TOKEN}"))] {
        assert_eq!(reason(elsewhere.authenticate(&call(PEER, Some(&header))).await, &header), Reason::CredentialUnsupported, "{header}");
    }
}
