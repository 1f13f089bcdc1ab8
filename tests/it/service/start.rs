//! Starts that must fail: with the right exit code, in words that help, and with nothing left half-started.

use std::{fs, net::TcpListener};

use lakegate_testkit::{World, yaml};
use serde_json::{Value, json};

use crate::asking::{options, world};

/// Writes the world's configuration with `change` as `<name>.yaml` beside it.
fn variant(world: &World, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut config = world.config().clone();
    let ports = lakegate_testkit::ports::free::<2>().unwrap();
    config["listen"]["check"] = json!(format!("127.0.0.1:{}", ports[0]));
    config["listen"]["admin"] = json!(format!("127.0.0.1:{}", ports[1]));
    config["audit"]["file"] = json!(format!("{name}.jsonl"));
    change(&mut config);
    let file = format!("{name}.yaml");
    fs::write(world.folder().join(&file), yaml::write(&config)).unwrap();
    file
}

/// Misspells a key.
fn rename(value: &mut Value, from: &str, to: &str) {
    let map = value.as_object_mut().unwrap();
    let inner = map.remove(from).unwrap();
    map.insert(to.to_owned(), inner);
}

/// Exit code and everything that a command printed.
async fn run(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world.run(arguments).await.unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_fails_the_start_and_leaves_nothing() {
    let world = world(options()).await;
    for (taken, key, other) in [(world.check_port(), "check", "admin"), (world.admin_port(), "admin", "check")] {
        let [free] = lakegate_testkit::ports::free().unwrap();
        let file = variant(&world, key, |config| {
            config["listen"][key] = json!(format!("127.0.0.1:{taken}"));
            config["listen"][other] = json!(format!("127.0.0.1:{free}"));
        });
        let (code, text) = run(&world, &["serve", "--config", &file]).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&taken.to_string()) && text.contains(&format!("listen.{key}")), "{text}");
        assert!(!text.contains("lakegate serves"), "{text}");
        TcpListener::bind(("127.0.0.1", free)).unwrap_or_else(|error| panic!("listen.{other} is still held: {error}"));
    }
    assert_eq!(world.admin("/readyz").await.unwrap().0, 200);
}

/// What is wrong, and what the report must name: the file, its line, and the mend.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_is_explained() {
    let world = world(options().check_tls()).await;
    let write = |file: &str, text: &str| {
        let path = world.folder().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("typo/typo.cedar", "// a comment\n@id(\"typo\")\npermit (principal, action == Action::\"serving_endpoints.qeury\", resource);\n");
    write("broken/broken.cedar", "@id(\"broken\")\npermit (principal, action, resource\n");
    write("empty/empty.cedar", "");
    write("broken.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
    write("garbage.json", "<html>");
    let key = |name: &'static str, value: Value| move |config: &mut Value| config["listen"]["tls"][name] = value;
    let faulty = |name: &str, change: Box<dyn FnOnce(&mut Value)>| variant(&world, name, change);
    let cases: Vec<(String, &[&str])> = vec![
        (faulty("listn", Box::new(|config| rename(config, "listen", "listn"))), &["listn.yaml:", "`listn`", "`listen`"]),
        (
            faulty("audiencs", Box::new(|config| rename(&mut config["issuers"][0], "audiences", "audiencs"))),
            &["audiencs.yaml:", "`audiencs`", "`audiences`"],
        ),
        (faulty("mode", Box::new(|config| config["policy"]["mode"] = json!("shadw"))), &["mode.yaml:", "shadw", "shadow"]),
        (faulty("open", Box::new(|config| config["listen"]["tls"] = Value::Null)), &["open.yaml:", "tls"]),
        (faulty("typo", Box::new(|config| config["policy"]["dir"] = json!("typo"))), &["typo.cedar:3", "serving_endpoints.query"]),
        (faulty("broken", Box::new(|config| config["policy"]["dir"] = json!("broken"))), &["broken.cedar:"]),
        (faulty("empty", Box::new(|config| config["policy"]["dir"] = json!("empty"))), &["empty.cedar"]),
        (faulty("nowhere", Box::new(|config| config["policy"]["dir"] = json!("nowhere"))), &["nowhere"]),
        (faulty("nokeys", Box::new(|config| config["issuers"][0]["jwks_file"] = json!("none.json"))), &["nokeys.yaml:", "none.json"]),
        (faulty("garbage", Box::new(|config| config["issuers"][0]["jwks_file"] = json!("garbage.json"))), &["garbage.json"]),
        (faulty("nocert", Box::new(key("cert", json!("none.pem")))), &["nocert.yaml:", "none.pem"]),
        (faulty("badcert", Box::new(key("cert", json!("broken.pem")))), &["broken.pem"]),
        (faulty("badkey", Box::new(key("key", json!("broken.pem")))), &["broken.pem"]),
        (faulty("badca", Box::new(key("client_ca", json!("broken.pem")))), &["broken.pem"]),
        (faulty("otherkey", Box::new(key("key", json!("certificates/egress.key")))), &["certificates/egress.key"]),
    ];
    let mut wrong = Vec::new();
    for (file, needles) in cases {
        // both load the same way; a few starts are enough to see that
        let served = ["listn.yaml", "typo.yaml", "garbage.yaml", "otherkey.yaml"].contains(&file.as_str());
        for command in if served { ["check", "serve"].as_slice() } else { &["check"] } {
            let (code, text) = run(&world, &[command, "--config", &file]).await;
            if code != Some(3) {
                wrong.push(format!("{command} {file}: exit {code:?}: {text}"));
            }
            wrong.extend(needles.iter().filter(|needle| !text.contains(**needle)).map(|needle| format!("{command} {file}: no `{needle}` in {text}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_are_told_at_once() {
    let world = world(options()).await;
    let file = variant(&world, "many", |config| {
        config["listn"] = json!({});
        config["workspaces"][0]["hosts"] = json!(["HTTPS://x"]);
        config["limits"] = json!({ "token": "16" });
    });
    let output = world.run(&["check", "--config", &file, "--output", "json"]).await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let faults = report["faults"].as_array().unwrap();
    assert!(faults.len() >= 3, "{report}");
    assert!(faults.iter().all(|fault| fault["line"].is_u64() && fault["file"].as_str().unwrap().contains("many.yaml")), "{report}");
}
