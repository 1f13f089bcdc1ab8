//! The servers that are measured, each a process of its own.

use std::{
    fmt::Write as _,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use lakegate_testkit::{
    issuer::Issuer,
    lakegate::{Lakegate, Serve},
    ports,
    process::Process,
    yaml,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{
    Outcome,
    calls::{HOST, TEAMS},
};

/// All of them, and the issuer whose tokens they are shown. Everything ends with it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) issuer: Issuer,
    /// The baseline first.
    pub(crate) servers: Vec<Server>,
}

/// One server under measurement.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Its process.
    pub(crate) id: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    AllowAll { _process: Process, _folder: TempDir },
    Lakegate { lakegate: Lakegate, folder: TempDir },
}

const POLICIES: [usize; 2] = [10, 1000];

const AUDIT: &str = "audit.jsonl";

// === impl World ===

impl World {
    pub(crate) async fn start() -> Outcome<Self> {
        let issuer = Issuer::start("corp").await?;
        let mut servers = vec![Server::allow_all().await?];
        for policies in POLICIES {
            servers.push(Server::lakegate(&issuer, policies).await?);
        }
        Ok(Self { issuer, servers })
    }
}

// === impl Server ===

impl Server {
    async fn allow_all() -> Outcome<Self> {
        let folder = TempDir::new()?;
        let [port] = ports::free()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--baseline").arg(port.to_string());
        let mut process = Process::spawn("allow-all", command, folder.path())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        process.wait_until(Duration::from_secs(20), async || TcpStream::connect(address).await.is_ok()).await?;
        Ok(Self { name: "allow-all".to_owned(), address, id: process.id(), kind: Kind::AllowAll { _process: process, _folder: folder } })
    }

    pub(crate) async fn lakegate(issuer: &Issuer, policies: usize) -> Outcome<Self> {
        let folder = TempDir::new()?;
        let [check, admin] = ports::free()?;
        write_policies(&folder.path().join("policies"), &policies_of(policies, 0))?;
        let config = folder.path().join("lakegate.yaml");
        fs::write(&config, yaml::write(&configuration(check, admin, issuer)))?;
        let binary = Path::new(env!("CARGO_BIN_EXE_lakegate"));
        let serve = Serve { binary, folder: folder.path(), config: &config, admin, test_clock: None };
        let mut lakegate = Lakegate::start(&serve).await?;
        let id = lakegate.process().id();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, check));
        Ok(Self { name: format!("lakegate, {policies} policies"), address, id, kind: Kind::Lakegate { lakegate, folder } })
    }

    /// Whether its answers must carry trust headers.
    pub(crate) fn vouches(&self) -> bool {
        matches!(self.kind, Kind::Lakegate { .. })
    }

    /// Empties its audit file, which is not part of the figures and would fill the disk.
    pub(crate) fn tidy(&self) -> io::Result<()> {
        match &self.kind {
            Kind::AllowAll { .. } => Ok(()),
            Kind::Lakegate { folder, .. } => fs::File::options().write(true).open(folder.path().join(AUDIT))?.set_len(0),
        }
    }

    /// How many records its audit writer has written; `None` where it keeps none.
    pub(crate) async fn recorded(&self) -> Outcome<Option<u64>> {
        self.counted("lakegate_audit_written_total").await
    }

    /// How many sets of policies it has published since it started.
    pub(crate) async fn reloads(&self) -> Outcome<Option<u64>> {
        self.counted("lakegate_config_reloads_total").await
    }

    /// Gives it other policies. The load goes on meanwhile.
    pub(crate) async fn rewrite(&self, policies: Arc<str>) -> Outcome<()> {
        let Kind::Lakegate { folder, .. } = &self.kind else { return Ok(()) };
        let folder = folder.path().join("policies");
        Ok(tokio::task::spawn_blocking(move || write_policies(&folder, &policies)).await??)
    }

    async fn counted(&self, name: &str) -> Outcome<Option<u64>> {
        let Kind::Lakegate { lakegate, .. } = &self.kind else { return Ok(None) };
        let (_, metrics) = lakegate.admin("/metrics").await?;
        let count = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        Ok(Some(count.ok_or(format!("`{name}` is not among the metrics"))?))
    }
}

/// Everything that has a price is on: tokens, mesh identities, policies, trust headers, the record, metrics.
fn configuration(check: u16, admin: u16, issuer: &Issuer) -> serde_json::Value {
    json!({
        "version": 1,
        "listen": { "check": format!("127.0.0.1:{check}"), "admin": format!("127.0.0.1:{admin}") },
        "peers": { "trust_domains": ["cluster.local"], "source": "principal", "required": true },
        "issuers": [{ "name": issuer.name(), "issuer": issuer.url(), "provider": "generic", "audiences": ["lakegate"] }],
        "workspaces": [{
            "name": "stage", "hosts": [HOST], "workspace_id": "1111111111111111", "environment": "staging", "credentials": { "mode": "strip" },
        }],
        "policy": { "dir": "policies" },
        "trust": { "prefix": "x-lakegate-" },
        "audit": { "file": AUDIT },
    })
}

/// Rules of group × action × resource × namespace. The first ten permit what the teams do; all others are about the same groups, actions and
/// namespaces and about objects that nobody asks for. Of `count`, one in a hundred says something else than those of another `edition`.
pub(crate) fn policies_of(count: usize, edition: usize) -> String {
    let mut text = String::new();
    for rule in 0..count {
        let team = rule % TEAMS;
        let (action, resource) = match rule {
            _ if rule < TEAMS => (r#"in [Action::"jobs.run_now", Action::"serving_endpoints.query"]"#, r#"in Environment::"staging""#.to_owned()),
            _ if rule.is_multiple_of(100) => (r#"== Action::"jobs.run_now""#, format!(r#"== Job::"stage/{}""#, 90_000_000 * (1 + edition) + rule)),
            _ if rule.is_multiple_of(2) => (r#"== Action::"jobs.run_now""#, format!(r#"== Job::"stage/{}""#, 9_000_000 + rule)),
            _ => (r#"== Action::"serving_endpoints.query""#, format!(r#"== ServingEndpoint::"stage/other-{rule}""#)),
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "@id(\"rule-{rule}\")\npermit (principal in Group::\"corp/team-{team}\", action {action}, resource {resource})\n\
             when {{ context.peer in Namespace::\"cluster.local/team-{team}\" }};"
        );
    }
    text
}

/// Whole or not at all.
fn write_policies(folder: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("rules.new"), text)?;
    fs::rename(folder.join("rules.new"), folder.join("rules.cedar"))
}
