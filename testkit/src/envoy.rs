//! Real Envoys, configured as Istio configures an egress gateway and a sidecar.

mod bootstrap;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::Process;
pub use bootstrap::{Asks, Gateway, LAKEGATE, Sidecar};

const PATIENCE: Duration = Duration::from_mins(1);

/// A running Envoy; killed when dropped.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: String,
    ports: Vec<(String, u16)>,
}

/// The gateway's doors: the same way out, guarded the same, that differ in what Envoy does to a request before lakegate is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// As Istio's egress gateway: mTLS, paths normalized, the caller's names written to `x-forwarded-client-cert`.
    Istio,
    /// mTLS, nothing normalized, headers given to lakegate raw and apart (`encode_raw_headers`), with the caller's certificate (`include_peer_certificate`).
    Bare,
    /// No TLS, thus no peer; otherwise as `Bare`.
    Plain,
    /// As Istio's waypoint with `xfcc-include-client-identity`: mTLS has ended before, `x-forwarded-client-cert` is overwritten with who `TUNNEL_PEER` says.
    Waypoint,
    /// As a sidecar's inbound listener: mTLS, what it writes to `x-forwarded-client-cert` stands behind what the caller sent.
    Appending,
}

/// The header that stands for the certificate of the outer tunnel, which a waypoint's inner listener does not see.
pub const TUNNEL_PEER: &str = "x-tunnel-peer";

// === impl Envoy ===

impl Envoy {
    /// Where `make tools` puts Envoy in this checkout.
    #[must_use]
    pub fn installed() -> PathBuf {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."));
        checkout.join(".tools/envoy")
    }

    /// Starts an egress gateway with all of `Listener`.
    ///
    /// # Errors
    /// When the binary is not there, Envoy refuses its configuration, or it is not ready within a minute.
    pub async fn gateway(binary: &Path, folder: &Path, gateway: &Gateway<'_>) -> io::Result<Self> {
        Self::start(binary, folder, "gateway", &gateway.bootstrap()).await
    }

    /// Starts a workload's sidecar, whose one listener is `outbound`.
    ///
    /// # Errors
    /// As `gateway`.
    pub async fn sidecar(binary: &Path, folder: &Path, sidecar: &Sidecar<'_>) -> io::Result<Self> {
        Self::start(binary, folder, "sidecar", &sidecar.bootstrap()).await
    }

    async fn start(binary: &Path, folder: &Path, name: &str, bootstrap: &Value) -> io::Result<Self> {
        if !binary.exists() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no Envoy at {}: run `make tools`", binary.display())));
        }
        let config = folder.join(format!("{name}.json"));
        let admin_file = folder.join(format!("{name}.admin"));
        fs::write(&config, serde_json::to_vec_pretty(bootstrap)?)?;
        match fs::remove_file(&admin_file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut command = Command::new(binary);
        // --use-dynamic-base-id: several Envoys on one machine would otherwise fight for one piece of shared memory
        command.args(["--concurrency", "1", "--log-level", "warning", "--skip-deprecated-logs", "--use-dynamic-base-id"]);
        command.arg("-c").arg(&config).arg("--admin-address-path").arg(&admin_file);
        let mut process = Process::spawn(name, command, folder)?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().map_err(io::Error::other)?;
        let ready = async || {
            let Ok(address) = fs::read_to_string(&admin_file) else { return false };
            http.get(format!("http://{address}/ready")).send().await.is_ok_and(|answer| answer.status().is_success())
        };
        process.wait_until(PATIENCE, ready).await?;
        let admin = fs::read_to_string(&admin_file)?;
        let listeners = http.get(format!("http://{admin}/listeners?format=json")).send().await.map_err(io::Error::other)?;
        let listeners: Value = listeners.json().await.map_err(io::Error::other)?;
        Ok(Self { process, admin, ports: ports(&listeners) })
    }

    /// The port of a listener of the gateway.
    ///
    /// # Errors
    /// When this Envoy is no gateway.
    pub fn port(&self, listener: Listener) -> io::Result<u16> {
        self.port_named(listener.name())
    }

    /// The port that a sidecar's application talks to.
    ///
    /// # Errors
    /// When this Envoy is no sidecar.
    pub fn outbound(&self) -> io::Result<u16> {
        self.port_named(bootstrap::OUTBOUND)
    }

    /// `host:port` of its admin interface.
    #[must_use]
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// What it logged.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    fn port_named(&self, name: &str) -> io::Result<u16> {
        let found = self.ports.iter().find(|(have, _)| have == name);
        found.map(|(_, port)| *port).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("this Envoy has no listener `{name}`")))
    }
}

// === impl Listener ===

impl Listener {
    /// Those that differ in what becomes of a request.
    pub const ALL: [Self; 3] = [Self::Istio, Self::Bare, Self::Plain];

    /// Those that differ in what becomes of the caller's names.
    pub const PEERS: [Self; 2] = [Self::Waypoint, Self::Appending];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Istio => "istio",
            Self::Bare => "bare",
            Self::Plain => "plain",
            Self::Waypoint => "waypoint",
            Self::Appending => "appending",
        }
    }
}

/// The ports that Envoy chose, by listener, from its own list.
fn ports(listeners: &Value) -> Vec<(String, u16)> {
    let statuses = listeners.get("listener_statuses").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let port = |status: &Value| {
        let name = status.get("name")?.as_str()?.to_owned();
        let port = status.pointer("/local_address/socket_address/port_value")?.as_u64()?;
        Some((name, u16::try_from(port).ok()?))
    };
    statuses.iter().filter_map(port).collect()
}

#[cfg(test)]
mod tests;
