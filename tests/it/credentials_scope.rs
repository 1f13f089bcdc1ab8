//! With which scope a token is asked for, and which answers to that are taken.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use lakegate::{
    authz::{Authorizer, Permit, Source},
    broker::{Broker, Config, Credential, Exchange, Mode, Subject, Wanted},
    classify::Catalog,
    clock::Clock,
    model::{Caller, Environment, Intent, Name, PrincipalKind, Reason, Refusal, RequestFacts, Resource, Target, TargetKind, Token},
    net::{self, Client, Endpoint},
};

/// A token endpoint that keeps the scope of each request, and answers as it is told.
#[derive(Clone)]
struct Desk {
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<(StatusCode, String)>>,
}

/// A broker for one workspace, and what it needs to be asked.
struct World {
    broker: Broker,
    desk: Desk,
    authorizer: Authorizer,
    intent: Intent,
    caller: Caller,
}

const ISSUED: &str = r#"{"access_token": "token", "token_type": "Bearer", "expires_in": 3600}"#;

// === impl Desk ===

impl Desk {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn answers(&self, status: StatusCode, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }
}

async fn token(State(desk): State<Desk>, body: String) -> (StatusCode, String) {
    let scope = form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == "scope").map(|(_, value)| value.into_owned());
    desk.asked.lock().unwrap().push(scope.unwrap_or_default());
    desk.answer.lock().unwrap().clone()
}

// === impl World ===

impl World {
    async fn new(scope: Option<&str>) -> Self {
        let desk = Desk { asked: Arc::default(), answer: Arc::new(Mutex::new((StatusCode::OK, ISSUED.to_owned()))) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::parse(&format!("http://{}/oidc/v1/token", listener.local_addr().unwrap())).unwrap();
        let router = Router::new().route("/oidc/v1/token", post(token)).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let name = |text| Name::parse(text).unwrap();
        let exchange =
            Exchange { endpoint, subject: Subject::Caller, scope: scope.map(str::to_owned), window_s: 3600, issuers: None, audiences: Vec::new() };
        let config = Config { modes: [((TargetKind::Workspace, name("stage")), Mode::Exchange(Arc::new(exchange)))].into(), cache_bytes: 1 << 20 };
        let broker = Broker::new(config, Client::new(&net::Config::default()).unwrap(), Clock::default(), None);
        let target = Target {
            kind: TargetKind::Workspace,
            name: name("stage"),
            workspace_id: None,
            account_id: None,
            environment: Some(Environment(name("staging"))),
        };
        let catalog = Catalog::embedded().unwrap();
        let policy = "@id(\"all\") permit (principal, action, resource);".to_owned();
        let source = Source { files: vec![(PathBuf::from("all.cedar"), policy)], ..Source::default() };
        let authorizer = Authorizer::load(catalog.vocabulary(), &source, 1 << 20, None).unwrap();
        let spec = catalog.vocabulary().actions.iter().find(|spec| &*spec.action.name == "jobs.list").unwrap();
        let resource = Resource { entity: target.entity(), ancestors: Vec::new() };
        let intent = Intent {
            action: spec.action.clone(),
            resources: [resource].into_iter().collect(),
            fields: Vec::new(),
            scope: None,
            target: Arc::new(target),
        };
        Self { broker, desk, authorizer, intent, caller: Caller { peer: None, token: Some(Arc::new(person())) } }
    }

    fn permit(&self) -> Permit {
        let facts = RequestFacts { method: "GET", path: "/", source_ip: None, time_ms: Clock::default().now_ms() };
        self.authorizer.authorize(&self.caller, &self.intent, &facts).unwrap()
    }

    async fn grant(&self, scope: Option<&str>) -> Result<Vec<u8>, Refusal> {
        let wanted = Wanted { caller: &self.caller, token: Some("caller"), scope };
        let grant = self.broker.grant(self.permit(), &wanted).await?;
        match grant.credential() {
            Credential::Replace(value) => Ok(value.to_vec()),
            other => panic!("{other:?}"),
        }
    }
}

fn person() -> Token {
    Token {
        issuer: Name::parse("corp").unwrap(),
        kind: PrincipalKind::User,
        subject: "nina".to_owned(),
        groups: Vec::new(),
        groups_elsewhere: false,
        roles: Vec::new(),
        scopes: Vec::new(),
        client: None,
        expires_at: Clock::default().now() + 3600,
        issued_at: None,
        auth_time: None,
        acr: None,
        id: None,
        session: None,
        actors: Vec::new(),
        claims: Vec::new(),
        purpose: None,
        email: None,
        digest: [1; 32],
    }
}

/// A credential of one scope serves no call that needs another; one scope for all serves them all.
#[tokio::test]
async fn a_token_has_the_scope_of_the_call() {
    let calls = [Some("jobs"), Some("sql"), Some("jobs"), None, Some("all-apis")];
    let cases: [(Option<&str>, &[&str]); 2] = [(None, &["jobs", "sql", "all-apis"]), (Some("sql jobs"), &["sql jobs"])];
    for (configured, asked) in cases {
        let world = World::new(configured).await;
        for scope in calls {
            assert_eq!(world.grant(scope).await.unwrap(), b"Bearer token", "{scope:?}");
        }
        assert_eq!(world.desk.asked(), asked, "{configured:?}");
    }
}

#[tokio::test]
async fn a_token_without_the_scope_that_was_asked_for_is_not_sent() {
    let cases = [
        ("jobs", r#""jobs""#, Ok(())),
        ("jobs", r#""sql jobs offline_access""#, Ok(())),
        ("jobs", r#""all-apis""#, Ok(())),
        ("sql jobs", r#""jobs sql""#, Ok(())),
        ("jobs", r#""sql""#, Err("without `jobs`")),
        ("sql jobs", r#""sql""#, Err("without `jobs`")),
        ("all-apis", r#""jobs""#, Err("without `all-apis`")),
        ("jobs", r#""""#, Err("without `jobs`")),
        ("jobs", r#""jobs2""#, Err("without `jobs`")),
        ("jobs", r#"["jobs"]"#, Err("is not a text")),
    ];
    for (asked, given, want) in cases {
        let world = World::new(None).await;
        world.desk.answers(StatusCode::OK, &ISSUED.replace('}', &format!(r#", "scope": {given}}}"#)));
        let got = world.grant(Some(asked)).await;
        match (want, got) {
            (Ok(()), Ok(_)) => {}
            (Err(says), Err(refusal)) => {
                assert_eq!(refusal.reason, Reason::CredentialUnavailable, "{asked} {given}");
                assert!(refusal.whole().contains(says), "{asked} {given}: {}", refusal.whole());
            }
            (want, got) => panic!("{asked} {given}: {want:?} and {got:?}"),
        }
    }
}

/// Whoever reads the denial learns which scope it was and what to write.
#[tokio::test]
async fn a_scope_that_is_refused_is_named_with_the_mend() {
    let cases = [("jobs", ["`jobs`", "write `scope: all-apis`"]), ("all-apis", ["`all-apis`", "write the scopes that it may have"])];
    for (scope, says) in cases {
        let world = World::new(None).await;
        world.desk.answers(StatusCode::BAD_REQUEST, r#"{"error": "invalid_scope"}"#);
        let refusal = world.grant(Some(scope)).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::CredentialRefused);
        assert!(says.iter().all(|says| refusal.detail.contains(says)), "{}", refusal.detail);
    }
}
