//! Key sets: which keys count, and which sets are refused whole.

use serde_json::{Value, json};

use super::world::{CORP, Forge, Key, KeyFile, NEXT, ask, authenticator, b64, client, config, issuer, reason};
use crate::{
    authn::{Authenticator, IssuerConfig, KeySource, Provider},
    clock::Clock,
    model::{Fault, Name, Reason},
};

fn stage(file: &KeyFile) -> Result<Authenticator, Vec<Fault>> {
    Authenticator::new(config(vec![file.issuer(Provider::Generic)]), client(), Clock::default(), None)
}

#[test]
fn a_set_that_is_wrong_is_refused_whole() {
    let good = &CORP.jwk;
    let private = |name: &str| json!({"keys": [NEXT.jwk, CORP.jwk_with(&json!({name: "AQAB"}))]});
    let many: Vec<Value> = (0..65).map(|i| CORP.jwk_with(&json!({"kid": format!("k{i}")}))).collect();
    let mut cases = vec![
        (json!({"keys": [good, {"kty": "oct", "kid": "x", "k": "c2VjcmV0"}]}), "symmetric"),
        (json!({"keys": [good, {"kty": "oct", "kid": "x"}]}), "symmetric"),
        (json!({"keys": [good, good]}), "two keys"),
        (json!({"keys": [good, NEXT.jwk_with(&json!({"kid": "corp-1"}))]}), "two keys"),
        (json!({"keys": many}), "more than 64"),
        (json!({"keys": []}), "no key"),
        (json!({"keys": [7]}), "list of `keys`"),
        (json!({"keys": {"corp-1": good}}), "list of `keys`"),
        (json!({"Keys": [good]}), "list of `keys`"),
        (json!([good]), "list of `keys`"),
        (json!({}), "list of `keys`"),
        (json!(null), "list of `keys`"),
    ];
    cases.extend(["d", "p", "q", "dp", "dq", "qi", "oth", "k"].map(|name| (private(name), "private")));
    for (set, expected) in cases {
        let file = KeyFile::new(&set);
        let faults = stage(&file).expect_err(expected);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].file, file.0);
        assert!(faults[0].message.contains(expected), "{}: {set}", faults[0].message);
    }
    let file = KeyFile::new(&json!({}));
    std::fs::write(&file.0, format!(r#"{{"keys":[{good}],"keys":[{}]}}"#, NEXT.jwk)).unwrap();
    assert!(stage(&file).unwrap_err()[0].message.contains("twice"));
    std::fs::write(&file.0, "").unwrap();
    assert!(stage(&file).is_err(), "an emptied file");
}

#[tokio::test]
async fn a_key_that_is_not_for_this_does_not_count_and_harms_no_other() {
    let short = b64([0xff; 128]);
    let wide = b64([0xff; 1025]);
    let cases = [
        json!({"use": "enc"}),
        json!({"use": ["sig"]}),
        json!({"key_ops": ["encrypt"]}),
        json!({"key_ops": "verify"}),
        json!({"alg": "RSA-OAEP"}),
        json!({"alg": "HS256"}),
        json!({"alg": "ES256"}),
        json!({"alg": 1}),
        json!({"kty": "EC"}),
        json!({"kty": "OKP", "crv": "Ed448"}),
        json!({"kty": null}),
        json!({"kid": 1}),
        json!({"n": short}),
        json!({"n": wide}),
        json!({"n": "not base64!"}),
        json!({"n": null}),
        json!({"e": "AQ"}),
        json!({"e": "AA"}),
        json!({"e": "Ag"}),
        json!({"e": ""}),
    ];
    for change in cases {
        let alone = KeyFile::new(&json!({"keys": [CORP.jwk_with(&change)]}));
        assert!(stage(&alone).unwrap_err()[0].message.contains("no key"), "{change}");
        let file = KeyFile::new(&json!({"keys": [CORP.jwk_with(&change), NEXT.jwk]}));
        let authn = stage(&file).unwrap();
        assert!(ask(&authn, &Forge::new("https://idp.example", &NEXT).token()).await.is_ok(), "{change}");
        let token = Forge::new("https://idp.example", &CORP).token();
        assert_eq!(reason(ask(&authn, &token).await, &change.to_string()), Reason::TokenUnknownKey, "{change}");
    }
    let p256 = Key::p256("ec");
    for change in [json!({"x": b64([1; 31])}), json!({"crv": "P-384"}), json!({"crv": "secp256k1"}), json!({"crv": null})] {
        let file = KeyFile::new(&json!({"keys": [p256.jwk_with(&change)]}));
        assert!(stage(&file).is_err(), "{change}");
    }
}

#[tokio::test]
async fn a_key_of_good_form_is_read_as_issuers_write_it() {
    let cases = [
        json!({"use": null, "alg": null}),
        json!({"key_ops": ["verify"], "x5c": ["MIIB"], "x5t": "abc", "x5u": "https://elsewhere/"}),
        json!({"n": b64([&[0], base64_of(&CORP.jwk["n"]).as_slice()].concat())}),
    ];
    for change in cases {
        let file = KeyFile::new(&json!({"keys": [CORP.jwk_with(&change)], "extra": 1}));
        let authn = stage(&file).unwrap();
        assert!(ask(&authn, &Forge::new("https://idp.example", &CORP).token()).await.is_ok(), "{change}");
        assert_eq!(authn.status()[0].keys, ["corp-1"]);
        assert_eq!(authn.files(), std::slice::from_ref(&file.0));
    }
}

fn base64_of(value: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_without_key_id_needs_exactly_one_key_that_fits() {
    let ed = Key::ed25519("ed");
    let cases = [(vec![&CORP.jwk], true), (vec![&CORP.jwk, &ed.jwk], true), (vec![&CORP.jwk, &NEXT.jwk], false), (vec![&ed.jwk], false)];
    for (keys, good) in cases {
        let file = KeyFile::new(&json!({"keys": keys}));
        let authn = stage(&file).unwrap();
        let token = Forge::new("https://idp.example", &CORP).header(&json!({"kid": null})).token();
        let result = ask(&authn, &token).await;
        if good {
            assert!(result.is_ok(), "{keys:?}");
        } else {
            assert_eq!(reason(result, "ambiguous"), Reason::TokenUnknownKey);
        }
    }
}

#[test]
fn all_faults_of_a_configuration_are_told_at_once() {
    let mut nobody = issuer("nobody", "https://a.example", Provider::Generic);
    nobody.audiences.clear();
    let mut missing = issuer("missing", "https://b.example", Provider::Generic);
    missing.keys = KeySource::File("/nonexistent/keys.json".into());
    let plain = issuer("plain", "http://c.example", Provider::Generic);
    let first = issuer("first", "https://d.example", Provider::Generic);
    let second = issuer("second", "https://d.example", Provider::Generic);
    let again = issuer("first", "https://e.example", Provider::Generic);
    let mut hasty = issuer("hasty", "https://f.example", Provider::Generic);
    hasty.min_refetch_s = 0;
    let faults =
        Authenticator::new(config(vec![nobody, missing, plain, first, second, again, hasty]), client(), Clock::default(), None).expect_err("faults");
    let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let expected = ["`nobody` has no audience", "/nonexistent/keys.json", "http://c.example", "`second` has", "`first` has", "`hasty` has"];
    assert_eq!(text.len(), expected.len(), "{text:?}");
    for word in expected {
        assert!(text.iter().any(|line| line.contains(word)), "{word}: {text:?}");
    }
}

#[tokio::test]
async fn a_changed_key_file_counts_from_the_next_stage_on() {
    let file = KeyFile::new(&json!({"keys": [CORP.jwk]}));
    let configs = || config(vec![file.issuer(Provider::Generic)]);
    let first = stage(&file).unwrap();
    let token = Forge::new("https://idp.example", &CORP).token();
    assert!(ask(&first, &token).await.is_ok());
    file.write(&json!({"keys": [NEXT.jwk]}));
    let second = Authenticator::new(configs(), client(), Clock::default(), Some(&first)).unwrap();
    assert_eq!(reason(ask(&second, &token).await, "withdrawn"), Reason::TokenUnknownKey);
    assert!(ask(&second, &Forge::new("https://idp.example", &NEXT).token()).await.is_ok());
    file.write(&json!({"keys": []}));
    assert!(Authenticator::new(configs(), client(), Clock::default(), Some(&second)).is_err(), "an emptied file is not a key set");
}

#[test]
fn defaults_accept_no_audience() {
    let config = IssuerConfig::new(Name::parse("corp").unwrap(), "https://idp.example", Provider::Keycloak);
    assert!(config.audiences.is_empty());
    assert!(std::panic::catch_unwind(|| authenticator(vec![config], &Clock::default())).is_err());
}
