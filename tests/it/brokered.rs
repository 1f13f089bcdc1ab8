//! A broker for one workspace, with a token endpoint that keeps what it is asked and answers as it is told.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use lakegate::{
    authz::{Authorizer, Source},
    broker::{Broker, Config, Credential, Exchange, Identity, Manner, Mode, PrincipalRule, Subject, Wanted},
    classify::Catalog,
    clock::Clock,
    model::{Caller, Environment, Intent, Name, PrincipalKind, Refusal, RequestFacts, Resource, Secret, Target, TargetKind, Token},
    net::{self, Client, Endpoint},
    signer::{Algorithm, KeySet, TokenIssuer, generate},
};

/// A token endpoint.
#[derive(Clone)]
pub(crate) struct TokenEndpoint {
    asked: Arc<Mutex<Vec<Form>>>,
    answer: Arc<Mutex<(StatusCode, String)>>,
}

/// What it was sent.
pub(crate) struct Form(BTreeMap<String, String>);

/// The broker, and what it needs to be asked.
pub(crate) struct Brokered {
    pub(crate) broker: Broker,
    pub(crate) endpoint: TokenEndpoint,
    authorizer: Authorizer,
    intent: Intent,
    caller: Caller,
}

/// The modes that a workspace can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Passthrough,
    Strip,
    Caller,
    Assertion,
    ServicePrincipal,
    Client,
}

pub(crate) const ISSUED: &str = r#"{"access_token": "token", "token_type": "Bearer", "expires_in": 3600}"#;

/// Whom a workspace with `How::ServicePrincipal` has for everyone.
pub(crate) const ROBOT: &str = "00000000-0000-4000-8000-000000000001";

pub(crate) const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;

// === impl TokenEndpoint ===

impl TokenEndpoint {
    async fn start() -> (Self, Endpoint) {
        let endpoint = Self { asked: Arc::default(), answer: Arc::new(Mutex::new((StatusCode::OK, ISSUED.to_owned()))) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Endpoint::parse(&format!("http://{}/oidc/v1/token", listener.local_addr().unwrap())).unwrap();
        let token = |State(endpoint): State<Self>, body: String| async move { endpoint.token(&body) };
        let router = Router::new().route("/oidc/v1/token", post(token)).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (endpoint, url)
    }

    fn token(&self, body: &str) -> (StatusCode, String) {
        let form = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        self.asked.lock().unwrap().push(Form(form));
        self.answer.lock().unwrap().clone()
    }

    /// What it was sent since it was asked last.
    pub(crate) fn asked(&self) -> Vec<Form> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    pub(crate) fn answers(&self, status: StatusCode, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }
}

// === impl Form ===

impl Form {
    /// Empty where it was not sent.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// The `sub` of the assertion that is exchanged.
    pub(crate) fn subject(&self) -> String {
        self.claims()["sub"].as_str().unwrap().to_owned()
    }

    /// Those of the assertion that is exchanged.
    pub(crate) fn claims(&self) -> serde_json::Value {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let claims = URL_SAFE_NO_PAD.decode(self.get("subject_token").split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice(&claims).unwrap()
    }
}

// === impl Brokered ===

impl Brokered {
    /// `scope` as the configuration says it, `None` for the narrowest.
    pub(crate) async fn new(how: How, scope: Option<&str>, policies: &str) -> Self {
        let (endpoint, url) = TokenEndpoint::start().await;
        let name = |text| Name::parse(text).unwrap();
        let exchange = |subject| {
            let (scope, endpoint) = (scope.map(str::to_owned), url.clone());
            Mode::Exchange(Arc::new(Exchange { endpoint, subject, scope, window_s: 3600, issuers: None, audiences: Vec::new() }))
        };
        let (issuer, audience) = (issuer(), "account".to_owned());
        let mode = match how {
            How::Passthrough => Mode::Passthrough,
            How::Strip => Mode::Strip,
            How::Caller => exchange(Subject::Caller),
            How::Assertion => exchange(Subject::Assertion { issuer, audience, identity: Identity::Subject }),
            How::ServicePrincipal => {
                let rules = vec![PrincipalRule { client_id: ROBOT.to_owned(), role: None, peer: None }];
                exchange(Subject::ServicePrincipal { issuer, audience, rules })
            }
            How::Client => exchange(Subject::Client { client_id: ROBOT.to_owned(), authorization: net::basic(ROBOT, &Secret::new("secret")) }),
        };
        let config = Config { modes: [((TargetKind::Workspace, name("stage")), mode)].into(), cache_bytes: 1 << 20 };
        let broker = Broker::new(config, Client::new(&net::Config::default()).unwrap(), Clock::default(), None);
        let environment = Some(Environment(name("staging")));
        let target = Target { kind: TargetKind::Workspace, name: name("stage"), workspace_id: None, account_id: None, environment };
        let catalog = Catalog::embedded().unwrap();
        let source = Source { files: vec![(PathBuf::from("all.cedar"), policies.to_owned())], ..Source::default() };
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
        Self { broker, endpoint, authorizer, intent, caller: Caller { peer: None, token: Some(Arc::new(person())) } }
    }

    /// What goes on of a call that needs `scope`: the credential, empty where the caller's is removed.
    pub(crate) async fn sent(&self, scope: Option<&str>) -> Result<String, Refusal> {
        self.sent_by("GET", scope).await
    }

    /// The same of a call with another method.
    pub(crate) async fn sent_by(&self, method: &str, scope: Option<&str>) -> Result<String, Refusal> {
        let facts = RequestFacts { method, path: "/", source_ip: None, time_ms: Clock::default().now_ms() };
        let permit = self.authorizer.authorize(&self.caller, &self.intent, &facts)?;
        let wanted = Wanted::new(&self.caller, Some("caller"), scope);
        let rehearsed = self.broker.rehearse(&permit, &wanted, &mut None);
        let granted = self.broker.grant(permit, &wanted, &mut None).await;
        assert!(rehearsed.is_ok() || granted.is_err(), "what is refused in shadow mode is refused");
        Ok(match granted?.credential() {
            Credential::Passthrough => "caller".to_owned(),
            Credential::Strip => String::new(),
            Credential::Replace(value) => String::from_utf8(value.to_vec()).unwrap(),
        })
    }

    /// What is told of a call with `token` that needs `scope`, while it goes the same way.
    pub(crate) async fn told(&self, token: Option<&str>, scope: Option<&str>) -> Told {
        let facts = RequestFacts { method: "GET", path: "/", source_ip: None, time_ms: Clock::default().now_ms() };
        let permit = self.authorizer.authorize(&self.caller, &self.intent, &facts).unwrap();
        let wanted = Wanted::new(&self.caller, token, scope);
        let [mut rehearsed, mut foretold, mut granted] = [None, None, None];
        let ordered = self.authorizer.explain(&self.caller, &self.intent, &facts).ordered;
        Told {
            foretold: (self.broker.foretell(permit.target(), ordered.as_ref(), &wanted, &mut foretold), foretold),
            rehearsed: (self.broker.rehearse(&permit, &wanted, &mut rehearsed), rehearsed),
            granted: (self.broker.grant(permit, &wanted, &mut granted).await.map(drop), granted),
        }
    }
}

/// What is told of one call and its credential: beforehand, and once it is asked for.
pub(crate) struct Told {
    pub(crate) rehearsed: (Result<(), Refusal>, Option<Manner>),
    pub(crate) foretold: (Result<(), Refusal>, Option<Manner>),
    pub(crate) granted: (Result<(), Refusal>, Option<Manner>),
}

/// lakegate as an issuer, with a key of its own.
fn issuer() -> Arc<TokenIssuer> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), generate(Algorithm::Es256).unwrap()).unwrap();
    Arc::new(TokenIssuer::new("lakegate".to_owned(), KeySet::read(&[file.path().to_owned()]).unwrap()))
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
