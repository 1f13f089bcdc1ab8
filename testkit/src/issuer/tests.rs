use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};

use super::*;

/// What a verifier with the issuer's published keys makes of a token.
fn subject(issuer: &Issuer, token: &str) -> Option<String> {
    let kid = decode_header(token).ok()?.kid?;
    let jwks = issuer.jwks();
    let jwk = jwks["keys"].as_array()?.iter().find(|key| key["kid"] == kid.as_str())?;
    let key = DecodingKey::from_rsa_components(jwk["n"].as_str()?, jwk["e"].as_str()?).ok()?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["lakegate"]);
    validation.set_issuer(&[issuer.url()]);
    Some(decode::<Value>(token, &key, &validation).ok()?.claims["sub"].as_str()?.to_owned())
}

#[tokio::test]
async fn only_the_honest_token_verifies() {
    let issuer = Issuer::start("corp").await.unwrap();
    let cases = [
        ("honest", TokenSpec::new(), Some("alice")),
        ("another person", TokenSpec::person("bob", &[]), Some("bob")),
        ("expired", TokenSpec::expired(), None),
        ("another audience", TokenSpec::new().claim("aud", "other"), None),
        ("no audience", TokenSpec::new().without("exp"), None),
        ("forged", TokenSpec::new().signed(Signature::Foreign), None),
        ("unsigned", TokenSpec::unsigned(), None),
        ("public key as secret", TokenSpec::new().signed(Signature::PublicKeyAsSecret), None),
        ("two parts", TokenSpec::new().signed(Signature::Missing), None),
        ("unknown key", TokenSpec::new().header("kid", "made-up"), None),
        ("no key id", TokenSpec::new().header("kid", Value::Null), None),
    ];
    for (name, spec, expected) in cases {
        assert_eq!(subject(&issuer, &issuer.token(&spec).unwrap()).as_deref(), expected, "{name}");
    }
}

#[tokio::test]
async fn raw_claims_are_signed_unread() {
    let issuer = Issuer::start("corp").await.unwrap();
    let token = issuer.token(&TokenSpec::new().raw_claims(r#"{"sub":"a","sub":"b","iss":"$iss","exp":$exp}"#)).unwrap();
    let claims = token.split('.').nth(1).unwrap();
    let text = String::from_utf8(base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap()).unwrap();
    assert!(text.starts_with(r#"{"sub":"a","sub":"b","iss":"http://127.0.0.1:"#), "{text}");
}

#[tokio::test]
async fn rotation_keeps_or_withdraws_the_old_key() {
    let issuer = Issuer::start("corp").await.unwrap();
    let first = issuer.token(&TokenSpec::new()).unwrap();
    issuer.rotate(OldKeys::Keep).unwrap();
    let second = issuer.token(&TokenSpec::new()).unwrap();
    assert_eq!(issuer.kid(), "corp-2");
    assert!(subject(&issuer, &first).is_some() && subject(&issuer, &second).is_some());
    issuer.rotate(OldKeys::Withdraw).unwrap();
    assert!(subject(&issuer, &first).is_none() && subject(&issuer, &second).is_none());
    assert!(subject(&issuer, &issuer.token(&TokenSpec::new()).unwrap()).is_some());
}

#[tokio::test]
async fn discovery_leads_to_the_keys_and_faults_show() {
    let issuer = Issuer::start("corp").await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let fetch = async |url: String| {
        let answer = client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let well_known = format!("{}/.well-known/openid-configuration", issuer.url());
    let (status, text) = fetch(well_known.clone()).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, document["issuer"].as_str()), (200, Some(issuer.url())));
    let jwks_uri = document["jwks_uri"].as_str().unwrap().to_owned();
    let keys: Value = serde_json::from_str(&fetch(jwks_uri.clone()).await.1).unwrap();
    assert_eq!(keys, issuer.jwks());
    assert_eq!(issuer.fetches(), 1);

    issuer.set_fault(Some(Fault::Unavailable));
    assert_eq!(fetch(jwks_uri.clone()).await.0, 503);
    issuer.set_fault(Some(Fault::NoKeys));
    assert_eq!(fetch(jwks_uri.clone()).await.1, r#"{"keys":[]}"#);
    issuer.set_fault(Some(Fault::Garbage));
    assert!(serde_json::from_str::<Value>(&fetch(jwks_uri.clone()).await.1).is_err());
    issuer.set_fault(Some(Fault::Oversize));
    assert!(fetch(jwks_uri.clone()).await.1.len() > 8 << 20);
    issuer.set_fault(Some(Fault::WrongIssuer));
    let document: Value = serde_json::from_str(&fetch(well_known).await.1).unwrap();
    assert_ne!(document["issuer"], issuer.url());
    issuer.set_fault(None);
    assert_eq!(fetch(jwks_uri).await.0, 200);
    assert_eq!(issuer.fetches(), 6);
}
