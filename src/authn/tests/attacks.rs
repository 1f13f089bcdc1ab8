//! Tokens that must not pass, each good but for one thing.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::world::{CORP, FOREIGN, Forge, Idp, Key, PEER, ask, authenticator, b64, call, corp, issuer, reason};
use crate::{
    authn::{Algorithm, Authenticator, Provider},
    clock::Clock,
    model::Reason,
};

#[tokio::test]
async fn honest_tokens_pass() {
    let (idp, authn, clock) = corp().await;
    let now = clock.now();
    let good = Forge::new(&idp.url, &CORP);
    let cases = [
        ("as it is", good.clone()),
        ("audience as a list", good.clone().claims(&json!({"aud": ["other", "lakegate"]}))),
        ("at+jwt", good.clone().header(&json!({"typ": "at+jwt"}))),
        ("at+jwt as a media type in any case", good.clone().header(&json!({"typ": "Application/AT+JWT"}))),
        ("no type", good.clone().header(&json!({"typ": null}))),
        ("no key id, one key", good.clone().header(&json!({"kid": null}))),
        ("expired within the leeway", good.clone().claims(&json!({"exp": now - 20}))),
        ("issued ahead within the leeway", good.clone().claims(&json!({"iat": now + 20, "nbf": now + 20}))),
        ("no nbf, auth_time", good.clone().claims(&json!({"nbf": null, "auth_time": null}))),
        ("keys named in the token are not looked at", good.clone().header(&json!({"jku": "https://evil/", "x5u": "https://evil/", "x5c": ["x"]}))),
        ("a nonce, in what says that it is for access", good.clone().claims(&json!({"nonce": "x", "typ": "Bearer"}))),
    ];
    for (name, forge) in cases {
        let token = ask(&authn, &forge.token()).await.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert_eq!((token.issuer.as_str(), token.subject.as_str()), ("corp", "alice"), "{name}");
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("{scheme} {}", good.token());
        assert!(authn.authenticate(&call(PEER, Some(&header))).await.is_ok(), "{scheme}");
    }
}

#[tokio::test]
async fn headers_that_change_the_meaning_are_refused() {
    let (idp, authn, _) = corp().await;
    let cases = [
        (json!({"alg": "none"}), Reason::TokenBadSignature),
        (json!({"alg": "HS256"}), Reason::TokenBadSignature),
        (json!({"alg": "rs256"}), Reason::TokenBadSignature),
        (json!({"alg": "RS384"}), Reason::TokenBadSignature),
        (json!({"alg": "PS256"}), Reason::TokenBadSignature),
        (json!({"alg": "ES256"}), Reason::TokenBadSignature),
        (json!({"alg": null}), Reason::TokenMalformed),
        (json!({"alg": ["RS256"]}), Reason::TokenMalformed),
        (json!({"kid": 1}), Reason::TokenMalformed),
        (json!({"kid": "nobody"}), Reason::TokenUnknownKey),
        (json!({"kid": "../../etc/passwd\u{0}\n\u{202e}"}), Reason::TokenUnknownKey),
        (json!({"crit": ["exp-ext"], "exp-ext": 1}), Reason::TokenMalformed),
        (json!({"crit": []}), Reason::TokenMalformed),
        (json!({"b64": false}), Reason::TokenMalformed),
        (json!({"b64": true}), Reason::TokenMalformed),
        (json!({"zip": "DEF"}), Reason::TokenMalformed),
        (json!({"enc": "A128GCM"}), Reason::TokenMalformed),
        (json!({"cty": "JWT"}), Reason::TokenMalformed),
        (json!({"typ": 1}), Reason::TokenMalformed),
        (json!({"typ": "logout+jwt"}), Reason::TokenWrongType),
        (json!({"typ": "dpop+jwt"}), Reason::TokenWrongType),
        (json!({"typ": "secevent+jwt"}), Reason::TokenWrongType),
        (json!({"typ": "application/logout+jwt"}), Reason::TokenWrongType),
        (json!({"typ": "id_token"}), Reason::TokenWrongType),
        (json!({"typ": ""}), Reason::TokenWrongType),
    ];
    for (change, expected) in cases {
        let token = Forge::new(&idp.url, &CORP).header(&change).token();
        assert_eq!(reason(ask(&authn, &token).await, &change.to_string()), expected, "{change}");
    }
}

/// Asks with tokens that are honest but for these claims.
async fn refused(idp: &Idp, authn: &Authenticator, cases: &[(Value, Reason)]) {
    for (change, expected) in cases {
        let token = Forge::new(&idp.url, &CORP).claims(change).token();
        assert_eq!(reason(ask(authn, &token).await, &change.to_string()), *expected, "{change}");
    }
}

#[tokio::test]
async fn tokens_for_another_time_or_place_are_refused() {
    let (idp, authn, clock) = corp().await;
    let now = clock.now();
    let cases = [
        (json!({"exp": now - 120, "iat": now - 900, "nbf": now - 900}), Reason::TokenExpired),
        (json!({"exp": 0}), Reason::TokenExpired),
        (json!({"nbf": now + 600}), Reason::TokenNotYetValid),
        (json!({"iat": now + 600}), Reason::TokenNotYetValid),
        (json!({"exp": null}), Reason::TokenBadClaims),
        (json!({"iat": null}), Reason::TokenBadClaims),
        (json!({"exp": "9999999999"}), Reason::TokenBadClaims),
        (json!({"exp": 9_999_999_999.5}), Reason::TokenBadClaims),
        (json!({"exp": u64::MAX}), Reason::TokenBadClaims),
        (json!({"exp": 253_402_300_800_i64}), Reason::TokenBadClaims),
        (json!({"exp": 253_402_207_200_i64}), Reason::TokenBadClaims),
        (json!({"typ": "refresh"}), Reason::TokenWrongType),
        (json!({"typ": 1}), Reason::TokenWrongType),
        (json!({"exp": 1e300}), Reason::TokenBadClaims),
        (json!({"exp": [now + 600]}), Reason::TokenBadClaims),
        (json!({"nbf": "1"}), Reason::TokenBadClaims),
        (json!({"nbf": -1}), Reason::TokenBadClaims),
        (json!({"iat": 1.5}), Reason::TokenBadClaims),
        (json!({"auth_time": true}), Reason::TokenBadClaims),
        (json!({"aud": "databricks"}), Reason::TokenWrongAudience),
        (json!({"aud": null}), Reason::TokenWrongAudience),
        (json!({"aud": []}), Reason::TokenWrongAudience),
        (json!({"aud": "lakegate.evil"}), Reason::TokenWrongAudience),
        (json!({"aud": "Lakegate"}), Reason::TokenWrongAudience),
        (json!({"aud": ["x", "lakegate "]}), Reason::TokenWrongAudience),
        (json!({"aud": 7}), Reason::TokenBadClaims),
        (json!({"aud": {"lakegate": 1}}), Reason::TokenBadClaims),
        (json!({"aud": ["lakegate", 7]}), Reason::TokenBadClaims),
        (json!({"aud": [["lakegate"]]}), Reason::TokenBadClaims),
        (json!({"iss": null}), Reason::TokenBadClaims),
        (json!({"iss": [idp.url]}), Reason::TokenBadClaims),
        (json!({"iss": format!("{}/", idp.url)}), Reason::TokenUnknownIssuer),
        (json!({"iss": idp.url.to_uppercase()}), Reason::TokenUnknownIssuer),
    ];
    refused(&idp, &authn, &cases).await;
}

#[tokio::test]
async fn claims_that_are_not_what_they_should_be_are_refused() {
    let (idp, authn, _) = corp().await;
    let cases = [
        (json!({"sub": null}), Reason::TokenBadClaims),
        (json!({"sub": ""}), Reason::TokenBadClaims),
        (json!({"sub": 7}), Reason::TokenBadClaims),
        (json!({"sub": ["alice"]}), Reason::TokenBadClaims),
        (json!({"sub": "ali\nce"}), Reason::TokenBadClaims),
        (json!({"sub": "ali\u{85}ce"}), Reason::TokenBadClaims),
        (json!({"sub": "a".repeat(256)}), Reason::TokenBadClaims),
        (json!({"groups": "ml-engineers"}), Reason::TokenBadClaims),
        (json!({"groups": [{"a": 1}]}), Reason::TokenBadClaims),
        (json!({"groups": [1]}), Reason::TokenBadClaims),
        (json!({"groups": [""]}), Reason::TokenBadClaims),
        (json!({"groups": ["a\r\nb"]}), Reason::TokenBadClaims),
        (json!({"groups": {"ml-engineers": true}}), Reason::TokenBadClaims),
        (json!({"groups": false}), Reason::TokenBadClaims),
        (json!({"roles": "admin"}), Reason::TokenBadClaims),
        (json!({"groups": null, "_claim_names": {"groups": "src1"}}), Reason::GroupsUnknown),
        (json!({"groups": null, "hasgroups": true}), Reason::GroupsUnknown),
        (json!({"scope": 7}), Reason::TokenBadClaims),
        (json!({"scope": "a\tb"}), Reason::TokenBadClaims),
        (json!({"scp": [7]}), Reason::TokenBadClaims),
        (json!({"azp": 7}), Reason::TokenBadClaims),
        (json!({"client_id": "another"}), Reason::TokenBadClaims),
        (json!({"acr": 1}), Reason::TokenBadClaims),
        (json!({"sid": {}}), Reason::TokenBadClaims),
        (json!({"jti": 1}), Reason::TokenBadClaims),
        (json!({"act": "bot"}), Reason::TokenBadClaims),
        (json!({"act": {}}), Reason::TokenBadClaims),
        (json!({"act": {"sub": 1}}), Reason::TokenBadClaims),
        (json!({"act": {"sub": "bot", "act": []}}), Reason::TokenBadClaims),
        (json!({"act": {"sub": "bot", "iss": "https://elsewhere"}}), Reason::TokenBadClaims),
        (json!({"act": {"sub":"1","act":{"sub":"2","act":{"sub":"3","act":{"sub":"4","act":{"sub":"5"}}}}}}), Reason::TokenBadClaims),
        (json!({"cnf": {"x5t#S256": "abc"}}), Reason::TokenBadClaims),
        (json!({"cnf": {"jkt": "abc"}}), Reason::TokenBadClaims),
        (json!({"cnf": false}), Reason::TokenBadClaims),
        (json!({"at_hash": "x"}), Reason::TokenWrongType),
        (json!({"c_hash": "x"}), Reason::TokenWrongType),
        (json!({"token_use": "id"}), Reason::TokenWrongType),
        (json!({"typ": "ID"}), Reason::TokenWrongType),
        (json!({"typ": "Refresh"}), Reason::TokenWrongType),
        (json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}), Reason::TokenWrongType),
    ];
    refused(&idp, &authn, &cases).await;
    // A claim that is `null` is there, and of another type than it should be.
    for name in ["groups", "roles", "aud", "sub", "exp", "nbf", "iat", "act", "acr", "azp", "scope", "cnf"] {
        let mut forge = Forge::new(&idp.url, &CORP);
        forge.claims[name] = Value::Null;
        assert_eq!(reason(ask(&authn, &forge.token()).await, name), Reason::TokenBadClaims, "{name}: null");
    }
}

#[tokio::test]
async fn payloads_that_two_readers_see_differently_are_refused() {
    let (idp, authn, clock) = corp().await;
    let forge = Forge::new(&idp.url, &CORP);
    let (iss, iat, exp) = (&idp.url, clock.now() - 5, clock.now() + 600);
    let rest = format!(r#""iss":"{iss}","aud":"lakegate","iat":{iat},"exp":{exp}"#);
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let payloads = [
        format!(r#"{{{rest},"sub":"bob","sub":"alice"}}"#),
        format!(r#"{{{rest},"sub":"bob","su\u0062":"alice"}}"#),
        format!(r#"{{{rest},"sub":"alice","x":{{"a":1,"a":2}}}}"#),
        format!(r#"{{{rest},"sub":"alice","x":{deep}}}"#),
        format!(r#"{{{rest},"sub":"\ud800"}}"#),
        format!("\u{feff}{{{rest},\"sub\":\"alice\"}}"),
        format!(r#"{{{rest},"sub":"alice"}} {{}}"#),
        format!(r#"[{{{rest},"sub":"alice"}}]"#),
        "null".to_owned(),
        String::new(),
    ];
    for payload in payloads {
        let token = forge.token_of(&format!("{}.{}", b64(forge.header.to_string()), b64(&payload)));
        assert_eq!(reason(ask(&authn, &token).await, &payload), Reason::TokenMalformed, "{payload}");
    }
    let good = format!(r#"{{{rest},"sub":"alice"}}"#);
    let headers = [
        r#"{"alg":"RS256","alg":"none","kid":"corp-1"}"#,
        r#"{"alg":"RS256","kid":"corp-1","kid":"corp-2"}"#,
        r#"["RS256"]"#,
        "",
        "{}",
        "\u{feff}{}",
    ];
    for header in headers {
        let token = forge.token_of(&format!("{}.{}", b64(header), b64(&good)));
        assert_eq!(reason(ask(&authn, &token).await, header), Reason::TokenMalformed, "{header}");
    }
    let token = forge.token_of(&format!("{}.{}", b64(forge.header.to_string()), b64(&good)));
    assert!(ask(&authn, &token).await.is_ok(), "the cases above are good but for one thing");
}

#[tokio::test]
async fn what_is_not_a_compact_jws_is_refused() {
    let (idp, authn, _) = corp().await;
    let forge = Forge::new(&idp.url, &CORP);
    let (token, signed) = (forge.token(), forge.signed());
    let standard = forge.claims(&json!({"x": "???>>>~~~ÿÿÿ"}));
    let cases = [
        ("opaque", "abcdef0123456789".to_owned()),
        ("not a token", "aaaa.bbbb.cccc".to_owned()),
        ("two parts", signed.clone()),
        ("no signature", format!("{signed}.")),
        ("four parts", format!("{token}.x")),
        ("five parts", format!("{token}.x.y")),
        ("no header", format!(".{token}")),
        ("only dots", "..".to_owned()),
        ("padding", format!("{token}==")),
        ("white space within", token.replacen('.', ".\t", 1)),
        ("white space behind", format!("{token} ")),
        ("two spaces", format!(" {token}")),
        ("two tokens", format!("{token},{token}")),
        ("standard alphabet", standard.token().replace('-', "+").replace('_', "/")),
        ("not ASCII", format!("{token}é")),
        ("JSON serialization", r#"{"payload":"e30","signatures":[]}"#.to_owned()),
    ];
    for (name, token) in cases {
        assert_eq!(reason(ask(&authn, &token).await, name), Reason::TokenMalformed, "{name}");
    }
    let huge = Forge::new(&idp.url, &CORP).claims(&json!({"padding": "x".repeat(20_000)})).token();
    assert_eq!(reason(ask(&authn, &huge).await, "huge"), Reason::TokenTooLarge);
    assert_eq!(idp.fetches(), 0, "nothing was fetched for the sake of what is not a token");
}

#[tokio::test]
async fn credentials_of_other_kinds_are_refused() {
    let (_idp, authn, _) = corp().await;
    let cases = [
        ("Basic dG9rZW46ZGFwaTEyMzQ1Njc4OTBhYmNkZWY=", Reason::CredentialUnsupported),
        ("basic x", Reason::CredentialUnsupported),
        ("Bearer dapi1234567890abcdef", Reason::CredentialUnsupported),
        ("Digest username=x", Reason::CredentialUnsupported),
        ("Negotiate abc", Reason::CredentialUnsupported),
        ("dapi1234567890abcdef", Reason::CredentialUnsupported),
        ("correct-horse-battery", Reason::CredentialUnsupported),
        ("eyJhbGciOiJSUzI1NiJ9.e30.e30", Reason::CredentialUnsupported),
        ("Bearer\teyJhbGciOiJSUzI1NiJ9.e30.e30", Reason::CredentialUnsupported),
        ("", Reason::CredentialUnsupported),
        ("Bearer", Reason::TokenMalformed),
        ("Bearer ", Reason::TokenMalformed),
        ("Bearer  e30.e30.e30", Reason::TokenMalformed),
    ];
    for (header, expected) in cases {
        let result = authn.authenticate(&call(PEER, Some(header))).await;
        if let Err(refusal) = &result {
            assert!(!refusal.detail.contains("1234567890") && !refusal.detail.contains("horse"), "{}", refusal.detail);
        }
        assert_eq!(reason(result, header), expected, "{header}");
    }
}

#[tokio::test]
async fn a_signature_counts_only_by_the_issuers_own_key() {
    let (idp, authn, _) = corp().await;
    let forge = Forge::new(&idp.url, &CORP);
    let signed = forge.signed();
    let foreign = format!("{signed}.{}", FOREIGN.sign("RS256", &signed));
    assert_eq!(reason(ask(&authn, &foreign).await, "foreign"), Reason::TokenBadSignature);
    let moved = Forge::new(&idp.url, &CORP).claims(&json!({"sub": "bob"})).signed();
    let swapped = format!("{moved}.{}", CORP.sign("RS256", &signed));
    assert_eq!(reason(ask(&authn, &swapped).await, "another payload"), Reason::TokenBadSignature);
    // An embedded key, and the public key as an HMAC secret.
    let own = Forge::new(&idp.url, &CORP).header(&json!({"jwk": FOREIGN.jwk})).signed();
    let embedded = format!("{own}.{}", FOREIGN.sign("RS256", &own));
    assert_eq!(reason(ask(&authn, &embedded).await, "embedded"), Reason::TokenBadSignature);
    let symmetric = Forge::new(&idp.url, &CORP).header(&json!({"alg": "HS256"})).signed();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, CORP.jwk["n"].as_str().unwrap().as_bytes()), symmetric.as_bytes());
    assert_eq!(reason(ask(&authn, &format!("{symmetric}.{}", b64(tag.as_ref()))).await, "hmac"), Reason::TokenBadSignature);
}

#[tokio::test]
async fn every_allowed_algorithm_verifies_with_its_own_kind_of_key_alone() {
    let rsa = Key::rsa("rsa");
    let keys = [&rsa, &Key::p256("p256"), &Key::p384("p384"), &Key::ed25519("ed")];
    let idp = Idp::start(&[]).await;
    let set: Vec<Value> = keys.iter().map(|key| key.jwk_with(&json!({"alg": null}))).collect();
    idp.publish_jwks(&json!({"keys": set}));
    let authn = authenticator(vec![issuer("corp", &idp.url, Provider::Generic)], &Clock::default());
    for algorithm in Algorithm::ALL.map(Algorithm::name) {
        for key in keys {
            let fits = match key.id.as_str() {
                "p256" => algorithm == "ES256",
                "p384" => algorithm == "ES384",
                "ed" => algorithm == "EdDSA",
                _ => algorithm.starts_with("RS") || algorithm.starts_with("PS"),
            };
            let token = Forge::new(&idp.url, key).header(&json!({"alg": algorithm})).token();
            assert_eq!(ask(&authn, &token).await.is_ok(), fits, "{algorithm} with {}", key.id);
        }
    }
    // What the issuer's configuration does not allow is refused, however good.
    let mut strict = issuer("corp", &idp.url, Provider::Generic);
    strict.algorithms = vec![Algorithm::ES256];
    let strict = authenticator(vec![strict], &Clock::default());
    let token = Forge::new(&idp.url, &rsa).token();
    assert_eq!(reason(ask(&strict, &token).await, "not allowed"), Reason::TokenBadSignature);
}

#[tokio::test]
async fn issuers_do_not_verify_for_one_another() {
    let (corp, other) = (Idp::start(&[&CORP]).await, Idp::start(&[&FOREIGN]).await);
    let issuers = vec![issuer("corp", &corp.url, Provider::Generic), issuer("other", &other.url, Provider::Generic)];
    let authn = authenticator(issuers, &Clock::default());
    // Both publish a key `corp-1`.
    assert_eq!(ask(&authn, &Forge::new(&corp.url, &CORP).token()).await.unwrap().issuer.as_str(), "corp");
    assert_eq!(ask(&authn, &Forge::new(&other.url, &FOREIGN).token()).await.unwrap().issuer.as_str(), "other");
    for (url, key) in [(&corp.url, &*FOREIGN), (&other.url, &*CORP)] {
        assert_eq!(reason(ask(&authn, &Forge::new(url, key).token()).await, url), Reason::TokenBadSignature);
    }
    let unknown = Forge::new("https://evil.example", &CORP).token();
    assert_eq!(reason(ask(&authn, &unknown).await, "unknown"), Reason::TokenUnknownIssuer);
}
