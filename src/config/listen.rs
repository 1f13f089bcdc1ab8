use std::{net::SocketAddr, path::PathBuf};

use super::{files, forms, path::KeyPath, raw, report::Report, words::PeerSource};

/// Where lakegate listens, and who may ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where Envoy asks. On loopback, or with `tls`, or `insecure`.
    pub check: SocketAddr,
    pub tls: Option<Tls>,
    /// The check port is open to whoever reaches it, so nothing may ever be minted.
    pub insecure: bool,
    pub admin: SocketAddr,
    pub control: Option<Control>,
}

/// Mutual TLS on the check port: always with client certificates, since an answer can carry a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub client_ca: PathBuf,
    /// SPIFFE IDs in which `*` stands for one whole segment of the path; never empty.
    pub allow: Vec<String>,
}

/// Where the commands that show or change state are heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// A Unix socket, guarded by the file system.
    Socket(PathBuf),
}

/// Which workloads of the mesh are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Never empty.
    pub trust_domains: Vec<String>,
    pub source: PeerSource,
    pub required: bool,
}

pub(super) fn listen(raw: &raw::Listen, path: &KeyPath, report: &mut Report<'_>) -> Option<Listen> {
    let insecure = raw.insecure.unwrap_or_default();
    let tls = raw.tls.as_ref().map(|raw| tls(raw, &path.key("tls"), report));
    let check = raw.check.as_deref().and_then(|text| forms::address(text, &path.key("check"), report));
    let admin = forms::address(raw.admin.as_deref().unwrap_or(ADMIN), &path.key("admin"), report);
    let control = raw.control.as_deref().map(|text| control(text, &path.key("control"), report));
    if let Some(check) = check.filter(|check| !check.ip().is_loopback() && !insecure && tls.is_none()) {
        let help = "add `tls` with `client_ca` and `allow`, listen on `127.0.0.1`, or write `insecure: true`";
        report.fault(&path.key("check"), format!("`{check}` can be reached from elsewhere, and nothing says who may ask"), help);
    }
    if insecure && tls.is_some() {
        report.fault(&path.key("insecure"), "`insecure` and `tls` contradict each other", "remove one of them");
    }
    if let (Some(check), Some(admin)) = (check, admin)
        && collide(check, admin)
    {
        report.fault(&path.key("admin"), format!("`{admin}` has the port of `listen.check`"), "give each a port of its own");
    }
    Some(Listen { check: check?, tls: tls.flatten(), insecure, admin: admin?, control: control.flatten() })
}

pub(super) fn peers(raw: &raw::Peers, path: &KeyPath, report: &mut Report<'_>) -> Option<Peers> {
    let trust_domains = forms::some(raw.trust_domains.as_deref()?, &path.key("trust_domains"), report, forms::trust_domain)?;
    Some(Peers { trust_domains, source: raw.source.unwrap_or_default(), required: raw.required.unwrap_or(true) })
}

fn tls(raw: &raw::Tls, path: &KeyPath, report: &mut Report<'_>) -> Option<Tls> {
    let mut file = |key: &str, written: &Option<PathBuf>| written.as_deref().and_then(|written| files::file(written, &path.key(key), report));
    let (cert, key, client_ca) = (file("cert", &raw.cert), file("key", &raw.key), file("client_ca", &raw.client_ca));
    let allow = forms::some(raw.allow.as_deref()?, &path.key("allow"), report, forms::spiffe_pattern);
    Some(Tls { cert: cert?, key: key?, client_ca: client_ca?, allow: allow? })
}

fn control(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<Control> {
    if text.contains(':') {
        report.fault(path, "a control address is not available in this version", "name a Unix socket, as `lakegate.sock`");
        return None;
    }
    let socket = files::to_be_made(text.as_ref(), path, report)?;
    if socket.as_os_str().len() > SOCKET_BYTES {
        report.fault(path, format!("the path of the socket is longer than {SOCKET_BYTES} bytes"), "name one nearer to the root");
        return None;
    }
    Some(Control::Socket(socket))
}

/// Whether one of two listeners would find its port taken; port 0 is a free one each time.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

const ADMIN: &str = "127.0.0.1:9192";

/// What a Unix socket's address holds on every system (`sun_path` of macOS: 104 with its NUL).
const SOCKET_BYTES: usize = 103;
