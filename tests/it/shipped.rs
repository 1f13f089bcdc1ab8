//! What is shipped works as it is shipped: configurations, policies, and the commands that the documents tell people to type.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use lakegate_testkit::authority::{Authority, Names};

/// The files that tell people to type commands.
const PAGES: [&str; 15] = [
    "README.md",
    "docs/answers.md",
    "docs/credentials.md",
    "docs/denied.md",
    "docs/operations.md",
    "docs/revocation.md",
    "docs/configuration.md",
    "docs/catalog-format.md",
    "docs/access.md",
    "docs/peers.md",
    "docs/policy-tests.md",
    "examples/exchange.yaml",
    "examples/lakegate.yaml",
    "policies/README.md",
    "CONTRIBUTING.md",
];

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Exit code and everything that a command printed.
fn lakegate(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lakegate")).args(arguments).current_dir(folder).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn check(config: &Path) -> String {
    let (code, text) = lakegate(checkout(), &["check", "--config", config.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{}: {text}", config.display());
    assert!(text.contains("good"), "{text}");
    text
}

#[test]
fn the_example_is_good_with_the_starter_policies() {
    let told = check(&checkout().join("examples/lakegate.yaml"));
    assert!(!told.contains("warning"), "{told}");
}

/// With keys made as it says, and not without them.
#[test]
fn the_example_of_an_exchange_is_good_once_it_has_keys() {
    let folder = tempfile::tempdir().unwrap();
    let examples = folder.path().join("examples");
    fs::create_dir_all(examples.join("keys")).unwrap();
    std::os::unix::fs::symlink(checkout().join("policies"), folder.path().join("policies")).unwrap();
    let file = examples.join("exchange.yaml");
    fs::copy(checkout().join("examples/exchange.yaml"), &file).unwrap();
    let (code, told) = lakegate(folder.path(), &["check", "--config", "examples/exchange.yaml"]);
    assert!(code == Some(3) && told.contains("current.pem"), "{told}");
    for key in ["current", "next", "previous"] {
        assert_eq!(lakegate(folder.path(), &["keys", "new", &format!("examples/keys/{key}.pem")]).0, Some(0));
    }
    let told = check(&file);
    assert!(!told.contains("warning"), "{told}");
}

/// The page's own commands, in an empty folder.
#[test]
fn the_commands_that_make_keys_are_good_as_they_stand() {
    let page = fs::read_to_string(checkout().join("docs/credentials.md")).unwrap();
    let (_, section) = page.split_once("\n## Keys\n").unwrap();
    let (commands, _) = section.split_once("\n```sh\n").unwrap().1.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(checkout().join("policies"), folder.path().join("policies")).unwrap();
    let own = folder.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::copy(checkout().join("examples/exchange.yaml"), own.join("lakegate.yaml")).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_lakegate")).parent().unwrap();
    let script = format!("PATH=\"$0:$PATH\"\n{commands}");
    let output = Command::new("sh").args(["-eu", "-c", &script]).arg(programs).current_dir(own).output().unwrap();
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && told.contains("3 keys"), "{commands}\n{told}");
}

/// Each shipped policy has a case that it decides and one that just misses it, and all cases pass.
#[test]
fn the_starter_policies_are_covered_by_their_cases() {
    let (code, text) = lakegate(checkout(), &["test", "--config", "examples/lakegate.yaml", "--min-coverage", "100"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(" 100 %"), "{text}");
}

#[test]
fn the_example_is_good_with_the_policies_of_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(checkout().join("examples/lakegate.yaml")).unwrap();
    let demo = checkout().join("testkit/demo/policies");
    let file = folder.path().join("lakegate.yaml");
    // The demo has no roles that somebody could be given.
    let given = |line: &&str| !line.starts_with("  access:") && !line.starts_with("  grants:");
    let text: Vec<String> = text.lines().filter(given).map(|line| line.replace("dir: ../policies ", &format!("dir: {} ", demo.display()))).collect();
    fs::write(&file, text.join("\n")).unwrap();
    assert!(fs::read_to_string(&file).unwrap().contains("testkit/demo/policies"));
    check(&file);
}

/// What docs/access.md shows is what is shipped, and lists as it says.
#[test]
fn the_page_about_access_shows_what_loads() {
    let page = fs::read_to_string(checkout().join("docs/access.md")).unwrap();
    let examples = |language: &str| -> Vec<String> {
        let blocks = page.split("\n```").skip(1).step_by(2);
        blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n")).map(str::to_owned)).collect()
    };
    let [config, access, grants] = &examples("yaml")[..] else { panic!("three examples") };
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("policies/roles.cedar", &examples("cedar")[0]), ("access/teams.yaml", access), ("grants/2026-11.yaml", grants)] {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    let shipped = fs::read_to_string(checkout().join("policies/roles.cedar")).unwrap();
    fs::write(folder.path().join("policies/others.cedar"), shipped.replace("\"endpoint-user\"", "\"another\"")).unwrap();
    let example = fs::read_to_string(checkout().join("examples/lakegate.yaml")).unwrap();
    let (before, rest) = example.split_once("\npolicy:\n").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let file = folder.path().join("lakegate.yaml");
    fs::write(&file, format!("{before}\n{config}\n{after}")).unwrap();
    check(&file);
    let (code, text) = lakegate(folder.path(), &["grants", "--all", "--config", "lakegate.yaml"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("incident-4711  endpoint-operator to User::\"corp/alice\" on ServingEndpoint::\"prod/recommender\""), "{text}");
    assert!(text.contains("approved by User::\"corp/bob\"") && text.contains("2026-11.yaml:2"), "{text}");
}

/// What docs/peers.md shows loads, each example in the place of its own in one configuration.
#[test]
fn the_page_about_peers_shows_what_loads() {
    let page = fs::read_to_string(checkout().join("docs/peers.md")).unwrap();
    let blocks = page.split("\n```").skip(1).step_by(2);
    let examples: Vec<&str> = blocks.filter_map(|block| block.strip_prefix("yaml\n")).collect();
    let [proxies, aliases, bindings] = examples[..] else { panic!("three examples") };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    authority.issue("tls", &Names::uri("spiffe://cluster.local/ns/lakegate-system/sa/lakegate")).unwrap();
    let rest = "version: 1\npolicy: { dir: policies }\nworkspaces: [{ name: stage, hosts: [stage.cloud.databricks.com], environment: staging }]\n";
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/all.cedar"), "@id(\"reading\") permit (principal, action in Action::\"read\", resource);").unwrap();
    let file = folder.path().join("lakegate.yaml");
    for peers in [proxies.to_owned(), format!("listen: {{ check: 127.0.0.1:9191 }}\n{aliases}")] {
        fs::write(&file, format!("{rest}{peers}\n{bindings}")).unwrap();
        let told = check(&file);
        assert!(!told.contains("warning"), "{told}");
    }
}

/// The configuration that docs/opaque-tokens.md shows, with the file it names.
#[test]
fn the_page_about_opaque_tokens_shows_what_loads() {
    let page = fs::read_to_string(checkout().join("docs/opaque-tokens.md")).unwrap();
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (issuers, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("introspection.secret"), "s3cret\n").unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::copy(checkout().join("testkit/demo/policies/demo.cedar"), folder.path().join("policies/demo.cedar")).unwrap();
    let rest = "version: 1\nlisten: { check: 127.0.0.1:9191 }\npeers: { trust_domains: [cluster.local] }\npolicy: { dir: policies }\n\
                workspaces: [{ name: stage, hosts: [stage.cloud.databricks.com], environment: staging }]\n";
    let file = folder.path().join("lakegate.yaml");
    fs::write(&file, format!("{rest}{issuers}")).unwrap();
    check(&file);
}

/// Each configuration that docs/credentials.md shows, with the files it names, and the bodies of policies for Databricks.
#[test]
fn the_page_about_credentials_shows_what_loads() {
    let page = fs::read_to_string(checkout().join("docs/credentials.md")).unwrap();
    let blocks: Vec<&str> = page.split("\n```").skip(1).step_by(2).collect();
    let folder = tempfile::tempdir().unwrap();
    for name in ["keys", "policies"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for key in ["keys/current.pem", "keys/next.pem", "keys/previous.pem"] {
        assert_eq!(lakegate(folder.path(), &["keys", "new", key]).0, Some(0));
    }
    fs::write(folder.path().join("databricks.secret"), "s3cret\n").unwrap();
    fs::write(folder.path().join("policies/all.cedar"), "@id(\"reading\") permit (principal, action in Action::\"read\", resource);").unwrap();
    let file = folder.path().join("lakegate.yaml");
    let rest = [
        ("version: 1", "version: 1"),
        ("listen:", "listen: { check: 127.0.0.1:9191 }"),
        ("peers:", "peers: { trust_domains: [cluster.local] }"),
        ("policy:", "policy: { dir: policies }"),
        ("issuers:", "issuers: [{ name: corp, provider: generic, issuer: https://id.example.com, audiences: [lakegate], bindings: none }]"),
        ("trust:", "trust: { assertion: { keys: [keys/current.pem], issuer: \"https://lakegate.example.com\" } }"),
    ];
    let shown = blocks.iter().filter_map(|block| block.strip_prefix("yaml\n# lakegate.yaml\n"));
    let mut loaded = 0;
    for example in shown {
        let further: Vec<&str> = rest.iter().filter(|(key, _)| !example.lines().any(|line| line.starts_with(key))).map(|(_, line)| *line).collect();
        fs::write(&file, format!("{}\n{example}\n", further.join("\n"))).unwrap();
        let told = check(&file);
        assert!(!told.contains("warning"), "{example}\n{told}");
        loaded += 1;
    }
    let bodies: Vec<serde_json::Value> =
        blocks.iter().filter_map(|block| block.strip_prefix("json\n")).map(|body| serde_json::from_str(body).unwrap()).collect();
    // the account's has no subject, a service principal's must have one
    let [inventory, account, principal] = &bodies[..] else { panic!("an inventory and two policies") };
    let has = |policy: &serde_json::Value, name: &str| policy["oidc_policy"][name].is_string();
    assert!(
        has(account, "issuer") && has(account, "subject_claim") && !has(account, "subject") && has(principal, "issuer") && has(principal, "subject")
    );
    assert_eq!(loaded, 6);
    fs::write(folder.path().join("entities.json"), inventory.to_string()).unwrap();
    let listing = rest.map(|(key, line)| if key == "policy:" { "policy: { dir: policies, entities: entities.json }" } else { line }).join("\n");
    let workspace = "workspaces: [{ name: stage, hosts: [stage.cloud.databricks.com], environment: staging }]";
    fs::write(&file, format!("{listing}\n{workspace}\n")).unwrap();
    assert!(!check(&file).contains("warning"));
}

/// Laid out as the deployment mounts it below /etc/lakegate.
#[test]
fn the_base_of_the_manifests_is_good() {
    let (etc, base) = (tempfile::tempdir().unwrap(), checkout().join("manifests/base"));
    for folder in ["config", "policies"] {
        fs::create_dir(etc.path().join(folder)).unwrap();
        for file in fs::read_dir(base.join(folder)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), etc.path().join(folder).join(file.file_name())).unwrap();
        }
    }
    fs::create_dir(etc.path().join("run")).unwrap();
    let tls = etc.path().join("tls");
    let authority = Authority::new(&tls).unwrap();
    let identity = authority.issue("lakegate", &Names::uri("spiffe://cluster.local/ns/lakegate-system/sa/lakegate")).unwrap();
    fs::copy(identity.certificate_file, tls.join("cert-chain.pem")).unwrap();
    fs::copy(identity.key_file, tls.join("key.pem")).unwrap();
    fs::copy(authority.ca_file(), tls.join("root-cert.pem")).unwrap();
    check(&etc.path().join("config/lakegate.yaml"));
}

/// Its files as they stand there, with as much of a configuration as they need around them.
#[test]
fn the_example_of_a_catalog_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(checkout().join("docs/catalog-format.md")).unwrap();
    for block in page.split("\n```yaml\n# ").skip(1) {
        let (name, text) = block.split("\n```").next().unwrap().split_once('\n').unwrap();
        fs::write(folder.path().join(name), text).unwrap();
    }
    let file = folder.path().join("lakegate.yaml");
    let around = "version: 1
listen: { check: 127.0.0.1:9191 }
peers: { trust_domains: [cluster.local] }
workspaces: [{ name: stage, hosts: [stage.cloud.databricks.com], environment: staging }]
policy: { dir: policies }
";
    fs::write(&file, around.to_owned() + &fs::read_to_string(&file).unwrap()).unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    let policy = r#"@id("reading") permit (principal, action == Action::"features.read", resource == FeatureView::"features/churn");"#;
    fs::write(folder.path().join("policies/features.cedar"), policy).unwrap();
    check(&file);

    let body = r#"{"views": [{"name": "churn"}], "run_as": {"user_name": "etl"}}"#;
    let url = "https://features.ml.svc.cluster.local/v1/materializations";
    let (code, told) = lakegate(checkout(), &["explain", "--config", file.to_str().unwrap(), "--catalog", "POST", url, body]);
    assert_eq!(code, Some(0), "{told}");
    assert!(page.contains(&told), "the page shows something else than:\n{told}");
}

/// What an operator has beside the catalog is the same before and after, unless the folder has an earlier version of it.
#[test]
fn a_catalog_is_held_against_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let own = "calls: [{ action: private.get, level: LEVEL, method: GET, path: /api/2.0/private }]\n";
    fs::write(at("own.yaml"), own.replace("LEVEL", "read")).unwrap();
    fs::create_dir(at("policies")).unwrap();
    let policies = "@id(\"reading\") permit (principal, action in Action::\"read\", resource);";
    fs::write(at("policies/all.cedar"), policies).unwrap();
    let config = "version: 1
listen: { check: 127.0.0.1:9191 }
peers: { trust_domains: [cluster.local] }
issuers: [{ name: corp, provider: generic, issuer: https://id.example.com, audiences: [lakegate] }]
workspaces: [{ name: stage, hosts: [stage.cloud.databricks.com], environment: staging }]
policy: { dir: policies }
catalog: { extra: [own.yaml] }
";
    fs::write(at("lakegate.yaml"), config).unwrap();
    fs::create_dir(at("before")).unwrap();
    for file in fs::read_dir(checkout().join("catalog")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), at("before").join(file.file_name())).unwrap();
    }
    let told = || {
        let (code, text) = lakegate(folder.path(), &["check", "--config", "lakegate.yaml", "--against", "before"]);
        assert_eq!(code, Some(0), "{text}");
        text
    };
    assert!(told().contains("0 actions are not what they were"), "{}", told());

    fs::write(at("before/own.yaml"), own.replace("LEVEL", "write")).unwrap();
    let jobs = fs::read_to_string(at("before/jobs.yaml")).unwrap();
    let edited = jobs.replacen("action: jobs.list, level: read", "action: jobs.list, level: use", 1);
    assert_ne!(jobs, edited);
    fs::write(at("before/jobs.yaml"), edited).unwrap();
    let text = told();
    for line in [
        "moved: `jobs.list` from `use` to `read`; policies: reading",
        "moved: `private.get` from `write` to `read`; policies: reading",
        "2 actions are not what they were, 2 of them in the scope of a policy",
    ] {
        assert!(text.contains(line), "{text}");
    }

    let (code, text) = lakegate(folder.path(), &["check", "--config", "lakegate.yaml", "--against", "policies"]);
    assert!(code == Some(3) && text.contains("there is no catalog file in it"), "{code:?} {text}");
}

/// Each `lakegate …` in the documents names a command that there is, with flags that it has.
#[test]
fn the_documented_commands_are_real() {
    let mut help = BTreeMap::new();
    let mut found = 0;
    for page in PAGES {
        let text = fs::read_to_string(checkout().join(page)).unwrap();
        for words in commands(&text) {
            found += 1;
            // those of `keys` are commands of their own
            let deep = if words.get(1).is_some_and(|word| word == "keys") { 2 } else { 1 };
            let command: Vec<String> = words.iter().skip(1).take(deep).cloned().collect();
            let page_of = |command: &Vec<String>| {
                let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
                lakegate(checkout(), &arguments)
            };
            let (code, usage) = help.entry(command.clone()).or_insert_with_key(page_of);
            assert_eq!(*code, Some(0), "{page}: `{}`: {usage}", words.join(" "));
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap();
                assert!(usage.contains(&format!("{flag} ")) || usage.contains(&format!("{flag}\n")), "{page}: `{}` has no `{flag}`", words.join(" "));
            }
        }
    }
    assert!(found >= 5, "only {found} commands are documented");
}

/// The words of every command line and code span that begins with `lakegate ` and a command.
fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().map(|line| line.trim_start_matches(['#', '$', ' ', '\t']));
    let spans = text.split('`').skip(1).step_by(2);
    let words = |line: &str| line.split_whitespace().map(|word| word.trim_end_matches(['…', '.', ',']).to_owned()).collect::<Vec<_>>();
    let is_command = |line: &&str| {
        line.strip_prefix("lakegate ").is_some_and(|rest| {
            ["serve", "check", "explain", "grants", "keys", "policies --", "reload --", "replay", "test", "token", "why", "can-i", "--"]
                .iter()
                .any(|known| rest.starts_with(known))
        })
    };
    // prose begins lines with `lakegate` too; its verbs are no commands
    lines.chain(spans).filter(is_command).map(words).collect()
}
