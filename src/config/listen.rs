use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use super::{files, forms, path::KeyPath, raw, report::Report};
use crate::text::quoted;

/// Where lakegate listens, and who may ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where Envoy asks. On loopback, or with `tls`, or `insecure`.
    pub check: SocketAddr,
    pub tls: Option<Tls>,
    /// The check port is open to whoever reaches it, so nothing may ever be minted.
    pub insecure: bool,
    pub admin: SocketAddr,
    /// The Unix socket of the control listener; its folder is there, and its name is short enough for the system.
    pub control: Option<PathBuf>,
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

pub(super) fn listen(raw: &raw::Listen, path: &KeyPath, report: &mut Report<'_>) -> Option<Listen> {
    let insecure = raw.insecure.unwrap_or_default();
    let tls = raw.tls.as_ref().map(|raw| tls(raw, &path.key("tls"), report));
    let check = raw.check.as_deref().and_then(|text| forms::address(text, &path.key("check"), report));
    let admin = forms::address(raw.admin.as_deref().unwrap_or(ADMIN), &path.key("admin"), report);
    let control = raw.control.as_deref().map(|written| socket(written, &path.key("control"), report));
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
    let control = match control {
        Some(socket) => Some(socket?),
        None => None,
    };
    Some(Listen { check: check?, tls: tls.flatten(), insecure, admin: admin?, control })
}

/// A Unix socket that lakegate makes.
fn socket(written: &Path, path: &KeyPath, report: &mut Report<'_>) -> Option<PathBuf> {
    let text = written.to_string_lossy();
    if let Some(help) = control_help(&text) {
        report.fault(path, format!("an address as {}, {}, is not available in this version", quoted(&path.to_string()), quoted(&text)), help);
        return None;
    }
    let made = files::to_be_made(written, path, report)?;
    let length = made.as_os_str().len();
    if length > SOCKET_MAX {
        let help = "write a shorter path, or keep the configuration file in a folder nearer to the root";
        report.fault(path, format!("{} has {length} bytes; the name of a socket has at most {SOCKET_MAX}", quoted(&made.to_string_lossy())), help);
        return None;
    }
    if fs::symlink_metadata(&made).is_ok_and(|meta| !meta.file_type().is_socket()) {
        report.fault(path, format!("{} is there and is no socket", quoted(&text)), "name a file that lakegate may make");
        return None;
    }
    Some(made)
}

fn tls(raw: &raw::Tls, path: &KeyPath, report: &mut Report<'_>) -> Option<Tls> {
    let mut file = |key: &str, written: &Option<PathBuf>| written.as_deref().and_then(|written| files::file(written, &path.key(key), report));
    let (cert, key, client_ca) = (file("cert", &raw.cert), file("key", &raw.key), file("client_ca", &raw.client_ca));
    let allow = forms::some(raw.allow.as_deref()?, &path.key("allow"), report, forms::spiffe_pattern);
    Some(Tls { cert: cert?, key: key?, client_ca: client_ca?, allow: allow? })
}

/// Whether one of two listeners would find its port taken; port 0 is a free one each time.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// Bytes of `sun_path` in Linux, without the zero at its end (unix(7)).
const SOCKET_MAX: usize = 107;

const ADMIN: &str = "127.0.0.1:9192";

/// What to write in place of `text` as `listen.control`, where it is an address, which this version does not have there.
fn control_help(text: &str) -> Option<&'static str> {
    let (host, port) = text.rsplit_once(':')?;
    let address = !host.contains('/') && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    address.then_some("name a Unix socket, as `lakegate.sock`; `kubectl exec` reaches it in a pod")
}
