//! Requests and policies write ids alike: what a call is found to act on, a policy may name.

use std::{borrow::Cow, collections::BTreeSet, fmt::Write as _, path::PathBuf, sync::Arc};

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::world::target;
use crate::{
    authz::canonical,
    classify::{Catalog, CatalogFile, Classifier, TargetConfig},
    model::{ApiPath, Body, Call, Headers, Host, IdForm, MediaType, Query, Segment, TargetKind, TypeSpec, Vocabulary},
};

const HOST: &str = "stage.example";

/// A catalog with every type of the shipped one, and two calls for each: one names an object of it by name, one by an id of Databricks' own.
fn classifier(shipped: &Vocabulary) -> Classifier {
    let mut calls = String::from("calls:\n");
    for kind in of_catalog(shipped) {
        for (way, orphan) in [("name", false), ("id", true)] {
            let resource = format!("{{ type: {kind}, id: it, orphan: {orphan} }}");
            let _ = writeln!(calls, "  - {{ action: {way}.{kind}, level: use, method: POST, path: /{way}/{kind}, resource: {resource} }}");
        }
    }
    let mut files = Catalog::shipped();
    files.push(CatalogFile::new(PathBuf::from("calls.yaml"), calls, CatalogFile::WORKSPACE));
    let catalog = Catalog::load(&files).unwrap();
    Classifier::new(Arc::new(catalog), vec![TargetConfig { target: target(), api: CatalogFile::WORKSPACE.into(), hosts: vec![HOST.to_owned()] }])
        .unwrap()
}

/// The names of all types but those that stand for targets.
fn of_catalog(vocabulary: &Vocabulary) -> impl Iterator<Item = &str> {
    let built_in = |name: &str| {
        name == "Environment" || [TargetKind::Workspace, TargetKind::Account, TargetKind::Service].map(TargetKind::type_name).contains(&name)
    };
    vocabulary.types.iter().map(|spec| spec.name.as_str()).filter(move |name| !built_in(name))
}

fn call<'r>(segments: [&'r str; 2], body: &'r [u8]) -> Call<'r> {
    Call {
        method: "POST",
        host: Host(Cow::Borrowed(HOST)),
        path: ApiPath { raw: "/", segments: segments.map(|text| Segment { text: Cow::Borrowed(text), slashed: false }).into_iter().collect() },
        query: Query::default(),
        headers: Headers::default(),
        body: Body::Whole { bytes: body, media: MediaType::Json },
        upgrade: None,
        principal: b"",
        certificate: b"",
        proxy: None,
        source_ip: None,
    }
}

/// Numbers, paths, names of one to four parts, resource names, and what stands near to them.
fn text(vocabulary: &Vocabulary) -> impl Strategy<Value = String> + use<> {
    let pattern = |spec: &TypeSpec| if let IdForm::Pattern { pattern, .. } = &spec.form { Some(pattern.to_string()) } else { None };
    let patterns: Vec<String> = vocabulary.types.iter().filter_map(pattern).collect();
    prop_oneof![
        (prop::sample::select(patterns), "[a-cA-C0-9%:./-]{1,3}").prop_map(|(pattern, id)| pattern.replace('*', &id)),
        "[0-9]{1,22}",
        "/Volumes(/[A-Ca-cΣ]{1,3}){0,5}",
        "(/Volumes|/Workspace|/Users)?(/[A-Ca-c0-9%. \\\\]{1,4}){0,6}/?",
        "[A-Ca-cΣςİÉ_-]{1,5}(\\.[A-Ca-cΣςİÉ_` -]{1,4}){0,3}",
        "[ -~]{1,12}",
    ]
}

#[test]
fn a_policy_may_name_what_a_call_acts_on() {
    let shipped = Catalog::embedded().unwrap();
    let classifier = classifier(shipped.vocabulary());
    let kinds: Vec<&str> = of_catalog(shipped.vocabulary()).collect();
    let (mut accepted, mut seen) = (0, BTreeSet::new());
    let mut runner = TestRunner::deterministic();
    let texts = text(shipped.vocabulary());
    for _ in 0..512 {
        let text = texts.new_tree(&mut runner).unwrap().current();
        let body = serde_json::json!({ "it": text }).to_string();
        for (kind, way) in kinds.iter().flat_map(|kind| ["name", "id"].map(|way| (*kind, way))) {
            let Ok(intent) = classifier.classify(&call([way, kind], body.as_bytes())) else { continue };
            accepted += 1;
            let vocabulary = if way == "name" { shipped.vocabulary() } else { classifier.catalog().vocabulary() };
            for entity in intent.resources.iter().flat_map(|resource| std::iter::once(&resource.entity).chain(&resource.ancestors)) {
                seen.insert(entity.kind.clone());
                assert_eq!(canonical::fault_of(entity, vocabulary), None, "{entity}, from {way} {text:?}");
            }
        }
    }
    assert!(accepted > 1000, "{accepted} calls were understood");
    assert!(kinds.iter().all(|kind| seen.iter().any(|name| name.as_str() == *kind)), "{seen:?}");
}

/// By its own id a table or a volume is named in the shipped catalog too, and there alone a name may lack its parts.
#[test]
fn an_id_of_databricks_own_is_no_name_with_parts_left_out() {
    let shipped = Catalog::embedded().unwrap();
    for (kind, alone) in [("Table", true), ("Volume", true), ("Function", false), ("Schema", true), ("RegisteredModel", false)] {
        let form = &shipped.vocabulary().type_named(kind).unwrap().form;
        assert_eq!(form.canonical("0a1b-2c").is_ok(), alone, "{kind}");
    }
}
