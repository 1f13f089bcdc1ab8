//! Credentials: what it costs to find one that is at hand, and how much memory each takes.
//!
//! Through the stage's own door, compiled from a configuration as a server would, before the token endpoint of the stand-in workspace; without the wire.

#![expect(clippy::expect_used, reason = "a bench ends at the first thing that is not as it should be")]

use std::{fs, hint::black_box, io, io::Write as _, sync::Arc, time::Instant};

use futures::{FutureExt as _, StreamExt as _, stream};
use lakegate::{
    authn,
    authz::Permit,
    broker::Wanted,
    clock::Clock,
    model::{Caller, EntityRef, Environment, Intent, Name, PrincipalKind, RequestFacts, Resource, SpiffeId, Target, TargetKind, Token, TypeName},
    net,
    pipeline::Snapshot,
    reload::Compiler,
    signer::{Algorithm, generate},
};
use lakegate_testkit::workspace::Workspace;
use tempfile::TempDir;

/// Callers who have a credential each.
const CALLERS: u32 = 10_000;
/// How often one is found again.
const AGAIN: u32 = 200_000;

fn snapshot(endpoint: &str, folder: &TempDir) -> Snapshot {
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    fs::create_dir(folder.path().join("policies")).expect("a folder");
    write("policies/p.cedar", r#"@id("p") permit (principal, action, resource);"#);
    write("assertion.pem", &generate(Algorithm::Es256).expect("a key"));
    write(
        "lakegate.yaml",
        &format!(
            "version: 1
listen: {{ check: 127.0.0.1:9191 }}
peers: {{ trust_domains: [cluster.local] }}
issuers: [{{ name: corp, issuer: 'https://corp.example.com', provider: generic, audiences: [lakegate] }}]
workspaces: [{{ name: stage, hosts: [stage.cloud.databricks.com], environment: staging, credentials: {{ mode: exchange, token_endpoint: '{endpoint}' }} }}]
policy: {{ dir: policies }}
trust: {{ assertion: {{ keys: [assertion.pem] }} }}
"
        ),
    );
    let client = net::Client::new(&net::Config::default()).expect("a client");
    let compiler = Compiler::new(&folder.path().join("lakegate.yaml"), client, Clock::default()).expect("a catalog");
    compiler.compile(None).expect("a configuration without fault").snapshot
}

fn caller(number: u32) -> Caller {
    let mut token = Token {
        issuer: Name::parse("corp").expect("a name"),
        kind: PrincipalKind::User,
        subject: format!("person-{number}@example.com"),
        groups: vec!["ml-engineers".to_owned()],
        groups_elsewhere: false,
        roles: Vec::new(),
        scopes: Vec::new(),
        client: Some("notebooks".to_owned()),
        expires_at: Clock::default().now() + 3600,
        issued_at: None,
        auth_time: None,
        acr: None,
        id: None,
        session: None,
        email: None,
        actors: Vec::new(),
        claims: Vec::new(),
        purpose: None,
        digest: [0; 32],
    };
    token.digest = authn::of_facts(&token);
    let peer = SpiffeId::parse("spiffe://cluster.local/ns/ml-staging/sa/trainer").expect("an id");
    Caller { peer: Some(peer), token: Some(Arc::new(token)) }
}

/// A permit to query `ServingEndpoint::"stage/sales"`; each is for one call.
fn permit(snapshot: &Snapshot, caller: &Caller) -> Permit {
    let name = |text| Name::parse(text).expect("a name");
    let entity = |kind: &str, id: &str| EntityRef::new(&TypeName::new(kind), id);
    let vocabulary = snapshot.classifier.catalog().vocabulary();
    let spec = vocabulary.actions.iter().find(|spec| &*spec.action.name == "serving_endpoints.query").expect("the action");
    let environment = Some(Environment(name("staging")));
    let target = Target { kind: TargetKind::Workspace, name: name("stage"), workspace_id: None, account_id: None, environment };
    let ancestors = vec![entity("Workspace", "stage"), entity("Environment", "staging")];
    let resource = Resource { entity: entity("ServingEndpoint", "stage/sales"), ancestors };
    let intent = Intent {
        action: spec.action.clone(),
        resources: [resource].into_iter().collect(),
        fields: Vec::new(),
        scope: None,
        target: Arc::new(target),
    };
    let facts = RequestFacts { method: "POST", path: "/", source_ip: None, time_ms: Clock::default().now_ms() };
    snapshot.authorizer.authorize(caller, &intent, &facts).expect("a permit")
}

fn main() {
    // The workspace keeps what it was asked: on threads of its own, so that its memory is not counted.
    let theirs = tokio::runtime::Runtime::new().expect("a runtime");
    let workspace = theirs.block_on(Workspace::start()).expect("a workspace");
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = TempDir::new().expect("a folder");
    let snapshot = snapshot(&workspace.token_endpoint(), &folder);
    let callers: Vec<Caller> = (0..=CALLERS).map(caller).collect();
    let grant = async |caller: &Caller| {
        let wanted = Wanted::new(caller, None, None);
        snapshot.broker.grant(permit(&snapshot, caller), &wanted).await.map(drop).expect("a credential");
    };
    let (first, rest) = callers.split_first().expect("a caller");
    // Decisions are remembered too; only what credentials add is wanted.
    for caller in &callers {
        drop(permit(&snapshot, caller));
    }
    ours.block_on(grant(first));
    let held = allocation_counter::measure(|| {
        ours.block_on(stream::iter(rest).for_each_concurrent(32, grant));
        ours.block_on(tokio::task::yield_now());
    });
    let permits: Vec<Permit> = (0..AGAIN).map(|_| permit(&snapshot, first)).collect();
    let wanted = Wanted::new(first, None, None);
    let again = |permit: Permit| black_box(snapshot.broker.grant(permit, &wanted).now_or_never().expect("an answer at once")).map(drop);
    let one = permit(&snapshot, first);
    let counted = allocation_counter::measure(|| again(one).expect("a credential"));
    let begun = Instant::now();
    for permit in permits {
        again(permit).expect("a credential");
    }
    let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(AGAIN);
    let told = format!(
        "a credential at hand    {each:>8.2} µs   {} allocations, {} bytes\nmemory of one held      {:>8} bytes   of {CALLERS}, each with its token of 28 bytes\n",
        counted.count_total,
        counted.bytes_total,
        held.bytes_current / i64::from(CALLERS),
    );
    io::stdout().lock().write_all(told.as_bytes()).expect("a reader");
}
