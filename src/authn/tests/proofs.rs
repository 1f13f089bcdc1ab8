//! Proofs of possession by a key: what RFC 9449, section 4.3, has a resource server check, one thing wrong at a time.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::world::{CORP, Forge, Key, KeyFile, PEER, authenticator, b64, call, merged, reason};
use crate::{
    authn::{Authenticator, IssuerConfig, Possession, Provider, Trail},
    clock::Clock,
    digest,
    model::{Reason, Refusal},
};

static PROVER: LazyLock<Key> = LazyLock::new(|| Key::p256("prover"));
static OTHER: LazyLock<Key> = LazyLock::new(|| Key::p256("other"));

const PLACE: &str = "https://stage.cloud.databricks.com/";

/// The thumbprint of RFC 7638, made in another way than the one that is tested.
fn thumbprint(key: &Key) -> String {
    let members: std::collections::BTreeMap<&str, &Value> =
        ["crv", "e", "kty", "n", "x", "y"].into_iter().filter_map(|name| Some((name, key.jwk.get(name)?))).collect();
    b64(digest::of(serde_json::to_string(&members).unwrap().as_bytes()))
}

fn public(key: &Key) -> Value {
    key.jwk_with(&json!({"kid": null, "use": null, "alg": null}))
}

/// A proof for `token`, honest but for these members of its header and claims.
fn proof(key: &Key, token: &str, header: &Value, claims: &Value) -> String {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let id = COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let honest =
        json!({"htm": "GET", "htu": PLACE, "iat": Clock::default().now(), "jti": format!("p{id}"), "ath": b64(digest::of(token.as_bytes()))});
    let header = merged(&json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": public(key)}), header);
    let signed = format!("{}.{}", b64(header.to_string()), b64(merged(&honest, claims).to_string()));
    let signature = key.sign(header["alg"].as_str().unwrap_or("ES256"), &signed);
    format!("{signed}.{signature}")
}

fn stage(possession: Possession) -> (KeyFile, Authenticator, Clock) {
    let keys = KeyFile::new(&json!({"keys": [CORP.jwk]}));
    let clock = Clock::default();
    let authn = authenticator(vec![IssuerConfig { possession, ..keys.issuer(Provider::Generic) }], &clock);
    (keys, authn, clock)
}

fn bound(key: &Key) -> String {
    Forge::new("https://idp.example", &CORP).claims(&json!({"cnf": {"jkt": thumbprint(key)}})).token()
}

async fn send(authn: &Authenticator, scheme: &str, token: &str, proofs: &[&str]) -> Result<(), Refusal> {
    let authorization = format!("{scheme} {token}");
    let mut call = call(PEER, Some(&authorization));
    call.headers.all.extend(proofs.iter().map(|proof| ("dpop", proof.as_bytes())));
    authn.authenticate(&call).await.map(|caller| assert!(caller.token.is_some()))
}

#[tokio::test]
async fn a_bound_token_is_good_with_a_proof_of_its_key() {
    let (_keys, authn, _) = stage(Possession::AsTokenSays);
    let rsa = Key::rsa("r");
    for (key, algorithms) in
        [(&*PROVER, &["ES256"][..]), (&Key::p384("e"), &["ES384"]), (&Key::ed25519("d"), &["EdDSA"]), (&rsa, &["RS256", "PS256", "RS512"])]
    {
        let token = bound(key);
        for algorithm in algorithms {
            for scheme in ["DPoP", "dpop"] {
                let proof = proof(key, &token, &json!({"alg": algorithm}), &json!({}));
                assert!(send(&authn, scheme, &token, &[&proof]).await.is_ok(), "{algorithm}");
            }
        }
    }
    let token = bound(&PROVER);
    for claims in [json!({"htu": "http://STAGE.cloud.databricks.com:80"}), json!({"htu": format!("{PLACE}?x=1#y")}), json!({"nonce": "n"})] {
        assert!(send(&authn, "DPoP", &token, &[&proof(&PROVER, &token, &json!({}), &claims)]).await.is_ok(), "{claims}");
    }
}

#[tokio::test]
async fn one_thing_wrong_with_a_proof_is_enough() {
    let (_keys, authn, clock) = stage(Possession::AsTokenSays);
    let (token, now) = (bound(&PROVER), clock.now());
    let private = PROVER.jwk_with(&json!({"kid": null, "d": "AQAB"}));
    let headers = [
        json!({"typ": "JWT"}),
        json!({"typ": null}),
        json!({"typ": "at+jwt"}),
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "ES384"}),
        json!({"alg": "RS256"}),
        json!({"alg": null}),
        json!({"jwk": null}),
        json!({"jwk": {}}),
        json!({"jwk": "x"}),
        json!({"jwk": private}),
        json!({"jwk": {"kty": "oct", "k": "AAAA"}}),
        json!({"jwk": public(&OTHER)}),
        json!({"jwk": null, "jku": "https://evil.example/keys"}),
        json!({"crit": ["x"]}),
        json!({"b64": false}),
    ];
    let claims = [
        json!({"htm": "POST"}),
        json!({"htm": "get"}),
        json!({"htm": null}),
        json!({"htu": "https://prod.cloud.databricks.com/"}),
        json!({"htu": "https://stage.cloud.databricks.com/other"}),
        json!({"htu": null}),
        json!({"htu": [PLACE]}),
        json!({"ath": null}),
        json!({"ath": b64(digest::of(b"another token"))}),
        json!({"ath": token}),
        json!({"iat": now - 90}),
        json!({"iat": now + 60}),
        json!({"iat": null}),
        json!({"iat": "now"}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": 7}),
        json!({"jti": "x".repeat(256)}),
    ];
    let none = json!({});
    for (header, claims) in headers.iter().map(|header| (header, &none)).chain(claims.iter().map(|claims| (&none, claims))) {
        let proof = proof(&PROVER, &token, header, claims);
        let refused = send(&authn, "DPoP", &token, &[&proof]).await;
        assert_eq!(reason(refused, &format!("{header} {claims}")), Reason::ProofInvalid, "{header} {claims}");
    }
    // Signed by another key than the one in it; by another key altogether; not at all.
    let forged = proof(&OTHER, &token, &json!({"jwk": public(&PROVER)}), &none);
    let foreign = proof(&OTHER, &token, &none, &none);
    let good = proof(&PROVER, &token, &none, &none);
    let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
    let long = format!("{good}{}", "A".repeat(9000));
    for bad in [&forged, &foreign, &unsigned, &long, "", "x", "a.b.c", &format!("{good},{good}"), "\u{e9}"] {
        assert_eq!(reason(send(&authn, "DPoP", &token, &[bad]).await, bad), Reason::ProofInvalid);
    }
    let other = proof(&PROVER, &token, &none, &none);
    assert_eq!(reason(send(&authn, "DPoP", &token, &[&good, &other]).await, "two"), Reason::ProofInvalid);
    assert!(send(&authn, "DPoP", &token, &[&good]).await.is_ok(), "what was refused was not used up");
}

#[tokio::test]
async fn a_bound_token_is_nothing_by_itself_and_a_proof_is_used_once() {
    let (_keys, authn, _) = stage(Possession::AsTokenSays);
    let (token, bearer) = (bound(&PROVER), Forge::new("https://idp.example", &CORP).token());
    let none = json!({});
    let good = proof(&PROVER, &token, &none, &none);
    assert_eq!(reason(send(&authn, "Bearer", &token, &[]).await, "bearer"), Reason::ProofMissing);
    assert_eq!(reason(send(&authn, "Bearer", &token, &[&good]).await, "downgrade"), Reason::ProofMissing);
    assert_eq!(reason(send(&authn, "DPoP", &token, &[]).await, "no proof"), Reason::ProofMissing);
    assert!(send(&authn, "DPoP", &token, &[&good]).await.is_ok());
    assert_eq!(reason(send(&authn, "DPoP", &token, &[&good]).await, "replay"), Reason::ProofInvalid);
    // The token is cached by now, and is still nothing by itself.
    assert_eq!(reason(send(&authn, "Bearer", &token, &[]).await, "cached"), Reason::ProofMissing);
    let stolen = proof(&OTHER, &token, &none, &none);
    assert_eq!(reason(send(&authn, "DPoP", &token, &[&stolen]).await, "stolen"), Reason::ProofInvalid);
    // A token that is bound to nothing gains nothing by a proof.
    let proof = proof(&PROVER, &bearer, &none, &none);
    assert_eq!(reason(send(&authn, "DPoP", &bearer, &[&proof]).await, "unbound"), Reason::ProofInvalid);
    assert!(send(&authn, "Bearer", &bearer, &[&proof]).await.is_ok());
}

#[tokio::test]
async fn a_used_proof_stays_used_over_a_reload() {
    let (keys, authn, clock) = stage(Possession::AsTokenSays);
    let token = bound(&PROVER);
    let good = proof(&PROVER, &token, &json!({}), &json!({}));
    assert!(send(&authn, "DPoP", &token, &[&good]).await.is_ok());
    let config = super::world::config(vec![IssuerConfig { leeway_s: 5, ..keys.issuer(Provider::Generic) }]);
    let next = Authenticator::new(config, super::world::client(), clock, Some(&authn)).unwrap();
    assert_eq!(reason(send(&next, "DPoP", &token, &[&good]).await, "replay"), Reason::ProofInvalid);
}

#[tokio::test]
async fn where_possession_is_required_bearer_tokens_are_refused() {
    let (_keys, authn, _) = stage(Possession::Required);
    let bearer = Forge::new("https://idp.example", &CORP).token();
    assert_eq!(reason(send(&authn, "Bearer", &bearer, &[]).await, "bearer"), Reason::TokenBadClaims);
    let token = bound(&PROVER);
    let proof = proof(&PROVER, &token, &json!({}), &json!({}));
    assert!(send(&authn, "DPoP", &token, &[&proof]).await.is_ok());
    let claims = Forge::new("https://idp.example", &CORP).claims;
    assert!(authn.caller_from_claims(claims.to_string().as_bytes(), None).is_err(), "what is told of callers goes by the same rule");
}

#[tokio::test]
async fn a_caller_without_a_good_proof_is_told_the_scheme() {
    let (_keys, authn, _) = stage(Possession::AsTokenSays);
    let (token, bearer) = (bound(&PROVER), Forge::new("https://idp.example", &CORP).token());
    let other = proof(&OTHER, &token, &json!({}), &json!({}));
    let missing = send(&authn, "DPoP", &token, &[]).await.unwrap_err();
    assert!(missing.challenge.is_some_and(|challenge| challenge.starts_with("Bearer, DPoP algs=\"RS256 RS384")), "{missing:?}");
    let invalid = send(&authn, "DPoP", &token, &[&other]).await.unwrap_err();
    assert!(invalid.challenge.is_some_and(|challenge| challenge.contains("DPoP error=\"invalid_dpop_proof\", algs=")), "{invalid:?}");
    let unbound = send(&authn, "DPoP", &bearer, &[&other]).await.unwrap_err();
    assert_eq!(unbound.challenge, None, "it is a bearer token");
}

#[tokio::test]
async fn a_token_that_comes_counts_once() {
    let (_keys, authn, _) = stage(Possession::AsTokenSays);
    let mut registry = prometheus_client::registry::Registry::default();
    authn.register(&mut registry);
    let token = bound(&PROVER);
    let good = || proof(&PROVER, &token, &json!({}), &json!({}));
    let used = good();
    assert!(send(&authn, "DPoP", &token, &[&used]).await.is_ok());
    assert!(send(&authn, "DPoP", &token, &[&good()]).await.is_ok());
    for refused in [&[][..], &[used.as_str()], &["x"]] {
        send(&authn, "DPoP", &token, refused).await.unwrap_err();
    }
    // Nobody presents it.
    authn.examine(&token, &mut Trail::default()).await.unwrap();
    authn.examine("x", &mut Trail::default()).await.unwrap_err();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for (result, count) in [("verified", 1), ("cached", 1), ("refused", 3)] {
        let line = format!("lakegate_authn_tokens_total{{result=\"{result}\"}} {count}\n");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}
