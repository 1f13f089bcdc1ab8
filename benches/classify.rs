//! What a call is: from method and path to its entry, over catalogs of every size, and one field out of a long body.

#![expect(clippy::expect_used, reason = "a bench ends at the first thing that is not as it should be")]

use std::{borrow::Cow, fmt::Write as _, hint::black_box, path::PathBuf, sync::Arc};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lakegate::{
    classify::{Catalog, CatalogFile, Classifier, TargetConfig},
    model::{ApiPath, Body, Call, Environment, Headers, Host, MediaType, Name, Query, Segment, Target, TargetKind},
};

use serde::de::IgnoredAny;

const HOST: &str = "dbc-1a2b3c4d-5e6f.cloud.databricks.com";
const MIB: usize = 1 << 20;

fn classifier(catalog: Catalog) -> Classifier {
    let name = |text: &str| Name::parse(text).expect("a name");
    let environment = Some(Environment(name("prod")));
    let target = Target { kind: TargetKind::Workspace, name: name("prod"), workspace_id: None, account_id: None, environment };
    let target = TargetConfig { target: Arc::new(target), api: CatalogFile::WORKSPACE.into(), hosts: vec![HOST.to_owned()] };
    Classifier::new(Arc::new(catalog), vec![target]).expect("one target")
}

/// `entries` calls in families of ten, as the API is made.
fn generated(entries: usize) -> Catalog {
    let mut text = String::from("types: [{ name: Job, form: decimal }]\ncalls:\n");
    for entry in 0..entries {
        let (family, call) = (entry / 10, entry % 10);
        writeln!(
            text,
            "  - {{ action: family{family}.call{call}, level: read, method: GET, path: \"/api/2.0/family{family}/{{id}}/call{call}\", resource: {{ type: Job, id: id }} }}"
        )
        .expect("a text");
    }
    Catalog::load(&[CatalogFile::new(PathBuf::from("generated.yaml"), text, CatalogFile::WORKSPACE)]).expect("a catalog without fault")
}

fn call<'r>(method: &'r str, raw: &'r str, body: Body<'r>) -> Call<'r> {
    let segment = |text| Segment { text: Cow::Borrowed(text), slashed: false };
    Call {
        method,
        host: Host(Cow::Borrowed(HOST)),
        path: ApiPath { raw, segments: raw.split('/').skip(1).map(segment).collect() },
        query: Query::default(),
        headers: Headers::default(),
        body,
        upgrade: None,
        principal: b"",
        certificate: b"",
        proxy: None,
        source_ip: None,
    }
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match");
    for entries in [100, 1_000, 10_000] {
        let classifier = classifier(generated(entries));
        let path = format!("/api/2.0/family{}/42/call7", entries / 10 - 1);
        let call = call("GET", &path, Body::Absent);
        assert!(classifier.entry(&call).is_some(), "{path}");
        group.bench_with_input(BenchmarkId::new("generated", entries), &call, |bencher, call| bencher.iter(|| black_box(classifier.entry(call))));
    }
    let classifier = classifier(Catalog::embedded().expect("the shipped catalog"));
    for path in [
        "/api/2.2/jobs/list",
        "/api/2.0/serving-endpoints/sales",
        "/api/2.0/postgres/projects/p/branches/b/endpoints/e",
        "/api/2.0/accounts/no/such/call",
    ] {
        let call = call("GET", path, Body::Absent);
        group.bench_with_input(BenchmarkId::new("shipped", path), &call, |bencher, call| bencher.iter(|| black_box(classifier.entry(call))));
    }
    group.finish();
}

/// One field out of a body of 1 MiB, of three shapes: what is not wanted is checked all the same, and never kept.
fn bodies(criterion: &mut Criterion) {
    let classifier = classifier(Catalog::embedded().expect("the shipped catalog"));
    let long_text = format!("{{\"notebook_params\":{{\"text\":\"{}\"}},\"job_id\":42}}", "lorem ipsum ".repeat(MIB / 12));
    let tasks =
        (0..).map(|task| format!("{{\"key\":\"task-{task}\",\"retries\":{task},\"on\":true,\"command\":\"{}\"}}", "python train.py ".repeat(4)));
    let tasks: Vec<String> = tasks
        .scan(0, |length, task| {
            *length += task.len() + 1;
            (*length < MIB).then_some(task)
        })
        .collect();
    let objects = format!("{{\"job_parameters\":{{\"tasks\":[{}]}},\"job_id\":42}}", tasks.join(","));
    let numbers = format!("{{\"python_params\":[{}1],\"job_id\":42}}", "12345.67812345678,".repeat(MIB / 18));
    let mut group = criterion.benchmark_group("body");
    for (name, text) in [("one long text", &long_text), ("many small objects", &objects), ("numbers", &numbers)] {
        let call = call("POST", "/api/2.2/jobs/run-now", Body::Whole { bytes: text.as_bytes(), media: MediaType::Json });
        assert!(classifier.classify(&call).is_ok(), "{name}: {:?}", classifier.classify(&call).err());
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("1 MiB", name), &call, |bencher, call| bencher.iter(|| black_box(classifier.classify(call))));
        group.bench_with_input(BenchmarkId::new("baseline: serde_json throws all away", name), text, |bencher, text| {
            bencher.iter(|| black_box(serde_json::from_slice::<IgnoredAny>(text.as_bytes())));
        });
    }
    group.finish();
}

/// What costs most: a job of as many tasks as Databricks takes, each of which may hold every key of the entry; and of many more.
fn tasks(criterion: &mut Criterion) {
    let classifier = classifier(Catalog::embedded().expect("the shipped catalog"));
    let mut group = criterion.benchmark_group("tasks");
    for count in [10, 1_000, 10_000] {
        let one = "{\"task_key\":\"a\",\"for_each_task\":{\"task\":{\"new_cluster\":{}}},\"new_cluster\":{}}";
        let text = format!("{{\"tasks\":[{}]}}", vec![one; count].join(","));
        let call = call("POST", "/api/2.2/jobs/create", Body::Whole { bytes: text.as_bytes(), media: MediaType::Json });
        assert!(classifier.classify(&call).is_ok(), "{count}: {:?}", classifier.classify(&call).err());
        group.bench_with_input(BenchmarkId::new("jobs.create", count), &call, |bencher, call| bencher.iter(|| black_box(classifier.classify(call))));
    }
    group.finish();
}

criterion_group!(benches, matching, bodies, tasks);
criterion_main!(benches);
