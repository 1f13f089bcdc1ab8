use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::issuer::{Issuer, Signature, TokenSpec};
use crate::{form, raw};

const GRANT: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const KIND: (&str, &str) = ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");
const PRINCIPAL: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

async fn post(workspace: &Workspace, authorization: Option<&str>, fields: &[(&str, &str)]) -> raw::Response {
    let mut request = raw::Request::new("POST", "h", "/oidc/v1/token").header("content-type", "application/x-www-form-urlencoded");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    raw::Client::plain(workspace.port()).send(&raw::Request { body: form::encode(fields).into_bytes(), ..request }).await.unwrap()
}

async fn exchange(workspace: &Workspace, token: &str) -> raw::Response {
    post(workspace, None, &[GRANT, KIND, ("subject_token", token), ("scope", "all-apis")]).await
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

async fn world() -> (Workspace, Issuer) {
    let (workspace, issuer) = (Workspace::start().await.unwrap(), Issuer::start("corp").await.unwrap());
    workspace.federate(FederationPolicy::new(issuer.url(), "lakegate", issuer.jwks()));
    (workspace, issuer)
}

#[tokio::test]
async fn everybody_is_believed_until_a_policy_is_entered() {
    let workspace = Workspace::start().await.unwrap();
    let first = exchange(&workspace, "a.b.c").await;
    assert_eq!((first.status, &first.json()["token_type"], &first.json()["expires_in"]), (200, &json!("Bearer"), &json!(3600)));
    assert!(first.json()["access_token"].as_str().unwrap().starts_with("dbx-"));
    assert_eq!(exchange(&workspace, "a.b.c").await.json(), first.json());
    let seen = &workspace.exchanges()[0];
    assert_eq!((seen.field("grant_type"), seen.field("scope"), seen.status), (Some(GRANT.1), Some("all-apis"), 200));
    assert_eq!(workspace.count(), 0);
    workspace.refuse_exchanges(true);
    let refused = exchange(&workspace, "a.b.c").await;
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("access_denied")));
}

#[tokio::test]
async fn a_policy_holds_for_what_it_says_alone() {
    let (workspace, issuer) = world().await;
    let stranger = Issuer::start("other").await.unwrap();
    for (name, token, error) in [
        ("good", issuer.token(&TokenSpec::new()).unwrap(), None),
        ("one of several audiences", issuer.token(&TokenSpec::new().claim("aud", ["x", "lakegate"].as_slice())).unwrap(), None),
        ("issuer", stranger.token(&TokenSpec::new()).unwrap(), Some("access_denied")),
        ("audience", issuer.token(&TokenSpec::new().claim("aud", "x")).unwrap(), Some("access_denied")),
        ("no subject", issuer.token(&TokenSpec::new().without("sub")).unwrap(), Some("access_denied")),
        ("ended", issuer.token(&TokenSpec::expired()).unwrap(), Some("invalid_grant")),
        ("not yet", issuer.token(&TokenSpec::new().claim("iat", clock::now_s() + 60)).unwrap(), Some("invalid_grant")),
        ("forged", issuer.token(&TokenSpec::new().signed(Signature::Foreign)).unwrap(), Some("invalid_grant")),
        ("unknown key", issuer.token(&TokenSpec::new().header("kid", "x")).unwrap(), Some("invalid_grant")),
        ("algorithm", issuer.token(&TokenSpec::new().signed(Signature::PublicKeyAsSecret)).unwrap(), Some("invalid_grant")),
        ("no JWT", "x".to_owned(), Some("invalid_request")),
    ] {
        let answer = exchange(&workspace, &token).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (if error.is_some() { 400 } else { 200 }, error), "{name}: {}", answer.json());
        let seen = workspace.exchanges().pop().unwrap();
        assert_eq!((seen.status, seen.error.as_deref(), seen.token.is_none()), (answer.status, error, error.is_some()), "{name}");
    }
    let token = exchange(&workspace, &issuer.token(&TokenSpec::new().expires_in(200)).unwrap()).await.json();
    let text = token["access_token"].as_str().unwrap();
    assert!((195..=200).contains(&token["expires_in"].as_i64().unwrap()), "it lives no longer than what it was exchanged for: {token}");
    assert_eq!((claims(text)["sub"].as_str(), claims(text)["aud"].as_str()), (Some("alice"), Some(answers::ORG_ID)));
    assert_eq!((workspace.principal_of(text).as_deref(), workspace.principal_of("x")), (Some("alice"), None));
    workspace.admit(&["bob"]);
    assert_eq!(exchange(&workspace, &issuer.token(&TokenSpec::new()).unwrap()).await.json()["error"], "access_denied");
}

#[tokio::test]
async fn a_service_principal_has_a_token_by_its_policy_or_by_its_secret() {
    let (workspace, issuer) = world().await;
    workspace.federate(FederationPolicy::new(issuer.url(), "lakegate", issuer.jwks()).of_service_principal(PRINCIPAL, "robot"));
    workspace.register_client(PRINCIPAL, "a b:c");
    workspace.allow_scopes(&["all-apis", "sql"]);
    let robot = issuer.token(&TokenSpec::new().claim("sub", "robot")).unwrap();
    let alice = issuer.token(&TokenSpec::new()).unwrap();
    let basic = |text: String| format!("Basic {}", STANDARD.encode(text));
    let (good, bad) = (basic(format!("{PRINCIPAL}:a+b%3Ac")), basic(format!("{PRINCIPAL}:a")));
    let by = |token| [GRANT, KIND, ("subject_token", token), ("client_id", PRINCIPAL)];
    let client = ("grant_type", "client_credentials");
    let none: Option<&str> = None;
    let cases = [
        ("policy", none, by(&robot).to_vec(), 200, PRINCIPAL),
        ("subject", None, by(&alice).to_vec(), 400, "access_denied"),
        ("client", None, [&by(&robot)[..3], &[("client_id", "x")]].concat(), 400, "access_denied"),
        ("secret", Some(&good), vec![client, ("scope", "sql")], 200, PRINCIPAL),
        ("wrong secret", Some(&bad), vec![client], 401, "invalid_client"),
        ("no secret", None, vec![client], 401, "invalid_client"),
        ("scope", Some(&good), vec![client, ("scope", "sql jobs")], 400, "invalid_scope"),
        ("header", Some(&good), by(&robot).to_vec(), 400, "invalid_request"),
        ("twice", Some(&good), vec![client, client], 400, "invalid_request"),
        ("kind", None, vec![GRANT, ("subject_token", &robot), ("subject_token_type", "x")], 400, "invalid_request"),
        ("no token", None, vec![GRANT, KIND], 400, "invalid_request"),
        ("grant", None, vec![("grant_type", "password")], 400, "unsupported_grant_type"),
    ];
    for (name, authorization, fields, status, result) in cases {
        let answer = post(&workspace, authorization, &fields).await;
        let seen = workspace.exchanges().pop().unwrap();
        assert_eq!((answer.status, seen.principal.or(seen.error).as_deref()), (status, Some(result)), "{name}: {}", answer.json());
    }
}

#[tokio::test]
async fn it_fails_as_told_until_it_is_mended() {
    let (workspace, issuer) = world().await;
    let token = issuer.token(&TokenSpec::new()).unwrap();
    for (fault, status, says) in [
        (TokenFault::Slow(Duration::from_millis(1)), 200, "access_token"),
        (TokenFault::Status(503, None), 503, ""),
        (TokenFault::Status(429, Some(7)), 429, ""),
        (TokenFault::Error(403, "unauthorized_client", "no"), 403, "unauthorized_client"),
        (TokenFault::Redirect, 302, ""),
        (TokenFault::Html, 200, "<!doctype"),
        (TokenFault::Garbage, 200, "{"),
        (TokenFault::WrongAudience, 200, "access_token"),
        (TokenFault::Expired, 200, "access_token"),
        (TokenFault::ShortLived(45), 200, "\"expires_in\":45"),
    ] {
        workspace.set_token_fault(Some(fault.clone()));
        let answer = exchange(&workspace, &token).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert!(answer.status == status && text.contains(says), "{fault:?}: {} {text}", answer.status);
        assert_eq!(answer.header("retry-after").map(str::to_owned), (status == 429).then(|| "7".to_owned()), "{fault:?}");
        let given = answer.json()["access_token"].as_str().map(claims);
        match fault {
            TokenFault::WrongAudience => assert_ne!(given.unwrap()["aud"], answers::ORG_ID),
            TokenFault::Expired => assert!(given.unwrap()["exp"].as_i64().unwrap() < clock::now_s()),
            _ => {}
        }
    }
    workspace.set_token_fault(Some(TokenFault::Down));
    let request = raw::Request::new("POST", "h", "/oidc/v1/token");
    assert!(raw::Client::plain(workspace.port()).send(&request).await.is_err());
    workspace.set_token_fault(None);
    assert_eq!(exchange(&workspace, &token).await.status, 200, "a closed connection ends nothing else");
    workspace.move_token_clock(3600);
    let answer = exchange(&workspace, &token).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")));
    let date = rfc2822::parse(&answer.header("date").unwrap().replace("GMT", "+0000")).unwrap().timestamp().as_second();
    assert!((date - clock::now_s() - 3600).abs() < 60);
}
