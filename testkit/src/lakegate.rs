//! The lakegate binary as a process: started with a configuration file, asked on its admin port, stopped as Kubernetes stops it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::process::Process;

const PATIENCE: Duration = Duration::from_mins(1);

/// A running `lakegate serve`; killed when dropped.
#[derive(Debug)]
pub struct Lakegate {
    process: Process,
    admin: u16,
    http: reqwest::Client,
}

/// How to start it.
#[derive(Clone, Copy, Debug)]
pub struct Serve<'a> {
    pub binary: &'a Path,
    /// Where it runs and where its log is written.
    pub folder: &'a Path,
    pub config: &'a Path,
    /// The admin port that its configuration names.
    pub admin: u16,
    /// The file that moves its clock, of binaries built with the feature `test-clock`.
    pub test_clock: Option<&'a Path>,
}

// === impl Lakegate ===

impl Lakegate {
    /// Starts `lakegate serve` and waits until its admin port says it is ready.
    ///
    /// # Errors
    /// When it cannot be started; `BrokenPipe` when it ends at once, with what it wrote; `TimedOut` when it is not ready within a minute.
    pub async fn start(serve: &Serve<'_>) -> io::Result<Self> {
        let mut lakegate = Self::spawn(serve)?;
        let (http, url) = (lakegate.http.clone(), format!("http://127.0.0.1:{}/readyz", serve.admin));
        let ready = async || http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
        lakegate.process.wait_until(PATIENCE, ready).await?;
        Ok(lakegate)
    }

    /// Starts it without waiting, for starts that are meant to fail or to stay unready.
    ///
    /// # Errors
    /// When the binary cannot be run.
    pub fn spawn(serve: &Serve<'_>) -> io::Result<Self> {
        let mut command = Command::new(serve.binary);
        command.arg("serve").arg("--config").arg(serve.config);
        if let Some(file) = serve.test_clock {
            command.arg("--test-clock").arg(file);
        }
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().map_err(io::Error::other)?;
        Ok(Self { process: Process::spawn("lakegate", command, serve.folder)?, admin: serve.admin, http })
    }

    /// Status and body of a path on the admin port.
    ///
    /// # Errors
    /// When nothing answers.
    pub async fn admin(&self, path: &str) -> io::Result<(u16, String)> {
        let answer = self.http.get(format!("http://127.0.0.1:{}{path}", self.admin)).send().await.map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(io::Error::other)?))
    }

    /// Asks it to end with SIGTERM and waits until it has drained.
    ///
    /// # Errors
    /// `TimedOut` when it still runs after a minute.
    pub async fn stop(mut self) -> io::Result<ExitStatus> {
        self.process.signal(Signal::TERM)?;
        self.process.wait(PATIENCE).await
    }

    /// The process itself, for other signals and for its end.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it logged.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// Runs a lakegate command to its end in `folder`.
///
/// # Errors
/// When it cannot be run, or takes longer than a minute.
pub async fn run(binary: &Path, folder: &Path, arguments: &[&str]) -> io::Result<Output> {
    command(binary.to_owned(), folder, arguments, PATIENCE).await
}

/// Runs any program to its end, killed when it takes longer than `patience`.
///
/// # Errors
/// When it cannot be run, or takes too long.
pub async fn command(program: PathBuf, folder: &Path, arguments: &[&str], patience: Duration) -> io::Result<Output> {
    let child = tokio::process::Command::new(&program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("cannot run `{}`: {e}", program.display())))?;
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("`{}` took longer than {} s", program.display(), patience.as_secs()));
    tokio::time::timeout(patience, child.wait_with_output()).await.map_err(|_| late())?
}
