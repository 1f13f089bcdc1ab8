use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde_json::Value;
use smallvec::smallvec;

use super::*;
use crate::{
    broker::Credential,
    model::{
        Action, Allow, Deny, DenyStatus, EntityRef, Environment, Level, PrincipalKind, RawFields, Reason, Resource, Span, SpiffeId, Token, TypeName,
    },
};

fn config() -> Config {
    Config {
        prefix: "x-lakegate-".to_owned(),
        help_url: Some("https://wiki.example.com/lakegate?decision={decision}".to_owned()),
        explain: Explain::Own,
        faults_visible_after_ms: 20_000,
        assertion: None,
        trust: HashMap::from([((TargetKind::Workspace, Name::parse("stage").unwrap()), Trusted::All)]),
    }
}

/// A raw call with `path` and the names of `headers`.
fn raw(path: &str, headers: &[&str]) -> RawCall {
    let mut wire = Vec::new();
    let mut put = |text: &str| {
        let start = wire.len();
        wire.extend_from_slice(text.as_bytes());
        Span::new(start..wire.len()).unwrap()
    };
    let fields = RawFields { path: put(path), headers: headers.iter().map(|name| (put(name), put("v"))).collect(), ..RawFields::default() };
    RawCall::new(wire.into(), fields)
}

fn caller() -> Caller {
    let token = Token {
        issuer: Name::parse("corp").unwrap(),
        kind: PrincipalKind::User,
        subject: "alice".to_owned(),
        groups: vec!["a,b".to_owned(), "100%".to_owned(), "ünï".to_owned()],
        groups_elsewhere: false,
        roles: vec!["x\r\nset-cookie: a=1".to_owned()],
        scopes: vec![],
        client: None,
        expires_at: 0,
        issued_at: None,
        auth_time: None,
        acr: None,
        id: None,
        session: None,
        actors: vec![],
        claims: Vec::new(),
        purpose: None,
        email: None,
        digest: [0; 32],
    };
    Caller { peer: Some(SpiffeId::parse("spiffe://cluster.local/ns/ml/sa/t").unwrap()), token: Some(Arc::new(token)) }
}

fn intent(name: &str) -> Intent {
    let target = Target {
        kind: TargetKind::Workspace,
        name: Name::parse("stage").unwrap(),
        workspace_id: Some("1".into()),
        account_id: None,
        environment: Some(Environment(Name::parse("staging").unwrap())),
    };
    let action = Action {
        name: "serving_endpoints.query".into(),
        service: "serving_endpoints".into(),
        level: Level::Use,
        marks: Vec::new(),
        within: Vec::new(),
    };
    let entity = EntityRef::new(&TypeName::new("ServingEndpoint"), &format!("stage/{name}"));
    Intent {
        target: Arc::new(target),
        action: Arc::new(action),
        resources: smallvec![Resource { entity, ancestors: vec![] }],
        fields: vec![],
        scope: None,
    }
}

fn denied(config: Config, path: &str, refusal: &Refusal, now_ms: i64) -> (Deny, Value) {
    let (raw, caller, intent) = (raw(path, &[]), caller(), intent("sales"));
    let scene = Scene {
        decision: DecisionId::new(1),
        raw: &raw,
        call: None,
        peer: caller.peer.as_ref(),
        caller: Some(&caller),
        intent: Some(&intent),
        now_ms,
        remembered: false,
    };
    let Verdict::Deny(deny) = Responder::new(config).respond(&scene, Err(refusal.clone())) else { panic!("not a deny") };
    let body = serde_json::from_slice(&deny.body).unwrap();
    (deny, body)
}

fn allowed(config: Config, credential: &Credential, headers: &[&str]) -> Allow {
    let (raw, caller, intent) = (raw("/x", headers), caller(), intent("sales"));
    let scene = Scene {
        decision: DecisionId::new(1),
        raw: &raw,
        call: None,
        peer: caller.peer.as_ref(),
        caller: Some(&caller),
        intent: Some(&intent),
        now_ms: 0,
        remembered: false,
    };
    let responder = Responder::new(config);
    let Verdict::Allow(allow) = headers::allow(&trust(&responder), &scene, &caller, &intent, credential) else { panic!("not an allow") };
    allow
}

fn trust(responder: &Responder) -> headers::Trust<'_> {
    headers::Trust { config: &responder.config, names: &responder.names, assertions: responder.assertions.as_ref() }
}

fn set<'a>(allow: &'a Allow, name: &str) -> Option<&'a str> {
    allow.set.iter().find(|edit| edit.name == name).map(|edit| std::str::from_utf8(&edit.value).unwrap())
}

fn header<'a>(deny: &'a Deny, name: &str) -> Option<&'a str> {
    deny.headers.iter().find(|edit| edit.name == name).map(|edit| std::str::from_utf8(&edit.value).unwrap())
}

#[test]
fn who_is_not_known_is_told_which_schemes_would_do() {
    for (refusal, told) in [
        (Refusal::new(Reason::TokenExpired, "x"), Some("Bearer")),
        (Refusal { challenge: Some("Bearer, DPoP algs=\"ES256\""), ..Refusal::new(Reason::ProofMissing, "x") }, Some("Bearer, DPoP algs=\"ES256\"")),
        (
            Refusal { challenge: Some("Bearer error=\"invalid_token\""), ..Refusal::new(Reason::ProofInvalid, "x") },
            Some("Bearer error=\"invalid_token\""),
        ),
        (Refusal::new(Reason::PolicyForbids, "x"), None),
    ] {
        assert_eq!(header(&denied(config(), "/api/2.0/x", &refusal, 0).0, "www-authenticate"), told, "{refusal:?}");
    }
}

#[test]
fn every_reason_has_a_status_a_code_and_a_body_that_sdks_read() {
    for reason in Reason::ALL {
        let (deny, body) = denied(config(), "/api/2.0/x", &Refusal::new(reason, "because"), 0);
        assert!((400..=599).contains(&deny.status.code()), "{reason:?}");
        let details = body["details"].as_array().unwrap();
        assert_eq!(details[0]["domain"], "lakegate");
        assert!(details[0]["metadata"].as_object().unwrap().values().all(Value::is_string), "{reason:?}");
        assert!(!details[1]["request_id"].as_str().unwrap().is_empty());
        for key in ["error", "detail", "status", "scimType"] {
            assert!(body.get(key).is_none(), "{reason:?} has `{key}`, which makes SDKs misread it");
        }
        assert_eq!(header(&deny, "retry-after").is_some(), deny.status == DenyStatus::Unavailable, "{reason:?}");
        assert_eq!(header(&deny, "x-should-retry").is_some(), deny.status != DenyStatus::Unavailable, "{reason:?}");
        assert_eq!(reason.is_fault(), deny.status == DenyStatus::Unavailable, "{reason:?}");
        assert!(header(&deny, "x-databricks-reason-phrase").unwrap().contains("decision"), "{reason:?}");
    }
}

#[test]
fn a_deny_says_who_what_why_and_where_to_ask() {
    let (deny, body) = denied(config(), "/x", &Refusal::new(Reason::PolicyForbids, "the endpoint is under audit"), 0);
    let message = body["message"].as_str().unwrap();
    for part in [
        "User::\"corp/alice\"",
        "spiffe://cluster.local/ns/ml/sa/t",
        "serving_endpoints.query",
        "ServingEndpoint::\"stage/sales\"",
        "the endpoint is under audit",
        "POLICY_FORBIDS",
        "https://wiki.example.com/lakegate?decision=0",
    ] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    assert_eq!(body["error_code"], "PERMISSION_DENIED");
    assert_eq!(header(&deny, "x-databricks-reason-phrase").unwrap(), message);
    let (_, quiet) =
        denied(Config { explain: Explain::None, ..config() }, "/x", &Refusal::new(Reason::PolicyForbids, "the endpoint is under audit"), 0);
    let text = quiet.to_string();
    assert!(!text.contains("alice") && !text.contains("audit") && !text.contains("sales"), "{text}");
}

/// Whoever is permitted would ask for a policy that is there.
#[test]
fn what_is_permitted_and_has_no_credential_is_not_said_to_be_denied() {
    for reason in Reason::ALL {
        let (_, body) = denied(config(), "/x", &Refusal::new(reason, "because"), 0);
        let message = body["message"].as_str().unwrap();
        let permitted = "User::\"corp/alice\" from spiffe://cluster.local/ns/ml/sa/t is permitted to call serving_endpoints.query on \
                         ServingEndpoint::\"stage/sales\", but because [";
        let behind =
            matches!(reason, Reason::IdentityUnknown | Reason::CredentialRefused | Reason::CredentialConflict | Reason::CredentialUnavailable);
        assert_eq!(message.starts_with(permitted), behind, "{message}");
        assert_eq!(message.contains("may not call"), !behind && reason != Reason::PolicyHides, "{message}");
    }
}

#[test]
fn policies_are_named_only_where_everything_may_be_told() {
    let mut refusal = Refusal::new(Reason::PolicyForbids, "because");
    refusal.policies = vec!["closed-endpoint".to_owned()];
    assert!(!denied(config(), "/x", &refusal, 0).1.to_string().contains("closed-endpoint"));
    let (_, full) = denied(Config { explain: Explain::Full, ..config() }, "/x", &refusal, 0);
    assert_eq!(full["details"][0]["metadata"]["policies"], "closed-endpoint");
}

#[test]
fn what_is_said_aside_is_told_only_where_everything_may_be() {
    let refusal =
        Refusal::new(Reason::TokenNotForPeer, "the token is bound to another workload").with_aside("it may be presented by `there`".to_owned());
    for (explain, told) in [(Explain::None, false), (Explain::Own, false), (Explain::Full, true)] {
        let (deny, body) = denied(Config { explain, ..config() }, "/x", &refusal, 0);
        assert_eq!(body.to_string().contains("`there`"), told, "{explain:?}");
        assert_eq!(header(&deny, "x-databricks-reason-phrase").unwrap().contains("`there`"), told, "{explain:?}");
    }
}

#[test]
fn a_deny_says_where_its_caller_may_ask_for_more() {
    let raw = raw("/api/2.2/jobs/list", &[]);
    let told = |explain, remembered, reason| {
        let scene = Scene { decision: DecisionId::new(1), raw: &raw, call: None, peer: None, caller: None, intent: None, now_ms: 0, remembered };
        let Verdict::Deny(deny) = Responder::new(Config { explain, ..config() }).respond(&scene, Err(Refusal::new(reason, "because"))) else {
            panic!("not a deny")
        };
        serde_json::from_slice::<Value>(&deny.body).unwrap()["details"][0]["metadata"].get("why").map(ToString::to_string)
    };
    let path = "\"/.well-known/lakegate/decisions/0";
    assert!(told(Explain::Own, true, Reason::PolicyNoPermit).is_some_and(|told| told.starts_with(path)));
    // not where there is no more to be had: it is not remembered, nothing is explained, or the object is hidden
    assert_eq!(told(Explain::Own, false, Reason::PolicyNoPermit), None);
    assert_eq!(told(Explain::None, true, Reason::PolicyNoPermit), None);
    assert_eq!(told(Explain::Own, true, Reason::PolicyHides), None);
}

#[test]
fn what_is_hidden_looks_like_what_is_not_there() {
    let (deny, body) = denied(config(), "/x", &Refusal::new(Reason::PolicyHides, "secret project"), 0);
    assert_eq!((deny.status, body["error_code"].as_str()), (DenyStatus::NotFound, Some("RESOURCE_DOES_NOT_EXIST")));
    let text = body.to_string();
    assert!(!text.contains("secret project") && !text.contains("HIDES") && !text.contains("alice"), "{text}");
}

#[test]
fn an_old_fault_is_shown_and_a_young_one_retried() {
    let mut refusal = Refusal::new(Reason::KeysUnavailable, "the keys of `corp` cannot be fetched");
    refusal.since = Some(0);
    let (young, body) = denied(config(), "/x", &refusal, 20_000);
    assert_eq!((young.status, body["error_code"].as_str()), (DenyStatus::Unavailable, Some("TEMPORARILY_UNAVAILABLE")));
    let (old, body) = denied(config(), "/x", &refusal, 20_001);
    assert_eq!((old.status, body["error_code"].as_str()), (DenyStatus::Forbidden, Some("PERMISSION_DENIED")));
    assert_eq!(header(&old, "x-should-retry"), Some("false"));
}

/// A 403 looks like a decision about the caller.
#[test]
fn an_old_fault_is_said_to_be_one_and_since_when() {
    for (reason, whose) in [(Reason::CredentialUnavailable, "a fault of the token endpoint"), (Reason::KeysUnavailable, "a fault")] {
        let refusal = Refusal { since: Some(0), ..Refusal::new(reason, "it cannot be asked") };
        let said = format!(
            "it cannot be asked; this is {whose}, since 1970-01-01T00:00:00Z, and nothing of the caller's is wrong: ask whoever runs lakegate ["
        );
        for (now_ms, told) in [(20_000, false), (20_001, true)] {
            let (_, body) = denied(config(), "/x", &refusal, now_ms);
            assert_eq!(body["message"].as_str().unwrap().contains(&said), told, "{body}");
        }
    }
}

#[test]
fn no_message_makes_a_client_retry() {
    let phrases = ["Unexpected error", "deadline EXCEEDED", "Timed out after 3 s", "REQUEST_LIMIT_EXCEEDED", "ClusterNotReadyException"];
    for phrase in phrases {
        let (deny, body) = denied(config(), "/x", &Refusal::new(Reason::PolicyForbids, format!("see {phrase} {phrase}")), 0);
        let text = (body.to_string() + header(&deny, "x-databricks-reason-phrase").unwrap()).to_lowercase();
        assert!(!text.contains(&phrase.to_lowercase().replace("3 s", "")), "{text}");
    }
}

#[test]
fn no_credential_of_the_request_is_echoed() {
    for credential in ["eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "dapi0123456789abcdef"] {
        let refusal = Refusal::new(Reason::CallUnknown, format!("the catalog knows no `/x/{credential}`"));
        let (deny, body) = denied(config(), "/x", &refusal, 0);
        let text = body.to_string() + header(&deny, "x-databricks-reason-phrase").unwrap();
        assert!(!text.contains(credential) && text.contains("[redacted]"), "{text}");
        assert!(body["message"].as_str().unwrap().contains("CALL_UNKNOWN, decision 0"), "{text}");
    }
}

#[test]
fn below_oidc_the_shape_is_that_of_oauth() {
    let (_, body) = denied(config(), "/oidc/v1/token", &Refusal::new(Reason::TokenExpired, "the token has expired"), 0);
    assert_eq!(body["error"], "invalid_grant");
    assert!(body["error_description"].as_str().unwrap().contains("expired"));
    assert!(body.get("error_code").is_none());
}

#[test]
fn no_header_value_can_split_an_answer() {
    let (deny, _) = denied(config(), "/x", &Refusal::new(Reason::PolicyForbids, "a\r\nset-cookie: b=1\u{0}ü"), 0);
    let allow = allowed(config(), &Credential::Passthrough, &[]);
    for edit in deny.headers.iter().chain(&allow.set) {
        assert!(edit.value.iter().all(|b| matches!(b, b' '..=b'~')), "{edit:?}");
    }
    assert_eq!(set(&allow, "x-lakegate-groups"), Some("a%2Cb,100%25,%C3%BCn%C3%AF"));
    assert_eq!(set(&allow, "x-lakegate-roles"), Some("x%0D%0Aset-cookie:%20a=1"));
}

#[test]
fn what_could_be_taken_for_ours_is_removed_and_never_what_is_set() {
    let sent =
        ["x-lakegate-subject", "x_lakegate_subject", "x.lakegate.subject", "x~lakegate!subject", "x-lakegate_actor", "x-lakegate-future", "accept"];
    let allow = allowed(config(), &Credential::Passthrough, &sent);
    for name in [
        "x_lakegate_subject",
        "x.lakegate.subject",
        "x~lakegate!subject",
        "x-lakegate_actor",
        "x-lakegate-future",
        "x-lakegate-assertion",
        "x-lakegate-actor",
    ] {
        assert!(allow.remove.iter().any(|removed| removed == name), "{name}");
    }
    assert_eq!(set(&allow, "x-lakegate-subject"), Some("corp/alice"));
    assert!(!allow.remove.contains(&Cow::Borrowed("accept")));
    for edit in &allow.set {
        assert!(!allow.remove.contains(&edit.name), "{} is set and removed: Envoy removes last", edit.name);
    }
}

#[test]
fn no_second_credential_override_or_mark_of_the_mesh_leaves() {
    let unwanted = [
        "proxy-authorization",
        "cookie",
        "x-auth-token",
        "x-host",
        "x-api-key",
        "x_api_key",
        "api-key",
        "x-goog-api-key",
        "x-forwarded-access-token",
        "x-databricks-azure-sp-management-token",
        "x-databricks-gcp-sa-access-token",
        "x_databricks_any_token",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
        "forwarded",
        "x-forwarded-client-cert",
        "x-forwarded-for",
        "x-envoy-original-path",
    ];
    let allow = allowed(config(), &Credential::Passthrough, &unwanted);
    for name in unwanted {
        assert!(allow.remove.iter().any(|removed| removed == name), "{name}");
    }
    let kept = ["x-databricks-workspace-id", "content-type", "user-agent", "traceparent", "x-request-id", "mcp-session-id", "authorization"];
    let allow = allowed(config(), &Credential::Passthrough, &kept);
    for name in kept {
        assert!(!allow.remove.iter().any(|removed| removed == name), "{name}");
    }
}

#[test]
fn the_token_travels_only_where_the_mode_says_so() {
    let strip = allowed(config(), &Credential::Strip, &["authorization"]);
    assert!(strip.remove.contains(&Cow::Borrowed("authorization")));
    let bearer = allowed(config(), &Credential::Replace("Bearer dbx".into()), &["authorization"]);
    assert_eq!(set(&bearer, "authorization"), Some("Bearer dbx"));
    assert!(!bearer.remove.contains(&Cow::Borrowed("authorization")));
}

#[test]
fn a_workspace_says_which_trust_headers_may_leave() {
    let key = (TargetKind::Workspace, Name::parse("stage").unwrap());
    let only = Config { trust: HashMap::from([(key.clone(), Trusted::Only(vec![TrustHeader::Subject]))]), ..config() };
    let allow = allowed(only, &Credential::Passthrough, &[]);
    assert_eq!(allow.set.iter().map(|edit| edit.name.as_ref()).collect::<Vec<_>>(), ["x-lakegate-subject"]);
    assert!(allow.remove.iter().any(|name| name == "x-lakegate-groups"));
    let none = Config { trust: HashMap::from([(key, Trusted::None)]), ..config() };
    assert!(allowed(none, &Credential::Passthrough, &[]).set.is_empty());
}

#[test]
fn a_list_too_long_for_a_header_is_left_out_whole() {
    let mut caller = caller();
    let mut token = (*caller.token.unwrap()).clone();
    token.groups = (0..5000).map(|i| format!("group-{i}")).collect();
    caller.token = Some(Arc::new(token));
    let (raw, intent) = (raw("/x", &[]), intent("sales"));
    let scene = Scene {
        decision: DecisionId::new(1),
        raw: &raw,
        call: None,
        peer: caller.peer.as_ref(),
        caller: Some(&caller),
        intent: Some(&intent),
        now_ms: 0,
        remembered: false,
    };
    let responder = Responder::new(config());
    let Verdict::Allow(allow) = headers::allow(&trust(&responder), &scene, &caller, &intent, &Credential::Passthrough) else {
        panic!("not an allow")
    };
    assert_eq!(set(&allow, "x-lakegate-groups"), None);
    assert!(allow.remove.iter().any(|name| name == "x-lakegate-groups"));
}

#[test]
fn shadow_changes_nothing_but_what_is_forged() {
    let raw = raw("/x", &["x-lakegate-subject", "X_Lakegate_Roles", "cookie", "authorization"]);
    let scene = Scene { decision: DecisionId::new(1), raw: &raw, call: None, peer: None, caller: None, intent: None, now_ms: 0, remembered: false };
    let Verdict::Allow(allow) = Responder::new(config()).shadow(&scene) else { panic!("not an allow") };
    assert!(allow.set.is_empty());
    assert!(allow.remove.iter().all(|name| name.to_lowercase().replace('_', "-").starts_with("x-lakegate-")));
    assert!(allow.remove.iter().any(|name| name == "X_Lakegate_Roles"));
}

#[test]
fn discovery_answers_with_the_workspace_and_nothing_else() {
    let raw = raw("/.well-known/databricks-config", &[]);
    let scene = Scene { decision: DecisionId::new(1), raw: &raw, call: None, peer: None, caller: None, intent: None, now_ms: 0, remembered: false };
    let Verdict::Answer(answer) = Responder::new(config()).discovery(&scene, &intent("x").target) else { panic!("not an answer") };
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["workspace_id"], "1");
    assert!(answer.headers.iter().any(|edit| edit.value == Bytes::from_static(b"application/json")));
}

#[test]
fn the_page_of_reasons_is_current() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reasons.md")).unwrap_or_default();
    assert!(page == reference(), "docs/reasons.md is not what the code says: run `make docs`");
}
