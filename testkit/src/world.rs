//! All of it together, in one folder: two issuers, an authority with a few workloads, a workspace, lakegate and the gateway.

mod config;
mod folder;
mod options;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};

use serde_json::Value;

use crate::audit::Audit;
use crate::authority::{Authority, Identity, Names, spiffe_id};
use crate::envoy::{Asks, Envoy, Gateway, LAKEGATE, Listener, Sidecar};
use crate::issuer::Issuer;
use crate::lakegate::{self, Lakegate};
use crate::raw::Client;
use crate::workspace::Workspace;
use crate::{ports, yaml};
pub use config::{STAGE, WORKSPACES, WorkspaceFacts};
use folder::Folder;
pub use options::Options;

/// How often lakegate is started on other ports, should one be taken in the meantime.
const PORT_ATTEMPTS: usize = 5;

const CLOCK_FILE: &str = "clock";

/// A running world; everything in it ends when it is dropped.
pub struct World {
    // in the order in which they must go: the gateway first, so that nothing is asked of who is gone
    gateway: Envoy,
    lakegate: Lakegate,
    pub corp: Issuer,
    pub other: Issuer,
    pub workspace: Workspace,
    pub authority: Authority,
    pub audit: Audit,
    pub workloads: Workloads,
    /// The gateway's own certificate.
    pub gateway_identity: Identity,
    config: Value,
    admin: u16,
    check: u16,
    options: Options,
    folder: Folder,
}

/// The workloads of the mesh, by their SVIDs.
#[derive(Debug)]
pub struct Workloads {
    /// `ml-staging/trainer`: the one that policies mostly speak of.
    pub trainer: Identity,
    /// `ml-prod/server`.
    pub server: Identity,
    /// `dev/notebook`: of a namespace without rights.
    pub notebook: Identity,
}

// === impl World ===

impl World {
    /// Brings everything up; returns once lakegate and the gateway are ready.
    ///
    /// # Errors
    /// When a part cannot be started; the message holds what that part wrote.
    pub async fn start(options: Options) -> io::Result<Self> {
        let folder = Folder::open(options.folder.clone())?;
        let path = folder.path();
        let authority = Authority::new(&path.join("certificates"))?;
        let gateway_names = Names {
            uris: vec![spiffe_id("istio-egress", "egress")],
            dns: WORKSPACES.iter().map(|workspace| workspace.host.to_owned()).collect(),
            common_name: None,
        };
        let gateway_identity = authority.issue("egress", &gateway_names)?;
        authority.issue("lakegate", &Names { dns: vec!["lakegate.lakegate-system.svc".to_owned()], ..Names::uri(LAKEGATE) })?;
        let workloads = Workloads {
            trainer: authority.workload("ml-staging", "trainer")?,
            server: authority.workload("ml-prod", "server")?,
            notebook: authority.workload("dev", "notebook")?,
        };
        let (corp, other, workspace) = tokio::try_join!(Issuer::start("corp"), Issuer::start("other"), Workspace::start())?;
        let policies = path.join("policies");
        fs::create_dir_all(&policies)?;
        for (name, text) in &options.policies {
            fs::write(policies.join(name), text)?;
        }
        let (lakegate, config, [check, admin]) = start_lakegate(&options, path, &[&corp, &other]).await?;
        let asks = if options.check_tls { Asks::Tls(Some(&gateway_identity)) } else { Asks::Plainly };
        let gateway = Gateway { identity: &gateway_identity, ca_file: authority.ca_file(), check, asks, workspace: workspace.port() };
        let gateway = Envoy::gateway(&options.envoy, path, &gateway).await?;
        let audit = Audit::new(path.join("audit.jsonl"));
        Ok(Self { gateway, lakegate, corp, other, workspace, authority, audit, workloads, gateway_identity, config, admin, check, options, folder })
    }

    /// The folder with everything in it: `lakegate.yaml`, `policies/`, `audit.jsonl`, certificates and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder().join("lakegate.yaml")
    }

    /// The configuration as it was written, to be changed and written again.
    #[must_use]
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// The port of lakegate's check service, for callers that speak `ext_authz` themselves.
    #[must_use]
    pub fn check_port(&self) -> u16 {
        self.check
    }

    /// The port of lakegate's admin interface.
    #[must_use]
    pub fn admin_port(&self) -> u16 {
        self.admin
    }

    /// The port of one of the gateway's doors.
    ///
    /// # Errors
    /// None that a started world has.
    pub fn gateway_port(&self, listener: Listener) -> io::Result<u16> {
        self.gateway.port(listener)
    }

    /// A caller at one of the gateway's doors; at `Plain` the identity is not shown.
    ///
    /// # Errors
    /// When the identity is unusable.
    pub fn client(&self, listener: Listener, identity: &Identity) -> io::Result<Client> {
        let port = self.gateway.port(listener)?;
        match listener {
            Listener::Plain | Listener::Waypoint => Ok(Client::plain(port)),
            Listener::Istio | Listener::Bare | Listener::Appending => Client::mtls(port, &self.authority, identity, STAGE.host),
        }
    }

    /// Starts a sidecar that brings plain HTTP to the gateway as `identity`, for `host`.
    ///
    /// # Errors
    /// When Envoy cannot be started.
    pub async fn sidecar(&self, identity: &Identity, host: &str) -> io::Result<Envoy> {
        let sidecar = Sidecar {
            identity,
            ca_file: self.authority.ca_file(),
            gateway: self.gateway.port(Listener::Istio)?,
            gateway_id: &spiffe_id("istio-egress", "egress"),
            host,
        };
        Envoy::sidecar(&self.options.envoy, self.folder(), &sidecar).await
    }

    /// Status and body of a path on lakegate's admin port.
    ///
    /// # Errors
    /// When nothing answers.
    pub async fn admin(&self, path: &str) -> io::Result<(u16, String)> {
        self.lakegate.admin(path).await
    }

    /// Runs another lakegate command in the world's folder.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn run(&self, arguments: &[&str]) -> io::Result<Output> {
        lakegate::run(&self.options.lakegate, self.folder(), arguments).await
    }

    /// Writes a policy file; lakegate notices by itself.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_policy(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.folder().join("policies").join(name), text)
    }

    /// Writes another configuration; lakegate notices by itself what it can change while running.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_config(&mut self, config: Value) -> io::Result<()> {
        fs::write(self.config_file(), yaml::write(&config))?;
        self.config = config;
        Ok(())
    }

    /// Moves lakegate's clock by so many seconds from the real time, as `Options::test_clock` allows; it follows a moment later, so ask until it has.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn move_clock(&self, seconds: i64) -> io::Result<()> {
        // renamed into place: a half-written number would be another time
        let (file, new) = (self.folder().join(CLOCK_FILE), self.folder().join("clock.new"));
        fs::write(&new, (seconds * 1000).to_string())?;
        fs::rename(new, file)
    }

    /// The running lakegate, for signals and logs.
    pub fn lakegate(&mut self) -> &mut Lakegate {
        &mut self.lakegate
    }

    /// Stops lakegate with SIGTERM and starts it again on the same ports with the configuration as it now stands.
    ///
    /// # Errors
    /// When it does not end or does not start.
    pub async fn restart_lakegate(&mut self) -> io::Result<ExitStatus> {
        self.lakegate.process().signal(rustix::process::Signal::TERM)?;
        let status = self.lakegate.process().wait(std::time::Duration::from_mins(1)).await?;
        self.start_lakegate().await?;
        Ok(status)
    }

    /// Starts lakegate, which has ended, on the same ports with the configuration as it now stands.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_lakegate(&mut self) -> io::Result<()> {
        let (folder, config, clock) = (self.folder.path(), self.config_file(), self.folder().join(CLOCK_FILE));
        self.lakegate = Lakegate::start(&self.options.serve(folder, &config, &clock, self.admin)).await?;
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.keep();
        }
    }
}

/// Starts lakegate on ports free a moment ago, and on others should somebody have been faster.
async fn start_lakegate(options: &Options, folder: &Path, issuers: &[&Issuer]) -> io::Result<(Lakegate, Value, [u16; 2])> {
    let (file, clock) = (folder.join("lakegate.yaml"), folder.join(CLOCK_FILE));
    let mut attempt = 1;
    loop {
        let taken @ [check, admin] = ports::free()?;
        let mut config = config::default(check, admin, issuers);
        if options.check_tls
            && let Some(listen) = config.get_mut("listen").and_then(Value::as_object_mut)
        {
            listen.insert("tls".to_owned(), config::check_tls());
        }
        (options.configure)(&mut config);
        fs::write(&file, yaml::write(&config))?;
        match Lakegate::start(&options.serve(folder, &file, &clock, admin)).await {
            Ok(lakegate) => return Ok((lakegate, config, taken)),
            Err(e) if attempt < PORT_ATTEMPTS && e.to_string().to_ascii_lowercase().contains("address already in use") => attempt += 1,
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests;
