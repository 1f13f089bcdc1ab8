//! What changes while lakegate runs: it serves a good change, keeps the last good set for a bad one, and says which.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path};

use lakegate_testkit::{
    issuer::{OldKeys, TokenSpec},
    raw::Request,
    world::STAGE,
};
use serde_json::json;
use tokio::time::sleep;

use crate::asking::{CHURN, CLOSED, SALES, SETTLED, options, outcome, query, send, status_until, until, world};

const OTHER_JOB: &str = r#"@id("job-43") @reason("for a while")
permit (principal in Group::"corp/ml-engineers", action == Action::"jobs.run_now", resource == Job::"stage/43");"#;

fn run(token: &str, job: u64) -> Request {
    Request::new("POST", STAGE.host, "/api/2.2/jobs/run-now").bearer(token).json(&json!({ "job_id": job }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_added_changed_and_removed() {
    let world = world(options()).await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let call = || run(&token, 43);
    assert_eq!(outcome(&send(&world, &call()).await), (403, "POLICY_NO_PERMIT".to_owned()));
    world.write_policy("more.cedar", OTHER_JOB).unwrap();
    until(&world, (200, "OK"), call).await;
    world.write_policy("more.cedar", &OTHER_JOB.replace("permit", "forbid")).unwrap();
    let refused = until(&world, (403, "POLICY_FORBIDS"), call).await;
    assert!(refused.json()["message"].as_str().unwrap().contains("for a while"));
    fs::remove_file(world.folder().join("policies/more.cedar")).unwrap();
    until(&world, (403, "POLICY_NO_PERMIT"), call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_set_is_never_served() {
    let world = world(options()).await;
    let good = fs::read_to_string(world.folder().join("policies/demo.cedar")).unwrap();
    // each beside, or in place of, what forbids the closed endpoint
    let bad = [
        ("broken.cedar", "@id(\"broken\") permit (principal, action, resource) when { nonsense"),
        ("typo.cedar", "@id(\"typo\") permit (principal, action == Action::\"serving_endpoints.qeury\", resource);"),
        ("twice.cedar", "@id(\"closed-endpoint\") permit (principal, action, resource);"),
        ("nameless.cedar", "permit (principal, action, resource);"),
        ("demo.cedar", ""),
        ("demo.cedar", "// nothing is left\n"),
        ("demo.cedar", "@id(\"all\") permit (principal, action, resource"),
    ];
    for (file, text) in bad {
        let generation = status_until(&world, |status| status["degraded"] == false).await["configuration"]["generation"].clone();
        world.write_policy(file, text).unwrap();
        let status = status_until(&world, |status| status["degraded"] == true).await;
        let faults = status["configuration"]["faults"].to_string();
        assert!(faults.contains(file), "{file}: {faults}");
        assert_eq!(status["configuration"]["generation"], generation, "{file}");
        assert_eq!((status["ready"].as_bool(), world.admin("/readyz").await.unwrap().0), (Some(true), 200), "{file}");
        assert_eq!(outcome(&send(&world, &query(&world, SALES)).await), (200, "OK".to_owned()), "{file}");
        assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await), (403, "POLICY_FORBIDS".to_owned()), "{file}");
        if file == "demo.cedar" {
            world.write_policy(file, &good).unwrap();
        } else {
            fs::remove_file(world.folder().join("policies").join(file)).unwrap();
        }
        let status = status_until(&world, |status| status["degraded"] == false).await;
        assert_eq!(status["configuration"]["faults"].as_array().map_or(0, Vec::len), 0, "{file}");
    }
}

/// As the kubelet updates a `ConfigMap`: new files beside the old ones, then one symbolic link that changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_is_swapped() {
    let mount = tempfile::tempdir().unwrap();
    let demo = options().policies[0].1.clone();
    let fill = |folder: &str, text: &str| {
        fs::create_dir(mount.path().join(folder)).unwrap();
        fs::write(mount.path().join(folder).join("all.cedar"), text).unwrap();
    };
    fill("..first", &demo);
    symlink("..first", mount.path().join("..data")).unwrap();
    symlink("..data/all.cedar", mount.path().join("all.cedar")).unwrap();
    let folder = mount.path().to_string_lossy().into_owned();
    let world = world(options().configure(move |config| config["policy"]["dir"] = json!(folder))).await;
    let call = || query(&world, CLOSED);
    let swap = |folder: &str| {
        symlink(folder, mount.path().join("..data_tmp")).unwrap();
        fs::rename(mount.path().join("..data_tmp"), mount.path().join("..data")).unwrap();
    };
    until(&world, (403, "POLICY_FORBIDS"), call).await;
    fill(
        "..second",
        &demo.replace(
            "forbid (principal, action, resource == ServingEndpoint::\"stage/closed\");",
            "forbid (principal, action, resource == ServingEndpoint::\"stage/shut\");",
        ),
    );
    swap("..second");
    fs::remove_dir_all(mount.path().join("..first")).unwrap();
    until(&world, (200, "OK"), call).await;
    // and once more: the first change must not have cost the watch
    fill("..third", &demo);
    swap("..third");
    until(&world, (403, "POLICY_FORBIDS"), call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_added_live_and_a_bad_configuration_is_not_served() {
    let mut world = world(options()).await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    let call = || Request::new("POST", "new.cloud.databricks.com", SALES).bearer(&token).json(&json!({}));
    until(&world, (403, "HOST_UNKNOWN"), call).await;
    let mut config = world.config().clone();
    config["workspaces"][0]["hosts"] = json!([STAGE.host, "new.cloud.databricks.com"]);
    world.write_config(config.clone()).unwrap();
    until(&world, (200, "OK"), call).await;

    let good = config.clone();
    config["workspaces"][0]["hosts"] = json!([STAGE.host]);
    config["issuers"][0]["audiencs"] = json!(["x"]);
    world.write_config(config).unwrap();
    let status = status_until(&world, |status| status["degraded"] == true).await;
    let faults = status["configuration"]["faults"].to_string();
    assert!(faults.contains("lakegate.yaml") && faults.contains("audiences"), "{faults}");
    assert_eq!(outcome(&send(&world, &call()).await), (200, "OK".to_owned()));

    world.write_config(good.clone()).unwrap();
    status_until(&world, |status| status["degraded"] == false).await;
    let mut moved = good;
    moved["limits"] = json!({ "token": "8KiB", "streams": 100 });
    world.write_config(moved).unwrap();
    status_until(&world, |status| status["configuration"]["restart_needed_for"] == json!(["limits.streams"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_changes() {
    let mut world = world(options()).await;
    let file = world.folder().join("corp.jwks.json");
    let publish = |path: &Path, keys: &serde_json::Value| fs::write(path, keys.to_string()).unwrap();
    publish(&file, &world.corp.jwks());
    let mut config = world.config().clone();
    config["issuers"][0]["jwks_file"] = json!("corp.jwks.json");
    world.write_config(config).unwrap();
    status_until(&world, |status| status["configuration"]["generation"] != 1).await;
    let old = world.corp.token(&TokenSpec::new()).unwrap();
    let with = |token: &str| crate::asking::query_as(SALES, token);
    until(&world, (200, "OK"), || with(&old)).await;

    let old_keys = world.corp.jwks();
    world.corp.rotate(OldKeys::Withdraw).unwrap();
    let new = world.corp.token(&TokenSpec::new()).unwrap();
    assert_eq!(outcome(&send(&world, &with(&new)).await), (401, "TOKEN_UNKNOWN_KEY".to_owned()));
    publish(&file, &world.corp.jwks());
    until(&world, (200, "OK"), || with(&new)).await;
    // a withdrawn key verifies nothing, not even what was verified before
    assert_eq!(outcome(&send(&world, &with(&old)).await), (401, "TOKEN_UNKNOWN_KEY".to_owned()));

    for bad in ["", "{", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"x\",\"k\":\"AAAA\"}]}"] {
        fs::write(&file, bad).unwrap();
        let status = status_until(&world, |status| status["degraded"] == true).await;
        assert!(status["configuration"]["faults"].to_string().contains("corp.jwks.json"), "`{bad}`: {status}");
        assert_eq!(outcome(&send(&world, &with(&new)).await), (200, "OK".to_owned()), "`{bad}`");
        publish(&file, &world.corp.jwks());
        status_until(&world, |status| status["degraded"] == false).await;
    }
    publish(&file, &old_keys);
    until(&world, (401, "TOKEN_UNKNOWN_KEY"), || with(&new)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_changes() {
    let mut world = world(options()).await;
    let file = world.folder().join("entities.json");
    fs::write(&file, "[]").unwrap();
    world
        .write_policy(
            "tags.cedar",
            "@id(\"sealed\") @reason(\"it is sealed\")\nforbid (principal, action, resource) when { resource.hasTag(\"sealed\") };",
        )
        .unwrap();
    let mut config = world.config().clone();
    config["policy"]["entities"] = json!("entities.json");
    world.write_config(config).unwrap();
    status_until(&world, |status| status["policies"] == 5 && status["degraded"] == false).await;
    let call = || query(&world, CHURN);
    until(&world, (200, "OK"), call).await;
    fs::write(&file, json!([{ "type": "ServingEndpoint", "id": "stage/churn", "tags": { "sealed": "yes" } }]).to_string()).unwrap();
    until(&world, (403, "POLICY_FORBIDS"), call).await;
    fs::write(&file, "[{\"type\":\"ServingEndpoint\"").unwrap();
    let status = status_until(&world, |status| status["degraded"] == true).await;
    assert!(status["configuration"]["faults"].to_string().contains("entities.json"), "{status}");
    assert_eq!(outcome(&send(&world, &call()).await), (403, "POLICY_FORBIDS".to_owned()));
    fs::write(&file, "[]").unwrap();
    until(&world, (200, "OK"), call).await;
    assert_eq!(outcome(&send(&world, &query(&world, SALES)).await), (200, "OK".to_owned()));
}

/// The whole folder gone, as when a volume is unmounted, is not an empty set.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_folder_keeps_the_last_good_set() {
    let world = world(options()).await;
    let (policies, away) = (world.folder().join("policies"), world.folder().join("away"));
    fs::rename(&policies, &away).unwrap();
    status_until(&world, |status| status["degraded"] == true).await;
    sleep(SETTLED).await;
    assert_eq!(outcome(&send(&world, &query(&world, SALES)).await), (200, "OK".to_owned()));
    assert_eq!(outcome(&send(&world, &query(&world, CLOSED)).await), (403, "POLICY_FORBIDS".to_owned()));
    fs::rename(&away, &policies).unwrap();
    status_until(&world, |status| status["degraded"] == false).await;
}

/// Each generation has a policy of its own that permits the call; whatever a decision names must be that of the generation it was made in.
#[tokio::test(flavor = "multi_thread")]
async fn policies_that_change_all_the_time_decide_each_call_by_one_whole_set() {
    let world = world(options()).await;
    let token = world.corp.token(&TokenSpec::new()).unwrap();
    // Beside two hundred others, which change as well.
    let edition = |number: u32| {
        let others = (0..200).map(|other| {
            format!("@id(\"other-{other}\") permit (principal in Group::\"corp/team-{number}\", action, resource == Job::\"stage/{other}\");\n")
        });
        let this = format!(
            "@id(\"edition-{number}\") permit (principal in Group::\"corp/ml-engineers\", action == Action::\"jobs.run_now\", resource == Job::\"stage/77\");\n"
        );
        let lure = format!(
            "@id(\"lure-{number}\") @reason(\"no\") forbid (principal, action == Action::\"jobs.run_now\", resource == Job::\"stage/77\") unless {{ resource == Job::\"stage/77\" }};\n"
        );
        this + &lure + &others.collect::<String>()
    };
    world.write_policy("editions.cedar", &edition(0)).unwrap();
    until(&world, (200, "OK"), || run(&token, 77)).await;
    let changing = async {
        for number in 1..=5 {
            let generation = |status: &serde_json::Value| status["configuration"]["generation"].as_u64().unwrap();
            let before = generation(&status_until(&world, |_| true).await);
            world.write_policy("editions.cedar", &edition(number)).unwrap();
            status_until(&world, |status| generation(status) > before).await;
        }
    };
    let asking = async {
        loop {
            assert_eq!(outcome(&send(&world, &run(&token, 77)).await), (200, "OK".to_owned()));
        }
    };
    tokio::select! {
        () = changing => {}
        () = asking => {}
    }
    let mut editions: BTreeMap<u64, String> = BTreeMap::new();
    for record in world.audit.records().unwrap() {
        if record["decision"] == "allow" && record["resources"][0] == "Job::\"stage/77\"" {
            let (generation, policies) = (record["generation"].as_u64().unwrap(), record["policies"].to_string());
            assert_eq!(editions.entry(generation).or_insert_with(|| policies.clone()), &policies, "one generation, two sets");
        }
    }
    let named: Vec<&String> = editions.values().collect();
    assert!(named.len() >= 4 && named.windows(2).all(|pair| pair[0] != pair[1]), "{editions:?}");
}
