use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;
use crate::raw::Request;

/// Ready at once, and nothing more: nobody answers on its check port.
const ONLY_READY: &str = r#"#!/usr/bin/env python3
import http.server, re, sys
port = int(re.search(r'admin: "127.0.0.1:(\d+)"', open(sys.argv[3]).read())[1])
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.send_header("content-length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", port), Ready).serve_forever()
"#;

fn binary(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("lakegate");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_comes_up_around_whatever_says_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(binary(folder.path(), ONLY_READY)).configure(|config| config["peers"]["required"] = json!(false));
    let mut world = World::start(options).await.unwrap();
    assert_eq!(world.admin("/nothing").await.unwrap().0, 404);
    let text = fs::read_to_string(world.config_file()).unwrap();
    assert!(text.contains("required: false") && text.contains(world.corp.url()), "{text}");
    assert!(fs::read_to_string(world.folder().join("policies/demo.cedar")).unwrap().contains("permit"));

    let client = world.client(Listener::Istio, &world.workloads.trainer).unwrap();
    let call = Request::new("GET", STAGE.host, "/api/2.2/jobs/list");
    assert_eq!(client.send(&call).await.unwrap().status, 503);
    world.restart_lakegate().await.unwrap();
    assert_eq!((client.send(&call).await.unwrap().status, world.workspace.count()), (503, 0));

    let path = world.folder().to_owned();
    drop(world);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_taken_port_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let script = ONLY_READY.replacen(
        "\nport =",
        "\nimport os\nif not os.path.exists(__file__ + '.tried'):\n    open(__file__ + '.tried', 'w')\n    sys.exit('Address already in use (os error 98)')\nport =",
        1,
    );
    let world = World::start(Options::new(binary(folder.path(), &script))).await.unwrap();
    assert!(folder.path().join("lakegate.tried").exists());
    assert_eq!(world.admin("/readyz").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_failed_start_tells_what_lakegate_said() {
    let folder = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\necho 'lakegate.yaml:3: unknown key `listn`' >&2\nexit 3\n";
    let error = World::start(Options::new(binary(folder.path(), script))).await.err().unwrap().to_string();
    assert!(error.contains("unknown key `listn`"), "{error}");
}
