//! A real LDAP directory: Debian's slapd on a free loopback port, with a few people and their groups.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::keycloak::SECRET;
use crate::lakegate;
use crate::ports;
use crate::process::Process;

/// The entry under which everything is.
pub const SUFFIX: &str = "dc=example,dc=org";

const PATIENCE: Duration = Duration::from_mins(1);
const PORT_ATTEMPTS: usize = 3;

/// The people, and the groups they are members of; each one's password is the testkit's one secret.
const PEOPLE: [(&str, &[&str]); 2] = [("lena", &["ml-engineers", "data-readers"]), ("leo", &["data-readers"])];

/// A running directory; it ends when dropped.
#[derive(Debug)]
pub struct Directory {
    url: String,
    _process: Process,
    _folder: TempDir,
}

// === impl Directory ===

impl Directory {
    /// # Errors
    /// When slapd is not installed or does not start; the message has what it wrote.
    pub async fn start() -> io::Result<Self> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."));
        let installed = checkout.join(".tools/slapd");
        if !installed.join("stamp").exists() {
            let message = format!("no slapd in {}: run `make identity-tools`", installed.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        let folder = tempfile::Builder::new().prefix("lakegate-directory-").tempdir()?;
        let (config, entries) = (folder.path().join("slapd.conf"), folder.path().join("entries.ldif"));
        fs::create_dir(folder.path().join("data"))?;
        fs::write(&config, configuration(&installed, folder.path()))?;
        fs::write(&entries, ldif())?;
        let program: PathBuf = installed.join("run");
        let paths = [config.display().to_string(), entries.display().to_string()];
        let [config_path, entries_path] = &paths;
        let added = lakegate::command(program.clone(), folder.path(), &["-Tadd", "-f", config_path, "-l", entries_path], PATIENCE).await?;
        if !added.status.success() {
            return Err(io::Error::other(format!("slapd took no entries: {}", String::from_utf8_lossy(&added.stderr))));
        }
        let mut attempt = 1;
        loop {
            let [port] = ports::free()?;
            let url = format!("ldap://127.0.0.1:{port}");
            let mut command = Command::new(&program);
            command.args(["-h", &url, "-f", config_path, "-d", "0"]);
            let mut process = Process::spawn("slapd", command, folder.path())?;
            match process.wait_until(PATIENCE, async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()).await {
                Ok(()) => return Ok(Self { url, _process: process, _folder: folder }),
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe && attempt < PORT_ATTEMPTS => attempt += 1,
                Err(e) => return Err(e),
            }
        }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn configuration(installed: &Path, folder: &Path) -> String {
    let (installed, folder) = (installed.display(), folder.display());
    format!(
        "include {installed}/etc/ldap/schema/core.schema\n\
         include {installed}/etc/ldap/schema/cosine.schema\n\
         include {installed}/etc/ldap/schema/inetorgperson.schema\n\
         modulepath {installed}/usr/lib/ldap\n\
         moduleload back_mdb\n\
         pidfile {folder}/slapd.pid\n\
         database mdb\n\
         maxsize 10485760\n\
         suffix \"{SUFFIX}\"\n\
         rootdn \"cn=admin,{SUFFIX}\"\n\
         rootpw {SECRET}\n\
         directory {folder}/data\n"
    )
}

fn ldif() -> String {
    let mut entries = vec![format!("dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example")];
    entries.extend(["people", "groups"].map(|unit| format!("dn: ou={unit},{SUFFIX}\nobjectClass: organizationalUnit\nou: {unit}")));
    entries.extend(PEOPLE.map(|(name, _)| {
        format!(
            "dn: uid={name},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\ngivenName: {name}\nsn: Ldap\n\
             mail: {name}@example.org\nuserPassword: {SECRET}"
        )
    }));
    entries.extend(["ml-engineers", "data-readers"].map(|group| {
        let members = PEOPLE.iter().filter(|(_, groups)| groups.contains(&group)).map(|(name, _)| format!("\nmember: uid={name},ou=people,{SUFFIX}"));
        format!("dn: cn={group},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: {group}{}", members.collect::<String>())
    }));
    entries.join("\n\n") + "\n"
}
