//! What is known of a token that is refused.

use serde_json::{Value, json};

use super::world::*;
use crate::{
    authn::{Authenticator, Binding, By, Order, PeerTemplate, Provider, SessionLimits, Trail},
    clock::Clock,
    digest,
    model::{Reason, SpiffeId},
};

/// A token of alice that `changes` make another, presented by [`PEER`]: why it is refused, and what is known of it then.
async fn refused(authn: &Authenticator, token: &str, scheme: &str) -> (Reason, Trail) {
    let header = format!("{scheme} {token}");
    let mut trail = Trail::default();
    let peer = SpiffeId::parse(std::str::from_utf8(PEER).unwrap()).ok();
    let answer = authn.identify(&call(PEER, Some(&header)), peer, &mut trail).await;
    (answer.map(drop).unwrap_err().reason, trail)
}

/// The words of a trail, as far as there are any.
fn known(trail: &Trail) -> Value {
    let Some(whose) = trail.whose() else { return Value::Null };
    json!([whose.issuer, whose.subject, whose.id, whose.session, whose.actors])
}

#[tokio::test]
async fn a_token_is_known_once_its_signature_holds_and_not_before() {
    let (idp, authn, clock) = corp().await;
    let now = clock.now();
    let forge = Forge::new(&idp.url, &CORP);
    let alices = json!(["corp", "alice", "j1", "s1", []]);
    for (changes, reason, known_of_it) in [
        (json!({"aud": "another"}), Reason::TokenWrongAudience, alices.clone()),
        (json!({"exp": now - 3600}), Reason::TokenExpired, alices.clone()),
        (json!({"nbf": now + 3600}), Reason::TokenNotYetValid, alices.clone()),
        (json!({"act": {"sub": "copilot"}}), Reason::ActorNotAllowed, json!(["corp", "alice", "j1", "s1", ["copilot"]])),
        (json!({"cnf": {"jkt": "x".repeat(43)}}), Reason::TokenBadClaims, alices.clone()),
        // what cannot be read is left out, whatever else is there
        (json!({"sub": 7, "jti": ["j"], "act": "x"}), Reason::TokenBadClaims, json!(["corp", null, null, "s1", []])),
        (json!({"sub": "a\u{1b}[2Jlice"}), Reason::TokenBadClaims, json!(["corp", null, "j1", "s1", []])),
    ] {
        let token = forge.clone().claims(&changes).token();
        let (why, trail) = refused(&authn, &token, "Bearer").await;
        assert_eq!((why, known(&trail)), (reason, known_of_it), "{changes}");
        let sha256 = digest::of(token.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!(trail.digest().map(|digest| digest.to_string()).as_deref(), sha256.get(..16), "{changes}");
    }
    // alice's claims, signed by a stranger, by nobody, for a stranger, and cut
    let foreign = Forge::new(&idp.url, &FOREIGN).token();
    let stranger = Forge::new("https://stranger.example", &CORP).token();
    let (unsigned, cut) = (format!("{}.", forge.signed()), forge.token().split('.').next().unwrap().to_owned());
    for token in [foreign, stranger, unsigned, cut] {
        let (why, trail) = refused(&authn, &token, "Bearer").await;
        assert!(trail.whose().is_none() && trail.digest().is_none() && trail.token().is_none(), "{why:?}: {trail:?}");
    }
}

#[tokio::test]
async fn whatever_a_good_token_is_refused_for_says_whose_it_is() {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let mut corp = issuer("corp", &idp.url, Provider::Generic);
    corp.session = SessionLimits { longest_s: Some(7200), idle_s: Some(1800) };
    let peers = |peer: &str| vec![PeerTemplate::parse(peer).unwrap()];
    let here = std::str::from_utf8(PEER).unwrap();
    let of_team = |team: &str, peer: &str| Binding {
        kind: None,
        claims: vec![crate::authn::Requirement { claim: crate::authn::ClaimPath::parse("team").unwrap(), any_of: vec![team.to_owned()] }],
        peers: peers(peer),
    };
    corp.bindings = Some(vec![of_team("here", here), of_team("there", "spiffe://cluster.local/ns/there/sa/x")]);
    let authn = authenticator(vec![corp], &clock);
    let (now, forge) = (clock.now(), Forge::new(&idp.url, &CORP).claims(&json!({"team": "here"})));
    let revoked = Order { issuer: "corp".to_owned(), token_id: Some("stolen".to_owned()), ..Order::default() };
    let revocation = authn.revoke(revoked, By::Operator { uid: 0, pid: None }).unwrap();
    let thumbprint = json!({"jkt": b64([7; 32])});
    for (changes, reason) in [
        (json!({"team": "there"}), Reason::TokenNotForPeer),
        (json!({"team": "nowhere"}), Reason::TokenNotForPeer),
        (json!({"cnf": thumbprint}), Reason::ProofMissing),
        (json!({"cnf": {"x5t#S256": b64([7; 32])}}), Reason::ProofMissing),
        (json!({"jti": "stolen"}), Reason::TokenRevoked),
        (json!({"auth_time": now - 9000}), Reason::SessionTooOld),
        (json!({"iat": now - 3000, "sid": "resting"}), Reason::SessionIdle),
    ] {
        let token = forge.clone().claims(&changes).token();
        // as one that was never seen, and as one that is known
        for _ in 0..2 {
            let (why, trail) = refused(&authn, &token, "Bearer").await;
            assert_eq!((why, trail.whose().unwrap().subject), (reason, Some("alice")), "{changes}");
            assert!(trail.digest().is_some());
            let id = trail.revocation().map(|id| id.to_string());
            assert_eq!(id.as_deref(), (reason == Reason::TokenRevoked).then_some(revocation.id.as_str()), "{changes}");
        }
    }
    // a token that was good, and no longer is
    let token = forge.claims(&json!({"exp": now + 300})).token();
    ask(&authn, &token).await.unwrap();
    clock.shift(400_000);
    let (why, trail) = refused(&authn, &token, "Bearer").await;
    assert_eq!((why, known(&trail)), (Reason::TokenExpired, json!(["corp", "alice", "j1", "s1", []])));
}

/// Of a session that nobody has seen here the token's `iat` counts, for what looks at tokens as for a service that was restarted.
#[tokio::test]
async fn what_looks_at_a_token_goes_by_its_rest_and_is_no_sign_of_life() {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let mut corp = issuer("corp", &idp.url, Provider::Generic);
    corp.session.idle_s = Some(1800);
    (corp.refresh_s, corp.max_stale_s) = (360_000, 720_000);
    let authn = authenticator(vec![corp], &clock);
    let now = clock.now();
    let forge = Forge::new(&idp.url, &CORP).claims(&json!({"iat": now - 1200, "nbf": null, "exp": now + 36_000}));
    let (token, claims) = (forge.token(), forge.claims.to_string());
    let looked = async || {
        let examined = authn.examine(&token, &mut Trail::default()).await.map(drop);
        let told = authn.caller_from_claims(claims.as_bytes(), None).map(drop);
        assert_eq!(examined, told);
        examined
    };
    looked().await.unwrap();
    clock.shift(1_000_000);
    let refusal = looked().await.unwrap_err();
    assert!(refusal.reason == Reason::SessionIdle && refusal.whole().contains("by the `iat` of the token"), "{refusal:?}");
    // one that has been in use is known to be
    clock.shift(0);
    ask(&authn, &token).await.unwrap();
    clock.shift(1_000_000);
    looked().await.unwrap();
    clock.shift(2_000_000);
    let refusal = looked().await.unwrap_err();
    assert!(refusal.reason == Reason::SessionIdle && refusal.aside.is_none(), "{refusal:?}");
}
