//! How an honest call must arrive at the workspace.

use lakegate_testkit::{raw::Response, workspace::Reached};

use super::case::{Case, Sent};

/// What Envoy's router and its codec write for the next hop, after lakegate was asked.
pub(super) const HOP: [&str; 3] = ["transfer-encoding", "content-length", "x-request-id"];

const PREFIX: &str = "x-lakegate-";

/// What is wrong: anything lost, changed or added but the trust headers.
pub(super) fn faults(case: &Case, sent: &Sent, answer: &Response, reached: &[Reached]) -> Vec<String> {
    let [arrived] = reached else {
        return vec![format!("{} requests arrived; the answer is {} {}", reached.len(), answer.status, String::from_utf8_lossy(&answer.body))];
    };
    let allow = case.allow.as_ref().unwrap();
    let mut wrong = Vec::new();
    let target = String::from_utf8_lossy(&sent.request.target).into_owned();
    let want = (&sent.request.method, allow.path.as_ref().unwrap_or(&target));
    if (&arrived.method, &arrived.target) != want {
        wrong.push(format!("`{} {}` arrived, not `{} {}`", arrived.method, arrived.target, want.0, want.1));
    }
    if arrived.body != sent.request.body {
        wrong.push(format!("{} of {} bytes of the body arrived, or others", arrived.body.len(), sent.request.body.len()));
    }
    wrong.extend(header_faults(case, sent, arrived));
    wrong.extend(trust_faults(case, sent, arrived));
    wrong
}

/// Each header that was sent must arrive once as it was unless it is named as gone, and no other may.
fn header_faults(case: &Case, sent: &Sent, arrived: &Reached) -> Vec<String> {
    let allow = case.allow.as_ref().unwrap();
    let gone = |name: &str| allow.gone.iter().any(|gone| gone == name) || (allow.strip && name == "authorization");
    let hop = |name: &str| HOP.contains(&name) || name == "connection";
    let mut wrong = Vec::new();
    for (name, value) in &sent.request.headers {
        let name = name.to_ascii_lowercase();
        let same = arrived.headers.iter().any(|(have, there)| *have == name && there == value);
        let joined = arrived.values(&name).join(",").split(',').any(|part| part.as_bytes() == value);
        if !gone(&name) && !hop(&name) && !same && !joined {
            wrong.push(format!("the header `{name}` arrived as {:?}", arrived.values(&name)));
        }
    }
    for (name, value) in &arrived.headers {
        let was_sent = sent.request.headers.iter().any(|(sent, _)| sent.eq_ignore_ascii_case(name)) && !gone(name);
        let ours = name.starts_with(PREFIX)
            && ["subject", "groups", "roles", "peer", "actor", "decision"].iter().any(|part| name == &format!("{PREFIX}{part}"));
        if !was_sent && !ours && !HOP.contains(&name.as_str()) {
            wrong.push(format!("`{name}: {}` arrived", String::from_utf8_lossy(value)));
        }
    }
    wrong
}

/// The trust headers are lakegate's own: each once, or not at all.
fn trust_faults(case: &Case, sent: &Sent, arrived: &Reached) -> Vec<String> {
    let allow = case.allow.as_ref().unwrap();
    let person = sent.token.is_some();
    let alice = [
        ("subject", person.then(|| "corp/alice".to_owned())),
        ("groups", person.then(|| "ml-engineers".to_owned())),
        ("roles", None),
        ("peer", Some(sent.peer.clone())),
        ("actor", None),
    ];
    let mut wrong = Vec::new();
    for (part, usual) in alice {
        let want: Vec<String> = allow.trust.get(part).cloned().unwrap_or(usual).into_iter().collect();
        let have = arrived.values(&format!("{PREFIX}{part}"));
        if have != want {
            wrong.push(format!("{PREFIX}{part} is {have:?}, not {want:?}"));
        }
    }
    if arrived.header("x-lakegate-decision").is_none_or(|id| id.len() != 36) {
        wrong.push("no decision id arrived".to_owned());
    }
    wrong
}
