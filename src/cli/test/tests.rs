//! That the cases which are shipped hold the policies which are shipped: each policy, and each of its conditions.

use std::path::{Path, PathBuf};

use cedar_policy::PolicySet;

use super::{cases, cases::Case, coverage::Coverage, files, names::Ground, run};
use crate::{
    authz::{Authorizer, Source},
    clock::Clock,
    config::Config,
    net,
    pipeline::Snapshot,
    reload::{Compiled, Compiler},
};

fn compiled() -> Compiled {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/lakegate.yaml");
    let client = net::Client::new(&net::Config::default()).unwrap();
    Compiler::new(&file, client, Clock::default()).unwrap().compile(None).unwrap()
}

fn shipped(config: &Config, snapshot: &Snapshot) -> Vec<Case> {
    let ground =
        Ground { config, authenticator: &snapshot.authenticator, policies: snapshot.authorizer.policies().map(|note| note.id).collect(), now_ms: 0 };
    let mut faults = Vec::new();
    let sources = files::read(&[config.policy.dir.join(files::FOLDER)]).unwrap();
    let cases = sources.iter().flat_map(|source| cases::read(source, &ground, &mut faults)).collect();
    assert_eq!(faults, []);
    cases
}

/// What each shipped file holds.
fn sets(dir: &Path) -> impl Iterator<Item = PolicySet> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "cedar"));
    files.map(|path| std::fs::read_to_string(path).unwrap().parse().unwrap())
}

/// The shipped policies and roles, each as JSON.
fn policies(dir: &Path) -> Vec<serde_json::Value> {
    let all = |set: PolicySet| {
        let policies = set.policies().map(|policy| policy.to_json().unwrap());
        policies.chain(set.templates().map(|role| role.to_json().unwrap())).collect::<Vec<_>>()
    };
    sets(dir).flat_map(all).collect()
}

/// What `policies` wrote.
fn text(policy: serde_json::Value) -> String {
    match cedar_policy::Template::from_json(None, policy.clone()) {
        Ok(role) => role.to_cedar(),
        Err(_) => cedar_policy::Policy::from_json(None, policy).unwrap().to_cedar().unwrap(),
    }
}

fn id(policy: &serde_json::Value) -> &str {
    policy["annotations"]["id"].as_str().unwrap()
}

/// The set with one condition less in some policies of one effect, and which: all permits at once, since each decides for itself what it adds.
struct Mutant {
    widened: Vec<(String, usize)>,
    policies: Vec<serde_json::Value>,
}

fn mutants(policies: &[serde_json::Value]) -> Vec<Mutant> {
    let conditions = |index: usize| policies[index]["conditions"].as_array().unwrap().len();
    let of = |effect: &str| (0..policies.len()).filter(|index| policies[*index]["effect"] == effect).collect::<Vec<_>>();
    let mutant = |which: &[usize], condition: usize| {
        let mut wider = policies.to_vec();
        for index in which {
            wider[*index]["conditions"].as_array_mut().unwrap().remove(condition);
        }
        Mutant { widened: which.iter().map(|index| (id(&policies[*index]).to_owned(), condition + 1)).collect(), policies: wider }
    };
    let permits = of("permit");
    let most = permits.iter().map(|index| conditions(*index)).max().unwrap();
    let all = (0..most).map(|condition| {
        let which: Vec<usize> = permits.iter().copied().filter(|index| conditions(*index) > condition).collect();
        mutant(&which, condition)
    });
    let single = of("forbid").into_iter().flat_map(|index| (0..conditions(index)).map(move |condition| (index, condition)));
    all.chain(single.map(|(index, condition)| mutant(&[index], condition))).collect()
}

/// Coverage leaves out a role that nobody has: the example gives each to somebody, so that each is tried too.
#[test]
fn every_shipped_policy_and_role_decides_a_case_and_is_just_missed_by_another() {
    let Compiled { config, snapshot, .. } = compiled();
    let cases = shipped(&config, &snapshot);
    let outcomes: Vec<_> = cases.iter().map(|case| run::run(case, &snapshot)).collect();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed).map(|outcome| (outcome.name, &outcome.differs)).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let coverage = Coverage::new(&snapshot.authorizer, &outcomes);
    let written = sets(&config.policy.dir).map(|set| set.policies().count() + set.templates().count()).sum::<usize>();
    assert_eq!((coverage.covered, coverage.policies), (written, written), "{coverage}");
}

#[test]
fn the_shipped_cases_notice_a_policy_that_is_gone_and_a_condition_that_is() {
    let Compiled { config, mut snapshot, .. } = compiled();
    let cases = shipped(&config, &snapshot);
    let policies = policies(&config.policy.dir);
    let mut unnoticed = Vec::new();
    {
        let outcomes: Vec<_> = cases.iter().map(|case| run::run(case, &snapshot)).collect();
        assert!(outcomes.iter().all(|outcome| outcome.passed));
        // Without the policy that alone decides, the call is decided otherwise, or by another.
        let holds = |id: &str| {
            outcomes.iter().any(|outcome| {
                let alone = matches!(outcome.got.policies.as_slice(), [one] if snapshot.authorizer.written_as(one) == Some(id));
                alone && (outcome.got.decision == "allow" || outcome.expected.policies.is_some())
            })
        };
        unnoticed.extend(policies.iter().map(id).filter(|id| !holds(id)).map(|id| format!("{id} is gone")));
    }
    let vocabulary = snapshot.classifier.catalog().vocabulary().clone();
    let access = config.policy.access.as_deref().unwrap().join("teams.yaml");
    let access = vec![(access.clone(), std::fs::read_to_string(access).unwrap())];
    let load = |policies: Vec<serde_json::Value>, known: &Authorizer| {
        let files = vec![(PathBuf::from("mutant.cedar"), policies.into_iter().map(text).collect())];
        let source = Source { files, access: access.clone(), ..Source::default() };
        Authorizer::load(&vocabulary, &source, 1 << 20, Some(known))
    };
    let whole = load(policies.clone(), &snapshot.authorizer).unwrap();
    let mut tried = 0;
    for Mutant { widened, policies } in mutants(&policies) {
        // One that cannot be served is noticed by whoever loads it.
        let Ok(authorizer) = load(policies, &whole) else { continue };
        snapshot.authorizer = authorizer;
        tried += widened.len();
        let failed: Vec<_> = cases.iter().map(|case| run::run(case, &snapshot)).filter(|outcome| !outcome.passed).collect();
        let decides = |outcome: &run::Outcome<'_>, id: &str| outcome.got.policies.iter().any(|one| snapshot.authorizer.written_as(one) == Some(id));
        let noticed = |id: &String| failed.iter().any(|outcome| decides(outcome, id));
        unnoticed.extend(widened.iter().filter(|(id, _)| !noticed(id)).map(|(id, condition)| format!("{id} has lost its condition {condition}")));
    }
    assert!(tried > 30, "{tried}");
    assert!(unnoticed.is_empty(), "no case notices that\n{}", unnoticed.join("\n"));
}
