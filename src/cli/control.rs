//! Asking the lakegate that runs, over its control socket.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{net::UnixStream, runtime::Runtime, time::timeout};

use super::{Exit, output::Output};

/// A connection to a control socket.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
    path: PathBuf,
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unanswered(String);

/// A reload of very many policies takes its time.
const PATIENCE: Duration = Duration::from_mins(6);

/// Bytes of an answer.
const LONGEST: usize = 64 << 20;

// === impl Client ===

impl Client {
    /// # Errors
    /// In words for who types the command: nothing there, nobody listens, not allowed.
    pub(super) fn connect(path: &Path) -> Result<Self, Unanswered> {
        let failed = |error: io::Error| Unanswered(said(path, &error));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let stream = runtime.block_on(UnixStream::connect(path)).map_err(failed)?;
        let server = stream.peer_cred().map_err(failed)?.uid();
        trusted(path, server, rustix::process::geteuid().as_raw())?;
        let sender = runtime.block_on(async {
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // what ends it shows in the answer that does not come
            tokio::spawn(connection);
            Ok(sender)
        });
        let sender = sender.map_err(|error: hyper::Error| Unanswered(format!("`{}`: {error}", path.display())))?;
        Ok(Self { runtime, sender, path: path.to_owned() })
    }

    /// # Errors
    /// Where there is no whole answer.
    pub(super) fn ask(&mut self, method: Method, target: &str, body: Bytes) -> Result<Answer, Unanswered> {
        let path = self.path.clone();
        let failed = |cause: &dyn std::fmt::Display| Unanswered(format!("`{}`: {cause}", path.display()));
        let request =
            Request::builder().method(method).uri(target).header(header::HOST, "lakegate").body(Full::new(body)).map_err(|error| failed(&error))?;
        let Self { runtime, sender, .. } = self;
        let answer = async {
            // the server may have closed what was idle
            sender.ready().await.map_err(|_| closed(&path))?;
            let answer = sender.send_request(request).await.map_err(|_| closed(&path))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST).collect().await.map_err(|error| failed(&error))?;
            Ok(Answer { status, body: body.to_bytes() })
        };
        match runtime.block_on(async { timeout(PATIENCE, answer).await }) {
            Ok(answer) => answer,
            Err(_) => Err(failed(&"no answer came in time")),
        }
    }
}

// === impl Answer ===

impl Answer {
    /// The answer read as JSON where its status is one of `good`; else what lakegate says is wrong, printed.
    ///
    /// # Errors
    /// The exit code: 3 where the question is at fault.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self, good: &[StatusCode]) -> Result<T, Exit> {
        #[derive(Deserialize)]
        struct Problem {
            error: String,
        }
        if good.contains(&self.status) {
            return serde_json::from_slice(&self.body)
                .map_err(|error| Output::error(Exit::Failure, format_args!("the answer cannot be read: {error}")));
        }
        let exit = if self.status.is_client_error() { Exit::Invalid } else { Exit::Failure };
        match serde_json::from_slice(&self.body) {
            Ok(Problem { error }) => Err(Output::error(exit, error)),
            Err(_) => Err(Output::error(Exit::Failure, format_args!("lakegate answers with {}", self.status))),
        }
    }
}

fn said(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no `{shown}`: is `listen.control` set to it, and does lakegate run?"),
        io::ErrorKind::ConnectionRefused => format!("nobody listens on `{shown}`: the lakegate that made it has ended"),
        io::ErrorKind::PermissionDenied => format!("`{shown}` is for root and the user that lakegate runs as"),
        _ => format!("`{shown}`: {error}"),
    }
}

fn closed(path: &Path) -> Unanswered {
    let cause = "the connection was closed without an answer; it is for root and the user that lakegate runs as, and ends when lakegate does";
    Unanswered(format!("`{}`: {cause}", path.display()))
}

/// Whoever may write in the folder of the socket can put one of their own in its place, which would learn what is asked.
fn trusted(path: &Path, server: u32, own: u32) -> Result<(), Unanswered> {
    if own == 0 || server == 0 || server == own {
        return Ok(());
    }
    Err(Unanswered(format!("`{}` is served by user {server}; ask as that user, or as root", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_is_looked_at() {
        for (server, own, good) in [(1337, 1337, true), (0, 1337, true), (1337, 0, true), (1338, 1337, false)] {
            assert_eq!(trusted(Path::new("x.sock"), server, own).is_ok(), good, "{server} by {own}");
        }
    }

    #[test]
    fn what_is_in_the_way_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str| Client::connect(&folder.path().join(name)).unwrap_err().to_string();
        assert!(refused("none.sock").contains("is `listen.control` set to it"));
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("dead.sock")).unwrap());
        assert!(refused("dead.sock").contains("nobody listens"));
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(refused("file").contains("nobody listens"));
        assert!(refused(&"x".repeat(200)).contains("SUN_LEN"));
    }

    #[test]
    fn a_connection_that_is_closed_is_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mute.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || drop(listener.accept()));
        let answer = Client::connect(&path).and_then(|mut client| client.ask(Method::GET, "/v1/policies", Bytes::new()));
        assert!(answer.unwrap_err().to_string().contains("closed without an answer"));
        server.join().unwrap();
    }
}
