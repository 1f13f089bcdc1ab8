//! How credentials are had: what is read, and what is refused.

use std::{fs, time::Duration};

use super::*;
use crate::config::words::{Identity, PersonalTokens};

const ID: &str = "11111111-2222-4333-8444-555555555555";
const ACCOUNT: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
const SIGNING: &str = "trust: { assertion: { keys: [tls.key] } }\n";

/// `GOOD` with a workspace that has these `credentials`, and these lines more.
fn with(credentials: &str, more: &str) -> String {
    GOOD.replacen("environment: staging", &format!("environment: staging\n    credentials: {{ {credentials} }}"), 1) + more
}

fn minted(credentials: &str) -> Minted {
    let config = parse(&with(credentials, SIGNING)).unwrap_or_else(|faults| panic!("{credentials}: {faults:?}"));
    match &config.targets[0].credentials {
        Credentials::Minted(minted) => minted.clone(),
        other => panic!("{credentials}: {other:?}"),
    }
}

#[test]
fn an_exchange_has_the_defaults_of_databricks() {
    let endpoint = "https://stage.cloud.databricks.com/oidc/v1/token";
    let ours = ["1111111111111111", "stage.cloud.databricks.com", "https://stage.cloud.databricks.com"];
    let expected = Minted {
        token_endpoint: endpoint.to_owned(),
        grant: MintedFor::Assertion { audience: endpoint.to_owned(), identity: Identity::Subject },
        scope: minted("mode: exchange").scope,
        window: Duration::from_hours(1),
        issuers: None,
        token_audiences: ours.map(str::to_owned).into(),
    };
    assert_eq!(minted("mode: exchange"), expected);
    let account =
        GOOD.replacen("environment: staging", &format!("environment: staging\n    account_id: {ACCOUNT}\n    credentials: {{ mode: exchange }}"), 1)
            + SIGNING;
    let account = parse(&account).unwrap();
    let Credentials::Minted(minted) = &account.targets[0].credentials else { panic!("nothing is minted") };
    assert_eq!(
        minted.grant,
        MintedFor::Assertion { audience: ACCOUNT.to_owned(), identity: Identity::Subject },
        "what a policy without audiences expects"
    );
    let console = format!(
        "{SIGNING}accounts: [{{ name: main, hosts: [accounts.cloud.databricks.com], account_id: {ACCOUNT}, credentials: {{ mode: exchange }} }}]\n"
    );
    let console = parse(&(GOOD.to_owned() + &console)).unwrap();
    let Credentials::Minted(minted) = &console.targets[1].credentials else { panic!("nothing is minted") };
    assert_eq!(minted.token_endpoint, format!("https://accounts.cloud.databricks.com/oidc/accounts/{ACCOUNT}/v1/token"));
}

#[test]
fn each_mode_reads_its_own_keys() {
    let grant = |credentials: &str| minted(credentials).grant;
    assert_eq!(grant("mode: exchange, subject: caller"), MintedFor::Caller);
    assert_eq!(grant("mode: exchange, identity: email, audience: a"), MintedFor::Assertion { audience: "a".to_owned(), identity: Identity::Email });
    let rule = |role: Option<&str>, peer: Option<&str>| PrincipalRule {
        client_id: ID.to_owned(),
        role: role.map(str::to_owned),
        peer: peer.map(str::to_owned),
    };
    let peer = "spiffe://cluster.local/ns/ml/sa/*";
    let text =
        format!("mode: service-principal, audience: a, principals: [{{ client_id: {ID}, role: corp/x, peer: \"{peer}\" }}, {{ client_id: {ID} }}]");
    assert_eq!(
        grant(&text),
        MintedFor::ServicePrincipal { audience: "a".to_owned(), principals: vec![rule(Some("corp/x"), Some(peer)), rule(None, None)] }
    );
    let MintedFor::Client { client_id, secret: SecretPlace::File(file) } =
        grant(&format!("mode: client-credentials, client_id: {ID}, secret_file: ca.crt"))
    else {
        panic!("no client");
    };
    assert!(client_id == ID && file.ends_with("ca.crt"));
    let rest = minted("mode: exchange, window: 10m, issuers: [corp], token_audiences: [x], scope: sql");
    assert_eq!((rest.window, rest.token_audiences, rest.issuers.unwrap()[0].as_str()), (Duration::from_mins(10), vec!["x".to_owned()], "corp"));
}

#[test]
fn what_cannot_be_minted_is_refused_with_its_mend() {
    for (credentials, more, said) in [
        ("mode: exchange", "", "lakegate has no key to sign with who the caller is; add `trust.assertion` with `keys`"),
        (
            "mode: strip, token_endpoint: \"https://a.example/t\"",
            "",
            "`token_endpoint` is of no use with `mode: strip`; remove it, or set the mode to `exchange`",
        ),
        ("mode: passthrough, identity: email", "", "`identity` is of no use with `mode: passthrough`"),
        ("subject: caller", "", "`subject` is of no use with `mode: strip`"),
        ("mode: exchange, subject: caller, identity: email", "", "`identity` is of no use with `subject: caller`"),
        ("mode: exchange, subject: caller, audience: x", "", "`audience` is of no use with `subject: caller`"),
        (
            "mode: exchange, client_id: x",
            SIGNING,
            "`client_id` is of no use with `mode: exchange`; remove it, or set the mode to `client-credentials`",
        ),
        ("mode: exchange, token_endpoint: \"http://a.example/t\"", SIGNING, "is not encrypted; write `https:`"),
        ("mode: exchange, window: 30s", SIGNING, "it is not between 1m and 24h"),
        ("mode: exchange, window: 25h", SIGNING, "it is not between 1m and 24h"),
        ("mode: exchange, scope: \"a  b\"", SIGNING, "is not a list of scopes"),
        ("mode: exchange, scope: \"\"", SIGNING, "is not a list of scopes"),
        ("mode: exchange, issuers: []", SIGNING, "is empty; name at least one"),
        ("mode: exchange, audience: \"\"", SIGNING, "can stand in no token"),
        ("mode: service-principal", SIGNING, "needs to know which principal a caller has"),
        ("mode: service-principal, principals: []", SIGNING, "needs to know which principal a caller has"),
        ("mode: service-principal, principals: [{ client_id: trainer }]", SIGNING, "`trainer` is not the application id of a service principal"),
        (
            "mode: service-principal, principals: [{ client_id: 11111111-2222-4333-8444-555555555555, role: x }]",
            SIGNING,
            "`x` is not a role; write `<issuer name>/<role>`",
        ),
        (
            "mode: service-principal, principals: [{ client_id: 11111111-2222-4333-8444-555555555555, peer: trainer }]",
            SIGNING,
            "is not a pattern of SPIFFE IDs",
        ),
        (
            "mode: service-principal, principals: [{ client_id: 11111111-2222-4333-8444-555555555555 }, { client_id: 11111111-2222-4333-8444-555555555555, role: corp/x }]",
            SIGNING,
            "it is for everyone, so that no rule after it counts; put it last",
        ),
        ("mode: client-credentials", "", "the client has no secret"),
        ("mode: client-credentials, secret_file: ca.crt", "", "needs a `client_id`"),
        ("mode: client-credentials, client_id: x, secret_file: ca.crt", "", "`x` is not the application id"),
        ("mode: client-credentials, client_id: x, secret_file: ca.crt, secret_env: X", "", "exclude each other"),
        ("mode: exchange", "trust: { assertion: { keys: [] } }\n", "the list is empty, so nothing can be signed"),
        ("mode: exchange", "trust: { assertion: { keys: [none.pem] } }\n", "`none.pem` cannot be read"),
        ("mode: exchange", "trust: { assertion: { keys: [tls.key], lifetime: 5s } }\n", "it is not 10s to 10m"),
        ("mode: exchange", "trust: { assertion: { keys: [tls.key], issuer: \"http://lakegate.example.com\" } }\n", "is not encrypted"),
        ("mode: exchange", "trust: { assertion: {} }\n", "lacks `keys`"),
    ] {
        let report = faults(&with(credentials, more));
        assert!(report.contains(said), "`{credentials}` should say `{said}`, and says:\n{report}");
    }
}

#[test]
fn a_workspace_may_still_take_personal_access_tokens() {
    let of = |credentials: &str| parse(&with(credentials, "")).unwrap().targets[0].credentials.clone();
    assert_eq!(of("mode: passthrough"), Credentials::Passthrough(PersonalTokens::Refuse));
    assert_eq!(of("mode: passthrough, personal_access_tokens: passthrough"), Credentials::Passthrough(PersonalTokens::Passthrough));
    for mode in ["strip", "exchange, subject: caller", "client-credentials"] {
        let report = faults(&with(&format!("mode: {mode}, personal_access_tokens: passthrough"), ""));
        assert!(report.contains("`personal_access_tokens` is of no use with `mode: "), "{report}");
    }
    let passing = "credentials: { mode: passthrough, personal_access_tokens: passthrough }";
    for other in [
        format!("accounts: [{{ name: main, hosts: [accounts.cloud.databricks.com], account_id: {ACCOUNT}, {passing} }}]\n"),
        format!("services: [{{ name: a, hosts: [a.example.com], environment: dev, catalog: mlflow, {passing} }}]\n"),
    ] {
        assert!(faults(&(GOOD.to_owned() + &other)).contains("personal access tokens are those of a workspace; remove it"), "{other}");
    }
    // Whose workspace a token is of, only Databricks knows.
    let entry = |name: &str, id: &str, credentials: &str| {
        format!("  - {{ name: {name}, hosts: [acme.databricks.com], workspace_id: \"{id}\", environment: dev, {credentials} }}\n")
    };
    let plain = "credentials: { mode: strip }";
    for (first, second) in [(passing, plain), (plain, passing)] {
        let own = GOOD.find("workspaces:").unwrap() + "workspaces:\n".len();
        let mut text = GOOD.to_owned();
        text.insert_str(own, &(entry("one", "7", first) + &entry("two", "8", second)));
        let report = faults(&text);
        assert!(report.contains("the host `acme.databricks.com` is that of several workspaces"), "{report}");
    }
}

/// The assertion for services travels with calls: what is exchanged has another audience.
#[test]
fn what_is_exchanged_has_no_audience_of_what_travels() {
    let told = "is the audience of the assertion that calls to workspace `stage` carry";
    let account = format!(
        "accounts: [{{ name: main, hosts: [accounts.cloud.databricks.com], account_id: {ACCOUNT}, credentials: {{ mode: exchange, audience: \"https://stage.cloud.databricks.com\" }} }}]\n"
    );
    for text in [
        with("mode: exchange, audience: \"https://stage.cloud.databricks.com\"", SIGNING),
        with("mode: exchange, token_endpoint: \"https://stage.cloud.databricks.com\"", SIGNING),
        with(&format!("mode: service-principal, audience: \"https://stage.cloud.databricks.com\", principals: [{{ client_id: {ID} }}]"), SIGNING),
        with("mode: strip", &(SIGNING.to_owned() + &account)),
    ] {
        let report = faults(&text);
        assert!(report.contains(told) && report.contains("write the account id"), "{report}");
    }
    for audience in ["https://stage.cloud.databricks.com/oidc/v1/token", "https://another.example.com", ACCOUNT] {
        assert!(parse(&with(&format!("mode: exchange, audience: \"{audience}\""), SIGNING)).is_ok(), "{audience}");
    }
}

#[test]
fn nothing_is_minted_for_what_is_not_databricks_or_for_whoever_asks() {
    let service = |credentials: &str| {
        let service =
            format!("services: [{{ name: a, hosts: [a.example.com], environment: dev, catalog: mlflow, credentials: {{ {credentials} }} }}]\n");
        faults(&(GOOD.to_owned() + SIGNING + &service))
    };
    assert!(service("mode: exchange").contains("a service that is not Databricks has no token endpoint"), "{}", service("mode: exchange"));
    let open = GOOD.replacen("  check: 127.0.0.1:9191", "  check: 0.0.0.0:9191\n  insecure: true", 1);
    let open = open.replacen("environment: staging", "environment: staging\n    credentials: { mode: exchange }", 1) + SIGNING;
    assert!(faults(&open).contains("`listen.insecure` lets anybody ask"), "{}", faults(&open));
}

#[test]
fn files_that_credentials_are_had_with_are_watched() {
    let folder = folder();
    let path = folder.path().join("lakegate.yaml");
    let text = with(&format!("mode: client-credentials, client_id: {ID}, secret_file: ca.crt"), SIGNING);
    fs::write(&path, &text).unwrap();
    let watched = Config::load(&path).unwrap().watched();
    for name in ["ca.crt", "tls.key"] {
        assert!(watched.contains(&folder.path().join(name)), "{name}");
    }
}
