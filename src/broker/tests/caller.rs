//! Callers, and a broker's desk before a token endpoint.

use std::sync::Arc;

use super::endpoint::{AUDIENCE, ISSUER, TokenEndpoint};
use crate::{
    authn,
    broker::{
        EndpointStatus, Exchange, Identity, PrincipalRule, Subject, Wanted,
        desk::{Desk, Sought},
        subject::{self, Whom},
    },
    clock::Clock,
    model::{Caller, Name, PrincipalKind, Refusal, Secret, SpiffeId, SpiffePattern, Target, TargetKind, Token},
    net::{self, Client, Endpoint},
    signer::{Algorithm, KeySet, TokenIssuer, generate},
};

pub(super) const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
pub(super) const BY_ROLE: &str = "aaaaaaaa-2222-4333-8444-555555555555";
pub(super) const BY_PEER: &str = "bbbbbbbb-2222-4333-8444-555555555555";

pub(super) struct World {
    pub endpoint: TokenEndpoint,
    pub clock: Clock,
    pub keys: KeySet,
    pub exchange: Arc<Exchange>,
    pub target: Arc<Target>,
    pub desk: Arc<Desk>,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Exchange)) -> Self {
        let (clock, keys) = (Clock::default(), keys());
        let endpoint = TokenEndpoint::start(&clock, Some(&keys)).await;
        Self::around(endpoint, clock, keys, change)
    }

    /// With an endpoint that believes whatever is sent.
    pub(super) async fn unverified(change: impl FnOnce(&mut Exchange)) -> Self {
        let clock = Clock::default();
        let endpoint = TokenEndpoint::start(&clock, None).await;
        Self::around(endpoint, clock, keys(), change)
    }

    fn around(endpoint: TokenEndpoint, clock: Clock, keys: KeySet, change: impl FnOnce(&mut Exchange)) -> Self {
        let mut exchange = exchange(&endpoint.url(), &keys);
        change(&mut exchange);
        let client = Client::new(&net::Config::default()).unwrap();
        let desk = Arc::new(Desk::new(client, clock.clone(), 1 << 20));
        let name = Name::parse("prod").unwrap();
        let target = Target { kind: TargetKind::Workspace, name, workspace_id: Some("1234".into()), account_id: None, environment: None };
        Self { endpoint, clock, keys, exchange: Arc::new(exchange), target: Arc::new(target), desk }
    }

    pub(super) fn status(&self) -> EndpointStatus {
        self.desk.status(&self.target.name, &self.exchange)
    }

    /// The value of `authorization` that a call of `caller` goes on with.
    pub(super) async fn authorization(&self, caller: &Caller) -> Result<Vec<u8>, Refusal> {
        self.grant(caller, Some("t")).await
    }

    pub(super) async fn grant(&self, caller: &Caller, token: Option<&str>) -> Result<Vec<u8>, Refusal> {
        self.wanted(&wanted(caller, token)).await
    }

    /// Of a caller whom Databricks knows so by the operator's word.
    pub(super) async fn grant_known(&self, caller: &Caller, known_as: Option<&Arc<str>>) -> Result<Vec<u8>, Refusal> {
        self.wanted(&wanted(caller, Some("t")).known_as(known_as)).await
    }

    /// The same of a call whose permit ends then, in seconds since the epoch.
    pub(super) async fn permitted(&self, caller: &Caller, until: i64) -> Result<Vec<u8>, Refusal> {
        self.wanted(&Wanted { permitted_until: Some(until), ..wanted(caller, Some("t")) }).await
    }

    async fn wanted(&self, wanted: &Wanted<'_>) -> Result<Vec<u8>, Refusal> {
        let sought = sought(&self.exchange, &self.target, wanted)?;
        let minted = match self.desk.at_hand(&sought) {
            Some(minted) => minted,
            None => self.desk.fetch(&sought).await?,
        };
        Ok(minted.value().to_vec())
    }
}

pub(super) fn wanted<'w>(caller: &'w Caller, token: Option<&'w str>) -> Wanted<'w> {
    Wanted::new(caller, token, None)
}

/// What the stage asks the desk for.
pub(super) fn sought<'w>(exchange: &'w Arc<Exchange>, target: &'w Arc<Target>, wanted: &'w Wanted<'w>) -> Result<Sought<'w>, Refusal> {
    Ok(Sought { exchange, target, wanted, whom: Whom::of(exchange, wanted)?, key: key(exchange, wanted)? })
}

/// What the credential is kept under.
pub(super) fn key(exchange: &Exchange, wanted: &Wanted<'_>) -> Result<[u8; 32], Refusal> {
    Ok(subject::key(exchange, wanted, Whom::of(exchange, wanted)?))
}

pub(super) fn keys() -> KeySet {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("assertion.pem");
    std::fs::write(&file, generate(Algorithm::Es256).unwrap()).unwrap();
    KeySet::read(&[file]).unwrap()
}

pub(super) fn exchange(endpoint: &Endpoint, keys: &KeySet) -> Exchange {
    let issuer = Arc::new(TokenIssuer::new(ISSUER.to_owned(), keys.clone()));
    Exchange {
        endpoint: endpoint.clone(),
        subject: Subject::Assertion { issuer, audience: AUDIENCE.to_owned(), identity: Identity::Subject },
        scope: Some("all-apis".to_owned()),
        window_s: 3600,
        issuers: None,
        audiences: vec!["1234".to_owned()],
    }
}

/// As the principal of a secret.
pub(super) fn by_secret(exchange: &mut Exchange) {
    let authorization = net::basic(BY_ROLE, &Secret::new("s3cret"));
    exchange.subject = Subject::Client { client_id: BY_ROLE.to_owned(), authorization };
}

/// The first by role, the second by workload.
pub(super) fn rules() -> Vec<PrincipalRule> {
    let peer = SpiffePattern::parse("spiffe://cluster.local/ns/ml/sa/*").unwrap();
    vec![
        PrincipalRule { client_id: BY_ROLE.to_owned(), role: Some((Name::parse("corp").unwrap(), "trainers".to_owned())), peer: None },
        PrincipalRule { client_id: BY_PEER.to_owned(), role: None, peer: Some(peer) },
    ]
}

/// A person with a token that has so many seconds left.
pub(super) fn caller(subject: &str, left: i64) -> Caller {
    let token = Token {
        issuer: Name::parse("corp").unwrap(),
        kind: PrincipalKind::User,
        subject: subject.to_owned(),
        groups: Vec::new(),
        groups_elsewhere: false,
        roles: Vec::new(),
        scopes: Vec::new(),
        client: Some(CLIENT.to_owned()),
        expires_at: Clock::default().now() + left,
        issued_at: None,
        auth_time: None,
        acr: None,
        id: Some("j1".to_owned()),
        session: Some("s1".to_owned()),
        email: None,
        actors: Vec::new(),
        claims: Vec::new(),
        purpose: None,
        digest: [0; 32],
    };
    let caller = Caller { peer: SpiffeId::parse("spiffe://cluster.local/ns/ml-staging/sa/trainer").ok(), token: Some(Arc::new(token)) };
    changed(caller, |_| {})
}

pub(super) fn program(subject: &str) -> Caller {
    changed(caller(subject, 3600), |token| token.kind = PrincipalKind::ServicePrincipal)
}

pub(super) fn with_role(role: &str) -> Caller {
    let role = role.to_owned();
    changed(caller("alice", 3600), |token| token.roles = vec![role])
}

pub(super) fn changed(caller: Caller, change: impl FnOnce(&mut Token)) -> Caller {
    let mut token = Token::clone(caller.token.as_ref().unwrap());
    change(&mut token);
    token.digest = authn::of_facts(&token);
    Caller { token: Some(Arc::new(token)), ..caller }
}
