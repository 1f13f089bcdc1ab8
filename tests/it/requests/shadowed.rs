//! The same requests where nothing is enforced.

use lakegate_testkit::workspace::Reached;
use serde_json::json;

use super::{
    FILES, POLICIES,
    case::{Case, Sent},
    cases,
    honest::HOP,
};
use crate::asking::{PATIENCE, options, world};

/// What Envoy writes anew for the next hop, or for the check, whatever the caller sent.
const MESH: [&str; 6] = ["connection", "upgrade", "x-forwarded-proto", "x-forwarded-for", "x-forwarded-client-cert", "x-envoy-external-address"];

/// Sends every case at a lakegate in shadow mode: none may be answered by it, and its record must say what it would have answered.
pub(crate) async fn play() {
    let world = world(options().policies(&[("requests.cedar", POLICIES)]).configure(|config| config["policy"]["mode"] = json!("shadow"))).await;
    let (mut wrong, mut passed, mut due) = (Vec::new(), 0, Vec::new());
    for (file, case) in FILES.into_iter().flat_map(|file| cases(file).into_iter().map(move |case| (file, case))) {
        for listener in case.listeners() {
            let name = format!("{file}: {} ({})", case.name, listener.name());
            let sent = Sent::new(&world, &case);
            let before = world.workspace.count();
            let answer = world.client(listener, &sent.identity).unwrap().send(&sent.request).await.unwrap();
            if answer.header("x-lakegate-decision").is_some() {
                wrong.push(format!("{name}: lakegate answered with {}", answer.status));
            }
            // some are so broken that the workspace's own server refuses them
            if let [arrived] = world.workspace.reached().split_off(before).as_slice() {
                passed += 1;
                wrong.extend(faults(&case, &sent, arrived).into_iter().map(|fault| format!("{name}: {fault}")));
            }
            due.push((name, case.refuse.clone()));
        }
    }
    let written = world.audit.wait_for(PATIENCE, |_| world.audit.records().is_ok_and(|records| records.len() >= due.len())).await;
    let records = world.audit.records().unwrap();
    assert!(written.is_ok() && records.len() == due.len(), "{} records for {} calls", records.len(), due.len());
    for ((name, refuse), record) in due.iter().zip(&records) {
        let want = refuse.as_ref().map_or((json!("allow"), json!("ALLOWED")), |reason| (json!("deny"), json!(reason)));
        if (&record["mode"], &record["decision"], &record["reason"]) != (&json!("shadow"), &want.0, &want.1) {
            wrong.push(format!("{name}: the record says {} {} {}", record["mode"], record["decision"], record["reason"]));
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed * 10 >= due.len() * 9, "{passed} of {} arrived", due.len());
}

/// Any header lost, changed or added, but for forged trust headers, which must be lost.
fn faults(case: &Case, sent: &Sent, arrived: &Reached) -> Vec<String> {
    let ours = |name: &str| name.replace(['_', '.'], "-").starts_with("x-lakegate-");
    let nominated = |name: &str| {
        let connection = sent.request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
        connection.flat_map(|(_, value)| value.split(|byte| *byte == b',')).any(|part| part.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    let mut wrong = Vec::new();
    for (name, value) in &sent.request.headers {
        let name = name.to_ascii_lowercase();
        let exempt = ours(&name) || nominated(&name) || HOP.contains(&name.as_str()) || MESH.contains(&name.as_str()) || name.starts_with("x-envoy-");
        // Envoy joins several values of one header
        let joined = arrived.headers.iter().filter(|(have, _)| *have == name).map(|(_, there)| there.as_slice()).collect::<Vec<_>>().join(&b',');
        if !exempt && !joined.split(|byte| *byte == b',').any(|part| part == value) && joined != *value {
            wrong.push(format!("the header `{name}` arrived as {:?}", arrived.values(&name)));
        }
    }
    for (name, value) in &arrived.headers {
        let known = HOP.contains(&name.as_str())
            || MESH.contains(&name.as_str())
            || sent.request.headers.iter().any(|(sent, _)| sent.eq_ignore_ascii_case(name));
        if ours(name) || !known {
            wrong.push(format!("`{name}: {}` arrived", String::from_utf8_lossy(value)));
        }
    }
    if case.allow.is_some() && arrived.body != sent.request.body {
        wrong.push("another body arrived".to_owned());
    }
    wrong
}
