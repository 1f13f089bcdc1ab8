use serde_json::json;

use super::world::{CORP, FOREIGN, Forge, PEER, call, client, config, corp, issuer, reason};
use crate::{
    authn::{Authenticator, Provider},
    clock::Clock,
    model::{Caller, Reason, Refusal},
};

fn without_idp(required: bool) -> Authenticator {
    let mut config = config(vec![issuer("corp", "https://idp.example", Provider::Generic)]);
    config.peers.required = required;
    Authenticator::new(config, client(), Clock::default(), None).unwrap()
}

#[test]
fn only_a_spiffe_id_of_our_trust_domain_is_a_workload() {
    let authn = without_idp(true);
    let long = format!("spiffe://cluster.local/ns/{}", "a".repeat(2048));
    let cases: [(&[u8], Reason); 19] = [
        (b"", Reason::PeerMissing),
        (b"spiffe://evil.example/ns/ml-staging/sa/trainer", Reason::PeerInvalid),
        (b"spiffe://cluster.local.evil/ns/a/sa/b", Reason::PeerInvalid),
        (b"spiffe://evil.cluster.local/ns/a/sa/b", Reason::PeerInvalid),
        (b"spiffe://CLUSTER.LOCAL/ns/ml-staging/sa/trainer", Reason::PeerInvalid),
        (b"SPIFFE://cluster.local/ns/ml-staging/sa/trainer", Reason::PeerInvalid),
        (b"https://cluster.local/ns/ml-staging/sa/trainer", Reason::PeerInvalid),
        (b"spiffe://cluster.local/ns/dev/../ml-staging/sa/trainer", Reason::PeerInvalid),
        (b"spiffe://cluster.local/ns//sa/trainer", Reason::PeerInvalid),
        (b"spiffe://cluster.local/ns/%61/sa/b", Reason::PeerInvalid),
        (b"spiffe://cluster.local/", Reason::PeerInvalid),
        (b"spiffe://cluster.local", Reason::PeerInvalid),
        (b"spiffe://cluster.local:80/ns/a/sa/b", Reason::PeerInvalid),
        (b"spiffe://u@cluster.local/ns/a/sa/b", Reason::PeerInvalid),
        (b" spiffe://cluster.local/ns/a/sa/b", Reason::PeerInvalid),
        (b"spiffe://cluster.local/ns/a/sa/\xff", Reason::PeerInvalid),
        (b"cluster.local", Reason::PeerInvalid),
        (b"CN=trainer,O=cluster.local", Reason::PeerInvalid),
        (long.as_bytes(), Reason::PeerInvalid),
    ];
    for (principal, expected) in cases {
        let what = String::from_utf8_lossy(principal);
        assert_eq!(reason(authn.peer(&call(principal, None)), &what), expected, "{what}");
    }
    let peer = authn.peer(&call(PEER, None)).unwrap().unwrap();
    assert_eq!(peer.as_str().as_bytes(), PEER);
}

#[tokio::test]
async fn a_call_must_come_from_somebody() {
    let authn = without_idp(true);
    let caller = authn.authenticate(&call(PEER, None)).await.unwrap();
    assert!(caller.peer.is_some() && caller.token.is_none());
    let lenient = without_idp(false);
    assert!(lenient.authenticate(&call(PEER, None)).await.unwrap().peer.is_some());
    assert_eq!(reason(lenient.authenticate(&call(b"", None)).await, "nobody"), Reason::CredentialMissing);
    assert_eq!(reason(lenient.authenticate(&call(b"cluster.local", None)).await, "not SPIFFE"), Reason::PeerInvalid);
}

#[tokio::test]
async fn a_bad_token_is_never_ignored_in_favor_of_the_workload() {
    let (idp, authn, _) = corp().await;
    let forge = Forge::new(&idp.url, &CORP);
    let good = format!("Bearer {}", forge.token());
    assert_eq!(reason(authn.authenticate(&call(b"", Some(&good))).await, "no peer"), Reason::PeerMissing);
    let foreign = format!("Bearer {}.{}", forge.signed(), FOREIGN.sign("RS256", &forge.signed()));
    assert_eq!(reason(authn.authenticate(&call(PEER, Some(&foreign))).await, "foreign"), Reason::TokenBadSignature);
    let expired = format!("Bearer {}", forge.claims(&json!({"exp": 1})).token());
    assert_eq!(reason(authn.authenticate(&call(PEER, Some(&expired))).await, "expired"), Reason::TokenExpired);
}

/// Whoever asks for the peer first and for the rest after gets what one question gets.
#[tokio::test]
async fn to_authenticate_is_to_find_the_peer_and_then_to_identify() {
    let (idp, strict, _) = corp().await;
    let lenient = without_idp(false);
    let good = format!("Bearer {}", Forge::new(&idp.url, &CORP).token());
    for (authn, what) in [(&strict, "strict"), (&lenient, "lenient")] {
        for principal in [PEER, b"", b"cluster.local"] {
            for authorization in [None, Some(good.as_str()), Some("Basic Og=="), Some("Bearer nonsense")] {
                let call = call(principal, authorization);
                let apart = match authn.peer(&call) {
                    Ok(peer) => authn.identify(&call, peer).await,
                    Err(refusal) => Err(refusal),
                };
                let told = |result: Result<Caller, Refusal>| result.map_err(|refusal| (refusal.reason, refusal.detail));
                let (whole, apart) = (told(authn.authenticate(&call).await), told(apart));
                assert_eq!(format!("{whole:?}"), format!("{apart:?}"), "{what} {principal:?} {authorization:?}");
            }
        }
    }
}

/// The workload is what the caller of `identify` was told, not what the call says once more.
#[tokio::test]
async fn to_identify_reads_no_peer() {
    let authn = without_idp(false);
    let peer = authn.peer(&call(PEER, None)).unwrap();
    let caller = authn.identify(&call(b"not SPIFFE", None), peer.clone()).await.unwrap();
    assert_eq!(caller.peer, peer);
    assert_eq!(reason(authn.identify(&call(PEER, None), None).await, "nobody"), Reason::CredentialMissing);
}
