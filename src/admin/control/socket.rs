//! The Unix socket of the control listener: made for one user, and answered to by none but that user and root.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, Type};
use tokio::net::{UnixListener, UnixStream};

use super::super::server::Accept;

/// Who is at the other end, as the kernel says (`SO_PEERCRED`, unix(7)): it cannot be forged, and is of when they connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) uid: u32,
    pub(super) pid: Option<i32>,
}

/// A bound socket; its file is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode, by which the file is known to be this socket still.
    file: (u64, u64),
    own: u32,
}

/// How long another process that makes its socket in the same folder is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

// === impl Socket ===

impl Socket {
    /// Makes the socket at `path` for this user alone. What an earlier process left there is removed where it is a socket and nobody listens on it.
    ///
    /// Whoever connects between its making and its mode is asked for their user all the same.
    ///
    /// # Errors
    /// The system's, and what is in the way.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Two processes that both find a dead socket must not remove each other's new one.
        let lock = File::open(folder)?;
        if !locked(&lock)? {
            // whoever may read the folder can hold it, and must not keep lakegate from its start
            tracing::warn!(folder = %folder.display(), "another process holds a lock on the folder of the control socket; it is not waited for");
        }
        clear(path)?;
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let file = identity(path)?;
        Ok(Self { listener, path: path.to_owned(), file, own: rustix::process::geteuid().as_raw() })
    }
}

impl Accept for Socket {
    type Stream = UnixStream;
    type Client = Client;

    async fn accept(&self) -> io::Result<(UnixStream, Client)> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            // One that is gone already has no credentials.
            let Ok(known) = stream.peer_cred() else { continue };
            let client = Client { uid: known.uid(), pid: known.pid() };
            if client.may_ask(self.own) {
                return Ok((stream, client));
            }
            tracing::warn!(uid = client.uid, pid = client.pid, "another user than root and that of lakegate is refused at the control socket");
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Never the socket of a process that came after.
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

// === impl Client ===

impl Client {
    /// Root may read and end this process anyway, and so may its own user.
    fn may_ask(self, own: u32) -> bool {
        self.uid == 0 || self.uid == own
    }
}

/// Whether the lock could be had in time.
fn locked(folder: &File) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Removes a socket that nobody listens on, and nothing else.
fn clear(path: &Path) -> io::Result<()> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !meta.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket has its name"));
    }
    // Without waiting: a process that hangs lets its queue run full.
    let knock = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    knock.set_nonblocking(true)?;
    let used = || io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it");
    match knock.connect(&SockAddr::unix(path)?) {
        Ok(()) => Err(used()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(used()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::{
        fs::symlink,
        net::{UnixListener as Other, UnixStream as Knock},
    };

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn refused(path: &Path) -> String {
        Socket::bind(path).unwrap_err().to_string()
    }

    #[test]
    fn root_and_the_own_user_may_ask() {
        for (uid, own, may) in [(0, 1337, true), (1337, 1337, true), (1338, 1337, false), (65_534, 1337, false), (1337, 0, false), (0, 0, true)] {
            assert_eq!(Client { uid, pid: None }.may_ask(own), may, "{uid} of {own}");
        }
    }

    #[tokio::test]
    async fn it_is_its_users_alone_and_gone_with_its_process() {
        let folder = folder();
        let path = folder.path().join("lakegate.sock");
        let socket = Socket::bind(&path).unwrap();
        let meta = fs::symlink_metadata(&path).unwrap();
        assert_eq!((meta.file_type().is_socket(), meta.permissions().mode() & 0o777), (true, 0o600));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_nobody_listens_on_is_replaced() {
        let folder = folder();
        let path = folder.path().join("lakegate.sock");
        drop(Other::bind(&path).unwrap());
        assert!(path.exists(), "as a process leaves it that was killed");
        let _socket = Socket::bind(&path).unwrap();
        Knock::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn what_is_in_use_or_is_no_socket_is_left_alone() {
        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        let first = Socket::bind(&path("mine.sock")).unwrap();
        assert!(refused(&path("mine.sock")).contains("another process listens"));
        Knock::connect(path("mine.sock")).unwrap();
        fs::write(path("file"), "text").unwrap();
        assert!(refused(&path("file")).contains("no socket"));
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "text");
        // not even a link that leads to a dead socket
        drop(Other::bind(path("dead.sock")).unwrap());
        symlink(path("dead.sock"), path("link")).unwrap();
        assert!(refused(&path("link")).contains("no socket"));
        assert!(path("dead.sock").exists());
        fs::create_dir(path("folder")).unwrap();
        assert!(refused(&path("folder")).contains("no socket"));
        assert!(refused(&path("nowhere/x.sock")).contains("No such file"));
        drop(first);
    }

    #[tokio::test]
    async fn a_lock_that_somebody_holds_keeps_nobody_out() {
        let folder = folder();
        let held = File::open(folder.path()).unwrap();
        held.lock().unwrap();
        let _socket = Socket::bind(&folder.path().join("lakegate.sock")).unwrap();
        assert!(File::open(folder.path()).unwrap().try_lock().is_err(), "it is held still");
    }

    #[tokio::test]
    async fn the_socket_of_a_later_process_stays() {
        let folder = folder();
        let path = folder.path().join("lakegate.sock");
        let early = Socket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _late = Socket::bind(&path).unwrap();
        drop(early);
        Knock::connect(&path).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_that_find_a_dead_socket_one_takes_its_place() {
        let folder = folder();
        let path = folder.path().join("lakegate.sock");
        drop(Other::bind(&path).unwrap());
        let all: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                tokio::task::spawn_blocking(move || Socket::bind(&path))
            })
            .collect();
        let mut bound = Vec::new();
        for bind in all {
            bound.extend(bind.await.unwrap());
        }
        assert_eq!(bound.len(), 1);
        Knock::connect(&path).unwrap();
    }
}
