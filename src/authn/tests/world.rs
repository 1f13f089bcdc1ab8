//! An issuer that can do anything: keys of every kind, tokens of every shape, a server that counts, stalls and lies.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
    },
};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    authn::{Authenticator, Config, IssuerConfig, KeySource, PeerConfig, Provider},
    clock::Clock,
    model::{ApiPath, Body, Call, Caller, Headers, Host, Name, Query, Reason, Refusal, Token},
    net,
};

pub(super) static CORP: LazyLock<Key> = LazyLock::new(|| Key::rsa("corp-1"));
pub(super) static NEXT: LazyLock<Key> = LazyLock::new(|| Key::rsa("corp-2"));
pub(super) static FOREIGN: LazyLock<Key> = LazyLock::new(|| Key::rsa("corp-1"));

/// Shared, since reading the roots of the system takes its time.
static CLIENT: LazyLock<net::Client> =
    LazyLock::new(|| net::Client::new(&net::Config { timeout: Duration::from_secs(30), max_bytes: 256 * 1024 }).unwrap());

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair and its public half as a JWK.
pub(super) struct Key {
    pub id: String,
    pub jwk: Value,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    pub(super) fn rsa(id: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let (n, e) = modulus_and_exponent(pair.public_key().as_ref());
        let jwk = json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": b64(n), "e": b64(e)});
        Self { id: id.to_owned(), jwk, pair: Pair::Rsa(pair) }
    }

    pub(super) fn p256(id: &str) -> Self {
        Self::ec(id, "P-256", EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn p384(id: &str) -> Self {
        Self::ec(id, "P-384", EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    fn ec(id: &str, curve: &str, pair: EcdsaKeyPair) -> Self {
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let jwk = json!({"kty": "EC", "kid": id, "crv": curve, "x": b64(x), "y": b64(y)});
        Self { id: id.to_owned(), jwk, pair: Pair::Ec(pair) }
    }

    pub(super) fn ed25519(id: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let jwk = json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": b64(pair.public_key().as_ref())});
        Self { id: id.to_owned(), jwk, pair: Pair::Ed(pair) }
    }

    /// The public half, with some members set or (`null`) removed.
    pub(super) fn jwk_with(&self, changes: &Value) -> Value {
        merged(&self.jwk, changes)
    }

    pub(super) fn sign(&self, algorithm: &str, signed: &str) -> String {
        let bytes = match &self.pair {
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), signed.as_bytes(), &mut bytes).unwrap();
                bytes
            }
        };
        b64(bytes)
    }
}

/// Out of the DER of an `RSAPublicKey` (RFC 8017, appendix A.1.1).
fn modulus_and_exponent(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, rest) = match der[1] {
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), &der[4..]),
            0x81 => (usize::from(der[2]), &der[3..]),
            short => (usize::from(short), &der[2..]),
        };
        rest.split_at(length)
    }
    let (sequence, _) = element(der);
    let (n, rest) = element(sequence);
    let (e, _) = element(rest);
    (n[usize::from(n[0] == 0)..].to_vec(), e.to_vec())
}

pub(super) fn merged(base: &Value, changes: &Value) -> Value {
    let mut out = base.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            out.shift_remove(name)
        } else {
            out.insert(name.clone(), value.clone())
        };
    }
    Value::Object(out)
}

/// An issuer's server: `<url>/.well-known/openid-configuration` and `<url>/certs`.
pub(super) struct Idp {
    pub url: String,
    /// Fetches of the key set.
    pub fetches: AtomicUsize,
    answer: Mutex<Answer>,
    /// Answers are held back while this is true.
    held: watch::Sender<bool>,
    /// Looks at the discovery document.
    discoveries: AtomicUsize,
    discovery: watch::Sender<Discovery>,
    /// What it says of tokens; of others that they are not active.
    told: Mutex<HashMap<String, Value>>,
    /// In place of all that.
    instead: Mutex<Option<(StatusCode, String)>>,
    /// The `authorization` header and the form of each question about a token.
    questions: Mutex<Vec<(String, String)>>,
}

/// What becomes of those who want the discovery document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discovery {
    Answers,
    Hangs,
    Fails,
}

#[derive(Clone)]
enum Answer {
    Keys(String),
    Status(StatusCode),
}

impl Idp {
    pub(super) async fn start(keys: &[&Key]) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/realms/ml", listener.local_addr().unwrap());
        let answer = Mutex::new(Answer::Keys(String::new()));
        let idp = Arc::new(Self {
            url,
            fetches: AtomicUsize::new(0),
            answer,
            held: watch::Sender::new(false),
            discoveries: AtomicUsize::new(0),
            discovery: watch::Sender::new(Discovery::Answers),
            told: Mutex::default(),
            instead: Mutex::default(),
            questions: Mutex::default(),
        });
        idp.publish(keys);
        let router = Router::new().fallback(respond).with_state(Arc::clone(&idp));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        idp
    }

    pub(super) fn publish(&self, keys: &[&Key]) {
        self.publish_jwks(&json!({"keys": keys.iter().map(|key| key.jwk.clone()).collect::<Vec<_>>()}));
    }

    pub(super) fn publish_jwks(&self, set: &Value) {
        *self.answer.lock().unwrap() = Answer::Keys(set.to_string());
    }

    pub(super) fn fail(&self) {
        *self.answer.lock().unwrap() = Answer::Status(StatusCode::INTERNAL_SERVER_ERROR);
    }

    pub(super) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    pub(super) fn discovery(&self, discovery: Discovery) {
        self.discovery.send_replace(discovery);
    }

    pub(super) fn discoveries(&self) -> usize {
        self.discoveries.load(Ordering::SeqCst)
    }

    /// Says this of `token` from now on, beside `active: true`.
    pub(super) fn tell(&self, token: &str, claims: &Value) {
        self.told.lock().unwrap().insert(token.to_owned(), merged(&json!({"active": true}), claims));
    }

    pub(super) fn end(&self, token: &str) {
        self.told.lock().unwrap().remove(token);
    }

    /// Says this in place of any answer about a token; `None` ends it.
    pub(super) fn say(&self, instead: Option<(u16, &str)>) {
        *self.instead.lock().unwrap() = instead.map(|(status, body)| (StatusCode::from_u16(status).unwrap(), body.to_owned()));
    }

    pub(super) fn questions(&self) -> Vec<(String, String)> {
        self.questions.lock().unwrap().clone()
    }

    pub(super) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Waits until it was asked `count` times for keys.
    pub(super) async fn asked(&self, count: usize) {
        eventually(|| self.fetches() >= count).await;
    }
}

async fn respond(State(idp): State<Arc<Idp>>, uri: Uri, headers: HeaderMap, body: String) -> (StatusCode, String) {
    if uri.path() == "/realms/ml/.well-known/openid-configuration" {
        idp.discoveries.fetch_add(1, Ordering::SeqCst);
        let mut discovery = idp.discovery.subscribe();
        if discovery.wait_for(|discovery| *discovery != Discovery::Hangs).await.is_ok_and(|discovery| *discovery == Discovery::Fails) {
            return (StatusCode::BAD_GATEWAY, String::new());
        }
        let (keys, introspect) = (format!("{}/certs", idp.url), format!("{}/introspect", idp.url));
        return (StatusCode::OK, json!({"issuer": idp.url, "jwks_uri": keys, "introspection_endpoint": introspect}).to_string());
    }
    if uri.path() == "/realms/ml/introspect" {
        let authorization = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
        let token = form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "token").unwrap().1.into_owned();
        idp.questions.lock().unwrap().push((authorization, body));
        let _ = idp.held.subscribe().wait_for(|held| !held).await;
        let told = idp.told.lock().unwrap().get(&token).cloned().unwrap_or_else(|| json!({"active": false}));
        return idp.instead.lock().unwrap().clone().unwrap_or((StatusCode::OK, told.to_string()));
    }
    idp.fetches.fetch_add(1, Ordering::SeqCst);
    let _ = idp.held.subscribe().wait_for(|held| !held).await;
    let answer = idp.answer.lock().unwrap().clone();
    match answer {
        Answer::Keys(text) => (StatusCode::OK, text),
        Answer::Status(status) => (status, String::new()),
    }
}

/// A key file, gone when dropped.
pub(super) struct KeyFile(pub PathBuf);

impl KeyFile {
    pub(super) fn new(set: &Value) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("lakegate-authn-{}-{}.json", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let file = Self(std::env::temp_dir().join(name));
        file.write(set);
        file
    }

    pub(super) fn write(&self, set: &Value) {
        std::fs::write(&self.0, set.to_string()).unwrap();
    }

    /// The issuer `corp`, whose keys these are.
    pub(super) fn issuer(&self, provider: Provider) -> IssuerConfig {
        IssuerConfig { keys: KeySource::File(self.0.clone()), ..issuer("corp", "https://idp.example", provider) }
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Longer than anything that is waited for takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `condition` holds.
#[track_caller]
pub(super) fn eventually(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let (place, deadline) = (std::panic::Location::caller(), tokio::time::Instant::now() + PATIENCE);
    async move {
        while !condition() {
            assert!(tokio::time::Instant::now() < deadline, "what {place} waits for does not come");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A token in the making: an honest one until it is changed.
#[derive(Clone)]
pub(super) struct Forge<'k> {
    pub header: Value,
    pub claims: Value,
    key: &'k Key,
}

impl<'k> Forge<'k> {
    pub(super) fn new(issuer: &str, key: &'k Key) -> Self {
        let now = Clock::default().now();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": key.id});
        let claims = json!({"iss": issuer, "aud": "lakegate", "sub": "alice", "iat": now - 5, "nbf": now - 5, "exp": now + 600, "auth_time": now - 60,
            "azp": "notebooks", "jti": "j1", "sid": "s1", "acr": "1", "groups": ["ml-engineers"], "scope": "openid profile"});
        Self { header, claims, key }
    }

    /// Sets claims, or removes those that are `null`.
    pub(super) fn claims(mut self, changes: &Value) -> Self {
        self.claims = merged(&self.claims, changes);
        self
    }

    pub(super) fn header(mut self, changes: &Value) -> Self {
        self.header = merged(&self.header, changes);
        self
    }

    pub(super) fn signed(&self) -> String {
        format!("{}.{}", b64(self.header.to_string()), b64(self.claims.to_string()))
    }

    pub(super) fn token(&self) -> String {
        self.token_of(&self.signed())
    }

    /// A token of these two parts, properly signed whatever they are.
    pub(super) fn token_of(&self, signed: &str) -> String {
        format!("{signed}.{}", self.key.sign(self.header["alg"].as_str().unwrap_or("RS256"), signed))
    }
}

pub(super) fn issuer(name: &str, url: &str, provider: Provider) -> IssuerConfig {
    let mut config = IssuerConfig::new(Name::parse(name).unwrap(), url, provider);
    config.audiences = vec!["lakegate".to_owned()];
    config.actors = ["agent", "planner"].map(str::to_owned).to_vec();
    config
}

pub(super) fn config(issuers: Vec<IssuerConfig>) -> Config {
    let peers = PeerConfig::new(vec!["cluster.local".to_owned()]);
    Config { peers, issuers, personal_hosts: HashSet::new(), token_limit: 16 * 1024, cache_bytes: 1 << 20, state_dir: None }
}

pub(super) fn client() -> net::Client {
    CLIENT.clone()
}

pub(super) fn authenticator(issuers: Vec<IssuerConfig>, clock: &Clock) -> Authenticator {
    Authenticator::new(config(issuers), client(), clock.clone(), None).unwrap()
}

/// The issuer `corp` with one key, and a stage that trusts it.
pub(super) async fn corp() -> (Arc<Idp>, Authenticator, Clock) {
    let idp = Idp::start(&[&CORP]).await;
    let clock = Clock::default();
    let authn = authenticator(vec![issuer("corp", &idp.url, Provider::Generic)], &clock);
    (idp, authn, clock)
}

pub(super) const PEER: &[u8] = b"spiffe://cluster.local/ns/ml-staging/sa/trainer";

/// What an issuer says of alice's token.
pub(super) fn alice(clock: &Clock) -> Value {
    json!({"aud": "lakegate", "sub": "alice", "exp": clock.now() + 600, "iat": clock.now() - 5, "client_id": "notebooks", "username": "somebody",
        "groups": ["ml-engineers"], "scope": "openid profile", "token_type": "Bearer"})
}

pub(super) fn call<'r>(principal: &'r [u8], authorization: Option<&'r str>) -> Call<'r> {
    Call {
        method: "GET",
        host: Host("stage.cloud.databricks.com".into()),
        path: ApiPath { raw: "/", segments: smallvec::SmallVec::default() },
        query: Query::default(),
        headers: Headers { authorization, ..Headers::default() },
        body: Body::Absent,
        upgrade: None,
        principal,
        certificate: b"",
        proxy: None,
        source_ip: None,
    }
}

pub(super) async fn ask(authn: &Authenticator, token: &str) -> Result<Arc<Token>, Refusal> {
    let header = format!("Bearer {token}");
    let caller: Result<Caller, Refusal> = authn.authenticate(&call(PEER, Some(&header))).await;
    caller.map(|caller| caller.token.unwrap())
}

/// What the refusal was for; a message must not show the token.
pub(super) fn reason<T: Debug>(result: Result<T, Refusal>, what: &str) -> Reason {
    let refusal = result.expect_err(what);
    assert!(refusal.detail.len() < 400 && refusal.detail.is_ascii() || refusal.detail.contains('…'), "{what}: {}", refusal.detail);
    assert!(!refusal.detail.contains("eyJ"), "{what}: {}", refusal.detail);
    assert!(!refusal.detail.ends_with('.'), "{what}: {}", refusal.detail);
    refusal.reason
}
