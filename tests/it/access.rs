//! Access given by a line, for good or for a time.

use std::fs;

use lakegate_testkit::{World, clock::now_s, issuer::TokenSpec, raw::Request, world::STAGE};
use serde_json::json;

use crate::asking::{options, outcome, send, status_until, until, world};

const RUNNER: &str = r#"@id("runner") @reason("may run a job")
permit (principal in ?principal, action == Action::"jobs.run_now", resource == ?resource);"#;

fn run(token: &str, job: u64) -> Request {
    Request::new("POST", STAGE.host, "/api/2.2/jobs/run-now").bearer(token).json(&json!({ "job_id": job }))
}

/// Written beside and moved into place.
fn write(world: &World, name: &str, text: &str) {
    let file = world.folder().join(name);
    let beside = file.with_extension("new");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}

/// A world with a role that nobody has.
async fn with_roles() -> World {
    let mut world = world(options().test_clock()).await;
    fs::create_dir_all(world.folder().join("access")).unwrap();
    fs::create_dir_all(world.folder().join("grants")).unwrap();
    world.write_policy("roles.cedar", RUNNER).unwrap();
    let mut config = world.config().clone();
    config["policy"]["access"] = json!("access");
    config["policy"]["grants"] = json!({ "dir": "grants", "longest": "1h" });
    world.write_config(config).unwrap();
    world
}

fn rfc3339(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_is_onboarded_by_a_line_and_leaves_with_it() {
    let world = with_roles().await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    assert_eq!(outcome(&send(&world, &run(&token, 77)).await), (403, "POLICY_NO_PERMIT".to_owned()));
    write(&world, "access/team.yaml", "- { role: runner, to: { Group: corp/ml-engineers }, on: { Job: stage/77 } }\n");
    until(&world, (200, "OK"), || run(&token, 77)).await;
    assert_eq!(outcome(&send(&world, &run(&token, 78)).await), (403, "POLICY_NO_PERMIT".to_owned()));
    // Half a line is no reason to lose the rest.
    write(&world, "access/more.yaml", "- { role: runner, to: { Group: corp/ml-engineers }, on: { Job: stage/");
    let status = status_until(&world, |status| status["degraded"] == true).await;
    assert!(status["configuration"]["faults"].to_string().contains("more.yaml"), "{status}");
    assert_eq!(outcome(&send(&world, &run(&token, 77)).await), (200, "OK".to_owned()));
    fs::remove_file(world.folder().join("access/more.yaml")).unwrap();
    fs::remove_file(world.folder().join("access/team.yaml")).unwrap();
    until(&world, (403, "POLICY_NO_PERMIT"), || run(&token, 77)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_begins_and_ends_by_itself_to_the_second() {
    let world = with_roles().await;
    let token = world.corp.token(&TokenSpec::new().expires_in(6 * 3600)).unwrap();
    let now = now_s();
    let grant = |until: i64, approver: &str| {
        format!(
            "- id: night\n  role: runner\n  to: {{ User: corp/alice }}\n  on: {{ Job: stage/77 }}\n  from: {}\n  until: {}\n  why: trial\n  approved_by: {approver}\n",
            rfc3339(now + 3600),
            rfc3339(now + until)
        )
    };
    // Neither too long nor one's own.
    for (text, want) in [(grant(3 * 3600, "corp/bob"), "longer than 1h"), (grant(7200, "corp/alice"), "own grant")] {
        write(&world, "grants/night.yaml", &text);
        status_until(&world, |status| status["configuration"]["faults"].to_string().contains(want)).await;
    }
    write(&world, "grants/night.yaml", &grant(7200, "corp/bob"));
    status_until(&world, |status| status["degraded"] == false && status["configuration"]["generation"] != 1).await;
    let call = || run(&token, 77);
    assert_eq!(outcome(&send(&world, &call()).await), (403, "POLICY_NO_PERMIT".to_owned()));
    world.move_clock(3600).unwrap();
    until(&world, (200, "OK"), call).await;
    // Asked again and again until it is over; lakegate's clock is ours, moved.
    let moved = 7200 - 3 - (now_s() - now);
    world.move_clock(moved).unwrap();
    let mut held = 0;
    loop {
        let asked = now_s();
        let have = outcome(&send(&world, &call()).await);
        if have == (200, "OK".to_owned()) {
            held += 1;
            assert!(asked + moved < now + 7200, "it holds after its end");
        } else {
            assert_eq!(have, (403, "POLICY_NO_PERMIT".to_owned()));
            assert!(now_s() + moved >= now + 7200, "it does not hold before its end");
            break;
        }
    }
    assert!(held > 0, "it held until then");
}

/// One `lakegate check` tells what can be served and is likely not meant.
#[test]
fn what_is_likely_not_meant_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let grant = "from: 2026-01-01T00:00:00Z, until: 2026-01-01T08:00:00Z, why: x, approved_by: corp/bob }";
    let files = [
        (
            "lakegate.yaml",
            "version: 1
listen: { check: 127.0.0.1:9191 }
peers: { trust_domains: [cluster.local] }
issuers: [{ name: corp, provider: generic, issuer: https://id.example.com, audiences: [lakegate] }]
workspaces: [{ name: stage, hosts: [stage.cloud.databricks.com], environment: staging }]
policy: { dir: policies, access: access, groups: groups, grants: { dir: grants, longest: 1d } }
",
        ),
        ("policies/roles.cedar", RUNNER),
        ("policies/old.cedar.bak", ""),
        ("policies/more/b.json", ""),
        ("policies/c.CEDAR", ""),
        ("policies/d.cedar~", ""),
        ("policies/README.md", ""),
        ("policies/tests/cases.yaml", ""),
        ("access/team.yaml.off", ""),
        ("access/.keep", ""),
        ("groups/team.yaml", "- { group: corp/te\u{430}m, members: { User: [corp/bob, corp/\u{431}\u{43e}\u{431}] } }"),
        (
            "grants/now.yaml",
            &format!("- {{ action: [jobs.get, serving_endpoints.query], to: {{ User: corp/alice }}, on: {{ Job: stage/1 }}, {grant}"),
        ),
    ];
    for (name, text) in files {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
    }
    let check =
        std::process::Command::new(env!("CARGO_BIN_EXE_lakegate")).arg("check").args(["--config", "lakegate.yaml"]).current_dir(&folder).output();
    let told = String::from_utf8(check.unwrap().stdout).unwrap();
    let warnings: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
    let Some((unbound, warnings)) = warnings.split_first() else { panic!("{told}") };
    let mended = "; what is read here ends in `.cedar`; keep other files elsewhere";
    assert!(
        unbound.starts_with("lakegate.yaml: issuer `corp` has no `bindings`: ") && unbound.contains("`bindings: none` where that is meant"),
        "{told}"
    );
    assert_eq!(warnings[0], format!("policies: not read: `c.CEDAR`, `d.cedar~`, `more/b.json` and 1 more{mended}"), "{told}");
    assert!(warnings[1].starts_with("access: not read: `team.yaml.off`; what is read here ends in `.yaml` or `.yml`"), "{told}");
    assert!(warnings[2].starts_with("access: there is no `*.yaml` file; "), "{told}");
    assert!(warnings[3].starts_with("grants/now.yaml:1:3: `serving_endpoints.query` can never apply here: it is about other types; "), "{told}");
    assert!(warnings[4].starts_with("groups/team.yaml:1:") && warnings[4].contains("mixes letters of several scripts"), "{told}");
    assert_eq!(warnings.len(), 5, "{told}");
}
