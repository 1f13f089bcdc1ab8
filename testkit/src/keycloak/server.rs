use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::ports;
use crate::process::Process;

/// A start takes 10 s on an idle machine.
const PATIENCE: Duration = Duration::from_mins(8);

const PORT_ATTEMPTS: usize = 3;

/// The process.
#[derive(Debug)]
pub(super) struct Server {
    port: u16,
    _process: Process,
}

// === impl Server ===

impl Server {
    pub(super) async fn start() -> io::Result<Self> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."));
        let installed = checkout.join(".tools/keycloak");
        if !installed.join("stamp").exists() {
            let message = format!("no Keycloak in {}: run `make identity-tools`", installed.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        let mut attempt = 1;
        loop {
            let [port] = ports::free()?;
            match Self::start_at(port, &installed, &checkout.join("testkit/keycloak/keycloak.args")).await {
                Err(e) if attempt < PORT_ATTEMPTS && e.to_string().contains("already in use") => attempt += 1,
                other => return other,
            }
        }
    }

    async fn start_at(port: u16, installed: &Path, arguments: &Path) -> io::Result<Self> {
        // removed by the tether
        let folder = tempfile::Builder::new().prefix("lakegate-keycloak-").tempdir()?.keep();
        let mut process = Process::spawn_tethered("keycloak", &command(port, installed, arguments, &folder)?, &folder)?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().map_err(io::Error::other)?;
        let url = format!("http://127.0.0.1:{port}/realms/master/.well-known/openid-configuration");
        let ready = async || http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
        process.wait_until(PATIENCE, ready).await?;
        Ok(Self { port, _process: process })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

/// Keycloak as `kc.sh start` runs it, but with a folder of its own for what it writes, begun with the database that the installation left.
fn command(port: u16, installed: &Path, arguments: &Path, folder: &Path) -> io::Result<Command> {
    let home: PathBuf = installed.join("home");
    for part in ["lib", "conf", "providers", "themes"] {
        symlink(home.join(part), folder.join(part))?;
    }
    let database = folder.join("data/h2");
    fs::create_dir_all(&database)?;
    fs::copy(installed.join("template/data/h2/keycloakdb.mv.db"), database.join("keycloakdb.mv.db"))?;

    let mut command = Command::new("java");
    // without the archive, as after an update of Java, the start only takes longer
    command.arg(format!("-XX:SharedArchiveFile={}", installed.join("classes.jsa").display()));
    command.args(["-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]);
    command.arg(format!("@{}", arguments.display()));
    command.arg(format!("-Dkc.home.dir={}", folder.display()));
    command.arg(format!("-Djboss.server.config.dir={}", folder.join("conf").display()));
    command.arg("-cp").arg(home.join("lib/quarkus-run.jar")).arg("io.quarkus.bootstrap.runner.QuarkusEntryPoint");
    command.args(["start", "--optimized", "--cache=local", "--http-enabled=true", "--hostname-strict=false", "--http-host=127.0.0.1"]);
    command.arg(format!("--http-port={port}"));
    Ok(command)
}
