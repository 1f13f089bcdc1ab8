//! Child processes that cannot outlive whoever started them.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process, kill_process_group};
use tokio::time::{Instant, sleep};

const POLL: Duration = Duration::from_millis(10);

const TETHER: &str = include_str!("process/tether.sh");

/// A running child in a process group of its own, its output in a log file; the whole group is killed when this is dropped.
///
/// The group of its own also keeps a terminal's Ctrl-C from it: who started it decides when it ends.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Pid,
    log: PathBuf,
}

// === impl Process ===

impl Process {
    /// Starts `command` in `folder`; standard output and error are appended to `<folder>/<name>.log`.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started; the message names the program.
    pub fn spawn(name: &str, command: Command, folder: &Path) -> io::Result<Self> {
        Self::spawn_with(name, command, folder, Stdio::null())
    }

    /// Starts `command` as `spawn` does, and ties it to the life of this very process: both it and `folder` are gone a moment after this process is,
    /// also where nothing is dropped at its end, as of a `static`, or where it is killed.
    ///
    /// # Errors
    /// As `spawn`; a program that cannot be started shows only by its early end.
    pub fn spawn_tethered(name: &str, command: &Command, folder: &Path) -> io::Result<Self> {
        let mut tether = Command::new("sh");
        tether.args(["-c", TETHER, "tether"]).arg(folder).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => tether.env(key, value),
                None => tether.env_remove(key),
            };
        }
        // the pipe's other end stays in `child`; no other child inherits it
        Self::spawn_with(name, tether, folder, Stdio::piped())
    }

    fn spawn_with(name: &str, mut command: Command, folder: &Path, input: Stdio) -> io::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let out = OpenOptions::new().create(true).append(true).open(&log)?;
        let err = out.try_clone()?;
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .current_dir(folder)
            .stdin(input)
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("cannot start `{program}`: {e}")))?;
        let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            child.kill()?;
            return Err(io::Error::other(format!("`{program}` has no usable process id")));
        };
        Ok(Self { name: name.to_owned(), child, group, log })
    }

    /// The process id, which is the id of its group too.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it has written so far, for messages and for tests about its log.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Its exit status, once it has ended.
    ///
    /// # Errors
    /// When the operating system cannot be asked.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends a signal to the process itself, not to its children: how Kubernetes stops a container.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(self.group, signal)?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// `TimedOut` when it still runs after `patience`.
    pub async fn wait(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{} still runs after {} s", self.name, patience.as_secs())));
            }
            sleep(POLL).await;
        }
    }

    /// Waits until `ready` answers true.
    ///
    /// # Errors
    /// At once when the process ends, with the end of what it wrote; `TimedOut` after `patience`.
    pub async fn wait_until<R>(&mut self, patience: Duration, mut ready: impl FnMut() -> R) -> io::Result<()>
    where
        R: Future<Output = bool>,
    {
        let deadline = Instant::now() + patience;
        while !ready().await {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, format!("{} ended at start ({status}):\n{}", self.name, self.last_words())));
            }
            if Instant::now() >= deadline {
                let message = format!("{} is not ready after {} s:\n{}", self.name, patience.as_secs(), self.last_words());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(20)).copied().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // the group, not the child alone: it may have children of its own; an error only says that none is left
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::test_kill_process;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_dropped_process_takes_its_children_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::spawn("parent", shell("sleep 600 & echo $!; wait"), folder.path()).unwrap();
        let log = folder.path().join("parent.log");
        process.wait_until(Duration::from_secs(20), async || fs::read_to_string(&log).unwrap().ends_with('\n')).await.unwrap();
        let grandchild = Pid::from_raw(process.output().trim().parse().unwrap()).unwrap();
        test_kill_process(grandchild).unwrap();
        drop(process);
        // it becomes init's child, which reaps it a moment later
        for _ in 0..500 {
            let gone = test_kill_process(grandchild).is_err()
                || fs::read_to_string(format!("/proc/{}/stat", grandchild.as_raw_nonzero())).is_ok_and(|s| s.contains(") Z "));
            if gone {
                return;
            }
            sleep(POLL).await;
        }
        panic!("the grandchild still runs");
    }

    #[tokio::test]
    async fn what_is_tethered_ends_with_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, gone) = (folder.path().join("kept"), folder.path().join("gone"));
        fs::create_dir_all(&gone).unwrap();
        let script = format!("echo $$ >{}; sleep 600", kept.display());
        let mut process = Process::spawn_tethered("tethered", &shell(&script), &gone).unwrap();
        process.wait_until(Duration::from_secs(20), async || fs::read_to_string(&kept).is_ok_and(|s| s.ends_with('\n'))).await.unwrap();
        // what the end of this process does to the pipe
        drop(process.child.stdin.take());
        process.wait(Duration::from_secs(20)).await.unwrap();
        assert!(!gone.exists());
        let program = Pid::from_raw(fs::read_to_string(&kept).unwrap().trim().parse().unwrap()).unwrap();
        assert!(test_kill_process(program).is_err());
    }

    #[tokio::test]
    async fn a_tethered_program_that_ends_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::spawn_tethered("short", &shell("echo no such thing >&2; exit 3"), folder.path()).unwrap();
        let error = process.wait_until(Duration::from_secs(20), async || false).await.unwrap_err().to_string();
        assert!(error.contains("no such thing") && error.contains('3'), "{error}");
    }

    #[tokio::test]
    async fn an_early_end_is_told_with_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::spawn("short", shell("echo no such thing >&2; exit 3"), folder.path()).unwrap();
        let error = process.wait_until(Duration::from_secs(20), async || false).await.unwrap_err().to_string();
        assert!(error.contains("no such thing") && error.contains('3'), "{error}");
    }

    #[tokio::test]
    async fn a_signal_ends_it_and_the_status_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::spawn("trap", shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done"), folder.path()).unwrap();
        let log = folder.path().join("trap.log");
        process.wait_until(Duration::from_secs(20), async || fs::read_to_string(&log).unwrap().contains("up")).await.unwrap();
        process.signal(Signal::TERM).unwrap();
        assert_eq!(process.wait(Duration::from_secs(20)).await.unwrap().code(), Some(7));
    }

    #[test]
    fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Process::spawn("x", Command::new("/no/such/program"), folder.path()).unwrap_err();
        assert!(error.to_string().contains("/no/such/program"));
    }
}
