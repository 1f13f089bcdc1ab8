use std::fs;

use super::*;

/// A folder in which [`GOOD`] loads.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    for file in ["tls.crt", "tls.key", "ca.crt", "corp.jwks.json", "entities.json"] {
        fs::write(folder.path().join(file), "x").unwrap();
    }
    folder
}

const GOOD: &str = r#"version: 1
listen:
  check: 127.0.0.1:9191
  admin: 127.0.0.1:9192
peers: {trust_domains: [cluster.local]}
issuers:
  - name: corp
    issuer: https://corp.example.com
    provider: generic
    audiences: [lakegate]
workspaces:
  - name: stage
    hosts: [stage.cloud.databricks.com]
    workspace_id: "1111111111111111"
    environment: staging
policy: {dir: policies}
"#;

fn parse(text: &str) -> Result<Config, Vec<Fault>> {
    let folder = folder();
    Config::parse(&folder.path().join("lakegate.yaml"), text)
}

/// What the faults of `text` say, a line each, with the place and without the folder.
fn faults(text: &str) -> String {
    let faults = parse(text).expect_err("it should be refused");
    let line = |fault: &Fault| {
        format!(
            "{}:{} {}; {}",
            fault.line.unwrap_or_default(),
            fault.column.unwrap_or_default(),
            fault.message,
            fault.help.as_deref().unwrap_or_default()
        )
    };
    faults.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn good() {
    parse(GOOD).unwrap();
    println!("{}", json_schema());
    println!("{}", faults(&GOOD.replace("listen:", "listn:").replace("audiences", "audiencs")));
}
