//! What `lakegate check` warns of where tokens are minted, or let pass.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use lakegate::signer::{Algorithm, generate};

const REST: &str = "version: 1\nlisten: { check: 127.0.0.1:9191 }\npeers: { trust_domains: [cluster.local] }\npolicy: { dir: policies }\n";
const CORP: &str = "{ name: corp, provider: generic, issuer: https://id.example.com, audiences: [lakegate], bindings: none }";
const OTHER: &str = "{ name: partner, provider: generic, issuer: https://id.example.org, audiences: [lakegate], bindings: none }";
const ID: &str = "11111111-2222-4333-8444-555555555555";
const URL: &str = ", issuer: \"https://lakegate.example.com\"";

fn warnings(folder: &Path, config: &str) -> Vec<String> {
    fs::write(folder.join("lakegate.yaml"), config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lakegate")).args(["check", "--config", "lakegate.yaml"]).current_dir(folder).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{config}\n{told}{}", String::from_utf8_lossy(&output.stderr));
    told.lines().filter_map(|line| line.strip_prefix("warning: ")).map(str::to_owned).collect()
}

fn key(folder: &Path, mode: u32) {
    let file = folder.join("key.pem");
    fs::write(&file, generate(Algorithm::Es256).unwrap()).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

/// Of a mounted Secret the group may read them (`fsGroup`).
#[test]
fn a_key_that_everybody_may_read_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/all.cedar"), r#"@id("reading") permit (principal, action in Action::"read", resource);"#).unwrap();
    let config = format!(
        "{REST}issuers: [{CORP}]\ntrust: {{ assertion: {{ keys: [key.pem]{URL} }} }}\nworkspaces: [{{ name: stage, hosts: [stage.cloud.databricks.com], environment: staging, trust: none }}]\n"
    );
    for (mode, exposed) in [(0o600, false), (0o440, false), (0o660, false), (0o644, true), (0o604, true), (0o602, true), (0o666, true)] {
        key(folder.path(), mode);
        let told = warnings(folder.path(), &config);
        let of_key = |said: &String| said.contains("key.pem") && said.contains("may read this private key") && said.contains("chmod o=");
        assert_eq!(
            (told.iter().filter(|said| of_key(said)).count(), told.len()),
            (usize::from(exposed), usize::from(exposed)),
            "{mode:o}: {told:#?}"
        );
        let output = Command::new(env!("CARGO_BIN_EXE_lakegate")).args(["keys", "list", "key.pem"]).current_dir(folder.path()).output().unwrap();
        let listed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && listed.contains("everybody may read") == exposed, "{mode:o}: {listed}");
    }
}

#[test]
fn what_credentials_leave_open_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/all.cedar"), r#"@id("reading") permit (principal, action in Action::"read", resource);"#).unwrap();
    key(folder.path(), 0o600);
    let two = format!("{CORP}, {OTHER}");
    let principals = format!("mode: service-principal, principals: [{{ client_id: {ID} }}]");
    let (no_url, alike) = ("which is no https URL", "has tokens for callers of all 2 issuers");
    let personal = "workspace `stage` takes personal access tokens";
    let cases: [(&str, &str, &str, &str, Option<&str>); 16] = [
        // credentials, trust of the workspace, issuers, of the assertion, the warning
        ("mode: exchange", "none", CORP, URL, None),
        ("mode: exchange", "none", CORP, "", Some(no_url)),
        ("mode: exchange", "none", CORP, ", issuer: \"http://127.0.0.1:80\"", Some(no_url)),
        (&principals, "none", CORP, "", Some(no_url)),
        ("mode: exchange, subject: caller", "none", CORP, "", None),
        ("mode: strip", "none", &two, "", None),
        ("mode: exchange", "none", &two, URL, Some(alike)),
        ("mode: exchange, identity: subject", "none", &two, URL, Some(alike)),
        ("mode: exchange, subject: caller", "none", &two, URL, Some(alike)),
        ("mode: exchange, issuers: [corp]", "none", &two, URL, None),
        ("mode: exchange, issuers: [corp, partner]", "none", &two, URL, None),
        ("mode: exchange, identity: email", "none", &two, URL, None),
        (&principals, "none", &two, URL, None),
        ("mode: passthrough", "all", CORP, URL, None),
        ("mode: passthrough, personal_access_tokens: refuse", "none", CORP, URL, None),
        ("mode: passthrough, personal_access_tokens: passthrough", "none", CORP, URL, Some(personal)),
    ];
    for (credentials, trust, issuers, assertion, said) in cases {
        let config = format!(
            "{REST}issuers: [{issuers}]\ntrust: {{ assertion: {{ keys: [key.pem]{assertion} }} }}\nworkspaces: [{{ name: stage, hosts: [stage.cloud.databricks.com], \
             environment: staging, trust: {trust}, credentials: {{ {credentials} }} }}]\n"
        );
        match (&warnings(folder.path(), &config)[..], said) {
            ([], None) => {}
            ([warning], Some(said)) if warning.contains(said) && warning.contains("; ") => {}
            (warnings, said) => panic!("{credentials}, trust: {trust}, {assertion}: {said:?} and not {warnings:#?}"),
        }
    }
}

/// After whatever rotations, the configuration still loads.
#[test]
fn keys_are_rotated_into_none_that_databricks_does_not_take() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/all.cedar"), r#"@id("reading") permit (principal, action in Action::"read", resource);"#).unwrap();
    let rotate = |more: &[&str]| {
        let arguments = [&["keys", "rotate", "--config", "lakegate.yaml", "--force"], more].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_lakegate")).args(arguments).current_dir(folder.path()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let principals = format!("mode: service-principal, principals: [{{ client_id: {ID} }}]");
    for (credentials, takes) in [("mode: exchange", false), (&principals, false), ("mode: exchange, subject: caller", true), ("mode: strip", true)] {
        for file in ["current.pem", "next.pem", "previous.pem"] {
            fs::write(folder.path().join(file), generate(Algorithm::Es256).unwrap()).unwrap();
        }
        let config = format!(
            "{REST}issuers: [{CORP}]\ntrust: {{ assertion: {{ keys: [current.pem, next.pem, previous.pem]{URL} }} }}\nworkspaces: [{{ name: stage, \
             hosts: [stage.cloud.databricks.com], environment: staging, trust: none, credentials: {{ {credentials} }} }}]\n"
        );
        warnings(folder.path(), &config);
        let (done, said) = rotate(&["--algorithm", "eddsa"]);
        assert!(done == takes && (done || said.contains("`stage`") && said.contains("`--algorithm es256`")), "{credentials}: {said}");
        let (done, said) = rotate(&[]);
        assert!(done, "{credentials}: {said}");
        warnings(folder.path(), &config);
    }
}
