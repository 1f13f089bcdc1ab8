//! Policies: what a decision costs among few and among many of them, and what it costs to load them.

#![expect(clippy::expect_used, reason = "a bench ends at the first thing that is not as it should be")]

use std::{fmt::Write as _, hint::black_box, sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lakegate::{
    authz::{Authorizer, Source},
    classify::Catalog,
    model::{
        Caller, EntityRef, Environment, Intent, Name, PrincipalKind, RequestFacts, Resource, SpiffeId, Target, TargetKind, Token, TypeName,
        Vocabulary,
    },
};

const NOW_MS: i64 = 1_767_225_600_000;

/// The three that apply to what alice asks, whatever else there is.
const APPLYING: &str = r#"
@id("query") permit (principal in Group::"corp/ml-engineers", action == Action::"serving_endpoints.query", resource in Environment::"staging");
@id("sales") permit (principal == User::"corp/alice", action in Action::"use", resource == ServingEndpoint::"stage/sales");
@id("inside") @reason("from the mesh alone") forbid (principal, action in Action::"use", resource in Workspace::"stage")
unless { context.peer in Namespace::"cluster.local/ml-staging" };
"#;

/// `count` policies of teams, of which none applies to what alice asks, beside the three that do.
fn policies(count: usize) -> String {
    let mut text = APPLYING.to_owned();
    for i in 3..count {
        let policy = match i % 10 {
            0..4 => format!(
                r#"@id("p{i}") permit (principal in Group::"corp/team{i}", action == Action::"serving_endpoints.query", resource == ServingEndpoint::"stage/e{i}");"#
            ),
            4..6 => {
                format!(
                    r#"@id("p{i}") permit (principal in Group::"corp/team{i}", action in Action::"read", resource in Schema::"stage/main.s{i}");"#
                )
            }
            6..8 => format!(
                r#"@id("p{i}") permit (principal == User::"corp/u{i}", action in [Action::"jobs.get", Action::"jobs.run_now"], resource == Job::"stage/{i}")
when {{ context has token && context.token has acr && context.token.acr == "mfa" }};"#
            ),
            8 => format!(
                r#"@id("p{i}") permit (principal in Group::"corp/team{i}", action in Action::"use", resource in Workspace::"w{}")
when {{ context.peer in Namespace::"cluster.local/ns{i}" }};"#,
                i % 100
            ),
            _ => format!(
                r#"@id("p{i}") forbid (principal, action in Action::"credentials", resource in Schema::"stage/pii.s{i}")
unless {{ principal in Group::"corp/stewards{i}" }};"#
            ),
        };
        writeln!(text, "{policy}").expect("a text");
    }
    text
}

fn source(count: usize) -> Source {
    Source { files: vec![("bench.cedar".into(), policies(count))], ..Source::default() }
}

fn load(vocabulary: &Vocabulary, count: usize, previous: Option<&Authorizer>) -> Authorizer {
    Authorizer::load(vocabulary, &source(count), 1 << 20, previous).expect("policies without fault")
}

/// Alice, whom nobody has asked about before: no decision about her is in the cache.
fn alice(asked: u64) -> Caller {
    let mut digest = [0; 32];
    digest.iter_mut().zip(asked.to_le_bytes()).for_each(|(byte, value)| *byte = value);
    let token = Token {
        issuer: Name::parse("corp").expect("a name"),
        kind: PrincipalKind::User,
        subject: "alice".to_owned(),
        groups: vec!["ml-engineers".to_owned()],
        groups_elsewhere: false,
        roles: Vec::new(),
        scopes: Vec::new(),
        client: None,
        expires_at: NOW_MS / 1000 + 3600,
        issued_at: None,
        auth_time: None,
        acr: None,
        id: None,
        session: None,
        actors: Vec::new(),
        claims: Vec::new(),
        purpose: None,
        email: None,
        digest,
    };
    let peer = SpiffeId::parse("spiffe://cluster.local/ns/ml-staging/sa/trainer").expect("an id");
    Caller { peer: Some(peer), token: Some(Arc::new(token)) }
}

/// A query of `ServingEndpoint::"stage/sales"`.
fn intent(vocabulary: &Vocabulary) -> Intent {
    let name = |text| Name::parse(text).expect("a name");
    let entity = |kind: &str, id: &str| EntityRef::new(&TypeName::new(kind), id);
    let spec = vocabulary.actions.iter().find(|spec| &*spec.action.name == "serving_endpoints.query").expect("the action");
    let environment = Some(Environment(name("staging")));
    let target = Target { kind: TargetKind::Workspace, name: name("stage"), workspace_id: None, account_id: None, environment };
    let ancestors = vec![entity("Workspace", "stage"), entity("Environment", "staging")];
    let resource = Resource { entity: entity("ServingEndpoint", "stage/sales"), ancestors };
    Intent { action: spec.action.clone(), resources: [resource].into_iter().collect(), fields: Vec::new(), scope: None, target: Arc::new(target) }
}

/// The same three apply among all.
fn deciding(criterion: &mut Criterion) {
    let catalog = Catalog::embedded().expect("the shipped catalog");
    let vocabulary = catalog.vocabulary();
    let (intent, facts) = (intent(vocabulary), RequestFacts { method: "POST", path: "/", source_ip: None, time_ms: NOW_MS });
    let mut group = criterion.benchmark_group("decide");
    let mut previous = None;
    for count in [10, 1_000, 10_000, 100_000] {
        let authorizer = load(vocabulary, count, previous.as_ref());
        authorizer.serve_from(NOW_MS);
        assert_eq!(authorizer.authorize(&alice(0), &intent, &facts).expect("a permit").policies(), ["query", "sales"]);
        let mut asked = 0;
        group.bench_function(BenchmarkId::new("uncached", count), |bencher| {
            bencher.iter(|| {
                asked += 1;
                black_box(authorizer.authorize(&alice(asked), &intent, &facts))
            });
        });
        let known = alice(0);
        group.bench_function(BenchmarkId::new("cached", count), |bencher| bencher.iter(|| black_box(authorizer.authorize(&known, &intent, &facts))));
        previous = Some(authorizer);
    }
    group.finish();
}

/// With full validation; the schema is there, since it is read once a process.
fn loading(criterion: &mut Criterion) {
    let catalog = Catalog::embedded().expect("the shipped catalog");
    let vocabulary = catalog.vocabulary();
    let rules = load(vocabulary, 3, None);
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for count in [1_000, 10_000, 100_000] {
        let source = source(count);
        group.throughput(Throughput::Elements(count as u64));
        let again = |previous: &Authorizer| Authorizer::load(vocabulary, &source, 1 << 20, Some(previous)).expect("policies without fault");
        group.bench_function(BenchmarkId::new("new", count), |bencher| bencher.iter(|| black_box(again(&rules))));
        let same = again(&rules);
        group.bench_function(BenchmarkId::new("unchanged", count), |bencher| bencher.iter(|| black_box(again(&same))));
    }
    group.finish();
}

criterion_group!(benches, deciding, loading);
criterion_main!(benches);
